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
	l.poolOf(e, &p)
	slices.SortStableFunc(p.Members, func(a, b realm.Member) int {
		if a.Priority != b.Priority {
			return a.Priority - b.Priority
		}
		return strings.Compare(l.memberName(&p, a), l.memberName(&p, b))
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
	l.ofPeers = append(l.ofPeers, p.Diameter)
}

// poolOf reads the members of a pool: homes, or peers.
func (l *loader) poolOf(e *poolEntry, p *realm.Pool) {
	if p.Diameter = len(e.Peers) > 0; !p.Diameter {
		p.Members, p.Group = l.poolMembers(e), l.poolGroup(e)
		return
	}
	file := e.Pos.File
	if len(e.Homes) > 0 {
		l.fail(e.Peers[0].Peer.pos(file), "write two pools: homes speak RADIUS, peers Diameter", "pool %s has homes and peers", quote(e.Name.v))
		return
	}
	for _, key := range []struct {
		name string
		pos  realm.Pos
	}{
		{"retransmit", e.Retransmit.pos(file)}, {"irt", e.Timers.IRT.pos(file)}, {"mrt", e.Timers.MRT.pos(file)}, {"mrd", e.Timers.MRD.pos(file)},
		{"mrc", e.Timers.MRC.pos(file)}, {"panic", e.Panic.pos(file)}, {"breaker", e.Breaker.pos(file)},
	} {
		if key.pos.Line > 0 {
			l.warn(key.pos, "remove it", "%s has no effect in pool %s of peers", key.name, quote(e.Name.v))
		}
	}
	p.Members, p.Group = l.poolPeers(e)
}

// poolPeers is poolMembers and poolGroup for peers.
func (l *loader) poolPeers(e *poolEntry) (members []realm.Member, group *realm.Group) {
	if len(e.Peers) > maxMembers {
		l.fail(e.Peers[maxMembers].Peer.pos(e.Pos.File), "", "pool %s has more than %d peers", quote(e.Name.v), maxMembers)
		return nil, nil
	}
	seen := make(map[string]realm.Pos, len(e.Peers))
	var first *realm.Peer
	good := true
	for i := range e.Peers {
		m := &e.Peers[i]
		member, ok := l.memberOf(e, "peer", l.peers, at[string](m.Peer), m.Priority, m.Weight, seen)
		if good = good && ok; !ok {
			continue
		}
		if member.Weight > 0 {
			members = append(members, member)
		}
		p := &l.set.Peers[member.Home]
		if first == nil {
			first, group = p, p.Group
		} else if p.Group != group {
			l.fail(m.Peer.pos(e.Pos.File), "a pool has peers of one group", "peer %s is of %s, peer %s of %s",
				quote(p.Name), groupName(p.Group), quote(first.Name), groupName(group))
			return nil, nil
		}
	}
	if good && len(members) == 0 {
		l.fail(e.Pos, "give one of them a weight", "all peers of pool %s have weight 0", quote(e.Name.v))
	}
	return members, group
}

func (l *loader) memberName(p *realm.Pool, m realm.Member) string {
	if p.Diameter {
		return l.set.Peers[m.Home].Name
	}
	return l.set.Homes[m.Home].Name
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
		l.fail(e.Pos, "homes: [name, name], or for Diameter peers: [name, name]", "pool %s has no homes", quote(e.Name.v))
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
	return l.memberOf(e, "home", l.homes, m.Home, m.Priority, m.Weight, seen)
}

// memberOf reads a member, of one kind or the other.
func (l *loader) memberOf(e *poolEntry, kind string, all map[string]int32, of at[string], priority, weight at[int], seen map[string]realm.Pos) (realm.Member, bool) {
	if !of.set() {
		return realm.Member{}, false
	}
	name, pos := of.v, of.pos(e.Pos.File)
	home, known := all[name]
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
		check(true, pos, meant(name, all, "add it under "+kind+"s:"), "%s %s does not exist", kind, quote(name))
	}
	if twice {
		check(true, pos, "first at "+first.String(), "%s %s stands twice in pool %s", kind, quote(name), quote(e.Name.v))
	}
	check(priority.v < 0 || priority.v > maxWeight, priority.pos(e.Pos.File), "lower is tried first", "the priority is not in 0 to %d", maxWeight)
	check(weight.v < 0 || weight.v > maxWeight, weight.pos(e.Pos.File), "0 parks the "+kind, "the weight is not in 0 to %d", maxWeight)
	return realm.Member{Home: home, Priority: priority.v, Weight: weight.v}, good
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
