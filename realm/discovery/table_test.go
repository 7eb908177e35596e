package discovery

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/test/zone"
)

// tableRig is a running Table in a bubble, whose values are texts.
type tableRig struct {
	*Table[string]
	of     *realm.Discovery
	looked atomic.Int32
	built  atomic.Int32
	result atomic.Pointer[func(name string) Result]
	room   atomic.Bool

	mu    sync.Mutex
	found []uint64
}

func (r *tableRig) PeersFound(token uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, token)
}

func (r *tableRig) finds(result func(name string) Result) { r.result.Store(&result) }

func (r *tableRig) times() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.found)
}

func clock() int64 { return time.Now().UnixNano() }

func newTableRig(t testing.TB, result func(name string) Result) *tableRig {
	r := &tableRig{of: &realm.Discovery{Name: "test", Rate: 10}}
	r.result.Store(&result)
	r.room.Store(true)
	r.Table = NewTable(Config[string]{
		Now: clock,
		Discover: func(ctx context.Context, name string, _ *realm.Discovery, _ Service) Result {
			r.looked.Add(1)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			return (*r.result.Load())(name)
		},
		Build: func(name string, of *realm.Discovery, _ Service, res *Result, _ time.Duration) (string, bool) {
			return fmt.Sprintf("%s by %s %d", name, of.Name, r.built.Add(1)), r.room.Load()
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
	return r
}

func there(string) Result {
	return Result{TTL: 100 * time.Second, Targets: []Target{{Host: "r.example"}}}
}
func nothing(string) Result { return Result{TTL: BackoffTime, Cause: NoPeer} }

func (r *tableRig) ask(client, name string, token uint64) Cause {
	return r.Ask(client, r.of, Auth, []byte(name), r, token)
}

func (r *tableRig) lookup(name string) *Entry[string] {
	return r.Lookup(r.of, Auth, []byte(name), clock())
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// C96: one look-up serves all that wait for it, and then it is there.
func TestC96Asked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTableRig(t, there)
		require.Nil(t, r.lookup("a.example"))
		for i := range 5 {
			require.Equal(t, OK, r.ask("c", "a.example", uint64(i)))
		}
		pass(50 * time.Millisecond)
		assert.Zero(t, r.times(), "nobody hears before the end")
		pass(time.Second)
		assert.Equal(t, []uint64{0, 1, 2, 3, 4}, r.found)
		assert.Equal(t, int32(1), r.looked.Load())
		e := r.lookup("a.example")
		require.NotNil(t, e)
		assert.Equal(t, "a.example by test 1", e.Value)
		assert.Nil(t, r.Lookup(r.of, Acct, []byte("a.example"), clock()), "of another service nothing is known")
		assert.Nil(t, r.Lookup(&realm.Discovery{Name: "other"}, Auth, []byte("a.example"), clock()))
		require.Equal(t, OK, r.ask("c", "a.example", 9), "what is there is told at once")
		assert.Equal(t, 6, r.times())
		assert.Equal(t, int32(1), r.looked.Load())
	})
}

// C93: what is in use is looked up again before its TTL ends, and
// what is not in use ends with it.
func TestC93Refresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTableRig(t, there)
		r.ask("c", "used.example", 1)
		r.ask("c", "idle.example", 2)
		for range 300 {
			pass(time.Second)
			require.NotNil(t, r.lookup("used.example"), "never away")
		}
		assert.Nil(t, r.lookup("idle.example"))
		assert.LessOrEqual(t, r.looked.Load(), int32(6))
		assert.GreaterOrEqual(t, r.looked.Load(), int32(4))
		r.finds(nothing)
		before := r.lookup("used.example").Until
		pass(time.Duration(before - clock() - second))
		assert.NotNil(t, r.lookup("used.example"), "it holds until its TTL ends")
		pass(2 * time.Second)
		assert.Nil(t, r.lookup("used.example"))
		n, _, _ := r.Level()
		assert.Zero(t, n)
	})
}

// C97: that there is nothing is remembered for the back-off time.
func TestC97Negative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTableRig(t, nothing)
		r.ask("c", "a.example", 1)
		pass(time.Second)
		e := r.lookup("a.example")
		require.NotNil(t, e)
		assert.Equal(t, NoPeer, e.Cause)
		pass(BackoffTime - 5*time.Second)
		assert.NotNil(t, r.lookup("a.example"))
		pass(10 * time.Second)
		assert.Nil(t, r.lookup("a.example"))
		assert.Equal(t, int32(1), r.looked.Load())
	})
}

// C97: one client causes as many look-ups a second as it may, all of
// them as many as there are; joining costs nothing, and who is over is told.
func TestC97Quotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTableRig(t, nothing)
		told := map[Cause]int{}
		for i := range 1000 {
			told[r.ask("flood", fmt.Sprintf("r%d.example", i), uint64(i))]++
		}
		assert.Equal(t, map[Cause]int{OK: 10, OverQuota: 990}, told)
		assert.Equal(t, OK, r.ask("flood", "r1.example", 1), "it is being looked up already")
		assert.Equal(t, OK, r.ask("other", "s.example", 1), "another client is not touched")
		pass(time.Second)
		assert.Equal(t, 12, r.times())
		assert.Equal(t, OK, r.ask("flood", "r999.example", 1), "a second later there is more")
		for c := range 100 {
			for i := range 10 {
				told[r.ask(fmt.Sprint(c), fmt.Sprintf("%d.r%d.example", c, i), 1)]++
			}
		}
		assert.NotZero(t, told[Busy])
		_, _, flights := r.Level()
		assert.LessOrEqual(t, flights, mostFlights)
		assert.Equal(t, uint64(told[Busy]), r.Counters().Lookups[Busy].Load())
	})
}

// C97: one client that has zones of its own does not take the place of all peers;
// what it has stays as long as it holds, and others find theirs.
func TestC97OneClientsPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTableRig(t, there)
		r.of.Peers = 8
		for i := range 10 {
			require.Equal(t, OK, r.ask("flood", fmt.Sprintf("r%d.example", i), 1))
			pass(200 * time.Millisecond)
		}
		assert.EqualValues(t, 6, r.built.Load())
		assert.Equal(t, OK, r.lookup("r5.example").Cause)
		assert.Equal(t, NoRoom, r.lookup("r6.example").Cause)
		require.Equal(t, OK, r.ask("other", "s.example", 1))
		pass(200 * time.Millisecond)
		assert.Equal(t, OK, r.lookup("s.example").Cause)
		pass(101 * time.Second)
		require.Equal(t, OK, r.ask("flood", "r9.example", 1), "what it had is over")
		pass(200 * time.Millisecond)
		assert.Equal(t, OK, r.lookup("r9.example").Cause)
	})
}

// Waiting requests are bounded for one client and for all.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTableRig(t, nothing)
		ok := 0
		for c := range 20 {
			for i := range 2 * clientWaiting {
				if r.ask(fmt.Sprint(c), "a.example", uint64(i)) == OK {
					ok++
				}
			}
			assert.LessOrEqual(t, ok, (c+1)*clientWaiting)
		}
		assert.Equal(t, mostWaiting, ok)
		pass(time.Second)
		assert.Equal(t, ok, r.times(), "each hears once")
		assert.Equal(t, OK, r.ask("0", "b.example", 1))
	})
}

// However many realms there are, entries are bounded, and what was found stays
// before what was not.
func TestEntriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTableRig(t, there)
		r.ask("good", "good.example", 1)
		pass(time.Second)
		owner := r.lookup("good.example").owner
		for i := range 3 * ways * sets {
			e := &Entry[string]{Result: nothing(""), Realm: fmt.Sprintf("r%d.example", i), By: r.of, Until: clock() + int64(BackoffTime), owner: owner}
			e.size = size(e)
			r.mu.Lock()
			r.keep(e)
			r.mu.Unlock()
		}
		n, octets, _ := r.Level()
		assert.LessOrEqual(t, n, ways*sets)
		assert.Greater(t, n, ways*sets*9/10)
		assert.Equal(t, n, owner.realms, "each is its owner's")
		assert.Less(t, octets, mostOctets)
		assert.NotNil(t, r.lookup("good.example"))
		assert.Equal(t, OverQuota, r.ask("good", "one.more.example", 1))
		pass(BackoffTime + 2*time.Second)
		n, octets, _ = r.Level()
		assert.Zero(t, n+octets+owner.realms)
	})
}

// Where there is no room for peers, that is remembered for a short time.
func TestNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTableRig(t, there)
		r.room.Store(false)
		r.ask("c", "a.example", 1)
		pass(time.Second)
		e := r.lookup("a.example")
		require.NotNil(t, e)
		assert.Equal(t, NoRoom, e.Cause)
		assert.Empty(t, e.Targets)
		r.room.Store(true)
		pass(FailedTime)
		assert.Nil(t, r.lookup("a.example"))
	})
}

// A reload keeps what still holds, built anew, and forgets the rest; what is
// being looked up meanwhile is the new configuration's.
func TestAdopt(t *testing.T) {
	same := func(a, b *realm.Discovery) bool { return a.SRV == b.SRV && a.Name == b.Name }
	for _, tt := range []struct {
		name string
		next *realm.Discovery
		keep bool
	}{
		{"the same", &realm.Discovery{Name: "test"}, true},
		{"another", &realm.Discovery{Name: "test", SRV: true}, false},
		{"gone", &realm.Discovery{Name: "else"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newTableRig(t, there)
				r.Adopt([]*realm.Discovery{r.of}, same)
				r.ask("c", "a.example", 1)
				pass(time.Second)
				until := r.lookup("a.example").Until
				r.ask("c", "late.example", 2)
				pass(50 * time.Millisecond)
				r.Adopt([]*realm.Discovery{tt.next}, same)
				pass(time.Second)
				assert.Equal(t, 2, r.times())
				for _, name := range []string{"a.example", "late.example"} {
					e := r.Lookup(tt.next, Auth, []byte(name), clock())
					require.Equal(t, tt.keep, e != nil, name)
					if tt.keep {
						assert.Same(t, tt.next, e.By)
					}
				}
				if tt.keep {
					assert.Equal(t, until, r.Lookup(tt.next, Auth, []byte("a.example"), clock()).Until)
				} else {
					n, octets, _ := r.Level()
					assert.Zero(t, n)
					assert.Zero(t, octets)
				}
			})
		})
	}
}

// After Run nothing is taken.
func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTableRig(t, there)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		r.Run(ctx)
		assert.Equal(t, Busy, r.ask("c", "a.example", 1))
	})
}

// TestAllocs: a realm that is known costs nothing.
func TestAllocs(t *testing.T) {
	r := newTableRig(t, there)
	name := []byte("a.example")
	r.ask("c", "a.example", 1)
	require.Eventually(t, func() bool { return r.times() == 1 }, time.Minute, time.Millisecond)
	now := clock()
	require.NotNil(t, r.Lookup(r.of, Auth, name, now))
	assert.Zero(t, testing.AllocsPerRun(1000, func() { r.Lookup(r.of, Auth, name, now) }))
}

// Whole: a Table over a Resolver over a zone.
func TestTableOverZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := zone.New()
		require.NoError(t, z.Add(`a.example. 600 IN NAPTR 10 10 "a" "aaa+auth:radius.tls.tcp" "" r.example.`))
		require.NoError(t, z.Add("r.example. 600 IN A 10.0.0.1"))
		resolver := resolving(z)
		r := newTableRig(t, nothing)
		r.of.Auth = []string{"aaa+auth:radius.tls.tcp"}
		r.finds(func(name string) Result {
			return resolver.Discover(context.Background(), name, r.of, Auth, nil)
		})
		r.ask("c", "a.example", 1)
		pass(time.Second)
		assert.Equal(t, Blocked, r.lookup("a.example").Cause)
		assert.Equal(t, uint64(1), r.Counters().Blocked[Private].Load())
	})
}

func BenchmarkLookup(b *testing.B) {
	r := newTableRig(b, there)
	r.ask("c", "wlan.mnc001.mcc262.3gppnetwork.org", 1)
	require.Eventually(b, func() bool { return r.times() == 1 }, time.Minute, time.Millisecond)
	name, now := []byte("wlan.mnc001.mcc262.3gppnetwork.org"), clock()
	b.ReportAllocs()
	for b.Loop() {
		r.Lookup(r.of, Auth, name, now)
	}
}
