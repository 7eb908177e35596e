package diameter

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	dia "github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/test/judge"
)

// before gives an address that leads to another. Wireshark judges what the hub says to a
// foreign program on the way: called is the hub, or that which the hub calls.
func before(t *testing.T, to netip.AddrPort, called who) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", anyPort.String())
	require.NoError(t, err)
	var wait sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	ended := false
	both := func(near net.Conn) {
		far, err := net.Dial("tcp", to.String())
		if err != nil {
			_ = near.Close()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if ended {
			_, _ = near.Close(), far.Close()
			return
		}
		open = append(open, near, far)
		hub, other := near, far
		if called == theHub {
			hub, other = far, near
		}
		wait.Go(func() { pass(hub, other, judge.Collect) })
		wait.Go(func() { pass(other, hub, func([]byte) {}) })
	}
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			both(c)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		ended = true
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wait.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

type who bool

const (
	thePeer who = false
	theHub  who = true
)

// pass takes messages from one connection to another, until either ends.
func pass(from, to net.Conn, see func([]byte)) {
	defer func() { _, _ = from.Close(), to.Close() }()
	for {
		b := make([]byte, dia.HeaderLen)
		if _, err := io.ReadFull(from, b); err != nil {
			return
		}
		n, fault := dia.Frame(b)
		if fault != dia.NoFault {
			see(b) // no message: the judge says so
			return
		}
		b = append(b, make([]byte, n-len(b))...)
		if _, err := io.ReadFull(from, b[dia.HeaderLen:]); err != nil {
			return
		}
		see(b)
		if _, err := to.Write(b); err != nil {
			return
		}
	}
}
