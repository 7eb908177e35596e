package freeradius

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// mainFile writes roamgate.yaml: where the hub listens, and what the top of
// radiusd.conf says that it has too.
func (w *writer) mainFile() {
	type listener struct {
		s    *Section
		host *Section // nil: at the top
	}
	var all []listener
	for _, s := range w.Tree.Root.Subs("listen") {
		all = append(all, listener{s, nil})
	}
	for _, v := range w.Tree.Root.Subs("server") {
		hears := slices.ContainsFunc(w.Hosts, func(h *Host) bool { return h.Section == v })
		for _, s := range v.Subs("listen") {
			if hears {
				all = append(all, listener{s, v})
			} else {
				w.report.Note(s.Pos, "local-server", "the virtual server %s authenticates what comes out of a tunnel: a hub has no users of its own", v.Second)
			}
		}
	}
	seen := map[string]bool{}
	for _, l := range all {
		w.listen(l.s, seen)
	}
	w.top()
}

// listen maps one listener.
func (w *writer) listen(s *Section, seen map[string]bool) {
	kind, _ := s.Text("type")
	services := map[string][]string{"auth": {"auth"}, "acct": {"acct"}, "auth+acct": {"auth", "acct"}}[kind]
	proto, hasProto := s.Text("proto")
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
	case hasProto && proto != "udp" || s.Sub("tls") != nil:
		w.refuse(s, needsTLS)
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
	w.begin(s, "listen.%s", strings.Join(services, ", listen."))
	for _, service := range services {
		n := uint16(port)
		if n == 0 {
			n = map[string]uint16{"auth": 1812, "acct": 1813}[service]
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
		case "recv_buff", "nonblock", "check_client_connections", "max_pps":
			w.left(s, p, "the hub has nothing to set there")
		default:
			w.left(s, p, "not known")
		}
	})
	for _, i := range s.Items {
		switch sub := i.Section; {
		case sub == nil:
		case sub.Name == "limit" && sub.Pair("max_pps") == nil:
			w.accept(s.Title()+"/limit", sub, onlyTCP)
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
