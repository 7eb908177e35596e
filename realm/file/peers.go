package file

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

func (l *loader) client(e *clientEntry) {
	if e.Pos.Line == 0 {
		return // no keys at all: the decoder has said so
	}
	named := l.name(e.Pos, e.Name)
	if first, twice := l.clients[e.Name.v]; twice && named {
		l.twice(e.Name.pos(e.Pos.File), first, "client", e.Name.v)
	} else if named {
		l.clients[e.Name.v] = e.Name.pos(e.Pos.File)
	}
	c := realm.Client{
		Name:                        strings.Clone(e.Name.v),
		Secret:                      l.secrets.of(e.Pos, "client", e.Name.v, e.SecretFile, e.SecretEnv),
		RequireMessageAuthenticator: e.RequireMA.v,
		LimitProxyState:             e.LimitProxy.v,
		Operator:                    strings.Clone(e.Operator.v),
		Country:                     l.country(e),
		Pos:                         e.Pos,
	}
	if text, hint := badOperator(e.Operator.v); e.Operator.set() && text != "" {
		l.fail(e.Operator.pos(e.Pos.File), hint, "%s", text)
	}
	if !e.RequireMA.v {
		l.warn(e.RequireMA.pos(e.Pos.File), "bring the client to send Message-Authenticator",
			"Access-Requests of client %s can be forged (CVE-2024-3596)", quote(e.Name.v))
	}
	for _, p := range e.Address {
		if prefix, ok := l.prefix(e, p); ok {
			c.Prefixes = append(c.Prefixes, prefix)
		}
	}
	if len(e.Address) == 0 {
		l.fail(e.Pos, "", "client %s has no address", quote(e.Name.v))
	}
	l.set.Clients = append(l.set.Clients, c)
}

func (l *loader) country(e *clientEntry) string {
	c := strings.Clone(strings.ToUpper(e.Country.v))
	if e.Country.set() && (len(c) != 2 || strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		l.fail(e.Country.pos(e.Pos.File), "two letters such as DE (ISO 3166-1)", "country: %s is no country code", quote(e.Country.v))
	}
	return c
}

// prefix brings an address of a client into the form that is looked up.
func (l *loader) prefix(e *clientEntry, p at[netip.Prefix]) (netip.Prefix, bool) {
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
	if prefix.Bits() == 0 {
		l.warn(pos, "name the ranges", "client %s is the whole internet", quote(e.Name.v))
	}
	first, taken := l.prefixes.add(prefix, e.Name.v, pos)
	switch {
	case !taken:
		return prefix, true
	case first.client == e.Name.v:
		l.warn(pos, "first at "+first.pos.String(), "%s stands twice", prefix)
	default:
		l.fail(pos, "first at "+first.pos.String(), "%s belongs to client %s already", prefix, quote(first.client))
	}
	return prefix, false
}

func (l *loader) home(e *homeEntry) {
	if e.Pos.Line == 0 {
		return
	}
	h := realm.Home{
		Name:                        strings.Clone(e.Name.v),
		Secret:                      l.secrets.of(e.Pos, "home", e.Name.v, e.SecretFile, e.SecretEnv),
		RequireMessageAuthenticator: e.RequireMA.v,
		StatusServer:                e.StatusServer,
		Disabled:                    e.Disabled,
		Pos:                         e.Pos,
	}
	h.Auth, h.Acct = l.homeAddresses(e)
	if !e.RequireMA.v {
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
	l.homes[h.Name] = int32(len(l.set.Homes))
	l.set.Homes = append(l.set.Homes, h)
}

func (l *loader) homeAddresses(e *homeEntry) (auth, acct netip.AddrPort) {
	pairs := e.Auth.set() || e.Acct.set()
	switch {
	case e.Address.set() && pairs:
		l.fail(e.Address.pos(e.Pos.File), "keep address with auth_port and acct_port, or auth and acct",
			"home %s has its address twice", quote(e.Name.v))
		return auth, acct
	case pairs && (e.AuthPort.line > 0 || e.AcctPort.line > 0):
		l.fail(e.Pos, "the port stands in auth and acct", "home %s has its port twice", quote(e.Name.v))
		return auth, acct
	case pairs:
		auth, acct = unmapPort(e.Auth.v), unmapPort(e.Acct.v)
	case !e.Address.set():
		l.fail(e.Pos, "write address, or auth and acct as address:port", "home %s has no address", quote(e.Name.v))
		return auth, acct
	default:
		a := e.Address.v.Unmap()
		if a.IsValid() && e.AuthPort.n > 0 {
			auth = netip.AddrPortFrom(a, e.AuthPort.n)
		}
		if a.IsValid() && e.AcctPort.n > 0 {
			acct = netip.AddrPortFrom(a, e.AcctPort.n)
		}
	}
	l.judgeAddresses(e, auth, acct, pairs)
	return auth, acct
}

func (l *loader) judgeAddresses(e *homeEntry, auth, acct netip.AddrPort, pairs bool) {
	for _, a := range []netip.AddrPort{auth, acct} {
		if a.IsValid() && (a.Addr().IsUnspecified() || a.Addr().IsMulticast() || a.Port() == 0) {
			l.fail(e.Pos, "", "nothing can be sent to %s, the address of home %s", a, quote(e.Name.v))
			return
		}
	}
	off := e.AuthPort.line > 0 && e.AcctPort.line > 0 && e.AuthPort.n == 0 && e.AcctPort.n == 0
	switch {
	case !pairs && off:
		l.fail(e.Pos, "remove the home, or give it a port", "home %s has no port at all", quote(e.Name.v))
	case auth.IsValid() && auth == acct:
		l.fail(e.Pos, "one of them is usually none", "home %s has one port for authentication and accounting", quote(e.Name.v))
	}
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
		for _, a := range []netip.AddrPort{h.Auth, h.Acct} {
			if !a.IsValid() {
				continue
			}
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

const (
	maxMembers = 64 // a set of members is one word
	maxWeight  = 65535
)

func (l *loader) pool(e *poolEntry) {
	if e.Pos.Line == 0 {
		return
	}
	p := realm.Pool{
		Name: strings.Clone(e.Name.v),
		Retransmit: choose(l, e.Pos, "retransmit", e.Retransmit, realm.RetransmitProxy,
			[]string{"proxy", "client"}, realm.RetransmitProxy, realm.RetransmitClient),
		Timers: l.timers(e),
		Pos:    e.Pos,
	}
	p.Members = l.poolMembers(e)
	slices.SortStableFunc(p.Members, func(a, b realm.Member) int {
		if a.Priority != b.Priority {
			return a.Priority - b.Priority
		}
		return strings.Compare(l.set.Homes[a.Home].Name, l.set.Homes[b.Home].Name)
	})
	if !l.name(e.Pos, e.Name) {
		return
	}
	if first, twice := l.pools[p.Name]; twice {
		l.twice(e.Name.pos(e.Pos.File), l.set.Pools[first].Pos, "pool", p.Name)
		return
	}
	l.pools[p.Name] = int32(len(l.set.Pools))
	l.set.Pools = append(l.set.Pools, p)
	l.members = append(l.members, e.Homes)
}

func (l *loader) poolMembers(e *poolEntry) []realm.Member {
	if len(e.Homes) == 0 {
		l.fail(e.Pos, "homes: [name, name]", "pool %s has no homes", quote(e.Name.v))
		return nil
	}
	if len(e.Homes) > maxMembers {
		l.fail(e.Homes[maxMembers].Home.pos(e.Pos.File), "", "pool %s has more than %d homes", quote(e.Name.v), maxMembers)
		return nil
	}
	var members []realm.Member
	seen := make(map[string]realm.Pos, len(e.Homes))
	good := true
	for i := range e.Homes {
		m, ok := l.member(e, &e.Homes[i], seen)
		good = good && ok
		if ok && m.Weight > 0 {
			members = append(members, m)
		}
	}
	if good && len(members) == 0 {
		l.fail(e.Pos, "give one of them a weight", "all homes of pool %s have weight 0", quote(e.Name.v))
	}
	return members
}

func (l *loader) member(e *poolEntry, m *memberEntry, seen map[string]realm.Pos) (realm.Member, bool) {
	if !m.Home.set() {
		return realm.Member{}, false
	}
	name, pos := m.Home.v, m.Home.pos(e.Pos.File)
	home, known := l.homes[name]
	first, twice := seen[name]
	seen[name] = pos
	good := true
	check := func(bad bool, pos realm.Pos, hint, format string, args ...any) {
		if bad {
			good = false
			l.fail(pos, hint, format, args...)
		}
	}
	if !known && l.partial {
		good = false
	} else if !known {
		check(true, pos, meant(name, l.homes, "add it under homes:"), "home %s does not exist", quote(name))
	}
	if twice {
		check(true, pos, "first at "+first.String(), "home %s stands twice in pool %s", quote(name), quote(e.Name.v))
	}
	check(m.Priority.v < 0 || m.Priority.v > maxWeight, m.Priority.pos(e.Pos.File), "lower is tried first", "the priority is not in 0 to %d", maxWeight)
	check(m.Weight.v < 0 || m.Weight.v > maxWeight, m.Weight.pos(e.Pos.File), "0 parks the home", "the weight is not in 0 to %d", maxWeight)
	return realm.Member{Home: home, Priority: m.Priority.v, Weight: m.Weight.v}, good
}

// meant is the hint for a name that does not exist.
func meant[V any](name string, known map[string]V, otherwise string) string {
	names := keysOf(known)
	slices.Sort(names) // one answer, however maps are ordered
	if n := nearest(name, names); n != "" {
		return "did you mean " + n + "?"
	}
	return otherwise
}
