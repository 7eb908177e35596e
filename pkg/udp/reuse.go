//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package udp

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// lateReuse: Linux lets a socket be shared that was bound alone; the others
// want to know before.
const lateReuse = runtime.GOOS == "linux"

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
