package file

import (
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/realm"
)

// audience is who may use a route: the clients, as far as they differ.
type audience struct {
	clients []int // in the set; the first ones where there are many
	groups  []*realm.Group
	lists   []*realm.Names // their allow-lists; nil for one without
	many    bool
	peers   int // that are Diameter peers
	packets int // that send RADIUS
}

// maxListed bounds the clients that are looked at one by one.
const maxListed = 64

func (a *audience) add(i int, c *realm.Client) {
	if c.Transport == realm.Diameter {
		a.peers++
	} else {
		a.packets++
	}
	if len(a.clients) < maxListed {
		a.clients = append(a.clients, i)
	} else {
		a.many = true
	}
	if !slices.Contains(a.groups, c.Group) {
		a.groups = append(a.groups, c.Group)
	}
	if len(a.lists) <= maxListed && !slices.Contains(a.lists, c.Realms) {
		a.lists = append(a.lists, c.Realms)
	}
}

// lintRoutes says of each route whether anything can come of it: whether a
// client may send its realms, a home takes them, and a contract lets them pass.
func (l *loader) lintRoutes() {
	whole := &audience{}
	for i := range l.set.Clients {
		whole.add(i, &l.set.Clients[i])
	}
	scoped := make(map[*realm.Scope]*audience)
	served := make([]bool, len(l.set.Homes))
	lists := l.homesWithLists()
	for i := range l.set.Routes {
		r := &l.set.Routes[i]
		who := whole
		if r.For != nil || r.When != nil && len(r.When.Clients) > 0 {
			who = l.audienceOf(r, scoped)
		}
		if len(l.set.Clients) > 0 && !l.lintAudience(r, who) {
			continue
		}
		for service, p := range []int32{r.Auth, r.Acct} {
			if p < 0 || service == acct && p == r.Auth {
				continue
			}
			l.lintHomes(r, p, lists, served)
			if who == whole && !l.federated {
				continue
			}
			l.lintTransit(r, l.set.Pools[p].Group, "pool "+quote(l.set.Pools[p].Name), who)
			l.lintHairpin(r, p, who)
		}
		l.lintDiameter(r, who)
		if d := r.Discover; d != nil {
			if !meets(d.Realms, r.Realm) {
				l.warn(r.Pos, "its realms: at "+d.Pos.String(), "%s goes nowhere: discovery %s does not take it", routeName(r), quote(d.Name))
			}
			if l.federated {
				l.lintTransit(r, d.Group, "discovery "+quote(d.Name), who)
			}
		}
	}
	for h, listed := range lists {
		if home := &l.set.Homes[h]; listed && !served[h] && l.inPool[h] && !home.Disabled {
			l.warn(home.Pos, "no realm of its realms: leads to a pool it is in", "home %s is never used", quote(home.Name))
		}
	}
}

func (l *loader) audienceOf(r *realm.Route, scoped map[*realm.Scope]*audience) *audience {
	if r.When != nil && len(r.When.Clients) > 0 {
		who := &audience{}
		for _, name := range r.When.Clients {
			if p := l.clients[name]; p != nil {
				who.add(p.number, &l.set.Clients[p.number])
			}
		}
		return who
	}
	who := scoped[r.For]
	if who == nil {
		who = &audience{}
		for i := range l.set.Clients {
			if c := &l.set.Clients[i]; r.For.Has(c.Group) {
				who.add(i, c)
			}
		}
		scoped[r.For] = who
	}
	return who
}

// lintAudience reports whether any client can use the route.
func (l *loader) lintAudience(r *realm.Route, who *audience) bool {
	if len(who.clients) == 0 {
		l.warn(r.Pos, "no client is in its groups", "%s is never reached", routeName(r))
		return false
	}
	if !l.lintSenders(r, who) {
		return false
	}
	if len(who.lists) <= maxListed && !slices.ContainsFunc(who.lists, func(n *realm.Names) bool { return meets(n, r.Realm) }) {
		c := &l.set.Clients[who.clients[0]]
		l.warn(r.Pos, "of client "+quote(c.Name)+" at "+c.Pos.String()+", for one", "%s is never reached: the realms: of its clients leave it out", routeName(r))
		return false
	}
	if r.When == nil || len(r.When.Clients) < 2 {
		return true
	}
	for _, i := range who.clients {
		if c := &l.set.Clients[i]; !meets(c.Realms, r.Realm) {
			l.warn(r.Pos, "the realms: of the client at "+c.Pos.String()+" leave it out", "%s names client %s in vain", routeName(r), quote(c.Name))
		}
	}
	return true
}

func (l *loader) homesWithLists() []bool {
	lists := make([]bool, len(l.set.Homes))
	for i := range l.set.Homes {
		lists[i] = l.set.Homes[i].Realms != nil
	}
	return lists
}

// lintHomes notes which homes with an allow-list the route can lead to, and
// warns if it leads to none. A rewritten realm is what a home sees, so it is
// that which its list is asked for.
func (l *loader) lintHomes(r *realm.Route, p int32, lists, served []bool) {
	pool := &l.set.Pools[p]
	some := false
	for _, m := range pool.Members {
		switch {
		case !lists[m.Home]:
			some = true
		case meets(l.set.Homes[m.Home].Realms, r.Realm):
			served[m.Home], some = true, true
		}
	}
	if !some && len(pool.Members) > 0 {
		h := &l.set.Homes[pool.Members[0].Home]
		l.warn(r.Pos, "its realms: at "+h.Pos.String(), "%s goes nowhere: home %s of pool %s does not take it, nor does another", routeName(r), quote(h.Name), quote(pool.Name))
	}
}

// lintTransit warns if every client of the route is of a federation that no
// contract lets pass to that of the pool or the discovery.
func (l *loader) lintTransit(r *realm.Route, to *realm.Group, where string, who *audience) {
	if to == nil || to.Kind != realm.Federation {
		return
	}
	for _, g := range who.groups {
		if g == nil || g.Kind != realm.Federation || slices.ContainsFunc(l.set.Contracts, func(c realm.Contract) bool {
			return c.From == g && c.To == to && meets(c.Realms, r.Realm)
		}) {
			return
		}
	}
	l.warn(r.Pos, "add a contract from "+groupName(who.groups[0])+" to "+groupName(to),
		"%s goes nowhere: no contract lets its clients pass to %s", routeName(r), where)
}

// lintHairpin warns if every client of the route is every home of its pool.
func (l *loader) lintHairpin(r *realm.Route, p int32, who *audience) {
	pool := &l.set.Pools[p]
	if who.many || len(pool.Members) == 0 {
		return
	}
	for _, i := range who.clients {
		for _, m := range pool.Members {
			if !sameHost(&l.set.Clients[i], &l.set.Homes[m.Home]) {
				return
			}
		}
	}
	l.warn(r.Pos, "a request is not sent back to where it came from",
		"%s goes nowhere: client %s is the home of pool %s", routeName(r), quote(l.set.Clients[who.clients[0]].Name), quote(pool.Name))
}

// sameHost reports whether a client has no address but those of a home, and the
// home none that is not the client's.
func sameHost(c *realm.Client, h *realm.Home) bool {
	if h.Host != "" || len(c.Prefixes) == 0 {
		return false
	}
	var hosts []netip.Addr
	for a := range homePorts(h) {
		hosts = append(hosts, a.Addr())
	}
	for _, p := range c.Prefixes {
		if !p.IsSingleIP() || !slices.Contains(hosts, p.Addr()) {
			return false
		}
	}
	return !slices.ContainsFunc(hosts, func(a netip.Addr) bool {
		return !slices.ContainsFunc(c.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
	})
}

// lintGroups names groups and filters that nothing uses.
func (l *loader) lintGroups() {
	for _, g := range l.set.Groups {
		if of := l.groups[g.Name]; of.clients == 0 && of.homes == 0 {
			l.warn(g.Pos, "name it with group: of a client, a home or a peer", "nobody is in group %s", quote(g.Name))
		}
	}
	for _, f := range l.set.Filters {
		if !l.usedFilters[f] {
			l.warn(f.Pos, "name it with in: or out: of a group, a client or a home", "filter %s is used by nobody", quote(f.Name))
		}
	}
	for i := range l.set.Contracts {
		c := &l.set.Contracts[i]
		if l.groups[c.From.Name].clients == 0 {
			l.warn(c.Pos, "", "the contract lets nobody pass: group %s has no client", quote(c.From.Name))
		}
	}
}
