package file

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

func (l *loader) client(e *clientEntry) {
	if e.Pos.Line == 0 {
		return // no keys at all: the decoder has said so
	}
	named := l.name(e.Pos, e.Name)
	p := &peer{pos: e.Name.pos(e.Pos.File), number: len(l.set.Clients)}
	if first, twice := l.clients[e.Name.v]; twice && named {
		l.twice(e.Name.pos(e.Pos.File), first.pos, "client", e.Name.v)
	} else if named {
		l.clients[strings.Clone(e.Name.v)] = p
	}
	c := realm.Client{
		Name:        strings.Clone(e.Name.v),
		Transport:   l.transport(e.Pos, e.Transport, e.TLS),
		Protected:   e.Protected.v,
		Operator:    strings.Clone(e.Operator.v),
		Country:     l.country(e),
		HideNAS:     e.HideNAS.v,
		Institution: strings.Clone(e.Institution.v),
		Pos:         e.Pos,
	}
	l.clientTransport(e, &c)
	l.clientRules(e, &c)
	p.group = c.Group
	if text, hint := badOperator(e.Operator.v); e.Operator.set() && text != "" {
		l.fail(e.Operator.pos(e.Pos.File), hint, "%s", text)
	}
	if !e.RequireMA.v && !c.Transport.Secured() {
		l.warn(e.RequireMA.pos(e.Pos.File), "bring the client to send Message-Authenticator",
			"Access-Requests of client %s can be forged (CVE-2024-3596)", quote(e.Name.v))
	}
	for _, p := range e.Address {
		if prefix, ok := l.prefix(e, c.Transport, p); ok {
			c.Prefixes = append(c.Prefixes, prefix)
		}
	}
	if len(e.Address) == 0 && !c.Transport.Secured() {
		l.fail(e.Pos, "", "client %s has no address", quote(e.Name.v))
	}
	switch {
	case !e.DynAuth.set():
	case e.DynAuth.v == byConnection:
		c.ReverseCoA = l.reverseCoA(e.DynAuth.pos(e.Pos.File), c.Transport)
	case c.Transport.Secured():
		l.fail(e.DynAuth.pos(e.Pos.File), "write connection", "dynauth: client %s has no secret that a packet by UDP could be signed with", quote(e.Name.v))
	default:
		c.DynAuth = l.dynAuthOf(e, c.Prefixes)
	}
	l.set.Clients = append(l.set.Clients, c)
}

// clientTransport reads what a client comes by, and what proves that it is it.
func (l *loader) clientTransport(e *clientEntry, c *realm.Client) {
	s, holder := l.secured(&carried{
		kind: "client", name: e.Name.v, pos: e.Pos, transport: c.Transport, tls: e.TLS, holder: &e.Certificate,
		secretFile: e.SecretFile, secretEnv: e.SecretEnv, ma: e.RequireMA, protected: e.Protected,
	})
	if !c.Transport.Secured() {
		c.Secret = l.secrets.of(e.Pos, "client", e.Name.v, e.SecretFile, e.SecretEnv)
		c.RequireMessageAuthenticator, c.LimitProxyState = e.RequireMA.v, e.LimitProxy.v
		return
	}
	c.Secret, c.Holder = c.Transport.Secret(), holder
	if s != nil {
		c.Security = s.Security
		if !s.own {
			l.fail(e.Pos, "add certificate: and key: to it", "client %s cannot connect: tls %s has no certificate to show", quote(e.Name.v), quote(s.Name))
		}
	}
	if !e.Certificate.set() {
		l.fail(e.Pos, "add certificate: with its realms, hosts, addresses or operators", "client %s does not say whose certificate is its own", quote(e.Name.v))
	}
}

// byConnection is where CoA and Disconnect requests go that go the way back of
// a connection (draft-ietf-radext-reverse-coa).
const byConnection = "connection"

// peer is where a client stands.
type peer struct {
	pos    realm.Pos
	number int // in the set
	group  *realm.Group
}

// clientRules reads what a client has of its own or of its group.
func (l *loader) clientRules(e *clientEntry, c *realm.Client) {
	file := e.Pos.File
	if g := l.groupOf(e.Pos, e.Group); g != nil {
		g.clients++
		c.Group, c.Realms, c.OperatorName, c.In, c.Out = g.Group, g.realms, g.operator, g.in, g.out
		c.Protected = c.Protected || g.entry.Protected && !c.Transport.Secured()
	}
	c.OperatorName = l.operatorMode(e.Pos, e.OperatorName, c.OperatorName)
	if e.Realms != nil {
		c.Realms = l.realmNames(e.Pos, "realms", e.Realms)
	}
	if e.In.set() {
		c.In = l.filter(e.Pos, e.In)
	}
	if e.Out.set() {
		c.Out = l.filter(e.Pos, e.Out)
	}
	c.Operators = l.operators(e)
	if text := badText(e.Institution.v); text != "" {
		l.fail(e.Institution.pos(file), "", "institution: %s", text)
	}
	switch {
	case e.Operator.set():
	case c.OperatorName != realm.OperatorPass && !c.Transport.Secured(): // else its certificate says whose it is
		word := e.OperatorName
		if !word.set() { // of the group
			word = e.Group
		}
		l.fail(word.pos(file), "give it operator:, such as 1airport.example", "client %s has no operator to %s", quote(e.Name.v), c.OperatorName)
	case c.HideNAS:
		l.fail(e.HideNAS.pos(file), "give it operator:, such as 1airport.example",
			"client %s has no operator that its NAS could be named after (RFC 8559 section 3.4)", quote(e.Name.v))
	}
	if c.HideNAS && e.Operator.set() && e.Operator.v != "" && e.Operator.v[0] != '1' {
		l.fail(e.HideNAS.pos(file), "an operator of namespace 1", "the operator of client %s is no realm that its NAS could be named after (RFC 8559 section 3.4)", quote(e.Name.v))
	}
}

// operators reads the further Operator-Names of a client.
func (l *loader) operators(e *clientEntry) (list []string) {
	for _, o := range e.Operators {
		pos := o.pos(e.Pos.File)
		switch text, hint := badOperators(o.v); {
		case text != "":
			l.fail(pos, hint, "%s", text)
		case o.v == e.Operator.v || slices.Contains(list, o.v):
			l.warn(pos, "remove it", "operator %s stands twice", quote(o.v))
		default:
			list = append(list, strings.Clone(o.v))
		}
	}
	return list
}

// badOperators is badOperator for a name that may stand for all below it.
func badOperators(s string) (text, hint string) {
	if suffix, wild := strings.CutPrefix(s, "1*."); wild {
		return badOperator("1" + suffix)
	}
	return badOperator(s)
}

// dynAuthOf reads where a client takes CoA and Disconnect requests: a port of
// the only address it has, or one of its addresses with a port.
func (l *loader) dynAuthOf(e *clientEntry, prefixes []netip.Prefix) netip.AddrPort {
	pos := e.DynAuth.pos(e.Pos.File)
	a, err := netip.ParseAddrPort(e.DynAuth.v)
	if err != nil {
		port, err := strconv.ParseUint(e.DynAuth.v, 10, 16)
		if err != nil || port == 0 {
			l.fail(pos, "write 3799, an address with a port, or connection", "dynauth: %s is no port", quote(e.DynAuth.v))
			return a
		}
		if len(prefixes) != 1 || !prefixes[0].IsSingleIP() {
			if len(prefixes) > 0 {
				l.fail(pos, "write it as 192.0.2.1:3799", "dynauth: client %s has more than one address", quote(e.Name.v))
			}
			return a
		}
		return netip.AddrPortFrom(prefixes[0].Addr(), uint16(port))
	}
	a = unmapPort(a)
	inside := slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a.Addr()) })
	switch {
	case a.Port() == 0 || a.Addr().Zone() != "":
		l.fail(pos, "write it as 192.0.2.1:3799", "dynauth: nothing can be sent to %s", a)
	case !inside && len(prefixes) > 0:
		l.fail(pos, "one of its own addresses", "dynauth: %s is no address of client %s", a.Addr(), quote(e.Name.v))
	default:
		return a
	}
	return netip.AddrPort{}
}

func (l *loader) country(e *clientEntry) string {
	c := strings.Clone(strings.ToUpper(e.Country.v))
	if e.Country.set() && (len(c) != 2 || strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		l.fail(e.Country.pos(e.Pos.File), "two letters such as DE (ISO 3166-1)", "country: %s is no country code", quote(e.Country.v))
	}
	return c
}

// prefix brings an address of a client into the form that is looked up.
func (l *loader) prefix(e *clientEntry, by realm.Transport, p at[netip.Prefix]) (netip.Prefix, bool) {
	prefix, pos := p.v, p.pos(e.Pos.File)
	if !prefix.IsValid() {
		return prefix, false // the decoder has said so
	}
	if a := prefix.Addr(); a.Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
	}
	if masked := prefix.Masked(); masked != prefix {
		l.warn(pos, "write "+masked.String(), "%s has bits behind the prefix", prefix)
		prefix = masked
	}
	if prefix.Bits() == 0 && by.Secured() {
		l.warn(pos, "remove it", "without an address client %s may come from anywhere too", quote(e.Name.v))
	} else if prefix.Bits() == 0 {
		l.warn(pos, "name the ranges", "client %s is the whole internet", quote(e.Name.v))
	}
	first, taken := l.prefixes[by].add(prefix, e.Name.v, pos)
	switch {
	case taken && first.client != e.Name.v && by.Secured(): // the certificate tells them apart
		return prefix, true
	case !taken:
		return prefix, true
	case first.client == e.Name.v:
		l.warn(pos, "first at "+first.pos.String(), "%s stands twice", prefix)
	default:
		l.fail(pos, "first at "+first.pos.String(), "%s belongs to client %s already", prefix, quote(first.client))
	}
	return prefix, false
}
