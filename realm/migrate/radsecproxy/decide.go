package radsecproxy

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/roamgate/roamgate/realm/migrate"
)

// Decide says what the original does with a request. It implements
// migrate.Original: all servers count as well and connected.
func (c *Config) Decide(q migrate.Request) (migrate.Decision, error) {
	from, err := c.from(q.Client)
	if err != nil {
		return migrate.Decision{}, err
	}
	name := from.rename([]byte(q.Name))
	d := migrate.Decision{Outcome: migrate.Silent, Ordered: true, User: string(name), Why: "no realm matches"}
	for _, r := range c.realms {
		if r.expr != nil && r.expr.Match(name) {
			c.decide(&d, r, from, q.Accounting)
			break
		}
	}
	return d, nil
}

func (c *Config) decide(d *migrate.Decision, r *realmConf, from *client, accounting bool) {
	d.Pos, d.Why = r.pos, "realm "+r.name
	servers, answers := r.servers, r.get("accountingresponse")
	if accounting {
		servers = r.acct
	}
	switch {
	case len(servers) > 0 && c.prevented(from, servers[0]):
		d.Why += ", but the client and the server have one name"
	case len(servers) > 0:
		d.Outcome = migrate.Forwarded
		for _, s := range servers {
			if s.found() {
				d.Homes = append(d.Homes, migrate.Discovered)
			} else {
				d.Homes = append(d.Homes, s.hosts[0].String())
			}
		}
	case !accounting && r.get("replymessage") != nil:
		d.Outcome = migrate.Rejected
	case accounting && answers != nil && answers.on:
		d.Outcome = migrate.Local
	}
}

// from finds a client by its name or by an address, as the original does for
// requests over UDP.
func (c *Config) from(who string) (*client, error) {
	if who == "" {
		return c.clients[0], nil
	}
	addr, err := netip.ParseAddr(who)
	for _, p := range c.clients {
		if p.name == who || err == nil && p.transport == udp && p.has(addr.Unmap()) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("client %s is not in %s", who, c.path)
}

// has reports whether requests from an address are the client's.
func (p *client) has(a netip.Addr) bool {
	for _, h := range p.hosts {
		if prefix, ok := h.prefix(); ok && prefix.Contains(a) {
			return true
		}
	}
	return false
}

// prefix is what a host of a client stands for, false for a name.
func (h *host) prefix() (netip.Prefix, bool) {
	if !h.addr.IsValid() {
		return netip.Prefix{}, false
	}
	a := h.addr.Unmap()
	bits := a.BitLen()
	if h.bits >= 0 {
		bits = min(h.bits, bits)
	}
	return netip.PrefixFrom(a, bits).Masked(), true
}

// String is the address or name with its port.
func (h *host) String() string { return net.JoinHostPort(h.name, h.port) }

// rename does what the client's rewrites do to a User-Name before the realm is
// looked up.
func (p *client) rename(name []byte) []byte {
	if p.in != nil {
		for _, m := range p.in.modify {
			if m.vendor == 0 && m.number == 1 {
				name = m.apply(name)
			}
		}
	}
	if p.user != nil {
		name = p.user.apply(name)
	}
	return name
}

// prevented reports whether the original keeps a request from going back to a
// peer of the same name.
func (c *Config) prevented(from *client, s *server) bool {
	return s.name == from.name && c.preventsLoops(s)
}

func (c *Config) preventsLoops(s *server) bool {
	if o := s.get("loopprevention"); o != nil {
		return o.on
	}
	o := c.main.get("loopprevention")
	return o != nil && o.on
}
