package file

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/realm"
)

// lint says what is allowed but has no effect or a surprising one. It runs only
// when there are no errors, which would make most of it wrong.
func (l *loader) lint(dir string) {
	whole := realm.Pos{File: dir}
	if len(l.set.Clients) == 0 {
		l.warn(whole, "", "there are no clients: nobody may talk to the hub")
	}
	if len(l.set.Routes) == 0 {
		l.warn(whole, "", "there are no realms: every request is rejected")
	} else if l.set.Table.Default() == nil {
		l.report.add(whole, Info, "a realm called default would take them", "there is no default: unknown realms are rejected")
	}
	l.lintPools()
	l.lintPeers()
	l.lintGroups()
	l.lintRoutes()
	for by := realm.UDP; by <= realm.TCP; by++ {
		l.prefixes[by].hidden(func(p prefix) {
			l.warn(p.pos, "remove it", "%s of client %s is covered by longer prefixes of other clients and never used", p.prefix, quote(p.client))
		})
	}
	l.lintSecurities()
	l.lintHolders()
	l.exposed()
	l.lintPasswords()
}

func (l *loader) lintPools() {
	used := make([]bool, len(l.set.Homes))
	l.inPool = used
	for i := range l.set.Pools {
		p := &l.set.Pools[i]
		alive := p.Diameter // lintPeers says it
		for _, m := range p.Members {
			if p.Diameter {
				break
			}
			used[m.Home] = true
			alive = alive || !l.set.Homes[m.Home].Disabled
		}
		switch {
		case !l.usedPool[auth][i] && !l.usedPool[acct][i] && !l.usedPool[diam][i]:
			l.warn(p.Pos, "", "pool %s is used by no realm", quote(p.Name))
		case !alive:
			l.warn(p.Pos, "", "all homes of pool %s are disabled", quote(p.Name))
		}
	}
	for i, u := range used {
		if h := &l.set.Homes[i]; !u && !h.Disabled {
			l.warn(h.Pos, "add it to a pool, or write disabled: true", "home %s is used by no pool", quote(h.Name))
		}
	}
}

// prefix is one address range of a client.
type prefix struct {
	prefix netip.Prefix
	client string
	pos    realm.Pos
}

// prefixes holds the address ranges of all clients.
type prefixes struct {
	byPrefix map[netip.Prefix]prefix
}

// add keeps a range, or returns the one that was there before.
func (ps *prefixes) add(p netip.Prefix, client string, pos realm.Pos) (first prefix, taken bool) {
	if first, taken = ps.byPrefix[p]; taken {
		return first, true
	}
	if ps.byPrefix == nil {
		ps.byPrefix = make(map[netip.Prefix]prefix)
	}
	ps.byPrefix[p] = prefix{prefix: p, client: client, pos: pos}
	return prefix{}, false
}

// hidden calls f for each range of which no address is left to its client,
// because longer prefixes, of others at least in part, take them all.
func (ps *prefixes) hidden(f func(prefix)) {
	sorted := make([]prefix, 0, len(ps.byPrefix))
	for _, p := range ps.byPrefix {
		sorted = append(sorted, p)
	}
	// By address, the shorter first: what is inside a range follows it.
	slices.SortFunc(sorted, func(a, b prefix) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	})
	for i, p := range sorted {
		end := i + 1
		for end < len(sorted) && contains(p.prefix, sorted[end].prefix) {
			end++
		}
		inside := sorted[i+1 : end]
		others := slices.ContainsFunc(inside, func(q prefix) bool { return q.client != p.client })
		if others && covered(p.prefix, inside) {
			f(p)
		}
	}
}

func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// covered reports whether the sorted ranges inside outer leave no gap in it.
func covered(outer netip.Prefix, inside []prefix) bool {
	next := outer.Addr() // the first address not yet covered
	for _, p := range inside {
		if p.prefix.Addr().Compare(next) > 0 {
			return false
		}
		last := lastAddr(p.prefix)
		if last.Compare(next) >= 0 {
			next = last.Next()
		}
		if !next.IsValid() || !outer.Contains(next) {
			return true
		}
	}
	return false
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().As16()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for i := bits; i < 128; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a := netip.AddrFrom16(b)
	if p.Addr().Is4() {
		a = a.Unmap()
	}
	return a
}
