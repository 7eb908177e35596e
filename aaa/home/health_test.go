package home

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

func withStatus(_ int, h *realm.Home, _ *realm.Member) { h.StatusServer = true }

// both runs a fault with homes that are probed and with homes that are not.
func both(t *testing.T, homes int, f func(t *testing.T, s *sim, probed bool)) {
	t.Run("probed", func(t *testing.T) { f(t, newSim(t, makeSet(homes, withStatus)), true) })
	t.Run("not probed", func(t *testing.T) { f(t, newSim(t, makeSet(homes, nil)), false) })
}

// F01, F33: new traffic leaves a dead home within 3 s, everything is
// answered, and the home is used again soon after it has healed.
func TestOneHomeDies(t *testing.T) {
	const death = 45 // after the first probe of an idle time
	both(t, 2, func(t *testing.T, s *sim, probed bool) {
		s.run(death)
		require.Empty(t, s.events)
		require.Greater(t, s.picked[0], 400)
		s.alive = func(home int32, now int64) bool { return home != 0 || now < s.at(death) || now >= s.at(death+90) }
		s.run(death + 3)
		clear(s.picked)
		s.run(death + 20)
		if probed {
			assert.Zero(t, s.picked[0], "probes try the home, not requests")
		} else {
			assert.LessOrEqual(t, s.picked[0], 7, "trials are rare")
		}
		h, c := s.health(0)
		assert.Equal(t, Down, h)
		assert.Equal(t, Timeout, c)
		s.run(death + 90)
		assert.Zero(t, s.lost)
		assert.Zero(t, s.refused)

		s.run(death + 130)
		h, _ = s.health(0)
		assert.Equal(t, Up, h)
		assert.Zero(t, s.lost)
		require.Len(t, s.events, 4, "%+v", s.events)
		assert.Less(t, s.events[0].at, death+2.9)
		assert.Less(t, s.events[1].at, death+7.0)
		if probed {
			assert.Less(t, s.events[3].at, death+102.0)
		}
	})
}

// F02: with all homes dead requests are refused at once but for the trials,
// and a heal is seen within seconds.
func TestAllHomesDie(t *testing.T) {
	both(t, 2, func(t *testing.T, s *sim, probed bool) {
		s.alive = func(home int32, now int64) bool { return now < s.at(10) || now >= s.at(60) }
		s.run(20)
		s.refused = 0
		clear(s.picked)
		s.run(60)
		assert.Greater(t, s.refused, 3900, "of 4000")
		assert.LessOrEqual(t, s.picked[0]+s.picked[1], 82, "one a second and home")
		s.run(69)
		s.refused, s.lost = 0, 0
		s.run(75)
		assert.Zero(t, s.refused+s.lost)
	})
}

// F03: a home that flaps each second stays as it is or changes at most once
// in 30 s; slower flaps are damped.
func TestFlappingHome(t *testing.T) {
	for _, period := range []int64{1, 3, 5, 10, 20} {
		both(t, 2, func(t *testing.T, s *sim, probed bool) {
			s.every = 100 * millisecond
			s.alive = func(home int32, now int64) bool { return home != 0 || now/(period*second)%2 == 0 }
			s.run(120)
			first := len(s.events)
			s.run(600)
			assert.Zero(t, s.lost)
			limit := 480 / 30
			if period > 1 {
				limit *= 2 // down and up again
			}
			assert.LessOrEqual(t, len(s.events)-first, limit, "period %d s: %+v", period, s.events)
		})
	}
}

// F04: a home that is slower than a retransmission time is avoided where
// there is another, and where there is none it is used while it answers.
func TestSlowHome(t *testing.T) {
	slow := func(home int32) int64 {
		if home == 0 {
			return 4 * second
		}
		return 20 * millisecond
	}
	t.Run("with another", func(t *testing.T) {
		both(t, 2, func(t *testing.T, s *sim, probed bool) {
			s.delay = slow
			s.run(60)
			clear(s.picked)
			s.run(120)
			assert.Zero(t, s.lost+s.refused)
			assert.Less(t, s.picked[0]*10, s.picked[1])
		})
	})
	t.Run("alone", func(t *testing.T) {
		both(t, 1, func(t *testing.T, s *sim, probed bool) {
			s.delay = slow
			s.run(60)
			assert.Zero(t, s.lost+s.refused)
			for _, e := range s.events {
				assert.NotEqual(t, Down, e.to, "%+v", s.events)
			}
		})
	})
}

// F05: a wrong secret is named within 10 s.
func TestWrongSecret(t *testing.T) {
	both(t, 2, func(t *testing.T, s *sim, probed bool) {
		s.wrong[0] = true
		s.run(10)
		_, c := s.health(0)
		assert.Equal(t, BadSecret, c)
		assert.Zero(t, s.lost)
		s.run(30)
		h, c := s.health(0)
		assert.Equal(t, Down, h)
		assert.Equal(t, BadSecret, c)

		// The operator corrects it: no waiting for the next trial.
		s.wrong[0] = false
		set := makeSet(2, nil)
		for i := range set.Homes {
			set.Homes[i].StatusServer = probed
		}
		set.Homes[0].Secret = realm.Secret("the right one, as it happens to be")
		s.load(set)
		s.run(36)
		h, _ = s.health(0)
		assert.Equal(t, Up, h, "%+v", s.events)
	})
}

// A15, R096: replies that do not verify neither keep a dead home up nor push
// a live one down.
func TestSpoofedReplies(t *testing.T) {
	both(t, 2, func(t *testing.T, s *sim, probed bool) {
		s.spoof = func(home int32, st *State, now int64) { st.BadAuthenticator(now) }
		s.run(30)
		require.Empty(t, s.events)
		s.alive = func(home int32, now int64) bool { return home != 0 }
		s.run(33)
		h, c := s.health(0)
		assert.Equal(t, Degraded, h)
		assert.Equal(t, BadSecret, c)
	})
}

// An idle home that stops answering probes is found without any request.
func TestIdleHomeDies(t *testing.T) {
	s := newSim(t, makeSet(2, withStatus))
	s.every = 0
	s.run(70)
	require.Empty(t, s.events)
	s.alive = func(home int32, now int64) bool { return home != 0 }
	s.run(70 + 32 + 6)
	h, c := s.health(0)
	assert.Equal(t, Down, h)
	assert.Equal(t, Probe, c)
	h, _ = s.health(1)
	assert.Equal(t, Up, h)
}

// A home that answers requests but never Status-Server is configured wrongly,
// not dead, and when it dies is still found to be.
func TestStatusServerNotSupported(t *testing.T) {
	s := newSim(t, makeSet(2, withStatus))
	s.probes = func(home int32, now int64) bool { return home != 0 }
	s.run(40)
	s.every = 0
	s.run(200)
	require.Empty(t, s.events)
	s.every = 10 * millisecond
	s.alive = func(home int32, now int64) bool { return home != 0 || now > s.at(240) }
	s.run(220)
	h, _ := s.health(0)
	assert.Equal(t, Down, h)
	s.run(280)
	h, _ = s.health(0)
	assert.Equal(t, Up, h, "%+v", s.events)
}

// The same home without any traffic looks dead, until the first request is
// let through to it.
func TestStatusServerNotSupportedIdle(t *testing.T) {
	s := newSim(t, makeSet(1, withStatus))
	s.probes = func(int32, int64) bool { return false }
	s.every = 0
	s.run(60)
	h, c := s.health(0)
	assert.Equal(t, Down, h)
	assert.Equal(t, Probe, c)
	s.every = 10 * millisecond
	s.run(70)
	h, _ = s.health(0)
	assert.Equal(t, Up, h, "%+v", s.events)
	s.every = 0
	events := len(s.events)
	s.run(300)
	assert.Len(t, s.events, events)
}

// A home that answers probes but no requests is not preferred, and does not
// change all the time.
func TestOnlyProbesAnswered(t *testing.T) {
	s := newSim(t, makeSet(2, withStatus))
	s.alive = func(home int32, now int64) bool { return home != 0 }
	s.probes = func(home int32, now int64) bool { return true }
	s.run(60)
	before := len(s.events)
	clear(s.picked)
	s.run(360)
	assert.Zero(t, s.lost)
	assert.LessOrEqual(t, len(s.events)-before, 12, "%+v", s.events)
	assert.Less(t, s.picked[0]*10, s.picked[1], "most requests avoid it")
}

// C45: one request that a home does not want to answer, among others that it
// answers, means nothing.
func TestOneDeviceIsIgnored(t *testing.T) {
	s := newSim(t, makeSet(1, nil))
	n := 0
	s.every = 500 * millisecond
	s.alive = func(int32, int64) bool { n++; return n%4 != 0 }
	s.run(120)
	assert.Empty(t, s.events)
}

// Accounting has its own health: peers.md item 25.
func TestKindsApart(t *testing.T) {
	v := compile(t, makeSet(1, nil))
	h := v.Home(0)
	h.State[Acct].set(Down, Timeout, true, 0)
	auth, _ := h.Health(Auth)
	acct, _ := h.Health(Acct)
	assert.Equal(t, []Health{Up, Down}, []Health{auth, acct})
	_, why := pick(v.Pool(0, Auth), 1, -1, 0, 0)
	assert.Equal(t, OK, why)
	_, why = pick(v.Pool(0, Acct), 1, -1, 0, 0)
	assert.Equal(t, AllDown, why)
}

// A home whose answers to probes are none that we believe - a server that
// signs its answers to requests only - dies before that is known and comes
// back by itself all the same.
func TestHomeWhoseProbesAreNeverBelieved(t *testing.T) {
	s := newSim(t, makeSet(2, withStatus))
	s.probes = func(home int32, _ int64) bool { return home != 0 }
	s.alive = func(home int32, now int64) bool { return home != 0 || now < s.at(2) || now >= s.at(30) }
	s.run(29)
	h, _ := s.health(0)
	require.Equal(t, Down, h)
	s.run(100)
	h, _ = s.health(0)
	assert.Equal(t, Up, h)
	assert.Zero(t, s.lost)
}
