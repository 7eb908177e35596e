package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// turn is one measured turn of a proxy.
type turn struct {
	outcome
	others []outcome
	before outcome // of the same work with nothing wrong, where a case compares
	during time.Duration
	all    time.Duration // until everything was answered and drained
	cpu    time.Duration // of the proxy, until then
	// The CPU time that both sides took while requests were begun.
	proxyBusy, loadBusy time.Duration
	foreign             time.Duration // what others took of both processors then
	rss                 int64         // the proxy's peak so far, octets
	grown               int64         // its growth by this turn, where a case asks
	peak                float64       // transactions a second before this turn, where a case asks
	peakFew             float64       // the same from few sockets
	drops               uint64        // by the kernel for want of room, where a case asks
}

// perTransaction is the proxy's CPU time for a finished transaction.
func (t *turn) perTransaction() float64 {
	return float64(t.cpu.Nanoseconds()) / 1e3 / float64(t.Finished)
}

// perSecond leaves out the end of the turn, when only repetitions are waited
// for.
func (t *turn) perSecond() float64 { return float64(t.InTime) / t.during.Seconds() }

// busy is the share of its processor that the proxy took.
func (t *turn) busy() float64 { return t.proxyBusy.Seconds() / t.during.Seconds() }

func (t *turn) busyLoad() float64 { return t.loadBusy.Seconds() / t.during.Seconds() }

// strangers is the share of both processors that other work took.
func (t *turn) strangers() float64 { return t.foreign.Seconds() / (2 * t.during.Seconds()) }

func (t turn) String() string {
	return fmt.Sprintf("%7.2f µs/tx %7.0f tx/s  busy %3.0f %% load %3.0f %%  p50 %s p99 %s p99.9 %s  lost %d repeated %d bad %d skipped %d",
		t.perTransaction(), t.perSecond(), 100*t.busy(), 100*t.busyLoad(),
		short(t.P50), short(t.P99), short(t.P999), t.Lost, t.Repeated, t.Bad, t.Skipped)
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

// busyTime is how long the processors have not been idle since the machine
// was started, from the lines of /proc/stat.
func busyTime(processors []int) (sum time.Duration, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("reading what the processors do: %w", err)
	}
	for _, n := range processors {
		d, err := busyOf(b, n)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// busyOf adds the columns of a processor but idle and iowait, up to steal; the
// guests' are part of those (proc_stat(5)).
func busyOf(stat []byte, processor int) (sum time.Duration, err error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every platform of Go
	for line := range bytes.Lines(stat) {
		f := strings.Fields(string(line))
		if len(f) < 9 || f[0] != "cpu"+strconv.Itoa(processor) {
			continue
		}
		for i, v := range f[1:9] {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading what processor %d does: %w", processor, err)
			}
			if i != 3 && i != 4 {
				sum += time.Duration(n) * tick
			}
		}
		return sum, nil
	}
	return 0, fmt.Errorf("reading what the processors do: no processor %d", processor)
}

// memory reads a line of /proc/PID/status: VmRSS, or VmHWM, its peak.
func memory(pid int, name string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("reading the memory of process %d: no %s", pid, name)
}

// forgetPeak makes VmHWM start again at VmRSS.
func forgetPeak(pid int) error {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return fmt.Errorf("resetting the peak memory of process %d: %w", pid, err)
	}
	return nil
}

// drained says of what roamgate's metrics show whether its queue has every
// record and no home is owed one.
func drained(metrics []byte) (bool, error) {
	for _, name := range []string{
		"roamgate_queue_lag_records", "roamgate_spool_forward_pending", "roamgate_spool_queued_records",
	} {
		n, err := metric(metrics, name)
		if n != 0 || err != nil {
			return false, err
		}
	}
	return true, nil
}

// metric reads a metric without labels.
func metric(metrics []byte, name string) (float64, error) {
	for line := range bytes.Lines(metrics) {
		if rest, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			return strconv.ParseFloat(string(bytes.TrimSpace(rest)), 64)
		}
	}
	return 0, fmt.Errorf("reading metrics: no %s", name)
}

const (
	drainPoll  = 50 * time.Millisecond
	drainLimit = time.Minute
)

// awaitDrained asks the administration port until nothing is left to carry.
func awaitDrained(ctx context.Context, admin netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		b, err := get(ctx, "http://"+admin.String()+"/metrics")
		if err != nil {
			return fmt.Errorf("waiting for the queue: %w", err)
		}
		if done, err := drained(b); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("waiting for the queue: it was not drained in time")
		case <-tick.C:
		}
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}
