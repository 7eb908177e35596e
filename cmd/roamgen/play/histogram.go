package play

import (
	"math/bits"
	"time"
)

const (
	histogramSub     = 32 // steps per power of two: 3 % resolution
	histogramSubBits = 5
	histogramLen     = (64 - histogramSubBits + 1) * histogramSub
)

// Histogram counts durations in log-linear buckets. The zero value is ready.
// It has one writer; copy it to hand it to others.
type Histogram struct {
	counts [histogramLen]uint64
	n      uint64
	max    int64
}

// Observe counts one duration in nanoseconds; below zero counts as zero.
// hot: 0 allocs
func (h *Histogram) Observe(ns int64) {
	ns = max(ns, 0)
	h.counts[histogramIndex(uint64(ns))]++
	h.n++
	h.max = max(h.max, ns)
}

// Merge adds what o has counted.
func (h *Histogram) Merge(o *Histogram) {
	for i := range o.counts {
		h.counts[i] += o.counts[i]
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Len is the number of durations counted.
func (h *Histogram) Len() uint64 { return h.n }

// Max is the longest duration counted, exact.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Quantile gives the duration that the share q (0..1) of all did not pass,
// rounded up to its bucket's end, at most 3 % too long. Zero when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n))
	rank = min(rank, h.n-1)
	var seen uint64
	for i, c := range h.counts {
		seen += c
		if seen > rank {
			return time.Duration(min(histogramUpper(i), h.max))
		}
	}
	return h.Max()
}

func histogramIndex(v uint64) int {
	if v < histogramSub {
		return int(v)
	}
	e := bits.Len64(v) - histogramSubBits - 1
	return (e+1)*histogramSub + int(v>>e) - histogramSub
}

func histogramUpper(i int) int64 {
	if i < histogramSub {
		return int64(i)
	}
	e := i/histogramSub - 1
	base := uint64(i%histogramSub + histogramSub)
	return int64((base+1)<<e - 1)
}
