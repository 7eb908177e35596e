package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// terminalWidth is the number of columns, 80 where nobody says.
func terminalWidth(out any) int {
	f, ok := out.(*os.File)
	if !ok {
		return 80
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col < 20 {
		return 80
	}
	return int(size.Col)
}

// childAttributes gives the hub a process group of its own, so that an
// interrupt of the terminal reaches it through us, in order, and its end when
// we are killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// pin keeps all threads of this process, also those to come, on one processor.
func pin(cpu int) error {
	if cpu < 0 {
		return nil
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("listing threads: %w", err)
	}
	var set unix.CPUSet
	set.Set(cpu)
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil {
			return fmt.Errorf("pinning to processor %d: %w", cpu, err)
		}
	}
	return nil
}

// cpuTime is the processor time this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
