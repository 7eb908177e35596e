package home

import (
	"math"
	"math/bits"
	"sync/atomic"

	"github.com/roamgate/roamgate/realm"
)

// maxMembers is what an exclude mask can hold.
const maxMembers = 64

// Pool chooses among homes for one kind of request. It is immutable but for
// what the operator does to its homes, and whose turn it is in each shard.
type Pool struct {
	Spec    *realm.Pool
	Timers  Timers
	members []member // by tier; the addresses of one home stand together
	every   uint64   // the bits of all members
	later   uint64   // of further addresses of a home
	even    bool     // all weights are the same
	breaker *Breaker // nil: the pool has none
	rounds  []round  // by shard, of balances that need to remember
	found   bool     // its homes were found, and can retire

	off     atomic.Uint64 // disabled while it runs
	drained atomic.Uint64 // no conversation begins there
}

type member struct {
	state  *State
	spec   *Home // which of the configuration's homes it is
	home   int32
	tier   int32
	weight float64
	seed   uint64
	load   *Load // of BalanceLeast
	first  int   // position of its home's first address
}

// Ask is what the choice of a home goes by.
type Ask struct {
	Key     uint64 // of the device
	Sticky  int32  // the home of a conversation that has begun, -1: none
	Exclude uint64 // the Bit of each home already tried, and of each in Barred
	Barred  uint64 // the Bit of each home that the request must not be sent to
	Realm   uint64 // keyed hash of the folded realm, for the breaker; 0: not asked
	Began   int64  // Unix seconds at which the session began that it is accounting of; 0: it begins now
	Last    bool   // accounting: a drained home is better than none
	Shard   int
	Now     int64
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

// Drains reports whether a member is drained.
// hot: 0 allocs
func (p *Pool) Drains() bool { return p.drained.Load() != 0 }

// Len is the number of members that are enabled and serve the kind; each
// address of a home is one.
func (p *Pool) Len() int { return len(p.members) }

// Member is the home at a position, as in an exclude mask.
func (p *Pool) Member(i int) (home int32) { return p.members[i].home }

// Pick chooses the home of a request. In this order: the sticky home while it
// is a member and not down; an up member of the best tier that has one; a
// degraded one likewise; a down one as a trial, each at most once a second.
// Among equals of a tier the pool's balance decides. By device that is
// weighted rendezvous, so that equal keys meet the same home and a lost home
// moves only its own keys. Of a home with several addresses the first that
// is well stands for it.
//
// A first request that belongs to a member that is not up and not probed is
// let through as a trial, once a second and less often as trials fail. Where
// fewer members are up than the pool's panic threshold, all count as up.
// hot: 0 allocs
func (p *Pool) Pick(a *Ask) (home int32, why Reason) {
	if a.Sticky >= 0 {
		if home, ok := p.keep(a); ok {
			return home, OK
		}
	}
	left := p.open(a)
	if p.breaker == nil || a.Realm == 0 || !p.breaker.any() {
		return p.pick(a, left)
	}
	return p.pickAudible(a, left)
}

// pickAudible passes those members over that leave the request's realm
// unanswered.
func (p *Pool) pickAudible(a *Ask, left uint64) (home int32, why Reason) {
	for silent := false; ; silent = true {
		home, why = p.pick(a, left)
		switch {
		case silent && why == NoMember:
			return -1, Silent
		case why != OK || p.breaker.admit(home, a.Realm, a.Now):
			return home, why
		}
		left &^= p.Bit(home)
	}
}

// open gives the members that may begin what is asked for.
func (p *Pool) open(a *Ask) (left uint64) {
	left = p.every &^ a.Exclude &^ p.off.Load()
	if p.found {
		left &^= p.retired()
	}
	if drained := p.drained.Load() & left; drained != 0 {
		left &^= drained
		for ; drained != 0 && a.Began != 0; drained &= drained - 1 {
			i := bits.TrailingZeros64(drained)
			if a.Began < p.members[i].spec.mode().Since {
				left |= 1 << i
			}
		}
		if left == 0 && a.Last {
			left = p.every &^ a.Exclude &^ p.off.Load()
		}
	}
	return left
}

// pick chooses among the members that are left.
func (p *Pool) pick(a *Ask, left uint64) (home int32, why Reason) {
	switch {
	case left == 0:
		return -1, NoMember
	case p.Spec.Panic > 0 && p.panics():
		return p.members[p.among(a, p.firstTier(left))].home, OK
	case p.Spec.Balance != realm.BalanceDevice:
		return p.pickInTurn(a, left)
	}
	c := choice{up: -1, degraded: -1}
	for rest := left; rest != 0 && c.up < 0; {
		owner := p.tier(&rest, a.Key, &c)
		if o := &p.members[owner]; a.fresh() && o.wantsTrial() && o.state.try(a.Now, o.state.patience()) {
			return o.home, OK
		}
	}
	switch {
	case c.up >= 0:
		return p.members[c.up].home, OK
	case c.degraded >= 0:
		return p.members[c.degraded].home, OK
	}
	return p.trial(left, a.Now)
}

// fresh reports whether nothing hangs on the choice yet: such a request may
// be used for a trial.
func (a *Ask) fresh() bool { return a.Sticky < 0 && a.Exclude == a.Barred }

// choice is the best member found in each state, -1 for none.
type choice struct{ up, degraded int }

// keep finds the home of a conversation, under another address where the one
// is down.
func (p *Pool) keep(a *Ask) (home int32, ok bool) {
	bit := p.Bit(a.Sticky)
	if bit == 0 {
		return -1, false
	}
	shut := a.Exclude | p.off.Load()
	if p.keeps(bits.TrailingZeros64(bit), shut) {
		return a.Sticky, true
	}
	if p.later == 0 {
		return -1, false
	}
	first := p.members[bits.TrailingZeros64(bit)].first
	for i := first; i < len(p.members) && p.members[i].first == first; i++ {
		if p.keeps(i, shut) {
			return p.members[i].home, true
		}
	}
	return -1, false
}

func (p *Pool) keeps(i int, shut uint64) bool {
	if shut>>i&1 != 0 {
		return false
	}
	health, _ := p.members[i].state.Health()
	return health != Down || p.Spec.Panic > 0 && p.panics()
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
// logarithmic form; with equal weights the logarithm changes no order. The
// addresses of one home have the same.
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

// panics reports whether so few homes are up that it is more likely that the
// hub is wrong. Those that the operator has taken out do not count.
func (p *Pool) panics() bool {
	up, all := 0, 0
	shut := p.off.Load() | p.drained.Load()
	for i := 0; i < len(p.members); {
		first, well, counts := i, false, false
		for ; i < len(p.members) && p.members[i].first == first; i++ {
			health, _ := p.members[i].state.Health()
			counts = counts || shut>>i&1 == 0
			well = well || health == Up && shut>>i&1 == 0
		}
		if counts {
			all++
		}
		if well {
			up++
		}
	}
	return up*100 < p.Spec.Panic*all
}

// Panics reports whether the pool ignores the health of its homes now.
func (p *Pool) Panics() bool { return p.Spec.Panic > 0 && p.panics() }
