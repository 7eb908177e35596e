package home

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// Homes that were found by DNS (RFC 7585).
//
// A Registry whose configuration has a realm.Discovery keeps a fixed row of
// slots behind its homes. They have indexes as homes have, the same in every
// View, so that a request in flight needs to know nothing of them; View.Home
// gives the home that stands in a slot now. Whoever has found the homes of a
// realm
//
//   - asks Discover for the home of each target. The same target has the same
//     home, however many realms it serves, as long as they expect the same
//     Holder. until is when its TTL ends, and each call may move it on.
//   - builds a Pool of them with FoundPool, and keeps it for as long as the
//     answer of DNS holds. It is used like any other, by any shard.
//
// At until a home retires: it is given no request any more, conversations that
// have begun at it go on, its connections close when what is under way is
// answered. Its slot rests longer than a request can take before another home
// stands there. A Pool that outlives its homes finds none (NoMember).
//
// A reload keeps the homes of a Discovery that is still there, with its new
// credential, trust and filters, and retires those of one that is gone, or that
// names other tags, ports or private prefixes; a cache of what was found is to
// be kept and dropped by the same rule, SameDiscovery.

const (
	// maxFound is the number of slots of a Registry.
	maxFound = 1024
	// peersOf is what one Discovery may have of them where it does not say.
	peersOf = 256
	// foundPatience is the longest a request may be kept for homes that were
	// found, and slotRest how long a slot rests: nothing refers to it then.
	foundPatience = time.Minute
	slotRest      = int64(2 * foundPatience / time.Second)
)

// Dynamic is the name of every home that was found, for metrics and logs.
const Dynamic = "dynamic"

// Target is a home server that was found.
type Target struct {
	Addr netip.AddrPort
	// Host is the name that its address was found by, "" unknown. It is asked
	// for in the handshake.
	Host string
	// Holder says whose certificate it must show.
	Holder *realm.Holder
	// Found by, with its credential, trust and filters.
	By *realm.Discovery
}

// ErrCrowded is that there is no slot for one more home.
var ErrCrowded = errors.New("as many homes have been found as may be connected at a time")

// slots are the homes that were found. The array never changes once it is
// made, so that shards read it without a lock.
type slots struct {
	first int32
	at    []atomic.Pointer[Home]
	info  []slotInfo // guarded by Registry.mu
}

type slotInfo struct {
	target Target
	until  int64 // Unix seconds
	gone   int64 // since when it is retired, 0: it is not
}

// home gives what stands in a slot, nil: nothing ever did.
func (s *slots) home(i int32) *Home {
	if s == nil || i < s.first || int(i-s.first) >= len(s.at) {
		return nil
	}
	return s.at[i-s.first].Load()
}

// Discover gives the home of a target, until a time in Unix seconds, or later
// where it was asked for longer before.
func (r *Registry) Discover(t Target, until int64) (*Home, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.slots
	if s == nil || t.By == nil {
		return nil, errors.New("the configuration discovers no homes")
	}
	if !t.Addr.IsValid() || t.Addr.Port() == 0 {
		return nil, fmt.Errorf("%s is no address of a home", t.Addr)
	}
	wall := r.wall()
	free, peers := -1, 0
	for i := range s.info {
		at := &s.info[i]
		switch h := s.at[i].Load(); {
		case h == nil:
		case at.gone == 0:
			if at.target.is(&t) {
				if until >= at.until {
					at.until = until
					h.retry()
				}
				return h, nil
			}
			if at.target.By.Name == t.By.Name {
				peers++
			}
			continue
		case wall-at.gone < slotRest:
			continue
		}
		if free < 0 {
			free = i
		}
	}
	if free < 0 || peers >= cmp.Or(t.By.Peers, peersOf) {
		return nil, ErrCrowded
	}
	h := found(&t, s.first+int32(free))
	for k := range h.State {
		h.State[k] = new(State)
	}
	h.secure(nil)
	s.info[free] = slotInfo{target: t, until: until}
	s.at[free].Store(h)
	return h, nil
}

// retry has a home used that could not be reached: what DNS says now holds
// anew (RFC 7585 section 2.1.1.2).
func (h *Home) retry() {
	for _, s := range h.State {
		s.reach.cut.Store(0)
	}
}

// is says whether both are one home.
func (t *Target) is(o *Target) bool {
	return t.Addr == o.Addr && t.Host == o.Host && t.By.Name == o.By.Name && sameHolder(t.Holder, o.Holder)
}

func sameHolder(a, b *realm.Holder) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Anyone == b.Anyone && slices.Equal(a.Realms, b.Realms) && slices.Equal(a.Hosts, b.Hosts) &&
		slices.Equal(a.Addrs, b.Addrs) && slices.Equal(a.Operator, b.Operator)
}

// found makes the home of a target. Its states are for the caller to give.
func found(t *Target, index int32) *Home {
	by := t.By
	spec := &realm.Home{
		Name: Dynamic, Auth: t.Addr, Acct: t.Addr, Host: t.Host, Secret: realm.TLS.Secret(),
		Group: by.Group, Realms: by.Realms, In: by.In, Out: by.Out,
		Transport: realm.TLS, Security: by.Security, Holder: t.Holder, Pos: by.Pos,
	}
	h := &Home{Spec: spec, By: by, Index: index, Secret: radius.NewSecret(spec.Secret), Idle: cmp.Or(by.Idle, foundIdle), slot: new(atomic.Bool)}
	for k := Auth; k < kinds; k++ {
		h.Addr[k] = addrOf(t.Addr)
	}
	return h
}

// foundIdle is after how long a connection that carried nothing is closed.
const foundIdle = 10 * time.Minute

// Found reports whether the home was found by DNS, Retired that it is given no
// request any more.
func (h *Home) Found() bool { return h.slot != nil }

// Retired reports whether the home was found and its time is over.
// hot: 0 allocs
func (h *Home) Retired() bool { return h.slot != nil && h.slot.Load() }

// FoundMember is a home with the priority and weight of its SRV record.
type FoundMember struct {
	Home     *Home
	Priority int
	Weight   int // 0 is seldom, not never (RFC 2782)
}

// FoundPool makes a Pool of homes that were found, for one kind of request. It
// has at most 64 members; further ones, which are the worst, are left out.
func (r *Registry) FoundPool(by *realm.Discovery, k Kind, members []FoundMember) *Pool {
	timers := by.Timers
	if timers.MRD <= 0 || timers.MRD > foundPatience {
		timers.MRD = foundPatience
	}
	spec := &realm.Pool{Name: by.Name, Timers: timers, Breaker: by.Breaker, Group: by.Group, Pos: by.Pos}
	p := &Pool{Spec: spec, Timers: Timers(timers), even: true, found: true}
	if spec.Breaker {
		p.breaker = r.breaker
	}
	pool := mix(r.seed ^ hashName(spec.Name))
	members = slices.Clone(members)
	slices.SortStableFunc(members, func(a, b FoundMember) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, m := range members[:min(len(members), maxMembers)] {
		if p.Bit(m.Home.Index) != 0 {
			continue
		}
		p.members = append(p.members, member{
			state: m.Home.State[k], spec: m.Home, home: m.Home.Index,
			tier: int32(m.Priority), weight: max(float64(m.Weight), 1.0/64),
			seed: mix(pool ^ hashName(m.Home.Spec.Auth.String())),
		})
		p.even = p.even && p.members[0].weight == p.members[len(p.members)-1].weight
	}
	p.number()
	p.remember(r.shards)
	return p
}

// retired are the members that are given nothing new.
func (p *Pool) retired() (mask uint64) {
	for i := range p.members {
		if p.members[i].spec.Retired() {
			mask |= 1 << i
		}
	}
	return mask
}

// SameDiscovery says whether what one configuration has found holds for
// another.
func SameDiscovery(a, b *realm.Discovery) bool {
	return a.Name == b.Name && slices.Equal(a.Auth, b.Auth) && slices.Equal(a.Acct, b.Acct) && a.SRV == b.SRV &&
		a.Hosts == b.Hosts && a.Public == b.Public && slices.Equal(a.Private, b.Private) && slices.Equal(a.Ports, b.Ports)
}

// rediscover takes a configuration over: the homes of its discoveries stay, with
// what is new of them, and the others retire.
func (r *Registry) rediscover(set *realm.Set, wall int64) {
	if r.slots == nil && len(set.Discoveries) > 0 {
		r.slots = &slots{first: int32(len(r.homes)), at: make([]atomic.Pointer[Home], maxFound), info: make([]slotInfo, maxFound)}
		r.homes = append(r.homes, make([]*Home, maxFound)...)
		r.states = append(r.states, make([]*[kinds]State, maxFound)...)
	}
	if r.slots == nil {
		return
	}
	for i := range r.slots.info {
		at, h := &r.slots.info[i], r.slots.at[i].Load()
		if h == nil || at.gone != 0 {
			continue
		}
		n := slices.IndexFunc(set.Discoveries, func(d *realm.Discovery) bool { return SameDiscovery(d, at.target.By) })
		if n < 0 {
			r.retireSlot(i, wall)
			continue
		}
		at.target.By = set.Discoveries[n]
		next := found(&at.target, h.Index)
		next.State, next.slot = h.State, h.slot
		next.secure(h)
		r.slots.at[i].Store(next)
	}
}

// retireFound ends the homes whose time is over.
func (r *Registry) retireFound(wall int64) {
	if r.slots == nil {
		return
	}
	for i := range r.slots.info {
		at := &r.slots.info[i]
		if at.gone == 0 && at.until <= wall && r.slots.at[i].Load() != nil {
			r.retireSlot(i, wall)
		}
	}
}

func (r *Registry) retireSlot(i int, wall int64) {
	r.slots.info[i].gone = wall
	r.slots.at[i].Load().slot.Store(true)
}

// FoundHomes gives the homes that were found and are not retired.
func (v *View) FoundHomes() (all []*Home) {
	if v.slots == nil {
		return nil
	}
	for i := range v.slots.at {
		if h := v.slots.at[i].Load(); h != nil && !h.Retired() {
			all = append(all, h)
		}
	}
	return all
}

// Slots gives the indexes of the homes that can be found: from first, n of
// them.
func (v *View) Slots() (first int32, n int) {
	if v.slots == nil {
		return 0, 0
	}
	return v.slots.first, len(v.slots.at)
}
