package freeradius

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/roamgate/roamgate/realm/migrate"
)

const (
	onlyTCP   = "without meaning over UDP"
	coaInside = "to a peer over TLS go requests by its own connection: write dynauth: connection, and dynauth.connections in roamgate.yaml"
	ownHealth = "the hub judges homes by itself: see homes in the README"
)

func (w *writer) writeClients() {
	list := w.config.Realm(clientsFile).List("clients")
	taken := map[string]bool{} // prefixes, by what carries their packets
	for _, c := range w.Clients {
		by, trust := w.door(c)
		place := by + trust + " " + c.Prefix.String() + c.Host
		switch {
		case c.Section.Pair("dynamic_clients") != nil:
			w.refuse(c.Section, "clients are not added at run time: name each in the files")
		case by == "":
			w.refuse(c.Section, "no listener that takes it speaks %s", c.Proto)
		case by == overTLS && c.Host == "" && !c.Prefix.IsSingleIP():
			w.refuse(c.Section, "any certificate of the authorities would be this client's: write it with transport: tls and the names of its certificate")
		case by != overTLS && c.Host != "":
			w.refuse(c.Section, "a client is known by its address: look up %s and write it", migrate.Printable(c.Host))
		case taken[place]:
			w.refuse(c.Section, "another client has the same address: the hub has one list for all its sockets")
		default:
			taken[place] = true
			w.writeClient(list.Item(), c, by, trust)
		}
	}
	for _, l := range w.Tree.Root.Subs("clients") {
		w.begin(l, "one list of clients for all sockets")
	}
}

func (w *writer) writeClient(n *migrate.Node, c *Client, by, trust string) {
	s := c.Section
	name := w.clientNames.Make(c.Name)
	n.Set("name", name, from(s.Pos))
	_, _, pair, _ := addressOf(s)
	w.begin(s, "client %s", name)
	if by != overUDP {
		n.Set("transport", by, at(s.Pair("proto")))
	}
	if by == overTLS {
		n.Set("tls", trust, "of its listener")
		w.report.Note(s.Pos, ownNames, "client %s must hold a certificate that names its address or host; the original takes any of the authorities", name)
	}
	switch {
	case c.Host != "":
		n.Map("certificate").List("hosts").Value(c.Host, at(pair))
	case by == overTLS:
		n.Map("certificate").List("addresses").Value(c.Prefix.Addr().String(), at(pair))
		fallthrough
	default:
		n.List("address").Value(c.Prefix.String(), at(pair))
	}
	if by != overTLS {
		w.secret(n, "client", name, c.Secret, s.Pair("secret"), s.Pos)
	}
	if p := s.Pair("require_message_authenticator"); !c.Require && by != overTLS {
		if p == nil {
			n.Set("require_message_authenticator", false, "the original's default")
		} else {
			n.Set("require_message_authenticator", false, at(p))
		}
		w.report.Note(s.Pos, "unsigned-requests", "client %s may leave out Message-Authenticator, as it may now: remove the line when it sends one", name)
	}
	w.each(s, "", func(p *Pair) { w.clientPair(n, c, p, by) })
	w.operatorsOf(n, c)
	for _, i := range s.Items {
		switch sub := i.Section; {
		case sub == nil:
		case sub.Name == "limit":
			w.limits(s.Title()+"/limit", sub, by)
		case sub.Name == "coa_server" && by == overTLS:
			w.refuse(sub, coaInside)
		case sub.Name == "coa_server":
			w.clientCoA(n, c, sub)
		default:
			w.refuse(sub, "not known")
		}
	}
}

var operatorName = regexp.MustCompile(`^[0-4][!-~]{1,252}$`)

// securedPair reports what TLS settles by itself.
func (w *writer) securedPair(s *Section, p *Pair) bool {
	switch p.Name {
	case "secret":
		if p.Value == protocolSecret {
			w.mapped(s, p, "is that of the protocol")
		} else {
			w.left(s, p, "over TLS the secret is %s, by the rules of the protocol: agree upon it with the peer", protocolSecret)
		}
	case "require_message_authenticator", "limit_proxy_state":
		w.mapped(s, p, "TLS authenticates each packet")
	default:
		return false
	}
	return true
}

func (w *writer) clientPair(n *migrate.Node, c *Client, p *Pair, by string) {
	s := c.Section
	if by == overTLS && w.securedPair(s, p) {
		return
	}
	switch p.Name {
	case "ipaddr", "ipv4addr", "ipv6addr":
		if _, _, first, _ := addressOf(s); first != p {
			w.mapped(s, p, "nothing: another address counts")
			return
		}
		if by == overTLS {
			w.mapped(s, p, "certificate, address")
			return
		}
		w.mapped(s, p, "address")
	case "netmask":
		w.mapped(s, p, "address")
	case "secret":
		w.mapped(s, p, "secret_file")
	case "shortname":
		w.mapped(s, p, "name")
	case "proto":
		w.mapped(s, p, "transport: %s", by)
	case "require_message_authenticator":
		if strings.EqualFold(p.Value, "auto") {
			w.mapped(s, p, "require_message_authenticator: false")
			return
		}
		w.mapped(s, p, "%s", p.Name)
	case "limit_proxy_state":
		w.limitProxyState(n, s, p)
	case "virtual_server":
		if w.Model.instance("server", c.Server) == nil {
			w.left(s, p, "there is no such virtual server: the original answered nothing but rejects")
			return
		}
		if w.alike(c.Server) {
			w.mapped(s, p, "all virtual servers find realms alike")
			return
		}
		w.left(s, p, "the virtual server %s finds realms in another way than %s, whose way is written", c.Server, w.Hosts[0].Name)
	case "coa_server":
		if by == overTLS {
			w.left(s, p, coaInside)
			return
		}
		w.coaByName(n, c, p)
	case "Operator-Name":
		w.operator(n, c, p)
	case "add_cui":
		w.left(s, p, "write a filter that adds an empty Chargeable-User-Identity, and name it with in:")
	case "nas_type", "nastype", "login", "password":
		w.left(s, p, "it is for counting sessions on the NAS (checkrad), which the hub does not do")
	case "src_ipaddr":
		w.left(s, p, "answers leave by the address that was asked")
	case "response_window":
		w.left(s, p, "the patience with a home is that of its pool")
	default:
		w.left(s, p, "not known")
	}
}

func (w *writer) limitProxyState(n *migrate.Node, s *Section, p *Pair) {
	if strings.EqualFold(p.Value, "auto") {
		w.mapped(s, p, "limit_proxy_state, which is the default")
		return
	}
	yes, err := boolean(s, p.Name, true)
	if err != nil {
		w.left(s, p, "no boolean")
		return
	}
	n.Set("limit_proxy_state", yes, at(p))
	w.mapped(s, p, "%s", p.Name)
}

// alike reports whether a virtual server finds realms as the first one does.
func (w *writer) alike(name string) bool {
	for _, h := range w.Hosts {
		if h.Name != name || h == w.Hosts[0] {
			continue
		}
		for k := range h.Steps {
			if !slices.EqualFunc(h.Steps[k], w.Hosts[0].Steps[k], func(a, b step) bool { return a.instance == b.instance }) {
				return false
			}
		}
	}
	return true
}

// operator maps the Operator-Name that policies know a client by.
func (w *writer) operator(n *migrate.Node, c *Client, p *Pair) {
	s := c.Section
	if !operatorName.MatchString(p.Value) {
		w.left(s, p, "this is no Operator-Name: it begins with the digit of its namespace (RFC 5580)")
		return
	}
	n.Set("operator", p.Value, at(p))
	if call := w.calls("operator-name"); call != nil {
		n.Set("operator_name", "stamp", at(call))
		w.mapped(s, p, "operator, operator_name: stamp")
		return
	}
	w.mapped(s, p, "operator; no policy sends it, so operator_name is left at pass")
}

// calls finds the call of a policy in the virtual servers that hear requests.
func (w *writer) calls(policy string) *Pair {
	for _, h := range w.Hosts {
		if h.Section == nil {
			continue
		}
		for _, name := range []string{"authorize", "pre-proxy"} {
			if sub := h.Section.Sub(name); sub != nil {
				for _, i := range sub.Items {
					if i.Pair != nil && i.Pair.Bare && (i.Pair.Name == policy || strings.HasPrefix(i.Pair.Name, policy+".")) {
						return i.Pair
					}
				}
			}
		}
	}
	return nil
}

// clientCoA maps a coa_server section of a client.
func (w *writer) clientCoA(n *migrate.Node, c *Client, s *Section) {
	p, host, pair, err := addressOf(s)
	port, bad := integer(s, "port", 3799)
	own := pair == nil || err == nil && host == "" && p.IsSingleIP() && c.Prefix.Contains(p.Addr())
	switch {
	case err != nil || bad != nil || port < 1 || port > 65535 || !own || !c.Prefix.IsSingleIP() && pair == nil:
		w.refuse(s, "dynauth: wants an address of the client")
		return
	case pair == nil:
		p = c.Prefix
	}
	if secret, ok := s.Text("secret"); ok && secret != c.Secret {
		w.refuse(s, "requests to a client are signed with its own secret")
		return
	}
	n.Set("dynauth", joinHostPort(p.Addr().String(), uint16(port)), from(s.Pos))
	w.begin(s, "dynauth")
	w.each(s, "", func(p *Pair) {
		switch p.Name {
		case "ipaddr", "ipv4addr", "ipv6addr", "port", "type", "secret":
			w.mapped(s, p, "dynauth")
		default:
			w.homePair(s, p)
		}
	})
	for _, i := range s.Items {
		if i.Section != nil {
			w.accept(s.Title()+"/"+i.Section.Title(), i.Section, "the hub's own timers (RFC 5080)")
		}
	}
}

// coaByName maps "coa_server = NAME".
func (w *writer) coaByName(n *migrate.Node, c *Client, p *Pair) {
	key := strings.ToLower(p.Value)
	h := w.byType[CoA][key]
	if pool := w.Model.pools[CoA][key]; pool != nil && len(pool.Servers) == 1 {
		h = pool.Servers[0]
	}
	if h == nil || !h.Remote() || !h.At.Addr.IsValid() || !c.Prefix.Contains(h.At.Addr) || h.Secret != c.Secret {
		w.left(c.Section, p, "dynauth: wants one address of the client, with the client's secret")
		return
	}
	n.Set("dynauth", h.At.String(), at(p))
	w.mapped(c.Section, p, "dynauth")
	w.coa[h] = c
}

// planCoA finds the client behind each server that realms send CoA to.
func (w *writer) planCoA() {
	for _, r := range w.Realms {
		if r.Pools[CoA] == nil {
			continue
		}
		w.coaRealms = append(w.coaRealms, r)
		for _, h := range r.Pools[CoA].Servers {
			if !h.At.Addr.IsValid() || !h.Remote() {
				continue
			}
			if c := w.clientOf(h.At.Addr.String()); c != nil && family(c.Proto) == overUDP && c.Secret == h.Secret {
				w.coa[h] = c
			}
		}
	}
}

// operatorsOf writes the Operator-Names that lead to a client: realms with a
// coa_pool are looked for by them.
func (w *writer) operatorsOf(n *migrate.Node, c *Client) {
	for _, r := range w.coaRealms {
		if r.Match != nil || r.Odd != nil || r.Name == defaultName || r.Name == nullName {
			continue
		}
		for _, h := range r.Pools[CoA].Servers {
			if w.coa[h] != c {
				continue
			}
			if !n.Has("dynauth") {
				n.Set("dynauth", h.At.String(), from(h.Pos))
			}
			n.List("operators").Value("1"+r.Name, from(r.Pos))
			break
		}
	}
}

func (w *writer) writeHomes() {
	list := w.config.Realm(homesFile).List("homes")
	for _, h := range w.Servers {
		if h.Section == nil {
			continue // with its realm
		}
		switch {
		case h.Virtual != "":
			w.refuse(h.Section, "a virtual server answers by itself: the hub has no users and no policy of its own")
		case h.Does[CoA] && w.coa[h] != nil:
			w.coaServer(h)
		case h.Does[CoA]:
			w.refuse(h.Section, "no client with this address and secret sends requests: write dynauth: at one")
		case h.Section.parent != nil && h.Section.parent.Name == "server":
			w.refuse(h.Section, "a home server of one virtual server: the hub has one list")
		case h.TLS && unshown(h.Section.Sub("tls")) != "":
			w.deny(h.Section.Title(), h.Section, unshown(h.Section.Sub("tls")))
		default:
			w.writeHome(list.Item(), h)
		}
	}
	for _, h := range w.Servers {
		if h.Section == nil && h.Virtual == "" {
			w.writeHome(list.Item(), h)
		}
	}
}

func (w *writer) writeHome(n *migrate.Node, h *Server) {
	name := w.homeNames.Make(h.Name)
	w.homes[h] = name
	n.Set("name", name, from(h.Pos))
	by := overUDP
	var address, port, secret *Pair
	if h.Section != nil {
		_, _, address, _ = addressOf(h.Section)
		port, secret = h.Section.Pair("port"), h.Section.Pair("secret")
		by = over(h.Section)
	}
	if by != overUDP {
		n.Set("transport", by, at(h.Section.Pair("proto")))
	}
	if by == overTLS {
		n.Set("tls", w.trust(name, h.Section.Title(), h.Section.Sub("tls")), from(h.Section.Sub("tls").Pos))
		w.report.Note(h.Pos, ownNames, "home %s must show a certificate that names its address or host; the original takes any of the authorities", name)
	}
	if h.At.Addr.IsValid() {
		n.Set("address", h.At.Addr.String(), at(address))
	} else {
		n.Set("host", h.At.Host, at(address))
	}
	if by == overTLS {
		n.Set("port", int(h.At.Port), at(port))
	}
	for k, key := range []string{Auth: "auth_port", Acct: "acct_port"} {
		switch {
		case !h.Does[k]:
			n.Set(key, "none", "")
		case by != overTLS:
			n.Set(key, int(h.Service(Kind(k)).Port), at(port))
		}
	}
	if by != overTLS {
		w.secret(n, "home", name, h.Secret, secret, h.Pos)
	}
	if !h.Require && by != overTLS {
		n.Set("require_message_authenticator", false, "the original takes answers without one")
		w.report.Note(h.Pos, "unsigned-answers", "home %s may leave out Message-Authenticator, as it may now: remove the line when it sends one", name)
	}
	if h.Status == "status-server" {
		n.Set("status_server", true, "")
	}
	if h.Section == nil {
		return
	}
	w.begin(h.Section, "home %s", name)
	w.each(h.Section, "", func(p *Pair) {
		if by != overTLS || !w.securedPair(h.Section, p) {
			w.homePair(h.Section, p)
		}
	})
	for _, i := range h.Section.Items {
		switch s := i.Section; {
		case s == nil, s.Name == "tls": // is an entry of its own
		case s.Name == "limit":
			w.limits(h.Section.Title()+"/limit", s, by)
		case s.Name == "coa":
			w.accept(h.Section.Title()+"/coa", s, "the hub's own timers for CoA (RFC 5080)")
		case s.Name == "update":
			w.refuse(s, "probes are Status-Server without further attributes")
		default:
			w.refuse(s, "not known")
		}
	}
}

// homePair reports one directive of a home server.
func (w *writer) homePair(s *Section, p *Pair) {
	switch p.Name {
	case "ipaddr", "ipv4addr", "ipv6addr":
		w.mapped(s, p, "address or host")
	case "port":
		w.mapped(s, p, "port, auth_port, acct_port")
	case "type":
		w.mapped(s, p, "which ports are there")
	case "secret":
		w.mapped(s, p, "secret_file")
	case "proto":
		w.mapped(s, p, "transport")
	case "response_window":
		w.mapped(s, p, "timers: mrd of its pools")
	case "zombie_period", "revive_interval", "check_interval", "ping_interval", "check_timeout", "status_check_timeout",
		"num_answers_to_alive", "response_timeouts", "no_response_fail":
		w.mapped(s, p, ownHealth)
	case "status_check", "ping_check":
		if strings.EqualFold(p.Value, "request") {
			w.left(s, p, "probes are Status-Server; a made-up Access-Request would be a user of the home")
			return
		}
		w.mapped(s, p, "status_server")
	case "username", "password":
		w.left(s, p, "probes are Status-Server; a made-up Access-Request would be a user of the home")
	case "max_outstanding":
		w.mapped(s, p, "the hub bounds what waits for one home: in_flight")
	case "require_message_authenticator":
		w.mapped(s, p, "%s", p.Name)
	case "src_ipaddr":
		w.left(s, p, "one source address for all homes: source: in roamgate.yaml")
	case "historic_average_window", "nonblock", "dns_soft_fail", "no_auto_ma", "virtual_server":
		w.left(s, p, "the hub has nothing to set there")
	default:
		w.left(s, p, "not known")
	}
}

// coaServer reports a server of type coa that became the dynauth of a client.
func (w *writer) coaServer(h *Server) {
	s := h.Section
	w.begin(s, "dynauth of a client")
	w.each(s, "", func(p *Pair) {
		switch p.Name {
		case "ipaddr", "ipv4addr", "ipv6addr", "port", "type", "secret":
			w.mapped(s, p, "dynauth")
		default:
			w.homePair(s, p)
		}
	})
	for _, i := range s.Items {
		if i.Section != nil {
			w.accept(s.Title()+"/"+i.Section.Title(), i.Section, "the hub's own timers for CoA (RFC 5080)")
		}
	}
}

func (w *writer) writePools() {
	list := w.config.Realm(homesFile).List("pools")
	wakes, _ := w.wakes()
	for _, p := range w.Model.Pools {
		if p.Section != nil && !w.said[p.Section] {
			w.poolSection(p)
		}
		if p.Kind == CoA {
			continue
		}
		if same := w.samePool(p); same != nil {
			w.pools[p] = w.pools[same]
			continue
		}
		w.writePool(list, p, wakes)
	}
}

// samePool finds a pool that was written with the same homes.
func (w *writer) samePool(p *Pool) *Pool {
	for _, q := range w.alikePools[strings.ToLower(p.Name)] {
		if q.Type == p.Type && slices.Equal(q.Servers, p.Servers) && w.pools[q] != "" {
			return q
		}
	}
	return nil
}

var balances = map[string]string{"fail-over": "first", "load-balance": "least_outstanding", "client-balance": "device",
	"client-port-balance": "device", "keyed-balance": "device", "consistent-keyed-balance": "device"}

func (w *writer) writePool(list *migrate.Node, p *Pool, wakes bool) {
	var members []*Server
	for _, s := range p.Servers {
		if w.homes[s] != "" && !slices.Contains(members, s) {
			members = append(members, s)
		}
	}
	if len(members) == 0 {
		return
	}
	n := list.Item()
	name := p.Name
	if p.Kind == Acct && w.Model.pools[Auth][strings.ToLower(p.Name)] != nil || p.Section == nil {
		name += map[Kind]string{Auth: "-auth", Acct: "-acct"}[p.Kind]
	}
	w.pools[p] = w.poolNames.Make(name)
	w.alikePools[strings.ToLower(p.Name)] = append(w.alikePools[strings.ToLower(p.Name)], p)
	n.Set("name", w.pools[p], from(p.Pos))
	var refs []*Pair
	if p.Section != nil {
		refs = p.Section.Pairs("home_server")
	}
	window := time.Duration(0)
	for i, s := range members {
		m := n.List("homes").Item()
		comment := ""
		for _, ref := range refs {
			if strings.EqualFold(ref.Value, s.Name) {
				comment = at(ref)
				break
			}
		}
		m.Set("home", w.homes[s], comment)
		if p.Type == "fail-over" {
			m.Set("priority", i+1, "")
		}
		window = max(window, s.Window)
	}
	n.Set("balance", balances[p.Type], "type "+p.Type)
	n.Set("retransmit", "client", "the original repeats nothing by itself")
	timers := n.Map("timers")
	mrd := max(50*time.Millisecond, min(window, w.Patient)).Truncate(time.Millisecond)
	timers.Set("irt", min(2*time.Second, mrd), "")
	timers.Set("mrd", mrd, "response_window")
	if wakes {
		n.Set("panic", 1, "wake_all_if_all_dead")
	}
	if balances[p.Type] == "device" {
		w.report.Note(p.Pos, "balance-key", "pool %s: devices stay with a home by Calling-Station-Id and User-Name; type %s looked at something else", w.pools[p], p.Type)
	}
}

func (w *writer) wakes() (bool, error) {
	if s := w.Tree.Root.Sub("proxy"); s != nil {
		return boolean(s, "wake_all_if_all_dead", false)
	}
	return false, nil
}

func (w *writer) poolSection(p *Pool) {
	s := p.Section
	if p.Kind == CoA {
		for _, h := range p.Servers {
			if w.coa[h] == nil {
				w.refuse(s, "no client with the address and secret of %s sends requests", h.Name)
				return
			}
		}
	}
	w.begin(s, "a pool")
	w.each(s, "home_server", func(pair *Pair) {
		switch pair.Name {
		case "home_server":
			if h, err := w.member(pair, p.Kind); err == nil && h.Virtual != "" {
				w.left(s, pair, "a virtual server answers by itself: the hub has no users and no policy of its own")
				return
			}
			w.mapped(s, pair, "homes")
		case "type":
			w.mapped(s, pair, "balance")
		case "fallback":
			w.left(s, pair, "a virtual server answers by itself: the hub has no users and no policy of its own")
		case "virtual_server":
			w.left(s, pair, "policy of the virtual server %s is not carried out: see filters", pair.Value)
		case "track_home_server":
			w.mapped(s, pair, "conversations stay with their home")
		default:
			w.left(s, pair, "not known")
		}
	})
}
