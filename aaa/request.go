package aaa

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/dedup"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// arrival is one datagram on its way through a batch: read and parsed with all
// others first, then proved together, then dealt with one by one. It and its
// packet are good until the next Recv.
type arrival struct {
	radius.Packet
	state arrivalState
	why   Reason // OK, or what is wrong beside the proofs
	mac   int    // proof of the Message-Authenticator, NoProof none
	hash  int    // proof of the authenticator, NoProof none
	from  udp.Addr
	local udp.LocalInfo

	door   door // of a request, and all until kind
	client *client.Client
	secret *radius.Secret
	header header // of what is not served
	id     uint8  // goes into the answer
	number uint32 // tells requests in flight apart: Identifier or Token
	kind   home.Kind

	slot  uint32 // of a reply: whose it seems to be
	token uint64
	home  *home.Home
}

type arrivalState uint8

const (
	arrivalDone    arrivalState = iota // counted and forgotten
	arrivalRequest                     // proofs asked for
	arrivalReply                       // proofs asked for
	arrivalStatus
	arrivalUseless  // a reply to nothing that is asked, or of another kind
	arrivalUnserved // by a connection: understood as far as its header
	arrivalBroken   // by a connection: malformed
	arrivalInside   // by a connection: CoA and Disconnect, the other way round
)

// hear takes one datagram of a front door up to its proofs. The order is a
// contract: source, lengths, code, authenticity, duplicates; only then is any
// attribute believed.
//
// hot: 0 allocs
func (s *Shard) hear(a *arrival, f *listen.Front, data []byte, from udp.Addr, local udp.LocalInfo) {
	a.state, a.why, a.mac, a.hash = arrivalDone, OK, radius.NoProof, radius.NoProof
	a.door, a.from, a.local = door{front: f}, from, local
	c := s.snap.Clients.Lookup(from.Addr())
	if c == nil {
		s.stats.Add(s.ctr.unknownClient, 1)
		s.note(UnknownClient, "", from)
		return
	}
	if why := a.Parse(data); why != radius.OK {
		if !s.share.Seen(int32(c.Index), false) {
			s.shed(c, from)
			return
		}
		s.drop(c, ofRadius(why), from)
		return
	}
	if !s.share.Seen(int32(c.Index), a.Code() == radius.AccountingRequest || a.Has(radius.State)) {
		s.shed(c, from)
		return
	}
	a.client, a.secret = c, c.Secret
	a.id, a.number = a.Identifier(), uint32(a.Identifier())
	if !s.recognise(a) {
		s.drop(c, CodeNotServed, from)
	}
}

// recognise says what a packet asks for and has it proved; false: something
// that is not served where it came in.
func (s *Shard) recognise(a *arrival) bool {
	c, service := a.client, a.door.service()
	switch code := a.Code(); {
	case code == radius.StatusServer:
		a.state = arrivalStatus
	case code == radius.AccessRequest && service != listen.Acct:
		a.state, a.kind = arrivalRequest, home.Auth
		s.stats.Add(s.snap.clientStats[c.Index].requests[kindAuth], 1)
		a.why = s.presence(a)
		if a.Has(radius.MessageAuthenticator) {
			a.mac = s.proofs.MessageAuthenticator(&a.Packet, a.secret)
		}
	case code == radius.AccountingRequest && service != listen.Auth:
		a.state, a.kind = arrivalRequest, home.Acct
		s.stats.Add(s.snap.clientStats[c.Index].requests[kindAcct], 1)
		a.hash = s.proofs.RequestAuthenticator(&a.Packet, a.secret)
		if a.Has(radius.MessageAuthenticator) {
			a.mac = s.proofs.MessageAuthenticator(&a.Packet, a.secret)
		}
	default:
		return false
	}
	return true
}

// shed drops a packet of a client that is held to its share.
func (s *Shard) shed(c *client.Client, from udp.Addr) {
	s.loud.note(from)
	s.drop(c, ClientShare, from)
}

// take goes on with a datagram of a front door whose proofs have been run.
//
// hot: 0 allocs
func (s *Shard) take(a *arrival) {
	switch a.state {
	case arrivalStatus:
		s.status(a)
	case arrivalRequest:
		if why := s.authentic(a); why != OK {
			s.unproved(a, why)
			return
		}
		s.claim(a)
	case arrivalInside:
		s.passInside(a, a.door.conn, toldAnswer)
	case arrivalBroken, arrivalUnserved:
		s.unproved(a, a.why)
	}
}

// authentic says whether a request is what it claims to be, before anything
// in it is used (RFC 3579 section 3.2, RFC 2866 section 3).
func (s *Shard) authentic(a *arrival) Reason {
	switch {
	case a.kind == home.Acct && !s.proofs.OK(a.hash):
		return BadRequestAuthenticator
	case a.mac != radius.NoProof && !s.proofs.OK(a.mac):
		return BadMessageAuthenticator
	}
	return a.why
}

// presence judges what an Access-Request carries and lacks (RFC 3579 section
// 3.2, and the two switches against forged replies).
func (s *Shard) presence(a *arrival) Reason {
	p, c := &a.Packet, a.client
	if !p.Has(radius.MessageAuthenticator) && !a.secret.IsClear() {
		ctr := s.snap.clientStats[c.Index]
		s.stats.Add(ctr.unsigned, 1)
		proxied := p.Has(radius.ProxyState)
		if proxied {
			s.stats.Add(ctr.unsignedP, 1)
		}
		switch {
		case p.Has(radius.EAPMessage):
			return EAPWithoutMessageAuthenticator
		case a.door.secured(): // TLS says whose it is (draft-ietf-radext-deprecating-radius section 5.3.3)
		case c.Spec.RequireMessageAuthenticator:
			return MissingMessageAuthenticator
		case proxied && c.Spec.LimitProxyState:
			return UnsignedProxyState
		}
	}
	if p.Has(radius.EAPMessage) && (p.Has(radius.UserPassword) || p.Has(radius.CHAPPassword)) {
		return EAPWithPassword
	}
	return OK
}

// bodyOf tells requests with one authenticator apart. What has been proved
// says that already: an accounting authenticator is a hash of the whole
// packet, a Message-Authenticator another one. RADIUS/1.1 has neither.
func (s *Shard) bodyOf(a *arrival) uint64 {
	switch {
	case a.secret.IsClear():
	case a.kind == home.Acct:
		return 0
	case a.mac != radius.NoProof:
		mac, _ := a.First(radius.MessageAuthenticator)
		return binary.LittleEndian.Uint64(mac)
	}
	return maphash.Bytes(s.hub.seed, a.Bytes())
}

// claim asks the duplicate cache whether the request is new, and if so gives
// it an Exchange.
func (s *Shard) claim(a *arrival) {
	p, c := &a.Packet, a.client
	// Before the cache lends a reply: what is signed is kept there, and may
	// need its room.
	if d := a.door; d.conn == nil {
		s.ready(d.front.Queue)
	} else if d.loses() {
		if s.roomOf(d.conn); d.conn.closed {
			return
		}
	}
	slot := s.slab.take()
	k := dedup.Key{From: a.from, Door: a.door.number(), Code: uint8(p.Code()), ID: a.number}
	m := dedup.Mark{Auth: *p.Authenticator(), Body: s.bodyOf(a)}
	outcome, entry, other, reply := s.dups.Claim(k, m, slot, s.now)
	if outcome != dedup.Claimed {
		// Needs no Exchange, so it is done under overload too: an answer
		// sent again ends the repetitions.
		s.giveBack(slot)
		s.repeated(a, outcome, other, reply)
		return
	}
	if other != dedup.NoSlot {
		// A new request under the same identifier: the client has given the
		// old one up (RFC 5080 section 2.2.2).
		s.slab.at(other).displaced = true
		s.drop(c, Displaced, a.from)
	}
	if slot == noSlot || !s.admits(a) {
		s.dups.Forget(entry)
		s.giveBack(slot)
		s.drop(c, Overload, a.from)
		s.turnAway(a)
		s.counted(a, acctRefused)
		return
	}
	ex := s.begin(slot)
	ex.stage, ex.kind, ex.id = stageWaiting, a.kind, a.id
	s.held[a.kind]++
	ex.door, ex.from, ex.local, ex.entry, ex.client, ex.secret = a.door, a.from, a.local, entry, c, a.secret
	if a.door.conn != nil {
		ex.operator = a.door.conn.operator
	}
	ex.auth = *p.Authenticator()
	s.slab.keep(ex, p.Bytes())
	if a.kind == home.Auth {
		s.route(slot, ex, p)
	} else {
		s.account(slot, ex, p)
	}
}

// giveBack returns a slot that no Exchange has begun in, if it is one.
func (s *Shard) giveBack(slot uint32) {
	if slot == noSlot {
		return
	}
	s.slab.at(slot).stage = stageParked
	s.slab.put(slot)
}

// admits keeps a part of the slab for running conversations, and one for each
// kind: accounting that nobody takes must not end authentication, nor a flood
// of conversations accounting.
func (s *Shard) admits(a *arrival) bool {
	limit := s.slab.max - s.slab.max/(2*reserve)
	if a.kind == home.Acct {
		limit = s.slab.max - s.slab.max/4
	}
	return s.held[a.kind] < limit && (s.slab.max-s.slab.used >= s.slab.max/reserve || a.urgent())
}

// urgent requests belong to a conversation that already holds memory
// elsewhere, or are money (RFC 5080 section 2.2.3).
func (a *arrival) urgent() bool {
	return a.kind == home.Acct || a.Has(radius.State)
}

// repeated deals with a request that is not new.
func (s *Shard) repeated(a *arrival, o dedup.Outcome, other uint32, reply []byte) {
	ctr := s.snap.clientStats[a.client.Index]
	switch o {
	case dedup.Answered:
		s.stats.Add(ctr.replayed, 1)
		s.counted(a, acctRepeated)
		s.resend(a, reply)
	case dedup.Pending:
		s.stats.Add(ctr.pending, 1)
		s.counted(a, acctRepeated)
		if other == dedup.NoSlot {
			return // its answer is written and waits for its signature
		}
		ex := s.slab.at(other)
		if ex.pool != nil && ex.homeIdx >= 0 {
			s.passOn(other, ex)
		}
	default:
		s.stats.Add(ctr.conflict, 1)
		s.drop(a.client, ConflictingDuplicate, a.from)
		s.counted(a, acctRefused)
	}
}

// counted notes what became of a request that needs no Exchange, if it is one
// of accounting.
func (s *Shard) counted(a *arrival, result int) {
	if a.kind == home.Acct {
		s.stats.Add(s.ctr.packets[result], 1)
	}
}

// passOn moves a request whose home has fallen silent to another one as soon
// as the client asks again, without waiting for our own timer, which may have
// grown to many seconds. One that waits has its turn if the home has room
// meanwhile. Where the repetitions are the client's, it also sends the request
// again.
func (s *Shard) passOn(slot uint32, ex *Exchange) {
	switch {
	case !s.well(ex) && s.failOver(slot, ex):
		return
	case s.pace.Queued(slot):
		s.turns(ex.homeIdx, ex.kind)
		return
	case ex.link != nil || !ex.clientRepeats():
		return
	}
	// The client's timer is the only one there is here. A hasty one says nothing
	// about the home, or anybody could have it paced.
	hasty := s.now-ex.sentAt < int64(ex.pool.Timers.IRT)/2
	switch {
	case hasty && s.pace.Paced(ex.homeIdx, ex.kind):
		return
	case !hasty && !s.pace.Expired(slot, s.now):
		idx, kind := ex.homeIdx, ex.kind
		s.wheel.Set(slot, s.patient(ex))
		s.turns(idx, kind)
		return
	}
	s.stats.Add(ex.snap.homeStats[ex.homeIdx].retransmits[ex.kind], 1)
	s.transmit(slot, ex) // it could be built once, so it can be again
}

// route finds where an Access-Request goes.
func (s *Shard) route(slot uint32, ex *Exchange, p *radius.Packet) {
	if why := s.cameBack(ex, p); why != OK {
		s.refuse(slot, ex, why)
		return
	}
	if s.firstHop(p) {
		s.checkNASAddress(ex, p)
	}
	p, why := s.accepted(ex, p)
	if why != OK {
		s.refuse(slot, ex, why)
		return
	}
	name, why := subscriber(p)
	if why == NoUserName && s.eapStart(p) {
		s.askIdentity(slot, ex)
		return
	}
	if why != OK {
		s.refuse(slot, ex, why)
		return
	}
	d := s.router.decide(s.asks(ex), p, name)
	ex.follow(d)
	s.audit(ex, d.folded)
	s.remember(ex, p)
	if d.route != nil {
		s.stats.Add(ex.snap.realmStats[d.route.Index].requests[home.Auth], 1)
	}
	if d.why != OK {
		s.alarmOf(ex, d)
		s.refuse(slot, ex, d.why)
		return
	}
	if why := s.settles(ex, p); why != OK {
		s.refuse(slot, ex, why)
		return
	}
	ex.stateful = p.Has(radius.State)
	s.permit(slot, ex, p, d.user, d.folded, false)
}

// follow takes a direction over.
func (ex *Exchange) follow(d *direction) {
	ex.route, ex.pool, ex.key, ex.shifts = d.route, d.pool, d.key, d.shifts
	ex.barred, ex.tried, ex.seeks = d.barred, d.barred, d.seek
}

// subscriber reads who asks: the one User-Name.
func subscriber(p *radius.Packet) (name []byte, why Reason) {
	name, ok := p.First(radius.UserName)
	switch {
	case !ok:
		return nil, NoUserName
	case p.Count(radius.UserName) > 1:
		return nil, SeveralUserNames
	}
	return name, OK
}

// permit asks the device policy. A miss parks the Exchange until the policy
// is fetched; the realm's own rules for devices that are unknown, or that
// nobody can look up now, are applied by device.Table.
func (s *Shard) permit(slot uint32, ex *Exchange, p *radius.Packet, user, folded []byte, fetched bool) {
	if !ex.route.Policy.Enabled || s.hub.policy == nil {
		s.forwardAuth(slot, ex, p)
		return
	}
	q := s.query(ex, p, user, folded)
	q.Waited = fetched
	d := s.hub.policy.Decide(&q)
	if d.Outcome == device.Miss {
		if s.hub.policy.Fetch(d.Key, &q, s, s.slab.token(slot)) {
			ex.stage = stageParked
			return
		}
		q.Waited = true
		d = s.hub.policy.Decide(&q)
	}
	if d.Outcome != device.Allow {
		s.refuse(slot, ex, ofDevice(d.Reason))
		return
	}
	ex.profile = d.Profile
	s.forwardAuth(slot, ex, p)
}

// resume goes on with an Exchange whose policy has been fetched, unless its
// client has given it up meanwhile.
func (s *Shard) resume(slot uint32, ex *Exchange) {
	ex.stage = stageWaiting
	if ex.orphan() {
		s.end(slot)
		return
	}
	p, _ := s.accepted(ex, s.parsed(ex)) // it was, so it is again
	name, _ := p.First(radius.UserName)
	d := &s.router.to
	*d = direction{}
	s.router.identify(&ex.snap.Set.Identity, name)
	s.permit(slot, ex, p, d.user, d.folded, true)
}

// parsed gives the request of an Exchange as a packet. It was accepted once,
// so it parses again.
func (s *Shard) parsed(ex *Exchange) *radius.Packet {
	if why := s.again.Parse(ex.buf); why != radius.OK {
		panic("aaa: kept request no longer parses: " + why.String())
	}
	return &s.again
}
