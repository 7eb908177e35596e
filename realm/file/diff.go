package file

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// Delta is what a new version does to the objects of one kind: their names,
// sorted.
type Delta struct {
	Added, Removed, Changed []string
}

// Empty reports whether nothing changes.
func (d Delta) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// String gives +added -removed ~changed as numbers.
func (d Delta) String() string {
	return fmt.Sprintf("+%d -%d ~%d", len(d.Added), len(d.Removed), len(d.Changed))
}

// Change is what a new version of the files changes.
type Change struct {
	Clients, Homes, Pools, Realms Delta
}

// Empty reports whether nothing changes: a comment was edited, or the order.
func (c Change) Empty() bool {
	return c.Clients.Empty() && c.Homes.Empty() && c.Pools.Empty() && c.Realms.Empty()
}

// String gives the numbers of each kind, for one log line.
func (c Change) String() string {
	return fmt.Sprintf("clients %s, homes %s, pools %s, realms %s", c.Clients, c.Homes, c.Pools, c.Realms)
}

// Diff says what changes from old to set; nil stands for an empty set.
// Positions and indexes do not count. A route counts as changed when it names
// another pool, not when its pool changes.
func Diff(old, set *realm.Set) Change {
	if old == nil {
		old = &realm.Set{}
	}
	if set == nil {
		set = &realm.Set{}
	}
	return Change{
		Clients: delta(old.Clients, set.Clients, func(c *realm.Client) string { return c.Name }, sameClient),
		Homes:   delta(old.Homes, set.Homes, func(h *realm.Home) string { return h.Name }, sameHome),
		Pools: delta(old.Pools, set.Pools, func(p *realm.Pool) string { return p.Name },
			func(a, b *realm.Pool) bool { return samePool(old, set, a, b) }),
		Realms: routesDelta(old, set),
	}
}

// routesDelta is delta by the tables that are there already. Files mostly keep
// their order, so a route is first looked for where its neighbour was.
func routesDelta(old, set *realm.Set) (d Delta) {
	next, kept := 0, 0
	for i := range set.Routes {
		r := &set.Routes[i]
		var was *realm.Route
		if next < len(old.Routes) && old.Routes[next].Realm == r.Realm {
			was = &old.Routes[next]
		} else if old.Table != nil {
			was = old.Table.Entry(r.Realm)
		}
		if was == nil {
			d.Added = append(d.Added, r.Realm)
			continue
		}
		next = int(was.Index) + 1
		kept++
		if !sameRoute(old, set, was, r) {
			d.Changed = append(d.Changed, r.Realm)
		}
	}
	for i := range old.Routes {
		if kept == len(old.Routes) {
			break
		}
		if name := old.Routes[i].Realm; set.Table == nil || set.Table.Entry(name) == nil {
			d.Removed = append(d.Removed, name)
			kept++
		}
	}
	slices.Sort(d.Added)
	slices.Sort(d.Removed)
	slices.Sort(d.Changed)
	return d
}

func delta[T any](old, set []T, name func(*T) string, same func(a, b *T) bool) (d Delta) {
	was := make(map[string]*T, len(old))
	for i := range old {
		was[name(&old[i])] = &old[i]
	}
	for i := range set {
		n := name(&set[i])
		before, ok := was[n]
		delete(was, n)
		switch {
		case !ok:
			d.Added = append(d.Added, n)
		case !same(before, &set[i]):
			d.Changed = append(d.Changed, n)
		}
	}
	d.Removed = slices.Sorted(maps.Keys(was))
	slices.Sort(d.Added)
	slices.Sort(d.Changed)
	return d
}

func sameClient(a, b *realm.Client) bool {
	return slices.Equal(a.Prefixes, b.Prefixes) && bytes.Equal(a.Secret, b.Secret) &&
		a.RequireMessageAuthenticator == b.RequireMessageAuthenticator && a.LimitProxyState == b.LimitProxyState &&
		a.Operator == b.Operator && a.Country == b.Country
}

func sameHome(a, b *realm.Home) bool {
	return a.Auth == b.Auth && a.Acct == b.Acct && bytes.Equal(a.Secret, b.Secret) &&
		a.RequireMessageAuthenticator == b.RequireMessageAuthenticator &&
		a.StatusServer == b.StatusServer && a.Disabled == b.Disabled
}

func samePool(old, set *realm.Set, a, b *realm.Pool) bool {
	return a.Retransmit == b.Retransmit && a.Timers == b.Timers &&
		slices.EqualFunc(a.Members, b.Members, func(m, n realm.Member) bool {
			return old.Homes[m.Home].Name == set.Homes[n.Home].Name && m.Priority == n.Priority && m.Weight == n.Weight
		})
}

func sameRoute(old, set *realm.Set, a, b *realm.Route) bool {
	return poolName(old, a.Auth) == poolName(set, b.Auth) && poolName(old, a.Acct) == poolName(set, b.Acct) &&
		a.Reject == b.Reject && a.Acknowledge == b.Acknowledge && a.Policy == b.Policy
}

func poolName(s *realm.Set, i int32) string {
	if i < 0 {
		return ""
	}
	return s.Pools[i].Name
}

// Names joins a few names of a Delta for people.
func Names(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
