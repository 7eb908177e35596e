package file

import (
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

func (l *loader) home(e *homeEntry) {
	if e.Pos.Line == 0 {
		return
	}
	h := realm.Home{
		Name:         strings.Clone(e.Name.v),
		StatusServer: e.StatusServer,
		Disabled:     e.Disabled,
		Drain:        e.Drain.v,
		Transport:    l.homeCarrier(e),
		Protected:    e.Protected.v,
		Pos:          e.Pos,
	}
	if h.Transport == realm.Diameter {
		l.homeGateway(e, &h)
	} else {
		l.homePort(e, &h)
		l.homeAddresses(e, &h)
		l.homeTransport(e, &h)
	}
	l.homeRules(e, &h)
	if !e.RequireMA.v && !h.Transport.Secured() {
		l.warn(e.RequireMA.pos(e.Pos.File), "bring the home to send Message-Authenticator",
			"answers of home %s can be forged (CVE-2024-3596)", quote(e.Name.v))
	}
	if !l.name(e.Pos, e.Name) {
		return
	}
	if first, twice := l.homes[h.Name]; twice {
		l.twice(e.Name.pos(e.Pos.File), l.set.Homes[first].Pos, "home", h.Name)
		return
	}
	h.DynAuth = l.reversePrefixes(e, &h)
	l.homes[h.Name] = int32(len(l.set.Homes))
	l.set.Homes = append(l.set.Homes, h)
}

// homeCarrier is the transport of a home, which may be Diameter.
func (l *loader) homeCarrier(e *homeEntry) realm.Transport {
	if e.Transport.v != realm.Diameter.String() {
		if e.Application.set() {
			l.fail(e.Application.pos(e.Pos.File), "write transport: diameter, or remove it", "application: home %s does not speak Diameter", quote(e.Name.v))
		}
		word := e.Transport
		if word.set() && !slices.Contains([]string{"udp", "tcp", "tls", "dtls"}, word.v) {
			return choose(l, e.Pos, "transport", word, realm.UDP, []string{"udp", "tcp", "tls", "dtls", "diameter"}, realm.UDP, realm.TCP, realm.TLS, realm.DTLS, realm.Diameter)
		}
		return l.transport(e.Pos, word, e.TLS)
	}
	return realm.Diameter
}

// homeGateway reads a home that is no server: its requests become those of Diameter,
// which the routes of that send on.
func (l *loader) homeGateway(e *homeEntry, h *realm.Home) {
	file := e.Pos.File
	for _, key := range []struct {
		name string
		pos  realm.Pos
	}{
		{"address", posOf(file, e.Address)}, {"auth", e.Auth.pos(file)}, {"acct", e.Acct.pos(file)}, {"host", e.Host.pos(file)},
		{"port", e.Port.pos(file)}, {"auth_port", realm.Pos{File: file, Line: int(e.AuthPort.line), Col: int(e.AuthPort.col)}},
		{"acct_port", realm.Pos{File: file, Line: int(e.AcctPort.line), Col: int(e.AcctPort.col)}},
		{"secret_file", e.SecretFile.pos(file)}, {"secret_env", e.SecretEnv.pos(file)}, {"tls", e.TLS.pos(file)}, {"certificate", e.Certificate.Pos},
		{"connections", e.Connections.pos(file)}, {"require_message_authenticator", e.RequireMA.pos(file)},
	} {
		if key.pos.Line > 0 {
			l.fail(key.pos, "remove it: peers and the Diameter routes of the realm say where requests go", "%s: home %s is inside of the hub", key.name, quote(e.Name.v))
		}
	}
	h.Gateway = choose(l, e.Pos, "application", e.Application, uint32(diameter.AppNASREQ), []string{"nasreq", "sta", "swm"},
		diameter.AppNASREQ, uint32(diameter.AppSTa), uint32(diameter.AppSWm))
	h.Auth, h.Acct, h.StatusServer = realm.Nowhere, realm.Nowhere, true
}

func posOf(file string, list []homeAddress) realm.Pos {
	if len(list) == 0 {
		return realm.Pos{}
	}
	return list[0].pos(file)
}

// maxConnections bounds those of one event loop to one home.
const maxConnections = 64

// radsecPort is that of RADIUS over TLS and DTLS.
const radsecPort = 2083

// homePort settles the port where one serves for everything.
func (l *loader) homePort(e *homeEntry, h *realm.Home) {
	pos := e.Port.pos(e.Pos.File)
	switch {
	case e.Port.set() && h.Transport == realm.UDP:
		l.fail(pos, "write auth_port and acct_port", "which port is not said")
		return
	case e.Port.set() && e.Port.v == 0:
		l.fail(pos, "such as 2083", "port: 0 is no port")
		return
	case !e.Port.set() && !h.Transport.Secured():
		return
	}
	n := uint16(radsecPort)
	if e.Port.set() {
		n = e.Port.v
	}
	for _, p := range []*port{&e.AuthPort, &e.AcctPort} {
		if p.line == 0 {
			p.n = n
		}
	}
}

// homeTransport reads what a home is reached by, and what proves that it is it.
func (l *loader) homeTransport(e *homeEntry, h *realm.Home) {
	s, holder := l.secured(&carried{
		kind: "home", name: e.Name.v, pos: e.Pos, transport: h.Transport, tls: e.TLS, holder: &e.Certificate,
		secretFile: e.SecretFile, secretEnv: e.SecretEnv, ma: e.RequireMA, protected: e.Protected,
	})
	if n := e.Connections; n.set() && h.Transport == realm.UDP {
		l.fail(n.pos(e.Pos.File), "remove it", "connections: there are none over udp")
	} else if n.set() && (n.v < 1 || n.v > maxConnections) {
		l.fail(n.pos(e.Pos.File), "8 is usual", "connections is not in 1 to %d", maxConnections)
	} else {
		h.Connections = n.v
	}
	if !h.Transport.Secured() {
		h.Secret = l.secrets.of(e.Pos, "home", e.Name.v, e.SecretFile, e.SecretEnv)
		h.RequireMessageAuthenticator = e.RequireMA.v
		return
	}
	h.Secret, h.Holder = h.Transport.Secret(), holder
	if s != nil {
		h.Security = s.Security
		if !s.own {
			l.warn(e.Pos, "add certificate: and key: to it", "tls %s has no certificate to show, which home %s will most likely ask for", quote(s.Name), quote(e.Name.v))
		}
	}
	if !e.Certificate.set() {
		h.Holder = holderOf(h)
	}
}

// holderOf is whose certificate a home shows that says nothing of it: it names
// what we connect to (RFC 9525).
func holderOf(h *realm.Home) *realm.Holder {
	if h.Host != "" {
		return &realm.Holder{Hosts: []string{strings.TrimSuffix(h.Host, ".")}, Pos: h.Pos}
	}
	holder := &realm.Holder{Pos: h.Pos}
	for a := range homePorts(h) {
		if !slices.Contains(holder.Addrs, a.Addr()) {
			holder.Addrs = append(holder.Addrs, a.Addr())
		}
	}
	return holder
}

// homeRules reads what a home has of its own or of its group.
func (l *loader) homeRules(e *homeEntry, h *realm.Home) {
	if g := l.groupOf(e.Pos, e.Group); g != nil {
		g.homes++
		h.Group, h.Realms, h.In, h.Out = g.Group, g.realms, g.in, g.out
		h.Protected = h.Protected || g.entry.Protected && !h.Transport.Secured()
	}
	if e.Realms != nil {
		h.Realms = l.realmNames(e.Pos, "realms", e.Realms)
	}
	if e.In.set() {
		h.In = l.filter(e.Pos, e.In)
	}
	if e.Out.set() {
		h.Out = l.filter(e.Pos, e.Out)
	}
	if e.Operator.set() {
		h.Operator = l.homeOperator(e)
	}
	h.Maintenance = l.windows(e.Maintenance)
}

const maxAddresses = 8 // of one home

// homeAddresses reads where a home is: address, one or several, or host, each
// with the ports beside it, or the two pairs auth and acct.
func (l *loader) homeAddresses(e *homeEntry, h *realm.Home) {
	file := e.Pos.File
	pairs := e.Auth.set() || e.Acct.set()
	ports := e.AuthPort.line > 0 || e.AcctPort.line > 0 || e.Port.set()
	switch {
	case len(e.Address) > 0 && pairs:
		l.fail(e.Address[0].pos(file), "keep address with auth_port and acct_port, or auth and acct",
			"home %s has its address twice", quote(e.Name.v))
		return
	case e.Host.set() && (pairs || len(e.Address) > 0):
		l.fail(e.Host.pos(file), "keep host or the address", "home %s has its address twice", quote(e.Name.v))
		return
	case pairs && ports:
		l.fail(e.Pos, "the port stands in auth and acct", "home %s has its port twice", quote(e.Name.v))
		return
	case pairs:
		h.Auth, h.Acct = unmapPort(e.Auth.v), unmapPort(e.Acct.v)
	case e.Host.set():
		l.homeHost(e, h)
	case len(e.Address) == 0:
		l.fail(e.Pos, "write address, host, or auth and acct as address:port", "home %s has no address", quote(e.Name.v))
		return
	default:
		l.homeFound(e, h)
	}
	l.judgeAddresses(e, h)
}

func (l *loader) homeHost(e *homeEntry, h *realm.Home) {
	name := foldASCII(e.Host.v)
	if text, hint := badHost(name); text != "" {
		l.fail(e.Host.pos(e.Pos.File), hint, "host: %s", text)
		return
	}
	h.Host = strings.Clone(name)
	h.AuthPort, h.AcctPort = e.AuthPort.n, e.AcctPort.n
	// Without an address until somebody has asked for it.
	h.Auth, h.Acct = netip.AddrPortFrom(netip.Addr{}, h.AuthPort), netip.AddrPortFrom(netip.Addr{}, h.AcctPort)
}

func (l *loader) homeFound(e *homeEntry, h *realm.Home) {
	file := e.Pos.File
	var found []netip.Addr
	for i := range e.Address {
		a := e.Address[i].v.Unmap()
		switch pos := e.Address[i].pos(file); {
		case !a.IsValid(): // the decoder has said so
		case slices.Contains(found, a):
			l.warn(pos, "remove it", "%s stands twice", a)
		case len(found) == maxAddresses:
			l.fail(pos, "another server is another home", "home %s has more than %d addresses", quote(e.Name.v), maxAddresses)
			return
		default:
			found = append(found, a)
		}
	}
	if len(found) == 0 {
		return
	}
	if e.AuthPort.n > 0 {
		h.Auth = netip.AddrPortFrom(found[0], e.AuthPort.n)
	}
	if e.AcctPort.n > 0 {
		h.Acct = netip.AddrPortFrom(found[0], e.AcctPort.n)
	}
	if len(found) > 1 {
		h.Found, h.AuthPort, h.AcctPort = found, e.AuthPort.n, e.AcctPort.n
	}
}

func (l *loader) judgeAddresses(e *homeEntry, h *realm.Home) {
	for a := range homePorts(h) {
		if a.Addr().IsUnspecified() || a.Addr().IsMulticast() || a.Port() == 0 {
			l.fail(e.Pos, "", "nothing can be sent to %s, the address of home %s", a, quote(e.Name.v))
			return
		}
	}
	off := e.AuthPort.line > 0 && e.AcctPort.line > 0 && e.AuthPort.n == 0 && e.AcctPort.n == 0
	same := h.Transport == realm.UDP && (h.Auth.IsValid() && h.Auth == h.Acct || h.Host != "" && h.AuthPort == h.AcctPort)
	switch {
	case off:
		l.fail(e.Pos, "remove the home, or give it a port", "home %s has no port at all", quote(e.Name.v))
	case same:
		l.fail(e.Pos, "one of them is usually none", "home %s has one port for authentication and accounting", quote(e.Name.v))
	}
}

// homePorts are the addresses of a home, each with the port of each service.
func homePorts(h *realm.Home) iter.Seq[netip.AddrPort] {
	return func(yield func(netip.AddrPort) bool) {
		for _, a := range []netip.AddrPort{h.Auth, h.Acct} {
			if a.Addr().IsValid() && !yield(a) {
				return
			}
			if h.Auth == h.Acct {
				break // one port for both
			}
		}
		for _, a := range h.Found[min(1, len(h.Found)):] {
			for _, port := range []uint16{h.AuthPort, h.AcctPort} {
				if port > 0 && !yield(netip.AddrPortFrom(a, port)) {
					return
				}
				if h.AuthPort == h.AcctPort {
					break
				}
			}
		}
	}
}

// offers reports for each service whether a home has a port for it.
func offers(h *realm.Home) [2]bool {
	return [2]bool{h.Auth.IsValid() || h.AuthPort > 0, h.Acct.IsValid() || h.AcctPort > 0}
}

// reversePrefixes reads where the CoA and Disconnect requests of a home come
// from. An address belongs to one home: its secret is known by it.
func (l *loader) reversePrefixes(e *homeEntry, h *realm.Home) (list []netip.Prefix) {
	for _, a := range e.DynAuth {
		pos := a.pos(e.Pos.File)
		if a.v == byConnection {
			h.ReverseCoA = l.reverseCoA(pos, h.Transport)
			continue
		}
		if h.Transport.Secured() || h.Transport == realm.Diameter {
			l.fail(pos, "write connection", "dynauth: home %s has no secret that a packet by UDP could be signed with", quote(e.Name.v))
			break
		}
		if a.v == "self" {
			if h.Host != "" {
				l.fail(pos, "write the addresses", "dynauth: self of a home whose address is not written")
			}
			var own []netip.Addr
			for p := range homePorts(h) {
				if !slices.Contains(own, p.Addr()) {
					own = append(own, p.Addr())
					list = l.reverse(e, pos, netip.PrefixFrom(p.Addr(), p.Addr().BitLen()), list)
				}
			}
			continue
		}
		p, ok := parsePrefix(a.v)
		if !ok {
			l.fail(pos, addressHint(a.v, "write self, connection, or a prefix such as 192.0.2.0/24"), "dynauth: %s is no address or prefix", quote(a.v))
			continue
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if masked := p.Masked(); masked != p {
			l.warn(pos, "write "+masked.String(), "%s has bits behind the prefix", p)
			p = masked
		}
		if p.Bits() == 0 {
			l.fail(pos, "name the ranges", "dynauth: the whole internet may end sessions")
			continue
		}
		list = l.reverse(e, pos, p, list)
	}
	return list
}

func (l *loader) reverse(e *homeEntry, pos realm.Pos, p netip.Prefix, list []netip.Prefix) []netip.Prefix {
	switch first, taken := l.sources.add(p, e.Name.v, pos); {
	case !taken:
		return append(list, p)
	case first.client != e.Name.v:
		l.fail(pos, "first at "+first.pos.String(), "dynauth: %s belongs to home %s already", p, quote(first.client))
	default:
		l.warn(pos, "first at "+first.pos.String(), "%s stands twice", p)
	}
	return list
}

func unmapPort(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// ambiguousHomes refuses two homes at one address and port: an answer from
// there would belong to either, under either secret.
func (l *loader) ambiguousHomes() {
	seen := make(map[netip.AddrPort]int, 2*len(l.set.Homes))
	for i := range l.set.Homes {
		h := &l.set.Homes[i]
		if h.Transport != realm.UDP {
			continue // an answer comes by the connection of its request
		}
		for a := range homePorts(h) {
			first, taken := seen[a]
			if !taken {
				seen[a] = i
				continue
			}
			if first != i {
				f := &l.set.Homes[first]
				l.fail(h.Pos, "first at "+f.Pos.String(), "%s is the address of home %s already", a, quote(f.Name))
				break
			}
		}
	}
}
