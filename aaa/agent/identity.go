package agent

import (
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/realm"
)

// mayComeFrom reports whether a peer may connect to us from an address: one of From,
// else one that we would connect to, and over TLS any, as its certificate says who it
// is. It is safe for concurrent use.
func (a *Agent) mayComeFrom(p *realm.Peer, from netip.Addr) bool {
	from = from.Unmap()
	if len(p.From) > 0 {
		return slices.ContainsFunc(p.From, func(f netip.Prefix) bool { return f.Contains(from) })
	}
	if p.Transport.Secured() || slices.ContainsFunc(p.Addresses, func(at netip.AddrPort) bool { return at.Addr().Unmap() == from }) {
		return true
	}
	return p.Host != "" && slices.Contains(a.names.Answer(p.Host).Addrs, from)
}

// holderOf is whose certificate a peer shows: what the files say, else that of its
// identity.
func holderOf(p *realm.Peer) *realm.Holder {
	if p.Holder != nil {
		return p.Holder
	}
	return &realm.Holder{Hosts: []string{p.Identity}}
}

// vouched is a certificate that a trust base has accepted, and which one.
type vouched struct {
	security string
	identity *pki.Identity
	version  uint16 // of TLS
}

// holds reports whether the certificate of a connection is that of a peer, by the trust
// base that the peer is judged by and no other.
func (l *link) holds(p *realm.Peer) bool {
	if !p.Transport.Secured() {
		return true
	}
	for _, v := range l.vouched {
		if v.security == p.Security.Name && v.version >= p.Security.MinVersion && holderOf(p).Accepts(v.identity) {
			l.identity = v.identity
			return true
		}
	}
	return false
}
