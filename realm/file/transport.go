package file

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/realm"
)

func (l *loader) transport(entry realm.Pos, word, tls at[string]) realm.Transport {
	otherwise := realm.UDP
	if tls.set() {
		otherwise = realm.TLS
	}
	return choose(l, entry, "transport", word, otherwise,
		[]string{"udp", "tcp", "tls", "dtls"}, realm.UDP, realm.TCP, realm.TLS, realm.DTLS)
}

// carried is what clients and homes have in common of how their packets come
// and go.
type carried struct {
	kind, name string
	pos        realm.Pos
	transport  realm.Transport
	tls        at[string]
	holder     *holderEntry
	secretFile at[string]
	secretEnv  at[string]
	ma         at[bool]
	protected  at[bool]
}

// secured reads the trust base and the holder of a peer, or says that its
// transport has none.
func (l *loader) secured(c *carried) (s *security, h *realm.Holder) {
	file := c.pos.File
	if !c.transport.Secured() {
		if c.tls.set() {
			l.fail(c.tls.pos(file), "write transport: tls, or remove it", "tls: %s %s is reached by %s", c.kind, quote(c.name), c.transport)
		}
		if c.holder.set() {
			l.fail(c.holder.Pos, "write transport: tls, or remove it", "certificate: nobody shows one over %s", c.transport)
		}
		return nil, nil
	}
	for _, key := range []at[string]{c.secretFile, c.secretEnv} {
		if key.set() {
			l.fail(key.pos(file), "remove it: the certificate says who it is", "over %s the secret is %q, by the rules of the protocol", c.transport, string(c.transport.Secret()))
		}
	}
	if c.ma.set() {
		l.warn(c.ma.pos(file), "remove it", "require_message_authenticator has no effect over %s, which authenticates each packet", c.transport)
	}
	if c.protected.set() {
		l.warn(c.protected.pos(file), "remove it", "protected has no effect over %s, which protects the path itself", c.transport)
	}
	s = l.securityOf(c.pos, c.kind, c.name, c.tls)
	return s, l.holder(c.holder, c.kind, c.name, s)
}

// reverseCoA reports whether there are connections to go the way back of.
func (l *loader) reverseCoA(pos realm.Pos, by realm.Transport) bool {
	if by == realm.UDP {
		l.fail(pos, "write an address", "dynauth: there are no connections over udp")
	}
	return by != realm.UDP
}

// special are addresses that are not those of hosts of the internet, beside
// those that netip knows: private, shared, for documentation, for benchmarks.
var special = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"),
}

// public reports whether a prefix has addresses of hosts of the internet.
func public(p netip.Prefix) bool {
	a := p.Addr()
	if !a.IsGlobalUnicast() && !a.IsUnspecified() {
		return false
	}
	for _, s := range special {
		if contains(s, p) {
			return false
		}
	}
	return true
}

// exposed warns once of all peers that are reached over the internet without
// protection (draft-ietf-radext-deprecating-radius sections 6.1, 8.2 and 8.6):
// who stands on the path reads names and addresses, and tries secrets offline.
func (l *loader) exposed() {
	var peers int
	var first realm.Pos
	note := func(pos realm.Pos) {
		if peers++; peers == 1 {
			first = pos
		}
	}
	for i := range l.set.Clients {
		c := &l.set.Clients[i]
		if c.Transport.Secured() || c.Protected {
			continue
		}
		for _, p := range c.Prefixes {
			if public(p) {
				note(c.Pos)
				break
			}
		}
	}
	for i := range l.set.Homes {
		h := &l.set.Homes[i]
		if h.Transport.Secured() || h.Protected || h.Transport == realm.Diameter {
			continue
		}
		for a := range homePorts(h) {
			if public(netip.PrefixFrom(a.Addr(), a.Addr().BitLen())) {
				note(h.Pos)
				break
			}
		}
	}
	for i := range l.set.Peers {
		p := &l.set.Peers[i]
		if p.Transport.Secured() || l.set.Clients[p.Client].Protected {
			continue
		}
		places := slices.Clone(p.From)
		for _, a := range p.Addresses {
			places = append(places, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
		}
		if slices.ContainsFunc(places, public) {
			note(p.Pos)
		}
	}
	if peers == 0 {
		return
	}
	who := "this peer is"
	if peers > 1 {
		who = fmt.Sprintf("this peer and %d more are", peers-1)
	}
	l.warn(first, "move them to transport: tls; or write protected: true, for them or their group, where a tunnel or a line of your own protects the path",
		"%s reached over the internet by UDP, TCP or SCTP: identities can be read on the way, and passwords and secrets be tried offline", who)
}
