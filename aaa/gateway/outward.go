package gateway

import (
	"github.com/roamgate/roamgate/aaa/translate"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// access sends an Access-Request to the agent. One that goes on with a conversation is
// of its session and goes to its server; what else comes begins one.
func (g *Gateway) access(l *line, p *radius.Packet) {
	x := g.terms()
	x.Application = translate.ApplicationOf(l.application, p)
	if x.Application == diameter.AppSTa || x.Application == diameter.AppSWm {
		x.Network = g.networkOf(p)
	}
	var name []byte
	x.DestinationRealm, name = translate.Destination(g.moved[:0], p, g.conf.Realm)
	id, state, known := g.tr.State(p)
	var s *session
	if known {
		s, x.State = g.sessions.get(id), state
		if s != nil {
			x.DestinationHost = host(s)
			if len(state) == 0 {
				x.State = s.state
			}
		}
	} else {
		if p.Has(radius.State) {
			g.translated(toDiameter, translate.BadState)
			g.reject(l, p, translate.BadState.Result())
			return
		}
		if g.at.Low++; g.at.Low == 0 {
			g.at.High++
		}
		id = g.at
	}
	fresh := s == nil
	if fresh {
		if s = g.sessions.begin(id, g.now, g.wall); s == nil {
			g.count(g.ctr.sessions)
			g.reject(l, p, diameter.ResultTooBusy)
			return
		}
	}
	refused := func(result uint32) {
		if fresh {
			g.sessions.end(s)
		}
		g.reject(l, p, result)
	}
	number, ex := g.begin(asksDiameter, p.Bytes())
	if ex == nil {
		refused(diameter.ResultTooBusy)
		return
	}
	g.name = g.tr.Name(g.name[:0], id)
	x.Session, x.HopByHop = g.name, number
	ex.session = g.sessions.hash(g.name)
	ex.line, ex.id, ex.named, ex.application, ex.endToEnd, ex.command = l.number, id, true, x.Application, x.EndToEnd, diameter.AA
	if p.Has(radius.EAPMessage) {
		ex.command = diameter.EAP
	}
	b, why := g.tr.Access(g.room, p, name, &x)
	if g.translated(toDiameter, why); why != translate.OK {
		g.done(number)
		refused(why.Result())
		return
	}
	s.side, s.application = l.home, x.Application
	s.realm, s.user = append(s.realm[:0], x.DestinationRealm...), append(s.user[:0], name...)
	g.sessions.learn(s, p)
	if !g.ask(number, b) {
		refused(diameter.ResultTooBusy)
	}
}

func host(s *session) []byte {
	if len(s.host) == 0 {
		return nil
	}
	return s.host
}

// ask sends a request to the agent; false: it takes too little. A record is then as if it
// was lost: it has no answer, and comes again.
func (g *Gateway) ask(number uint32, b []byte) bool {
	if !g.wire.send(b) {
		g.count(g.ctr.stalled)
		g.done(number)
		return false
	}
	g.count(g.ctr.requests[toDiameter])
	return true
}

// reject answers a request that goes nowhere, with the Error-Cause of a result: a NAS is
// not left without an answer, and a record that never will go is not sent again.
func (g *Gateway) reject(l *line, p *radius.Packet, result uint32) {
	var m diameter.Message
	room := g.room
	g.w.Begin(room, &diameter.Header{Command: diameter.AA})
	g.w.Uint32(diameter.ResultCode, 0, diameter.AVPMandatory, result)
	m.Parse(g.w.Finish())
	if b, _, why := g.tr.Reply(g.small, &m, &translate.Asked{Packet: p}); why == translate.OK && b != nil {
		g.say(l, b)
	}
}

// say sends a packet to the hub.
func (g *Gateway) say(l *line, b []byte) {
	if !l.hub.send(b) {
		g.count(g.ctr.stalled)
	}
}

// account sends an Accounting-Request to the agent: under the Session-Id of the session
// that granted it, as its Class says, else under one that all records of the session
// lead to.
func (g *Gateway) account(l *line, p *radius.Packet) {
	if translate.Restarts(p) {
		g.restart(l, p)
		return
	}
	x := g.terms()
	x.Application = diameter.AppAccounting
	var name []byte
	x.DestinationRealm, name = translate.Destination(g.moved[:0], p, g.conf.Realm)
	id, known := g.tr.Class(p)
	var s *session
	if known {
		g.name = g.tr.Name(g.name[:0], id)
		if s = g.sessions.get(id); s != nil && len(x.DestinationRealm) == 0 {
			x.DestinationRealm = s.realm
		}
	} else {
		var ok bool
		if g.name, ok = g.tr.Sessions.Accounting(g.name[:0], p); !ok {
			g.translated(toDiameter, translate.NoName)
			g.reject(l, p, translate.NoName.Result())
			return
		}
	}
	x.Session = g.name
	number, ex := g.begin(asksDiameter, p.Bytes())
	if ex == nil {
		return
	}
	x.HopByHop = number
	ex.session = g.sessions.hash(g.name)
	ex.line, ex.id, ex.named, ex.application, ex.endToEnd, ex.command = l.number, id, known, x.Application, x.EndToEnd, diameter.Accounting
	b, why := g.tr.Accounting(g.room, p, name, &x)
	if g.translated(toDiameter, why); why != translate.OK {
		g.done(number)
		g.reject(l, p, diameter.ResultInvalidAVPValue)
		return
	}
	if s != nil {
		g.sessions.learn(s, p)
		s.live, s.expires, s.ended = true, g.now+living, 0
	}
	g.ask(number, b)
}

// answered takes an answer of the agent.
func (g *Gateway) answered(m *diameter.Message) {
	ex := g.exchanges.find(m.HopByHop)
	if ex == nil || ex.endToEnd != m.EndToEnd || ex.command != m.Command {
		g.count(g.ctr.late)
		return
	}
	number, other := m.HopByHop, g.otherSession(ex, m)
	switch {
	case ex.purpose == closes:
		g.done(number)
		return
	case ex.purpose == loses:
		result, _ := m.Uint32(diameter.KnownResultCode)
		if other {
			result = 0
		}
		g.lost(number, ex, result)
		return
	case ex.purpose != asksDiameter:
		g.count(g.ctr.late)
		return
	}
	l := g.lines[ex.line]
	if g.was.Parse(ex.raw) != radius.OK {
		g.done(number)
		return
	}
	p := &g.was
	code := p.Code()
	dynamic := code == radius.CoARequest || code == radius.DisconnectRequest
	switch {
	case other:
		if s := g.sessions.get(ex.id); ex.named && s != nil && !s.live {
			g.sessions.end(s)
		}
		g.done(number)
		if l == nil {
			g.count(g.ctr.orphans)
		} else if dynamic {
			g.deny(l, p, translate.OtherSession)
		} else {
			g.reject(l, p, translate.OtherSession.Result())
		}
		return
	case dynamic:
		g.dynamicAnswered(l, number, m, p)
		return
	}
	b, out, why := g.tr.Reply(g.small, m, &translate.Asked{Packet: p, Session: ex.id, Named: ex.named, Application: ex.application, Room: g.sessions.room()})
	g.translated(toDiameter, why)
	g.outcome(ex, m, p, &out, why)
	if b == nil {
		g.done(number)
		return
	}
	g.count(g.ctr.answers[toDiameter])
	if l == nil {
		g.count(g.ctr.orphans)
	} else {
		g.say(l, b)
	}
	g.done(number)
}

// otherSession reports whether an answer speaks of another session than its request (RFC
// 6733 section 8.8): it says nothing of ours. An agent's error may name none.
func (g *Gateway) otherSession(ex *exchange, m *diameter.Message) bool {
	v := m.Value(diameter.KnownSessionID)
	if len(v) == 0 || g.sessions.hash(v) == ex.session {
		return false
	}
	g.translated(toDiameter, translate.OtherSession)
	return true
}

// outcome keeps what an answer says of its session.
func (g *Gateway) outcome(ex *exchange, m *diameter.Message, p *radius.Packet, out *translate.Outcome, why translate.Reason) {
	if !ex.named {
		return
	}
	s := g.sessions.get(ex.id)
	if s == nil {
		return
	}
	switch out.Code {
	case radius.AccessChallenge:
		g.met(s, m)
		g.sessions.keep(s, out.State)
		s.expires = max(s.expires, g.now+beginning)
	case radius.AccessAccept:
		g.met(s, m)
		g.sessions.keep(s, out.State)
		s.live, s.stateful, s.expires = true, out.Stateful, g.now+living
	case radius.AccountingResponse:
		v, _ := p.Uint32(radius.AcctStatusType)
		if s.counted = v != statusStop; v != statusStop {
			return
		}
		cause, _ := p.Uint32(radius.AcctTerminateCause)
		g.terminate(s, cause)
	case radius.AccessReject:
		if why != translate.OK && out.Stateful && out.Result/1000 == 2 {
			g.met(s, m)
			s.stateful = true // the home has granted what could not be passed on
			g.terminate(s, 0)
			return
		}
		if !s.live {
			g.sessions.end(s)
		}
	}
}

const statusStop = 2

// met keeps who the server of a session is.
func (g *Gateway) met(s *session, m *diameter.Message) {
	if v := m.Value(diameter.KnownOriginHost); len(v) > 0 {
		s.host = append(s.host[:0], v...)
	}
	if v := m.Value(diameter.KnownOriginRealm); len(v) > 0 {
		s.origin = append(s.origin[:0], v...)
	}
}

// terminate tells the home that a session has ended, where it keeps it, and forgets it
// (RFC 4005 section 9.1).
func (g *Gateway) terminate(s *session, cause uint32) {
	g.tell(s, cause)
	g.sessions.end(s)
}

// tell tells the home of a session that it has ended; false: there was no room for that.
func (g *Gateway) tell(s *session, cause uint32) bool {
	if !s.stateful {
		return true
	}
	x := g.terms()
	x.Application, x.DestinationRealm, x.DestinationHost = s.application, s.realm, host(s)
	g.name = g.tr.Name(g.name[:0], s.id)
	x.Session = g.name
	number, ex := g.begin(closes, nil)
	if ex == nil {
		return false
	}
	ex.endToEnd, ex.command, ex.session = x.EndToEnd, diameter.SessionTermination, g.sessions.hash(g.name)
	x.HopByHop = number
	b, why := g.tr.Termination(g.room, s.user, cause, &x)
	if g.translated(toDiameter, why); why != translate.OK {
		g.done(number)
		return true
	}
	return g.ask(number, b)
}
