package stream

import (
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/roamgate/roamgate/pkg/udp"
)

// watched is a socket that the poller of the event loop watches, outside Go's
// own.
type watched struct {
	fd     int
	poller *udp.Poller
	tag    uint32
}

// watch takes the socket of c over; c is closed then. It is non-blocking
// already, as all of package net are.
func watch(c *net.TCPConn, p *udp.Poller, tag uint32) (link, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, dup := -1, error(nil)
	if err := raw.Control(func(f uintptr) {
		fd, dup = unix.FcntlInt(f, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if dup != nil {
		return nil, os.NewSyscallError("fcntl", dup)
	}
	if err := p.AddStream(fd, tag); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	_ = c.Close() // the other descriptor of two
	return &watched{fd: fd, poller: p, tag: tag}, nil
}

func (w *watched) read(p []byte) (int, error) {
	n, err := unix.Read(w.fd, p)
	switch {
	case n > 0:
		return n, nil
	case err == nil:
		return 0, io.EOF
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, errNothing
	}
	return 0, os.NewSyscallError("read", err)
}

func (w *watched) write(p []byte) (int, error) {
	n, err := unix.Write(w.fd, p)
	switch {
	case n > 0:
		return n, nil
	case err == nil || err == unix.EAGAIN || err == unix.EINTR:
		return 0, nil
	}
	return 0, os.NewSyscallError("write", err)
}

func (w *watched) writable(on bool) error { return w.poller.SetWritable(w.fd, w.tag, on) }

func (w *watched) close() {
	w.poller.RemoveStream(w.fd)
	_ = unix.Close(w.fd)
}
