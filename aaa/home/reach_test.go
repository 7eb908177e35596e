package home

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// streamState is the health of a home over connections, as the Monitor keeps it.
func streamState() *State {
	s := &State{}
	s.machine.stream = true
	return s
}

func TestReach(t *testing.T) {
	s := streamState()
	health := func() Health { h, _ := s.Health(); return h }
	assert.Equal(t, Up, health(), "nobody has tried")

	now := 10 * second
	s.Cut(Refused, "connection refused")
	assert.Equal(t, Down, health(), "at once")
	assert.Equal(t, change{Up, Down, Refused}, s.step(now))
	assert.Equal(t, change{}, s.step(now+1))
	s.Cut(Insecure, "certificate refused: expired")
	assert.Equal(t, change{Down, Down, Insecure}, s.step(now+second), "why, is news")
	assert.Equal(t, "certificate refused: expired", s.Said())

	now += 2 * second
	s.Linked(true, now)
	assert.Empty(t, s.Said())
	s.step(now)
	s.step(now)
	assert.Equal(t, Up, health(), "the way up is open")

	s.Cut(Unreachable, "another shard's attempt")
	assert.Equal(t, Up, health(), "a connection stands")
	s.Unlinked()
	assert.Equal(t, Up, health(), "it may be back in a moment")
	assert.Zero(t, s.Links())
	s.Cut(Unreachable, "no answer")
	assert.Equal(t, change{Up, Down, Unreachable}, s.step(now+second))
	s.Linked(true, now+2*second)
	s.step(now + 2*second)
	assert.Equal(t, Down, health(), "falls again and again: not so fast")
	s.step(now + 6*second)
	s.step(now + 6*second)
	assert.Equal(t, Up, health())
}

func TestReachWaitsForTheWatchdog(t *testing.T) {
	s := streamState()
	s.Cut(Refused, "")
	s.step(second)
	s.Linked(false, 2*second)
	s.step(2 * second)
	health, _ := s.Health()
	assert.Equal(t, Down, health, "RFC 3539 section 3.4.1: no return before it has passed")
	s.Vouched(3 * second)
	s.step(3 * second)
	s.step(3 * second)
	health, _ = s.Health()
	assert.Equal(t, Up, health)
}

// C45: behind a connection that stands somebody else may be
// silent.
func TestC45SilenceDegrades(t *testing.T) {
	s := streamState()
	s.Linked(true, 0)
	for now := second; now < 60*second; now += second {
		s.Sent(now)
		s.TimedOut(now)
		s.step(now)
	}
	health, why := s.Health()
	assert.Equal(t, Degraded, health)
	assert.Equal(t, Timeout, why)
	s.Unlinked()
	s.step(61 * second)
	health, _ = s.Health()
	assert.Equal(t, Down, health, "now nothing speaks for it")
}
