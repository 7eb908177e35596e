package device

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Misses that waited for their turn here are no proof that the store is away:
// a burst after a start must not shut it out.
func TestOwnQueueOpensNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst = 40 * batchKeys
		tab, s, stop := startFake(t, Config{})
		defer stop()
		s.set(func(s *fakeStore) { s.delay = 2 * time.Millisecond }) // well within the budget
		w := inbox{make(chan uint64, burst)}
		began := time.Now()
		for n := range burst {
			q := imsi(n)
			fetch(t, tab, w, &q, uint64(n))
		}
		for range burst {
			w.wait(t)
		}
		assert.False(t, tab.breaker.open())
		assert.NotZero(t, tab.Faults(FaultOverload))
		assert.LessOrEqual(t, time.Since(began), 5*time.Millisecond, "nobody waits longer than the budget")
		s.device(burst, "meter")
		q := imsi(burst)
		fetch(t, tab, w, &q, 1)
		w.wait(t)
		assert.Equal(t, Allow, tab.Decide(&q).Outcome)
	})
}

// What was read before the change stream was followed may have changed in
// between: it is confirmed when it is used.
func TestChangeBeforeFollowing(t *testing.T) {
	m := miniredis.RunT(t)
	r := &Redis{Addresses: []string{m.Addr()}}
	st, ctx := openStore(t, r), context.Background()
	require.NoError(t, st.Set(ctx, &ProfileSpec{Name: "meter"}))
	tab := New(Config{Redis: r})
	q := imsi(1)
	k, _ := tab.KeyOf(&q)
	tab.store(k, result{found: true, value: value{1, 0, "meter"}}, 1, tab.epoch.Load())
	require.NoError(t, st.SetDevice(ctx, &DeviceSpec{IMSI: "001010000000001", Profile: "meter", Blocked: true}))
	f := &follower{t: tab, st: st}
	require.NoError(t, f.resume(ctx))
	require.NoError(t, f.profiles(ctx))
	assert.True(t, tab.Decide(&q).Stale)
}
