package stat

import (
	"fmt"
	"sync/atomic"
)

// chunkWords is the step in which published words grow, so that a reader
// never sees them move.
const chunkWords = 1024

type chunk [chunkWords]atomic.Uint64

// Shard counts for one goroutine.
type Shard struct {
	reg    *Registry
	local  []uint64  // plain words of the owner
	bounds [][]int64 // the owner's view of Registry.bounds

	published atomic.Pointer[[]place]
}

// place is that of a chunk, nil as long as nothing in it has counted.
type place struct{ atomic.Pointer[chunk] }

// Shard makes the counters of one writer goroutine. They count until the end
// of the process, also after the goroutine is gone.
func (r *Registry) Shard() *Shard {
	s := &Shard{reg: r}
	s.grow()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shards = append(r.shards, s)
	return s
}

// Add adds n to a counter. It allocates only when id was registered after the
// last Publish, and then once for all that were. hot: 0 allocs
func (s *Shard) Add(id ID, n uint64) {
	if uint(id) >= uint(len(s.local)) {
		s.late(id)
	}
	s.local[id] += n
}

// Observe puts one value, in nanoseconds for histograms of seconds, into a
// histogram. Below zero counts as zero. hot: 0 allocs
func (s *Shard) Observe(id ID, ns int64) {
	set := uint(id >> slotBits)
	if set-1 >= uint(len(s.bounds))-1 || uint(id&slotMask)+maxBounds+1 >= uint(len(s.local)) {
		if id == 0 {
			return
		}
		s.lateHistogram(id)
	}
	ns = max(ns, 0)
	b := s.bounds[set]
	i := 0
	for i < len(b) && ns > b[i] {
		i++
	}
	w := s.local[id&slotMask:]
	w[i]++
	w[len(b)+1] += uint64(ns)
}

// late makes room for series registered since the last Publish: losing counts
// would be worse than one allocation after a reload.
func (s *Shard) late(id ID) {
	s.grow()
	if id>>slotBits != 0 || uint(id) >= uint(len(s.local)) {
		panic(fmt.Sprintf("stat: %#x is not the ID of a counter", uint32(id)))
	}
}

func (s *Shard) lateHistogram(id ID) {
	s.grow()
	if set := id >> slotBits; set == 0 || int(set) >= len(s.bounds) || uint(id&slotMask) >= uint(len(s.local)) {
		panic(fmt.Sprintf("stat: %#x is not the ID of a histogram", uint32(id)))
	}
}

// grow is for the owner. The spare words behind the last let Observe check
// once for all the words of a histogram.
func (s *Shard) grow() {
	s.bounds = *s.reg.bounds.Load()
	if want := int(s.reg.words.Load()) + maxBounds + 2; want > len(s.local) {
		local := make([]uint64, want)
		copy(local, s.local)
		s.local = local
	}
}

// Publish shows the counts to readers. The owner calls it about every 100 ms.
// It stores only the words that have changed: an atomic store costs some
// twenty times a load, and most series of a large hub are at rest. Words that have
// counted nothing take no place.
func (s *Shard) Publish() {
	s.grow()
	chunks := s.growPublished(uint32(len(s.local)))
	for base := 0; base < len(s.local); base += chunkWords {
		words := s.local[base:min(base+chunkWords, len(s.local))]
		c := chunks[base/chunkWords].Load()
		if c == nil {
			if !anything(words) {
				continue
			}
			c = new(chunk)
			chunks[base/chunkWords].Store(c)
		}
		for i, v := range words {
			if p := &c[i]; p.Load() != v {
				p.Store(v)
			}
		}
	}
}

func anything(words []uint64) bool {
	for _, v := range words {
		if v != 0 {
			return true
		}
	}
	return false
}

// growPublished makes room for n words and returns the places of their chunks.
func (s *Shard) growPublished(n uint32) []place {
	var have []place
	if p := s.published.Load(); p != nil {
		have = *p
	}
	want := (int(n) + chunkWords - 1) / chunkWords
	if want <= len(have) {
		return have
	}
	chunks := make([]place, want)
	for i := range have {
		chunks[i].Store(have[i].Load())
	}
	s.published.Store(&chunks)
	return chunks
}

// open makes chunks for the published words from first on, n of them. Whoever calls it
// is the only one that does.
func (s *Shard) open(first, n uint32) {
	chunks := s.growPublished(first + n)
	for i := first / chunkWords; i <= (first+n-1)/chunkWords; i++ {
		if chunks[i].Load() == nil {
			chunks[i].Store(new(chunk))
		}
	}
}

// slot returns a published word that is open.
func (s *Shard) slot(i uint32) *atomic.Uint64 {
	return &(*s.published.Load())[i/chunkWords].Load()[i%chunkWords]
}

// load reads a published word, 0 when the shard has not got to it yet.
func (s *Shard) load(i uint32) uint64 {
	p := s.published.Load()
	if p == nil || int(i/chunkWords) >= len(*p) {
		return 0
	}
	c := (*p)[i/chunkWords].Load()
	if c == nil {
		return 0
	}
	return c[i%chunkWords].Load()
}
