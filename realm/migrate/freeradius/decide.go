package freeradius

import (
	"fmt"
	"net/netip"

	"github.com/roamgate/roamgate/realm/migrate"
)

// Decide says what the original does with a request while all home servers
// are well.
func (m *Model) Decide(q migrate.Request) (migrate.Decision, error) {
	h, err := m.hostOf(q.Client)
	if err != nil {
		return migrate.Decision{}, err
	}
	k := Auth
	if q.Accounting {
		k = Acct
	}
	return m.decide(h, k, q.Name)
}

// hostOf finds the virtual server that a client's requests come to.
func (m *Model) hostOf(client string) (*Host, error) {
	if len(m.Hosts) == 0 {
		return nil, fail(m.Tree.Root.Pos, "no virtual server listens for requests")
	}
	var c *Client
	if client != "" {
		if c = m.clientOf(client); c == nil {
			return nil, fmt.Errorf("the original has no client %s", client)
		}
	}
	if c != nil && c.Server != "" {
		for _, h := range m.Hosts {
			if h.Name == c.Server {
				return h, nil
			}
		}
		return &Host{Name: c.Server}, nil // there is none: nothing finds a realm
	}
	return m.Hosts[0], nil
}

// clientOf finds a client by its name, or by the longest prefix of an address.
func (m *Model) clientOf(name string) (best *Client) {
	addr, err := netip.ParseAddr(name)
	for _, c := range m.Clients {
		if err != nil {
			if c.Name == name || c.Section.Second == name {
				return c
			}
			continue
		}
		if c.Prefix.IsValid() && c.Prefix.Contains(addr) && (best == nil || c.Prefix.Bits() > best.Prefix.Bits()) {
			best = c
		}
	}
	return best
}

// walk is what the steps of a section find out.
type walk struct {
	found   *Realm // Proxy-To-Realm
	user    string // Stripped-User-Name, or User-Name
	strip   bool   // there is a Stripped-User-Name
	settled bool   // the request has a Realm
	last    *Realm // that was found, also where it is answered locally
	odd     *Realm // that may or may not be it
}

func (m *Model) decide(h *Host, k Kind, name string) (d migrate.Decision, err error) {
	w := walk{user: name}
	for _, s := range h.Steps[k] {
		if s.instance == nil {
			if why := filtered(name); why != "" {
				return migrate.Decision{Outcome: migrate.Rejected, Why: filterUsername + ": " + why, Pos: s.pos}, nil
			}
			continue
		}
		m.lookup(s.instance, k, &w)
	}
	if w.odd != nil {
		return d, fail(w.odd.Pos, "realm %q is not understood: %v", w.odd.Name, w.odd.Odd)
	}
	d = migrate.Decision{Outcome: migrate.Local, Why: "no realm"}
	if w.last != nil {
		d.Why, d.Pos = "realm "+w.last.Name, w.last.Pos
	}
	if w.found == nil || !m.Proxies {
		return d, nil
	}
	d.Why, d.Pos = "realm "+w.found.Name, w.found.Pos
	pool := w.found.Pools[k]
	if pool == nil {
		return d, nil
	}
	for _, s := range pool.Servers {
		if s.Virtual != "" {
			d.Homes = append(d.Homes, "virtual server "+s.Virtual)
			continue
		}
		d.Homes = append(d.Homes, s.Service(k).String())
	}
	if pool.Servers[0].Virtual != "" {
		return d, nil // answered by another virtual server of the same program
	}
	d.Outcome, d.Ordered, d.User = migrate.Forwarded, pool.Type == "fail-over", name
	if w.found.Strip && w.strip {
		d.User = w.user
	}
	return d, nil
}

// lookup is one call of the realm module.
func (m *Model) lookup(i *Instance, k Kind, w *walk) {
	if w.settled {
		return
	}
	realm, rest, has := i.cut(w.user)
	if !has {
		if i.IgnoreNull {
			return
		}
		realm = nullName
	}
	r := m.find(realm)
	if r == nil || i.IgnoreDefault && r.Name == defaultName {
		return
	}
	if r.Odd != nil {
		w.odd, w.settled = r, true
		return
	}
	if r.Strip {
		w.user, w.strip = rest, true
	}
	w.last = r
	// A name without a realm that an expression matched gets none, and the next
	// module looks again.
	w.settled = has || r.Match == nil
	if r.Pools[k] != nil && w.found == nil {
		w.found = r
	}
}

// The names that stand for a missing and for any other realm.
const (
	nullName    = "NULL"
	localName   = "LOCAL" // what policy names to keep a request here
	defaultName = "DEFAULT"
)

// cut finds the realm in a name.
func (i *Instance) cut(name string) (realm, rest string, has bool) {
	if !i.Prefix {
		rest, realm, has = cutLast(name, i.Delimiter)
		return realm, rest, has
	}
	for at := range len(name) {
		if name[at] == i.Delimiter {
			return name[:at], name[at+1:], true
		}
	}
	return "", name, false
}
