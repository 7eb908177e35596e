package peer

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Load repeats a request from several NAS ports at once until it is stopped.
type Load struct {
	t     testing.TB
	stop  atomic.Bool
	done  atomic.Int64
	tasks sync.WaitGroup
}

// StartLoad calls one from workers goroutines, with the worker's number and a
// count of its calls, again and again. An error of one fails the test and ends
// that worker.
func StartLoad(t testing.TB, workers int, one func(worker, n int) error) *Load {
	t.Helper()
	l := &Load{t: t}
	for w := range workers {
		l.tasks.Go(func() {
			for n := 0; !l.stop.Load(); n++ {
				if err := one(w, n); err != nil {
					t.Errorf("worker %d, request %d: %v", w, n, err)
					return
				}
				l.done.Add(1)
			}
		})
	}
	t.Cleanup(func() { l.Stop() })
	return l
}

// Done counts the requests that one returned from without an error.
func (l *Load) Done() int { return int(l.done.Load()) }

// Stop lets every worker finish its request and returns the count of all.
func (l *Load) Stop() int {
	l.stop.Store(true)
	l.tasks.Wait()
	return l.Done()
}
