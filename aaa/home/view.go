package home

import (
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// View is the homes and pools of one configuration. It is immutable, but for
// what the operator lets the homes do, and safe for concurrent use.
type View struct {
	homes []*Home // by index; those of earlier configurations too
	live  []*Home // of this configuration
	legs  []*Home // the same, and under their other addresses
	from  map[udp.Addr]source
	slots *slots // of homes that are found by DNS
	pools [kinds][]*Pool
}

type source struct {
	home int32
	line int32
	kind Kind
}

// Home returns the home of that index, nil if there never was one. Homes that
// the configuration no longer has are still found, for requests in flight.
// hot: 0 allocs
func (v *View) Home(i int32) *Home {
	if i < 0 || int(i) >= len(v.homes) {
		return nil
	}
	if h := v.homes[i]; h != nil {
		return h
	}
	return v.slots.home(i)
}

// Homes returns the homes of the configuration in its order, each under its
// first address. The slice must not be changed.
func (v *View) Homes() []*Home { return v.live }

// Legs returns the homes of the configuration under each of their addresses.
// The slice must not be changed.
func (v *View) Legs() []*Home { return v.legs }

// Pool returns pool i of the configuration as it serves the kind: without
// the members that have no address for it. It is nil if there is no pool i.
// hot: 0 allocs
func (v *View) Pool(i int32, k Kind) *Pool {
	if i < 0 || k >= kinds || int(i) >= len(v.pools[k]) {
		return nil
	}
	return v.pools[k][i]
}

// FromAddr says which home, asked for what, sends from the address.
// hot: 0 allocs
func (v *View) FromAddr(a udp.Addr) (home int32, kind Kind, ok bool) {
	s, ok := v.from[a]
	return s.home, s.kind, ok
}

// Line is the number of an address for IDs: the same for every home that has
// or had it, so that an identifier in use or at rest is not used again
// because its home has another name now.
// hot: 0 allocs
func (v *View) Line(a udp.Addr) (line int32, ok bool) {
	s, ok := v.from[a]
	return s.line, ok
}

// attribute fills from: homes of this configuration first, then those that
// are gone, each address to the oldest. That makes two names of one server
// one home for identifiers and health.
func (v *View) attribute() {
	v.from = make(map[udp.Addr]source, kinds*len(v.homes))
	for _, h := range v.legs {
		v.claim(h, func(s source) bool { return h.Index < s.home })
	}
	for _, h := range v.homes {
		if h != nil {
			v.claim(h, func(source) bool { return false })
		}
	}
}

func (v *View) claim(h *Home, before func(source) bool) {
	for k := Auth; k < kinds; k++ {
		if !h.Has(k) || h.Stream() {
			continue
		}
		if old, ok := v.from[h.Addr[k]]; !ok || before(old) {
			v.from[h.Addr[k]] = source{h.Index, h.Line[k], k}
		}
	}
}

// owns reports whether replies from the home's address are its own.
func (v *View) owns(h *Home, k Kind) bool {
	if h.Stream() {
		return true
	}
	s := v.from[h.Addr[k]]
	return s.home == h.Index && s.kind == k
}

func (r *Registry) compilePools(v *View, set *realm.Set) {
	for k := Auth; k < kinds; k++ {
		v.pools[k] = make([]*Pool, len(set.Pools))
		for i := range set.Pools {
			v.pools[k][i] = r.compilePool(v, &set.Pools[i], k)
		}
	}
}
