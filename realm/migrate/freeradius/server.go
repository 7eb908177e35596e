package freeradius

import (
	"strconv"
	"strings"
	"time"
)

// servers reads the home servers of the top and of the virtual servers.
func (m *Model) servers() error {
	all := m.Tree.Root.Subs("home_server")
	for _, v := range m.Tree.Root.Subs("server") {
		all = append(all, v.Subs("home_server")...)
	}
	for _, s := range all {
		if err := m.server(s); err != nil {
			return err
		}
	}
	return nil
}

var serverKinds = map[string][]Kind{"": {Auth, Acct}, "auth": {Auth}, "acct": {Acct}, "auth+acct": {Auth, Acct}, "coa": {CoA},
	"auth+coa": {Auth}, "auth+acct+coa": {Auth, Acct}}

// tlsPort is that of RADIUS over TLS.
const tlsPort = 2083

var defaultPorts = [kinds]uint16{Auth: 1812, Acct: 1813, CoA: 3799}

func (m *Model) server(s *Section) (err error) {
	h := &Server{Name: s.Second, Pos: s.Pos, Proto: "udp", Section: s, TLS: s.Sub("tls") != nil}
	if err := h.place(m, s); err != nil {
		return err
	}
	word, _ := s.Text("type")
	does, ok := serverKinds[strings.ToLower(word)]
	if !ok {
		return fail(s.Pair("type").Pos, "invalid type %q for home server %s", word, h.Name)
	}
	for _, k := range does {
		h.Does[k] = true
	}
	if err := h.checks(s); err != nil {
		return err
	}
	if proto, ok := s.Text("proto"); ok {
		if h.Proto = strings.ToLower(proto); h.Proto != "udp" && h.Proto != "tcp" {
			return fail(s.Pair("proto").Pos, "unknown proto %q", proto)
		}
	}
	secret, has := s.Text("secret")
	switch {
	case h.Virtual != "":
	case has:
		h.Secret = secret
	case h.TLS && h.Proto == "tcp":
		h.Secret = "radsec"
	default:
		return fail(s.Pos, "no shared secret defined for home server %s", h.Name)
	}
	switch {
	case h.TLS && h.Virtual != "":
		return fail(s.Pos, "virtual home_servers cannot have a \"tls\" subsection")
	case h.TLS && h.Proto != "tcp":
		return fail(s.Pos, "TLS transport is not available for UDP sockets")
	case h.Does[CoA] && h.Virtual != "":
		return fail(s.Pos, "home servers of type \"coa\" cannot point to a virtual server")
	}
	if h.At.Port == 0 {
		h.At.Port = defaultPorts[does[0]]
		if h.TLS {
			h.At.Port = tlsPort
		}
	}
	return m.keep(h)
}

// place reads where the server is.
func (h *Server) place(m *Model, s *Section) error {
	p, host, pair, err := addressOf(s)
	switch {
	case err != nil:
		return err
	case pair != nil && host == "" && p.Addr().IsUnspecified():
		return fail(pair.Pos, "wildcard '*' addresses are not permitted for home servers")
	case pair != nil && host == "" && !p.IsSingleIP():
		return fail(pair.Pos, "invalid mask length: a home server is one host")
	case pair != nil:
		h.At.Addr, h.At.Host = p.Addr(), host
	default:
		v, ok := s.Text("virtual_server")
		if !ok || v == "" {
			return fail(s.Pos, "no ipaddr, ipv4addr, ipv6addr, or virtual_server defined for home server")
		}
		if m.instance("server", v) == nil {
			return fail(s.Pair("virtual_server").Pos, "no such server %s", v)
		}
		h.Virtual = v
	}
	port, err := integer(s, "port", 0)
	if err == nil && port > 65535 {
		err = fail(s.Pair("port").Pos, "invalid value for variable port, must be between 0-65535")
	}
	h.At.Port = uint16(port)
	return err
}

// checks reads what the server's liveness is judged by.
func (h *Server) checks(s *Section) (err error) {
	if h.Window, err = seconds(s, "response_window", 30*time.Second); err != nil {
		return err
	}
	h.Window = max(time.Millisecond, min(h.Window, 60*time.Second))
	h.Source, _ = s.Text("src_ipaddr")
	status, ok := s.Text("status_check")
	if p := s.Pair("ping_check"); p != nil && !p.Bare {
		status, ok = p.Value, true
	}
	if h.Status = strings.ToLower(status); !ok {
		h.Status = "none"
	}
	switch h.Status {
	case "none", "status-server":
	case "request":
		if _, ok := s.Text("username"); !ok {
			return fail(s.Pos, "you must supply a 'username' to enable status_check=request")
		}
		if _, ok := s.Text("password"); !ok && h.Does[Auth] {
			return fail(s.Pos, "you must supply a 'password' to enable status_check=request")
		}
	default:
		return fail(s.Pos, "invalid status_check %q for home server %s", status, h.Name)
	}
	// Later versions of 3.2 also know "auto", which follows what the server does.
	if v, ok := s.Text("require_message_authenticator"); ok && !strings.EqualFold(v, "auto") {
		h.Require, err = boolean(s, "require_message_authenticator", false)
	}
	return err
}

// keep files the server under its name for each of its kinds, and refuses what
// is there twice.
func (m *Model) keep(h *Server) error {
	key := strings.ToLower(h.Name)
	for k := range kinds {
		if !h.Does[k] {
			continue
		}
		if h.Name != "" && m.byType[k][key] != nil {
			return fail(h.Pos, "duplicate home server name %s", h.Name)
		}
		m.byType[k][key] = h
		if h.Virtual != "" {
			continue
		}
		place := h.Proto + " " + h.Source + " " + h.Service(k).String()
		if had := m.addresses[place]; had != nil && had != h {
			return fail(h.Pos, "duplicate home server address %s (already in use by %s)", h.Service(k), had.Name)
		}
		m.addresses[place] = h
	}
	m.Servers = append(m.Servers, h)
	return nil
}

var poolTypes = map[string]string{"fail-over": "fail-over", "fail_over": "fail-over", "load-balance": "load-balance",
	"round-robin": "load-balance", "round_robin": "load-balance", "client-balance": "client-balance",
	"client-port-balance": "client-port-balance", "keyed-balance": "keyed-balance", "consistent-keyed-balance": "consistent-keyed-balance"}

// pool finds a pool as one kind of requests sees it.
func (m *Model) pool(from *Section, k Kind, name string) (*Pool, error) {
	if p := m.pools[k][strings.ToLower(name)]; p != nil {
		return p, nil
	}
	s := m.instance("home_server_pool", name)
	if s == nil {
		s = m.instance("server_pool", name)
	}
	if s == nil {
		return nil, fail(from.Pos, "failed to find home_server_pool %q", name)
	}
	return m.makePool(s, k)
}

func (m *Model) makePool(s *Section, k Kind) (*Pool, error) {
	if !s.Named {
		return nil, fail(s.Pos, "server pool section is missing a name")
	}
	p := &Pool{Name: s.Second, Pos: s.Pos, Kind: k, Type: "fail-over", Section: s}
	for _, pair := range s.Pairs("home_server") {
		h, err := m.member(pair, k)
		if err != nil {
			return nil, err
		}
		p.Servers = append(p.Servers, h)
	}
	if len(p.Servers) == 0 {
		return nil, fail(s.Pos, "no home servers defined in pool %s", p.Name)
	}
	if pair := s.Pair("fallback"); pair != nil {
		h, err := m.member(pair, k)
		switch {
		case k == CoA:
			return nil, fail(pair.Pos, "home server pools of type \"coa\" cannot have a fallback virtual server")
		case err != nil:
			return nil, err
		case h.Virtual == "":
			return nil, fail(pair.Pos, "fallback home_server %s does NOT contain a virtual_server directive", h.Name)
		}
		p.Fallback = h
	}
	if word, ok := s.Text("type"); ok {
		if p.Type, ok = poolTypes[strings.ToLower(word)]; !ok {
			return nil, fail(s.Pair("type").Pos, "unknown type %q", word)
		}
	}
	if v, ok := s.Text("virtual_server"); ok {
		if m.instance("server", v) == nil {
			return nil, fail(s.Pair("virtual_server").Pos, "no such server %s", v)
		}
		p.Virtual = v
	}
	m.pools[k][strings.ToLower(p.Name)] = p
	m.Pools = append(m.Pools, p)
	return p, nil
}

func (m *Model) member(pair *Pair, k Kind) (*Server, error) {
	if pair.Bare {
		return nil, fail(pair.Pos, "no value given for %s", pair.Name)
	}
	h := m.byType[k][strings.ToLower(pair.Value)]
	if h == nil {
		return nil, fail(pair.Pos, "unknown home_server %q", pair.Value)
	}
	return h, nil
}

// loosePools reads the pools that no realm names.
func (m *Model) loosePools() error {
	for _, s := range m.Tree.Root.Subs("home_server_pool") {
		used := false
		for k := range kinds {
			p := m.pools[k][strings.ToLower(s.Second)]
			used = used || p != nil && p.Section == s
		}
		if used {
			continue
		}
		first := s.Pair("home_server")
		if first == nil || first.Bare {
			return fail(s.Pos, "pool does not contain a \"home_server\" entry")
		}
		h := m.instance("home_server", first.Value)
		if h == nil {
			return fail(first.Pos, "home_server %q does not exist", first.Value)
		}
		word, ok := h.Text("type")
		if !ok {
			return fail(h.Pos, "home_server %s does not contain a \"type\" entry", first.Value)
		}
		k := serverKinds[strings.ToLower(word)][0]
		if len(m.pools[k]) > 0 && m.pools[k][strings.ToLower(s.Second)] != nil {
			return fail(s.Pos, "home_server_pool %s is there twice: the original ends", s.Second)
		}
		if _, err := m.makePool(s, k); err != nil {
			return err
		}
	}
	return nil
}

// oldRealm reads authhost, accthost and what goes with them, of a realm that
// has no pools.
func (m *Model) oldRealm(s *Section, r *Realm) error {
	balance := "fail-over"
	if flag, ok := s.Text("ldflag"); ok {
		switch strings.ToLower(flag) {
		case "fail_over":
		case "round_robin":
			balance = "load-balance"
		default:
			return fail(s.Pair("ldflag").Pos, "unknown value %q for ldflag", flag)
		}
	}
	secret := s.Pair("secret")
	for k, key := range []string{Auth: "authhost", Acct: "accthost"} {
		pair := s.Pair(key)
		switch {
		case pair == nil:
			continue
		case pair.Bare:
			return fail(pair.Pos, "no value specified for %s", key)
		case pair.Value != "LOCAL" && (secret == nil || secret.Bare):
			return fail(s.Pos, "no shared secret supplied for realm: %s", r.Name)
		case pair.Value == "LOCAL" && r.Pools[k] != nil:
			return fail(pair.Pos, "realm %q cannot be both LOCAL and remote", r.Name)
		case pair.Value == "LOCAL":
			continue
		}
		if err := m.oldServer(r, Kind(k), pair, secret.Value, balance); err != nil {
			return err
		}
	}
	if pair := s.Pair("virtual_server"); pair != nil {
		if pair.Bare {
			return fail(pair.Pos, "no value specified for virtual_server")
		}
		h := &Server{Name: pair.Value, Pos: pair.Pos, Virtual: pair.Value, Does: [kinds]bool{Auth: true, Acct: true}}
		for k := range CoA {
			r.Pools[k] = &Pool{Name: r.Name, Pos: s.Pos, Kind: k, Type: balance, Servers: []*Server{h}}
		}
	}
	return nil
}

// oldServer adds the server of an old realm to its pool.
func (m *Model) oldServer(r *Realm, k Kind, pair *Pair, secret, balance string) error {
	key := strings.ToLower(pair.Value)
	h := m.byType[k][key]
	switch {
	case h == nil:
		host, port, ok := strings.Cut(pair.Value, ":")
		h = &Server{Name: pair.Value, Pos: pair.Pos, Proto: "udp", Secret: secret, Status: "none", Window: 29 * time.Second}
		h.Does[k] = true
		h.At.Port = defaultPorts[k]
		if ok {
			n, err := strconv.ParseUint(port, 0, 16)
			if err != nil || n == 0 || host == "" {
				return fail(pair.Pos, "invalid host %s", pair.Value)
			}
			h.At.Port = uint16(n)
		}
		p, name, good := address(host)
		if !good || p.IsValid() && !p.IsSingleIP() {
			return fail(pair.Pos, "failed looking up hostname %s", host)
		}
		h.At.Addr, h.At.Host = p.Addr(), name
		if err := m.keep(h); err != nil {
			return err
		}
	case h.Secret != secret:
		return fail(pair.Pos, "inconsistent shared secret for home server %q", pair.Value)
	}
	p := r.Pools[k]
	if p == nil {
		p = &Pool{Name: r.Name, Pos: r.Pos, Kind: k, Type: balance}
		r.Pools[k] = p
		m.Pools = append(m.Pools, p)
	} else if p.Type != balance {
		return fail(pair.Pos, "inconsistent ldflag for server pool %q", pair.Value)
	}
	p.Servers = append(p.Servers, h)
	return nil
}
