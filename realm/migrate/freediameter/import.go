package freediameter

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// Rules of the notes in a report: where the hub decides otherwise.
const (
	RuleOrigins    = "origins-open"     // any Origin-Realm is believed of a peer, as there
	RuleNoRoute    = "no-route"         // a realm that nobody has: 3003, not 3002
	RuleRecorded   = "records-kept"     // accounting that goes through is recorded
	RuleCase       = "case-ignored"     // expressions take letters of both cases
	RuleSum        = "expressions-rank" // expressions of one request do not add up
	RuleRelative   = "relative-path"    // of a certificate
	RuleSubscriber = "subscriber-first" // a range of IMSIs comes before every realm
	RuleSCTP       = "no-sctp"          // over SCTP only what is allowed nothing else
)

// ErrNoIdentity says that the files leave the identity to the name of the host.
var ErrNoIdentity = errors.New("there is no Identity: freeDiameter takes the name of its host, write it into the file")

// importer writes one configuration.
type importer struct {
	*Config
	from   []netip.Prefix
	out    *migrate.Config
	report *migrate.Report
	peers  migrate.Names
	pools  migrate.Names
	made   map[string]string // pools by what they hold
	nodes  []*node
	trust  bool // there is a tls entry
}

// Why a peer is left out.
const (
	noHost  = "its identity is no name of a host"
	noTrust = "TLS is wanted, and there is no TLS_Cred or no TLS_CA"
)

// Import writes the configuration of a hub in the place of this freeDiameter, and says
// what became of each directive. From are the addresses of the peers that acl_wl takes
// without TLS: there from anywhere, here from these alone.
func Import(c *Config, from []netip.Prefix) (*migrate.Config, *migrate.Report, error) {
	if get(c.directives, "Identity") == nil {
		return nil, nil, ErrNoIdentity
	}
	i := &importer{
		Config: c, from: from, out: migrate.NewConfig(), report: &migrate.Report{Source: c.path}, made: map[string]string{},
	}
	i.certificates()
	i.hub()
	i.connections()
	i.whitelist()
	i.routes()
	i.extras()
	i.notes()
	return i.out, i.report, nil
}

func (i *importer) origin(pos realm.Pos) string {
	if rel, err := filepath.Rel(filepath.Dir(i.path), pos.File); err == nil && !strings.HasPrefix(rel, "..") {
		pos.File = rel
	}
	return migrate.From(pos)
}

// file makes a routing file that says what it was made from.
func (i *importer) file(name, what string) *migrate.Node {
	root := i.out.Realm(name)
	if len(root.Items()) == 0 {
		root.Comment("%s, made from %s.", what, filepath.Base(i.path))
	}
	return root
}

// each calls f for the directives of a name.
func each(all []*directive, name string, f func(d *directive)) {
	for _, d := range all {
		if d.name == name {
			f(d)
		}
	}
}

func (i *importer) hub() {
	root := i.out.Main.Comment("Main configuration of a roamgate hub, made from %s.\nconfigs/roamgate.yaml explains every key.", filepath.Base(i.path))
	agent := root.Map("diameter")
	for _, name := range []string{"Identity", "Realm"} {
		last := get(i.directives, name)
		each(i.directives, name, func(d *directive) {
			if d == last {
				agent.Set(strings.ToLower(name), d.val, i.origin(d.pos))
			}
			i.report.Map(d.pos, name, "diameter.%s", strings.ToLower(name))
		})
	}
	i.listen(agent)
	root.Map("spool").Set("directory", "spool", "what is accounted is durable before it is answered")
	for _, d := range i.directives {
		switch d.name {
		case "No_IP", "No_IPv6", "No_TCP", "No_SCTP":
			i.report.Map(d.pos, d.name, "diameter.listen, and the transport of peers")
		case "Prefer_TCP":
			i.report.Map(d.pos, d.name, "a peer has one transport here: TCP where it may")
		case "TcTimer", "TwTimer":
			i.report.Map(d.pos, d.name, "retry and watchdog of peers")
		case "AppServThreads", "ThreadsPerServer", "RoutingInThreads", "RoutingOutThreads":
			i.report.Map(d.pos, d.name, "the hub has no threads to be counted; diameter.half_open bounds who is not known yet")
		case "SCTP_streams":
			i.report.Leave(d.pos, d.name, "streams of SCTP are the kernel's")
		case "NoRelay":
			i.report.Leave(d.pos, d.name, "the hub is an agent and serves no application itself")
		case "TLS_old_method":
			i.report.Leave(d.pos, d.name, "TLS after the exchange of capabilities (RFC 3588) is not spoken: TLS comes first")
		}
	}
}

// listen writes where peers are awaited.
func (i *importer) listen(agent *migrate.Node) {
	var hosts []string
	var from []string
	each(i.directives, "ListenOn", func(d *directive) {
		if a, err := netip.ParseAddr(d.val); err == nil {
			hosts, from = append(hosts, a.String()), append(from, i.origin(d.pos))
			i.report.Map(d.pos, "ListenOn", "diameter.listen, diameter.tls")
			return
		}
		i.report.Leave(d.pos, "ListenOn", "only an address can be listened on")
	})
	if hosts == nil {
		if get(i.directives, "No_IP") == nil {
			hosts, from = append(hosts, "0.0.0.0"), append(from, "the default")
		}
		if get(i.directives, "No_IPv6") == nil {
			hosts, from = append(hosts, "::"), append(from, "the default")
		}
	}
	plain := "listen"
	if get(i.directives, "No_TCP") != nil {
		plain = "sctp"
	}
	for _, door := range []struct {
		name, key string
		port      int
		open      bool
	}{{"Port", plain, 3868, true}, {"SecPort", "tls", 5868, i.trust && plain == "listen"}} {
		last := get(i.directives, door.name)
		each(i.directives, door.name, func(d *directive) {
			switch {
			case d != last:
				i.report.Map(d.pos, d.name, "a later line counts")
			case d.n == 0:
				i.report.Map(d.pos, d.name, "without diameter.%s", door.key)
			case !door.open:
				i.report.Leave(d.pos, d.name, "without TLS_Cred and TLS_CA, and over SCTP, nothing is awaited over TLS")
			default:
				i.report.Map(d.pos, d.name, "diameter.%s", door.key)
			}
		})
		port := door.port
		if last != nil {
			port = last.n
		}
		if port == 0 || !door.open {
			continue
		}
		for n, host := range hosts {
			a, err := netip.ParseAddr(host)
			if err == nil {
				agent.List(door.key).Value(netip.AddrPortFrom(a, uint16(port)).String(), from[n])
			}
		}
	}
}

// path is that of a file that the original names.
func (i *importer) pem(d *directive, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	i.report.Note(d.pos, RuleRelative, "%s: %s is looked for beside the main file; freeDiameter looks where it was started", d.name, name)
	where := filepath.Join(filepath.Dir(i.path), name)
	if abs, err := filepath.Abs(where); err == nil {
		where = abs
	}
	return where
}

func (i *importer) certificates() {
	cred := get(i.directives, "TLS_Cred")
	if i.trust = cred != nil && get(i.directives, "TLS_CA") != nil; i.trust {
		entry := i.file("05-tls.yaml", "Certificates").List("tls").Item()
		entry.Set("name", "diameter", "")
		entry.Set("certificate", i.pem(cred, cred.val), i.origin(cred.pos))
		entry.Set("key", i.pem(cred, cred.second), i.origin(cred.pos))
		for _, list := range [][2]string{{"TLS_CA", "authorities"}, {"TLS_CRL", "crls"}} {
			each(i.directives, list[0], func(d *directive) { entry.List(list[1]).Value(i.pem(d, d.val), i.origin(d.pos)) })
		}
	}
	for _, d := range i.directives {
		switch d.name {
		case "TLS_Cred", "TLS_CA", "TLS_CRL":
			switch {
			case d.name == "TLS_Cred" && d != cred:
				i.report.Map(d.pos, d.name, "a later line counts")
			case i.trust:
				i.report.Map(d.pos, d.name, "tls: diameter")
			default:
				i.report.Leave(d.pos, d.name, "TLS_Cred and TLS_CA belong together: nobody is met over TLS")
			}
		case "TLS_Prio":
			i.report.Leave(d.pos, d.name, "TLS 1.2 and 1.3 with the suites of today, which are not to be chosen among")
		case "TLS_DH_Bits", "TLS_DH_File":
			i.report.Map(d.pos, d.name, "keys are agreed on by elliptic curves")
		}
	}
}

// Bounds of a peer's timers in routing files.
const (
	usualTimer  = 30
	maxRetry    = 3600
	maxWatchdog = 600
)

// maxAddresses is how many a peer has in routing files.
const maxAddresses = 8

func (i *importer) connections() {
	for _, c := range i.connects {
		i.connection(c)
	}
}

func (i *importer) connection(c *connect) {
	what := "ConnectPeer " + c.id
	secure := get(c.params, "No_TLS") == nil
	switch {
	case !isHost(c.id):
		i.lose(c, noHost)
		return
	case secure && !i.trust:
		i.lose(c, noTrust)
		return
	}
	list := i.file("20-peers.yaml", "Diameter nodes and pools of them").List("peers")
	n := &node{id: c.id, name: i.peers.Make(firstLabel(c.id))}
	_, n.realm, _ = strings.Cut(c.id, ".")
	entry := list.Item()
	entry.Set("name", n.name, i.origin(c.pos))
	entry.Set("identity", c.id, "")
	i.report.Map(c.pos, what, "peers: %s", n.name)
	if d := get(c.params, "Realm"); d != nil && isName(d.val) {
		n.realm = d.val
		entry.Set("realm", d.val, i.origin(d.pos))
	}
	sctp := !secure && i.either(c, "No_TCP") != nil
	switch {
	case secure:
		entry.Set("transport", "tls", "the default there")
		entry.Set("tls", "diameter", "")
	case sctp:
		entry.Set("transport", "sctp", i.origin(i.either(c, "No_TCP").pos))
		entry.Set("protected", true, i.origin(get(c.params, "No_TLS").pos))
	default:
		entry.Set("protected", true, i.origin(get(c.params, "No_TLS").pos))
	}
	i.address(c, entry)
	for _, timer := range []struct {
		name, key string
		most      int
	}{{"TcTimer", "retry", maxRetry}, {"TwTimer", "watchdog", maxWatchdog}} {
		if d := i.either(c, timer.name); d != nil && d.n != usualTimer {
			entry.Set(timer.key, time.Duration(min(d.n, timer.most))*time.Second, i.origin(d.pos))
		}
	}
	entry.List("origins").Value("any", "as there")
	for _, d := range c.params {
		i.param(what+"/"+d.name, d, secure)
	}
	i.nodes = append(i.nodes, n)
}

// address writes where a peer is.
func (i *importer) address(c *connect, entry *migrate.Node) {
	var addrs, names []*directive
	each(c.params, "ConnectTo", func(d *directive) {
		a, err := netip.ParseAddr(d.val)
		switch {
		case err == nil && (a.Zone() != "" || a.IsUnspecified() || a.IsMulticast()):
			i.report.Leave(d.pos, "ConnectPeer "+c.id+"/ConnectTo", "nothing can be sent to %s here", d.val)
		case err == nil && len(addrs) < maxAddresses:
			addrs = append(addrs, d)
		case err != nil && isName(d.val):
			names = append(names, d)
		default:
			i.report.Leave(d.pos, "ConnectPeer "+c.id+"/ConnectTo", "it is no name of a host, or one address too many")
		}
	})
	all := names
	switch {
	case len(addrs) == 1:
		entry.Set("address", addrs[0].val, i.origin(addrs[0].pos))
	case len(addrs) > 1:
		for _, d := range addrs {
			entry.List("address").Value(d.val, i.origin(d.pos))
		}
	case len(names) > 0:
		entry.Set("host", names[0].val, i.origin(names[0].pos))
		names = names[1:]
	default:
		entry.Set("host", c.id, "its identity, as there")
	}
	for _, d := range addrs {
		i.report.Map(d.pos, "ConnectPeer "+c.id+"/ConnectTo", "peers.address")
	}
	for _, d := range names {
		i.report.Leave(d.pos, "ConnectPeer "+c.id+"/ConnectTo", "a peer has addresses or one name here")
	}
	if len(all) > len(names) {
		i.report.Map(all[0].pos, "ConnectPeer "+c.id+"/ConnectTo", "peers.host, which is looked up by its TTL")
	}
	if d := get(c.params, "Port"); d != nil && d.n > 0 {
		entry.Set("port", d.n, i.origin(d.pos))
	}
}

// param says what became of a parameter of a peer.
func (i *importer) param(what string, d *directive, secure bool) {
	switch d.name {
	case "ConnectTo": // said already
	case "Realm":
		if !isName(d.val) {
			i.report.Leave(d.pos, what, "%q is no name of a realm", d.val)
			return
		}
		i.report.Map(d.pos, what, "peers.realm")
	case "Port":
		i.report.Map(d.pos, what, "peers.port")
	case "No_TLS":
		i.report.Map(d.pos, what, "peers.protected: the path to it is said to be")
	case "TcTimer":
		i.bounded(what, d, "peers.retry", maxRetry)
	case "TwTimer":
		i.bounded(what, d, "peers.watchdog", maxWatchdog)
	case "No_TCP":
		if secure {
			i.report.Leave(d.pos, what, "TLS over SCTP is not spoken: the peer is written with TLS over TCP")
			return
		}
		i.report.Map(d.pos, what, "peers.transport: sctp")
	case "No_SCTP", "Prefer_TCP":
		i.report.Map(d.pos, what, "peers.transport")
	case "No_IP", "No_IPv6":
		i.report.Map(d.pos, what, "which family a peer is reached by is found out by the hub")
	case "TLS_old_method":
		i.report.Leave(d.pos, what, "TLS after the exchange of capabilities (RFC 3588) is not spoken: TLS comes first, at the port of that")
	case "TLS_Prio":
		i.report.Leave(d.pos, what, "TLS 1.2 and 1.3 with the suites of today, which are not to be chosen among")
	}
}

func (i *importer) bounded(what string, d *directive, key string, most int) {
	if d.n > most {
		i.report.Leave(d.pos, what, "%s is at most %ds, and that is written", key, most)
		return
	}
	i.report.Map(d.pos, what, "%s", key)
}

func (i *importer) lose(c *connect, why string) {
	i.report.Leave(c.pos, "ConnectPeer "+c.id, "%s", why)
	for _, d := range c.params {
		i.report.Leave(d.pos, "ConnectPeer "+c.id+"/"+d.name, "its peer is left out")
	}
}

// whitelist writes the peers that connect by themselves.
func (i *importer) whitelist() {
	for _, a := range i.allowed {
		what := "acl_wl " + a.id
		known := slices.ContainsFunc(i.nodes, func(n *node) bool { return strings.EqualFold(n.id, a.id) })
		switch {
		case a.unread:
			i.report.Leave(a.pos, what, "freeDiameter takes it for no name either")
		case known:
			i.report.Map(a.pos, what, "peers: it is one already")
		case strings.HasPrefix(a.id, "*."):
			i.report.Leave(a.pos, what, "every peer is named here: write one for each identity")
		case !isHost(a.id):
			i.report.Leave(a.pos, what, noHost)
		case !a.plain && !i.trust:
			i.report.Leave(a.pos, what, noTrust)
		case a.plain && i.from == nil:
			i.report.Leave(a.pos, what, "who says over TCP that he is it would be: import again with --from and the addresses that such peers come from")
		default:
			i.guest(a, what)
		}
	}
}

func (i *importer) guest(a *allowed, what string) {
	n := &node{id: a.id, name: i.peers.Make(firstLabel(a.id))}
	_, n.realm, _ = strings.Cut(a.id, ".")
	entry := i.file("20-peers.yaml", "Diameter nodes and pools of them").List("peers").Item()
	entry.Set("name", n.name, i.origin(a.pos))
	entry.Set("identity", a.id, "")
	if a.plain {
		for _, p := range i.from {
			entry.List("from").Value(p.String(), "--from")
		}
		entry.Set("protected", true, "ALLOW_IPSEC")
	} else {
		entry.Set("transport", "tls", "")
		entry.Set("tls", "diameter", "")
	}
	entry.List("origins").Value("any", "as there")
	if a.oldTLS && !a.plain {
		i.report.Leave(a.pos, what, "TLS after the exchange of capabilities (ALLOW_OLD_TLS) is not spoken: it is peer %s, with TLS first", n.name)
	} else {
		i.report.Map(a.pos, what, "peers: %s", n.name)
	}
	i.nodes = append(i.nodes, n)
}

func firstLabel(id string) string {
	label, _, _ := strings.Cut(id, ".")
	return label
}

// extras names the extensions.
func (i *importer) extras() {
	for _, e := range i.extensions {
		what := "LoadExtension " + e.name
		switch {
		case slices.Contains(i.lacking, e):
			i.report.Leave(e.pos, what, "its file cannot be read: %s", strconv.Quote(e.config))
		case e.name == "acl_wl":
			i.report.Map(e.pos, what, "peers")
		case e.name == "rt_default":
			i.report.Map(e.pos, what, "realms and pools")
		case e.name == "rt_load_balance", e.name == "rt_randomize":
			i.report.Map(e.pos, what, "pools.balance: %s", i.balance())
		case strings.HasPrefix(e.name, "dict_"):
			i.report.Map(e.pos, what, "the hub passes on what it does not know, and needs no dictionary for it")
		case strings.HasPrefix(e.name, "dbg_"):
			i.report.Map(e.pos, what, "roamgate status peers, roamgate explain --diameter and the metrics")
		case strings.HasPrefix(e.name, "app_"), strings.HasPrefix(e.name, "test_"):
			i.report.Leave(e.pos, what, "the hub serves no application: keep the program as a peer behind it")
		default:
			i.report.Leave(e.pos, what, "not known to this importer")
		}
	}
}

func (i *importer) notes() {
	top := realm.Pos{File: i.path, Line: 1}
	if len(i.nodes) > 0 {
		i.report.Note(top, RuleOrigins, "any Origin-Realm is believed of every peer, as freeDiameter does: name those that are behind it (origins), or screen them (screenings)")
	}
	if over := slices.IndexFunc(i.connects, func(c *connect) bool { return i.either(c, "No_SCTP") == nil && i.either(c, "No_TCP") == nil }); over >= 0 {
		i.report.Note(i.connects[over].pos, RuleSCTP, "peers are reached over TCP; freeDiameter tries SCTP first where No_SCTP is not written: transport: sctp of a peer, and diameter.sctp, have it back")
	}
	i.report.Note(top, RuleRecorded, "accounting that goes through is recorded for clearing; diameter: {action: relay} of a realm passes it on as it is")
	i.report.Note(top, RuleNoRoute, "what no peer is for is answered with 3003 (REALM_NOT_SERVED); freeDiameter says 3002")
}
