//go:build !linux

package main

// monotonicMicroseconds has a meaning only for systemd.
func monotonicMicroseconds() int64 { return 0 }
