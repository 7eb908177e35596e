package home

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// maxHomes bounds the indexes of one process, which are never used twice: a
// home counts again when its name or an address changes.
const maxHomes = 1<<16 - 1

// Home is a home server as one configuration has it. It is immutable but for
// its State, which all configurations share.
type Home struct {
	Spec   *realm.Home
	Secret *radius.Secret
	Addr   [kinds]udp.Addr
	State  [kinds]*State // shared by all configurations, and by two names of one server
	Index  int32
}

// Has reports whether the home has an address for the kind.
func (h *Home) Has(k Kind) bool { return h.addrPort(k).IsValid() }

// Health is the health to tell operators and Pick: that of the State unless
// the home is disabled.
func (h *Home) Health(k Kind) (Health, Cause) {
	if h.Spec.Disabled {
		return Down, Disabled
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
}

// Registry keeps what outlives a configuration: for each home, known by its
// name and addresses, an index and its health, so that requests in flight and
// what is known about a home survive a reload. Memory for a home that is gone
// is kept, as an index is never used again; there are 65,535 of them. It is
// safe for concurrent use.
type Registry struct {
	seed uint64

	mu     sync.Mutex // guards the rest
	index  map[homeKey]int32
	homes  []*Home // by index, as last compiled
	states []*[kinds]State
}

// NewRegistry returns an empty Registry. The seed turns the choice among
// equal homes: hubs in a row need different ones, and a hub that keeps its
// own over a restart keeps its devices where they were.
func NewRegistry(seed uint64) *Registry {
	return &Registry{seed: mix(seed + 1), index: make(map[homeKey]int32)}
}

// Compile returns the immutable View of a configuration. set is retained and
// must not change. Homes that it no longer has keep their index, and replies
// from their addresses are still attributed to them. On an error - two homes
// that a reply could not tell apart, more than 64 members in a pool, too many
// homes - everything stays as it was.
func (r *Registry) Compile(set *realm.Set) (*View, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := checkAddresses(set.Homes); err != nil {
		return nil, err
	}
	if err := checkPools(set); err != nil {
		return nil, err
	}
	if err := r.reserve(set.Homes); err != nil {
		return nil, err
	}
	v := &View{live: make([]*Home, 0, len(set.Homes))}
	for i := range set.Homes {
		v.live = append(v.live, r.home(&set.Homes[i]))
	}
	v.homes = append(v.homes, r.homes...)
	v.attribute()
	for _, h := range v.live {
		r.share(v, h)
	}
	v.compilePools(set, r.seed)
	return v, nil
}

// share gives a home its states: those of the home that replies from its
// address are attributed to.
func (r *Registry) share(v *View, h *Home) {
	for k := Auth; k < kinds; k++ {
		owner := h.Index
		if h.Has(k) {
			owner = v.from[h.Addr[k]].home
		}
		h.State[k] = &r.states[owner][k]
	}
}

// reserve checks that there are indexes for the new homes.
func (r *Registry) reserve(homes []realm.Home) error {
	wanted := len(r.homes)
	for i := range homes {
		if _, ok := r.index[keyOf(&homes[i])]; !ok {
			wanted++
		}
	}
	if wanted > maxHomes {
		return fmt.Errorf("numbering homes: %d homes since the start, limit %d: restart the process", wanted, maxHomes)
	}
	return nil
}

func keyOf(s *realm.Home) homeKey { return homeKey{s.Name, s.Auth, s.Acct} }

// home gives the home of a specification its index, and its secret of the
// last time if that is the same: the Monitor sees by the pointer that
// a secret was changed.
func (r *Registry) home(spec *realm.Home) *Home {
	key := keyOf(spec)
	i, ok := r.index[key]
	if !ok {
		i = int32(len(r.homes))
		r.index[key] = i
		r.homes = append(r.homes, nil)
		r.states = append(r.states, new([kinds]State))
	}
	h := &Home{Spec: spec, Index: i}
	if old := r.homes[i]; old != nil && bytes.Equal(old.Spec.Secret, spec.Secret) {
		h.Secret = old.Secret
	} else {
		h.Secret = radius.NewSecret(spec.Secret)
	}
	for k := Auth; k < kinds; k++ {
		if h.Has(k) {
			h.Addr[k] = udp.AddrFrom(h.addrPort(k))
		}
	}
	r.homes[i] = h
	return h
}

// checkAddresses refuses homes whose replies could not be told apart by their
// source. The same server under two names, wholly alike, is allowed.
func checkAddresses(homes []realm.Home) error {
	type use struct {
		home *realm.Home
		kind Kind
	}
	seen := make(map[udp.Addr]use)
	for i := range homes {
		h := &homes[i]
		for k, a := range [kinds]netip.AddrPort{Auth: h.Auth, Acct: h.Acct} {
			if !a.IsValid() {
				continue
			}
			addr := udp.AddrFrom(a)
			prev, ok := seen[addr]
			switch {
			case !ok:
				seen[addr] = use{h, Kind(k)}
			case prev.kind != Kind(k):
				return fmt.Errorf("%s: home %s: %s is the %s address of home %s already (%s)",
					h.Pos, h.Name, a, prev.kind, prev.home.Name, prev.home.Pos)
			case !alike(prev.home, h):
				return fmt.Errorf("%s: home %s: %s belongs to home %s already (%s), with another secret or other switches",
					h.Pos, h.Name, a, prev.home.Name, prev.home.Pos)
			}
		}
	}
	return nil
}

func alike(a, b *realm.Home) bool {
	return bytes.Equal(a.Secret, b.Secret) &&
		a.RequireMessageAuthenticator == b.RequireMessageAuthenticator &&
		a.StatusServer == b.StatusServer && a.Disabled == b.Disabled
}

func checkPools(set *realm.Set) error {
	for i := range set.Pools {
		if p := &set.Pools[i]; len(p.Members) > maxMembers {
			return fmt.Errorf("%s: pool %s: %d homes, limit %d", p.Pos, p.Name, len(p.Members), maxMembers)
		}
	}
	return nil
}
