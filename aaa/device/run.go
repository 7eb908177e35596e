package device

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Run serves the table from Redis until ctx ends: it fetches misses, follows
// the change stream and probes a store that is away. Without Redis it waits.
// It returns when all its goroutines have ended and every waiter has been told.
func (t *Table) Run(ctx context.Context) error {
	if t.cfg.Redis == nil {
		<-ctx.Done()
		return nil
	}
	return t.run(ctx, func() source { return newRedisSource(t.cfg.Redis) }, true)
}

func (t *Table) run(ctx context.Context, open func() source, follow bool) error {
	var wg sync.WaitGroup
	t.flights.start()
	for range t.cfg.Fetchers {
		src := open()
		wg.Go(func() {
			defer src.close()
			(&fetcher{t: t, src: src}).run()
		})
	}
	wg.Go(func() { t.probe(ctx, open()) })
	if follow {
		wg.Go(func() { t.follow(ctx) })
	}
	<-ctx.Done()
	t.flights.stop()
	wg.Wait()
	return nil
}

// Times between probes of a store that is away.
const (
	probeFirst = 100 * time.Millisecond
	probeLast  = time.Second
)

// probe asks a store that is away whether it is back. An answer must come
// within four budgets: a store that is only slow would open the breaker again.
func (t *Table) probe(ctx context.Context, src source) {
	defer src.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.breaker.opened:
		}
		for wait := probeFirst; t.breaker.open(); wait = min(2*wait, probeLast) {
			if !sleep(ctx, wait) {
				return
			}
			pctx, cancel := context.WithTimeout(ctx, 4*t.cfg.MissBudget)
			err := src.ping(pctx)
			cancel()
			if err == nil {
				t.answered()
			} else {
				src.reset()
			}
		}
	}
}

// sleep waits, and says whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// failed counts a failed read and says what it was.
func (t *Table) failed(err error) Fault {
	f := faultOf(err)
	t.stats.fault(f)
	if t.breaker.failed() {
		t.stats.redisUp.Store(false)
		t.cfg.Logger.Warn("policy store is away", zap.Stringer("reason", f))
	}
	return f
}

// answered notes that the store works.
func (t *Table) answered() {
	if t.breaker.succeeded() {
		t.cfg.Logger.Info("policy store is back")
	}
	if !t.stats.redisUp.Load() {
		t.stats.redisUp.Store(true)
	}
}

// wantProfiles has the profiles read again soon.
func (t *Table) wantProfiles() {
	select {
	case t.reload <- struct{}{}:
	default:
	}
}
