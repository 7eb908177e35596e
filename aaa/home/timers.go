package home

import (
	"math/bits"
	"time"

	"github.com/roamgate/roamgate/realm"
)

const (
	millisecond = int64(time.Millisecond)
	second      = int64(time.Second)
)

// Timers are the retransmission variables of RFC 5080 section 2.2.1. A zero
// MRT, MRD or MRC is no bound; accounting that must arrive has all three
// zero.
type Timers realm.Timers

// Next gives how long to wait for an answer after transmission number n of a
// request (the first is 1) before the next step, in nanoseconds: IRT at
// first, then twice the previous wait rt, at most about MRT, each moved by
// up to 10 % either way by the random number rnd. It is 0 when there is to
// be no transmission n because MRC are enough. The caller bounds the wait by
// Deadline.
// hot: 0 allocs
func (t *Timers) Next(rt int64, n int, rnd uint32) int64 {
	if t.MRC > 0 && n > t.MRC {
		return 0
	}
	base, step := int64(t.IRT), int64(t.IRT)
	if n > 1 {
		base, step = 2*rt, rt
	}
	next := base + tenth(step, rnd)
	if mrt := int64(t.MRT); mrt > 0 && next > mrt {
		next = mrt + tenth(mrt, rnd)
	}
	return max(next, millisecond)
}

// Deadline is when the request first sent at that time is given up by MRD; 0
// if never.
func (t *Timers) Deadline(sent int64) int64 {
	if t.MRD == 0 {
		return 0
	}
	return sent + int64(t.MRD)
}

// tenth is RAND of RFC 5080 times d: uniform in [-d/10, +d/10).
func tenth(d int64, rnd uint32) int64 {
	part, _ := bits.Mul64(uint64(d)/5, uint64(rnd)<<32)
	return int64(part) - d/10
}

// random is a splitmix64 sequence: spreads start points and jitter, and is
// not for secrets.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return mix(uint64(*r))
}

// mix is the finalizer of splitmix64: a bijection in which every bit of x
// moves every bit of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
