package home

import (
	"math/bits"
	"sync/atomic"

	"github.com/roamgate/roamgate/realm"
)

// round is what one shard remembers of a pool: whose turn it is, and how busy
// the other shards keep its members.
type round struct {
	turn   []int64 // of smooth weighted round robin
	others []int64 // requests of other shards
	at     int64   // when others was read
	_      [16]byte
}

// loadAge is how old another shard's figures may be. Within it shards may all
// choose the same home; that is less than what a home answers at once.
const loadAge = millisecond

// Load counts the requests that are at a home, by shard. Each shard writes
// its own figure and reads those of the others once a millisecond.
type Load struct{ by []shardLoad }

type shardLoad struct {
	n atomic.Int64
	_ [56]byte // a cache line each
}

func newLoad(shards int) *Load { return &Load{by: make([]shardLoad, shards)} }

// Set says how many requests of the shard are at the home. A nil Load takes
// no notice.
// hot: 0 allocs
func (l *Load) Set(shard, n int) {
	if l != nil && shard < len(l.by) {
		l.by[shard].n.Store(int64(n))
	}
}

// Sum is the number of requests of all shards; 0 of a nil Load.
func (l *Load) Sum() (n int64) {
	if l == nil {
		return 0
	}
	for i := range l.by {
		n += l.by[i].n.Load()
	}
	return n
}

// pickInTurn chooses by the balances that do not go by the device.
func (p *Pool) pickInTurn(a *Ask, left uint64) (home int32, why Reason) {
	degraded := uint64(0)
	for rest := left; rest != 0; {
		tier := p.firstTier(rest)
		rest &^= tier
		up, low := p.byHealth(tier)
		if i, ok := p.trialIn(a, tier&^up); ok {
			return p.members[i].home, OK
		}
		if up != 0 {
			return p.members[p.among(a, up)].home, OK
		}
		if degraded == 0 {
			degraded = low
		}
	}
	if degraded != 0 {
		return p.members[p.among(a, degraded)].home, OK
	}
	return p.trial(left, a.Now)
}

// trialIn finds a member that only a request can prove, and whose time has
// come.
func (p *Pool) trialIn(a *Ask, from uint64) (i int, ok bool) {
	for ; from != 0 && a.fresh(); from &= from - 1 {
		i = bits.TrailingZeros64(from)
		if m := &p.members[i]; m.wantsTrial() && m.state.try(a.Now, m.state.patience()) {
			return i, true
		}
	}
	return 0, false
}

// firstTier gives those of the best priority.
func (p *Pool) firstTier(left uint64) (tier uint64) {
	first := p.members[bits.TrailingZeros64(left)].tier
	for ; left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		if p.members[i].tier != first {
			break
		}
		tier |= 1 << i
	}
	return tier
}

func (p *Pool) byHealth(of uint64) (up, degraded uint64) {
	for ; of != 0; of &= of - 1 {
		i := bits.TrailingZeros64(of)
		switch health, _ := p.members[i].state.Health(); health {
		case Up:
			up |= 1 << i
		case Degraded:
			degraded |= 1 << i
		}
	}
	return up, degraded
}

// among chooses one of some members of one tier, which are not none.
func (p *Pool) among(a *Ask, of uint64) int {
	of = p.oneAddress(of)
	switch p.Spec.Balance {
	case realm.BalanceRoundRobin:
		return p.inTurn(a.Shard, of)
	case realm.BalanceLeast:
		return p.least(a, of)
	case realm.BalanceFirst:
		return bits.TrailingZeros64(of)
	}
	best, score := -1, 0.0
	for ; of != 0; of &= of - 1 {
		i := bits.TrailingZeros64(of)
		if s := p.score(&p.members[i], a.Key); best < 0 || s > score {
			best, score = i, s
		}
	}
	return best
}

// oneAddress leaves one address of each home: the first there is.
func (p *Pool) oneAddress(of uint64) uint64 {
	for later := of & p.later; later != 0; later &= later - 1 {
		i := bits.TrailingZeros64(later)
		if of>>p.members[i].first&(1<<(i-p.members[i].first)-1) != 0 {
			of &^= 1 << i
		}
	}
	return of
}

// inTurn is smooth weighted round robin: each gains its weight, who has most
// is next and pays what all have gained.
func (p *Pool) inTurn(shard int, of uint64) int {
	turn := p.rounds[shard].turn
	best, total := -1, int64(0)
	for ; of != 0; of &= of - 1 {
		i := bits.TrailingZeros64(of)
		w := int64(p.members[i].weight)
		at := p.members[i].first // a home keeps its place under another address
		turn[at] += w
		total += w
		if best < 0 || turn[at] > turn[p.members[best].first] {
			best = i
		}
	}
	turn[p.members[best].first] -= total
	return best
}

// least finds the member with the fewest requests for its weight, this one
// included. Among equals the device decides.
func (p *Pool) least(a *Ask, of uint64) int {
	r := &p.rounds[a.Shard]
	if a.Now-r.at >= loadAge || r.at == 0 {
		p.readLoads(a.Shard)
		r.at = a.Now
	}
	best, most, score := -1, 0.0, 0.0
	for ; of != 0; of &= of - 1 {
		i := bits.TrailingZeros64(of)
		m := &p.members[i]
		n := float64(r.others[i]+m.load.by[a.Shard].n.Load()+1) / m.weight
		if best >= 0 && n > most {
			continue
		}
		if s := p.score(m, a.Key); best < 0 || n < most || s > score {
			best, most, score = i, n, s
		}
	}
	return best
}

func (p *Pool) readLoads(shard int) {
	r := &p.rounds[shard]
	for i := range p.members {
		l := p.members[i].load
		r.others[i] = l.Sum() - l.by[shard].n.Load()
	}
}

// remember makes room for what the balance has to know.
func (p *Pool) remember(shards int) {
	switch p.Spec.Balance {
	case realm.BalanceRoundRobin, realm.BalanceLeast:
	default:
		return
	}
	p.rounds = make([]round, shards)
	room := max(len(p.members), 8) // not two shards in one cache line
	for i := range p.rounds {
		p.rounds[i] = round{turn: make([]int64, room), others: make([]int64, room)}
		for n := 0; n < i && p.every != 0; n++ { // shards do not begin with the same home
			p.inTurn(i, p.oneAddress(p.firstTier(p.every)))
		}
	}
}
