package file

import (
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/realm"
)

// lintSecurities names trust bases and discoveries that nothing uses.
func (l *loader) lintSecurities() {
	for _, s := range l.set.Securities {
		if !l.securities[s.Name].used {
			l.warn(s.Pos, "name it with tls: of a client, a home or a discovery", "tls %s is used by nobody", quote(s.Name))
		}
	}
	used := make(map[*realm.Discovery]bool)
	for i := range l.set.Routes {
		if d := l.set.Routes[i].Discover; d != nil {
			used[d] = true
		}
	}
	for _, d := range l.set.Discoveries {
		if !used[d] {
			l.warn(d.Pos, "name it with discover: of a realm", "discovery %s is used by no realm", quote(d.Name))
		}
	}
}

// lintHolders names clients whose every certificate another one takes before.
func (l *loader) lintHolders() {
	type door struct {
		by       realm.Transport
		security *realm.Security
	}
	before := make(map[door][]*realm.Client)
	for i := range l.set.Clients {
		c := &l.set.Clients[i]
		if !c.Transport.Secured() || c.Security == nil || c.Holder == nil {
			continue
		}
		at := door{c.Transport, c.Security}
		for _, first := range before[at] {
			if takes(first.Holder, c.Holder) && inFront(first.Prefixes, c.Prefixes) {
				l.warn(c.Pos, "client "+quote(first.Name)+" at "+first.Pos.String()+" comes first and takes each of its certificates", "nobody is ever client %s", quote(c.Name))
				break
			}
		}
		if len(before[at]) < maxCompared {
			before[at] = append(before[at], c)
		}
	}
}

// inFront reports whether the addresses of an earlier client are all those of a
// later one, and no wider: of two clients that a certificate fits, the one with
// the longer prefix is taken, and then the earlier.
func inFront(first, later []netip.Prefix) bool {
	if len(later) == 0 {
		return len(first) == 0
	}
	return !slices.ContainsFunc(later, func(p netip.Prefix) bool { return !slices.Contains(first, p) })
}
