package radsecproxy

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm/migrate"
)

// context is the tls block that a peer is judged by, nil: none.
func (c *Config) context(b *block) *block {
	if name := b.text("tls"); name != "" {
		return c.tls[name]
	}
	if t := c.tls[map[string]string{clientBlock: "defaultClient", serverBlock: "defaultServer"}[b.kind]]; t != nil {
		return t
	}
	return c.tls["default"]
}

// writeTLS writes the tls blocks that peers name.
func (i *importer) writeTLS() {
	used := make(map[*block]bool)
	for _, p := range i.clients {
		if secured[p.transport] != "" {
			used[i.context(p.block)] = true
		}
	}
	for _, s := range i.servers {
		if secured[s.transport] != "" {
			used[i.context(s.block)] = true
		}
	}
	for n := range i.blocks {
		b := &i.blocks[n]
		switch {
		case b.kind != tlsBlock:
		case !used[b]:
			i.report.Map(b.pos, "tls "+b.name, "left out: no peer is judged by it")
			for k := range b.opts {
				i.mapped(b, &b.opts[k], "left out with its block")
			}
		default:
			i.writeContext(b)
		}
	}
}

func (i *importer) writeContext(b *block) {
	name := i.names.tls.Make(b.name)
	i.trusts[b] = name
	node := i.file("05-tls.yaml", "Certificates").List("tls").Item().Comment("tls %s, %s", b.name, i.at(b.pos))
	node.Set("name", name, i.origin(b.pos))
	i.report.Map(b.pos, "tls "+b.name, "tls: %s", name)
	for _, key := range [][2]string{{"certificate", "certificatefile"}, {"key", "certificatekeyfile"}} {
		o := b.get(key[1])
		node.Set(key[0], o.val, i.from(o))
		i.mapped(b, o, "tls.%s", key[0])
	}
	i.left(b, b.get("certificatekeypassword"), "the hub reads no keys with a password: openssl pkey -in KEY -out PLAIN, where KEY has one")
	authorities := node.List("authorities")
	if o := b.get("cacertificatefile"); o != nil {
		authorities.Value(o.val, i.from(o))
		i.mapped(b, o, "tls.authorities")
	}
	i.left(b, b.get("cacertificatepath"), "the hub reads files: name those of the directory under tls.authorities and tls.crls")
	b.each("policyoid", func(o *option) {
		node.List("policies").Value(o.val, i.from(o))
		i.mapped(b, o, "tls.policies")
	})
	if o := b.get("crlcheck"); o != nil {
		if o.on {
			node.Set("revocation", "require", i.from(o))
			node.Set("fetch_crls", true, "lists come from where the certificates say; or name files with crls")
		}
		i.mapped(b, o, "tls.revocation, tls.fetch_crls")
	}
	if o := b.get("tlsversion"); o != nil {
		if low, _, _ := strings.Cut(o.val, ":"); strings.EqualFold(low, "TLS1_3") {
			node.Set("min_version", "1.3", i.from(o))
		}
		i.mapped(b, o, "tls.min_version: 1.2 or later")
	}
	i.mapped(b, b.get("dtlsversion"), "DTLS 1.2 is spoken")
	i.mapped(b, b.get("dhfile"), "keys are agreed upon over elliptic curves")
	i.mapped(b, b.get("cacheexpiry"), "files are read anew when they change")
	for _, name := range []string{"cipherlist", "ciphersuites"} {
		b.each(name, func(o *option) { i.left(b, o, "the suites are those of RFC 9325, in an order of the hub's own") })
	}
}

// holder writes whose certificate a peer shows, and reports whether it could.
// The original wants all of what it is told, the hub any of the names.
func (i *importer) holder(node *migrate.Node, b *block, first *host, fallback bool) bool {
	names := i.matched(b)
	check := b.get("certificatenamecheck")
	if check == nil {
		check = b.get("certificatecncheck")
	}
	checks := check == nil || check.on
	switch {
	case len(names) > 0:
		i.mapped(b, check, "the names of MatchCertificateAttribute are those that count")
	case checks && b.get("servername") != nil:
		o := b.get("servername")
		names = append(names, holding{"hosts", o.val, o})
		i.mapped(b, check, "certificate.hosts")
	case checks && first.addr.IsValid():
		if first.bits < 0 || first.bits == first.addr.BitLen() {
			names = append(names, holding{"addresses", first.addr.Unmap().String(), nil})
		}
		i.mapped(b, check, "certificate.addresses")
	case checks:
		names = append(names, holding{"hosts", first.name, nil})
		i.mapped(b, check, "certificate.hosts")
	case fallback:
		i.left(b, check, "the hub always looks at who holds a certificate: here it wants the host")
		return true
	}
	i.mapped(b, b.get("servername"), "the names of MatchCertificateAttribute are those that count")
	if len(names) == 0 {
		t := i.context(b)
		if t == nil || t.get("policyoid") == nil {
			return false
		}
		node.Map("certificate").Set("anyone", true, "whoever holds a policy of tls "+t.name)
		i.mapped(b, check, "certificate.anyone, by the policies of tls %s", t.name)
		return true
	}
	for _, n := range names {
		node.Map("certificate").List(n.key).Value(n.value, i.from(n.line))
		i.mapped(b, n.line, "certificate.%s", n.key)
	}
	return true
}

// holding is a name that a certificate is to have.
type holding struct {
	key, value string
	line       *option
}

// matched are the names of MatchCertificateAttribute that are names and no
// patterns.
func (i *importer) matched(b *block) (names []holding) {
	b.each("matchcertificateattribute", func(o *option) {
		field, value, _ := strings.Cut(o.val, ":")
		kind := ""
		if strings.EqualFold(field, "SubjectAltName") {
			kind, value, _ = strings.Cut(value, ":")
		}
		switch strings.ToLower(kind) {
		case "dns":
			if name := literal(value); name != "" {
				names = append(names, holding{"hosts", name, o})
				return
			}
			i.left(b, o, "the hub compares whole names: write those that it stands for under certificate.hosts")
		case "ip":
			if a, err := netip.ParseAddr(strings.Trim(value, "[]")); err == nil {
				names = append(names, holding{"addresses", a.Unmap().String(), o})
				return
			}
			i.left(b, o, "is no address")
		case "":
			i.left(b, o, "a common name proves nothing (RFC 9525): write a name of the subjectAltName under certificate")
		default:
			i.left(b, o, "the hub goes by NAIRealm, dNSName, iPAddress and the WBAID: write one under certificate")
		}
	})
	return names
}

// literal is the only name that an expression matches, "" if that is not so
// plain.
func literal(s string) string {
	s, ok := strings.CutPrefix(strings.TrimSuffix(s, "/"), "/")
	if !ok || !strings.HasPrefix(s, "^") || !strings.HasSuffix(s, "$") {
		return ""
	}
	s = s[1 : len(s)-1]
	plain := strings.ReplaceAll(s, `\.`, ".")
	if strings.Count(plain, ".") != strings.Count(s, `\.`) || !isName(plain) {
		return ""
	}
	return strings.ToLower(plain)
}

// securedPeer writes what carries a peer's packets and names what that does not
// have.
func (i *importer) securedPeer(node *migrate.Node, b *block, transport string, secret []byte) {
	node.Set("transport", transport, i.from(b.get("type")))
	i.mapped(b, b.get("type"), "transport")
	if t := i.context(b); secured[transport] != "" && t != nil {
		node.Set("tls", i.trusts[t], i.from(b.get("tls")))
		i.mapped(b, b.get("tls"), "tls")
		if o := b.get("secret"); string(secret) == secured[transport] {
			i.mapped(b, o, "is that of the protocol")
		} else {
			i.left(b, o, "over %s the secret is %s, by the rules of the protocol: agree upon it with the peer", transport, secured[transport])
		}
		for _, name := range []string{"requiremessageauthenticator", "requiremessageauthenticatorproxy"} {
			i.mapped(b, b.get(name), "TLS authenticates each packet")
		}
	}
	i.mapped(b, b.get("tcpkeepalive"), "the hub always asks for it")
	i.left(b, b.get("idletimeout"), "one time counts for all connections: connections.idle in roamgate.yaml")
	i.mapped(b, b.get("sni"), "a home that is reached by its name is told that")
	i.left(b, b.get("sniservername"), "a home is told the name that it is reached by")
	i.mapped(b, b.get("dtlsforcemtu"), "the hub finds out how large datagrams may be")
}

// psk says why a peer that shows no certificate cannot be written.
func psk(b *block) string {
	if b.get("pskkey") != nil {
		return "the hub knows peers by certificates, not by a shared key (TLS-PSK)"
	}
	return ""
}

// found are servers that a DynamicLookupCommand finds.
func (s *server) found() bool { return s.get("dynamiclookupcommand") != nil }

// lookup says what a DynamicLookupCommand looks for: a profile of the hub, or a
// service tag.
func (s *server) lookup() (profile, tag string) {
	command := s.text("dynamiclookupcommand")
	if tag, ok := strings.CutPrefix(command, "naptr:"); ok {
		if _, protocol, _ := strings.Cut(tag, ":"); protocol == "radius.tls" || protocol == "radius.tls.tcp" {
			return "", tag
		}
		return "", ""
	}
	script := strings.ToLower(path.Base(command))
	for _, profile := range []string{"openroaming", "eduroam"} {
		if strings.Contains(script, profile) {
			return profile, ""
		}
	}
	return "", ""
}

// writeDiscoveries writes the servers that are found by DNS.
func (i *importer) writeDiscoveries() {
	for _, s := range i.servers {
		if !s.found() || s.usable() != "" {
			continue
		}
		name := i.names.discovery.Make(s.name)
		i.discoveries[s] = name
		node := i.out.Realm("20-homes.yaml").List("discoveries").Item().Comment("server %s, %s", s.name, i.at(s.pos))
		node.Set("name", name, i.origin(s.pos))
		i.report.Map(s.pos, "server "+s.name, "discoveries: %s", name)
		o := s.get("dynamiclookupcommand")
		profile, tag := s.lookup()
		if profile != "" {
			node.Set("profile", profile, i.from(o))
		} else {
			node.List("auth").Value(tag, i.from(o))
		}
		i.mapped(s.block, o, "the hub asks the DNS itself")
		asked := slices.ContainsFunc(i.live(), func(r *realmConf) bool { return slices.Contains(r.acct, s) })
		switch {
		case !asked && profile == "openroaming":
			node.List("accounting")
		case asked && profile != "openroaming":
			if profile != "" {
				tag = "x-eduroam:radius.tls"
			}
			node.List("accounting").Value(tag, "it is an accountingServer")
		}
		if t := i.context(s.block); t != nil {
			node.Set("tls", i.trusts[t], i.from(s.get("tls")))
			i.mapped(s.block, s.get("tls"), "discoveries.tls")
		}
		check := s.get("certificatenamecheck")
		if check == nil {
			check = s.get("certificatecncheck")
		}
		if check == nil || check.on {
			node.Set("certificate", "host", "the name that DNS gave, as radsecproxy checks it")
			i.mapped(s.block, check, "discoveries.certificate")
		} else {
			i.left(s.block, check, "the hub wants the realm in the certificate of a server that was found; certificate: host wants its name")
		}
		if t := s.timers(); t.count > 0 {
			node.Map("timers").Set("mrd", seconds(min(t.interval*(t.count+1), longest)), "all tries")
		}
		i.serverFilters(node, s)
		s.each("source", func(o *option) {
			i.left(s.block, o, "the hub has one source address of each family: source in roamgate.yaml")
		})
		for n := range s.opts {
			i.mapped(s.block, &s.opts[n], "the hub does it by itself for homes that it finds")
		}
	}
}
