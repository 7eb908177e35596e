//go:build !linux

package play

import "runtime"

// Yield lets others that wait for this processor work.
func Yield() { runtime.Gosched() }
