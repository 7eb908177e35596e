package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	cgroups     = "/sys/fs/cgroup"
	quotaPrefix = "roamgate-bench-"
	// quotaShare of its processor is left to a proxy that has to be offered
	// ten times what it can do.
	quotaShare = 1. / 10
	// quotaRun is the least that the kernel takes for a quota (CFS bandwidth
	// control): the shorter the turns, the less a request waits for one.
	quotaRun = time.Millisecond
)

// quota is a control group that holds a process to a share of a processor.
// The kernel ends it with nobody in it, so a proxy is stopped before it is
// removed.
type quota struct{ dir string }

// quotaPeriod is how often quotaRun may be used up.
func quotaPeriod(share float64) (time.Duration, error) {
	if share <= 0 || share > 1 {
		return 0, fmt.Errorf("share %g of a processor: want more than 0 and at most 1", share)
	}
	period := time.Duration(float64(quotaRun) / share).Round(time.Microsecond)
	if period > time.Second { // the most that the kernel takes
		return 0, fmt.Errorf("share %g of a processor is too small", share)
	}
	return period, nil
}

// newQuota makes the group: in the cpu hierarchy of version 1 where the
// machine has one, else in that of version 2.
func newQuota(root string, share float64) (*quota, error) {
	period, err := quotaPeriod(share)
	if err != nil {
		return nil, err
	}
	run, every := strconv.FormatInt(quotaRun.Microseconds(), 10), strconv.FormatInt(period.Microseconds(), 10)
	parent := filepath.Join(root, "cpu")
	settings := [][2]string{{"cpu.cfs_period_us", every}, {"cpu.cfs_quota_us", run}}
	if _, err := os.Stat(filepath.Join(parent, "cgroup.procs")); err != nil {
		b, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
		if err != nil || !hasWord(string(b), "cpu") {
			return nil, errors.New("making a cpu cgroup: this machine has no controller for it at " + root)
		}
		parent, settings = root, [][2]string{{"cpu.max", run + " " + every}}
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+cpu"), 0o644); err != nil {
			return nil, fmt.Errorf("making a cpu cgroup: %w", err)
		}
	}
	sweep(parent)
	q := &quota{dir: filepath.Join(parent, quotaPrefix+strconv.Itoa(os.Getpid()))}
	if err := os.Mkdir(q.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a cpu cgroup: %w", err)
	}
	for _, s := range settings {
		if err := os.WriteFile(filepath.Join(q.dir, s[0]), []byte(s[1]), 0o644); err != nil {
			return nil, errors.Join(fmt.Errorf("limiting a cpu cgroup: %w", err), q.remove())
		}
	}
	return q, nil
}

func hasWord(text, word string) bool {
	for _, f := range strings.Fields(text) {
		if f == word {
			return true
		}
	}
	return false
}

// sweep removes the groups of runs that were killed; their processes have
// ended with them.
func sweep(parent string) {
	old, _ := filepath.Glob(filepath.Join(parent, quotaPrefix+"*"))
	for _, dir := range old {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), quotaPrefix))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.Remove(dir)
		}
	}
}

// hold puts a process with all its threads under the quota.
func (q *quota) hold(pid int) error {
	err := os.WriteFile(filepath.Join(q.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
	if err != nil {
		return fmt.Errorf("putting process %d into a cpu cgroup: %w", pid, err)
	}
	return nil
}

// remove ends the group. The kernel may need a moment after its last process.
func (q *quota) remove() error {
	if q == nil {
		return nil
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var err error
	for range 200 {
		if err = os.Remove(q.dir); !errors.Is(err, syscall.EBUSY) {
			break
		}
		<-tick.C
	}
	if err != nil {
		return fmt.Errorf("removing a cpu cgroup: %w", err)
	}
	return nil
}
