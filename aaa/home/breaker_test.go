package home

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	deadRealm = uint64(7)
	wellRealm = uint64(9)
)

// silence is one request of a device, sent two seconds before now, while the
// home answers others.
func silence(device uint64, now int64) Silence {
	return Silence{Home: 1, Realm: deadRealm, Device: device << 62, Sent: now - 2*second, Others: now - second, Well: true, Now: now}
}

// opened is a Breaker that is open for home 1 and the dead realm since 10 s.
func opened(t testing.TB) *Breaker {
	b := NewBreaker()
	for i := range uint64(breakerOpens) {
		require.False(t, b.Open(1, deadRealm))
		b.Unanswered(silence(i, 10*second))
	}
	require.True(t, b.Open(1, deadRealm))
	return b
}

// C45: what is known of a realm says nothing about the home.
func TestC45Breaker(t *testing.T) {
	b := opened(t)
	assert.False(t, b.Open(1, wellRealm), "other realms are not touched")
	assert.False(t, b.Open(2, deadRealm), "nor is the realm at other homes")
	assert.False(t, b.Open(1, 0))
	assert.NotEqual(t, Auth.Realm(3), Acct.Realm(3), "nor is its accounting")
	assert.True(t, b.admit(1, wellRealm, 10*second))
	assert.False(t, b.admit(1, deadRealm, 10*second))
	assert.EqualValues(t, 1, b.Opened())
	assert.EqualValues(t, 1, b.Refused())
	b.Answered(1, deadRealm)
	assert.True(t, b.admit(1, deadRealm, 10*second), "one answer closes it")
	assert.False(t, b.any())
}

func TestBreakerStaysClosed(t *testing.T) {
	tests := []struct {
		name   string
		change func(i int, s *Silence)
	}{
		{"one device", func(_ int, s *Silence) { s.Device = 1 }},
		{"the home answers nobody", func(_ int, s *Silence) { s.Others = s.Sent }},
		{"the home is not up", func(_ int, s *Silence) { s.Well = false }},
		{"seldom", func(i int, s *Silence) {
			d := int64(i) * 20 * second
			s.Now, s.Sent, s.Others = s.Now+d, s.Sent+d, s.Others+d
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBreaker()
			for i := range 40 {
				s := silence(uint64(i), 10*second)
				tt.change(i, &s)
				b.Unanswered(s)
				require.False(t, b.Open(1, deadRealm))
			}
		})
	}
	b := NewBreaker()
	for i := range uint64(40) {
		if i%4 == 0 {
			b.Answered(1, deadRealm)
		}
		b.Unanswered(silence(i, 10*second))
	}
	assert.False(t, b.Open(1, deadRealm), "an answer ends the row")
}

// Trials become rare, and a realm that is dead for a day costs one a minute.
func TestBreakerTrials(t *testing.T) {
	b := opened(t)
	var at []int64
	for now := 10 * second; now < 400*second; now += 100 * millisecond {
		if b.admit(1, deadRealm, now) {
			at = append(at, now/second-10)
			b.Unanswered(silence(uint64(now), now+2*second))
		}
	}
	require.Equal(t, int64(2), at[0])
	for i := 1; i < len(at); i++ {
		gap := at[i] - at[i-1]
		assert.InDelta(t, min(2<<i, 60), gap, 1, "%v", at)
	}
	assert.True(t, b.Open(1, deadRealm))
	assert.EqualValues(t, 1, b.Opened())
}

// Of many who ask at the time of a trial one is let through.
func TestBreakerOneTrial(t *testing.T) {
	b := opened(t)
	var let sync.Map
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if b.admit(1, deadRealm, 20*second) {
				let.Store(i, true)
			}
		})
	}
	wg.Wait()
	n := 0
	let.Range(func(any, any) bool { n++; return true })
	assert.Equal(t, 1, n)
}

// Whoever invents realms fills the table, and neither grows it nor shuts out
// what is open.
func TestBreakerFull(t *testing.T) {
	b := opened(t)
	var r random
	for range 20 * breakerSets * breakerWays {
		s := silence(0, 11*second)
		s.Realm = r.next()
		b.Unanswered(s)
	}
	assert.LessOrEqual(t, b.entries.Load(), int64(breakerSets*breakerWays))
	assert.True(t, b.Open(1, deadRealm), "an open one goes last")
	for set := range b.sets {
		for way := range b.sets[set] {
			if w := b.sets[set][way].Load(); w != 0 {
				require.NotZero(t, w>>32)
			}
		}
	}
	s := silence(0, 12*second)
	s.Realm = r.next()
	for range 5 {
		s.Device += 1 << 62
		b.Unanswered(s)
	}
	assert.True(t, b.Open(1, s.Realm), "and a new one finds a place")
}

// In a pool: the other member takes the realm, all others stay, and where
// there is none the reason is the realm's silence. A conversation goes on.
func TestPickWithBreaker(t *testing.T) {
	set := makeSet(2, nil)
	set.Pools[0].Breaker = true
	v := compile(t, set)
	p := v.Pool(0, Auth)
	for i := range uint64(5) {
		p.breaker.Unanswered(silence(i, 10*second))
	}
	met := map[int32]bool{}
	for key := range uint64(50) {
		home, why := p.Pick(&Ask{Key: key, Sticky: -1, Realm: deadRealm, Now: 10 * second})
		require.Equal(t, OK, why)
		require.Equal(t, int32(0), home)
		home, _ = p.Pick(&Ask{Key: key, Sticky: -1, Realm: wellRealm, Now: 10 * second})
		met[home] = true
	}
	assert.Len(t, met, 2)
	home, why := p.Pick(&Ask{Sticky: 1, Realm: deadRealm, Now: 10 * second})
	assert.Equal(t, OK, why)
	assert.Equal(t, int32(1), home, "a conversation goes on")
	_, why = p.Pick(&Ask{Sticky: -1, Realm: deadRealm, Exclude: p.Bit(0), Now: 10 * second})
	assert.Equal(t, Silent, why)
	_, why = p.Pick(&Ask{Sticky: -1, Realm: deadRealm, Exclude: 3, Now: 10 * second})
	assert.Equal(t, NoMember, why)
	home, why = p.Pick(&Ask{Sticky: -1, Realm: deadRealm, Exclude: p.Bit(0), Now: 13 * second})
	assert.Equal(t, OK, why)
	assert.Equal(t, int32(1), home, "a trial")
}

func TestBreakerAllocs(t *testing.T) {
	b, n := opened(t), uint64(0)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		n++
		b.Unanswered(silence(n, int64(n)*second))
		b.Open(1, n)
		b.admit(1, deadRealm, int64(n)*second)
		b.Answered(1, n)
	}))
}

func BenchmarkHotBreaker(b *testing.B) {
	br := opened(b)
	b.ReportAllocs()
	for b.Loop() {
		br.Open(1, deadRealm)
	}
}
