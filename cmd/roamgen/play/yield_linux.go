package play

import "golang.org/x/sys/unix"

// Yield lets others that wait for this processor work, and returns at once where there
// are none: who never sleeps must not keep it from them. It is no call that may block,
// about which Go's scheduler would do something.
func Yield() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
