package file

import (
	"net/netip"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// entries is one file as its operator wrote it.
type entries struct {
	Identity  identityEntry   `yaml:"identity"`
	Loops     loopsEntry      `yaml:"loops"`
	Groups    []groupEntry    `yaml:"groups"`
	Contracts []contractEntry `yaml:"contracts"`
	TLS       []tlsEntry      `yaml:"tls"`
	Filters   []filterEntry   `yaml:"filters"`
	Clients   []clientEntry   `yaml:"clients"`
	Homes     []homeEntry     `yaml:"homes"`
	Peers     []peerEntry     `yaml:"peers"`

	Screenings []screeningEntry `yaml:"screenings"`
	Steerings  []steeringEntry  `yaml:"steerings"`

	Pools []poolEntry `yaml:"pools"`

	Discoveries []discoveryEntry `yaml:"discoveries"`

	Realms []realmEntry `yaml:"realms"`
}

// identityEntry says what is taken for a network access identifier. It stands
// in one of the files.
type identityEntry struct {
	Pos   realm.Pos    `yaml:",pos"`
	Allow []at[string] `yaml:"allow" words:"several_at|backslash|one_label"` // several_at, backslash, one_label
	Own   []at[string] `yaml:"own"`
}

type loopsEntry struct {
	Pos         realm.Pos  `yaml:",pos"`
	ProxyStates at[int]    `yaml:"proxy_states"`
	Attribute   at[string] `yaml:"hop_attribute"`
	Hops        at[int]    `yaml:"hops"`
}

type groupEntry struct {
	Pos          realm.Pos    `yaml:",pos"`
	Name         at[string]   `yaml:"name,required"`
	Kind         at[string]   `yaml:"kind" words:"visited|own|federation"`
	Realms       []at[string] `yaml:"realms"`
	OperatorName at[string]   `yaml:"operator_name" words:"pass|stamp|check"`
	In           at[string]   `yaml:"in"`
	Out          at[string]   `yaml:"out"`
	Consortium   at[string]   `yaml:"consortium" words:"none|openroaming"`
	Settlement   at[string]   `yaml:"settlement" words:"free|settled"`
	Uncleared    at[string]   `yaml:"uncleared" words:"reject|free"`
	Tariff       at[string]   `yaml:"tariff"`
	Screening    at[string]   `yaml:"screening"`
	Protected    bool         `yaml:"protected"`
}

type contractEntry struct {
	Pos    realm.Pos    `yaml:",pos"`
	From   at[string]   `yaml:"from,required"`
	To     at[string]   `yaml:"to,required"`
	Realms []at[string] `yaml:"realms"`
}

// windowEntry is a time: days and times of day, or an interval, or both.
type windowEntry struct {
	Pos   realm.Pos    `yaml:",pos"`
	Days  []at[string] `yaml:"days"`
	From  at[string]   `yaml:"from"`
	To    at[string]   `yaml:"to"`
	Zone  at[string]   `yaml:"zone"`
	Begin at[string]   `yaml:"begin"`
	End   at[string]   `yaml:"end"`
}

type whenEntry struct {
	Pos         realm.Pos     `yaml:",pos"`
	Client      []at[string]  `yaml:"client"`
	Application []at[string]  `yaml:"application"`
	Command     []at[string]  `yaml:"command"`
	NASPortType []at[string]  `yaml:"nas_port_type"`
	SSID        []at[string]  `yaml:"ssid"`
	Operator    []at[string]  `yaml:"operator"`
	RCOI        []at[string]  `yaml:"rcoi"`
	User        []at[string]  `yaml:"user"`
	During      []windowEntry `yaml:"during"`
	Percent     at[string]    `yaml:"percent"`
}

type rewriteEntry struct {
	Realm at[string] `yaml:"realm"`
	Strip at[bool]   `yaml:"strip"`
}

type clientEntry struct {
	Pos        realm.Pos          `yaml:",pos"`
	Name       at[string]         `yaml:"name,required"`
	Address    []at[netip.Prefix] `yaml:"address"`
	SecretFile at[string]         `yaml:"secret_file"`
	SecretEnv  at[string]         `yaml:"secret_env"`
	RequireMA  at[bool]           `yaml:"require_message_authenticator"`
	LimitProxy at[bool]           `yaml:"limit_proxy_state"`
	Operator   at[string]         `yaml:"operator"`
	Country    at[string]         `yaml:"country"`

	Group        at[string]   `yaml:"group"`
	Realms       []at[string] `yaml:"realms"`
	OperatorName at[string]   `yaml:"operator_name" words:"pass|stamp|check"`
	In           at[string]   `yaml:"in"`
	Out          at[string]   `yaml:"out"`
	HideNAS      at[bool]     `yaml:"hide_nas"`
	DynAuth      at[string]   `yaml:"dynauth"`
	Operators    []at[string] `yaml:"operators"`
	Institution  at[string]   `yaml:"institution"`

	Transport   at[string]  `yaml:"transport" words:"udp|tcp|tls|dtls"`
	TLS         at[string]  `yaml:"tls"`
	Certificate holderEntry `yaml:"certificate"`
	Protected   at[bool]    `yaml:"protected"`
}

func (e *clientEntry) SetDefaults() { e.RequireMA.v, e.LimitProxy.v = true, true }

func (clientEntry) KeyHint(key string) (text, hint string) { return peerHint(key) }

type homeEntry struct {
	Pos          realm.Pos          `yaml:",pos"`
	Name         at[string]         `yaml:"name,required"`
	Address      []homeAddress      `yaml:"address"`
	AuthPort     port               `yaml:"auth_port"`
	AcctPort     port               `yaml:"acct_port"`
	Auth         at[netip.AddrPort] `yaml:"auth"`
	Acct         at[netip.AddrPort] `yaml:"acct"`
	SecretFile   at[string]         `yaml:"secret_file"`
	SecretEnv    at[string]         `yaml:"secret_env"`
	RequireMA    at[bool]           `yaml:"require_message_authenticator"`
	StatusServer bool               `yaml:"status_server"`
	Disabled     bool               `yaml:"disabled"`

	Host        at[string]    `yaml:"host"`
	Drain       at[bool]      `yaml:"drain"`
	Maintenance []windowEntry `yaml:"maintenance"`
	Group       at[string]    `yaml:"group"`
	Operator    at[string]    `yaml:"operator"`
	Realms      []at[string]  `yaml:"realms"`
	In          at[string]    `yaml:"in"`
	Out         at[string]    `yaml:"out"`
	DynAuth     []at[string]  `yaml:"dynauth"`

	Transport   at[string]  `yaml:"transport" words:"udp|tcp|tls|dtls|diameter"`
	Application at[string]  `yaml:"application" words:"nasreq|sta|swm"`
	TLS         at[string]  `yaml:"tls"`
	Certificate holderEntry `yaml:"certificate"`
	Port        at[uint16]  `yaml:"port"`
	Connections at[int]     `yaml:"connections"`
	Protected   at[bool]    `yaml:"protected"`
}

func (e *homeEntry) SetDefaults() {
	e.RequireMA.v = true
	e.AuthPort.n, e.AcctPort.n = 1812, 1813
}

func (homeEntry) KeyHint(key string) (text, hint string) { return peerHint(key) }

// peerHint knows the keys that people bring along from elsewhere.
func peerHint(key string) (text, hint string) {
	switch key {
	case "secret", "password", "shared_secret":
		return "a secret in the file is refused",
			"write it into a file of its own and name that with secret_file, or use secret_env"
	case "ipaddr", "ip", "host", "addresses":
		return "unknown key " + quote(key), "did you mean address?"
	}
	return "", ""
}

// homeAddress is an address that is written; a name has a key of its own.
type homeAddress struct{ at[netip.Addr] }

func (a *homeAddress) decodeNode(d *decoder, i int, key string) {
	if n := d.tree[i]; n.kind == kindScalar && isHostName(n.text) {
		a.line, a.col = n.line, n.col
		d.fail(i, "write host: with the name, or the IP address", "%s: %s is no IP address", key, quote(n.text))
		return
	}
	a.at.decodeNode(d, i, key)
}

// port is a port number or none.
type port struct {
	n    uint16 // 0: none
	line uint32
	col  uint32
}

func (p *port) decodeNode(d *decoder, i int, key string) {
	p.line, p.col = d.tree[i].line, d.tree[i].col
	if d.tree[i].kind == kindScalar && d.tree[i].text == "none" {
		p.n = 0
		return
	}
	var n at[uint16]
	n.decodeNode(d, i, key)
	if n.v == 0 && d.tree[i].text == "0" {
		d.fail(i, "write none to switch it off", "%s: 0 is no port", key)
	}
	if n.v != 0 {
		p.n = n.v
	}
}

type poolEntry struct {
	Pos        realm.Pos     `yaml:",pos"`
	Name       at[string]    `yaml:"name,required"`
	Homes      []memberEntry `yaml:"homes"`
	Peers      []peerMember  `yaml:"peers"`
	Retransmit at[string]    `yaml:"retransmit" words:"proxy|client"`
	Timers     timersEntry   `yaml:"timers"`

	Balance at[string] `yaml:"balance" words:"device|round_robin|least_outstanding|first"`
	Panic   at[int]    `yaml:"panic"`
	Breaker at[bool]   `yaml:"breaker"`
}

func (e *poolEntry) SetDefaults() {
	e.Breaker.v = true
	e.Timers = usualTimers()
}

func usualTimers() timersEntry {
	return timersEntry{
		IRT: at[time.Duration]{v: 2 * time.Second},
		MRT: at[time.Duration]{v: 16 * time.Second},
		MRD: at[time.Duration]{v: 30 * time.Second},
		MRC: at[int]{v: 5},
	}
}

type timersEntry struct {
	IRT at[time.Duration] `yaml:"irt"`
	MRT at[time.Duration] `yaml:"mrt"`
	MRD at[time.Duration] `yaml:"mrd"`
	MRC at[int]           `yaml:"mrc"`
}

// peerMember is memberEntry for a pool of peers.
type peerMember struct {
	peerKeys
}

type peerKeys struct {
	Peer     at[string] `yaml:"peer,required"`
	Priority at[int]    `yaml:"priority"`
	Weight   at[int]    `yaml:"weight"`
}

func (m *peerMember) SetDefaults() { m.Priority.v, m.Weight.v = 1, 1 }

func (m *peerMember) decodeNode(d *decoder, i int, key string) {
	if d.tree[i].kind == kindScalar {
		m.Peer.decodeNode(d, i, key)
		return
	}
	d.into(i, &m.peerKeys, key)
}

// memberEntry is the name of a home, or keys of which home is one.
type memberEntry struct {
	memberKeys
}

type memberKeys struct {
	Home     at[string] `yaml:"home,required"`
	Priority at[int]    `yaml:"priority"`
	Weight   at[int]    `yaml:"weight"`
}

func (m *memberEntry) SetDefaults() { m.Priority.v, m.Weight.v = 1, 1 }

func (m *memberEntry) decodeNode(d *decoder, i int, key string) {
	if d.tree[i].kind == kindScalar {
		m.Home.decodeNode(d, i, key)
		return
	}
	d.into(i, &m.memberKeys, key)
}

type realmEntry struct {
	Pos         realm.Pos    `yaml:",pos"`
	Realm       []at[string] `yaml:"realm"`
	Auth        at[string]   `yaml:"auth"`
	Accounting  at[string]   `yaml:"accounting"`
	Discover    at[string]   `yaml:"discover"`
	Acknowledge at[string]   `yaml:"acknowledge" words:"home|durable"`
	Reject      at[string]   `yaml:"reject"`
	Policy      policyEntry  `yaml:"policy"`

	IMSI        []at[string]  `yaml:"imsi"`
	PLMN        []at[string]  `yaml:"plmn"`
	RealmRegexp []at[string]  `yaml:"realm_regexp"`
	NameRegexp  []at[string]  `yaml:"name_regexp"`
	Name        at[string]    `yaml:"name"`
	Rank        at[int]       `yaml:"rank"`
	Groups      []at[string]  `yaml:"groups"`
	When        *whenEntry    `yaml:"when"`
	Rewrite     rewriteEntry  `yaml:"rewrite"`
	Diameter    diameterEntry `yaml:"diameter"`
	Steering    at[string]    `yaml:"steering"`
	CUI         at[string]    `yaml:"cui" words:"issue|pass"` // issue
}

func (realmEntry) KeyHint(key string) (text, hint string) {
	switch key {
	case "realms", "names":
		return "unknown key " + quote(key), "did you mean realm?"
	case "acct":
		return "unknown key " + quote(key), "did you mean accounting?"
	case "pool", "homes", "home":
		return "unknown key " + quote(key), "write auth: and accounting: with the name of a pool"
	}
	return "", ""
}

// usual reads an entry of a shape that most have, without the general decoder;
// false leaves it to that one. Both read the same.
func (e *realmEntry) usual(d *decoder, i int) bool {
	t := d.tree
	if t[i].kind != kindMapping {
		return false
	}
	*e = realmEntry{Pos: d.pos(i), Realm: e.Realm[:0]}
	for k := i + 1; k < int(t[i].end); k = int(t[k+1].end) {
		v, word := &t[k+1], (*at[string])(nil)
		switch t[k].text {
		case "realm":
			e.Realm = append(e.Realm[:0], at[string]{})
			word = &e.Realm[0]
		case "auth":
			word = &e.Auth
		case "accounting":
			word = &e.Accounting
		case "discover":
			word = &e.Discover
		case "acknowledge":
			word = &e.Acknowledge
		case "reject":
			word = &e.Reject
		case "policy":
			if !e.Policy.usual(t, k+1) {
				return false
			}
			continue
		}
		if word == nil || v.kind != kindScalar {
			return false
		}
		*word = at[string]{v.text, v.line, v.col}
	}
	return true
}

func (e *policyEntry) usual(t tree, i int) bool {
	if t[i].kind != kindMapping || int(t[i].end) != i+3 || t[i+1].text != "enabled" || t[i+2].text != "true" {
		return false
	}
	e.Enabled = at[bool]{true, t[i+2].line, t[i+2].col}
	return true
}

type policyEntry struct {
	Enabled       at[bool]   `yaml:"enabled"`
	UnknownDevice at[string] `yaml:"unknown_device" words:"reject|allow"`
	StoreAway     at[string] `yaml:"store_away" words:"reject|allow"`
}
