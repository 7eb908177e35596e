package device

import (
	"sync"
	"sync/atomic"
)

// absence is why a device has no entry.
type absence uint8

const (
	absentUnknown   absence = 1 + iota // the store says so
	absentMalformed                    // its value cannot be used
	absentAway                         // the fetch failed a moment ago
)

// How long an absence is believed, in seconds. Unknown devices are spread so
// that a fleet that was refused together does not come back together.
const (
	unknownTTL   = 30
	unknownSpan  = 30
	malformedTTL = 10
	awayTTL      = 1
)

const (
	negWays  = 8
	negWords = 3 // key, other half, until 32 | absence 32
)

// negative remembers absences. It is its own small table of fixed size, so
// that a scan of random identities pushes out other strangers and never a
// device that exists.
type negative struct {
	w    []atomic.Uint64
	mask uint64
	mu   [64]sync.Mutex // guards writing of the sets that end in its index
}

func newNegative(limit int) *negative {
	sets := 64
	for sets*negWays < limit {
		sets *= 2
	}
	return &negative{w: make([]atomic.Uint64, sets*negWays*negWords), mask: uint64(sets - 1)}
}

// find says why a device is absent, 0 where nothing is known. hot: 0 allocs
func (n *negative) find(k0, k1 uint64, now uint32) absence {
	base := (k1 & n.mask) * negWays * negWords
	for off := base; off < base+negWays*negWords; off += negWords {
		if n.w[off].Load() != k0 || n.w[off+1].Load() != k1 {
			continue
		}
		v := n.w[off+2].Load()
		// A slot reused meanwhile shows another key now.
		if n.w[off].Load() != k0 || uint32(v>>32) <= now {
			return 0
		}
		return absence(v)
	}
	return 0
}

// put remembers an absence until a time, in place of the one of its set that
// ends first.
func (n *negative) put(k0, k1 uint64, a absence, until uint32) {
	mu := &n.mu[k1&63]
	mu.Lock()
	defer mu.Unlock()
	base := (k1 & n.mask) * negWays * negWords
	victim, first := base, never
	for off := base; off < base+negWays*negWords; off += negWords {
		if n.w[off].Load() == k0 && n.w[off+1].Load() == k1 {
			victim = off
			break
		}
		if end := uint32(n.w[off+2].Load() >> 32); end < first {
			victim, first = off, end
		}
	}
	n.w[victim].Store(0)
	n.w[victim+1].Store(k1)
	n.w[victim+2].Store(uint64(until)<<32 | uint64(a))
	n.w[victim].Store(k0)
}

// remove forgets an absence: the device has appeared.
func (n *negative) remove(k0, k1 uint64) {
	mu := &n.mu[k1&63]
	mu.Lock()
	defer mu.Unlock()
	base := (k1 & n.mask) * negWays * negWords
	for off := base; off < base+negWays*negWords; off += negWords {
		if n.w[off].Load() == k0 && n.w[off+1].Load() == k1 {
			n.w[off].Store(0)
			n.w[off+2].Store(0)
		}
	}
}
