package radsecproxy

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/roamgate/roamgate/realm/migrate"
)

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// unsigned is what a default of the hub is switched off for.
const unsigned = "radsecproxy did not ask for it; remove this line when the peer signs (CVE-2024-3596)"

// claims are the prefixes that clients have already.
type claims map[netip.Prefix]claim

type claim struct {
	client *client
	order  int
}

// cover finds the first claim that has all of a prefix.
func (c claims) cover(p netip.Prefix) (first claim, ok bool) {
	for bits := range p.Bits() + 1 {
		wide, err := p.Addr().Prefix(bits)
		if err != nil {
			continue
		}
		if had, is := c[wide]; is && (!ok || had.order < first.order) {
			first, ok = had, true
		}
	}
	return first, ok
}

func (i *importer) writeClients() {
	root := i.file("10-clients.yaml", "Clients")
	list := root.List("clients")
	claimed := map[string]claims{udp: {}, tcp: {}}
	for _, p := range i.clients {
		if secured[p.transport] != "" {
			i.writeSecured(list, p)
			continue
		}
		i.writeClient(list, p, claimed[p.transport])
	}
}

// writeSecured writes a client that a certificate proves.
func (i *importer) writeSecured(list *migrate.Node, p *client) {
	why := psk(p.block)
	node := &migrate.Node{}
	if why == "" && !i.holder(node, p.block, &p.hosts[0], false) {
		why = "any certificate of the authorities would be this client's: give it certificate with a name, or policies to its tls"
	}
	if why != "" {
		i.report.Leave(p.pos, "client "+p.name, "%s", why)
		for n := range p.opts {
			i.left(p.block, &p.opts[n], "%s", why)
		}
		return
	}
	name := i.names.client.Make(p.name)
	i.called[p] = name
	held := node.Items()
	node = list.Item().Comment("client %s, %s", p.name, i.at(p.pos))
	node.Set("name", name, i.origin(p.pos))
	i.report.Map(p.pos, "client "+p.name, "clients: %s", name)
	i.securedPeer(node, p.block, p.transport, p.secret)
	for _, h := range held {
		node.Take(h)
	}
	i.sources(node, p)
	i.visited(node, p)
	i.clientFilters(node, p)
	p.each("addttl", func(o *option) {
		i.left(p.block, o, "hops are counted in requests: in answers to a client nothing is added")
	})
	i.further(p.block)
}

// sources writes where a client with a certificate connects from, if that is
// said by addresses.
func (i *importer) sources(node *migrate.Node, p *client) {
	prefixes, names := []placed(nil), false
	for n := range p.hosts {
		if prefix, ok := p.hosts[n].prefix(); ok {
			prefixes = append(prefixes, placed{prefix, &p.hosts[n]})
		} else {
			names = true
		}
	}
	anywhere := names || slices.ContainsFunc(prefixes, func(x placed) bool { return x.prefix.Bits() == 0 })
	for n := range p.hosts {
		if line := p.block.at(&p.hosts[n]); anywhere {
			i.mapped(p.block, line, "its certificate says who it is, wherever it comes from")
		} else {
			i.mapped(p.block, line, "clients.address")
		}
	}
	if anywhere {
		return
	}
	for _, x := range prefixes {
		node.List("address").Value(shortPrefix(x.prefix), i.origin(x.host.pos))
	}
}

func (i *importer) writeClient(list *migrate.Node, p *client, claimed claims) {
	prefixes := i.prefixes(p, claimed)
	if len(prefixes) == 0 {
		for n := range p.opts {
			i.left(p.block, &p.opts[n], "the client has no address of its own")
		}
		i.report.Leave(p.pos, "client "+p.name, "the client has no address of its own: see its host")
		return
	}
	name := i.names.client.Make(p.name)
	i.called[p] = name
	node := list.Item().Comment("client %s, %s", p.name, i.at(p.pos))
	node.Set("name", name, i.origin(p.pos))
	i.report.Map(p.pos, "client "+p.name, "clients: %s", name)
	if p.transport == udp {
		i.mapped(p.block, p.get("type"), "the hub takes requests over UDP")
	} else {
		i.securedPeer(node, p.block, p.transport, p.secret)
	}
	addresses := node.List("address")
	for _, x := range prefixes {
		addresses.Value(shortPrefix(x.prefix), i.origin(x.host.pos))
	}
	i.secretFile(node, p.block, name, p.secret)
	i.signed(node, p)
	i.visited(node, p)
	i.clientFilters(node, p)
	i.plainPeer(p.block)
	p.each("addttl", func(o *option) {
		i.left(p.block, o, "hops are counted in requests: in answers to a client nothing is added")
	})
	p.each("servername", func(o *option) { i.mapped(p.block, o, "has no effect over UDP") })
}

// shortPrefix writes a host as its address.
func shortPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

type placed struct {
	prefix netip.Prefix
	host   *host
}

// prefixes are those that are the client's own: the original gives a request to
// the first client that has its address, so what an earlier one covers is left
// out.
func (i *importer) prefixes(p *client, claimed claims) (out []placed) {
	for n := range p.hosts {
		h := &p.hosts[n]
		line := p.block.at(h)
		var found []netip.Prefix
		if prefix, ok := h.prefix(); ok {
			found = []netip.Prefix{prefix}
		} else {
			for _, a := range i.lookup(h.name) {
				found = append(found, netip.PrefixFrom(a, a.BitLen()))
			}
			if len(found) == 0 {
				i.left(p.block, line, "the name %s cannot be resolved now: write its addresses", h.name)
				continue
			}
			i.report.Note(h.pos, RuleResolved, "the addresses of %s were looked up now; radsecproxy does it at each start", h.name)
		}
		mine := i.unclaimed(found, h, p, claimed)
		out = append(out, mine...)
		if len(mine) > 0 {
			i.mapped(p.block, line, "clients.address")
		} else {
			i.left(p.block, line, "radsecproxy never finds it: a client in front has the addresses")
		}
	}
	return out
}

func (i *importer) unclaimed(found []netip.Prefix, h *host, p *client, claimed claims) (out []placed) {
	for _, prefix := range found {
		if c, ok := claimed.cover(prefix); ok {
			if c.client != p {
				i.report.Note(h.pos, RuleLonger, "client %s is left without %s, which client %s in front of it has", p.name, prefix, c.client.name)
			}
			continue
		}
		claimed[prefix] = claim{p, len(claimed)}
		out = append(out, placed{prefix, h})
	}
	return out
}

// at returns the line a host stands in, nil if that is the head of the block.
func (b *block) at(h *host) *option {
	for _, o := range b.all("host") {
		if o.pos == h.pos {
			return o
		}
	}
	return nil
}

func (i *importer) secretFile(node *migrate.Node, b *block, name string, secret []byte) {
	o := b.get("secret")
	path, err := i.out.Secret(i.names.secret.Make(b.kind+"-"+name), secret)
	if err != nil {
		i.left(b, o, "%v", err)
		return
	}
	node.Set("secret_file", path, i.from(o))
	i.mapped(b, o, "a file of its own")
}

// signed keeps what the original asks of requests.
func (i *importer) signed(node *migrate.Node, p *client) {
	o, proxied, all := p.get("requiremessageauthenticator"), p.get("requiremessageauthenticatorproxy"), i.main.get("requiremessageauthenticator")
	required := all != nil && all.on
	if o != nil {
		required = o.on
	}
	if !required {
		node.Set("require_message_authenticator", false, unsigned)
		if proxied == nil || !proxied.on {
			node.Set("limit_proxy_state", false, unsigned)
		}
		i.unsignedClients = append(i.unsignedClients, p.block)
	}
	i.mapped(p.block, o, "require_message_authenticator")
	i.mapped(p.block, proxied, "limit_proxy_state")
}

// visited writes what F-Ticks say of the client.
func (i *importer) visited(node *migrate.Node, p *client) {
	if o := p.get("fticksviscountry"); o != nil {
		if cc := strings.ToUpper(o.val); len(cc) == 2 && strings.Trim(cc, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
			node.Set("country", cc, i.from(o))
			i.mapped(p.block, o, "clients.country")
		} else {
			i.left(p.block, o, "is no country code of two letters (ISO 3166-1)")
		}
	}
	if o := p.get("fticksvisinst"); o != nil {
		node.Set("institution", o.val, i.from(o))
		i.mapped(p.block, o, "clients.institution")
	} else if p.get("fticksviscountry") != nil && i.called[p] != p.name {
		node.Set("institution", p.name, "name of the client, "+i.origin(p.pos))
	}
}

// plainPeer names what has no effect over UDP or is found out by the hub.
func (i *importer) plainPeer(b *block) {
	for _, name := range []string{"tls", "pskidentity", "pskkey", "matchcertificateattribute", "certificatenamecheck",
		"certificatecncheck", "tcpkeepalive", "idletimeout", "sni", "sniservername", "dtlsforcemtu", "servername"} {
		b.each(name, func(o *option) { i.mapped(b, o, "has no effect over UDP") })
	}
	i.further(b)
}

// further names what the hub finds out, and lines that do not count.
func (i *importer) further(b *block) {
	for _, name := range []string{"ipv4only", "ipv6only"} {
		b.each(name, func(o *option) { i.mapped(b, o, "an address says its family; of a name both are used as they answer") })
	}
	for n := range b.opts {
		if o := &b.opts[n]; b.get(o.name) != o && options[b.kind][o.name] == toggle {
			i.mapped(b, o, "a later line counts")
		}
	}
}
