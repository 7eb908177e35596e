package gateway

import (
	"github.com/roamgate/roamgate/aaa/translate"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

const statusOff = 8

// Causes of ends (RFC 2866 section 5.10).
const (
	adminReboot = 7
	nasReboot   = 11
)

// restart ends the sessions of a NAS that has begun anew or is about to end (RFC 2866
// section 5.1). Diameter has no record of that: each session gets its own end. The NAS has
// its answer when all of them have theirs; else it says it again, and the others follow.
func (g *Gateway) restart(l *line, p *radius.Packet) {
	number, ex := g.begin(restarts, p.Bytes())
	if ex == nil {
		return
	}
	ex.line = l.number
	v, _ := p.Uint32(radius.AcctStatusType)
	off, at := v == statusOff, g.restartedAt(p)
	if nas := g.sessions.nasOf(p); nas != 0 {
		for i := range g.sessions.slots {
			s := &g.sessions.slots[i]
			if s.expires != 0 && !s.inward && s.nas == nas && s.live && s.began <= at && !g.lose(s, number, ex, off) {
				ex.failed = true // there is no room
				break
			}
		}
	}
	g.restarted(number, ex)
}

// restartedAt is the second in which a NAS has begun anew. Its clock may be wrong then, but
// one that is said again, or brought later, must end no session that has begun since.
func (g *Gateway) restartedAt(p *radius.Packet) int64 {
	delay, _ := p.Uint32(radius.AcctDelayTime)
	at := g.wall - int64(delay)
	if v, ok := p.Uint32(radius.EventTimestamp); ok && int64(v) < at && at-int64(v) < living/1e9 {
		at = int64(v)
	}
	return at
}

// lose ends a session whose NAS has lost it; false: there is no room for that.
func (g *Gateway) lose(s *session, owner uint32, nas *exchange, off bool) bool {
	cause := uint32(nasReboot)
	if off {
		cause = adminReboot
	}
	if !s.counted || len(s.acct) == 0 {
		return g.finish(s, cause)
	}
	if x := g.exchanges.find(s.closing); x != nil && x.purpose == loses && x.id == s.id {
		nas.failed = true // said again: it is ending
		return true
	}
	x := g.terms()
	x.Application, x.DestinationRealm, x.Arrival = diameter.AppAccounting, s.realm, int64(s.over(g.wall))
	g.name = g.tr.Name(g.name[:0], s.id)
	x.Session = g.name
	number, ex := g.begin(loses, nil)
	if ex == nil {
		return false
	}
	ex.endToEnd, ex.command, ex.session = x.EndToEnd, diameter.Accounting, g.sessions.hash(g.name)
	ex.id, ex.owner, ex.cause = s.id, owner, cause
	x.HopByHop = number
	b, why := g.tr.Lost(g.room, s.user, s.acct, cause, &x)
	if g.translated(toDiameter, why); why != translate.OK {
		g.done(number)
		return g.finish(s, cause)
	}
	if !g.ask(number, b) {
		return false
	}
	s.closing = number
	nas.left++
	return true
}

// finish tells the home of a session that it is over, and forgets it; false: there was no
// room.
func (g *Gateway) finish(s *session, cause uint32) bool {
	if !g.tell(s, cause) {
		return false
	}
	g.sessions.end(s)
	return true
}

// lost takes the answer to the last record of a lost session: its home has it, or never
// will.
func (g *Gateway) lost(number uint32, ex *exchange, result uint32) {
	over, id, cause, owner := result/1000 == 2 || result/1000 == 5, ex.id, ex.cause, ex.owner
	g.done(number)
	if s := g.sessions.get(id); over && s != nil {
		s.counted = false
		over = g.finish(s, cause)
	}
	if nas := g.exchanges.find(owner); nas != nil {
		nas.left--
		nas.failed = nas.failed || !over
		g.restarted(owner, nas)
	}
}

// restarted answers a NAS whose sessions have all ended.
func (g *Gateway) restarted(number uint32, ex *exchange) {
	if ex.left > 0 {
		return
	}
	if l := g.lines[ex.line]; l != nil && !ex.failed && g.was.Parse(ex.raw) == radius.OK {
		var r radius.Writer
		p := &g.was
		r.Start(g.small, radius.AccountingResponse, 0, false)
		r.SetAuthenticator(p.Authenticator())
		for a, next, ok := p.Next(p.From(radius.ProxyState)); ok; a, next, ok = p.Next(next) {
			if a.Type == radius.ProxyState {
				r.Raw(a.Raw)
			}
		}
		g.say(l, r.SignAccounting(nil, radius.Clear))
	}
	g.done(number)
}
