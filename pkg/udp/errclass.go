package udp

import (
	"errors"
	"sync/atomic"
	"syscall"
)

// ErrorClass sorts the errors of single datagrams into a closed set for
// counting. None of them ends a loop: RADIUS repeats what was lost.
type ErrorClass uint8

// The classes.
const (
	ClassFull        ErrorClass = iota // no room in the socket or in the kernel
	ClassRefused                       // an ICMP port unreachable came back
	ClassUnreachable                   // no route, host or network down
	ClassTooBig                        // larger than the path or the interface takes
	ClassDenied                        // packet filter or missing permission
	ClassFamily                        // IPv6 destination on an IPv4 socket or the reverse
	ClassOther                         // everything else
	NumErrorClasses                    // their number
)

var classNames = [NumErrorClasses]string{
	"full", "refused", "unreachable", "too_big", "denied", "family", "other",
}

// String is the value for a metric label.
func (c ErrorClass) String() string {
	if c < NumErrorClasses {
		return classNames[c]
	}
	return "other"
}

func classOf(e syscall.Errno) ErrorClass {
	switch e {
	case syscall.EAGAIN, syscall.ENOBUFS, syscall.ENOMEM:
		return ClassFull
	case syscall.ECONNREFUSED, syscall.ECONNRESET:
		return ClassRefused
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL:
		return ClassUnreachable
	case syscall.EMSGSIZE:
		return ClassTooBig
	case syscall.EPERM, syscall.EACCES:
		return ClassDenied
	case syscall.EAFNOSUPPORT:
		return ClassFamily
	}
	return ClassOther
}

// classOfError is classOf for the errors of package net.
func classOfError(err error) ErrorClass {
	var e syscall.Errno
	if errors.As(err, &e) {
		return classOf(e)
	}
	return ClassOther
}

// errorCounts is written by the owner of a socket and read by anyone; errors
// are rare enough that the atomic add costs nothing.
type errorCounts [NumErrorClasses]atomic.Uint64

func (c *errorCounts) add(k ErrorClass, n uint64) { c[k].Add(n) }

func (c *errorCounts) of(k ErrorClass) uint64 {
	if k >= NumErrorClasses {
		return 0
	}
	return c[k].Load()
}

func (c *errorCounts) total() (n uint64) {
	for i := range c {
		n += c[i].Load()
	}
	return n
}
