package freeradius

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// mainFile writes roamgate.yaml: where the hub listens, and what the top of
// radiusd.conf says that it has too.
func (w *writer) mainFile() {
	for _, v := range w.Tree.Root.Subs("server") {
		if slices.ContainsFunc(w.Hosts, func(h *Host) bool { return h.Section == v }) {
			continue
		}
		for _, s := range v.Subs("listen") {
			w.report.Note(s.Pos, "local-server", "the virtual server %s authenticates what comes out of a tunnel: a hub has no users of its own", v.Second)
		}
	}
	seen := map[string]bool{}
	for _, l := range w.listeners() {
		w.listen(l, seen)
	}
	w.top()
}

// listen maps one listener.
func (w *writer) listen(l listener, seen map[string]bool) {
	s, by := l.Section, over(l.Section)
	kind, _ := s.Text("type")
	services := map[string][]string{"auth": {"auth"}, "acct": {"acct"}, "auth+acct": {"auth", "acct"}}[kind]
	p, host, pair, err := addressOf(s)
	switch {
	case kind == "detail":
		w.refuse(s, "records wait in the spool: the hub sends them again by itself")
		return
	case kind == "status":
		w.refuse(s, "Status-Server is answered on the ports of authentication and accounting")
		return
	case kind == "control":
		w.refuse(s, "the hub has an administration port: admin.listen")
		return
	case kind == "coa":
		w.refuse(s, "write listen.dynauth, and dynauth: at the homes that may send CoA")
		return
	case services == nil:
		w.refuse(s, "no RADIUS that the hub speaks")
		return
	case by == overUDP && s.Sub("tls") != nil:
		w.refuse(s, "TLS transport is not available for UDP sockets: the original does not start")
		return
	case by == overTLS && unshown(s.Sub("tls")) != "":
		w.deny(s.Title(), s, unshown(s.Sub("tls")))
		return
	case by == overTLS && s.Sub("tls").Pair("certificate_file") == nil:
		w.refuse(s, "a listener over TLS shows a certificate: the original does not start without one")
		return
	case err != nil || host != "":
		w.refuse(s, "a listener wants an address")
		return
	}
	addr := netip.IPv6Unspecified()
	if pair != nil {
		addr = p.Addr()
	}
	port, err := integer(s, "port", 0)
	if err != nil || port > 65535 {
		w.refuse(s, "no port")
		return
	}
	does := Auth
	if kind == "acct" {
		does = Acct
	}
	switch by { // every service at one port
	case overTCP:
		services = []string{"tcp"}
	case overTLS:
		services = []string{"radsec"}
	}
	w.begin(s, "listen.%s", strings.Join(services, ", listen."))
	for _, service := range services {
		n := uint16(port)
		if n == 0 {
			n = map[string]uint16{"auth": 1812, "acct": 1813, "tcp": defaultPorts[does], "radsec": tlsPort}[service]
		}
		at := netip.AddrPortFrom(addr, n).String()
		if !seen[service+at] {
			seen[service+at] = true
			w.config.Main.Map("listen").List(service).Value(at, from(s.Pos))
		}
	}
	w.each(s, "", func(p *Pair) {
		switch p.Name {
		case "type", "ipaddr", "ipv4addr", "ipv6addr", "port", "proto":
			w.mapped(s, p, "listen")
		case "clients":
			w.mapped(s, p, "one list of clients for all sockets")
		case "virtual_server":
			w.mapped(s, p, "the hub")
		case "interface":
			w.left(s, p, "a socket is bound to an address, not to an interface")
		case "proxy_protocol":
			if yes, err := boolean(s, p.Name, false); err == nil && !yes {
				w.mapped(s, p, "the hub does not speak it")
				return
			}
			w.left(s, p, "the hub sees the addresses of connections, and does not speak the PROXY protocol")
		case "recv_buff", "nonblock", "check_client_connections", "max_pps":
			w.left(s, p, "the hub has nothing to set there")
		default:
			w.left(s, p, "not known")
		}
	})
	for _, i := range s.Items {
		switch sub := i.Section; {
		case sub == nil:
		case sub.Name == "limit" && (by != overUDP || sub.Pair("max_pps") == nil):
			w.limits(s.Title()+"/limit", sub, by)
		case sub.Name == "tls":
			w.trust(cmp.Or(l.list(), "radsec"), s.Title(), sub)
		default:
			w.refuse(sub, "the hub has nothing to set there")
		}
	}
}

// top maps what radiusd.conf says of requests as such.
func (w *writer) top() {
	root := w.Tree.Root
	for _, p := range []*Pair{root.Pair("max_request_time"), root.Pair("proxy_requests")} {
		if p != nil {
			w.report.Map(p.Pos, p.Name, "%s", map[string]string{"max_request_time": "timers: mrd of the pools is no longer", "proxy_requests": "the hub proxies"}[p.Name])
		}
	}
	if p := root.Pair("cleanup_delay"); p != nil {
		n, err := integer(root, "cleanup_delay", 5)
		if err != nil {
			w.report.Leave(p.Pos, p.Name, "no number")
			return
		}
		n = clamp(n, 5, 30)
		w.config.Main.Map("duplicates").Set("keep", time.Duration(n)*time.Second, at(p))
		w.report.Map(p.Pos, p.Name, "duplicates.keep, from 5s to 30s")
	}
}
