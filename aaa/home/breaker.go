package home

import (
	"math/bits"
	"sync/atomic"
)

const (
	breakerSets  = 1 << 12
	breakerWays  = 8  // words of one cache line
	breakerOpens = 5  // unanswered in a row
	breakerShift = 27 // times are in 134 ms, for 39 hours
	breakerRow   = 60 * second
)

// Breaker keeps requests of one realm from a home that leaves that realm
// unanswered while it answers others: behind a next hop that lives, a realm
// can be dead, and neither may the next hop be taken for dead because of it
// nor the requests wait for their timers each time.
//
// It opens after five requests in a row without an answer, of more than one
// device, in which time the home has answered others, and closes with an
// answer. While it is open a
// request is let through as a trial after a pause that grows from 2 s to 60
// s. A realm behind a home that answers nobody never opens it: that is the
// home's own health.
//
// It is a table of a fixed size shared by all shards, of atomic words: a
// fingerprint of 32 bits beside the state, so that one word says it all.
// Whoever invents realms can push out what the table knows of others; it is
// known again after five timeouts. realm must be a keyed hash, which nobody
// can aim with.
type Breaker struct {
	sets    [breakerSets][breakerWays]atomic.Uint64
	entries atomic.Int64 // words in use
	opened  atomic.Uint64
	refused atomic.Uint64
}

// A word: fingerprint<<32 | step<<28 | count<<24 | devices<<20 | time. step is
// 0 while it is closed: time is then that of the first of count transmissions,
// and devices has a bit for some of the devices that they are for. Else time
// is that of the next trial.
const (
	oneCount = uint64(1) << 24
	allTimes = uint64(1)<<20 - 1
)

// NewBreaker returns a Breaker that knows nothing.
func NewBreaker() *Breaker { return &Breaker{} }

// Opened counts how often it has opened, Refused how many choices it has
// turned away.
func (b *Breaker) Opened() uint64 { return b.opened.Load() }

// Refused counts the choices that were turned away.
func (b *Breaker) Refused() uint64 { return b.refused.Load() }

// Realm says how to name a realm to the Breaker, for a kind of request. It is
// never 0.
func (k Kind) Realm(hash uint64) uint64 { return mix(hash+uint64(k)) | 1 }

func (b *Breaker) any() bool { return b.entries.Load() != 0 }

// find gives the place of a home and a realm, and its word, 0 if it has none.
func (b *Breaker) find(home int32, realm uint64) (set *[breakerWays]atomic.Uint64, way int, word uint64) {
	key := mix(realm ^ uint64(home+1)<<40)
	set = &b.sets[key%breakerSets]
	print := key>>32 | 1 // no word in use is 0
	for i := range set {
		if w := set[i].Load(); w>>32 == print {
			return set, i, w
		}
	}
	return set, -1, print << 32
}

func breakerTime(now int64) uint64 { return uint64(now>>breakerShift) & allTimes }

// since is the time from then to now, in ns; negative if then is to come.
func since(word uint64, now int64) int64 {
	d := int32(uint32(breakerTime(now)-word)<<12) >> 12
	return int64(d) << breakerShift
}

func breakerStep(word uint64) uint64 { return word >> 28 & 15 }

// pause is how long no trial is let through after the one before.
func pause(step uint64) int64 { return min(second<<min(step, 6), 60*second) }

func openWord(word, step uint64, now int64) uint64 {
	return word>>32<<32 | step<<28 | breakerTime(now+pause(step)+1<<breakerShift-1)
}

// Open reports whether requests of the realm are kept from the home.
// hot: 0 allocs
func (b *Breaker) Open(home int32, realm uint64) bool {
	if b == nil || realm == 0 || !b.any() {
		return false
	}
	_, way, word := b.find(home, realm)
	return way >= 0 && breakerStep(word) != 0
}

// admit reports whether a request of the realm may go to the home; it may be
// a trial.
// hot: 0 allocs
func (b *Breaker) admit(home int32, realm uint64, now int64) bool {
	set, way, word := b.find(home, realm)
	step := breakerStep(word)
	if way < 0 || step == 0 {
		return true
	}
	if since(word, now) >= 0 && set[way].CompareAndSwap(word, openWord(word, min(step+1, 6), now)) {
		return true
	}
	b.refused.Add(1)
	return false
}

// Answered reports that the home has answered a request of the realm.
// hot: 0 allocs
func (b *Breaker) Answered(home int32, realm uint64) {
	if b == nil || realm == 0 || !b.any() {
		return
	}
	if set, way, word := b.find(home, realm); way >= 0 && set[way].CompareAndSwap(word, 0) {
		b.entries.Add(-1)
	}
}

// Silence is a transmission that was not answered in time.
type Silence struct {
	Home   int32
	Realm  uint64
	Device uint64 // hash of the device
	Sent   int64
	Others int64 // when the home answered anybody last
	Well   bool  // it is up
	Now    int64
}

// Unanswered takes notice of a silence, and tells whether it has opened the
// Breaker.
// hot: 0 allocs
func (b *Breaker) Unanswered(s Silence) (opened bool) {
	set, way, word := b.find(s.Home, s.Realm)
	device := uint64(1) << (20 + s.Device>>62)
	first := word>>32<<32 | oneCount | device | breakerTime(s.Sent)
	if way < 0 {
		b.enter(set, first, s.Now)
		return false
	}
	row := word | device
	if row>>24&15 < 15 {
		row += oneCount
	}
	switch {
	case breakerStep(word) != 0: // a trial has failed: the pause was made longer when it began
	case since(word, s.Now) > breakerRow:
		set[way].CompareAndSwap(word, first)
	case !s.Well || row>>24&15 < breakerOpens || bits.OnesCount64(row>>20&15) < 2 || since(word, s.Others) <= 0:
		set[way].CompareAndSwap(word, row)
	case set[way].CompareAndSwap(word, openWord(word, 1, s.Now)):
		b.opened.Add(1)
		return true
	}
	return false
}

// enter takes a free place, or that of the row that is oldest; one that is
// open goes last.
func (b *Breaker) enter(set *[breakerWays]atomic.Uint64, word uint64, now int64) {
	victim, old, age := -1, uint64(0), int64(-1)<<62
	for i := range set {
		w := set[i].Load()
		if w == 0 {
			if set[i].CompareAndSwap(0, word) {
				b.entries.Add(1)
			}
			return
		}
		a := since(w, now)
		if breakerStep(w) != 0 {
			a -= 1 << 60
		}
		if a > age {
			victim, old, age = i, w, a
		}
	}
	set[victim].CompareAndSwap(old, word)
}
