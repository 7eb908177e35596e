package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The options of SCTP (RFC 6458 sections 8.1.5 and 8.1.31).
const (
	solSCTP              = 132
	sctpNoDelay          = 3
	sctpDefaultSendParam = 10
	sndrcvinfoLen        = 32
	ppidAt               = 8
	ppidDiameter         = 46 // RFC 6733 section 11.4: of messages that are not encrypted
)

// sockets makes those of SCTP. Tests, whose kernel may have none, make others.
var sctpSockets = struct {
	protocol int
	ready    func(fd int) error
}{unix.IPPROTO_SCTP, readySCTP}

// readySCTP sends messages at once, and says that they are Diameter's.
func readySCTP(fd int) error {
	if err := unix.SetsockoptInt(fd, solSCTP, sctpNoDelay, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	var param [sndrcvinfoLen]byte
	binary.BigEndian.PutUint32(param[ppidAt:], ppidDiameter)
	return os.NewSyscallError("setsockopt", unix.SetsockoptString(fd, solSCTP, sctpDefaultSendParam, string(param[:])))
}

// socketSCTP makes a socket in the one-to-one style of RFC 6458 section 4: it is used
// as one of TCP is, but for the edges of messages.
func socketSCTP(at netip.AddrPort) (*os.File, unix.Sockaddr, error) {
	family, addr := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, sctpSockets.protocol)
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.ESOCKTNOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT):
		return nil, nil, ErrNoSCTP
	case err != nil:
		return nil, nil, os.NewSyscallError("socket", err)
	}
	if err := sctpSockets.ready(fd); err != nil {
		_ = unix.Close(fd)
		return nil, nil, err
	}
	return os.NewFile(uintptr(fd), "sctp"), addr, nil
}

// DialSCTP connects over SCTP.
func DialSCTP(ctx context.Context, to netip.AddrPort) (*net.TCPConn, error) {
	f, addr, err := socketSCTP(to)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if end, ok := ctx.Deadline(); ok {
		_ = f.SetWriteDeadline(end)
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := connect(f, addr); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("connecting: %w", err)
	}
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// connect waits until a connection stands, as the deadline has it.
func connect(f *os.File, addr unix.Sockaddr) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	begun, result := false, error(nil)
	err = raw.Write(func(fd uintptr) bool {
		if !begun {
			begun = true
			result = unix.Connect(int(fd), addr)
			return result != unix.EINPROGRESS
		}
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		result = err
		if code != 0 {
			result = unix.Errno(code)
		}
		return true
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("connect", result)
}

// ListenSCTP gives what connections over SCTP come to.
func ListenSCTP(at netip.AddrPort) (net.Listener, error) {
	f, addr, err := socketSCTP(at)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	fd := int(f.Fd())
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, addr); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	return net.FileListener(f)
}
