package home

import "sync/atomic"

const (
	enoughAnswers  = 3 // FreeRADIUS calls it num_answers_to_alive
	enoughTimeouts = 3
	enoughBad      = 2
	countLimit     = 16 // counters stop here, so that a dead home costs no stores
)

// State is the health of one address of a home. Shards report to it and read
// it; the Monitor alone moves it. Its times are stored at most about once a
// millisecond and its counters stop at a small limit, so that a busy home
// does not make its cache line travel between shards for each packet.
type State struct {
	// word is Health, Cause<<8 and trialBit: read by every Pick.
	word  atomic.Uint32
	since atomic.Int64 // when word changed last
	trial atomic.Int64 // when the last trial was let through
	tries atomic.Uint32
	reach reach // of a home that is reached by connections
	_     [64]byte

	sent     atomic.Int64  // latest transmission
	answered atomic.Int64  // latest verified reply to a request
	timeouts atomic.Uint32 // since that reply, up to countLimit
	bad      atomic.Uint32 // replies that did not verify, likewise
	streak   atomic.Uint32 // verified replies since the last timeout; counted while not up
	excuse   atomic.Int64  // what was sent before says nothing
	_        [64]byte

	machine machine // the Monitor's
}

// trialBit marks a home that is not up and that only a real request can
// prove, as it is not probed.
const trialBit = 1 << 16

// Health returns the state and its cause.
// hot: 0 allocs
func (s *State) Health() (Health, Cause) {
	if cut := s.reach.cut.Load(); cut != 0 {
		return Down, Cause(cut)
	}
	return s.known()
}

// known is what the Monitor has found.
func (s *State) known() (Health, Cause) {
	w := s.word.Load()
	return Health(w), Cause(w >> 8)
}

// Since is when the health or its cause changed last.
func (s *State) Since() int64 { return s.since.Load() }

// LastAnswer is the time of a late verified reply, to a millisecond; 0 if
// there was none.
func (s *State) LastAnswer() int64 { return s.answered.Load() }

// Sent reports a transmission to the home.
// hot: 0 allocs
func (s *State) Sent(now int64) {
	if now-s.sent.Load() >= millisecond {
		s.sent.Store(now)
	}
}

// Answered reports a reply that matches an outstanding request and whose
// authenticators were verified. Nothing else may be reported here: a spoofed
// datagram must not keep a dead home alive.
// hot: 0 allocs
func (s *State) Answered(now int64) {
	// A reply later than the last transmission is always noted, or the
	// millisecond of grace would leave an idle home looking silent.
	if last := s.answered.Load(); now-last >= millisecond || last < s.sent.Load() {
		s.answered.Store(now)
	}
	clearCount(&s.timeouts)
	clearCount(&s.bad)
	if Health(s.word.Load()) != Up {
		count(&s.streak, enoughAnswers)
	}
}

// TimedOut reports that a retransmission time has passed without an answer.
// hot: 0 allocs
func (s *State) TimedOut(now int64) {
	count(&s.timeouts, countLimit)
	clearCount(&s.streak)
}

// Excuse forgets what was not answered so far: it is known not to be the
// home's fault.
// hot: 0 allocs
func (s *State) Excuse(now int64) {
	s.excuse.Store(now)
	clearCount(&s.timeouts)
}

// BadAuthenticator reports a reply that matches an outstanding request but
// does not verify: the home has another secret, or somebody spoofs it. That
// names a silence and is no proof of life or death.
// hot: 0 allocs
func (s *State) BadAuthenticator(now int64) { count(&s.bad, countLimit) }

func count(c *atomic.Uint32, limit uint32) {
	if c.Load() < limit {
		c.Add(1)
	}
}

func clearCount(c *atomic.Uint32) {
	if c.Load() != 0 {
		c.Store(0)
	}
}

// try takes the trial that is due once in that time, if nobody else has.
func (s *State) try(now, gap int64) bool {
	last := s.trial.Load()
	if now-last < gap || !s.trial.CompareAndSwap(last, now) {
		return false
	}
	count(&s.tries, countLimit)
	return true
}

// patience is the time between trials that cost a request a detour: each one
// that changed nothing doubles it.
func (s *State) patience() int64 {
	return min(second<<min(s.tries.Load(), countLimit), 30*second)
}

func (s *State) set(h Health, c Cause, trial bool, now int64) {
	w := uint32(h) | uint32(c)<<8
	if trial {
		w |= trialBit
	}
	s.word.Store(w)
	s.since.Store(now)
}
