package radsecproxy

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roamgate/roamgate/realm/migrate"
)

// home is what a server becomes. Servers of one address and port are one.
type home struct {
	name       string
	first      *server
	auth, acct bool
	port       int
}

// usable says why a server cannot be a home, "" where it can.
func (s *server) usable() string {
	if why := psk(s.block); why != "" || !s.found() {
		return why
	}
	if profile, tag := s.lookup(); s.transport != tls || profile+tag == "" {
		return "the hub finds servers by DNS itself, over TLS: what this command looks for is not known"
	}
	return ""
}

// writeServers writes homes and, as realms ask for them, pools.
func (i *importer) writeServers() {
	i.findHomes()
	root := i.file("20-homes.yaml", "Home servers and pools")
	list := root.List("homes")
	written := make(map[*home]bool)
	for _, s := range i.servers {
		h := i.homes[s]
		switch {
		case s.usable() != "":
			i.lose(s, s.usable())
		case s.found(): // is a discovery
		case h == nil:
			// said already
		case written[h]:
			i.twin(s, h)
		default:
			written[h] = true
			i.writeHome(list, s, h)
		}
	}
}

// findHomes gives each server its home, and each home its services.
func (i *importer) findHomes() {
	places := make(map[string]*home)
	for _, s := range i.servers {
		if s.usable() != "" || s.found() {
			continue
		}
		port := atoi(s.hosts[0].port)
		if port <= 0 || port > 65535 {
			i.lose(s, "the port "+s.hosts[0].port+" is no number")
			continue
		}
		place := s.transport + " " + strconv.Itoa(port) + " " + strings.ToLower(s.hosts[0].name)
		h := places[place]
		if h != nil && !bytes.Equal(h.first.secret, s.secret) {
			i.lose(s, "it has the address and port of server "+h.first.name+", but another secret: an answer would belong to either")
			continue
		}
		if h == nil {
			h = &home{name: i.names.home.Make(s.name), first: s, port: port}
			places[place] = h
		}
		i.homes[s] = h
	}
	for _, r := range i.live() {
		for _, s := range r.servers {
			if h := i.homes[s]; h != nil {
				h.auth = true
			}
		}
		for _, s := range r.acct {
			if h := i.homes[s]; h != nil {
				h.acct = true
			}
		}
	}
}

// lose names a server that cannot be a home.
func (i *importer) lose(s *server, why string) {
	i.report.Leave(s.pos, "server "+s.name, "%s", why)
	for n := range s.opts {
		i.left(s.block, &s.opts[n], "%s", why)
	}
}

// twin names the lines of a second server at the place of a first.
func (i *importer) twin(s *server, h *home) {
	i.report.Map(s.pos, "server "+s.name, "homes: %s, which has its address", h.name)
	for n := range s.opts {
		i.mapped(s.block, &s.opts[n], "homes: %s, as server %s has it", h.name, h.first.name)
	}
}

func (i *importer) writeHome(list *migrate.Node, s *server, h *home) {
	node := list.Item().Comment("server %s, %s", s.name, i.at(s.pos))
	node.Set("name", h.name, i.origin(s.pos))
	i.report.Map(s.pos, "server "+s.name, "homes: %s", h.name)
	if s.transport == udp {
		i.mapped(s.block, s.get("type"), "the hub sends over UDP")
	}
	where := s.hosts[0]
	line := s.block.at(&where)
	if where.addr.IsValid() {
		node.Set("address", where.addr.Unmap().String(), i.origin(where.pos))
		i.mapped(s.block, line, "homes.address")
	} else {
		node.Set("host", where.name, i.origin(where.pos))
		i.mapped(s.block, line, "homes.host, which is looked up by its TTL")
	}
	if s.transport == udp {
		s.each("host", func(o *option) { i.left(s.block, o, "over UDP radsecproxy uses the first host only") })
		i.ports(node, s, h)
	} else {
		s.each("host", func(o *option) {
			i.left(s.block, o, "another host is another home: write it as one, and add it to the pool")
		})
		i.onePort(node, s, h)
		i.securedPeer(node, s.block, s.transport, s.secret)
	}
	if secured[s.transport] != "" {
		i.holder(node, s.block, &where, true)
	} else {
		i.secretFile(node, s.block, h.name, s.secret)
	}
	i.answers(node, s)
	i.serverFilters(node, s)
	s.each("source", func(o *option) {
		i.left(s.block, o, "the hub has one source address of each family: source in roamgate.yaml")
	})
	s.each("loopprevention", func(o *option) {
		i.mapped(s.block, o, "routes with when.client; and nothing goes back to the address it came from")
	})
	s.each("blockingstartup", func(o *option) { i.mapped(s.block, o, "has no effect without DynamicLookupCommand") })
	i.plainPeer(s.block)
}

func (i *importer) ports(node *migrate.Node, s *server, h *home) {
	line := s.get("port")
	origin := i.from(line)
	if line == nil {
		origin = "the default"
	}
	switch {
	case h.acct && !h.auth:
		node.Set("auth_port", "none", "no realm has it as its server")
		node.Set("acct_port", h.port, origin)
	case h.acct && h.port < 65535:
		node.Set("auth_port", h.port, origin)
		node.Set("acct_port", h.port+1, "one above, "+i.origin(s.pos))
		i.report.Note(s.pos, RulePort, "accounting goes to port %d of server %s; radsecproxy sends it to %d, with authentication", h.port+1, s.name, h.port)
	default:
		node.Set("auth_port", h.port, origin)
		node.Set("acct_port", "none", "no realm has it as its accountingServer")
	}
	i.mapped(s.block, line, "homes.auth_port, homes.acct_port")
}

// onePort writes the port of both services over TCP and TLS.
func (i *importer) onePort(node *migrate.Node, s *server, h *home) {
	line := s.get("port")
	origin := i.from(line)
	if line == nil {
		origin = "the default"
	}
	node.Set("port", h.port, origin)
	if h.acct && !h.auth {
		node.Set("auth_port", "none", "no realm has it as its server")
	}
	if !h.acct {
		node.Set("acct_port", "none", "no realm has it as its accountingServer")
	}
	i.mapped(s.block, line, "homes.port")
}

func (i *importer) answers(node *migrate.Node, s *server) {
	o, all := s.get("requiremessageauthenticator"), i.main.get("requiremessageauthenticator")
	if required := o != nil && o.on || o == nil && all != nil && all.on; !required && secured[s.transport] == "" {
		node.Set("require_message_authenticator", false, unsigned)
		i.unsignedServers = append(i.unsignedServers, s.block)
	}
	i.mapped(s.block, o, "require_message_authenticator")
	probe := s.get("statusserver")
	if probe == nil {
		return
	}
	switch strings.ToLower(probe.val) {
	case "off":
		i.mapped(s.block, probe, "the default")
	case "on":
		node.Set("status_server", true, i.from(probe))
		i.mapped(s.block, probe, "homes.status_server")
	default:
		node.Set("status_server", true, i.from(probe))
		i.mapped(s.block, probe, "homes.status_server: the hub probes a home that leaves requests unanswered")
	}
}

// timers are the retransmissions of a server.
type timers struct{ interval, count int64 }

const usualInterval, usualCount, longest = 5, 2, 300

func (s *server) timers() timers {
	t := timers{usualInterval, usualCount}
	if o := s.get("retryinterval"); o != nil {
		t.interval = o.n
	}
	if o := s.get("retrycount"); o != nil {
		t.count = o.n
	}
	return t
}

// pool returns the name of the pool of servers, "" where none of them can be a
// home.
func (i *importer) pool(r *realmConf, servers []*server) string {
	var homes []*home
	var first *server
	for _, s := range servers {
		if h := i.homes[s]; h != nil && !slices.Contains(homes, h) {
			homes = append(homes, h)
			if first == nil {
				first = s
			} else if s.timers() != first.timers() {
				i.report.Note(s.pos, RuleTimers, "realm %s: RetryInterval and RetryCount of server %s count for all of its servers", r.name, first.name)
			}
		}
	}
	if len(homes) == 0 {
		return ""
	}
	var names []string
	for _, h := range homes {
		names = append(names, h.name)
	}
	key := strings.Join(names, " ") + " " + strconv.Itoa(int(first.timers().interval)) + " " + strconv.Itoa(int(first.timers().count))
	if name := i.pools[key]; name != "" {
		return name
	}
	name := i.names.pool.Make(strings.Join(names, "-"))
	i.pools[key] = name
	node := i.out.Realm("20-homes.yaml").List("pools").Item().Comment("servers of realm %s, %s", r.name, i.at(r.pos))
	node.Set("name", name, i.origin(r.pos))
	members := node.List("homes")
	if len(homes) == 1 {
		members.Value(homes[0].name, "")
	} else {
		for n, h := range homes {
			m := members.Item()
			m.Set("home", h.name, "")
			m.Set("priority", n+1, "in the order of the file")
		}
		node.Set("balance", "first", "fail-over only, as radsecproxy does")
	}
	i.poolTimers(node, first)
	return name
}

func (i *importer) poolTimers(node *migrate.Node, s *server) {
	t := s.timers()
	wait := func(n int64) time.Duration { return seconds(min(n, longest)) }
	origin := func(name string) string {
		if o := s.get(name); o != nil {
			return i.from(o)
		}
		return "the default"
	}
	if t.count == 0 {
		node.Set("retransmit", "client", origin("retrycount"))
		node.Map("timers").Set("mrd", wait(t.interval), origin("retryinterval"))
		return
	}
	m := node.Map("timers")
	m.Set("irt", wait(t.interval), origin("retryinterval"))
	m.Set("mrt", wait(t.interval), origin("retryinterval"))
	m.Set("mrd", wait(t.interval*(t.count+1)), "all tries")
	m.Set("mrc", int(t.count), origin("retrycount"))
}

// retries names the lines that pools are made from.
func (i *importer) retries() {
	for _, s := range i.servers {
		for _, name := range []string{"retryinterval", "retrycount"} {
			s.each(name, func(o *option) {
				if i.homes[s] != nil {
					i.mapped(s.block, o, "pools.timers")
				} else {
					i.left(s.block, o, "the server is left out")
				}
			})
		}
	}
}
