package freeradius

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// maxPolicy bounds how deep policies name each other.
const maxPolicy = 16

var kindSections = [2]string{Auth: "authorize", Acct: "preacct"}

// hosts reads the virtual servers that hear from clients, and in them what
// finds the realm.
func (m *Model) hosts() error {
	root := m.Tree.Root
	inner := m.inner()
	for _, s := range root.Subs("server") {
		h := &Host{Name: s.Second, Pos: s.Pos, Section: s}
		if inner[h.Name] && !m.namedByClient(h.Name) || !m.hears(s) {
			continue
		}
		for k, name := range kindSections {
			if sub := s.Sub(name); sub != nil {
				h.Steps[k] = m.steps(sub, Kind(k), 0)
			}
		}
		m.Hosts = append(m.Hosts, h)
	}
	if len(root.Subs("server")) == 0 {
		h := &Host{Name: "default", Pos: root.Pos}
		if i := m.instances["suffix"]; i != nil {
			h.Steps[Auth], h.Steps[Acct] = []step{{instance: i}}, []step{{instance: i}}
		}
		m.Hosts = append(m.Hosts, h)
	}
	return nil
}

// hears reports whether requests come to a virtual server: it listens for
// them, or a client or a listener of the top names it.
func (m *Model) hears(s *Section) bool {
	for _, l := range s.Subs("listen") {
		if t, _ := l.Text("type"); strings.Contains(t, "auth") || strings.Contains(t, "acct") {
			return true
		}
	}
	for _, l := range m.Tree.Root.Subs("listen") {
		v, ok := l.Text("virtual_server")
		if ok && v == s.Second || !ok && (!s.Named || s.Second == "default") {
			return true
		}
	}
	return m.namedByClient(s.Second)
}

func (m *Model) namedByClient(server string) bool {
	for _, c := range m.clientSections() {
		if v, ok := c.section.Text("virtual_server"); ok && v == server {
			return true
		}
	}
	return false
}

// inner are the virtual servers of tunnelled authentication.
func (m *Model) inner() map[string]bool {
	found := map[string]bool{}
	modules := m.Tree.Root.Sub("modules")
	if modules == nil {
		return found
	}
	for _, eap := range modules.Subs("eap") {
		for _, i := range eap.Items {
			if i.Section == nil {
				continue
			}
			if v, ok := i.Section.Text("virtual_server"); ok {
				found[v] = true
			}
		}
	}
	return found
}

// steps reads what a section calls, in its order. What stands under a
// condition is left to the report.
func (m *Model) steps(s *Section, k Kind, depth int) (all []step) {
	if depth > maxPolicy {
		return nil
	}
	for _, i := range s.Items {
		name, pos := "", realm.Pos{}
		switch {
		case i.Pair != nil && i.Pair.Bare:
			name, pos = strings.TrimPrefix(i.Pair.Name, "-"), i.Pair.Pos
		case i.Section != nil && i.Section.Name == "group":
			all = append(all, m.steps(i.Section, k, depth+1)...)
			continue
		case i.Section != nil && !i.Section.Named:
			name, pos = i.Section.Name, i.Section.Pos // with what its result does
		default:
			continue
		}
		if m.instances[name] != nil {
			all = append(all, step{pos, m.instances[name]})
			continue
		}
		if name == filterUsername {
			all = append(all, step{pos: pos})
			continue
		}
		if p := m.policy(name, k); p != nil {
			all = append(all, m.steps(p, k, depth+1)...)
		}
	}
	return all
}

// policy finds a policy that a section calls by its name.
func (m *Model) policy(name string, k Kind) *Section {
	policies := m.Tree.Root.Sub("policy")
	if policies == nil {
		return nil
	}
	if p := policies.Sub(name + "." + kindSections[k]); p != nil {
		return p
	}
	return policies.Sub(name)
}

// filterUsername is the policy that the shipped configuration calls first.
const filterUsername = "filter_username"

// filtered says what the shipped policy has against a User-Name, "" nothing.
func filtered(name string) string {
	_, behind, at := cutLast(name, '@')
	switch {
	case name == "":
		return ""
	case strings.Contains(name, " "):
		return "whitespace"
	case strings.Count(name, "@") > 1:
		return "several @"
	case strings.Contains(name, ".."):
		return "several dots"
	case at && !dotted(behind):
		return "no dot behind the @"
	case strings.HasSuffix(name, "."):
		return "a dot at the end"
	case strings.Contains(name, "@."):
		return "a dot behind the @"
	}
	return ""
}

// dotted reports whether there is something on both sides of a dot.
func dotted(s string) bool {
	if len(s) < 3 {
		return false
	}
	return strings.Contains(s[1:len(s)-1], ".")
}

// filterConditions are those of the shipped policy, which filtered knows.
var filterConditions = []string{
	`(&User-Name)`, `(&User-Name =~ / /)`, `(&User-Name =~ /@[^@]*@/ )`, `(&User-Name =~ /\.\./ )`,
	`((&User-Name =~ /@/) && (&User-Name !~ /@(.+)\.(.+)$/))`, `(&User-Name =~ /\.$/)`, `(&User-Name =~ /@\./)`,
}

// shippedFilter reports whether a configuration's policy is the shipped one.
// Without the policy's text, it is.
func (m *Model) shippedFilter() bool {
	p := m.policy(filterUsername, Auth)
	if p == nil {
		return true
	}
	var seen []string
	var walk func(*Section)
	walk = func(s *Section) {
		for _, i := range s.Items {
			if i.Section != nil && i.Section.Name == "if" {
				seen = append(seen, i.Section.Second)
				walk(i.Section)
			}
		}
	}
	walk(p)
	return slices.EqualFunc(seen, filterConditions, func(a, b string) bool {
		return strings.ReplaceAll(a, " ", "") == strings.ReplaceAll(b, " ", "")
	})
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

type clientSection struct {
	section *Section
	list    string
}

// clientSections gives all clients: of the top, of lists, of virtual servers.
func (m *Model) clientSections() (all []clientSection) {
	root := m.Tree.Root
	for _, s := range root.Subs("client") {
		all = append(all, clientSection{s, ""})
	}
	for _, l := range root.Subs("clients") {
		for _, s := range l.Subs("client") {
			all = append(all, clientSection{s, l.Second})
		}
	}
	for _, v := range root.Subs("server") {
		for _, s := range v.Subs("client") {
			all = append(all, clientSection{s, "server " + v.Second})
		}
	}
	return all
}

func (m *Model) clients() error {
	seen := map[string]*Client{}
	for _, cs := range m.clientSections() {
		c, err := m.client(cs)
		if err != nil {
			return err
		}
		key := cs.list + "|" + c.Prefix.String() + c.Host + "|" + family(c.Proto)
		if had := seen[key]; had != nil {
			if sameClient(had, c) {
				continue
			}
			return fail(c.Pos, "failed to add duplicate client %s", c.Name)
		}
		seen[key] = c
		m.Clients = append(m.Clients, c)
	}
	return nil
}

func family(proto string) string {
	if proto == "udp" || proto == "*" {
		return "udp"
	}
	return "tcp"
}

func sameClient(a, b *Client) bool {
	return a.Name == b.Name && a.Secret == b.Secret && a.Server == b.Server && a.Require == b.Require
}

func (m *Model) client(cs clientSection) (*Client, error) {
	s := cs.section
	if !s.Named {
		return nil, fail(s.Pos, "missing client name")
	}
	c := &Client{Name: s.Second, Pos: s.Pos, Proto: "udp", List: cs.list, Section: s}
	p, host, pair, err := addressOf(s)
	if err != nil {
		return nil, err
	}
	if pair == nil { // the name is the address
		if s.Pair("proto") != nil {
			return nil, fail(s.Pos, "cannot use 'proto' inside of old-style client definition")
		}
		var ok bool
		if p, host, ok = address(c.Name); !ok {
			return nil, fail(s.Pos, "failed parsing client name %q as ip address or hostname", c.Name)
		}
	}
	if mask := s.Pair("netmask"); mask != nil {
		n, err := integer(s, "netmask", 255)
		switch {
		case err != nil:
			return nil, err
		case p.IsValid() && n <= p.Addr().BitLen() && (p.IsSingleIP() || p.Bits() == n):
			p = netip.PrefixFrom(p.Addr(), n).Masked()
		case p.IsValid():
			return nil, fail(mask.Pos, "clients cannot use 'ipaddr/mask' and 'netmask' at the same time")
		}
	}
	// An address of zeros is everybody.
	if p.IsValid() && p.Addr().IsUnspecified() && p.IsSingleIP() {
		p = netip.PrefixFrom(p.Addr(), 0)
	}
	c.Prefix, c.Host = p, host
	return c, m.clientRest(c)
}

func (m *Model) clientRest(c *Client) (err error) {
	s := c.Section
	if short, ok := s.Text("shortname"); ok && short != "" {
		c.Name = short
	}
	if proto, ok := s.Text("proto"); ok {
		switch c.Proto = proto; proto {
		case "udp", "tcp", "tls", "*":
		case "radsec":
			c.Proto = "tls"
		default:
			return fail(s.Pair("proto").Pos, "unknown proto %q", proto)
		}
	}
	c.Server, _ = s.Text("virtual_server")
	if v, ok := s.Text("require_message_authenticator"); ok && !strings.EqualFold(v, "auto") {
		if c.Require, err = boolean(s, "require_message_authenticator", false); err != nil {
			return err
		}
	}
	c.Secret, _ = s.Text("secret")
	switch {
	case s.Pair("dynamic_clients") != nil:
		if c.Prefix.IsValid() && c.Prefix.IsSingleIP() {
			return fail(s.Pos, "dynamic clients MUST be a network, not a single IP address")
		}
	case c.Secret == "" && c.Proto == "tls":
		c.Secret = "radsec"
	case c.Secret == "":
		return fail(s.Pos, "secret must be at least 1 character long")
	}
	if name, ok := s.Text("coa_server"); ok && m.pools[CoA][strings.ToLower(name)] == nil && m.byType[CoA][strings.ToLower(name)] == nil {
		return fail(s.Pair("coa_server").Pos, "no such home_server or home_server_pool %q", name)
	}
	return nil
}
