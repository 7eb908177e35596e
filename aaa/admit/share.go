package admit

import "time"

const (
	interval = int64(10 * time.Millisecond)
	standing = 2 * interval // how long the queue stands before anybody is held
	fills    = 32           // steps of water-filling, more than any real spread of demands takes
)

// account is what one client did in the running interval.
type account struct {
	seen  uint32
	taken uint32
	held  uint32 // the choice that held it last
}

// Counters count since NewShare.
type Counters struct {
	Shed     uint64 // packets that Seen refused
	Episodes uint64 // times that a limit was set where there was none
}

// Share is the fair share of each client in one shard.
type Share struct {
	watching bool // the queue stands, or a limit is set
	accounts []account
	active   []int32 // clients with an account in use in this interval

	began    int64 // of the interval
	since    int64 // the queue has stood since
	seen     uint64
	taken    uint64
	shed     uint64 // in this interval
	limit    uint32 // packets of a held client in an interval, 0 none
	choice   uint32 // grows each time it is chosen who is held
	capacity uint64 // packets we take in an interval
	counters Counters
}

// NewShare returns a Share for no clients.
func NewShare() *Share { return &Share{} }

// Resize makes room for clients 0 to n-1 and forgets what was counted: after
// a reload the numbers stand for other clients.
func (s *Share) Resize(n int) {
	s.accounts = make([]account, n)
	s.active = make([]int32, 0, n)
	s.release()
}

// Counters returns the counts so far.
func (s *Share) Counters() Counters { return s.counters }

// Limit is what a held client may send in an interval; 0: nobody is held.
func (s *Share) Limit() int { return int(s.limit) }

// Seen counts a packet of the client and says whether to take it. urgent
// packets belong to a conversation that has begun, or are accounting.
// hot: 0 allocs
func (s *Share) Seen(client int32, urgent bool) (take bool) {
	return !s.watching || s.count(client, urgent)
}

// count stays a call, so that Seen without it is none.
//
//go:noinline
func (s *Share) count(client int32, urgent bool) (take bool) {
	a := &s.accounts[client]
	if a.seen == 0 {
		s.active = append(s.active, client)
	}
	a.seen++
	s.seen++
	if s.limit > 0 && a.held == s.choice {
		limit := s.limit
		if urgent {
			limit *= 2
		}
		if a.taken >= limit {
			s.shed++
			s.counters.Shed++
			return false
		}
	}
	a.taken++
	s.taken++
	return true
}

// Turn is told once in each turn of the event loop, after the front doors
// were read: whether packets still waited at one of them when its turn was
// over.
// hot: 0 allocs
func (s *Share) Turn(now int64, waiting bool) {
	if !s.watching {
		if waiting {
			s.watching, s.since, s.began = true, now, now
		}
		return
	}
	lasted := now - s.began
	switch {
	case s.limit == 0 && !waiting:
		s.release()
		return
	case lasted < interval:
		return
	case !waiting && s.shed == 0: // the limit binds nobody
		s.release()
		return
	case !waiting:
		s.limit += max(s.limit/4, 1)
	case s.limit > 0 || now-s.since >= standing:
		s.capacity = max(perInterval(s.taken, lasted), s.capacity-s.capacity/16)
		s.hold(lasted)
	}
	s.clear()
	s.began = now
}

// hold chooses who is held and to what.
func (s *Share) hold(lasted int64) {
	level := s.level(s.seen / 2)
	s.choice++
	few, theirs := 0, uint64(0)
	for _, c := range s.active {
		if a := &s.accounts[c]; uint64(a.seen) > 2*level {
			a.held = s.choice
			few++
			theirs += uint64(a.seen)
		}
	}
	n := len(s.active)
	if few == 0 || n < 2 || few > max(n/4, 1) || 2*theirs <= s.seen {
		s.limit = 0
		return
	}
	equal := max(s.capacity/uint64(n), 1)
	if s.limit == 0 {
		s.counters.Episodes++
		s.limit = uint32(max(perInterval(level, lasted), equal))
		return
	}
	s.limit = uint32(max(uint64(s.limit)*3/4, equal))
}

// level is the most that each client may get so that no more than room is
// given in all: max-min fairness by water-filling over what was seen.
func (s *Share) level(room uint64) uint64 {
	level := room / uint64(max(len(s.active), 1))
	for range fills {
		left, open := room, uint64(0)
		for _, c := range s.active {
			if d := uint64(s.accounts[c].seen); d <= level {
				left -= d
			} else {
				open++
			}
		}
		if open == 0 || left/open <= level {
			break
		}
		level = left / open
	}
	return level
}

// perInterval scales a count to an interval: a turn can last longer.
func perInterval(n uint64, lasted int64) uint64 {
	return n * uint64(interval) / uint64(max(lasted, interval))
}

// clear empties the accounts; who is held stays so.
func (s *Share) clear() {
	for _, c := range s.active {
		a := &s.accounts[c]
		a.seen, a.taken = 0, 0
	}
	s.active = s.active[:0]
	s.seen, s.taken, s.shed = 0, 0, 0
}

// release ends the watch.
func (s *Share) release() {
	s.clear()
	s.watching, s.limit, s.capacity = false, 0, 0
}
