package file

import (
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

const (
	maxMembers = 64 // a set of members is one word
	maxWeight  = 65535
)

func (l *loader) pool(e *poolEntry) {
	if e.Pos.Line == 0 {
		return
	}
	p := realm.Pool{
		Name: strings.Clone(e.Name.v),
		Retransmit: choose(l, e.Pos, "retransmit", e.Retransmit, realm.RetransmitProxy,
			[]string{"proxy", "client"}, realm.RetransmitProxy, realm.RetransmitClient),
		Timers: l.timers(e.Pos, &e.Timers),
		Pos:    e.Pos,
	}
	p.Balance = choose(l, e.Pos, "balance", e.Balance, realm.BalanceDevice,
		[]string{"device", "round_robin", "least_outstanding", "first"},
		realm.BalanceDevice, realm.BalanceRoundRobin, realm.BalanceLeast, realm.BalanceFirst)
	p.Breaker = e.Breaker.v
	if p.Panic = e.Panic.v; p.Panic < 0 || p.Panic > 100 {
		l.fail(e.Panic.pos(e.Pos.File), "0 switches it off", "panic: %d is not in 0 to 100 percent", p.Panic)
	}
	p.Members = l.poolMembers(e)
	p.Group = l.poolGroup(e)
	slices.SortStableFunc(p.Members, func(a, b realm.Member) int {
		if a.Priority != b.Priority {
			return a.Priority - b.Priority
		}
		return strings.Compare(l.set.Homes[a.Home].Name, l.set.Homes[b.Home].Name)
	})
	if !l.name(e.Pos, e.Name) {
		return
	}
	if first, twice := l.pools[p.Name]; twice {
		l.twice(e.Name.pos(e.Pos.File), l.set.Pools[first].Pos, "pool", p.Name)
		return
	}
	l.pools[p.Name] = int32(len(l.set.Pools))
	l.set.Pools = append(l.set.Pools, p)
	l.members = append(l.members, e.Homes)
}

// poolGroup is the group of the homes, which have one: what may pass to a pool
// does not depend on which of them is well.
func (l *loader) poolGroup(e *poolEntry) *realm.Group {
	var first *realm.Home
	for i := range e.Homes {
		at, known := l.homes[e.Homes[i].Home.v]
		if !known {
			continue
		}
		h := &l.set.Homes[at]
		if first == nil {
			first = h
		} else if first.Group != h.Group {
			l.fail(e.Homes[i].Home.pos(e.Pos.File), "a pool has homes of one group", "home %s is of %s, home %s of %s",
				quote(h.Name), groupName(h.Group), quote(first.Name), groupName(first.Group))
			break
		}
	}
	if first == nil {
		return nil
	}
	return first.Group
}

func groupName(g *realm.Group) string {
	if g == nil {
		return "no group"
	}
	return "group " + quote(g.Name)
}

func (l *loader) poolMembers(e *poolEntry) []realm.Member {
	if len(e.Homes) == 0 {
		l.fail(e.Pos, "homes: [name, name]", "pool %s has no homes", quote(e.Name.v))
		return nil
	}
	if len(e.Homes) > maxMembers {
		l.fail(e.Homes[maxMembers].Home.pos(e.Pos.File), "", "pool %s has more than %d homes", quote(e.Name.v), maxMembers)
		return nil
	}
	var members []realm.Member
	seen := make(map[string]realm.Pos, len(e.Homes))
	good := true
	for i := range e.Homes {
		m, ok := l.member(e, &e.Homes[i], seen)
		good = good && ok
		if ok && m.Weight > 0 {
			members = append(members, m)
		}
	}
	if good && len(members) == 0 {
		l.fail(e.Pos, "give one of them a weight", "all homes of pool %s have weight 0", quote(e.Name.v))
	}
	return members
}

func (l *loader) member(e *poolEntry, m *memberEntry, seen map[string]realm.Pos) (realm.Member, bool) {
	if !m.Home.set() {
		return realm.Member{}, false
	}
	name, pos := m.Home.v, m.Home.pos(e.Pos.File)
	home, known := l.homes[name]
	first, twice := seen[name]
	seen[name] = pos
	good := true
	check := func(bad bool, pos realm.Pos, hint, format string, args ...any) {
		if bad {
			good = false
			l.fail(pos, hint, format, args...)
		}
	}
	if !known && l.partial {
		good = false
	} else if !known {
		check(true, pos, meant(name, l.homes, "add it under homes:"), "home %s does not exist", quote(name))
	}
	if twice {
		check(true, pos, "first at "+first.String(), "home %s stands twice in pool %s", quote(name), quote(e.Name.v))
	}
	check(m.Priority.v < 0 || m.Priority.v > maxWeight, m.Priority.pos(e.Pos.File), "lower is tried first", "the priority is not in 0 to %d", maxWeight)
	check(m.Weight.v < 0 || m.Weight.v > maxWeight, m.Weight.pos(e.Pos.File), "0 parks the home", "the weight is not in 0 to %d", maxWeight)
	return realm.Member{Home: home, Priority: m.Priority.v, Weight: m.Weight.v}, good
}

// meant is the hint for a name that does not exist.
func meant[V any](name string, known map[string]V, otherwise string) string {
	names := keysOf(known)
	slices.Sort(names) // one answer, however maps are ordered
	if n := nearest(name, names); n != "" {
		return "did you mean " + n + "?"
	}
	return otherwise
}
