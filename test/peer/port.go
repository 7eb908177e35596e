package peer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// Ports are taken below the range from which Linux gives out ephemeral ones,
// so that no client socket of a running test can sit on a port in question.
const (
	firstPort = 20000
	ports     = 12000
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// Port returns a loopback address whose port is free for UDP and TCP. No
// other test process is given the same one while this test runs, so a program
// may be stopped and started again on it.
func Port(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 1000 {
		a := netip.AddrPortFrom(loopback, uint16(firstPort+rand.IntN(ports)))
		lock, err := claim(a)
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = lock.Close() })
		return a
	}
	t.Fatal("no free loopback port in 1000 tries")
	return netip.AddrPort{}
}

// claim reserves a port among test processes with an abstract Unix socket,
// which the kernel takes back however the process ends, and checks that no
// other program uses it.
func claim(a netip.AddrPort) (net.Listener, error) {
	lock, err := net.Listen("unix", fmt.Sprintf("@roamgate-test-port-%d", a.Port()))
	if err != nil {
		return nil, err
	}
	// A program that is started meanwhile would hold the sockets, until it has
	// been loaded, after they are closed here.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	u, errUDP := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
	if errUDP == nil {
		_ = u.Close()
	}
	l, errTCP := net.Listen("tcp", a.String())
	if errTCP == nil {
		_ = l.Close()
	}
	if err := errors.Join(errUDP, errTCP); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}
