package file

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// peerEntry is a Diameter node.
type peerEntry struct {
	Pos       realm.Pos     `yaml:",pos"`
	Name      at[string]    `yaml:"name,required"`
	Identity  at[string]    `yaml:"identity,required"`
	Realm     at[string]    `yaml:"realm"`
	Origins   []at[string]  `yaml:"origins"`
	Takes     []at[string]  `yaml:"takes"`
	Address   []homeAddress `yaml:"address"`
	Host      at[string]    `yaml:"host"`
	Port      at[uint16]    `yaml:"port"`
	Transport at[string]    `yaml:"transport" words:"tcp|tls|sctp"`

	TLS         at[string]         `yaml:"tls"`
	Certificate holderEntry        `yaml:"certificate"`
	From        []at[netip.Prefix] `yaml:"from"`
	Protected   at[bool]           `yaml:"protected"`

	Applications []at[string]      `yaml:"applications"`
	Connections  at[int]           `yaml:"connections"`
	Watchdog     at[time.Duration] `yaml:"watchdog"`
	Retry        at[time.Duration] `yaml:"retry"`
	Rate         at[int]           `yaml:"rate"`
	Burst        at[int]           `yaml:"burst"`
	Queue        at[Size]          `yaml:"queue"`
	InFlight     at[int]           `yaml:"in_flight"`
	HideTopology bool              `yaml:"hide_topology"`
	Screening    at[string]        `yaml:"screening"`
	Disabled     bool              `yaml:"disabled"`
	Drain        bool              `yaml:"drain"`

	Group     at[string]   `yaml:"group"`
	Operator  at[string]   `yaml:"operator"`
	Operators []at[string] `yaml:"operators"`
	Country   at[string]   `yaml:"country"`
	Realms    []at[string] `yaml:"realms"`
}

func (peerEntry) KeyHint(key string) (text, hint string) {
	switch key {
	case "secret", "secret_file", "secret_env", "password":
		return "Diameter has no shared secrets", "transport: tls proves who a peer is"
	case "origin_host", "diameter_identity":
		return "unknown key " + quote(key), "did you mean identity?"
	case "origin_realm":
		return "unknown key " + quote(key), "did you mean realm?"
	case "ipaddr", "ip", "addresses", "connect_to":
		return "unknown key " + quote(key), "did you mean address?"
	case "auth_port", "acct_port", "auth", "acct":
		return "Diameter has one port for everything", "write port:"
	}
	return "", ""
}

// The ports of RFC 6733 section 2.1.
const (
	diameterPort = 3868
	securePort   = 5868
)

// Bounds of what a peer has.
const (
	maxPeerConnections = 16
	minWatchdog        = 6 * time.Second // RFC 3539 section 3.4.1
	maxWatchdog        = 10 * time.Minute
	minRetry           = time.Second
	maxRetry           = time.Hour
	maxPeerRate        = 10_000_000
	minQueue           = 64 << 10 // one message of the largest kind
	maxQueue           = 1 << 30
	maxInFlight        = 1 << 20
	maxApplications    = 64
)

// peerClient is the client that a peer is toward routes, policy and records.
func (e *peerEntry) peerClient() *clientEntry {
	return &clientEntry{Pos: e.Pos, Name: e.Name, Operator: e.Operator, Operators: e.Operators, Country: e.Country, Group: e.Group, Realms: e.Realms}
}

func (l *loader) peer(e *peerEntry) {
	if e.Pos.Line == 0 {
		return
	}
	file := e.Pos.File
	p := realm.Peer{
		Name: strings.Clone(e.Name.v), Client: int32(len(l.set.Clients)),
		Transport:    l.peerTransport(e),
		Applications: l.peerApplications(e),
		Screening:    l.screeningNamed(e.Pos, e.Screening),
		HideTopology: e.HideTopology, Disabled: e.Disabled, Drain: e.Drain,
		Pos: e.Pos,
	}
	named := l.name(e.Pos, e.Name)
	l.peerIdentity(e, &p)
	l.peerAddresses(e, &p)
	l.peerSecurity(e, &p)
	l.peerLimits(e, &p)
	if e.Takes != nil {
		p.Realms = l.realmNames(e.Pos, "takes", e.Takes)
	}
	if g := l.groups[e.Group.v]; g != nil {
		g.homes++
		g.peers++
		p.Group = g.Group
		if !e.Screening.set() {
			p.Screening = g.screening
		}
		if e.Takes == nil {
			p.Realms = g.realms
		}
	}
	entry := e.peerClient()
	c := realm.Client{
		Name: p.Name, Transport: realm.Diameter, Operator: strings.Clone(e.Operator.v), Country: l.country(entry), Pos: e.Pos,
		Protected: e.Protected.v, ReverseCoA: true, // CoA becomes RAR, Disconnect ASR
	}
	l.clientRules(entry, &c)
	if text, hint := badOperator(e.Operator.v); e.Operator.set() && text != "" {
		l.fail(e.Operator.pos(file), hint, "%s", text)
	}
	if !named {
		return
	}
	if first, twice := l.clients[p.Name]; twice {
		kind := "client"
		if _, peers := l.peers[p.Name]; peers {
			kind = "peer"
		}
		l.fail(e.Name.pos(file), "first at "+first.pos.String(), "%s is the name of another %s: a peer is a client too", quote(p.Name), kind)
		return
	}
	l.clients[p.Name] = &peer{pos: e.Name.pos(file), number: len(l.set.Clients), group: c.Group}
	l.peers[p.Name] = int32(len(l.set.Peers))
	l.set.Clients = append(l.set.Clients, c)
	l.set.Peers = append(l.set.Peers, p)
}

func (l *loader) peerTransport(e *peerEntry) realm.Transport {
	otherwise := realm.TCP
	if e.TLS.set() || e.Certificate.set() {
		otherwise = realm.TLS
	}
	return choose(l, e.Pos, "transport", e.Transport, otherwise, []string{"tcp", "tls", "sctp"}, realm.TCP, realm.TLS, realm.SCTP)
}

// peerIdentity reads who a peer says it is, and for whom it may speak.
func (l *loader) peerIdentity(e *peerEntry, p *realm.Peer) {
	file := e.Pos.File
	p.Identity = strings.Clone(foldASCII(e.Identity.v))
	if e.Identity.set() {
		if text, hint := badIdentity(p.Identity); text != "" {
			l.fail(e.Identity.pos(file), hint, "identity: %s", text)
		} else if first, twice := l.identities[p.Identity]; twice {
			l.fail(e.Identity.pos(file), "first at "+first.String(), "identity: %s is another peer's", quote(p.Identity))
		} else {
			l.identities[p.Identity] = e.Identity.pos(file)
		}
	}
	if e.Realm.set() {
		name, _, _ := l.foldRealm(e.Realm.v)
		text, hint := Realm(e.Realm.v)
		if text == oneLabel && l.oneLabel {
			text = ""
		}
		if text != "" {
			l.fail(e.Realm.pos(file), hint, "realm: %s: %s", quote(e.Realm.v), text)
		}
		p.Realm = strings.Clone(name)
	} else {
		_, p.Realm, _ = strings.Cut(p.Identity, ".")
	}
	p.Origins = l.peerOrigins(e, p)
}

// wordAny stands for all origins.
const wordAny = "any"

// peerOrigins are the realms that requests from a peer may begin in: its own, and
// those that are named.
func (l *loader) peerOrigins(e *peerEntry, p *realm.Peer) *realm.Names {
	if len(e.Origins) == 1 && e.Origins[0].v == wordAny {
		return nil
	}
	if e.Origins == nil {
		if p.Realm == "" {
			return nil
		}
		return realm.NewNames([]string{p.Realm})
	}
	if i := slices.IndexFunc(e.Origins, func(a at[string]) bool { return a.v == wordAny }); i >= 0 {
		l.fail(e.Origins[i].pos(e.Pos.File), "keep any or the others", "origins: any is everything")
		return nil
	}
	names := l.realmNames(e.Pos, "origins", e.Origins)
	if names == nil || p.Realm == "" || names.Allow([]byte(p.Realm)) {
		return names
	}
	return realm.NewNames(append(names.List(), p.Realm))
}

// badIdentity checks a DiameterIdentity (RFC 6733 section 4.3.1).
func badIdentity(s string) (text, hint string) {
	const how = "such as mme1.epc.mnc001.mcc262.3gppnetwork.org"
	if text, _ := badHost(s); text != "" || !strings.Contains(s, ".") || strings.HasSuffix(s, ".") || strings.Trim(s, "0123456789.") == "" {
		return quote(s) + " is no name of a host", how
	}
	return "", ""
}

// Realm checks the name of a realm that a node is in; text is empty if it is good.
func Realm(s string) (text, hint string) {
	name, text, hint := foldRealm(s)
	if text == "" && (strings.HasPrefix(name, "*") || name == realm.NameNone || name == realm.NameDefault) {
		return "is no realm that a node is in", "such as epc.mnc001.mcc262.3gppnetwork.org"
	}
	return text, hint
}

// Identity checks the identity of a Diameter node; text is empty if it is good.
func Identity(s string) (text, hint string) { return badIdentity(foldASCII(s)) }

// peerAddresses reads where a peer is: addresses or a name, and the port.
func (l *loader) peerAddresses(e *peerEntry, p *realm.Peer) {
	file := e.Pos.File
	p.Port = diameterPort
	if p.Transport == realm.TLS {
		p.Port = securePort
	}
	if e.Port.set() {
		if p.Port = e.Port.v; p.Port == 0 {
			l.fail(e.Port.pos(file), "3868 is usual, over tls 5868", "port: 0 is no port")
		}
		if !e.Host.set() && len(e.Address) == 0 {
			l.fail(e.Port.pos(file), "name it with address or host", "port: the hub does not connect to peer %s", quote(e.Name.v))
		}
	}
	if e.Host.set() && len(e.Address) > 0 {
		l.fail(e.Host.pos(file), "keep host or the address", "peer %s has its address twice", quote(e.Name.v))
		return
	}
	if e.Host.set() {
		name := foldASCII(e.Host.v)
		if text, hint := badHost(name); text != "" {
			l.fail(e.Host.pos(file), hint, "host: %s", text)
			return
		}
		p.Host = strings.Clone(name)
	}
	for i := range e.Address {
		a, pos := netip.AddrPortFrom(e.Address[i].v.Unmap(), p.Port), e.Address[i].pos(file)
		switch {
		case !a.IsValid(): // the decoder has said so
		case a.Addr().IsUnspecified() || a.Addr().IsMulticast():
			l.fail(pos, "", "nothing can be sent to %s, the address of peer %s", a.Addr(), quote(e.Name.v))
		case slices.Contains(p.Addresses, a):
			l.warn(pos, "remove it", "%s stands twice", a.Addr())
		case len(p.Addresses) == maxAddresses:
			l.fail(pos, "another node is another peer", "peer %s has more than %d addresses", quote(e.Name.v), maxAddresses)
			return
		default:
			p.Addresses = append(p.Addresses, a)
		}
	}
	for _, from := range e.From {
		if prefix, ok := l.peerPrefix(e, p, from); ok {
			p.From = append(p.From, prefix)
		}
	}
	if p.Transport != realm.TLS && len(e.Address)+len(e.From) == 0 && !e.Host.set() {
		l.fail(e.Pos, "write address, host or from, or transport: tls", "nothing says who peer %s is", quote(e.Name.v))
	}
}

func (l *loader) peerPrefix(e *peerEntry, p *realm.Peer, from at[netip.Prefix]) (netip.Prefix, bool) {
	prefix, pos := from.v, from.pos(e.Pos.File)
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
	switch {
	case slices.Contains(p.From, prefix):
		l.warn(pos, "remove it", "%s stands twice", prefix)
		return prefix, false
	case prefix.Bits() == 0 && p.Transport == realm.TLS:
		l.warn(pos, "remove it", "without from peer %s may come from anywhere too", quote(e.Name.v))
	case prefix.Bits() == 0:
		l.fail(pos, "name the ranges", "from: whoever says that it is peer %s would be", quote(e.Name.v))
	}
	return prefix, true
}

// peerSecurity reads what proves that a peer is it: without a word of the files, a
// certificate that has its identity as a name (RFC 6733 section 13.1).
func (l *loader) peerSecurity(e *peerEntry, p *realm.Peer) {
	by := p.Transport
	if by == realm.SCTP {
		by = realm.TCP // what is said of the one holds for the other
	}
	s, holder := l.secured(&carried{
		kind: "peer", name: e.Name.v, pos: e.Pos, transport: by, tls: e.TLS, holder: &e.Certificate, protected: e.Protected,
	})
	if by != realm.TLS {
		return
	}
	if s != nil {
		p.Security = s.Security
		if !s.own {
			l.fail(e.Pos, "add certificate: and key: to it", "peer %s wants to see a certificate, and tls %s has none to show", quote(e.Name.v), quote(s.Name))
		}
	}
	if p.Holder = holder; !e.Certificate.set() && p.Identity != "" {
		p.Holder = &realm.Holder{Hosts: []string{p.Identity}, Pos: e.Pos}
	}
}

// peerApplications reads what is spoken with a peer, nil for everything.
func (l *loader) peerApplications(e *peerEntry) (list []uint32) {
	switch {
	case e.Applications == nil:
		return nil
	case len(e.Applications) == 0:
		l.fail(e.Pos, "without the key it is an agent, with which anything is spoken", "applications is an empty list")
		return nil
	case len(e.Applications) > maxApplications:
		l.fail(e.Applications[maxApplications].pos(e.Pos.File), "write relay", "applications has more than %d entries", maxApplications)
		return nil
	}
	for _, word := range e.Applications {
		n, text, hint := application(word.v)
		switch pos := word.pos(e.Pos.File); {
		case text != "":
			l.fail(pos, hint, "applications: %s %s", quote(word.v), text)
		case n == diameter.AppRelay && len(e.Applications) > 1:
			l.fail(pos, "keep relay or the others", "applications: relay is everything")
		case slices.Contains(list, n):
			l.warn(pos, "remove it", "applications: %s stands twice", quote(word.v))
		case n != diameter.AppRelay:
			list = append(list, n)
		}
	}
	return list
}

func (l *loader) peerLimits(e *peerEntry, p *realm.Peer) {
	count := func(key string, n at[int], low, high int, hint string) int {
		if n.set() && (n.v < low || n.v > high) {
			l.fail(n.pos(e.Pos.File), hint, "%s is not in %d to %d", key, low, high)
			return 0
		}
		return n.v
	}
	within := func(key string, t at[time.Duration], low, high time.Duration, hint string) time.Duration {
		if t.set() && (t.v < low || t.v > high) {
			l.fail(t.pos(e.Pos.File), hint, "%s is not in %s to %s", key, low, high)
			return 0
		}
		return t.v
	}
	p.Connections = count("connections", e.Connections, 1, maxPeerConnections, "1 is usual")
	p.Rate = count("rate", e.Rate, 1, maxPeerRate, "requests a second; without the key there is no bound")
	p.Burst = count("burst", e.Burst, 1, maxPeerRate, "requests at once")
	p.InFlight = count("in_flight", e.InFlight, 1, maxInFlight, "8192 is usual")
	p.Watchdog = within("watchdog", e.Watchdog, minWatchdog, maxWatchdog, "30s is usual (RFC 3539 section 3.4.1)")
	p.Retry = within("retry", e.Retry, minRetry, maxRetry, "30s is usual (RFC 6733 section 12)")
	if q := e.Queue; q.set() && (q.v < minQueue || q.v > maxQueue) {
		l.fail(q.pos(e.Pos.File), "1MiB is usual", "queue is not in 64KiB to 1GiB")
	} else {
		p.Queue = int(q.v)
	}
	if e.Burst.set() && !e.Rate.there() {
		l.fail(e.Burst.pos(e.Pos.File), "add rate:, or remove it", "burst without a rate")
	}
}
