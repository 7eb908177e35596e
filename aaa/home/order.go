package home

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/roamgate/roamgate/realm"
)

// Order lists the members as Pick would try them for a request with the key
// now: by health, then by tier, then as the balance says. Among homes that
// take turns that is the one of the most weight, among the least busy the one
// that is so at this moment; the next request can have another. Trials of
// homes that are not up, and the breaker, are not foreseen; homes that the
// operator has taken out are not listed, drained ones stand last.
func (p *Pool) Order(key uint64) []int32 {
	var at []int
	drained := p.drained.Load()
	for left := p.every &^ p.off.Load(); left != 0; left &= left - 1 {
		at = append(at, bits.TrailingZeros64(left))
	}
	blind := p.Panics()
	slices.SortStableFunc(at, func(a, b int) int {
		x, y := &p.members[a], &p.members[b]
		hx, _ := x.state.Health()
		hy, _ := y.state.Health()
		if blind {
			hx, hy = Up, Up
		}
		return cmp.Or(cmp.Compare(drained>>a&1, drained>>b&1), cmp.Compare(hx, hy), cmp.Compare(x.tier, y.tier), p.compare(x, y, key))
	})
	order := make([]int32, len(at))
	for i, m := range at {
		order[i] = p.members[m].home
	}
	return order
}

// compare says which of two equals comes first.
func (p *Pool) compare(x, y *member, key uint64) int {
	rendezvous := cmp.Compare(p.score(y, key), p.score(x, key))
	switch p.Spec.Balance {
	case realm.BalanceFirst:
		return 0
	case realm.BalanceRoundRobin:
		return cmp.Compare(y.weight, x.weight)
	case realm.BalanceLeast:
		return cmp.Or(cmp.Compare(float64(x.load.Sum()+1)/x.weight, float64(y.load.Sum()+1)/y.weight), rendezvous)
	}
	return rendezvous
}
