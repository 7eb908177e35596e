package home

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The millisecond of grace must not hide the last answer before a home falls
// idle, or it would look silent for ever.
func TestLastAnswerIsNoted(t *testing.T) {
	var s State
	for now := second; now < 2*second; now += 300_000 {
		s.Sent(now)
		s.Answered(now + 100_000)
	}
	assert.LessOrEqual(t, s.sent.Load(), s.answered.Load())
	for now := 2 * second; now < 20*second; now += 100 * millisecond {
		assert.Equal(t, change{}, s.step(now))
	}
}

func TestBusyStateStoresSeldom(t *testing.T) {
	var s State
	stores, last := 0, int64(0)
	for now := second; now < second+10*millisecond; now += 1000 { // a million a second
		s.Sent(now)
		s.Answered(now + 500)
		if a := s.answered.Load(); a != last {
			stores, last = stores+1, a
		}
	}
	assert.LessOrEqual(t, stores, 21)
}

func TestStateTimes(t *testing.T) {
	var s State
	assert.Zero(t, s.LastAnswer())
	s.Answered(5 * second)
	assert.Equal(t, 5*second, s.LastAnswer())
	s.set(Down, Timeout, false, 7*second)
	assert.Equal(t, 7*second, s.Since())
}

// Answers that come too seldom do not add up.
func TestStreakGoesStale(t *testing.T) {
	var s State
	s.set(Degraded, Timeout, false, 0)
	s.Answered(second)
	s.Answered(2 * second)
	s.step(3 * second)
	s.step(70 * second)
	s.Answered(71 * second)
	s.step(72 * second)
	h, _ := s.Health()
	assert.Equal(t, Degraded, h)
}

func TestStateAllocs(t *testing.T) {
	var s State
	now := int64(0)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		s.Sent(now)
		s.Answered(now)
		s.TimedOut(now)
		s.BadAuthenticator(now)
		s.Health()
		now += millisecond
	}))
}

func BenchmarkHotState(b *testing.B) {
	var s State
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := second
		for pb.Next() {
			s.Sent(now)
			s.Answered(now)
			now += 10_000
		}
	})
}
