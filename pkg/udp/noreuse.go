//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package udp

import (
	"errors"
	"syscall"
)

const lateReuse = false

// reusePort refuses: without it shards cannot share a port, and taking the
// address over (SO_REUSEADDR) would starve one of them in silence.
func reusePort(_, _ string, _ syscall.RawConn) error { return errors.ErrUnsupported }
