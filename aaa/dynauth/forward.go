package dynauth

import (
	"encoding/binary"
	"slices"

	"github.com/roamgate/roamgate/pkg/radius"
)

// forward sends a request on for the first time.
func (m *Machine) forward(ex *exchange, now Clock) {
	why := m.choose(ex, now.Now)
	if why == OK {
		m.pending++
		m.shares[ex.sender.Spec.Name].pending++
		why = m.write(ex)
	}
	if why != OK {
		m.refuse(ex, why, now)
		return
	}
	m.send(ex, Forwarded, now)
}

// move sends a request by another connection. Where there is none it stays, and
// is answered without the client if its connection is gone.
func (m *Machine) move(ex *exchange, now Clock) {
	old, id := ex.link, ex.outID
	why := m.choose(ex, now.Now)
	switch {
	case why == OK:
		old.release(id)
		ex.sent, ex.rt = 0, 0
		if why = m.write(ex); why == OK {
			m.send(ex, Moved, now)
			return
		}
		m.refuse(ex, why, now)
	case !slices.Contains(m.links[old.client.Name], old):
		m.refuse(ex, why, now)
	default:
		ex.first = now.Now // there is no other to wait for
	}
}

// send transmits and sets the timer of what comes next.
func (m *Machine) send(ex *exchange, kind int, now Clock) {
	ex.link.conn.Send(ex.out)
	ex.link.sent(now.Now)
	ex.sentAt = now.Now
	if ex.sent == 0 {
		ex.first = now.Now
	}
	ex.sent++
	ex.rt = backoff(ex.rt)
	due := min(now.Now+ex.rt, ex.began+mrd)
	if end := ex.first + watchdog; end > now.Now {
		due = min(due, end)
	}
	m.timers.set(ex, due)
	m.note(Event{Kind: kind, Code: radius.Code(ex.out[0]), Home: ex.sender.Spec.Name, Client: ex.client.Spec.Name})
}

// expired repeats a request, moves it to another connection when this one has
// been silent for long, and gives up in the end.
func (m *Machine) expired(ex *exchange, now Clock) {
	switch {
	case ex.link == nil:
	case now.Now-ex.began >= mrd:
		m.refuse(ex, Silent, now)
	case now.Now-ex.first >= watchdog:
		link := ex.link
		m.move(ex, now)
		if ex.link == link {
			m.wait(ex, now)
		}
	case now.Now-ex.sentAt >= ex.rt && ex.repeats():
		m.send(ex, Retransmitted, now)
	default:
		m.wait(ex, now)
	}
}

// repeats reports whether there is another transmission by the same connection.
func (ex *exchange) repeats() bool { return ex.sent < mrc && !ex.link.conn.Reliable() }

// wait sets the timer again where nothing was sent.
func (m *Machine) wait(ex *exchange, now Clock) {
	due := ex.began + mrd
	if ex.repeats() {
		due = min(due, max(ex.sentAt+ex.rt, now.Now+1))
	}
	if end := ex.first + watchdog; end > now.Now {
		due = min(due, end)
	}
	m.timers.set(ex, due)
}

// write builds what the client of ex.link gets. The octets are kept: what is
// hidden gets new salts each time, and a repetition must be the same.
func (m *Machine) write(ex *exchange) Reason {
	if m.request.Parse(ex.request) != radius.OK {
		panic("dynauth: kept request no longer parses")
	}
	c := ex.link.client
	ex.client = c
	p, why := m.filter(FromHome, &m.request, ex, c)
	if why != OK {
		return why
	}
	if c.Spec.HideNAS {
		if p, why = m.arrive(p); why != OK {
			return why
		}
	}
	if p, why = m.filter(ToClient, p, ex, c); why != OK {
		return why
	}
	ex.secret = ex.link.secret()
	id := ex.outID
	if ex.secret.IsClear() {
		radius.PutToken(&ex.outAuth, ex.link.token(id))
		id = 0
	}
	if m.crypt.ForwardRequest(&m.w, m.out[:], p, id, &ex.outAuth, ex.sender.Secret, ex.secret, m.mark()) != radius.OK {
		return TooLong
	}
	b := m.w.SignAccounting(m.crypt, ex.secret)
	ex.out = append(ex.out[:0], b...)
	ex.outAuth = [16]byte(b[4:])
	return OK
}

// filter runs the filters of one step.
func (m *Machine) filter(step Step, p *radius.Packet, ex *exchange, c *Client) (*radius.Packet, Reason) {
	if m.conf.Filter == nil {
		return p, OK
	}
	buf := &m.scratch
	if step == ToClient || step == ToHome {
		buf = &m.spare
	}
	b, ok := m.conf.Filter(step, buf[:], p, ex.sender.Spec, c.Spec)
	switch {
	case !ok:
		return p, Filtered
	case b == nil:
		return p, OK
	}
	if m.changed.Parse(b) != radius.OK {
		return p, Filtered
	}
	return &m.changed, OK
}

// arrive makes of a request what the NAS itself gets: Operator-Name and
// Operator-NAS-Identifier are for those in between, and the NAS is called again
// what it calls itself (RFC 8559 section 4.2).
func (m *Machine) arrive(p *radius.Packet) (*radius.Packet, Reason) {
	operator, _ := p.First(radius.OperatorName)
	drop := NASTypes()
	drop.Set(radius.OperatorName)
	var own []byte
	n := copy(m.out[:], p.Bytes()[:radius.HeaderLen])
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		switch {
		case isToken(a):
			_, attributes, ok := m.sealer.Open(a.Raw[3:], operator)
			if !ok {
				return p, UnknownNAS
			}
			own = attributes
		case !drop.Has(a.Type):
			n += copy(m.out[n:], a.Raw)
		}
	}
	if n+len(own) > radius.MaxLen {
		return p, TooLong
	}
	n += copy(m.out[n:], own)
	binary.BigEndian.PutUint16(m.out[2:], uint16(n))
	copy(m.scratch[:], m.out[:n])
	if m.changed.Parse(m.scratch[:n]) != radius.OK {
		return p, TooLong
	}
	return &m.changed, OK
}

// Reply takes a datagram that came by a connection.
func (m *Machine) Reply(client string, conn Connection, datagram []byte, now Clock) {
	p := &m.answer
	var l *link
	for _, x := range m.links[m.book.Name("client "+client)] {
		if x.conn == conn {
			l = x
		}
	}
	switch {
	case l == nil:
		m.dropReply(LateReply, client)
		return
	case p.Parse(datagram) != radius.OK:
		m.dropReply(Malformed, client)
		return
	}
	ex := l.asked(p)
	if ex == nil {
		m.dropReply(LateReply, client)
		return
	}
	c := ex.client
	if !answers(radius.Code(ex.out[0]), p.Code()) || !m.crypt.CheckResponse(p, &ex.outAuth, ex.secret) ||
		p.Has(radius.MessageAuthenticator) && !m.crypt.CheckResponseMessageAuthenticator(p, &ex.outAuth, ex.secret) {
		m.dropReply(BadReply, client)
		return
	}
	l.heard(now.Now)
	m.answered(ex, p, c, now)
}

// answers reports whether a code answers a request of the other.
func answers(request, reply radius.Code) bool {
	return reply == request+1 || reply == request+2 || reply == radius.ProtocolError
}

// answered writes the client's answer for the home. A Protocol-Error ends here
// (RFC 7930 section 4), as a NAK that says the same.
func (m *Machine) answered(ex *exchange, p *radius.Packet, c *Client, now Clock) {
	cause, _ := p.Uint32(radius.ErrorCause)
	if m.request.Parse(ex.request) != radius.OK {
		panic("dynauth: kept request no longer parses")
	}
	if p.Code() == radius.ProtocolError {
		if cause == 0 {
			cause = causeProxy
		}
		m.nak(ex, &m.request, cause, OK, now)
		return
	}
	q, why := m.filter(FromClient, p, ex, c)
	if why == OK {
		q, why = m.filter(ToHome, q, ex, c)
	}
	var drop *radius.Drop
	if c.Spec.HideNAS {
		d := NASTypes()
		drop = &d
	}
	if why == OK && m.crypt.ForwardResponse(&m.w, m.out[:], q, ex.identifier(), &ex.outAuth, &ex.auth,
		ex.secret, ex.sender.Secret, m.proxyStates(&m.request), nil, drop) != radius.OK {
		why = TooLong
	}
	if why != OK {
		// What the client has done cannot be told as it was; that it was asked
		// can.
		m.refuse(ex, why, now)
		return
	}
	m.reply(ex, OK, cause, c.Spec.Name, now)
}

func (m *Machine) dropReply(why Reason, client string) {
	m.note(Event{Kind: Dropped, Client: client, Why: why})
}

// ownProxyState is the length of what the hub adds to a request that it sends
// on: a mark, a nonce and a tag that only this process can make.
const (
	ownProxyState = 14
	proxyHead     = 6
)

// mark makes a Proxy-State of our own.
func (m *Machine) mark() []byte {
	m.proxy[0], m.proxy[1] = 'r', 'd'
	m.crypt.Random(m.proxy[2:proxyHead])
	m.tagged(m.proxy[:proxyHead])
	copy(m.proxy[proxyHead:], m.tagOut[:])
	return m.proxy[:]
}

func (m *Machine) tagged(head []byte) {
	clear(m.tagIn[:])
	copy(m.tagIn[:], head)
	m.tag.Encrypt(m.tagOut[:], m.tagIn[:])
}

// own reports whether a Proxy-State is one of this process.
func (m *Machine) own(v []byte) bool {
	if len(v) != ownProxyState || v[0] != 'r' || v[1] != 'd' {
		return false
	}
	m.tagged(v[:proxyHead])
	return string(v[proxyHead:]) == string(m.tagOut[:ownProxyState-proxyHead])
}
