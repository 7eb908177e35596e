package main

import "golang.org/x/sys/unix"

// monotonicMicroseconds is CLOCK_MONOTONIC, as systemd reads it.
func monotonicMicroseconds() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return t.Nano() / 1000
}
