package home

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

const (
	// maxHomes bounds the indexes of one process: a home counts again when
	// its name or an address changes.
	maxHomes = 1<<16 - 1
	// rested is how long a home is gone before its index may be another's:
	// longer than any request to it, and than any conversation.
	rested = int64(time.Hour / time.Second)
)

// Home is a home server as one configuration has it, under one address. It is
// immutable but for its State, which all configurations share, and for what
// the operator lets it do.
type Home struct {
	Spec   *realm.Home // with this address, where it has several
	Secret *radius.Secret
	Addr   [kinds]udp.Addr
	State  [kinds]*State // shared by all configurations, and by two names of one server
	Load   [kinds]*Load  // nil where no balance asks for it
	Line   [kinds]int32  // of the address, for IDs
	Index  int32
	// TLS is what handshakes with the home are made with, nil: it has none. Verify
	// is to be asked in each.
	TLS *tls.Config
	// By has found the home, nil: it is one of the files.
	By *realm.Discovery
	// Idle is after how long a connection that carried nothing is closed, 0:
	// the last one stays.
	Idle time.Duration
	// Legs is the home under each of its addresses, this first; only the
	// first of a home has it.
	Legs []*Home

	inForce inForce
	slot    *atomic.Bool // of a home that was found: it is retired
}

// Stream reports whether the home is reached by connections.
// hot: 0 allocs
func (h *Home) Stream() bool { return h.Spec.Transport != realm.UDP }

// Has reports whether the home has an address for the kind.
func (h *Home) Has(k Kind) bool { return h.addrPort(k).Addr().IsValid() }

// Serves reports whether the home is meant to serve the kind: its name may
// have no address yet.
func (h *Home) Serves(k Kind) bool {
	port := h.Spec.AuthPort
	if k == Acct {
		port = h.Spec.AcctPort
	}
	return h.Has(k) || h.Spec.Host != "" && port != 0
}

// Health is the health to tell operators: that of the best of its addresses,
// unless the home is disabled or its name has none.
func (h *Home) Health(k Kind) (Health, Cause) {
	health, cause := h.HealthHere(k)
	for _, leg := range h.Legs {
		if other, why := leg.HealthHere(k); other < health {
			health, cause = other, why
		}
	}
	return health, cause
}

// HealthHere is the health under this address alone.
func (h *Home) HealthHere(k Kind) (Health, Cause) {
	switch {
	case h.Spec.Disabled, h.mode().Use == Off:
		return Down, Disabled
	case !h.Has(k) && h.Spec.Unfound != "":
		return Down, DNSError
	case !h.Has(k):
		return Down, Unresolved
	}
	return h.State[k].Health()
}

func (h *Home) addrPort(k Kind) netip.AddrPort {
	if k == Acct {
		return h.Spec.Acct
	}
	return h.Spec.Auth
}

type homeKey struct {
	name       string
	auth, acct netip.AddrPort
	transport  realm.Transport
}

// Registry keeps what outlives a configuration: for each home, known by its
// name and addresses, an index and its health, so that requests in flight and
// what is known about a home survive a reload; what the operator said of it;
// and which realms it leaves unanswered. What is kept of a home that is gone
// is given up when its index is needed. It is safe for concurrent use.
type Registry struct {
	seed    uint64
	shards  int
	breaker *Breaker
	wall    func() int64 // Unix seconds

	mu     sync.Mutex // guards the rest
	index  map[homeKey]int32
	homes  []*Home // by index, as last compiled
	states []*[kinds]State
	loads  map[[2]int32]*Load
	gone   map[int32]int64 // since when an index is in no configuration
	lines  lines
	modes  modes
	slots  *slots // nil: no configuration has discovered homes
	view   *View  // as last compiled
}

// NewRegistry returns an empty Registry. The seed turns the choice among
// equal homes: hubs in a row need different ones, and a hub that keeps its
// own over a restart keeps its devices where they were.
func NewRegistry(seed uint64) *Registry {
	return &Registry{
		seed: mix(seed + 1), shards: 1, breaker: NewBreaker(), wall: func() int64 { return time.Now().Unix() },
		index: make(map[homeKey]int32), loads: make(map[[2]int32]*Load), gone: make(map[int32]int64),
		lines: lines{of: make(map[udp.Addr]*lineUse)},
		modes: modes{hand: make(map[string]Mode), now: make(map[string]Mode)},
	}
}

// Share says how many shards choose homes. It is to be called before Compile,
// and needed only if they are more than one.
func (r *Registry) Share(shards int) { r.shards = shards }

// Breaker returns the Breaker of all pools that have one.
func (r *Registry) Breaker() *Breaker { return r.breaker }

// Compile returns the immutable View of a configuration. set is retained and
// must not change. Homes that it no longer has keep their index, and replies
// from their addresses are still attributed to them. On an error - two homes
// that a reply could not tell apart, more than 64 members in a pool, too many
// homes - everything stays as it was.
func (r *Registry) Compile(set *realm.Set) (*View, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	legs, err := checkAddresses(set.Homes)
	if err != nil {
		return nil, err
	}
	if err := checkPools(set); err != nil {
		return nil, err
	}
	wall := r.wall()
	if err := r.reserve(legs, wall); err != nil {
		return nil, err
	}
	v := &View{live: make([]*Home, 0, len(set.Homes))}
	for i := range legs {
		for _, spec := range legs[i] {
			v.legs = append(v.legs, r.home(spec))
		}
		mine := v.legs[len(v.legs)-len(legs[i]):]
		mine[0].Legs = mine
		v.live = append(v.live, mine[0])
	}
	r.rediscover(set, wall)
	v.homes, v.slots = append(v.homes, r.homes...), r.slots
	v.attribute()
	for _, h := range v.legs {
		r.share(v, h)
	}
	r.retire(v, wall)
	r.view = v
	r.govern(v, wall)
	r.compilePools(v, set)
	return v, nil
}

// share gives a home its states: those of the home that replies from its
// address are attributed to.
func (r *Registry) share(v *View, h *Home) {
	for k := Auth; k < kinds; k++ {
		owner := h.Index
		if h.Has(k) && !h.Stream() {
			owner = v.from[h.Addr[k]].home
		}
		h.State[k] = &r.states[owner][k]
		h.Load[k] = r.loads[[2]int32{owner, int32(k)}]
	}
}

// load counts what is at a home from now on.
func (r *Registry) load(h *Home, k Kind) *Load {
	at := [2]int32{h.Index, int32(k)}
	if r.loads[at] == nil {
		r.loads[at] = newLoad(r.shards)
	}
	h.Load[k] = r.loads[at]
	return h.Load[k]
}

// reserve checks that there are indexes for the new homes, and keeps those
// that come back from being another's.
func (r *Registry) reserve(legs [][]*realm.Home, wall int64) error {
	wanted, back := len(r.homes), map[int32]bool{}
	for i := range legs {
		for _, spec := range legs[i] {
			if at, ok := r.index[keyOf(spec)]; ok {
				back[at] = true
			} else {
				wanted++
			}
		}
	}
	for i, at := range r.gone {
		if wanted > maxHomes && !back[i] && wall-at >= rested {
			wanted--
		}
	}
	if wanted > maxHomes {
		return fmt.Errorf("numbering homes: more than %d homes within an hour: wait, or restart the process", maxHomes)
	}
	for i := range back {
		delete(r.gone, i)
	}
	return nil
}

func keyOf(s *realm.Home) homeKey { return homeKey{s.Name, s.Auth, s.Acct, s.Transport} }

// home gives the home of a specification its index, and its secret of the
// last time if that is the same: the Monitor sees by the pointer that
// a secret was changed.
func (r *Registry) home(spec *realm.Home) *Home {
	key := keyOf(spec)
	i, ok := r.index[key]
	if !ok {
		i = r.number()
		r.index[key] = i
		for _, a := range []netip.AddrPort{spec.Auth, spec.Acct} {
			if a.Addr().IsValid() && spec.Transport == realm.UDP {
				r.lines.use(udp.AddrFrom(a))
			}
		}
	}
	h := &Home{Spec: spec, Index: i}
	if old := r.homes[i]; old != nil && bytes.Equal(old.Spec.Secret, spec.Secret) {
		h.Secret = old.Secret
	} else {
		secret := spec.Secret
		if fixed := spec.Transport.Secret(); fixed != nil {
			secret = fixed
		}
		h.Secret = radius.NewSecret(secret)
	}
	for k := Auth; k < kinds; k++ {
		if h.Has(k) {
			h.Addr[k] = addrOf(h.addrPort(k))
			if !h.Stream() {
				h.Line[k] = r.lines.of[h.Addr[k]].line
			}
		}
	}
	h.secure(r.homes[i])
	r.homes[i] = h
	return h
}

// number gives a new index, or that of the home that is gone longest.
func (r *Registry) number() int32 {
	if len(r.homes) < maxHomes {
		r.homes = append(r.homes, nil)
		r.states = append(r.states, new([kinds]State))
		return int32(len(r.homes) - 1)
	}
	oldest, since := int32(-1), int64(0)
	for i, at := range r.gone {
		if oldest < 0 || at < since {
			oldest, since = i, at
		}
	}
	h := r.homes[oldest]
	delete(r.gone, oldest)
	delete(r.index, keyOf(h.Spec))
	for k := Auth; k < kinds; k++ {
		delete(r.loads, [2]int32{oldest, int32(k)})
		if h.Has(k) && !h.Stream() {
			r.lines.leave(h.Addr[k])
		}
	}
	r.homes[oldest], r.states[oldest] = nil, new([kinds]State)
	return oldest
}

func addrOf(a netip.AddrPort) udp.Addr { return udp.AddrFrom(a) }

// retire notes which homes are in the configuration no longer.
func (r *Registry) retire(v *View, wall int64) {
	live := make(map[int32]bool, len(v.legs))
	for _, h := range v.legs {
		live[h.Index] = true
	}
	for _, i := range r.index {
		if _, known := r.gone[i]; !known && !live[i] {
			r.gone[i] = wall
		}
	}
}

// lines number the addresses of homes.
type lines struct {
	of   map[udp.Addr]*lineUse
	next int32
	free [2][]int32 // by family, as a line keeps to the sockets of one
}

type lineUse struct {
	line  int32
	homes int // that have or had the address
}

func (l *lines) use(a udp.Addr) {
	if u := l.of[a]; u != nil {
		u.homes++
		return
	}
	free := &l.free[family4(a.V4)]
	u := &lineUse{line: l.next, homes: 1}
	if n := len(*free); n > 0 {
		u.line, *free = (*free)[n-1], (*free)[:n-1]
	} else {
		l.next++
	}
	l.of[a] = u
}

func (l *lines) leave(a udp.Addr) {
	u := l.of[a]
	if u.homes--; u.homes == 0 {
		delete(l.of, a)
		free := &l.free[family4(a.V4)]
		*free = append(*free, u.line)
	}
}

func family4(v4 bool) int {
	if v4 {
		return 0
	}
	return 1
}
