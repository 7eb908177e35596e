package home

import "github.com/roamgate/roamgate/pkg/radius"

// The thresholds of the state machine; the package documentation tells the
// rules in words.
const (
	silenceSure     = 2 * second // one IRT, with enough timeouts
	silenceAlone    = 2*second + second/2
	silenceDown     = 5 * second
	silenceDownLong = 15 * second // where retransmission is the client's there are few timeouts
	lostDegraded    = 2
	lostDown        = 3
	holdMin         = 2 * second
	holdMax         = 60 * second
	relapse         = 60 * second // falling again this soon after rising is flapping
	streakWindow    = 60 * second
)

// machine is what the Monitor knows about an address beside what the shards
// report. Only the Monitor's goroutine touches it.
type machine struct {
	silent   int64 // a transmission after which nothing authentic came; 0 none
	excused  int64 // transmissions up to here do not count as unanswered
	fell     int64 // last step down
	rose     int64 // last step up
	hold     int64 // no step up this long after fell
	blamed   bool  // hold has been doubled since rose
	streakAt int64 // when the running streak was first seen
	probing  bool  // the home is to be probed with Status-Server
	probed   int64 // last probe answered, 0 never
	mute     bool  // answers requests but never answered a probe
	lost     int   // probes lost in a row
	lostAt   int64 // when the first of them was sent
	probes   probes
	secret   *radius.Secret // as last seen
	stream   bool           // reached by connections, which their shards watch
}

// change is a step of health, or of its cause alone; the zero value is none.
type change struct {
	from, to Health
	why      Cause
}

// step moves the health by what is known at now.
func (s *State) step(now int64) change {
	s.listen(now)
	if why := Cause(s.reach.cut.Load()); why != Well {
		return s.severed(why, now)
	}
	from, was := s.known()
	to := from
	switch from {
	case Up:
		if s.failing(now) {
			to = Degraded
		}
	case Degraded:
		if s.dead(now) {
			to = Down
		} else if s.streak.Load() >= enoughAnswers && s.mayRise(now) {
			to = Up
		}
	case Down:
		if s.streak.Load() > 0 && s.mayRise(now) {
			to = Degraded
		}
	}
	why := s.cause(from, to, was)
	if to == from && why == was {
		return change{}
	}
	s.move(from, to, why, now)
	return change{from, to, why}
}

// listen follows the silence and the streak since the last step.
func (s *State) listen(now int64) {
	m := &s.machine
	sent, answered := s.sent.Load(), s.answered.Load()
	heard := max(answered, m.excused, s.excuse.Load())
	switch {
	case sent <= heard:
		m.silent = 0
	case m.silent <= heard:
		m.silent = sent
	}
	if m.lost > 0 && answered > m.lostAt {
		m.lost = 0
	}
	if s.streak.Load() > 0 {
		clearCount(&s.tries)
	}
	switch streak := s.streak.Load(); {
	case streak == 0:
		m.streakAt = 0
	case m.streakAt == 0:
		m.streakAt = now
	case streak < enoughAnswers && now-m.streakAt > streakWindow:
		s.streak.Store(0)
	}
}

func (s *State) silence(now int64) int64 {
	if s.machine.silent == 0 {
		return 0
	}
	return now - s.machine.silent
}

// trusted reports whether lost probes prove anything.
func (s *State) trusted() bool { return s.machine.probing && !s.machine.mute }

// proven reports whether probes can also tell that the home is back. One that
// has never answered a probe may answer none that we believe, and only a
// request can show that it lives.
func (s *State) proven() bool { return s.trusted() && s.machine.probed != 0 }

func (s *State) failing(now int64) bool {
	silence := s.silence(now)
	return silence >= silenceAlone ||
		silence >= silenceSure && s.timeouts.Load() >= enoughTimeouts ||
		s.machine.lost >= lostDegraded && s.trusted()
}

func (s *State) dead(now int64) bool {
	if s.trusted() {
		return s.machine.lost >= lostDown
	}
	if s.machine.stream && s.reach.links.Load() > 0 {
		return false
	}
	silence := s.silence(now)
	return silence >= silenceDownLong ||
		silence >= silenceDown && s.timeouts.Load() >= enoughTimeouts
}

func (s *State) mayRise(now int64) bool { return now-s.machine.fell >= s.machine.hold }

// cause changes with a step, and to BadSecret at any time; else it stays, so
// that no event tells of a wavering cause.
func (s *State) cause(from, to Health, was Cause) Cause {
	switch {
	case to == Up:
		return Well
	case s.bad.Load() >= enoughBad:
		return BadSecret
	case to == from, to < from && was != BadSecret:
		return was
	case to < from || s.machine.silent != 0:
		return Timeout
	}
	return Probe
}

// move carries out a step and sets what the next one is measured by.
func (s *State) move(from, to Health, why Cause, now int64) {
	m := &s.machine
	s.set(to, why, to != Up && !s.proven(), now)
	switch {
	case to > from:
		m.fall(now)
		s.streak.Store(0)
		s.trial.Store(now)
		s.tries.Store(0)
	case to < from:
		m.rose, m.blamed, m.excused = now, false, now
		m.silent = 0
		s.timeouts.Store(0)
		s.bad.Store(0)
		s.tries.Store(0)
	}
}

// fall makes the way up longer for a home that has only just risen.
func (m *machine) fall(now int64) {
	switch {
	case m.rose == 0 || now-m.rose >= relapse:
		m.hold = holdMin
	case !m.blamed:
		m.hold = min(2*max(m.hold, holdMin), holdMax)
		m.blamed = true
	}
	m.fell = now
}

// probeAnswered counts a verified reply to a probe. It excuses transmissions
// that were not answered: what is behind the home may be slow.
func (s *State) probeAnswered(now int64) {
	m := &s.machine
	m.probed, m.excused = now, max(m.excused, now)
	m.lost, m.mute = 0, false
	s.bad.Store(0)
	if h, _ := s.Health(); h != Up {
		count(&s.streak, enoughAnswers)
	}
}

// probeLost counts a probe sent at that time which was not answered. If a
// request was answered meanwhile and a probe never was, the home does not
// know Status-Server.
func (s *State) probeLost(sent int64) {
	m := &s.machine
	m.mute = m.mute || m.probed == 0 && s.answered.Load() > sent
	if m.lost == 0 {
		m.lostAt = sent
	}
	m.lost++
	if s.trusted() {
		s.streak.Store(0)
	}
}

// forgive lets a home whose secret was changed prove itself at once.
func (s *State) forgive(now int64) change {
	h, c := s.Health()
	if c != BadSecret {
		return change{}
	}
	s.machine.hold = 0
	s.machine.excused = now
	s.machine.lost = 0
	s.bad.Store(0)
	if h == Down {
		s.move(Down, Degraded, Timeout, now)
		return change{Down, Degraded, Timeout}
	}
	s.set(h, Timeout, !s.proven(), now)
	return change{h, h, Timeout}
}
