package udp

import (
	"fmt"
	"net"
	"net/netip"
)

// Options of a socket. The zero value is a plain socket with the kernel's
// default buffers.
type Options struct {
	// ReusePort joins the sockets that share the address already, whoever
	// has them; see ListenShared.
	ReusePort bool
	// RecvBuffer and SendBuffer are octets of kernel buffer, 0 for the
	// kernel's default. The system's maximum is passed when the process may.
	RecvBuffer, SendBuffer int
	// PacketInfo learns the local address of each datagram when the socket
	// is bound to the wildcard; see LocalInfo. Portable sockets ignore it.
	PacketInfo bool
	// Segment sends the datagrams of one batch for one destination through
	// the stack as one (UDP generic segmentation offload), where the kernel
	// can. It changes the order within a batch. Portable sockets ignore it.
	Segment bool
	// Coalesce takes datagrams of one length from one source that the kernel
	// has put together (UDP generic receive offload) in one piece: see
	// Batch.Pending, and Wide. A Batch that is not wide switches it off.
	// Portable sockets ignore it.
	Coalesce bool
	// Share binds alone and lets others join with ReusePort afterwards.
	Share bool
}

// backend is one of the two implementations. The calls are per batch.
type backend interface {
	recv(b *Batch) (int, error)
	send(q *Queue)
	queueRatio() float64
	thin(sources []Thinned) error
	setRecvBuffer(octets int) error
	close() error
}

// Thinned is a source of which only a part is wanted.
type Thinned struct {
	From Addr   // its address; the port does not matter
	Keep uint32 // of 2^32
}

// MostThinned is how many sources a socket can thin out.
const MostThinned = 8

// Conn is one UDP socket.
type Conn struct {
	back     backend
	local    netip.AddrPort
	v4       bool
	counters connCounters
	closed   bool
}

// Listen opens a socket bound to a, which must have a valid address; port 0
// takes a free one. An IPv6 socket never takes IPv4 datagrams, so both
// families can bind the same port. Out of descriptors the error is EMFILE or
// ENFILE under errors.Is.
func Listen(a netip.AddrPort, o Options) (*Conn, error) {
	return open(a, o, listenNative)
}

// ListenShared opens n sockets bound to the same address, over which the
// kernel spreads the clients. The first is bound alone: an address that
// anybody else listens on is refused, also when they share it among
// themselves, and a port of 0 is never one that another process shares.
func ListenShared(a netip.AddrPort, n int, o Options) ([]*Conn, error) {
	return share(a, n, o, listenNative)
}

func share(a netip.AddrPort, n int, o Options, f opener) ([]*Conn, error) {
	o.ReusePort, o.Share = false, n > 1
	conns := make([]*Conn, 0, n)
	for range n {
		c, err := open(a, o, f)
		if err != nil {
			for _, c := range conns {
				_ = c.Close()
			}
			return nil, err
		}
		conns = append(conns, c)
		a = c.LocalAddr()
		o.ReusePort, o.Share = true, false
	}
	return conns, nil
}

// ListenPortable is Listen on the portable implementation.
func ListenPortable(a netip.AddrPort, o Options) (*Conn, error) {
	return open(a, o, listenPortable)
}

type opener func(c *Conn, a netip.AddrPort, o Options) error

func open(a netip.AddrPort, o Options, f opener) (*Conn, error) {
	if !a.IsValid() {
		return nil, fmt.Errorf("listening on udp %s: invalid address", a)
	}
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	c := &Conn{v4: a.Addr().Is4()}
	if err := f(c, a, o); err != nil {
		return nil, fmt.Errorf("listening on udp %s: %w", a, err)
	}
	return c, nil
}

// LocalAddr is the bound address with the port the kernel gave.
func (c *Conn) LocalAddr() netip.AddrPort { return c.local }

// Recv fills b with what waits, at most its capacity, and returns the number
// of datagrams; 0 when nothing waits. It never blocks. ICMP errors that the
// kernel reports here are counted and do not surface. An error means that
// the socket is of no more use; after Close it is net.ErrClosed.
// hot: 0 allocs
func (c *Conn) Recv(b *Batch) (n int, err error) {
	b.n = 0
	if c.closed {
		return 0, net.ErrClosed
	}
	return c.back.recv(b)
}

// Thin has the kernel drop a part of what some sources send, before it takes
// room in the receive buffer; Drops counts it too. It replaces what was asked
// before; of more than MostThinned sources the first count. Portable sockets
// ignore it. It allocates: it is for now and then.
func (c *Conn) Thin(sources []Thinned) error {
	if c.closed {
		return net.ErrClosed
	}
	return c.back.thin(sources[:min(len(sources), MostThinned)])
}

// SetRecvBuffer changes Options.RecvBuffer. What is in the buffer stays.
func (c *Conn) SetRecvBuffer(octets int) error {
	if c.closed {
		return net.ErrClosed
	}
	return c.back.setRecvBuffer(octets)
}

// Close closes the socket. It must not run together with Recv, Flush or a
// Poller of the same socket: the owner closes.
func (c *Conn) Close() error {
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	return c.back.close()
}

// Drops counts the datagrams that arrived and found the socket's buffer full.
// The kernel tells with the next datagram that is read.
func (c *Conn) Drops() uint64 { return c.counters.drops.Load() }

// RecvErrors counts errors of class k seen while receiving.
func (c *Conn) RecvErrors(k ErrorClass) uint64 { return c.counters.recv.of(k) }

// QueueRatio is how full the receive buffer is, 0 to 1; 0 after Close.
func (c *Conn) QueueRatio() float64 { return c.back.queueRatio() }
