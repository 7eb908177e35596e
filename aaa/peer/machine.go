package peer

import (
	"math/bits"
	"time"
)

const (
	second = int64(time.Second)

	defaultWatchdog = 30 * time.Second // Twinit
	leastWatchdog   = 6 * time.Second
	watchJitter     = 2 * second // either way

	defaultRetry     = 30 * time.Second // Tc
	defaultHandshake = 10 * time.Second
	defaultFarewell  = 5 * time.Second

	// steady is after how many failures in a row attempts become rarer, mostGrowth by
	// how much.
	steady     = 3
	mostGrowth = 4
	// After a leave that was taken, times Tc.
	busyPatience   = 4
	unwantPatience = 10
	// soon is within what time a connection is tried again that stood for long.
	soon = second
)

// Config is what a Machine is made with. 0 takes the default.
type Config struct {
	Initiate  bool          // we connect; else we wait for the peer
	Watchdog  time.Duration // Tw, 30 s, at least 6 s
	Retry     time.Duration // Tc, 30 s
	Handshake time.Duration // for a connection to stand, and for a CEA, 10 s each
	Farewell  time.Duration // for a DPA, or for the peer to close after ours, 5 s
	Seed      uint64
}

func (c Config) complete() Config {
	if c.Watchdog == 0 {
		c.Watchdog = defaultWatchdog
	}
	c.Watchdog = max(c.Watchdog, leastWatchdog)
	if c.Retry == 0 {
		c.Retry = defaultRetry
	}
	if c.Handshake == 0 {
		c.Handshake = defaultHandshake
	}
	if c.Farewell == 0 {
		c.Farewell = defaultFarewell
	}
	return c
}

// Machine is what is known of one connection with a peer.
type Machine struct {
	conf  Config
	state State
	watch Watch

	pending bool // a DWR is not answered
	// answered are the DWAs of REOPEN, NumDWA of RFC 3539.
	answered int
	initiate bool // in Closing: ours is the connection that is left

	timeout  int64 // of the state, 0: it has none; in Closed when to connect
	watchdog int64 // when the watchdog expires, 0: it does not run
	opened   int64
	failures int
	patience int64 // how many Tc to wait after a leave, 0: there was none
	wanted   bool  // the peer may be connected to
	chance   uint64
}

// New makes a Machine that connects at once where it initiates.
func New(c Config, now int64) Machine {
	m := Machine{conf: c.complete(), chance: c.Seed | 1, wanted: c.Initiate}
	if c.Initiate {
		m.timeout = now
	}
	return m
}

// Configure changes the times. What runs goes on by the old ones.
func (m *Machine) Configure(c Config, now int64) {
	c.Seed = m.conf.Seed
	m.conf = c.complete()
	if m.wanted == c.Initiate {
		return
	}
	m.wanted = c.Initiate
	if m.state == Closed {
		m.timeout = 0
		if m.wanted {
			m.timeout = now
		}
	}
}

// State and Watch tell how it stands.
func (m *Machine) State() State { return m.state }

// Watch is the state of the watchdog.
func (m *Machine) Watch() Watch { return m.watch }

// Able reports whether requests may be sent.
//
// hot: 0 allocs
func (m *Machine) Able() bool { return m.state.Open() && m.watch == Okay }

// Initiator reports whether the open connection is the one that we have opened.
func (m *Machine) Initiator() bool { return m.state == IOpen || m.state == Closing && m.initiate }

// Due is when Expire is to be called, 0: never.
func (m *Machine) Due() int64 {
	switch {
	case m.timeout == 0:
		return m.watchdog
	case m.watchdog == 0:
		return m.timeout
	}
	return min(m.timeout, m.watchdog)
}

// Expire does what is due. Somewhat more often than needed does no harm.
func (m *Machine) Expire(now int64) (do Actions) {
	if m.timeout != 0 && now >= m.timeout {
		do |= m.late(now)
	}
	if m.watchdog != 0 && now >= m.watchdog {
		do |= m.bark(now)
	}
	return do
}

// late ends a state that took too long.
func (m *Machine) late(now int64) Actions {
	m.timeout = 0
	switch m.state {
	case Closed:
		return m.On(Start, now)
	case WaitConnAck, WaitICEA:
		m.fail(now)
		return IDisc
	case WaitConnAckElect, WaitReturns:
		m.fail(now)
		return IDisc | RDisc
	case Closing:
		do := m.disc()
		m.close(now)
		return do
	}
	return 0
}

// disc closes the connection that is open, or was.
func (m *Machine) disc() Actions {
	if m.state == IOpen || m.state == Closing && m.initiate {
		return IDisc
	}
	return RDisc
}

// fail is an attempt that came to nothing.
func (m *Machine) fail(now int64) {
	m.state, m.timeout = Closed, 0
	m.failures++
	m.again(now, int64(m.conf.Retry)*int64(min(1<<max(0, min(m.failures, 8)-steady), mostGrowth)))
}

// close is the end of a connection that was open. With the watchdog's Down stays who
// has to prove himself next time.
func (m *Machine) close(now int64) {
	wait := int64(m.conf.Retry)
	switch {
	case m.patience > 0:
		wait *= m.patience
	case m.state.Open() && m.opened != 0 && now-m.opened >= wait:
		wait = min(soon, wait)
	}
	m.state, m.timeout, m.patience, m.failures = Closed, 0, 0, 0
	m.again(now, wait)
}

// again plans the next attempt.
func (m *Machine) again(now, wait int64) {
	if m.wanted {
		m.timeout = now + wait/8*7 + m.random(wait/4+1)
	}
}

func (m *Machine) open(s State, now int64) Actions {
	m.state, m.timeout, m.opened, m.failures = s, 0, now, 0
	return m.up(now)
}

// random gives a number below n.
func (m *Machine) random(n int64) int64 {
	m.chance += 0x9e3779b97f4a7c15
	z := m.chance
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	hi, _ := bits.Mul64(z^z>>31, uint64(n))
	return int64(hi)
}
