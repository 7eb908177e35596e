package peer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var actionNames = []struct {
	a    Actions
	name string
}{
	{Accept, "accept"}, {Reject, "reject"}, {Failover, "failover"}, {IDisc, "i_disc"}, {RDisc, "r_disc"}, {Connect, "connect"},
	{SendCER, "cer"}, {SendCEA, "cea"}, {Elect, "elect"}, {SendDWA, "dwa"}, {Process, "process"}, {Failback, "failback"},
	{SendDWR, "dwr"}, {SendDPR, "dpr"}, {SendDPA, "dpa"},
}

func (a Actions) String() string {
	var names []string
	for _, n := range actionNames {
		if a.Has(n.a) {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ",")
}

const start = int64(time.Hour)

// at brings a Machine into a state.
func at(t *testing.T, s State) *Machine {
	paths := [NumStates][]Event{
		Closed: {}, WaitConnAck: {Start}, WaitICEA: {Start, ConnAck}, WaitConnAckElect: {Start, ConnCER},
		WaitReturns: {Start, ConnAck, ConnCER}, ROpen: {ConnCER}, IOpen: {Start, ConnAck, RcvCEA}, Closing: {ConnCER, Stop},
	}
	m := New(Config{Seed: 7}, start)
	for _, e := range paths[s] {
		m.On(e, start)
	}
	require.Equal(t, s, m.State())
	return &m
}

// The rows of RFC 6733 section 5.6. What is not in it changes nothing. Failover and
// failback are RFC 3539's, and the watchdog of an open connection begins okay.
var rows = []struct {
	state State
	event Event
	do    string
	next  State
}{
	{Closed, Start, "connect", WaitConnAck},
	{Closed, ConnCER, "accept,cea,failback", ROpen},

	{WaitConnAck, ConnAck, "cer", WaitICEA},
	{WaitConnAck, ConnNack, "", Closed},
	{WaitConnAck, ConnCER, "accept", WaitConnAckElect},
	{WaitConnAck, Stop, "i_disc", Closed},

	{WaitICEA, RcvCEA, "failback", IOpen},
	{WaitICEA, ConnCER, "accept,elect", WaitReturns},
	{WaitICEA, IPeerDisc, "i_disc", Closed},
	{WaitICEA, RcvNonCEA, "i_disc", Closed},
	{WaitICEA, Stop, "i_disc", Closed},

	{WaitConnAckElect, ConnAck, "cer,elect", WaitReturns},
	{WaitConnAckElect, ConnNack, "cea,failback", ROpen},
	{WaitConnAckElect, RPeerDisc, "r_disc", WaitConnAck},
	{WaitConnAckElect, ConnCER, "reject", WaitConnAckElect},
	{WaitConnAckElect, Stop, "i_disc,r_disc", Closed},

	{WaitReturns, WinElection, "i_disc,cea,failback", ROpen},
	{WaitReturns, IPeerDisc, "i_disc,cea,failback", ROpen},
	{WaitReturns, RcvNonCEA, "i_disc,cea,failback", ROpen},
	{WaitReturns, RcvCEA, "r_disc,failback", IOpen},
	{WaitReturns, RPeerDisc, "r_disc", WaitICEA},
	{WaitReturns, ConnCER, "reject", WaitReturns},
	{WaitReturns, Stop, "i_disc,r_disc", Closed},

	{ROpen, RcvMessage, "process", ROpen},
	{ROpen, RcvDWR, "dwa", ROpen},
	{ROpen, RcvDWA, "", ROpen},
	{ROpen, ConnCER, "reject", ROpen},
	{ROpen, Stop, "dpr", Closing},
	{ROpen, RcvDPR, "dpa", Closing},
	{ROpen, RPeerDisc, "failover,r_disc", Closed},

	{IOpen, RcvMessage, "process", IOpen},
	{IOpen, RcvDWR, "dwa", IOpen},
	{IOpen, RcvDWA, "", IOpen},
	{IOpen, ConnCER, "reject", IOpen},
	{IOpen, Stop, "dpr", Closing},
	{IOpen, RcvDPR, "dpa", Closing},
	{IOpen, IPeerDisc, "failover,i_disc", Closed},

	{Closing, RcvDPA, "r_disc", Closed},
	{Closing, RPeerDisc, "r_disc", Closed},
	{Closing, RcvDPR, "dpa", Closing},
	{Closing, RcvDWR, "dwa", Closing},
	{Closing, RcvMessage, "process", Closing},
	{Closing, ConnCER, "reject", Closing},
}

// C118: each row, and nothing else.
func TestC118StateMachine(t *testing.T) {
	listed := map[[2]uint8]bool{}
	for _, r := range rows {
		listed[[2]uint8{uint8(r.state), uint8(r.event)}] = true
		t.Run(r.state.String()+" "+r.event.String(), func(t *testing.T) {
			m := at(t, r.state)
			do := m.take(r.event, start)
			assert.Equal(t, r.do, do.String())
			assert.Equal(t, r.next, m.State())
		})
	}
	for s := range NumStates {
		for e := range NumEvents {
			if listed[[2]uint8{uint8(s), uint8(e)}] || s.Open() && (e == IPeerDisc || e == RPeerDisc) || s == Closing && e == IPeerDisc {
				continue
			}
			m := at(t, s)
			before := *m
			assert.Empty(t, m.take(e, start).String(), "%s %s", s, e)
			assert.Equal(t, before, *m, "%s %s", s, e)
		}
	}
}

// take is On, with a cause where there is one.
func (m *Machine) take(e Event, now int64) Actions {
	if e == RcvDPR {
		return m.Disconnect(Rebooting, now)
	}
	return m.On(e, now)
}

// A state that must not last ends by itself. D20.
func TestTimeouts(t *testing.T) {
	for _, c := range []struct {
		state State
		do    string
		after time.Duration
	}{
		{WaitConnAck, "i_disc", 10 * time.Second}, {WaitICEA, "i_disc", 10 * time.Second},
		{WaitConnAckElect, "i_disc,r_disc", 10 * time.Second}, {WaitReturns, "i_disc,r_disc", 10 * time.Second},
		{Closing, "r_disc", 5 * time.Second},
	} {
		t.Run(c.state.String(), func(t *testing.T) {
			m := at(t, c.state)
			assert.Equal(t, start+int64(c.after), m.Due())
			assert.Empty(t, m.Expire(m.Due()-1))
			assert.Equal(t, c.do, m.Expire(m.Due()).String())
			assert.Equal(t, Closed, m.State())
		})
	}
}

// D22.
func TestElection(t *testing.T) {
	for _, c := range []struct {
		ours, theirs string
		wins         bool
	}{
		{"b.example", "a.example", true}, {"a.example", "b.example", false}, {"B.example", "a.example", true},
		{"a.example", "A.EXAMPLE", false}, {"a.example.net", "a.example", true}, {"a", "a.example", false},
	} {
		assert.Equal(t, c.wins, Wins(c.ours, c.theirs), "%s %s", c.ours, c.theirs)
	}
}

// script runs a Machine through time: "+30s" waits and gives what Expire says on the
// way, anything else is an event.
type script struct {
	*Machine
	t   *testing.T
	now int64
}

func (s *script) wait(d time.Duration) (done []string) {
	for end := s.now + int64(d); ; {
		due := s.Due()
		if due == 0 || due > end {
			s.now = end
			return done
		}
		s.now = max(due, s.now)
		if do := s.Expire(s.now); do != 0 {
			done = append(done, do.String())
		}
	}
}

// The watchdog of RFC 3539 section 3.4.1, with Tw of 30 s and jitter of 2 s. C119.
func TestC119Watchdog(t *testing.T) {
	open := func(t *testing.T) *script { return &script{at(t, ROpen), t, start} }

	t.Run("a silent peer", func(t *testing.T) {
		s := open(t)
		assert.Empty(t, s.wait(27*time.Second))
		assert.Equal(t, []string{"dwr"}, s.wait(6*time.Second))
		assert.True(t, s.Able())
		assert.Equal(t, []string{"failover"}, s.wait(32*time.Second), "the DWR is not sent again")
		assert.Equal(t, Suspect, s.Watch())
		assert.False(t, s.Able())
		assert.Equal(t, []string{"failover,r_disc"}, s.wait(32*time.Second))
		assert.Equal(t, Closed, s.State())
		assert.Equal(t, Down, s.Watch())
	})
	t.Run("any message keeps it quiet", func(t *testing.T) {
		s := open(t)
		for range 20 {
			assert.Empty(t, s.wait(27*time.Second))
			s.On(RcvMessage, s.now)
		}
	})
	t.Run("its own watchdog too", func(t *testing.T) {
		s := open(t)
		for range 20 {
			assert.Empty(t, s.wait(27*time.Second))
			assert.Equal(t, SendDWA, s.On(RcvDWR, s.now))
		}
	})
	t.Run("a DWA", func(t *testing.T) {
		s := open(t)
		for range 5 {
			assert.Equal(t, []string{"dwr"}, s.wait(32*time.Second))
			assert.Empty(t, s.On(RcvDWA, s.now))
		}
	})
	t.Run("a message while a DWR is out does not answer it", func(t *testing.T) {
		s := open(t)
		s.wait(32 * time.Second)
		assert.Equal(t, Process, s.On(RcvMessage, s.now))
		assert.Equal(t, []string{"failover"}, s.wait(32*time.Second), "Pending stays")
	})
	t.Run("a suspect that speaks", func(t *testing.T) {
		for _, e := range []Event{RcvDWA, RcvMessage, RcvDWR} {
			s := open(t)
			s.wait(64 * time.Second)
			require.Equal(t, Suspect, s.Watch())
			assert.True(t, s.On(e, s.now).Has(Failback))
			assert.True(t, s.Able())
		}
	})
	t.Run("who was lost answers three times", func(t *testing.T) {
		s := open(t)
		s.wait(96 * time.Second)
		require.Equal(t, Down, s.Watch())
		assert.Equal(t, "accept,cea,dwr", s.On(ConnCER, s.now).String())
		assert.Equal(t, Reopen, s.Watch())
		assert.False(t, s.Able())
		assert.Empty(t, s.On(RcvDWA, s.now), "the first")
		assert.Empty(t, s.On(RcvDWA, s.now), "one that nobody asked for does not count")
		assert.Equal(t, Process, s.On(RcvMessage, s.now), "nor does a message, but it is served")
		assert.Equal(t, []string{"dwr"}, s.wait(32*time.Second))
		assert.Empty(t, s.On(RcvDWA, s.now), "the second")
		assert.Equal(t, []string{"dwr"}, s.wait(32*time.Second))
		assert.Equal(t, Failback, s.On(RcvDWA, s.now), "the third")
		assert.True(t, s.Able())
	})
	t.Run("who does not prove himself is closed", func(t *testing.T) {
		s := open(t)
		s.wait(96 * time.Second)
		s.On(ConnCER, s.now)
		assert.Empty(t, s.wait(32*time.Second), "once is forgiven")
		assert.Equal(t, []string{"failover,r_disc"}, s.wait(32*time.Second))
		assert.Equal(t, Closed, s.State())
	})
	t.Run("a late DWA begins anew", func(t *testing.T) {
		s := open(t)
		s.wait(96 * time.Second)
		s.On(ConnCER, s.now)
		s.wait(32 * time.Second)
		s.On(RcvDWA, s.now)
		for i := range 3 {
			require.False(t, s.Able(), i)
			require.Equal(t, []string{"dwr"}, s.wait(32*time.Second))
			s.On(RcvDWA, s.now)
		}
		assert.True(t, s.Able())
	})
	t.Run("a lost connection is down, one that was left is not", func(t *testing.T) {
		s := open(t)
		s.On(RPeerDisc, s.now)
		assert.Equal(t, "accept,cea,dwr", s.On(ConnCER, s.now).String())
		s = open(t)
		s.Disconnect(Rebooting, s.now)
		s.On(RPeerDisc, s.now)
		assert.Equal(t, "accept,cea,failback", s.On(ConnCER, s.now).String())
	})
	t.Run("six seconds at least", func(t *testing.T) {
		m := New(Config{Watchdog: time.Second, Seed: 1}, start)
		m.On(ConnCER, start)
		s := &script{&m, t, start}
		assert.Empty(t, s.wait(4*time.Second-1))
		assert.Equal(t, []string{"dwr"}, s.wait(4*time.Second+1))
	})
	t.Run("jitter", func(t *testing.T) {
		low, high := int64(1<<62), int64(0)
		for seed := range uint64(1000) {
			m := New(Config{Seed: seed}, start)
			m.On(ConnCER, start)
			low, high = min(low, m.Due()-start), max(high, m.Due()-start)
		}
		assert.InDelta(t, 28e9, low, 1e8)
		assert.InDelta(t, 32e9, high, 1e8)
	})
}

// When a peer is connected to again (Tc, 30 s and an eighth either way). D25.
func TestRetries(t *testing.T) {
	calls := func() *script {
		m := New(Config{Initiate: true, Seed: 3}, start)
		s := &script{&m, t, start}
		require.Equal(t, []string{"connect"}, s.wait(0))
		return s
	}
	pause := func(s *script) time.Duration {
		require.Equal(t, Closed, s.State())
		require.NotZero(t, s.Due())
		return time.Duration(s.Due() - s.now)
	}
	near := func(want time.Duration, got time.Duration, what string) {
		assert.InDelta(t, want, got, float64(want)/8+1, what)
	}
	s := calls()
	for i, times := range []int{1, 1, 1, 2, 4, 4, 4} {
		s.On(ConnNack, s.now)
		near(time.Duration(times)*30*time.Second, pause(s), fmt.Sprint("attempt ", i+1))
		s.wait(pause(s))
		require.Equal(t, WaitConnAck, s.State())
	}
	s.On(ConnAck, s.now)
	s.On(RcvCEA, s.now)
	s.wait(time.Second)
	s.On(IPeerDisc, s.now)
	near(30*time.Second, pause(s), "it stood for a moment")

	for _, c := range []struct {
		cause Cause
		times int
	}{{Rebooting, 1}, {Busy, 4}, {DoNotWant, 10}, {77, 10}} {
		s := calls()
		s.On(ConnAck, s.now)
		s.On(RcvCEA, s.now)
		for range 4 {
			s.wait(25 * time.Second)
			s.On(RcvMessage, s.now)
		}
		s.Disconnect(c.cause, s.now)
		s.On(IPeerDisc, s.now)
		near(time.Duration(c.times)*30*time.Second, pause(s), c.cause.String())
	}

	s = calls()
	s.On(ConnAck, s.now)
	s.On(RcvCEA, s.now)
	for range 4 {
		s.wait(25 * time.Second)
		s.On(RcvMessage, s.now)
	}
	s.On(IPeerDisc, s.now)
	near(time.Second, pause(s), "it stood for long")

	s.Configure(Config{}, s.now)
	assert.Zero(t, s.Due(), "nobody calls any more")
	s.Configure(Config{Initiate: true}, s.now)
	assert.Equal(t, s.now, s.Due())
}

// network keeps the books that a caller of the Machine would: what connections there
// are. Whatever happens in whatever order, they agree with the state. D20.
func TestMachineModel(t *testing.T) {
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := New(Config{Initiate: seed%3 > 0, Seed: seed}, start)
		now := start
		calling, i, rr, able := false, false, false, false
		var apply func(do Actions)
		apply = func(do Actions) {
			if do.Has(Accept) {
				require.False(t, rr, "a second connection of the peer")
				rr = true
			}
			if do.Has(Failover) {
				able = false
			}
			if do.Has(IDisc) {
				calling, i = false, false
			}
			if do.Has(RDisc) {
				rr = false
			}
			if do.Has(Connect) {
				require.False(t, calling || i)
				calling = true
			}
			if do.Has(SendCER) {
				require.True(t, i)
			}
			if do.Has(SendCEA) {
				require.True(t, rr)
			}
			if do.Has(Failback) {
				able = true
			}
			if do.Has(SendDPR | SendDPA) {
				able = false
			}
			if do.Has(Elect) && seed%2 == 0 {
				apply(m.On(WinElection, now))
			}
		}
		for range 300 {
			now += r.Int64N(int64(20 * time.Second))
			if at := m.Due(); at != 0 && now >= at {
				apply(m.Expire(now))
			}
			switch r.IntN(12) {
			case 0:
				apply(m.On(ConnCER, now))
			case 1, 2, 3:
				if calling {
					calling = false
					if i = r.IntN(3) > 0; i {
						apply(m.On(ConnAck, now))
					} else {
						apply(m.On(ConnNack, now))
					}
				}
			case 4, 5:
				if i {
					apply(m.On(RcvCEA, now))
				}
			case 6:
				if i && r.IntN(2) == 0 {
					i = false
					apply(m.On(IPeerDisc, now))
				}
			case 7:
				if rr && r.IntN(2) == 0 {
					rr = false
					apply(m.On(RPeerDisc, now))
				}
			case 8:
				if i || rr {
					apply(m.On([]Event{RcvDWA, RcvDWR, RcvMessage, RcvDPA, RcvNonCEA}[r.IntN(5)], now))
				}
			case 9:
				if (i || rr) && r.IntN(4) == 0 {
					apply(m.Disconnect(Cause(r.IntN(4)), now))
				}
			case 10:
				if r.IntN(10) == 0 {
					apply(m.On(Stop, now))
				}
			}
			s := m.State()
			books := fmt.Sprintf("seed %d: %s %s calling=%v i=%v r=%v", seed, s, m.Watch(), calling, i, rr)
			require.Equal(t, s == WaitConnAck || s == WaitConnAckElect, calling, books)
			require.Equal(t, s == WaitICEA || s == WaitReturns || s == IOpen || s == Closing && m.initiate, i, books)
			require.Equal(t, s == WaitConnAckElect || s == WaitReturns || s == ROpen || s == Closing && !m.initiate, rr, books)
			require.Equal(t, able, m.Able(), books)
			if s != Closed || m.wanted {
				require.NotZero(t, m.Due(), "it waits for nothing: %s", books)
			}
		}
	}
}

func TestAllocs(t *testing.T) {
	m := at(t, ROpen)
	now := start
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		now += 1e9
		m.On(RcvMessage, now)
		m.Expire(now)
	}))
}
