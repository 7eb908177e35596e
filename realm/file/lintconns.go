package file

import (
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/realm"
)

// lintSecurities names trust bases and discoveries that nothing uses.
func (l *loader) lintSecurities() {
	for _, s := range l.set.Securities {
		if !l.securities[s.Name].used {
			l.warn(s.Pos, "name it with tls: of a client, a home, a peer or a discovery", "tls %s is used by nobody", quote(s.Name))
		}
	}
	l.lintScreenings()
	l.lintUsage()
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

// lintUsage names certificates of ours that those who are shown them will refuse.
func (l *loader) lintUsage() {
	var shown [2]map[*realm.Security]bool
	shown[pki.Client], shown[pki.Server] = make(map[*realm.Security]bool), make(map[*realm.Security]bool)
	for i := range l.set.Clients {
		shown[pki.Client][l.set.Clients[i].Security] = true
	}
	for i := range l.set.Homes {
		shown[pki.Server][l.set.Homes[i].Security] = true
	}
	for i := range l.set.Peers {
		p := &l.set.Peers[i]
		shown[pki.Client][p.Security] = true
		if len(p.Addresses) > 0 || p.Host != "" {
			shown[pki.Server][p.Security] = true
		}
	}
	for _, d := range l.set.Discoveries {
		shown[pki.Server][d.Security] = true
	}
	for _, s := range l.set.Securities {
		switch {
		case s.Credential == nil:
		case shown[pki.Client][s] && !s.Credential.Usable(pki.Client):
			l.warn(s.Pos, "clients that connect to us will refuse it", "tls %s: the extended key usage of our certificate lacks serverAuth", quote(s.Name))
		case shown[pki.Server][s] && !s.Credential.Usable(pki.Server):
			l.warn(s.Pos, "homes that we connect to will refuse it", "tls %s: the extended key usage of our certificate lacks clientAuth", quote(s.Name))
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
