package aaa

import (
	"encoding/binary"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// hearReply takes one datagram of a home-side socket up to its proofs. A
// packet that is not the authentic answer to a request in flight changes
// nothing: no timer, no identifier, no health.
//
// hot: 0 allocs
func (s *Shard) hearReply(a *arrival, sock int, data []byte, from udp.Addr) {
	a.state, a.mac, a.hash = arrivalDone, radius.NoProof, radius.NoProof
	idx, ok := s.whose(from)
	if !ok {
		s.stats.Add(s.ctr.unknownHome, 1)
		s.note(UnknownHome, "", from)
		return
	}
	if why := a.Parse(data); why != radius.OK {
		s.badReply(idx, ofRadius(why), from)
		return
	}
	a.state, a.from, a.why = arrivalUseless, from, LateReply
	slot, hm, ok := s.asked(sock, &a.Packet, from)
	if !ok {
		return
	}
	ex := s.slab.at(slot)
	if a.why = shapeOfReply(ex, hm, &a.Packet); a.why == ReplyCode {
		return
	}
	a.state, a.slot, a.token, a.home = arrivalReply, slot, s.slab.token(slot), hm
	a.hash = s.proofs.Response(&a.Packet, &ex.homeAuth, hm.Secret)
	a.mac = s.proofs.ResponseMessageAuthenticator(&a.Packet, &ex.homeAuth, hm.Secret)
}

// takeReply goes on with a datagram whose proofs have been run.
//
// hot: 0 allocs
func (s *Shard) takeReply(a *arrival, sock int) {
	slot, hm, why := noSlot, (*home.Home)(nil), OK
	switch a.state {
	case arrivalDone:
		return
	case arrivalReply:
		slot, hm, why = s.proved(a, sock)
	default:
		why = a.why
	}
	if why != OK {
		if idx, ok := s.whose(a.from); ok {
			s.badReply(idx, why, a.from)
		}
		return
	}
	s.replied(slot, hm, &a.Packet)
}

// proved judges a reply by its proofs. The first of two equal replies in one
// batch has ended the Exchange.
func (s *Shard) proved(a *arrival, sock int) (slot uint32, hm *home.Home, why Reason) {
	slot, hm, ok := s.asked(sock, &a.Packet, a.from)
	if !ok || slot != a.slot || s.slab.token(slot) != a.token {
		return noSlot, nil, LateReply
	}
	switch {
	case !s.proofs.OK(a.hash):
		why = BadResponseAuthenticator
	case a.mac == radius.NoProof:
		return slot, hm, a.why
	case !s.proofs.OK(a.mac):
		why = ReplyBadMessageAuthenticator
	default:
		return slot, hm, OK
	}
	hm.State[s.slab.at(slot).kind].BadAuthenticator(s.now)
	return slot, hm, why
}

// replied takes the authentic answer of a home.
func (s *Shard) replied(slot uint32, hm *home.Home, p *radius.Packet) {
	ex := s.slab.at(slot)
	idx, kind := hm.Index, ex.kind
	hm.State[kind].Answered(s.now)
	if ex.realm != 0 {
		s.hub.homes.Breaker().Answered(idx, ex.realm)
	}
	ctr := ex.snap.homeStats[idx]
	s.stats.Observe(ctr.seconds[kind], s.now-ex.sentAt)
	s.stats.Add(ctr.responses[kind][resultOf(p.Code())], 1)
	s.pace.Answered(slot, s.now-ex.firstAt, s.now)
	s.leaveHome(slot, ex, true)
	s.wheel.Cancel(slot)
	switch {
	case kind == home.Acct:
		s.accounted(slot, ex, p, hm)
	case p.Code() == radius.ProtocolError:
		s.spurned(slot, ex, p)
	default:
		s.authenticated(slot, ex, p, hm)
	}
	s.turns(idx, kind)
}

// authenticated takes the home's answer to an Access-Request.
func (s *Shard) authenticated(slot uint32, ex *Exchange, p *radius.Packet, hm *home.Home) {
	if p.Code() == radius.AccessChallenge {
		if state, ok := p.First(radius.State); ok {
			own, any := s.conversation(ex, state)
			s.hub.sticky.Learn(own, hm.Index, s.now)
			s.hub.sticky.Learn(any, hm.Index, s.now)
		}
	}
	if p.Code() == radius.AccessAccept && ex.snap.reverse != nil && !ex.orphan() {
		s.learnAccept(ex, s.parsed(ex), p)
	}
	s.deliver(slot, ex, p, hm)
}

// spurned takes a Protocol-Error for an Access-Request (RFC 7930 section 4): it
// is between the home and us, and the client gets an answer that it knows. Where
// the home cannot reach who should answer, another one may.
func (s *Shard) spurned(slot uint32, ex *Exchange, p *radius.Packet) {
	switch {
	case ex.orphan():
		s.end(slot)
	case tryElsewhere(p) && !ex.stateful && s.another(slot, ex):
	default:
		s.refuse(slot, ex, HomeProtests)
	}
}

// Error-Causes of a home that cannot pass a request on (RFC 9765 section 6.1,
// RFC 5176 section 3.5).
const (
	notRoutable          = 502
	proxyProcessing      = 505
	resourcesUnavailable = 506
)

// tryElsewhere reports whether another home may do better.
func tryElsewhere(p *radius.Packet) bool {
	switch cause, _ := p.Uint32(radius.ErrorCause); cause {
	case notRoutable, proxyProcessing, resourcesUnavailable:
		return true
	}
	return false
}

// another sends a request that has left its home to another one of its pool, if
// there is one.
func (s *Shard) another(slot uint32, ex *Exchange) bool {
	if s.choose(slot, ex, s.parsed(ex)) != OK {
		return false
	}
	s.stats.Add(s.ctr.failovers, 1)
	if ex.sock == noSocket {
		return true
	}
	if why := s.transmit(slot, ex); why != OK {
		s.giveUp(slot, ex, why)
	}
	return true
}

// whose finds the home of a reply's source, also one that is gone.
func (s *Shard) whose(from udp.Addr) (int32, bool) {
	idx, _, ok := s.snap.Homes.FromAddr(from)
	return idx, ok
}

// asked finds the Exchange that has sent its request where p comes from,
// under p's identifier.
func (s *Shard) asked(sock int, p *radius.Packet, from udp.Addr) (slot uint32, hm *home.Home, ok bool) {
	line, ok := s.snap.Homes.Line(from)
	if ok {
		slot, ok = s.ids.Find(sock, line, p.Identifier())
	}
	if !ok {
		return noSlot, nil, false
	}
	ex := s.slab.at(slot)
	return slot, ex.snap.Homes.Home(ex.homeIdx), true
}

// shapeOfReply judges what can be seen without a proof: ReplyCode first, a
// Message-Authenticator that must be there once the rest is proved.
func shapeOfReply(ex *Exchange, hm *home.Home, p *radius.Packet) Reason {
	access := false
	switch p.Code() {
	case radius.AccessAccept, radius.AccessReject, radius.AccessChallenge:
		access = true
	case radius.AccountingResponse:
	case radius.ProtocolError:
		access = ex.kind == home.Auth
	default:
		return ReplyCode
	}
	if access != (ex.kind == home.Auth) {
		return ReplyCode
	}
	if !p.Has(radius.MessageAuthenticator) && access && !ex.homeSecret.IsClear() &&
		(hm.Spec.RequireMessageAuthenticator && !hm.Spec.Transport.Secured() || p.Has(radius.EAPMessage)) {
		return ReplyMissingMessageAuthenticator
	}
	return OK
}

// deliver writes the home's answer for the client, with the device policy
// applied, and ends the Exchange.
func (s *Shard) deliver(slot uint32, ex *Exchange, p *radius.Packet, hm *home.Home) {
	ctr := ex.snap.homeStats[hm.Index]
	s.checkProxyState(ex, p, hm)
	if ex.orphan() {
		s.end(slot)
		return
	}
	settles := ex.settlement != unsettled && p.Code() == radius.AccessAccept
	if settles {
		s.recallOffer(ex)
	}
	p, bad := s.returned(ex, p, hm.Index)
	if bad == OK && settles {
		bad = s.agrees(ex, p, ctr)
	}
	if bad != OK {
		s.refuse(slot, ex, bad)
		return
	}
	extra, drop := s.filter(ex, p, ctr)
	if settles {
		extra = s.seals(ex, p, extra, ex.snap.host(hm.Index))
	}
	if p, extra, drop, bad = s.returning(ex, p, hm.Index, extra, drop); bad != OK {
		s.refuse(slot, ex, bad)
		return
	}
	req := s.parsed(ex)
	why := s.crypt.ForwardResponse(&s.w, s.lend(ex.door), p, ex.id, &ex.homeAuth, &ex.auth,
		ex.homeSecret, ex.secret, s.proxyStates(req), extra, drop)
	if why != radius.OK {
		// What the client must get back does not fit: better a clear no.
		s.refuse(slot, ex, ReplyTooLong)
		return
	}
	code := p.Code()
	s.tick(ex, code, hm.Index) // p is not good behind this
	s.answer(slot, ex, resultOf(code))
}

// answer sends what s.w has built in the room that its door has lent, has it
// kept for retransmissions, and ends an Exchange of authentication.
func (s *Shard) answer(slot uint32, ex *Exchange, result int) {
	ctr := ex.snap.clientStats[ex.client.Index]
	out, sent := s.commit(ex.door, ex.secret, &ex.auth, ex.from, ex.local)
	switch {
	case !sent:
		s.dropExchange(ex, PeerStalled)
		s.dups.Forget(ex.entry)
		result = resultNone
	case !ex.door.loses(): // so nothing is asked again
		s.dups.Forget(ex.entry)
	default:
		s.dups.Detach(ex.entry)
		s.unsigned = append(s.unsigned, unsigned{b: out, entry: ex.entry})
	}
	s.stats.Add(ctr.responses[ex.kind][result], 1)
	if ex.route != nil {
		s.stats.Add(ex.snap.realmStats[ex.route.Index].responses[result], 1)
	}
	s.stats.Observe(s.ctr.seconds[ex.kind], s.now-ex.began)
	ex.answered = true
	if ex.kind == home.Auth {
		s.end(slot)
	}
}

// proxyStates collects the Proxy-State attributes of the client's request:
// they go back whole and in order, whatever the home did with them (RFC 2865
// section 5.33).
func (s *Shard) proxyStates(req *radius.Packet) []byte {
	n := 0
	if !req.Has(radius.ProxyState) {
		return nil
	}
	for a, off, ok := req.Next(radius.HeaderLen); ok; a, off, ok = req.Next(off) {
		if a.Type == radius.ProxyState {
			n += copy(s.states[n:], a.Raw)
		}
	}
	return s.states[:n]
}

// checkProxyState counts homes that do not return what RFC 2865 section
// 5.33 asks them to.
func (s *Shard) checkProxyState(ex *Exchange, p *radius.Packet, hm *home.Home) {
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		if a.Type == radius.ProxyState {
			if ours, _ := s.own(a.Value()); ours {
				return
			}
		}
	}
	s.stats.Add(ex.snap.homeStats[hm.Index].bad[MissingProxyState], 1)
	s.note(MissingProxyState, hm.Spec.Name, hm.Addr[ex.kind])
}

// badReply counts a packet of a home that is not used.
func (s *Shard) badReply(idx int32, why Reason, from udp.Addr) {
	name := ""
	if ctr := s.homeCounters(idx); ctr != nil {
		s.stats.Add(ctr.bad[why], 1)
		name = ctr.name
	}
	s.note(why, name, from)
}

func (s *Shard) homeCounters(idx int32) *homeStats {
	if c := s.snap.homeCounters(idx); c != nil {
		return c
	}
	for _, d := range s.draining {
		if c := d.homeCounters(idx); c != nil {
			return c
		}
	}
	return nil
}

func resultOf(c radius.Code) int {
	switch c {
	case radius.AccessAccept:
		return resultAccept
	case radius.AccessReject, radius.ProtocolError:
		return resultReject
	case radius.AccessChallenge:
		return resultChallenge
	}
	return resultAck
}

// Service-Type values that would hand out control of the visited network's
// equipment (RFC 2865 section 5.6). A roaming home has no business there.
const (
	serviceAdministrative    = 6
	serviceNASPrompt         = 7
	serviceCallbackNASPrompt = 9
	serviceCallbackAdmin     = 11
)

// passwordRetry is allowed in an Access-Reject (RFC 2869 section 5.9).
const passwordRetry radius.Type = 75

// minInterim is the floor of RFC 2869 section 5.16.
const minInterim = 60

// filter decides what of the home's answer the client does not get, and
// what the device policy adds. Reply-Message must not stand beside
// EAP-Message (RFC 3579 section 2.6.5), unless a reject says there why and its
// client is one that is told.
func (s *Shard) filter(ex *Exchange, p *radius.Packet, ctr *homeStats) (extra []byte, drop *radius.Drop) {
	s.drops = radius.Drop{}
	switch p.Code() {
	case radius.AccessAccept:
		extra = s.filterAccept(ex, p, ctr)
	case radius.AccessReject:
		s.drops = rejectDrops
		if r, given := reasonGiven(p); given {
			s.stats.Add(ctr.rejects[r], 1)
			if ex.told() {
				return nil, &s.drops
			}
		}
	}
	if p.Has(radius.EAPMessage) && p.Has(radius.ReplyMessage) {
		s.drops.Set(radius.ReplyMessage)
		s.stats.Add(ctr.filtered, 1)
	}
	return extra, &s.drops
}

// filterAccept bounds an Accept. What a profile sets replaces what the home
// said; of two Session-Timeouts the shorter wins. Every instance of an
// attribute counts: a NAS may take the last as well as the first.
func (s *Shard) filterAccept(ex *Exchange, p *radius.Packet, ctr *homeStats) (extra []byte) {
	var timeout, interim uint32
	if pr := ex.profile; pr != nil {
		s.drops = pr.Drop
		extra = append(s.extra[:0], pr.Extra...)
		timeout, interim = pr.Timeout(s.wall/1e9), pr.InterimInterval
		for _, sub := range pr.Bandwidth {
			if p.CutVendor(radius.VendorWISPr, sub) {
				s.stats.Add(ctr.filtered, 1)
			}
		}
	}
	low, control, nul, cui := false, false, false, false
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		switch v := number(a); a.Type {
		case radius.ServiceType:
			control = control || isControl(v)
		case radius.AcctInterimInterval:
			low = low || v < minInterim && len(a.Value()) == 4
		case radius.ChargeableUserID:
			nul, cui = nul || isNUL(a.Value()), cui || !isNUL(a.Value())
		case radius.SessionTimeout:
			// Zero is no limit to many a NAS.
			if timeout != 0 && v != 0 {
				timeout = min(timeout, v)
			}
		}
	}
	if control {
		s.drops.Set(radius.ServiceType)
		s.stats.Add(ctr.filtered, 1)
	}
	if nul && !cui {
		s.drops.Set(radius.ChargeableUserID)
		s.stats.Add(ctr.filtered, 1)
	}
	if !cui && ex.route.IssueCUI {
		extra = s.issueCUI(ex, p, extra)
	}
	if low {
		interim = max(interim, minInterim)
		s.stats.Add(ctr.filtered, 1)
	}
	extra = s.replace(extra, radius.SessionTimeout, timeout)
	return s.replace(extra, radius.AcctInterimInterval, interim)
}

// number reads a value of four octets; another length is nobody's number and
// counts as none set.
func number(a radius.Attr) uint32 {
	v := a.Value()
	if len(v) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

// isControl says whether a Service-Type would open the visited network's
// equipment instead of its service.
func isControl(v uint32) bool {
	switch v {
	case serviceAdministrative, serviceNASPrompt, serviceCallbackNASPrompt, serviceCallbackAdmin:
		return true
	}
	return false
}

// replace leaves t out of the home's answer and adds it with v; 0 does
// nothing.
func (s *Shard) replace(extra []byte, t radius.Type, v uint32) []byte {
	if v == 0 {
		return extra
	}
	s.drops.Set(t)
	if extra == nil {
		extra = s.extra[:0]
	}
	return binary.BigEndian.AppendUint32(append(extra, byte(t), 6), v)
}

// rejectDrops leaves only those attributes in an Access-Reject that do not
// describe a service (RFC 5080 section 2.6.1). Vendor-Specific stays for
// MS-CHAP-Error (RFC 2548 section 2.1.5).
var rejectDrops = func() (d radius.Drop) {
	for t := radius.Type(1); t <= 240; t++ {
		switch t {
		case radius.ReplyMessage, radius.VendorSpecific, passwordRetry, radius.EAPMessage, radius.ErrorCause:
		default:
			d.Set(t)
		}
	}
	return d
}()
