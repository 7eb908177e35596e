package home

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/roamgate/roamgate/realm"
)

// maxMembers is what an exclude mask can hold.
const maxMembers = 64

// Pool chooses among homes for one kind of request. It is immutable.
type Pool struct {
	Spec    *realm.Pool
	Timers  Timers
	members []member // by tier
	even    bool     // all weights are the same
}

type member struct {
	state  *State
	home   int32
	tier   int32
	weight float64
	seed   uint64
}

// Bit is the bit of the home in an exclude mask of this Pool, 0 if it is no
// member. The Pool of another View can have other bits.
func (p *Pool) Bit(home int32) uint64 {
	for i := range p.members {
		if p.members[i].home == home {
			return 1 << i
		}
	}
	return 0
}

// Len is the number of members that are enabled and serve the kind.
func (p *Pool) Len() int { return len(p.members) }

// Member is the home at a position, as in an exclude mask.
func (p *Pool) Member(i int) (home int32) { return p.members[i].home }

// Pick chooses the home of a request. In this order: the sticky home (-1 for
// none) while it is a member and not down; an up member of the best tier that
// has one; a degraded one likewise; a down one as a trial, each at most once
// a second. Among equals of a tier the key decides by weighted rendezvous, so
// that equal keys meet the same home and a lost home moves only its own keys.
// exclude has the Bit of each home already tried.
//
// A first request whose key belongs to a member that is not up and not
// probed is let through as a trial, once a second and less often as trials
// fail.
// hot: 0 allocs
func (p *Pool) Pick(key uint64, sticky int32, exclude uint64, now int64) (home int32, why Reason) {
	if sticky >= 0 && p.keeps(sticky, exclude) {
		return sticky, OK
	}
	left := ^exclude & (1<<len(p.members) - 1)
	if len(p.members) == maxMembers {
		left = ^exclude
	}
	if left == 0 {
		return -1, NoMember
	}
	c := choice{up: -1, degraded: -1}
	for rest := left; rest != 0 && c.up < 0; {
		owner := p.tier(&rest, key, &c)
		if o := &p.members[owner]; sticky < 0 && exclude == 0 && o.wantsTrial() && o.state.try(now, o.state.patience()) {
			return o.home, OK
		}
	}
	switch {
	case c.up >= 0:
		return p.members[c.up].home, OK
	case c.degraded >= 0:
		return p.members[c.degraded].home, OK
	}
	return p.trial(left, now)
}

// choice is the best member found in each state, -1 for none.
type choice struct{ up, degraded int }

func (p *Pool) keeps(sticky int32, exclude uint64) bool {
	bit := p.Bit(sticky)
	if bit == 0 || bit&exclude != 0 {
		return false
	}
	health, _ := p.members[bits.TrailingZeros64(bit)].state.Health()
	return health != Down
}

// tier takes the first tier out of rest and completes the choice with its
// members. owner is the one that the key would have if all were up.
func (p *Pool) tier(rest *uint64, key uint64, c *choice) (owner int) {
	first := bits.TrailingZeros64(*rest)
	owner, wasDegraded := first, c.degraded >= 0
	var best, bestUp, bestDegraded float64
	for left := *rest; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		m := &p.members[i]
		if m.tier != p.members[first].tier {
			break
		}
		*rest &^= 1 << i
		score := p.score(m, key)
		if score > best {
			owner, best = i, score
		}
		switch health, _ := m.state.Health(); {
		case health == Up && (c.up < 0 || score > bestUp):
			c.up, bestUp = i, score
		case health == Degraded && !wasDegraded && (c.degraded < 0 || score > bestDegraded):
			c.degraded, bestDegraded = i, score
		}
	}
	return owner
}

// score is the weighted rendezvous score of Thaler and Ravishankar in its
// logarithmic form; with equal weights the logarithm changes no order.
func (p *Pool) score(m *member, key uint64) float64 {
	u := (float64(mix(key^m.seed)>>11) + 0.5) / (1 << 53)
	if p.even {
		return u
	}
	return m.weight / -math.Log(u)
}

func (m *member) wantsTrial() bool { return m.state.word.Load()&trialBit != 0 }

func (p *Pool) trial(left uint64, now int64) (home int32, why Reason) {
	for ; left != 0; left &= left - 1 {
		m := &p.members[bits.TrailingZeros64(left)]
		if m.state.try(now, second) {
			return m.home, OK
		}
	}
	return -1, AllDown
}

// compilePool resolves members to the home that replies from their address
// are attributed to: the same server under two names is one member, with the
// better priority and its weight.
func (v *View) compilePool(spec *realm.Pool, k Kind, seed uint64) *Pool {
	p := &Pool{Spec: spec, Timers: Timers(spec.Timers), even: true}
	pool := mix(seed ^ hashName(spec.Name))
	for _, m := range spec.Members {
		h := v.live[m.Home]
		if h.Spec.Disabled || !h.Has(k) {
			continue
		}
		h = v.homes[v.from[h.Addr[k]].home]
		if p.Bit(h.Index) != 0 {
			continue
		}
		p.members = append(p.members, member{
			state:  h.State[k],
			home:   h.Index,
			tier:   int32(m.Priority),
			weight: float64(max(m.Weight, 1)),
			seed:   mix(pool ^ hashName(h.Spec.Name)),
		})
		p.even = p.even && p.members[0].weight == p.members[len(p.members)-1].weight
	}
	slices.SortStableFunc(p.members, func(a, b member) int { return cmp.Compare(a.tier, b.tier) })
	return p
}

// hashName is FNV-1a, 64 bits: names are the operator's, and the value must
// be the same after a restart.
func hashName(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
