package gateway

import (
	"github.com/roamgate/roamgate/aaa/translate"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// intoDynamic sends what a home of Diameter asks of a session to the hub, by a
// connection over which it takes requests of homes (RFC 4005 section 9.1.1).
func (g *Gateway) intoDynamic(m *diameter.Message) {
	id, ok := g.tr.Read(m.Value(diameter.KnownSessionID))
	s := g.sessions.get(id)
	if !ok || s == nil || !s.live || !s.homeIs(m.Value(diameter.KnownOriginRealm)) {
		g.refuse(m, diameter.ResultUnknownSessionID, nil)
		return
	}
	lines := g.homes[s.side]
	if len(lines) == 0 {
		g.refuse(m, diameter.ResultUnableToDeliver, nil)
		return
	}
	number, ex := g.begin(asksRADIUS, m.Raw)
	if ex == nil {
		g.refuse(m, diameter.ResultTooBusy, nil)
		return
	}
	l := lines[int(number)%len(lines)]
	ex.line = l.number
	b, why := g.tr.IntoDynamic(g.small, m, id, s.attrs, number)
	if g.translated(toRADIUS, why); why != translate.OK {
		g.done(number)
		g.refuse(m, why.Result(), nil)
		return
	}
	if !l.hub.send(b) {
		g.count(g.ctr.stalled)
		g.done(number)
		g.refuse(m, diameter.ResultTooBusy, nil)
		return
	}
	g.count(g.ctr.requests[toRADIUS])
}

// homeIs reports whether a realm is that of the home of a session. Numbers of sessions
// can be guessed, and a request to the gateway has no route that says who may ask; the
// agent has seen to it that its peer speaks for the realm.
func (s *session) homeIs(rlm []byte) bool {
	return diameter.SameIdentity(rlm, s.origin) || diameter.SameIdentity(rlm, s.realm)
}

// dynamic sends what a RADIUS home asks of the session of a Diameter NAS to the agent.
func (g *Gateway) dynamic(l *line, p *radius.Packet) {
	acct, _ := p.First(radius.AcctSessionID)
	s := g.sessions.find(l.peer, acct)
	if s == nil || l.peer == "" {
		g.deny(l, p, translate.BadState)
		return
	}
	number, ex := g.begin(asksDiameter, p.Bytes())
	if ex == nil {
		g.deny(l, p, translate.NoRoom)
		return
	}
	x := g.terms()
	x.Application, x.Session, x.DestinationHost, x.DestinationRealm, x.HopByHop = s.application, s.name, s.host, s.realm, number
	if x.Application == 0 {
		x.Application = diameter.AppNASREQ
	}
	x.State, _ = p.First(radius.State)
	ex.line, ex.application, ex.endToEnd, ex.session = l.number, x.Application, x.EndToEnd, g.sessions.hash(s.name)
	if ex.command = diameter.ReAuth; p.Code() == radius.DisconnectRequest {
		ex.command = diameter.AbortSession
	}
	b, why := g.tr.Dynamic(g.room, p, &x)
	if g.translated(toDiameter, why); why != translate.OK {
		g.done(number)
		g.deny(l, p, why)
		return
	}
	if !g.wire.send(b) {
		g.count(g.ctr.stalled)
		g.done(number)
		g.deny(l, p, translate.NoRoom)
		return
	}
	g.count(g.ctr.requests[toDiameter])
}

// deny answers a CoA-Request or Disconnect-Request that goes nowhere.
func (g *Gateway) deny(l *line, p *radius.Packet, why translate.Reason) {
	if b, bad := g.tr.Refuse(g.small, p, why); bad == translate.OK {
		g.say(l, b)
	}
}

// dynamicAnswered gives the hub the answer of a Diameter NAS.
func (g *Gateway) dynamicAnswered(l *line, number uint32, m *diameter.Message, p *radius.Packet) {
	b, why := g.tr.DynamicReply(g.small, m, p)
	g.translated(toDiameter, why)
	g.done(number)
	switch {
	case why != translate.OK:
	case l == nil:
		g.count(g.ctr.orphans)
	default:
		g.count(g.ctr.answers[toDiameter])
		g.say(l, b)
	}
}
