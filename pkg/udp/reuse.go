//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package udp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// reusePort is the Control function of a portable socket.
func reusePort(_, _ string, raw syscall.RawConn) error {
	var err error
	ctl := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	if ctl != nil {
		return ctl
	}
	return err
}
