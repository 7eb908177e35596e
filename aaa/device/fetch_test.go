package device

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeStore is a store in memory that can be slow, broken or wrong.
type fakeStore struct {
	mu     sync.Mutex
	values map[string]string
	gets   [][]string
	resets int
	hold   chan struct{} // a get waits for it
	delay  time.Duration
	err    error
	answer func(try int, names []string, out []reply)
}

func (s *fakeStore) get(ctx context.Context, names []string, out []reply) error {
	s.mu.Lock()
	s.gets = append(s.gets, append([]string(nil), names...))
	try, hold, delay, err, answer := len(s.gets), s.hold, s.delay, s.err, s.answer
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if delay > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, n := range names {
		out[i] = reply{}
		out[i].value, out[i].found = s.values[n]
	}
	if answer != nil {
		answer(try, names, out)
	}
	return nil
}

func (s *fakeStore) ping(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delay > 0 && s.delay > 20*time.Millisecond {
		return context.DeadlineExceeded
	}
	return s.err
}

func (s *fakeStore) reset() { s.mu.Lock(); s.resets++; s.mu.Unlock() }
func (s *fakeStore) close() {}

func (s *fakeStore) set(f func(*fakeStore)) { s.mu.Lock(); f(s); s.mu.Unlock() }

func (s *fakeStore) device(n int, profile string) {
	name := fmt.Sprintf("imsi:00101%010d", n)
	s.set(func(s *fakeStore) {
		s.values["{dp}:d:"+name] = string(appendValue(nil, value{version: 1, profile: profile}, name))
	})
}

// inbox is a shard's mailbox.
type inbox struct{ c chan uint64 }

func (w inbox) PolicyReady(token uint64) { w.c <- token }

func (w inbox) wait(t testing.TB) uint64 {
	t.Helper()
	select {
	case v := <-w.c:
		return v
	case <-time.After(time.Minute):
		t.Fatal("no PolicyReady")
		return 0
	}
}

// startFake runs a table over a fake store with one fetcher. The returned
// function stops it.
func startFake(t testing.TB, c Config) (*Table, *fakeStore, func()) {
	s := &fakeStore{values: map[string]string{}}
	c.Redis = &Redis{Addresses: []string{"none"}}
	c.Fetchers = 1
	tab := New(c)
	tab.setProfiles(map[string]*Profile{"meter": {Name: "meter"}}, true)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	tab.flights.start()
	go func() { done <- tab.run(ctx, func() source { return s }, false) }()
	return tab, s, func() { cancel(); require.NoError(t, <-done) }
}

func fetch(t testing.TB, tab *Table, w Waiter, q *Query, token uint64) {
	d := tab.Decide(q)
	require.Equal(t, Miss, d.Outcome)
	require.True(t, tab.Fetch(d.Key, q, w, token))
}

func TestFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, stop := startFake(t, Config{})
		defer stop()
		w := inbox{make(chan uint64, 1024)}
		for n := range 100 {
			s.device(n, "meter")
		}
		// The first goes alone; all that come while it is away share reads.
		hold := make(chan struct{})
		s.set(func(s *fakeStore) { s.hold = hold })
		q := imsi(0)
		fetch(t, tab, w, &q, 1000)
		synctest.Wait()
		for n := 1; n <= 100; n++ {
			q := imsi(n)
			fetch(t, tab, w, &q, uint64(n))
			fetch(t, tab, w, &q, uint64(n+2000)) // joins
		}
		s.set(func(s *fakeStore) { s.hold = nil })
		close(hold)
		synctest.Wait()
		got := map[uint64]int{}
		for range 201 {
			got[w.wait(t)]++
		}
		assert.Len(t, got, 201, "each waiter once")
		synctest.Wait()
		assert.Empty(t, w.c)
		sizes := []int{}
		for _, g := range s.gets {
			sizes = append(sizes, len(g))
		}
		assert.Equal(t, []int{1, 64, 36}, sizes)
		for n := range 100 {
			q := imsi(n)
			assert.Equal(t, Allow, tab.Decide(&q).Outcome)
		}
		q = imsi(100)
		assert.Equal(t, UnknownDevice, tab.Decide(&q).Reason)
		assert.True(t, tab.RedisUp())
		assert.EqualValues(t, 100, tab.stats.attached.Load())
		assert.Zero(t, tab.flights.waiting)
		assert.Empty(t, tab.flights.byKey)
	})
}

func TestFetchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, stop := startFake(t, Config{MaxInFlight: 4, MaxWaiting: 6})
		defer stop()
		w := inbox{make(chan uint64, 64)}
		hold := make(chan struct{})
		s.set(func(s *fakeStore) { s.hold = hold })
		try := func(n int) bool {
			q := imsi(n)
			k, _ := tab.KeyOf(&q)
			return tab.Fetch(k, &q, w, uint64(n))
		}
		for n := range 4 {
			assert.True(t, try(n))
		}
		assert.False(t, try(4), "five devices in flight")
		assert.True(t, try(1))
		assert.True(t, try(1))
		assert.False(t, try(1), "seven callers waiting")
		assert.EqualValues(t, 2, tab.Faults(FaultOverload))
		q := imsi(4)
		q.Waited = true
		assert.Equal(t, StoreAway, tab.Decide(&q).Reason)
		assert.Equal(t, Unavailable, tab.Decide(&q).Outcome)
		q.Route = lenient
		assert.Equal(t, Allow, tab.Decide(&q).Outcome)
		close(hold)
		for range 6 {
			w.wait(t)
		}
		assert.True(t, try(4))
		w.wait(t)
	})
}

func TestFetchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, stop := startFake(t, Config{})
		w := inbox{make(chan uint64, 8)}
		hold := make(chan struct{})
		s.set(func(s *fakeStore) { s.hold = hold })
		for n := range 3 {
			q := imsi(n)
			fetch(t, tab, w, &q, uint64(n))
			synctest.Wait()
		}
		close(hold)
		stop()
		assert.Len(t, w.c, 3, "those that wait hear of the end")
		q := imsi(9)
		k, _ := tab.KeyOf(&q)
		assert.False(t, tab.Fetch(k, &q, w, 9))
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, stop := startFake(t, Config{})
		defer stop()
		w := inbox{make(chan uint64, 64)}
		known := imsi(1)
		s.device(1, "meter")
		fetch(t, tab, w, &known, 1)
		w.wait(t)

		// The store takes 500 ms: the budget of 5 ms ends each read.
		s.set(func(s *fakeStore) { s.delay = 500 * time.Millisecond })
		began := time.Now()
		for n := 2; n < 2+breakerFailures; n++ {
			q := imsi(n)
			fetch(t, tab, w, &q, uint64(n))
			w.wait(t)
			assert.Equal(t, StoreAway, tab.Decide(&q).Reason)
		}
		assert.Equal(t, breakerFailures*5*time.Millisecond, time.Since(began))
		assert.EqualValues(t, breakerFailures, tab.Faults(FaultTimeout))
		assert.False(t, tab.RedisUp())
		q := imsi(50)
		d := tab.Decide(&q)
		assert.Equal(t, StoreAway, d.Reason, "open: no miss waits any more")
		assert.False(t, tab.Fetch(d.Key, &q, w, 50))

		// Known devices are served, past their time as stale ones, for a day.
		known.Now = int64(time.Hour)
		d = tab.Decide(&known)
		assert.Equal(t, Allow, d.Outcome)
		assert.True(t, d.Stale)
		assert.EqualValues(t, 1, tab.StaleServed())
		known.Now = int64(24*time.Hour + time.Minute)
		assert.Equal(t, StoreAway, tab.Decide(&known).Reason)

		// It heals by a probe.
		s.set(func(s *fakeStore) { s.delay = 0 })
		began = time.Now()
		for tab.breaker.open() {
			<-time.After(10 * time.Millisecond)
		}
		assert.Less(t, time.Since(began), 1100*time.Millisecond)
		assert.True(t, tab.RedisUp())
		assert.Equal(t, Miss, tab.Decide(&q).Outcome)
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, stop := startFake(t, Config{})
		defer stop()
		w := inbox{make(chan uint64, 8)}
		s.device(1, "meter")
		q := imsi(1)
		fetch(t, tab, w, &q, 1)
		w.wait(t)
		reads := func() int { synctest.Wait(); s.mu.Lock(); defer s.mu.Unlock(); return len(s.gets) }
		q.Now = int64(4 * time.Minute)
		tab.Decide(&q)
		assert.Equal(t, 1, reads(), "fresh")
		q.Now = int64(6 * time.Minute)
		d := tab.Decide(&q)
		assert.Equal(t, Allow, d.Outcome)
		assert.False(t, d.Stale, "the change stream has told nothing")
		tab.Decide(&q)
		assert.Equal(t, 2, reads(), "refreshed once, behind the answer")
		tab.Decide(&q)
		assert.Equal(t, 2, reads())
		tab.raiseEpoch("test")
		d = tab.Decide(&q)
		assert.True(t, d.Stale, "in doubt until confirmed")
		assert.Equal(t, 3, reads())
		assert.False(t, tab.Decide(&q).Stale)
		// A device that is gone from the store goes by the refresh.
		s.set(func(s *fakeStore) { clear(s.values) })
		tab.raiseEpoch("test")
		assert.Equal(t, Allow, tab.Decide(&q).Outcome)
		assert.Equal(t, 4, reads())
		assert.Equal(t, UnknownDevice, tab.Decide(&q).Reason)
		assert.Zero(t, tab.Len())
	})
}

// A reply of another key (A29): the batch is not believed, the connection goes,
// and the answer of a new connection is taken.
func TestMismatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s, stop := startFake(t, Config{})
		defer stop()
		w := inbox{make(chan uint64, 8)}
		s.device(1, "meter")
		s.device(2, "meter")
		s.set(func(s *fakeStore) {
			s.answer = func(try int, _ []string, out []reply) {
				if try == 1 {
					out[0].value = s.values["{dp}:d:imsi:001010000000002"]
				}
			}
		})
		q := imsi(1)
		fetch(t, tab, w, &q, 1)
		w.wait(t)
		assert.Equal(t, Allow, tab.Decide(&q).Outcome)
		assert.Equal(t, 1, s.resets)
		assert.EqualValues(t, 1, tab.Faults(FaultMismatch))

		// A value that is wrong in the store itself harms only its own key.
		s.set(func(s *fakeStore) {
			s.answer = nil
			s.values["{dp}:d:imsi:001010000000003"] = s.values["{dp}:d:imsi:001010000000002"]
		})
		q = imsi(3)
		fetch(t, tab, w, &q, 3)
		w.wait(t)
		assert.Equal(t, MalformedValue, tab.Decide(&q).Reason)
		assert.Equal(t, Unavailable, tab.Decide(&q).Outcome)
		q = imsi(2)
		fetch(t, tab, w, &q, 2)
		w.wait(t)
		assert.Equal(t, Allow, tab.Decide(&q).Outcome)
	})
}

func TestWrongValuesAreMisses(t *testing.T) {
	for _, tt := range wrongValues {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tab, s, stop := startFake(t, Config{})
				defer stop()
				w := inbox{make(chan uint64, 8)}
				q := imsi(0)
				q.IMSI = []byte(strings.TrimPrefix(name1, "imsi:"))
				s.set(func(s *fakeStore) { s.values["{dp}:d:"+name1] = tt.value })
				fetch(t, tab, w, &q, 1)
				w.wait(t)
				d := tab.Decide(&q)
				assert.Equal(t, MalformedValue, d.Reason)
				assert.Equal(t, Unavailable, d.Outcome)
				assert.NotZero(t, tab.Faults(tt.why))
				q.Route = lenient
				assert.Equal(t, Allow, tab.Decide(&q).Outcome)
			})
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	tab, s, stop := startFake(t, Config{})
	for n := range 200 {
		s.device(n, "meter")
	}
	var wg sync.WaitGroup
	var told atomic.Int64
	var asked atomic.Int64
	w := counter{&told}
	for range 3 {
		wg.Go(func() {
			for i := range 2000 {
				q := imsi(i % 300)
				q.Now = int64(i) * int64(time.Second)
				d := tab.Decide(&q)
				if d.Outcome == Miss && tab.Fetch(d.Key, &q, w, 1) {
					asked.Add(1)
				}
				tab.Usage(d.Key, 1, uint64(i), noon)
			}
		})
	}
	wg.Go(func() {
		for i := range 300 {
			name := fmt.Sprintf("imsi:00101%010d", i)
			tab.change(&Change{Op: OpDevice, Name: name, Value: string(appendValue(nil, value{2, flagBlocked, fmt.Sprint("p", i)}, name))})
			tab.raiseEpoch("test")
		}
	})
	wg.Wait()
	stop()
	assert.Equal(t, asked.Load(), told.Load())
}

type counter struct{ n *atomic.Int64 }

func (c counter) PolicyReady(uint64) { c.n.Add(1) }

func TestFaultOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Fault
	}{
		{context.DeadlineExceeded, FaultTimeout},
		{fmt.Errorf("x: %w", errReplyTooLarge), FaultTooLarge},
		{errors.New("EOF"), FaultConnection},
	} {
		assert.Equal(t, tt.want, faultOf(tt.err))
	}
}
