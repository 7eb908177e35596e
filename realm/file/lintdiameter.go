package file

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// lintPeers says what is odd about peers and their pools.
func (l *loader) lintPeers() {
	pooled := make([]bool, len(l.set.Peers))
	for i := range l.set.Pools {
		p := &l.set.Pools[i]
		if !p.Diameter {
			continue
		}
		alive := false
		for _, m := range p.Members {
			pooled[m.Home] = true
			alive = alive || !l.set.Peers[m.Home].Disabled
		}
		if !alive {
			l.warn(p.Pos, "", "all peers of pool %s are disabled", quote(p.Name))
		}
	}
	l.messages = slices.ContainsFunc(l.set.Routes, func(r realm.Route) bool { return r.Diameter != nil })
	l.toRADIUS = slices.ContainsFunc(l.set.Routes, func(r realm.Route) bool { return r.Diameter != nil && r.Diameter.Action == realm.DiameterRADIUS })
	l.toDiameter = slices.ContainsFunc(l.set.Homes, func(h realm.Home) bool { return h.Transport == realm.Diameter })
	for i := range l.set.Peers {
		if p := &l.set.Peers[i]; !pooled[i] && !l.messages && !p.Disabled {
			l.warn(p.Pos, "add it to a pool, and give realms diameter:", "peer %s is used by nobody: no realm is for Diameter, and no pool has it", quote(p.Name))
		}
	}
}

// lintSenders reports whether somebody who can use the route speaks its protocol, or
// is translated into it.
func (l *loader) lintSenders(r *realm.Route, who *audience) bool {
	switch {
	case !r.RADIUS() && who.peers == 0 && !l.toDiameter:
		l.warn(r.Pos, "add a peer, or a home with transport: diameter", "%s is never reached: none of its clients speaks Diameter", routeName(r))
		return false
	case r.Diameter == nil && who.packets == 0 && !l.toRADIUS:
		l.warn(r.Pos, "add diameter:, or {action: radius} to another route", "%s is never reached: its clients speak Diameter alone", routeName(r))
		return false
	}
	return true
}

// lintDiameter says of a route for Diameter whether anything can come of it, and of
// one toward a gateway whether Diameter knows where to go on.
func (l *loader) lintDiameter(r *realm.Route, who *audience) {
	l.lintGateway(r)
	d := r.Diameter
	if !d.Forwards() || d.Pool < 0 {
		return
	}
	pool := &l.set.Pools[d.Pool]
	if len(pool.Members) == 0 {
		return
	}
	takes, speaks := false, false
	for _, m := range pool.Members {
		p := &l.set.Peers[m.Home]
		takes = takes || meets(p.Realms, r.Realm)
		speaks = speaks || speaksAny(p, r)
	}
	first := &l.set.Peers[pool.Members[0].Home]
	switch {
	case !takes:
		l.warn(r.Pos, "its takes: or the realms: of its group at "+first.Pos.String(), "%s goes nowhere: peer %s of pool %s does not take it, nor does another", routeName(r), quote(first.Name), quote(pool.Name))
	case !speaks && r.When != nil && len(r.When.Applications) > 0:
		l.warn(r.Pos, "its applications: at "+first.Pos.String(), "%s goes nowhere: no peer of pool %s speaks %s", routeName(r), quote(pool.Name), ApplicationName(r.When.Applications[0]))
	case !speaks:
		l.warn(r.Pos, "its applications: at "+first.Pos.String(), "%s goes nowhere: no peer of pool %s speaks an application whose requests name subscribers", routeName(r), quote(pool.Name))
	}
	if l.federated {
		l.lintTransit(r, pool.Group, "pool "+quote(pool.Name), who)
	}
	if who.many || len(who.clients) == 0 {
		return
	}
	for _, i := range who.clients {
		for _, m := range pool.Members {
			if l.set.Peers[m.Home].Client != int32(i) {
				return
			}
		}
	}
	l.warn(r.Pos, "a request is not sent back to where it came from", "%s goes nowhere: peer %s alone may use it, and is its pool %s", routeName(r), quote(first.Name), quote(pool.Name))
}

// speaksAny reports whether requests of the route can be of an application of the
// peer.
func speaksAny(p *realm.Peer, r *realm.Route) bool {
	switch {
	case p.Applications == nil:
		return true
	case r.When != nil && len(r.When.Applications) > 0:
		return slices.ContainsFunc(r.When.Applications, func(a uint32) bool { return slices.Contains(p.Applications, a) })
	case r.Tier() == realm.TierIMSI:
		return slices.ContainsFunc(p.Applications, func(a uint32) bool { return a == diameter.AppEAP || a >= diameter.AppGx })
	}
	return true
}

// lintGateway looks at routes whose RADIUS requests become Diameter.
func (l *loader) lintGateway(r *realm.Route) {
	for service, p := range []int32{r.Auth, r.Acct} {
		if p < 0 || service == acct && p == r.Auth {
			continue
		}
		pool := &l.set.Pools[p]
		i := slices.IndexFunc(pool.Members, func(m realm.Member) bool { return l.set.Homes[m.Home].Transport == realm.Diameter })
		if i < 0 {
			continue
		}
		home := &l.set.Homes[pool.Members[i].Home]
		switch d := r.Diameter; {
		case d == nil:
			if !l.messages {
				l.warn(r.Pos, "add diameter: with a pool of peers", "%s goes nowhere: home %s makes Diameter of its requests, and no realm is for that", routeName(r), quote(home.Name))
			}
		case d.Action == realm.DiameterRADIUS:
			l.fail(r.Pos, "keep one of the two", "%s goes round in circles: home %s makes Diameter of RADIUS, and diameter: RADIUS of Diameter", routeName(r), quote(home.Name))
		}
	}
}

// lintPasswords warns once of all peers that get passwords in clear: a gateway makes
// a User-Password of RADIUS, which is hidden, an AVP that is not (RFC 6733 section 13).
func (l *loader) lintPasswords() {
	if !l.toDiameter {
		return
	}
	pools := make(map[string][]int32) // of Diameter, by realm
	for i := range l.set.Routes {
		if r := &l.set.Routes[i]; r.Diameter.Forwards() && r.Diameter.Pool >= 0 && !slices.Contains(pools[r.Realm], r.Diameter.Pool) {
			pools[r.Realm] = append(pools[r.Realm], r.Diameter.Pool)
		}
	}
	var first *realm.Peer
	seen := make(map[int32]bool)
	for i := range l.set.Routes {
		r := &l.set.Routes[i]
		if r.Auth < 0 || !slices.ContainsFunc(l.set.Pools[r.Auth].Members, func(m realm.Member) bool {
			h := &l.set.Homes[m.Home]
			return h.Transport == realm.Diameter && h.Gateway == diameter.AppNASREQ
		}) {
			continue
		}
		for _, pool := range pools[r.Realm] {
			for _, m := range l.set.Pools[pool].Members {
				p := &l.set.Peers[m.Home]
				if seen[m.Home] || p.Disabled || !l.readable(p) {
					continue
				}
				seen[m.Home] = true
				if first == nil {
					first = p
				}
			}
		}
	}
	if first == nil {
		return
	}
	who := "this peer gets"
	if n := len(seen); n > 1 {
		who = fmt.Sprintf("this peer and %d more get", n-1)
	}
	l.warn(first.Pos, "move them to transport: tls; or write protected: true, for them or their group, where a tunnel or a line of your own protects the path",
		"%s the passwords of PAP in clear: Diameter hides none, and the path is TCP or SCTP", who)
}

// readable reports whether a password that goes to a peer can be read on the way.
func (l *loader) readable(p *realm.Peer) bool {
	if p.Transport.Secured() || l.set.Clients[p.Client].Protected || p.Applications != nil && !slices.Contains(p.Applications, uint32(diameter.AppNASREQ)) {
		return false
	}
	return !slices.ContainsFunc(p.Addresses, func(a netip.AddrPort) bool { return a.Addr().IsLoopback() }) &&
		!slices.ContainsFunc(p.From, func(f netip.Prefix) bool { return f.Addr().IsLoopback() })
}
