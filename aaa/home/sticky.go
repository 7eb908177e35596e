package home

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const stickyWays = 8 // words of one cache line

// Sticky remembers which home gave out a State, so that the next step of the
// conversation goes to the same one (RFC 2865 section 5.24, RFC 3579 section
// 2.6.1). It is a cache of a fixed size shared by all shards: sets of eight
// atomic words, each a fingerprint of 32 bits, the home and the second it was
// learned. A forgotten conversation falls back to Pool.Pick by key, which is
// nearly always the same home. A stateHash must be keyed, as clients choose
// State octets.
//
// A word's second wraps after 18 hours; an entry that old can pass for a
// fresh one, if its fingerprint is asked for again.
type Sticky struct {
	sets [][stickyWays]atomic.Uint64
	ttl  uint16
}

// NewSticky returns a Sticky for at least that many conversations, each kept
// for ttl, at most four hours.
func NewSticky(conversations int, ttl time.Duration) *Sticky {
	sets := 1 << bits.Len(uint(max(conversations-1, 0)/stickyWays))
	return &Sticky{
		sets: make([][stickyWays]atomic.Uint64, sets),
		ttl:  uint16(min(max(ttl, time.Second), 4*time.Hour) / time.Second),
	}
}

// Learn remembers that the home gave out the State.
// hot: 0 allocs
func (s *Sticky) Learn(stateHash uint64, home int32, now int64) {
	if home < 0 || home >= maxHomes {
		return
	}
	set, word := s.set(stateHash), pack(stateHash, home, now)
	oldest, age := &set[0], -1
	for i := range set {
		old := set[i].Load()
		if old>>32 == word>>32 {
			set[i].Store(word)
			return
		}
		if a := s.age(old, now); a > age {
			oldest, age = &set[i], a
		}
	}
	oldest.Store(word)
}

// Find gives the home that gave out the State, if it is still known.
// hot: 0 allocs
func (s *Sticky) Find(stateHash uint64, now int64) (home int32, ok bool) {
	set, fingerprint := s.set(stateHash), pack(stateHash, 0, 0)>>32
	for i := range set {
		word := set[i].Load()
		if word>>32 == fingerprint && s.age(word, now) <= int(s.ttl) {
			return int32(word>>16&0xffff) - 1, true
		}
	}
	return 0, false
}

func (s *Sticky) set(stateHash uint64) *[stickyWays]atomic.Uint64 {
	return &s.sets[stateHash&uint64(len(s.sets)-1)]
}

// age in seconds; an empty word is older than any.
func (s *Sticky) age(word uint64, now int64) int {
	if word == 0 {
		return 1 << 16
	}
	return int(uint16(now/second) - uint16(word))
}

// pack leaves no word zero, as homes count from one in it.
func pack(stateHash uint64, home int32, now int64) uint64 {
	return stateHash>>32<<32 | uint64(home+1)<<16 | uint64(uint16(now/second))
}
