package agent

import (
	"math"

	"github.com/roamgate/roamgate/realm"
)

// pool is a pool of peers at run time. It belongs to the loop.
type pool struct {
	spec    *realm.Pool
	members []member
	even    bool // all weights are the same
}

type member struct {
	node     *node
	priority int
	weight   float64
	seed     uint64
	turn     float64 // of smooth weighted round robin
}

// maxMembers is what the bits of a mask can tell apart.
const maxMembers = 64

// choose gives the peer for a request: of the first priority that has one that is
// connected, serves the application and is not full, by the balance of the pool.
//
// hot: 0 allocs
func (p *pool) choose(barred uint64, application uint32, priority uint8, key uint64) (at int, why Reason) {
	at, why = -1, PeersDown
	best := 0.0
	tier := 0
	for i := range p.members {
		m := &p.members[i]
		if at >= 0 && m.priority != tier {
			break
		}
		if barred&(1<<i) != 0 || m.node.index < 0 || m.node.peer.Disabled || !m.node.able() {
			continue
		}
		if !m.node.serves(application) {
			if why == PeersDown {
				why = ApplicationNotServed
			}
			continue
		}
		if m.node.full(priority) {
			why = Busy
			continue
		}
		tier = m.priority
		score := p.score(m, key)
		if at < 0 || score > best {
			at, best = i, score
		}
	}
	if at < 0 {
		return at, why
	}
	if p.spec.Balance == realm.BalanceRoundRobin {
		p.pay(at, barred, application, priority)
	}
	return at, OK
}

// score says how much a member is the one, by the balance.
func (p *pool) score(m *member, key uint64) float64 {
	switch p.spec.Balance {
	case realm.BalanceFirst:
		return 0 // the first one stays it
	case realm.BalanceRoundRobin:
		return m.turn + m.weight
	case realm.BalanceLeast:
		// Among equals the device decides.
		return -float64(m.node.flight+1)/m.weight + float64(mix(key^m.seed)>>40)/(1<<25)/m.weight
	}
	u := (float64(mix(key^m.seed)>>11) + 0.5) / (1 << 53)
	if p.even {
		return u
	}
	return m.weight / -math.Log(u)
}

// pay is the other half of smooth weighted round robin: whoever could have been the one
// gains its weight, and who was it pays what all have gained.
func (p *pool) pay(at int, barred uint64, application uint32, priority uint8) {
	total := 0.0
	for i := range p.members {
		m := &p.members[i]
		if m.priority == p.members[at].priority && barred&(1<<i) == 0 && m.node.able() && m.node.serves(application) && !m.node.full(priority) {
			m.turn += m.weight
			total += m.weight
		}
	}
	p.members[at].turn -= total
}

// agent reports whether the peer may bring requests to others. One whose applications
// are written is a client or a server.
func (n *node) agent() bool { return n.peer.Applications == nil }

// full reports whether the peer has as many unanswered requests as it may. A request of
// a low priority is refused before that (RFC 7944 section 8).
//
// hot: 0 allocs
func (n *node) full(priority uint8) bool {
	most := n.peer.InFlight
	if most == 0 {
		most = defaultInFlight
	}
	return n.flight >= share(most, priority)
}

const defaultInFlight = 8192

// share is how much of a bound requests of a priority may use: 0, the highest, all of
// it, the default of 10 seven eighths, and 15 one half.
func share(most int, priority uint8) int {
	p := int(min(priority, 15))
	if p <= defaultPriority {
		return max(most-most*p/80, 1)
	}
	return max(most*7/8-most*3/8*(p-defaultPriority)/5, 1)
}

// defaultPriority is that of a request without a DRMP (RFC 7944 section 9.1).
const defaultPriority = 10
