package udp

import (
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// rawConn is a non-blocking socket outside Go's own poller: the event loop of
// its owner is the only one that waits for it.
type rawConn struct {
	conn    *Conn
	segment bool // UDP_SEGMENT works here
	joined  bool // UDP_GRO works here
	thinned bool // a filter is attached
	ovfl    uint32

	mu sync.Mutex // guards fd against close in queueRatio; the owner needs no lock
	fd int
}

func listenNative(c *Conn, a netip.AddrPort, o Options) error {
	family := unix.AF_INET6
	if c.v4 {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	r := &rawConn{conn: c, fd: fd}
	if err := r.setup(a, o); err != nil {
		_ = unix.Close(fd)
		return err
	}
	c.back = r
	return nil
}

func (r *rawConn) setup(a netip.AddrPort, o Options) error {
	if err := r.options(a, o); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(r.fd, sockaddr(AddrFrom(a))); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if o.Share {
		if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	sa, err := unix.Getsockname(r.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	port := a.Port()
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		port = uint16(sa.Port)
	case *unix.SockaddrInet6:
		port = uint16(sa.Port)
	}
	r.conn.local = netip.AddrPortFrom(a.Addr(), port)
	return nil
}

func (r *rawConn) options(a netip.AddrPort, o Options) error {
	set := func(level, name, value int, on bool) error {
		if !on {
			return nil
		}
		return unix.SetsockoptInt(r.fd, level, name, value)
	}
	learn := o.PacketInfo && a.Addr().IsUnspecified()
	for _, err := range []error{
		set(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1, true),
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1, o.ReusePort),
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1, !r.conn.v4),
		set(unix.IPPROTO_IP, unix.IP_PKTINFO, 1, learn && r.conn.v4),
		set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1, learn && !r.conn.v4),
		r.buffer(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, o.RecvBuffer),
		r.buffer(unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, o.SendBuffer),
	} {
		if err != nil {
			return err
		}
	}
	// Older kernels answer ENOPROTOOPT; then every datagram goes alone.
	r.joined = o.Coalesce && unix.SetsockoptInt(r.fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) == nil
	r.segment = o.Segment && unix.SetsockoptInt(r.fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 0) == nil
	return nil
}

func (r *rawConn) setRecvBuffer(octets int) error {
	return os.NewSyscallError("setsockopt", r.buffer(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, octets))
}

// buffer passes the system's maximum where the process may (CAP_NET_ADMIN)
// and takes what the maximum allows where it may not.
func (r *rawConn) buffer(force, plain, octets int) error {
	if octets <= 0 {
		return nil
	}
	if unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, force, octets) == nil {
		return nil
	}
	return unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, plain, octets)
}

func (r *rawConn) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	fd := r.fd
	r.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

func sockaddr(a Addr) unix.Sockaddr {
	if a.V4 {
		return &unix.SockaddrInet4{Port: int(a.Port), Addr: [4]byte(a.IP[12:])}
	}
	return &unix.SockaddrInet6{Port: int(a.Port), Addr: a.IP, ZoneId: a.Zone}
}
