package dynauth

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/roamgate/roamgate/pkg/radius"
)

// aim is what a request says of where it goes.
type aim struct {
	operator []byte // value of the one Operator-Name, nil: none
	token    []byte // value of the one Operator-NAS-Identifier
	hasToken bool
}

// route decides where a request goes and whether it may: loops, the way by
// Operator-Name or session, then the reverse-path check (RFC 8559 sections 3.2
// and 4.3.1). No attribute is mandatory for it (section 4.3.2), but what it
// uses must be readable.
func (m *Machine) route(ex *exchange, p *radius.Packet, now Clock) Reason {
	if m.looped(p) {
		return Loop
	}
	a, why := aimOf(p)
	if why != OK {
		return why
	}
	if control(p) {
		return Administrative
	}
	var s Session
	s.Read(p)
	if a.hasToken || a.operator != nil {
		s.NAS = nil // it is the operator's name for it, and not what we know it by
	}
	m.found = m.book.Find(m.found[:0], &s)
	clients, why := m.clients(ex.sender, &a, len(s.Station) > 0)
	if why != OK {
		return why
	}
	if clients, why = m.edge(clients, &a); why != OK {
		return why
	}
	shown := p.Has(radius.UserName)
	if shown {
		if clients, shown = m.reverse(ex.sender, clients, p, now); len(clients) == 0 {
			return ReversePath
		}
	}
	ex.clients, why = clients, m.session(ex.sender, clients, shown)
	return why
}

// reverse keeps the clients whose requests for the user would go to the sender.
// Where only a 3GPP-IMSI beside the name says so, nothing is shown: anybody can
// write a number of its own beside the name of another's user.
func (m *Machine) reverse(s *Sender, cs []*Client, p *radius.Packet, now Clock) (kept []*Client, shown bool) {
	number, claimed := p.Vendor(radius.Vendor3GPP, imsi)
	for _, by := range [...][]byte{nil, number} {
		for _, c := range cs {
			if m.table.reverse(s, c, p, by, now) {
				kept = append(kept, c)
			}
		}
		if len(kept) > 0 || !claimed {
			return kept, by == nil
		}
	}
	return nil, false
}

// renamed tries the request with the names that its user may have at the
// client, where a route gives users another one toward their home. What is sent
// on is what the NAS knows.
func (m *Machine) renamed(ex *exchange, p *radius.Packet, why Reason, now Clock) Reason {
	name, ok := p.First(radius.UserName)
	if !ok {
		return why
	}
	m.table.original(ex.sender, name, func(name []byte) bool {
		n := copy(m.scratch[:], p.Bytes()[:radius.HeaderLen])
		for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
			raw := a.Raw
			if a.Type == radius.UserName {
				raw = append([]byte{byte(radius.UserName), byte(2 + len(name))}, name...)
			}
			if n+len(raw) > len(m.scratch) {
				return true
			}
			n += copy(m.scratch[n:], raw)
		}
		binary.BigEndian.PutUint16(m.scratch[2:], uint16(n))
		if m.changed.Parse(m.scratch[:n]) != radius.OK || m.route(ex, &m.changed, now) != OK {
			return false
		}
		ex.request = append(ex.request[:0], m.scratch[:n]...)
		why = OK
		return true
	})
	return why
}

// looped reports whether a request has been here or through too many hops.
func (m *Machine) looped(p *radius.Packet) bool {
	n := 0
	for a, off, ok := p.Next(p.From(radius.ProxyState)); ok; a, off, ok = p.Next(off) {
		if a.Type != radius.ProxyState {
			continue
		}
		if n++; n > m.table.mostPS || m.own(a.Value()) {
			return true
		}
	}
	return false
}

// aimOf reads Operator-Name and Operator-NAS-Identifier, of which there may be
// one each (RFC 5580 section 4.1, RFC 8559 section 3.4).
func aimOf(p *radius.Packet) (a aim, why Reason) {
	if p.Count(radius.OperatorName) > 1 || p.Count(radius.UserName) > 1 {
		return a, Invalid
	}
	if v, ok := p.First(radius.OperatorName); ok {
		if len(v) < 2 {
			return a, Invalid
		}
		a.operator = v
	}
	for at, off, ok := p.Next(p.From(radius.ExtendedAttribute1)); ok; at, off, ok = p.Next(off) {
		if !isToken(at) {
			continue
		}
		if a.hasToken {
			return a, Invalid
		}
		a.token, a.hasToken = at.Raw[3:], true
	}
	return a, OK
}

func isToken(a radius.Attr) bool {
	return a.Type == radius.ExtendedAttribute1 && len(a.Raw) >= 3 && a.Raw[2] == OperatorNASIdentifier
}

// Service-Type values that would hand out control of the visited network's
// equipment (RFC 2865 section 5.6).
func control(p *radius.Packet) bool {
	for a, off, ok := p.Next(p.From(radius.ServiceType)); ok; a, off, ok = p.Next(off) {
		if v := a.Value(); a.Type == radius.ServiceType && len(v) == 4 && bytes.Equal(v[:3], []byte{0, 0, 0}) {
			switch v[3] {
			case 6, 7, 9, 11: // Administrative, NAS-Prompt and their callback forms
				return true
			}
		}
	}
	return false
}

// clients are the ways: by Operator-Name, those that serve the session first;
// else by the session alone.
func (m *Machine) clients(s *Sender, a *aim, oneDevice bool) ([]*Client, Reason) {
	if a.operator == nil {
		return m.bySession(s, oneDevice)
	}
	cs := slices.Clone(m.table.Reached(a.operator))
	if len(cs) == 0 {
		return nil, NoRoute
	}
	slices.SortStableFunc(cs, func(x, y *Client) int { return m.rank(x) - m.rank(y) })
	return cs, OK
}

// rank is 0 for a client that has a session the request may mean.
func (m *Machine) rank(c *Client) int {
	for _, f := range m.found {
		if f.Client == c.Name && !f.Other && !f.Ended {
			return 0
		}
	}
	return 1
}

// bySession finds the one client that has the session.
func (m *Machine) bySession(s *Sender, oneDevice bool) ([]*Client, Reason) {
	why, at, several := NoSession, (*Found)(nil), false
	for i := range m.found {
		f := &m.found[i]
		switch {
		case f.Other:
			if why == NoSession && f.Named {
				why = OtherSession
			}
		case f.Ended:
			why = Ended
		case at == nil || f.Accepted && !at.Accepted:
			// What only a visited network says of a session takes no request
			// away from where the home has let it in.
			at, several = f, false
		case f.Client == at.Client || at.Accepted && !f.Accepted:
		case f.At > at.At:
			at, several = f, true // the device has moved
		default:
			several = true
		}
	}
	if several && !oneDevice {
		return nil, Ambiguous
	}
	if at == nil {
		return nil, why
	}
	c := m.table.byName[at.Client]
	if c == nil {
		return nil, NoRoute
	}
	return []*Client{c}, OK
}

// edge keeps, of clients that are NASes themselves, the one that the
// Operator-NAS-Identifier means. One that this operator's key has not made is
// answered so (RFC 8559 section 4.2); one that is not ours to read goes on to
// whoever can.
func (m *Machine) edge(cs []*Client, a *aim) ([]*Client, Reason) {
	if !slices.ContainsFunc(cs, func(c *Client) bool { return c.Spec.HideNAS }) {
		return cs, OK
	}
	if a.hasToken {
		mark, _, ok := m.sealer.Open(a.token, a.operator)
		kept := slices.DeleteFunc(slices.Clone(cs), func(c *Client) bool { return c.Spec.HideNAS && (!ok || c.Mark != mark) })
		if len(kept) == 0 {
			return nil, UnknownNAS
		}
		if ok && slices.ContainsFunc(kept, func(c *Client) bool { return c.Spec.HideNAS }) {
			kept = slices.DeleteFunc(kept, func(c *Client) bool { return !c.Spec.HideNAS })
		}
		return kept, OK
	}
	kept := slices.DeleteFunc(slices.Clone(cs), func(c *Client) bool { return c.Spec.HideNAS && m.rank(c) != 0 })
	if len(kept) == 0 {
		return nil, UnknownNAS
	}
	return kept, OK
}

// session judges what is known of the session that the request means: it must
// not be over, nor somebody else's, at the client where the request goes. Where
// no User-Name has shown that the sender may speak of it, the session must.
func (m *Machine) session(s *Sender, cs []*Client, shown bool) Reason {
	why := OK
	if !shown {
		why = ReversePath
	}
	foreign := m.foreign(s, cs, shown)
	if foreign {
		why = OtherSession
	}
	for i := range m.found {
		f := &m.found[i]
		here := at(cs, f)
		switch {
		case f.Other && f.Named && here, !f.Other && !f.Ended && f.Named && f.Accepted && !here:
			why = OtherSession // another's at this client, or this one elsewhere
		case f.Other || !here:
		case f.Ended:
			if why != OtherSession {
				why = Ended
			}
		case foreign && !f.Accepted:
			// What a visited network says of a session gives no other home a
			// right to it.
		case shown || m.belongs(s, f):
			return OK
		default:
			why = OtherSession
		}
	}
	return why
}

// foreign reports whether the Acct-Session-Id, device or CUI of the request is
// that of a session which another home has let in and which the sender does not
// serve: a User-Name of its own gives it no right to that one.
func (m *Machine) foreign(s *Sender, cs []*Client, shown bool) bool {
	var own, other uint32
	for i := range m.found {
		switch f := &m.found[i]; {
		case f.Ended || !f.Accepted || !at(cs, f):
		case m.belongs(s, f):
			own = max(own, f.At+1)
		case f.Other || !shown:
			other = max(other, f.At+1)
		}
	}
	return other > own
}

func at(cs []*Client, f *Found) bool {
	return slices.ContainsFunc(cs, func(c *Client) bool { return c.Name == f.Client })
}

// belongs reports whether the session is one that the sender's homes serve.
func (m *Machine) belongs(s *Sender, f *Found) bool {
	return m.table.servesNamed(s, f.Auth) || m.table.servesNamed(s, f.Acct)
}
