package radsecproxy

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// Rules of the notes in a report: where the hub decides otherwise.
const (
	RuleSilence    = "silence-to-reject" // the original leaves it unanswered, the hub rejects it
	RuleIdentifier = "no-identifier"     // a User-Name that cannot be one (RFC 7542) is rejected
	RuleAccounting = "accounting-kept"   // a record is stored and acknowledged, not ignored
	RulePort       = "accounting-port"   // accounting has a port of its own
	RuleUnsigned   = "unsigned-accepted" // a default of the hub that is switched off for the peer's sake
	RuleOrder      = "order-kept"        // a realm that is written as an expression for its place
	RuleHairpin    = "hairpin"           // nothing goes back to the address it came from
	RuleResolved   = "name-resolved"     // a client's name was resolved once, as the original does at its start
	RuleTimers     = "timers"            // of servers of one realm only those of the first count
	RuleLonger     = "longest-prefix"    // clients are told apart by the longest prefix
	RuleDiscovered = "discovered"        // a server that is found by DNS
)

// Resolve looks a name up, as the original does at its start.
type Resolve func(ctx context.Context, name string) ([]netip.Addr, error)

// importer writes one configuration.
type importer struct {
	*Config
	ctx     context.Context
	resolve Resolve
	out     *migrate.Config
	report  *migrate.Report
	names   struct{ client, home, pool, filter, secret, route, tls, discovery migrate.Names }
	done    map[*option]bool // lines that are in the report
	homes   map[*server]*home
	pools   map[string]string // name by what it holds
	filters map[*rewrite]string
	called  map[*client]string
	trusts  map[*block]string // tls entry by its block

	discoveries map[*server]string // by the servers that they stand for
	// What need not sign, for one note each.
	unsignedClients, unsignedServers []*block
}

// Import writes the configuration of a hub that decides as the original does,
// and says what became of each line.
func Import(ctx context.Context, c *Config, resolve Resolve) (*migrate.Config, *migrate.Report) {
	i := &importer{
		Config: c, ctx: ctx, resolve: resolve, out: migrate.NewConfig(), report: &migrate.Report{Source: c.path},
		done: make(map[*option]bool), homes: make(map[*server]*home), pools: make(map[string]string),
		filters: make(map[*rewrite]string), called: make(map[*client]string),
		trusts: make(map[*block]string), discoveries: make(map[*server]string),
	}
	i.hub()
	i.rewriteBlocks()
	i.writeTLS()
	i.writeClients()
	i.writeServers()
	i.writeDiscoveries()
	i.writeRealms()
	i.rest()
	i.notes()
	return i.out, i.report
}

// file makes a routing file that says what it was made from.
func (i *importer) file(name, what string) *migrate.Node {
	root := i.out.Realm(name)
	if len(root.Items()) == 0 {
		root.Comment("%s, made from %s.", what, filepath.Base(i.path))
	}
	return root
}

// at is where a line stands, as the directory of the file sees it.
func (i *importer) at(pos realm.Pos) string {
	if rel, err := filepath.Rel(filepath.Dir(i.path), pos.File); err == nil && !strings.HasPrefix(rel, "..") {
		pos.File = rel
	}
	return migrate.At(pos)
}

// origin is the comment that says which line something comes from.
func (i *importer) origin(pos realm.Pos) string { return "from " + i.at(pos) }

func (i *importer) from(o *option) string {
	if o == nil {
		return ""
	}
	return i.origin(o.pos)
}

func (i *importer) mapped(b *block, o *option, how string, args ...any) {
	if o != nil && !i.done[o] {
		i.done[o] = true
		i.report.Map(o.pos, b.label(o), how, args...)
	}
}

func (i *importer) left(b *block, o *option, why string, args ...any) {
	if o != nil && !i.done[o] {
		i.done[o] = true
		i.report.Leave(o.pos, b.label(o), why, args...)
	}
}

// each calls f for the lines of an option.
func (b *block) each(name string, f func(o *option)) {
	for _, o := range b.all(name) {
		f(o)
	}
}

// rest names the lines that nothing has named: none should be left.
func (i *importer) rest() {
	for n := range i.blocks {
		b := &i.blocks[n]
		for k := range b.opts {
			if b.kind == mainBlock {
				break
			}
			i.left(b, &b.opts[k], "not known to this importer")
		}
	}
	for k := range i.main.opts {
		i.left(&i.main, &i.main.opts[k], "not known to this importer")
	}
}

// notes says what holds for the whole.
func (i *importer) notes() {
	top := realm.Pos{File: i.path, Line: 1}
	i.report.Note(top, RuleIdentifier, "a User-Name that no network access identifier can be (RFC 7542: control characters, a realm of other than letters, digits, dots and dashes) is rejected; radsecproxy looks at its octets only")
	if !slices.ContainsFunc(i.realms, func(r *realmConf) bool { return r.star && r.expr != nil }) {
		i.report.Note(top, RuleSilence, "a User-Name that no realm matches is rejected; radsecproxy does not answer it")
	}
	i.unsignedNote(i.unsignedClients, "requests without a Message-Authenticator are taken from")
	i.unsignedNote(i.unsignedServers, "answers without a Message-Authenticator are taken from")
	i.report.Note(top, RuleHairpin, "a request never goes back to the address it came from, with LoopPrevention or without")
}

func (i *importer) unsignedNote(peers []*block, what string) {
	if len(peers) == 0 {
		return
	}
	var names []string
	for _, b := range peers {
		names = append(names, b.name)
	}
	i.report.Note(peers[0].pos, RuleUnsigned, "%s %s, as radsecproxy takes them; they can be forged (CVE-2024-3596)", what, strings.Join(names, ", "))
}

// hub writes the main file.
func (i *importer) hub() {
	m := &i.main
	root := i.out.Main.Comment("Main configuration of a roamgate hub, made from %s.\nconfigs/roamgate.yaml explains every key.", filepath.Base(i.path))
	i.listen(root)
	i.source(root)
	i.duplicates(root)
	i.fticks(root)
	if o := m.get("loglevel"); o != nil {
		level := []string{"error", "warn", "info", "info", "debug"}[o.n-1]
		root.Map("log").Set("level", level, i.from(o))
		i.mapped(m, o, "log.level: %s", level)
	}
	i.logging()
	for _, name := range []string{"ipv4only", "ipv6only"} {
		i.mapped(m, m.get(name), "which family a home is reached by is found out by the hub")
		m.each(name, func(o *option) { i.mapped(m, o, "a later line counts") })
	}
	m.each("verifyeap", func(o *option) {
		if o.on {
			i.mapped(m, o, "the hub always looks at the lengths in EAP-Message")
		} else {
			i.left(m, o, "the hub always looks at the lengths in EAP-Message")
		}
	})
	m.each("requiremessageauthenticator", func(o *option) { i.mapped(m, o, "require_message_authenticator of clients and homes") })
	m.each("sni", func(o *option) { i.mapped(m, o, "a home that is reached by its name is told that") })
	m.each("loopprevention", func(o *option) {
		i.mapped(m, o, "routes with when.client; and nothing goes back to the address it came from")
	})
}

func (i *importer) logging() {
	m := &i.main
	m.each("logmac", func(o *option) {
		i.mapped(m, o, "the hub's log and metrics show no addresses of devices, only keyed hashes where needed")
	})
	m.each("logkey", func(o *option) { i.mapped(m, o, "the hub makes its own key of identity hashes (privacy.key_file)") })
	m.each("logfullusername", func(o *option) { i.mapped(m, o, "the hub's log shows no User-Name") })
	m.each("logthreadid", func(o *option) {
		i.mapped(m, o, "the hub logs one JSON object an event; it has no threads to tell apart")
	})
	m.each("logdestination", func(o *option) {
		if strings.HasPrefix(strings.ToLower(o.val), "x-syslog:") {
			i.mapped(m, o, "the hub logs to standard error, which the service's journal takes and passes on to syslog")
			return
		}
		i.left(m, o, "the hub logs to standard error only: let the service write that to a file")
	})
	m.each("pidfile", func(o *option) { i.left(m, o, "the hub writes no pid file: it tells the service when it is ready") })
}

const authPort, acctPort = 1812, 1813

// listen writes the front doors. The original takes both kinds of request at
// each port, the hub one at each.
func (i *importer) listen(root *migrate.Node) {
	m := &i.main
	type door struct {
		at   netip.AddrPort
		line *option
	}
	var auth, acct []door
	lines := m.all("listenudp")
	var doors []door
	for _, o := range lines {
		found := i.addresses(o, "1812")
		if len(found) == 0 {
			i.left(m, o, "the address cannot be resolved")
			continue
		}
		for _, a := range found {
			doors = append(doors, door{a, o})
		}
	}
	if len(lines) == 0 && i.visitedOver(udp) {
		for _, a := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			doors = append(doors, door{netip.AddrPortFrom(a, authPort), nil})
		}
	}
	has := func(list []door, a netip.AddrPort) bool {
		return slices.ContainsFunc(list, func(d door) bool { return d.at == a })
	}
	for _, d := range doors {
		below := netip.AddrPortFrom(d.at.Addr(), d.at.Port()-1)
		switch {
		case has(auth, d.at) || has(acct, d.at):
		case d.at.Port() == acctPort || d.at.Port() == 1646 || has(doors, below):
			acct = append(acct, d)
			i.mapped(m, d.line, "listen.acct: %s", d.at)
		default:
			auth = append(auth, d)
			i.mapped(m, d.line, "listen.auth: %s", d.at)
		}
	}
	for _, d := range auth {
		above := netip.AddrPortFrom(d.at.Addr(), d.at.Port()+1)
		if !has(acct, above) && d.at.Port() < 65535 {
			pos := realm.Pos{File: i.path, Line: 1}
			if d.line != nil {
				pos = d.line.pos
			}
			acct = append(acct, door{above, d.line})
			i.report.Note(pos, RulePort, "accounting is taken at %s; radsecproxy takes it at %s too, with authentication", above, d.at)
		}
	}
	section := root.Map("listen")
	for _, kind := range []struct {
		key  string
		list []door
	}{{"auth", auth}, {"acct", acct}} {
		node := section.List(kind.key)
		for _, d := range kind.list {
			node.Value(d.at.String(), i.from(d.line))
		}
	}
	for _, kind := range []struct{ key, option, transport, port string }{
		{"radsec", "listentls", tls, "2083"}, {"dtls", "listendtls", dtls, "2083"}, {"tcp", "listentcp", tcp, "1812"},
	} {
		lines := m.all(kind.option)
		if len(lines) == 0 && i.visitedOver(kind.transport) {
			lines = []*option{{val: "*", pos: realm.Pos{File: i.path, Line: 1}}} // the default
		}
		for _, o := range lines {
			found := i.addresses(o, kind.port)
			if len(found) == 0 {
				i.left(m, o, "the address cannot be resolved")
				continue
			}
			for _, a := range found {
				section.List(kind.key).Value(a.String(), i.from(o))
			}
			if o.word != "" {
				i.mapped(m, o, "listen.%s", kind.key)
			}
		}
	}
}

// visitedOver reports whether a client comes by a transport.
func (i *importer) visitedOver(transport string) bool {
	return slices.ContainsFunc(i.clients, func(p *client) bool { return p.transport == transport })
}

// addresses reads address:port of a line, where * is any address and a name is
// resolved.
func (i *importer) addresses(o *option, port string) (out []netip.AddrPort) {
	h, text := parseHost(o.val, port, false)
	n := atoi(h.port)
	if text != "" || n <= 0 || n > 65535 {
		return nil
	}
	addrs := []netip.Addr{h.addr}
	switch {
	case h.name == "*":
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	case !h.addr.IsValid():
		addrs = i.lookup(h.name)
	}
	for _, a := range addrs {
		out = append(out, netip.AddrPortFrom(a.Unmap(), uint16(n)))
	}
	return out
}

// lookup resolves a name; nil if it cannot.
func (i *importer) lookup(name string) []netip.Addr {
	if i.resolve == nil {
		return nil
	}
	found, err := i.resolve(i.ctx, name)
	if err != nil {
		return nil
	}
	for n := range found {
		found[n] = found[n].Unmap()
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found)
}

func (i *importer) source(root *migrate.Node) {
	m := &i.main
	m.each("sourceudp", func(o *option) {
		h, text := parseHost(o.val, "", false)
		switch {
		case text != "" || h.name != "*" && !h.addr.IsValid():
			i.left(m, o, "only an address can be the source")
		case h.port != "":
			i.left(m, o, "the hub sends from many ports, since one has room for 256 requests; open the firewall for them")
		case h.name == "*":
			i.mapped(m, o, "the default")
		default:
			key := map[bool]string{true: "ipv4", false: "ipv6"}[h.addr.Unmap().Is4()]
			root.Map("source").Set(key, h.addr.Unmap().String(), i.from(o))
			i.mapped(m, o, "source.%s", key)
		}
	})
	for _, name := range []string{"sourcetcp", "sourcetls", "sourcedtls"} {
		m.each(name, func(o *option) {
			if h, text := parseHost(o.val, "", false); text == "" && h.name == "*" {
				i.mapped(m, o, "the default")
				return
			}
			i.left(m, o, "the hub has one source address of each family: source in roamgate.yaml")
		})
	}
}

// Bounds of duplicates.keep, in seconds.
const minKeep, maxKeep, usualKeep = 5, 30, 10

// duplicates writes the longest of the clients' intervals: the hub has one.
func (i *importer) duplicates(root *migrate.Node) {
	var longest *option
	for _, p := range i.clients {
		p.each("duplicateinterval", func(o *option) {
			if p.transport == udp && o.n >= minKeep && o.n <= maxKeep && (longest == nil || o.n > longest.n) {
				longest = o
			}
		})
	}
	keep := int64(usualKeep)
	if longest != nil {
		keep = longest.n
	}
	if longest != nil && keep != usualKeep {
		root.Map("duplicates").Set("keep", seconds(keep), i.from(longest))
	}
	for _, p := range i.clients {
		p.each("duplicateinterval", func(o *option) {
			switch {
			case o.n < minKeep || o.n > maxKeep:
				i.left(p.block, o, "an answer is repeated for %d to %d s (RFC 5080 section 2.2.2), here %d s", minKeep, maxKeep, keep)
			case o.n == keep:
				i.mapped(p.block, o, "duplicates.keep: %ds", keep)
			default:
				i.mapped(p.block, o, "duplicates.keep: %ds, the longest of all clients, since the hub has one", keep)
			}
		})
	}
}
