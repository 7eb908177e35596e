package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// turn is one measured turn of a proxy.
type turn struct {
	outcome
	cpu time.Duration // of the proxy
	rss int64         // its peak so far, octets
}

// perTransaction is the proxy's CPU time for a finished transaction.
func (t *turn) perTransaction() float64 {
	return float64(t.cpu.Nanoseconds()) / 1e3 / float64(t.Finished)
}

func (t *turn) perSecond() float64 { return float64(t.Finished) / t.Took.Seconds() }

// busy is the share of a processor that the proxy took.
func (t *turn) busy() float64 { return t.cpu.Seconds() / t.Took.Seconds() }

func (t turn) String() string {
	return fmt.Sprintf("%6.2f µs/tx  %7.0f tx/s  p50 %s p99 %s p99.9 %s  lost %d repeated %d bad %d",
		t.perTransaction(), t.perSecond(), short(t.P50), short(t.P99), short(t.P999), t.Lost, t.Repeated, t.Bad)
}

func short(d time.Duration) string { return fmt.Sprintf("%.2fms", float64(d)/1e6) }

// cpuTime is the processor time of all threads of a process, also of those
// that have ended: the process's CPU clock of clock_getcpuclockid(3), which is
// the sum of /proc/PID/task/*/schedstat as long as no thread ends. FreeRADIUS
// ends spare threads and took their time out of that sum.
func cpuTime(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &t); err != nil {
		return 0, fmt.Errorf("reading the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// peakRSS is VmHWM.
func peakRSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("reading the memory of process %d: no VmHWM", pid)
}
