package freeradius

import (
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// Kind is what a home server does.
type Kind uint8

// The kinds of home servers.
const (
	Auth Kind = iota
	Acct
	CoA
	kinds
)

// Service is an address and port of a home server.
type Service struct {
	Addr netip.Addr // invalid: Host is a name
	Host string
	Port uint16
}

func (s Service) String() string {
	if s.Addr.IsValid() {
		return netip.AddrPortFrom(s.Addr, s.Port).String()
	}
	return joinHostPort(s.Host, s.Port)
}

// Server is one home_server, or one that an old realm names by authhost.
type Server struct {
	Name    string
	Pos     realm.Pos
	Does    [kinds]bool
	At      Service // of the first thing it does
	Virtual string  // not empty: no home at all, but a virtual server
	Proto   string  // udp or tcp
	TLS     bool
	Secret  string
	Window  time.Duration // response_window
	Source  string        // src_ipaddr
	Status  string        // status_check
	Require bool          // require_message_authenticator
	Section *Section      // nil: of an old realm
}

// Service gives where the server does something: accounting of a dual server
// is one port above, but for TLS.
func (s *Server) Service(k Kind) Service {
	at := s.At
	if k == Acct && s.Does[Auth] && !s.TLS {
		at.Port++
	}
	return at
}

// Remote reports whether the server is one that UDP reaches.
func (s *Server) Remote() bool { return s.Virtual == "" && s.Proto == "udp" }

// Pool is one home_server_pool, as one kind of requests sees it.
type Pool struct {
	Name     string
	Pos      realm.Pos
	Kind     Kind
	Type     string
	Servers  []*Server
	Fallback *Server // a virtual server
	Virtual  string
	Section  *Section // nil: of an old realm
}

// Realm is one realm.
type Realm struct {
	Name    string
	Pos     realm.Pos
	Pools   [kinds]*Pool
	Strip   bool
	Match   *regexp.Regexp // of a name that begins with ~
	Odd     error          // why there is no Match: the original knows more than we
	Section *Section
}

// Instance is one realm module: how it finds the realm in a User-Name.
type Instance struct {
	Name          string
	Pos           realm.Pos
	Prefix        bool
	Delimiter     byte
	IgnoreDefault bool
	IgnoreNull    bool
	Section       *Section // nil: assumed, as there are no modules
}

// step is one call of authorize or preacct that decides about routing.
type step struct {
	pos      realm.Pos
	instance *Instance // nil: filter_username
}

// Host is a virtual server.
type Host struct {
	Name    string
	Pos     realm.Pos
	Steps   [2][]step // of Auth and Acct
	Section *Section
}

// Client is one client.
type Client struct {
	Name    string
	Pos     realm.Pos
	Prefix  netip.Prefix // invalid: by Host name
	Host    string
	Proto   string // udp, tcp, tls or *
	Secret  string
	Require bool
	Server  string // virtual_server
	List    string // clients NAME { }, "" the global one
	Section *Section
}

// Model is a configuration that was understood.
type Model struct {
	Tree    *Tree
	Proxies bool // proxy_requests
	Patient time.Duration
	Servers []*Server
	Pools   []*Pool
	Realms  []*Realm // in their order
	Clients []*Client
	Hosts   []*Host // virtual servers that hear from clients

	byType    [kinds]map[string]*Server // by folded name
	pools     [kinds]map[string]*Pool
	exact     map[string]*Realm // by folded name
	patterns  []*Realm
	instances map[string]*Instance
	addresses map[string]*Server
	top       map[[2]string]*Section // of the top, by both names, the first of each
}

// Understand makes a Model of what was read. What the original refuses is
// refused.
func Understand(t *Tree) (*Model, error) {
	m := &Model{Tree: t, exact: map[string]*Realm{}, instances: map[string]*Instance{}, addresses: map[string]*Server{}, top: map[[2]string]*Section{}}
	for _, i := range t.Root.Items {
		if s := i.Section; s != nil && s.Named && m.top[[2]string{s.Name, s.Second}] == nil {
			m.top[[2]string{s.Name, s.Second}] = s
		}
	}
	for k := range kinds {
		m.byType[k], m.pools[k] = map[string]*Server{}, map[string]*Pool{}
	}
	for _, f := range []func() error{m.global, m.servers, m.realms, m.loosePools, m.modules, m.hosts, m.clients} {
		if err := f(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// instance gives the section of the top with both names.
func (m *Model) instance(name, second string) *Section { return m.top[[2]string{name, second}] }

func (m *Model) global() (err error) {
	root := m.Tree.Root
	if m.Proxies, err = boolean(root, "proxy_requests", true); err != nil {
		return err
	}
	n, err := integer(root, "max_request_time", 30)
	if err != nil {
		return err
	}
	m.Patient = time.Duration(clamp(n, 2, 120)) * time.Second
	return nil
}

// realms reads all realm sections of the top.
func (m *Model) realms() error {
	for _, s := range m.Tree.Root.Subs("realm") {
		if err := m.realm(s); err != nil {
			return err
		}
	}
	return nil
}

func (m *Model) realm(s *Section) error {
	if !s.Named {
		return fail(s.Pos, "realm section is missing the realm name")
	}
	r := &Realm{Name: s.Second, Pos: s.Pos, Strip: true, Section: s}
	if err := m.realmPools(r); err != nil {
		return err
	}
	if old := m.named(r.Name); old != nil && old.Name == r.Name {
		if s.Pair("auth_pool") != nil || s.Pair("acct_pool") != nil {
			return fail(s.Pos, "duplicate realm %q", r.Name)
		}
		return m.oldRealm(s, old)
	}
	if p := s.Pair("nostrip"); p != nil && p.Bare {
		r.Strip = false
	}
	if r.Pools[Auth] == nil && r.Pools[Acct] == nil {
		if err := m.oldRealm(s, r); err != nil {
			return err
		}
	}
	if strings.HasPrefix(r.Name, "~") {
		r.Match, r.Odd = pattern(r.Name[1:])
		m.patterns = append(m.patterns, r)
	} else {
		key := strings.ToLower(r.Name)
		if m.exact[key] != nil {
			return fail(s.Pos, "realm %q is there in other letters: the original ends", r.Name)
		}
		m.exact[key] = r
	}
	m.Realms = append(m.Realms, r)
	return nil
}

// named finds a realm by the name it is written with.
func (m *Model) named(name string) *Realm {
	if r := m.exact[strings.ToLower(name)]; r != nil {
		return r
	}
	for _, r := range m.patterns {
		if r.Name == name {
			return r
		}
	}
	return nil
}

func (m *Model) realmPools(r *Realm) (err error) {
	s := r.Section
	set := func(k Kind, name string) {
		if err == nil {
			r.Pools[k], err = m.pool(s, k, name)
		}
	}
	both := s.Pair("pool")
	if both == nil {
		both = s.Pair("home_server_pool")
	}
	if both != nil && !both.Bare {
		set(Auth, both.Value)
		set(Acct, both.Value)
	}
	for k, key := range []string{Auth: "auth_pool", Acct: "acct_pool", CoA: "coa_pool"} {
		name, ok := s.Text(key)
		if !ok {
			continue
		}
		if r.Pools[k] != nil {
			return fail(s.Pair(key).Pos, "cannot use \"pool\" and %q at the same time", key)
		}
		set(Kind(k), name)
	}
	return err
}

// find is the original's search for a realm: the name without regard to case,
// then the expressions in their order, then DEFAULT. It may be an expression
// that is not understood.
func (m *Model) find(name string) *Realm {
	if r := m.exact[strings.ToLower(name)]; r != nil {
		return r
	}
	for _, r := range m.patterns {
		if r.Odd != nil || r.Match.MatchString(name) {
			return r
		}
	}
	return m.exact["default"]
}

// pattern compiles an expression as the original uses it: without regard to
// case, anywhere in the realm.
func pattern(text string) (*regexp.Regexp, error) {
	return regexp.Compile("(?i)" + text)
}

// modules reads the instances of the realm module.
func (m *Model) modules() error {
	modules := m.Tree.Root.Sub("modules")
	if modules == nil {
		// Only routing was copied: what every installation has.
		m.instances["suffix"] = &Instance{Name: "suffix", Delimiter: '@'}
		return nil
	}
	for _, s := range modules.Subs("realm") {
		i := &Instance{Name: s.Name, Pos: s.Pos, Section: s}
		if s.Named {
			i.Name = s.Second
		}
		format, ok := s.Text("format")
		if ok {
			switch strings.ToLower(format) {
			case "suffix":
			case "prefix":
				i.Prefix = true
			default:
				return fail(s.Pair("format").Pos, "invalid value %q for format", format)
			}
		}
		delimiter, ok := s.Text("delimiter")
		switch {
		case !ok:
			delimiter = "@"
		case delimiter == `\\`:
			delimiter = `\`
		}
		if len(delimiter) != 1 {
			return fail(s.Pair("delimiter").Pos, "invalid value %q for delimiter", delimiter)
		}
		i.Delimiter = delimiter[0]
		var err error
		if i.IgnoreDefault, err = boolean(s, "ignore_default", false); err != nil {
			return err
		}
		if i.IgnoreNull, err = boolean(s, "ignore_null", false); err != nil {
			return err
		}
		if m.instances[i.Name] == nil {
			m.instances[i.Name] = i
		}
	}
	return nil
}
