package stat

import (
	"math"
	"slices"
	"strings"
)

// LatencyBounds are the house bounds in seconds, from 0.5 ms to 30 s.
var LatencyBounds = []float64{
	0.0005, 0.001, 0.002, 0.005, 0.010, 0.025, 0.050, 0.100, 0.250, 0.500, 1, 2.5, 5, 10, 30,
}

// scale is how many observed integers make one in the unit of the bounds.
func (f *Family) scale() float64 {
	if strings.HasSuffix(f.Name, "_seconds") {
		return 1e9
	}
	return 1
}

// boundSet returns the index of the bounds of f as integers; families with
// the same bounds share a set.
func (r *Registry) boundSet(f *Family) uint32 {
	set := make([]int64, len(f.Bounds))
	for i, b := range f.Bounds {
		set[i] = int64(math.Round(b * f.scale()))
	}
	for i := 1; i < len(r.sets); i++ {
		if slices.Equal(r.sets[i], set) {
			return uint32(i)
		}
	}
	if len(r.sets) > maxSets {
		panic("stat: too many different histogram bounds")
	}
	r.sets = append(r.sets, set)
	r.publishSets()
	return uint32(len(r.sets) - 1)
}

// publishSets lets the shards see new bounds before any ID that needs them can
// reach them.
func (r *Registry) publishSets() {
	sets := slices.Clone(r.sets)
	r.bounds.Store(&sets)
}
