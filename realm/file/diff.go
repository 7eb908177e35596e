package file

import (
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
	Settings                      Delta // identity and loops
	Groups, Contracts, Filters    Delta
	TLS, Discoveries, Peers       Delta
	Screenings, Steerings         Delta
	Clients, Homes, Pools, Realms Delta // routes by their labels
}

// deltas are the kinds in the order of the files.
func (c Change) deltas() []struct {
	kind string
	Delta
} {
	return []struct {
		kind string
		Delta
	}{
		{"settings", c.Settings}, {"groups", c.Groups}, {"contracts", c.Contracts}, {"filters", c.Filters},
		{"tls", c.TLS}, {"discoveries", c.Discoveries}, {"peers", c.Peers},
		{"screenings", c.Screenings}, {"steerings", c.Steerings},
		{"clients", c.Clients}, {"homes", c.Homes}, {"pools", c.Pools}, {"realms", c.Realms},
	}
}

// Empty reports whether nothing changes: a comment was edited, or the order.
func (c Change) Empty() bool {
	for _, d := range c.deltas() {
		if !d.Empty() {
			return false
		}
	}
	return true
}

// String gives the numbers of each kind, for one log line. Of the kinds that
// few hubs have, it tells where they change.
func (c Change) String() string {
	var parts []string
	for i, d := range c.deltas() {
		if i >= 9 || !d.Empty() {
			parts = append(parts, d.kind+" "+d.String())
		}
	}
	return strings.Join(parts, ", ")
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
		Settings:  settingsDelta(old, set),
		Groups:    delta(old, set, groupsOf, groupFields),
		Contracts: delta(old, set, contractsOf, contractFields),
		Filters:   delta(old, set, filtersOf, filterFields),
		TLS:       delta(old, set, securitiesOf, securityFields),
		Clients:   delta(old, set, clientsOf, clientFields),
		Homes:     delta(old, set, homesOf, homeFields),
		Pools:     delta(old, set, poolsOf, poolFields),
		Realms:    routesDelta(old, set),

		Peers:      delta(old, set, peersOf, peerFields),
		Screenings: delta(old, set, screeningsOf, screeningFields),
		Steerings:  delta(old, set, steeringsOf, steeringFields),

		Discoveries: delta(old, set, discoveriesOf, discoveryFields),
	}
}

// routesDelta is delta by the tables that are there already. Files mostly keep
// their order, so a route is first looked for where its neighbour was.
func routesDelta(old, set *realm.Set) (d Delta) {
	kept := 0
	eachRoute(old, set, func(was, r *realm.Route) {
		if was == nil {
			d.Added = append(d.Added, r.Label())
			return
		}
		kept++
		if !sameRoute(old, set, was, r) {
			d.Changed = append(d.Changed, r.Label())
		}
	})
	for i := range old.Routes {
		if kept == len(old.Routes) {
			break
		}
		if name := old.Routes[i].Label(); set.Table == nil || set.Table.Labelled(name) == nil {
			d.Removed = append(d.Removed, name)
			kept++
		}
	}
	slices.Sort(d.Added)
	slices.Sort(d.Removed)
	slices.Sort(d.Changed)
	return d
}

// eachRoute calls f for each route of set with the one that had its label.
func eachRoute(old, set *realm.Set, f func(was, r *realm.Route)) {
	next := 0
	for i := range set.Routes {
		r := &set.Routes[i]
		var was *realm.Route
		if next < len(old.Routes) && old.Routes[next].Name == r.Name && (r.Name != "" || old.Routes[next].Realm == r.Realm) {
			was = &old.Routes[next]
		} else if old.Table != nil {
			was = old.Table.Labelled(r.Label())
		}
		if was != nil {
			next = int(was.Index) + 1
		}
		f(was, r)
	}
}

func settingsDelta(old, set *realm.Set) (d Delta) {
	for _, s := range settings {
		if s.text(old) != s.text(set) && !slices.Contains(d.Changed, s.section) {
			d.Changed = append(d.Changed, s.section)
		}
	}
	return d
}

// delta compares objects by their names and fields.
func delta[T any](old, set *realm.Set, all func(*realm.Set) []object[T], fields []property[T]) (d Delta) {
	before := all(old)
	was := make(map[string]*T, len(before))
	for _, o := range before {
		was[o.name] = o.value
	}
	for _, o := range all(set) {
		b, ok := was[o.name]
		delete(was, o.name)
		switch {
		case !ok:
			d.Added = append(d.Added, o.name)
		case slices.ContainsFunc(fields, func(f property[T]) bool { return f.text(old, b) != f.text(set, o.value) }):
			d.Changed = append(d.Changed, o.name)
		}
	}
	d.Removed = slices.Sorted(maps.Keys(was))
	slices.Sort(d.Added)
	slices.Sort(d.Changed)
	return d
}

// sameRoute is the quick look at two routes, as nearly all are the same.
func sameRoute(old, set *realm.Set, a, b *realm.Route) bool {
	if poolName(old, a.Auth) != poolName(set, b.Auth) || poolName(old, a.Acct) != poolName(set, b.Acct) ||
		a.Reject != b.Reject || a.Acknowledge != b.Acknowledge || a.Policy != b.Policy || (a.Steering == nil) != (b.Steering == nil) || a.Steering != nil && a.Steering.Name != b.Steering.Name || a.IssueCUI != b.IssueCUI ||
		discoveryName(a.Discover) != discoveryName(b.Discover) || (a.Diameter != nil || b.Diameter != nil) && diameterText(old, a.Diameter) != diameterText(set, b.Diameter) {
		return false
	}
	if a.Name == "" && b.Name == "" && a.When == nil && b.When == nil && a.For == nil && b.For == nil && a.Rewrite == nil && b.Rewrite == nil && a.Rank == b.Rank {
		return true
	}
	return !slices.ContainsFunc(routeFields, func(f property[realm.Route]) bool { return f.text(old, a) != f.text(set, b) })
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
