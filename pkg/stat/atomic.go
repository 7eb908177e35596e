package stat

import "sync/atomic"

// AtomicCounter counts for goroutines that are not shards. Any number of them
// may use it; what it counts is visible at once.
type AtomicCounter struct{ word *atomic.Uint64 }

// Atomic registers a counter like Counter. The same name and labels share the
// count, also with the shards that use the ID.
func (r *Registry) Atomic(name, help string, labels ...string) *AtomicCounter {
	id := r.Counter(name, help, labels...)
	return &AtomicCounter{word: r.openShared(uint32(id)&slotMask, 1).slot(uint32(id) & slotMask)}
}

// Add adds n. hot: 0 allocs
func (c *AtomicCounter) Add(n uint64) { c.word.Add(n) }

// AtomicHistogram is the histogram for goroutines that are not shards.
type AtomicHistogram struct {
	bounds []int64
	shared *Shard
	slot   uint32
}

// AtomicHistogram registers a histogram like Histogram.
func (r *Registry) AtomicHistogram(name, help string, bounds []float64, labels ...string) *AtomicHistogram {
	id := r.Histogram(name, help, bounds, labels...)
	return &AtomicHistogram{
		bounds: (*r.bounds.Load())[id>>slotBits],
		shared: r.openShared(uint32(id)&slotMask, uint32(len(bounds))+2),
		slot:   uint32(id) & slotMask,
	}
}

// openShared gives the atomic types their places.
func (r *Registry) openShared(first, n uint32) *Shard {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shared.open(first, n)
	return r.shared
}

// Observe is Shard.Observe. hot: 0 allocs
func (h *AtomicHistogram) Observe(ns int64) {
	ns = max(ns, 0)
	i := 0
	for i < len(h.bounds) && ns > h.bounds[i] {
		i++
	}
	h.shared.slot(h.slot + uint32(i)).Add(1)
	h.shared.slot(h.slot + uint32(len(h.bounds)) + 1).Add(uint64(ns))
}
