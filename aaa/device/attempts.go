package device

import "sync/atomic"

// attempts limits how often a device begins a conversation, by the generic
// cell rate algorithm: one word a device, the time at which it would conform
// again. Only devices of a profile with a limit take a word.
//
// A word is 26 bits of the key and 38 bits of milliseconds. A set is one cache
// line. A word whose time has passed says the same as none, so the set gives
// up the oldest and usually loses nothing.
type attempts struct {
	w    []atomic.Uint64
	mask uint64
	lost atomic.Uint64 // words given up that still counted
}

const (
	attemptWays = 8
	tatBits     = 38
	tatMask     = 1<<tatBits - 1
)

func newAttempts(limit int) *attempts {
	sets := 64
	for sets*attemptWays < limit {
		sets *= 2
	}
	return &attempts{w: make([]atomic.Uint64, sets*attemptWays), mask: uint64(sets - 1)}
}

// allow counts an attempt of a device at now (milliseconds, not zero) and says
// whether it is within perHour attempts at once, one each period after them. A
// refused attempt is not counted. hot: 0 allocs
func (a *attempts) allow(k0, k1 uint64, now uint64, perHour, period uint32) bool {
	now &= tatMask
	set := a.w[(k0&a.mask)*attemptWays:][:attemptWays]
	tag := k1 &^ tatMask
	tolerance := uint64(perHour-1) * uint64(period)
	for {
		i, old, found := pick(set, tag)
		tat := now
		if found {
			tat = max(now, old&tatMask)
		}
		if tat > now+tolerance {
			return false
		}
		if !set[i].CompareAndSwap(old, tag|(tat+uint64(period))&tatMask) {
			continue
		}
		if !found && old&tatMask > now {
			a.lost.Add(1)
		}
		return true
	}
}

// pick gives the word of a tag, else the one to give up.
func pick(set []atomic.Uint64, tag uint64) (i int, old uint64, found bool) {
	oldest := uint64(tatMask) + 1
	for j := range set {
		v := set[j].Load()
		if v != 0 && v&^tatMask == tag {
			return j, v, true
		}
		if v&tatMask < oldest {
			i, old, oldest = j, v, v&tatMask
		}
	}
	return i, old, false
}
