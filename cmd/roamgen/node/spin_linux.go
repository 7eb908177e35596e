package node

import (
	"io"
	"syscall"
)

// readNow reads what has come, 0: nothing.
func readNow(fd uintptr, b []byte) (int, error) {
	n, err := syscall.Read(int(fd), b)
	if err != nil {
		return 0, unlessLater(err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// writeNow writes what the kernel takes.
func writeNow(fd uintptr, b []byte) (int, error) {
	n, err := syscall.Write(int(fd), b)
	if err != nil {
		return 0, unlessLater(err)
	}
	return n, nil
}

func unlessLater(err error) error {
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return nil
	}
	return err
}
