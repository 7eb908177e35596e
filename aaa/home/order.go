package home

import (
	"cmp"
	"slices"
)

// Order lists the members as Pick would try them for a request with the key
// now: by health, then by tier, then by rendezvous. Trials of homes that are
// not up are not foreseen.
func (p *Pool) Order(key uint64) []int32 {
	at := make([]int, len(p.members))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int {
		x, y := &p.members[a], &p.members[b]
		hx, _ := x.state.Health()
		hy, _ := y.state.Health()
		return cmp.Or(cmp.Compare(hx, hy), cmp.Compare(x.tier, y.tier), cmp.Compare(p.score(y, key), p.score(x, key)))
	})
	order := make([]int32, len(at))
	for i, m := range at {
		order[i] = p.members[m].home
	}
	return order
}
