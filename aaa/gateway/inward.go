package gateway

import (
	"github.com/roamgate/roamgate/aaa/translate"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// heard takes a request of the agent.
func (g *Gateway) heard(m *diameter.Message) {
	switch m.Command {
	case diameter.ReAuth, diameter.AbortSession:
		g.intoDynamic(m)
	case diameter.SessionTermination:
		g.ended(m)
	default:
		g.request(m)
	}
}

// clientOf is the client of the peer that has brought a request: the agent writes it
// behind all other Route-Records.
func (g *Gateway) clientOf(m *diameter.Message) (name string, ok bool) {
	var a, last diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		if a.Is(diameter.RouteRecord, 0) {
			last = a
		}
	}
	if name, ok = g.peers[string(last.Data)]; !ok {
		name, ok = g.peers[folded(last.Data)]
	}
	return name, ok
}

// visit gives the connection of a client, which is opened with its first request.
func (g *Gateway) visit(client string) *line {
	if l := g.visits[client]; l != nil {
		return l
	}
	l := g.newLine()
	l.peer = client
	if err := g.hub.Visit(client, l.hub); err != nil {
		return nil
	}
	g.add(l)
	g.visits[client] = l
	return l
}

// request sends an AAR, a DER or an ACR to the hub.
func (g *Gateway) request(m *diameter.Message) {
	client, ok := g.clientOf(m)
	if !ok {
		g.refuse(m, diameter.ResultUnknownPeer, nil)
		return
	}
	l := g.visit(client)
	if l == nil {
		g.refuse(m, diameter.ResultUnableToDeliver, nil)
		return
	}
	number, ex := g.begin(asksRADIUS, m.Raw)
	if ex == nil {
		g.refuse(m, diameter.ResultTooBusy, nil)
		return
	}
	b, why := g.tr.Request(g.small, m, number)
	if g.translated(toRADIUS, why); why != translate.OK {
		g.done(number)
		g.refuse(m, why.Result(), g.tr.Failed)
		return
	}
	if g.packet.Parse(b) != radius.OK {
		g.done(number)
		g.translated(toRADIUS, translate.NoRoom)
		g.refuse(m, diameter.ResultUnableToComply, nil)
		return
	}
	if !g.meet(ex, l, m, &g.packet) {
		g.done(number)
		g.refuse(m, diameter.ResultTooBusy, nil)
		return
	}
	ex.line = l.number
	if !l.hub.send(b) {
		g.count(g.ctr.stalled)
		g.done(number)
		g.refuse(m, diameter.ResultTooBusy, nil)
		return
	}
	g.count(g.ctr.requests[toRADIUS])
}

// meet remembers the session of a Diameter NAS, for what its home may ask of it, and for
// the end of its accounting. False: there are too many.
func (g *Gateway) meet(ex *exchange, l *line, m *diameter.Message, p *radius.Packet) bool {
	acct, ok := p.First(radius.AcctSessionID)
	if !ok {
		return true
	}
	s := g.sessions.meet(l.peer, acct, g.now)
	if s == nil {
		g.count(g.ctr.sessions)
		return false
	}
	ex.key, ex.named = s.key, true
	g.sessions.call(s, m.Value(diameter.KnownSessionID))
	s.host = append(s.host[:0], m.Value(diameter.KnownOriginHost)...)
	s.realm = append(s.realm[:0], m.Value(diameter.KnownOriginRealm)...)
	if m.Command != diameter.Accounting {
		s.application = m.Application
	}
	g.sessions.learn(s, p)
	return true
}

// replied takes an answer of the hub.
func (g *Gateway) replied(l *line, p *radius.Packet) {
	number := radius.Token(p.Authenticator())
	ex := g.exchanges.find(number)
	if ex == nil || ex.line != l.number {
		g.count(g.ctr.late)
		return
	}
	if ex.purpose != asksRADIUS {
		g.count(g.ctr.late)
		return
	}
	m := &g.asked
	m.Parse(ex.raw)
	if m.Command == diameter.SessionTermination {
		g.stopped(number, ex, m, p)
		return
	}
	x := g.terms()
	var b []byte
	var why translate.Reason
	switch {
	case m.Command == diameter.ReAuth || m.Command == diameter.AbortSession:
		b, why = g.tr.DynamicAnswer(g.room, p, m, &x)
	case p.Code() == radius.ProtocolError: // the hub does not serve it
		g.done(number)
		g.refuse(m, diameter.ResultUnableToComply, nil)
		return
	default:
		b, why = g.tr.Answer(g.room, p, m, &x)
	}
	if g.translated(toRADIUS, why); why != translate.OK {
		g.done(number)
		g.refuse(m, diameter.ResultUnableToComply, nil)
		return
	}
	g.granted(ex, m, p)
	var aborted *session
	if p.Code() == radius.DisconnectACK {
		id, _ := g.tr.Read(m.Value(diameter.KnownSessionID))
		aborted = g.sessions.get(id)
	}
	g.done(number)
	g.count(g.ctr.answers[toRADIUS])
	if !g.wire.send(b) {
		g.count(g.ctr.stalled)
	}
	if aborted != nil && !aborted.counted {
		g.terminate(aborted, adminReset) // no record of its end will come (RFC 6733 section 8.5)
	}
}

const adminReset = 6

// granted keeps what an answer says of the session of a Diameter NAS.
func (g *Gateway) granted(ex *exchange, m *diameter.Message, p *radius.Packet) {
	slot, ok := g.sessions.by[ex.key]
	if !ex.named || !ok {
		return
	}
	s := &g.sessions.slots[slot]
	switch p.Code() {
	case radius.AccessAccept:
		s.live, s.expires = true, g.now+living
	case radius.AccessReject:
		if !s.live {
			g.sessions.end(s)
		}
	case radius.AccountingResponse:
		kind, _ := m.Uint32(diameter.KnownRecordType)
		if s.counted = kind == recordStart || kind == recordInterim; !s.counted && s.application == 0 {
			g.sessions.end(s) // nobody will end it by an STR
			return
		}
		s.live, s.expires = true, g.now+living
	}
}

const (
	recordStart   = 2
	recordInterim = 3
)

// ended takes an STR: RADIUS has no such request. Where accounting has begun and was not
// ended, a Stop of ours ends it (RFC 4005 section 9.2), and the STR has its answer when
// that one has.
func (g *Gateway) ended(m *diameter.Message) {
	client, ok := g.clientOf(m)
	if !ok {
		g.refuse(m, diameter.ResultUnknownPeer, nil)
		return
	}
	s := g.sessions.named(client, m.Value(diameter.KnownSessionID))
	switch {
	case s == nil:
		g.refuse(m, diameter.ResultUnknownSessionID, nil)
	case s.counted:
		if result := g.stop(client, s, m); result != diameter.ResultSuccess {
			g.refuse(m, result, nil)
		}
	default:
		g.sessions.end(s)
		g.refuse(m, diameter.ResultSuccess, nil)
	}
}

// stop sends the record that ends the accounting of a session. However often it is asked
// for, it is the same record.
func (g *Gateway) stop(client string, s *session, m *diameter.Message) (result uint32) {
	l := g.visit(client)
	if l == nil {
		return diameter.ResultUnableToDeliver
	}
	number, ex := g.begin(asksRADIUS, m.Raw)
	if ex == nil {
		return diameter.ResultTooBusy
	}
	ex.line, ex.key, ex.named = l.number, s.key, true
	b, why := g.tr.Stop(g.small, m, s.attrs, s.over(g.wall), number)
	if g.translated(toRADIUS, why); why != translate.OK {
		g.done(number)
		return why.Result()
	}
	if !l.hub.send(b) {
		g.count(g.ctr.stalled)
		g.done(number)
		return diameter.ResultTooBusy
	}
	return diameter.ResultSuccess
}

// stopped answers an STR when the record has its answer.
func (g *Gateway) stopped(number uint32, ex *exchange, m *diameter.Message, p *radius.Packet) {
	result := uint32(diameter.ResultUnableToComply)
	if slot, ok := g.sessions.by[ex.key]; p.Code() == radius.AccountingResponse {
		if result = diameter.ResultSuccess; ok {
			g.sessions.end(&g.sessions.slots[slot])
		}
	}
	g.done(number)
	g.refuse(m, result, nil)
}
