//go:build !linux

package udp

import "net/netip"

// Where there is no recvmmsg the portable implementation is the native one.

type batchHeaders struct{}

func (*batchHeaders) init(*Batch) {}

type queueHeaders struct{}

func (*queueHeaders) init(*Queue) {}

func listenNative(c *Conn, a netip.AddrPort, o Options) error {
	return listenPortable(c, a, o)
}

func newNativePoller() (*Poller, error) { return NewPortablePoller() }
