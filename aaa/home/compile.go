package home

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// compilePool resolves members to the home that replies from their address
// are attributed to: the same server under two names is one member, with the
// better priority and its weight. The further addresses of a home stand
// behind its first, as far as there is room.
func (r *Registry) compilePool(v *View, spec *realm.Pool, k Kind) *Pool {
	p := &Pool{Spec: spec, Timers: Timers(spec.Timers), even: true}
	if spec.Diameter {
		return p // of peers: the agent's
	}
	if spec.Breaker {
		p.breaker = r.breaker
	}
	pool := mix(r.seed ^ hashName(spec.Name))
	room := maxMembers - len(spec.Members)
	for _, m := range spec.Members {
		h := v.live[m.Home]
		if h.Spec.Disabled {
			continue
		}
		first := len(p.members)
		for _, leg := range h.Legs {
			further := len(p.members) > first
			if !leg.Has(k) || further && room == 0 {
				continue
			}
			owner := leg
			if !leg.Stream() {
				owner = v.homes[v.from[leg.Addr[k]].home]
			}
			if p.Bit(owner.Index) != 0 {
				continue
			}
			if further {
				room--
			}
			p.members = append(p.members, member{
				state: owner.State[k], spec: h, home: owner.Index,
				tier: int32(m.Priority), weight: float64(max(m.Weight, 1)),
				seed: mix(pool ^ hashName(owner.Spec.Name)),
			})
			last := &p.members[len(p.members)-1]
			if further {
				last.seed = p.members[first].seed // it keeps its devices under another address
			}
			p.even = p.even && p.members[0].weight == last.weight
			if spec.Balance == realm.BalanceLeast {
				last.load = r.load(owner, k)
			}
		}
	}
	slices.SortStableFunc(p.members, func(a, b member) int { return cmp.Compare(a.tier, b.tier) })
	p.number()
	p.remember(r.shards)
	p.govern()
	return p
}

// number sets what follows from the order of the members.
func (p *Pool) number() {
	for i := range p.members {
		m := &p.members[i]
		m.first = i
		if i > 0 && p.members[i-1].spec == m.spec {
			m.first = p.members[i-1].first
			p.later |= 1 << i
		}
		p.every |= 1 << i
	}
}

// legsOf gives a home's specification for each of its addresses; one without
// an address where its name has none yet.
func legsOf(spec *realm.Home) []*realm.Home {
	if len(spec.Found) == 0 {
		return []*realm.Home{spec}
	}
	legs := make([]*realm.Home, 0, len(spec.Found))
	for _, a := range spec.Found {
		leg := *spec
		leg.Auth, leg.Acct = netip.AddrPort{}, netip.AddrPort{}
		if spec.AuthPort != 0 {
			leg.Auth = netip.AddrPortFrom(a.Unmap(), spec.AuthPort)
		}
		if spec.AcctPort != 0 {
			leg.Acct = netip.AddrPortFrom(a.Unmap(), spec.AcctPort)
		}
		legs = append(legs, &leg)
	}
	return legs
}

// uses are the addresses of a configuration.
type uses map[udp.Addr]use

type use struct {
	home *realm.Home
	kind Kind
}

// check refuses a home whose replies could not be told from another's by
// their source. The same server under two names, wholly alike, is allowed.
// Replies over connections come by the connection.
func (u uses) check(h *realm.Home) error {
	if h.Transport != realm.UDP {
		return nil
	}
	addrs := [kinds]netip.AddrPort{Auth: h.Auth, Acct: h.Acct}
	for k, a := range addrs {
		if !a.IsValid() {
			continue
		}
		prev, ok := u[udp.AddrFrom(a)]
		switch {
		case Kind(k) == Acct && a == addrs[Auth]:
			prev = use{h, Auth}
			fallthrough
		case ok && prev.kind != Kind(k):
			return fmt.Errorf("%s: home %s: %s is the %s address of home %s already (%s)",
				h.Pos, h.Name, a, prev.kind, prev.home.Name, prev.home.Pos)
		case ok && !alike(prev.home, h):
			return fmt.Errorf("%s: home %s: %s belongs to home %s already (%s), with another secret or other switches",
				h.Pos, h.Name, a, prev.home.Name, prev.home.Pos)
		}
	}
	for k, a := range addrs {
		if _, ok := u[udp.AddrFrom(a)]; a.IsValid() && !ok {
			u[udp.AddrFrom(a)] = use{h, Kind(k)}
		}
	}
	return nil
}

func alike(a, b *realm.Home) bool {
	return bytes.Equal(a.Secret, b.Secret) &&
		a.RequireMessageAuthenticator == b.RequireMessageAuthenticator &&
		a.StatusServer == b.StatusServer && a.Disabled == b.Disabled
}

// checkAddresses checks the addresses that are written, and gives those that
// names have: one that another home has already is left out, as DNS must not
// be able to make a configuration bad.
func checkAddresses(homes []realm.Home) (legs [][]*realm.Home, err error) {
	seen := make(uses, kinds*len(homes))
	legs = make([][]*realm.Home, len(homes))
	for i := range homes {
		legs[i] = legsOf(&homes[i])
		for _, leg := range legs[i] {
			if leg.Host != "" {
				continue
			}
			if err := seen.check(leg); err != nil {
				return nil, err
			}
		}
	}
	for i := range homes {
		if homes[i].Host == "" || len(homes[i].Found) == 0 {
			continue
		}
		legs[i] = slices.DeleteFunc(legs[i], func(leg *realm.Home) bool { return seen.check(leg) != nil })
		if len(legs[i]) == 0 {
			none := homes[i]
			none.Found, none.Unfound = nil, takenAddress
			legs[i] = append(legs[i], &none)
		}
	}
	return legs, nil
}

// takenAddress is why a name has no address where DNS gives it another
// home's.
const takenAddress = "its addresses are those of other homes"

func checkPools(set *realm.Set) error {
	for i := range set.Pools {
		if p := &set.Pools[i]; len(p.Members) > maxMembers {
			return fmt.Errorf("%s: pool %s: %d homes, limit %d", p.Pos, p.Name, len(p.Members), maxMembers)
		}
	}
	return nil
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
