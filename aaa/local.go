package aaa

import (
	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// drop counts a packet that is silently discarded.
func (s *Shard) drop(c *client.Client, why Reason, from udp.Addr) {
	s.stats.Add(s.snap.clientStats[c.Index].dropped[why], 1)
	s.note(why, c.Spec.Name, from)
}

// dropExchange counts a request that is silently discarded after it was
// claimed. Its client is one of the configuration it began with.
func (s *Shard) dropExchange(ex *Exchange, why Reason) {
	s.stats.Add(ex.snap.clientStats[ex.client.Index].dropped[why], 1)
	s.note(why, ex.client.Spec.Name, ex.from)
}

// refuse answers an Access-Request with an Access-Reject of our own: a
// visited network that hears nothing takes the whole hub for dead. Inside
// EAP the reject carries one EAP-Failure and no Reply-Message (RFC 3579
// sections 2.6.3 and 2.6.5), but for peers that have agreed to it.
func (s *Shard) refuse(slot uint32, ex *Exchange, why Reason) {
	s.stats.Add(s.ctr.local[why], 1)
	s.note(why, ex.client.Spec.Name, ex.from)
	if ex.orphan() {
		s.end(slot)
		return
	}
	if due := s.refusable(ex); due > s.now {
		s.leaveHome(slot, ex, false)
		ex.stage, ex.why = stageDelayed, why
		s.wheel.Set(slot, due)
		return
	}
	s.reject(slot, ex, why)
}

// refusable is when a request that came now may be refused by us: a device that
// tries again as soon as it hears no would do nothing else
// (draft-ietf-radext-deprecating-radius section 8.3). A home's own word is never
// held back, and where many wait nobody does.
func (s *Shard) refusable(ex *Exchange) int64 {
	d := int64(s.hub.conf.RejectDelay)
	if d == 0 || s.slab.used > s.slab.max/2 {
		return 0
	}
	return ex.began + d + int64(s.random32())%(d/2+1)
}

// reject sends an Access-Reject of our own.
func (s *Shard) reject(slot uint32, ex *Exchange, why Reason) {
	req := s.parsed(ex)
	w := &s.w
	w.Start(s.lend(ex.door), radius.AccessReject, ex.id, !ex.secret.IsClear())
	states := s.proxyStates(req)
	_, id, _, eap := req.EAP()
	if eap {
		w.AddEAPFailure(id)
	}
	if told := ex.told(); told || !eap {
		s.addText(ex, why, len(states), told)
	}
	if cause := why.ErrorCause(); cause != 0 && w.Room() >= len(states)+6 {
		w.AddErrorCause(cause)
	}
	if !w.Raw(states) {
		s.tooMuch(slot, ex)
		return
	}
	s.answer(slot, ex, resultReject)
}

// addText gives the reason in words, and as a number to who is told, unless that
// leaves less than rest.
func (s *Shard) addText(ex *Exchange, why Reason, rest int, told bool) {
	text := texts[why]
	if why == RouteRejects {
		text = ex.snap.rejects[ex.route.Index]
	}
	if told {
		s.giveReason(text, why, rest)
		return
	}
	if len(text) > 0 && s.w.Room() >= rest+2+len(text) {
		s.w.Add(radius.ReplyMessage, text)
	}
}

// tooMuch ends an Exchange whose Proxy-States alone fill a packet: an answer
// without one of them would go astray behind the client (RFC 2865 section
// 5.33), so there is none.
func (s *Shard) tooMuch(slot uint32, ex *Exchange) {
	s.dropExchange(ex, ReplyTooLong)
	s.noAnswer(ex)
	s.end(slot)
}

// texts are the reasons' texts as octets, made once.
var texts = func() (t [numReasons][]byte) {
	for r := range t {
		t[r] = []byte(Reason(r).Text())
	}
	return t
}()

// identityRequest is EAP-Request/Identity without a prompt; the second octet
// is its EAP identifier.
var identityRequest = [5]byte{1, 0, 0, 5, 1}

// eapStart knows a bare EAP-Start: a NAS that wants the server to ask for
// the identity (RFC 3579 section 2.1).
func (s *Shard) eapStart(p *radius.Packet) bool {
	v, ok := p.First(radius.EAPMessage)
	return ok && len(v) == 0
}

func (s *Shard) askIdentity(slot uint32, ex *Exchange) {
	s.w.Start(s.lend(ex.door), radius.AccessChallenge, ex.id, !ex.secret.IsClear())
	s.w.Add(radius.EAPMessage, identityRequest[:])
	if !s.w.Raw(s.proxyStates(s.parsed(ex))) {
		s.tooMuch(slot, ex)
		return
	}
	s.answer(slot, ex, resultChallenge)
}

// status answers Status-Server for the hub itself; it is never forwarded
// (RFC 5997 sections 2 and 4). The answer says nothing but "here".
func (s *Shard) status(a *arrival) {
	c, p, from := a.client, &a.Packet, a.from
	ctr := s.snap.clientStats[c.Index]
	s.stats.Add(ctr.requests[kindStatus], 1)
	switch {
	case !p.Has(radius.MessageAuthenticator) && !a.secret.IsClear():
		s.drop(c, StatusWithoutMessageAuthenticator, from)
		return
	case !s.crypt.CheckMessageAuthenticator(p, a.secret):
		s.unproved(a, BadMessageAuthenticator)
		return
	case p.Has(radius.UserPassword), p.Has(radius.CHAPPassword), p.Has(radius.EAPMessage):
		s.drop(c, StatusWithPassword, from)
		return
	case !s.statusBudget(c):
		s.drop(c, StatusRate, from)
		return
	}
	code, result := radius.AccessAccept, resultAccept
	if a.door.service() == listen.Acct {
		code, result = radius.AccountingResponse, resultAck
	}
	auth := *p.Authenticator()
	s.w.Start(s.lend(a.door), code, a.id, !a.secret.IsClear())
	s.w.Raw(s.proxyStates(p)) // they fit: the request had as much beside them
	if _, sent := s.commit(a.door, a.secret, &auth, from, a.local); !sent {
		s.drop(c, PeerStalled, from)
		result = resultNone
	}
	s.stats.Add(ctr.responses[kindStatus][result], 1)
}

// statusBudget bounds what one client's probing can cost: the answer is worth
// one MD5 pair, a thousand a second of them are not. Each client has its own,
// or one could make the hub look dead to the others.
func (s *Shard) statusBudget(c *client.Client) bool {
	b := &s.probes[c.Index]
	if sec := s.now / 1e9; sec != b.second {
		*b = probeBudget{second: sec}
	}
	b.n++
	return b.n <= statusRate
}
