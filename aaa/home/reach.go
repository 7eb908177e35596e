package home

import "sync/atomic"

// reach is whether connections to a home can be had. Shards report it, and it
// counts at once: where none can, the home is down whatever else is known.
//
// A connection that stands is the proof of life that an answer is over UDP, or
// with Status-Server the first of its answers. Requests that are not answered
// degrade a home and no more, as long as a connection stands
// (draft-ietf-radext-radiusdtls-bis section 3.8): behind a next hop that lives
// there may be one realm that is dead.
type reach struct {
	links atomic.Int32  // connections that stand, of all shards
	cut   atomic.Uint32 // a Cause: no connection stands, and the last attempt failed so; 0: none has
	said  atomic.Pointer[string]
}

// Linked reports a connection that stands; it vouches for the home where that
// is not asked.
func (s *State) Linked(vouches bool, now int64) {
	s.reach.links.Add(1)
	s.reach.cut.Store(0)
	if vouches {
		s.Vouched(now)
	}
}

// Unlinked reports the end of a connection.
func (s *State) Unlinked() { s.reach.links.Add(-1) }

// Cut reports that a connection could not be made, why, and in words for
// people. Where another stands it says nothing about the home.
func (s *State) Cut(why Cause, said string) {
	s.reach.said.Store(&said)
	s.reach.cut.Store(uint32(why))
	if s.reach.links.Load() > 0 {
		s.reach.cut.Store(0)
	}
}

// Links is the number of connections that stand.
func (s *State) Links() int { return int(s.reach.links.Load()) }

// Said is why the last connection could not be made, in words, "": one stands
// or none was tried.
func (s *State) Said() string {
	if said := s.reach.said.Load(); said != nil && s.reach.cut.Load() != 0 {
		return *said
	}
	return ""
}

// IsCut reports that no connection can be had.
// hot: 0 allocs
func (s *State) IsCut() bool { return s.reach.cut.Load() != 0 }

// Vouched reports that the home has said of itself that it is well, by a
// Status-Server on a connection: what was not answered so far may be the fault
// of those behind it.
func (s *State) Vouched(now int64) {
	s.Excuse(now)
	clearCount(&s.bad)
	s.streak.Store(enoughAnswers)
}

// severed moves the health of a home that cannot be reached. The way up is open
// as soon as it can be, unless it falls again and again.
func (s *State) severed(why Cause, now int64) change {
	from, was := s.known()
	if from == Down && was == why {
		return change{}
	}
	s.machine.silent = 0
	s.move(from, Down, why, now)
	if s.machine.hold == holdMin {
		s.machine.hold = 0
	}
	return change{from, Down, why}
}
