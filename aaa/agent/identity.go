package agent

import (
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/realm"
)

// mayComeFrom reports whether a peer may connect to us from an address: one of From,
// else one that we would connect to, and over TLS any, as its certificate says who it
// is.
func mayComeFrom(p *realm.Peer, a netip.Addr) bool {
	a = a.Unmap()
	if len(p.From) > 0 {
		return slices.ContainsFunc(p.From, func(f netip.Prefix) bool { return f.Contains(a) })
	}
	return p.Transport.Secured() || slices.ContainsFunc(p.Addresses, func(at netip.AddrPort) bool { return at.Addr().Unmap() == a })
}

// holderOf is whose certificate a peer shows: what the files say, else that of its
// identity.
func holderOf(p *realm.Peer) *realm.Holder {
	if p.Holder != nil {
		return p.Holder
	}
	return &realm.Holder{Hosts: []string{p.Identity}}
}

// holds reports whether the certificate of a connection is that of a peer.
func holds(p *realm.Peer, l *link) bool {
	if !p.Transport.Secured() {
		return true
	}
	return l.identity != nil && l.security == p.Security.Name && holderOf(p).Accepts(l.identity)
}
