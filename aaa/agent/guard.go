package agent

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/screen"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// guard decides whether a request may go on: by screening as soon as it is parsed, and
// by the device policy and steering once it has a route. It belongs to the loop.
type guard struct {
	identity, realm string
	screen          *screen.Screen // made by the first request, which tells the time
	base            *realm.Screening
	set             *realm.Set
	policy          *device.Table // nil: no route enables the policy
	steers          *steers       // nil: no route steers
	registry        *stat.Registry
	broken          map[*realm.Screening]*ruleCounters
	steered         map[*realm.Steering]*steerCounters
	memory          memory
	// folded and visited are where names of a request are folded to.
	folded, visited [nai.MaxLen]byte
}

// ruleCounters count broken rules by what became of the request.
type ruleCounters [realm.NumScreenRules][realm.ScreenAnswer + 1]*stat.AtomicCounter

func newGuard(c *Config, r *Rooms, set *realm.Set) *guard {
	g := &guard{
		identity: strings.ToLower(c.Identity), realm: strings.ToLower(c.Realm), policy: r.Policy, registry: r.Stats,
		base: realm.BaseScreening(),
	}
	g.memory.register(r.Stats)
	g.apply(set)
	return g
}

// memory is what the guard remembers, a second ago at most. It is gone with the process:
// after a start rules that learn only detect, and devices are steered anew.
type memory struct{ subscribers, steered, learning atomic.Int64 }

func (m *memory) register(r *stat.Registry) {
	if r == nil {
		return
	}
	of := func(what string, n *atomic.Int64) {
		r.GaugeFunc("roamgate_diameter_remembered", "What is remembered in this process: subscribers by screening, devices in networks by steering.",
			func() float64 { return float64(n.Load()) }, "by", what)
	}
	of("screening", &m.subscribers)
	of("steering", &m.steered)
	r.GaugeFunc("roamgate_diameter_learning_seconds", "How long screening's rules that learn only detect from now on, 0: they do what their mode says.",
		func() float64 { return float64(m.learning.Load()) })
}

// tell brings memory up to date.
func (g *guard) tell(now int64) {
	if g.screen != nil {
		g.memory.subscribers.Store(int64(g.screen.Len()))
		g.memory.learning.Store(int64(g.screen.Learning(now) / time.Second))
	}
	used := 0
	if g.steers != nil {
		used = g.steers.used
	}
	g.memory.steered.Store(int64(used))
}

// apply takes the configuration of from now on.
func (g *guard) apply(set *realm.Set) {
	g.set = set
	g.broken = make(map[*realm.Screening]*ruleCounters)
	g.steered = make(map[*realm.Steering]*steerCounters)
	for i := range set.Peers {
		g.count(set.Screened(&set.Peers[i], g.base))
	}
	room := 0
	for _, s := range set.Steerings {
		g.steered[s] = newSteerCounters(g.registry, s.Name)
		room = max(room, s.Devices)
	}
	if g.steers = g.steers.resized(room); g.screen != nil {
		g.screen.Apply(set)
	}
}

// count makes the counters of a screening.
func (g *guard) count(s *realm.Screening) {
	if g.broken[s] != nil || g.registry == nil {
		return
	}
	c := new(ruleCounters)
	for r := range realm.NumScreenRules {
		for mode := realm.ScreenDetect; mode <= realm.ScreenAnswer; mode++ {
			c[r][mode] = g.registry.Atomic("roamgate_diameter_screened_total",
				"Rules of screening that Diameter requests broke, by the mode that the rule had.",
				"screening", s.Name, "rule", r.String(), "mode", mode.String())
		}
	}
	g.broken[s] = c
}

// disposition is what becomes of a request.
type disposition uint8

const (
	passed   disposition = iota // it goes on
	dropped                     // no answer, as if it had never come
	refused                     // the verdict is the answer
	deferred                    // PolicyReady of the asked's waiter comes; ask again then
)

// verdict is what a guard says of a request.
type verdict struct {
	disposition disposition
	// result is the Result-Code of the answer, or with a vendor its
	// Experimental-Result-Code.
	result, vendor uint32
	// why is of the closed sets of realm.ScreenRule and device.Reason, or "steered": a
	// label of counters.
	why string
}

// mark is what a transaction keeps of a request for the guard, which learns from the
// answer. The zero mark is of a request that nothing is learned from.
type mark struct {
	seen  screen.Seen
	steer steerMark
}

// asked is a request with its route, for the device policy.
type asked struct {
	m      *diameter.Message
	peer   int32 // that it came from: index into Set.Peers
	client *realm.Client
	route  *realm.Route
	now    int64 // monotonic, ns
	wall   int64 // Unix seconds
	// waited says that PolicyReady has come: nothing is deferred a second time.
	waited bool
	// waiter and token are for device.Table.Fetch. PolicyReady comes from another
	// goroutine.
	waiter device.Waiter
	token  uint64
	mark   mark // set by screened, changed by police; the transaction keeps it
}

// screened judges a request from a peer before anything else is done with it.
//
// hot: 0 allocs
func (g *guard) screened(q *asked) verdict {
	if g.screen == nil {
		g.screen = screen.New(g.identity, g.realm, g.base, q.now)
		g.screen.Apply(g.set)
	}
	f := g.screen.Judge(q.peer, q.m, q.now)
	q.mark = mark{seen: f.Seen}
	if f.Broken == 0 {
		return verdict{}
	}
	g.note(&f, q.now)
	v := verdict{result: f.Result, vendor: f.Vendor, why: f.Rule.String()}
	switch f.Mode {
	case realm.ScreenDrop:
		v.disposition = dropped
	case realm.ScreenAnswer:
		v.disposition = refused
	default:
		return verdict{}
	}
	return v
}

// note counts each broken rule with what it did.
func (g *guard) note(f *screen.Found, now int64) {
	c := g.broken[f.Rules]
	if c == nil {
		return
	}
	for r := range realm.NumScreenRules {
		if f.Broken&(1<<r) != 0 {
			c[r][g.screen.ModeOf(f, r, now)].Add(1)
		}
	}
}

// explainScreening names the rules that a request of a peer breaks, each with its mode.
func (g *guard) explainScreening(q *asked) (broken []string) {
	s := g.screen
	if s == nil {
		s = screen.New(g.identity, g.realm, g.base, q.now)
		s.Apply(g.set)
	}
	f := s.Peek(q.peer, q.m, q.now)
	for r := range realm.NumScreenRules {
		if f.Broken&(1<<r) != 0 {
			broken = append(broken, r.String()+": "+s.ModeOf(&f, r, q.now).String())
		}
	}
	return broken
}

// answered learns from the answer to a request that was forwarded.
//
// hot: 0 allocs
func (g *guard) answered(k mark, ok bool, now int64) {
	if ok && g.screen != nil {
		g.screen.Learn(k.seen, now)
	}
	g.steers.answered(k.steer, ok, now)
}
