package agent

import (
	"math"
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// atlas is one configuration as the walk uses it. A transaction keeps what it began
// with.
type atlas struct {
	set      *realm.Set
	identity string
	realm    string
	ways     []way // by Route.Index
	pools    []pool
	hosts    map[string]*node // by identity
}

// way is a route with its counters.
type way struct {
	route    *realm.Route
	deadline int64 // ns, 0: that of the application
	requests stat.ID
	results  *[numFamilies]stat.ID
	seconds  stat.ID
}

// The classes of results, for counters.
const (
	familyInformational = iota // 1xxx: another round
	familySuccess
	familyProtocol // 3xxx
	familyTransient
	familyPermanent
	familyOther
	numFamilies
)

var familyNames = [numFamilies]string{"informational", "success", "protocol_error", "transient_failure", "permanent_failure", "other"}

func familyOf(result uint32) int {
	if c := result/1000 - 1; c < familyOther {
		return int(c)
	}
	return familyOther
}

// own reports whether a folded realm is one of the agent's own.
//
// hot: 0 allocs
func (a *atlas) own(folded []byte) bool {
	return string(folded) == a.realm || a.set.Identity.Own != nil && a.set.Identity.Own.Allow(folded)
}

// newSnapshot makes what of a configuration does not need the loop: there can be very
// many routes.
func newSnapshot(set *realm.Set, stats *stat.Registry) *snapshot {
	s := &snapshot{set: set, ways: make([]way, len(set.Routes))}
	for i := range set.Routes {
		if r := &set.Routes[i]; r.Diameter != nil {
			s.ways[r.Index] = newWay(r, stats)
		}
	}
	return s
}

// newAtlas compiles a configuration. nodes are by index of Set.Peers, nil where there
// is none.
func newAtlas(identity, rlm string, snap *snapshot, nodes []*node) *atlas {
	set := snap.set
	a := &atlas{
		set: set, identity: identity, realm: rlm, ways: snap.ways,
		pools: make([]pool, len(set.Pools)), hosts: make(map[string]*node, len(nodes)),
	}
	for _, n := range nodes {
		if n != nil {
			a.hosts[n.peer.Identity] = n
		}
	}
	for i := range set.Pools {
		if p := &set.Pools[i]; p.Diameter {
			a.pools[i] = newPool(p, nodes)
		}
	}
	return a
}

func newPool(spec *realm.Pool, nodes []*node) pool {
	p := pool{spec: spec, even: true}
	for _, m := range spec.Members {
		if int(m.Home) >= len(nodes) || nodes[m.Home] == nil || len(p.members) == maxMembers {
			continue
		}
		n := nodes[m.Home]
		p.members = append(p.members, member{
			node: n, priority: m.Priority, weight: float64(max(m.Weight, 1)), seed: hash([]byte(n.peer.Name)),
		})
		p.even = p.even && p.members[0].weight == p.members[len(p.members)-1].weight
	}
	return p
}

func newWay(r *realm.Route, stats *stat.Registry) way {
	w := way{route: r, deadline: int64(r.Diameter.Deadline), results: new([numFamilies]stat.ID)}
	label := r.Label()
	w.requests = stats.CounterSparse("roamgate_diameter_routed_total", "Diameter requests that a route took, whatever became of them.", "route", label)
	for i, name := range familyNames {
		w.results[i] = stats.CounterSparse("roamgate_diameter_route_answers_total", "Answers to Diameter requests of a route that were passed on, by the class of their Result-Code.", "route", label, "result", name)
	}
	w.seconds = stats.HistogramSparse("roamgate_diameter_route_seconds", "Time from a Diameter request to its answer by a peer, by route.", stat.LatencyBounds, "route", label)
	return w
}

// The deadlines of applications, where a route has none.
const (
	usualDeadline      = int64(5 * time.Second)
	longDeadline       = int64(10 * time.Second) // somebody may be asked to type something
	accountingDeadline = int64(20 * time.Second)
)

// deadlineOf is how long an answer is waited for.
//
// hot: 0 allocs
func (w *way) deadlineOf(m *diameter.Header) int64 {
	if w != nil && w.deadline != 0 {
		return w.deadline
	}
	switch {
	case m.Command == diameter.Accounting:
		return accountingDeadline
	case m.Application == diameter.AppNASREQ, m.Application == diameter.AppEAP, m.Application == diameter.AppCredit,
		m.Application == diameter.AppSTa, m.Application == diameter.AppSWm:
		return longDeadline
	}
	return usualDeadline
}

const (
	// leastDeadline is what a peer has at least where others had the request before.
	leastDeadline = int64(time.Second)
	// farthest is when a transaction ends that nobody has set a deadline for.
	farthest = int64(5 * time.Minute)
)

const farAway = int64(math.MaxInt64)
