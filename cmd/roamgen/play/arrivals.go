package play

import "time"

// Arrivals are the instants at which an open loop begins: devices that know nothing of
// each other, a Poisson process. They are the same for the same seed, so that all who
// are measured get the same work. Instants are in nanoseconds since the begin.
type Arrivals struct {
	mean   float64 // gap
	next   float64
	random random
}

// NewArrivals gives those of a rate above 0.
func NewArrivals(perSecond float64, seed uint64) Arrivals {
	a := Arrivals{mean: float64(time.Second) / perSecond, random: random(mix(seed))}
	a.step()
	return a
}

func (a *Arrivals) step() { a.next += a.random.exponential() * a.mean }

// Take gives the next instant if it is not after elapsed, and the one behind it comes
// next. hot: 0 allocs
func (a *Arrivals) Take(elapsed int64) (due int64, ok bool) {
	if due = int64(a.next); due > elapsed {
		return 0, false
	}
	a.step()
	return due, true
}
