package aaa

import (
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// account routes an Accounting-Request and appends its record to the
// shard's batch. A request that has no route, no session or no sense is
// recorded all the same, marked as quarantined: it is evidence, and the
// client's repetitions end.
func (s *Shard) account(slot uint32, ex *Exchange, p *radius.Packet) {
	if why := s.cameBack(ex, p); why != OK {
		s.stats.Add(s.ctr.local[why], 1)
		s.stats.Add(s.ctr.packets[acctRefused], 1)
		s.noAnswer(ex)
		s.end(slot)
		return
	}
	e := s.describe(ex, p)
	if r := ex.route; r != nil && r.Reject == "" {
		s.stats.Add(ex.snap.realmStats[r.Index].requests[home.Acct], 1)
	}
	if ex.snap.reverse != nil {
		s.learnAccounting(ex, p, e)
	}
	s.usage(ex, p, e)
	ex.event, ex.content = s.hasher.Key(e, ex.visited()), s.hasher.Content(p.Bytes())
	s.record(slot, ex)
}

// describe classifies the request and finds its route; what the record will
// say beside the packet is in s.header until the next call.
func (s *Shard) describe(ex *Exchange, p *radius.Packet) *accounting.Event {
	e, spec := &s.event, ex.client.Spec
	arrival := s.wall - (s.now - ex.began)
	accounting.Classify(e, p.Bytes(), arrival)
	s.header = accounting.Header{
		Time: arrival, From: ex.from.AddrPort(), Client: spec.Name,
		Operator: spec.Operator, Country: spec.Country,
	}
	if o := ex.ownOperator(); o != nil {
		s.header.Operator = o.name
	}
	s.header.SetEvent(e)
	s.routeAccounting(ex, p, e)
	return e
}

// routeAccounting finds the rule and the pool as for authentication; what is
// refused there is quarantined here. Accounting-On and -Off name
// no user: they concern every home of the NAS, and end here.
func (s *Shard) routeAccounting(ex *Exchange, p *radius.Packet, e *accounting.Event) {
	if e.UserName == nil && (e.Kind == accounting.On || e.Kind == accounting.Off) {
		return
	}
	name := e.UserName
	taken, why := s.accepted(ex, p)
	if why != OK {
		s.quarantine(e, why.quarantines())
		return
	}
	if taken != p {
		name, _ = taken.First(radius.UserName)
	}
	d := s.router.decide(s.asks(ex), taken, name)
	ex.follow(d)
	s.audit(ex, d.folded)
	s.remember(ex, taken)
	if d.why != OK {
		s.alarmOf(ex, d)
		ex.pool, ex.seeks = nil, false
		s.quarantine(e, d.why.quarantines())
	}
	s.settled(ex, taken)
	if d.route != nil && d.route.Reject == "" {
		s.header.Route, s.header.Realm = d.route.Label(), s.names.of(d.folded)
	}
}

// quarantine keeps the first reason: what Classify found comes first.
func (s *Shard) quarantine(e *accounting.Event, why accounting.Reason) {
	if e.Kind != accounting.Quarantined {
		e.Kind, e.Quarantine = accounting.Quarantined, why
		s.header.SetEvent(e)
	}
}

// durable says whether the client is answered as soon as the record is on
// disk.
func (ex *Exchange) durable() bool {
	return !ex.forwards() || ex.route.Acknowledge == realm.AcknowledgeDurable && !ex.viaHome
}

// forwards says whether there is a home for the record, or may be one.
func (ex *Exchange) forwards() bool { return ex.pool != nil || ex.seeks }

// record stores the record once, whatever number of times the client sends
// it, and starts the way to the home.
func (s *Shard) record(slot uint32, ex *Exchange) {
	outcome, other := s.hub.events.Claim(ex.event, ex.content, s.wall/1e9)
	switch outcome {
	case accounting.Committing:
		s.wait(slot, ex)
		return
	case accounting.Duplicate:
		s.stats.Add(s.ctr.packets[acctDuplicate], 1)
		// A first copy that is owed to the home gets there without us. One
		// that is not, because the route waited for the home then, must be
		// taken by the home before anybody says that it is safe.
		ex.onDisk = true
		ex.homeDone = ex.durable() && other&accounting.Owed != 0
		ex.viaHome = !ex.homeDone
	case accounting.Conflict:
		s.header.Flags |= accounting.FlagConflict
		s.header.Other, ex.conflict = other, true
		fallthrough
	default:
		s.store(slot, ex)
	}
	if !ex.homeDone {
		s.forwardAccounting(slot, ex)
	}
	s.settle(slot, ex)
}

// maxTurns bounds how often a repetition waits for its first copy. One turn
// is as long as a commit, or as the time another shard takes to read its mail.
const maxTurns = 4096

// wait lets a repetition, whose first copy is on its way to the disk, go the
// same way without a record. When it comes back the first copy is durable,
// refused, or still in another shard's hands: then it goes once more.
func (s *Shard) wait(slot uint32, ex *Exchange) {
	if ex.turns == maxTurns {
		s.unrecorded(slot, ex)
		return
	}
	if ex.turns == 0 {
		s.stats.Add(s.ctr.waited, 1)
	}
	ex.turns++
	ex.waits = true
	s.gather().Wait(s.slab.token(slot))
}

// waited claims the event once more: it is a duplicate now, or takes the
// place of a first copy that was refused.
func (s *Shard) waited(slot uint32, ex *Exchange) {
	ex.waits = false
	s.describe(ex, s.parsed(ex))
	s.record(slot, ex)
}

// store appends the record to the shard's batch.
func (s *Shard) store(slot uint32, ex *Exchange) {
	s.header.Key = ex.event
	owed := ex.forwards() && ex.durable()
	if owed {
		s.header.Flags |= accounting.FlagForward
		later := s.hub.later
		ex.session, ex.entered = s.hub.sessionOf(s.header.Client, &s.event), true
		ex.turn = later.debts.enter(ex.session, later.rebuilt.Load())
	}
	s.recordBuf = accounting.AppendRecord(s.recordBuf[:0], &s.header, ex.buf)
	s.gather().Add(s.slab.token(slot), s.recordBuf, owed)
	s.stats.Add(s.ctr.records[s.header.Kind], 1)
	if s.header.Kind == accounting.Quarantined {
		s.stats.Add(s.ctr.quarantined[s.header.Quarantine], 1)
	}
	ex.toSpool = true
}

// gather gives the batch that is submitted at the end of this round.
func (s *Shard) gather() *spool.Batch {
	if s.recs != nil {
		return s.recs
	}
	if n := len(s.spare); n > 0 {
		s.recs, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		s.recs = s.hub.spool.NewBatch()
	}
	return s.recs
}

// forwardAccounting sends the request to a home of its pool. Where none can
// be reached the record waits in the spool (durable), or the client is left
// without an answer and asks again (home).
func (s *Shard) forwardAccounting(slot uint32, ex *Exchange) {
	if !ex.forwards() {
		ex.homeDone = true
		return
	}
	if ex.entered && !ex.turn {
		ex.homeDone, ex.failed = true, true // an earlier record of its session goes first
		return
	}
	if ex.seeks {
		if why := s.seek(slot, ex); why != OK {
			s.homeFailed(slot, ex, why)
		}
		return
	}
	why := s.choose(slot, ex, s.parsed(ex))
	if why == OK && ex.sock != noSocket {
		why = s.transmit(slot, ex)
	}
	if why != OK {
		s.homeFailed(slot, ex, why)
	}
}

// homeFailed gives the home up for this Exchange.
func (s *Shard) homeFailed(slot uint32, ex *Exchange, why Reason) {
	s.leaveHome(slot, ex, false)
	s.stats.Add(s.ctr.local[why], 1)
	peer := ""
	if ex.client != nil {
		peer = ex.client.Spec.Name
	}
	s.note(why, peer, ex.from)
	ex.failed, ex.homeDone = true, true
	ex.why = why
	if why.ofPacket() {
		ex.letter = DeadTooLong
	}
}

// settle answers the client and ends the Exchange as soon as what its mode
// asks for has happened. It is called after every event of an accounting
// Exchange.
func (s *Shard) settle(slot uint32, ex *Exchange) {
	if ex.toSpool && !ex.onDisk {
		return // the commit comes back
	}
	if !ex.answered && !ex.replay {
		if ex.durable() || ex.homeDone && !ex.failed {
			s.acknowledge(ex)
		} else if ex.homeDone {
			s.noAnswer(ex)
		}
	}
	if !ex.homeDone {
		return
	}
	if ex.owed && ex.turn {
		s.ended = append(s.ended, ending{seq: ex.seq, session: ex.session, how: ex.fate(), letter: ex.letter, lane: ex.lane})
	}
	s.end(slot)
}

// fate is what became of the record at the homes.
func (ex *Exchange) fate() fate {
	switch {
	case ex.letter != 0:
		return fateDead
	case !ex.failed:
		return fateTaken
	}
	switch ex.why {
	case HomeBusy, NoIdentifier, DiscoveryBusy, HomeStalled:
		return fateBusy
	case HomesDown, NoPool, NoRoute:
		return fateDown
	case RealmSilent, OperatorNameMismatch, NoPeer, DiscoveryFailed, Hairpin:
		return fateHeld // it says nothing of other realms
	}
	if ex.why.ofName() {
		return fateHeld // it was not sent, which says nothing of the homes
	}
	return fateSilent
}

// acknowledge sends the Accounting-Response.
func (s *Shard) acknowledge(ex *Exchange) {
	if ex.orphan() {
		ex.answered = true
		return
	}
	s.w.Start(s.lend(ex.door), radius.AccountingResponse, ex.id, false)
	s.w.Raw(s.proxyStates(s.parsed(ex)))
	s.answer(noSlot, ex, resultAck)
}

// accounted takes the home's Accounting-Response. What the home says beside
// "recorded" is not passed on: RFC 2866 section 4.2 gives it no meaning.
func (s *Shard) accounted(slot uint32, ex *Exchange, p *radius.Packet, hm *home.Home) {
	s.checkProxyState(ex, p, hm)
	if p.Code() == radius.ProtocolError {
		s.protested(slot, ex, p)
		return
	}
	ex.homeDone, ex.failed = true, false
	if ex.replay {
		s.stats.Add(s.ctr.forwarded, 1)
	}
	s.settle(slot, ex)
}

// protested takes a Protocol-Error (RFC 7930 section 4): the home will not
// take the record however often it is sent, unless it only has no room now.
func (s *Shard) protested(slot uint32, ex *Exchange, p *radius.Packet) {
	if tryElsewhere(p) && s.another(slot, ex) {
		return
	}
	ex.homeDone, ex.failed, ex.why = true, true, HomeBusy
	if cause, _ := p.Uint32(radius.ErrorCause); cause != resourcesUnavailable {
		ex.letter = DeadProtocolError
	}
	s.settle(slot, ex)
}

// spooled takes a batch back from the committer.
func (s *Shard) spooled(b *spool.Batch) {
	if b.Err != nil {
		s.refused(b)
		return
	}
	for i, token := range b.Tokens() {
		slot, ex := s.slab.resolve(token)
		if ex == nil {
			s.stats.Add(s.ctr.panics, 1) // it ended before its record was durable: a mistake of ours
			continue
		}
		ex.onDisk, ex.seq = true, b.Seq(i)
		ex.owed = ex.forwards() && ex.durable()
		known := ex.seq
		if ex.owed {
			known |= accounting.Owed
		}
		s.hub.events.Settle(ex.event, ex.content, known)
		result := acctRecorded
		if ex.conflict {
			result = acctConflict
		}
		s.stats.Add(s.ctr.packets[result], 1)
		s.settle(slot, ex)
	}
	for _, token := range b.Waits() {
		if slot, ex := s.slab.resolve(token); ex != nil {
			s.waited(slot, ex)
		}
	}
	b.Reset()
	s.spare = append(s.spare, b)
}

// refused ends the Exchanges of records that are not durable, and of those
// that wait. Their clients get no answer and ask again (RFC 2866 section 2).
func (s *Shard) refused(b *spool.Batch) {
	for _, token := range b.Tokens() {
		if slot, ex := s.slab.resolve(token); ex != nil {
			s.hub.events.Abandon(ex.event, ex.content)
			s.unrecorded(slot, ex)
		}
	}
	for _, token := range b.Waits() {
		if slot, ex := s.slab.resolve(token); ex != nil {
			s.unrecorded(slot, ex)
		}
	}
	b.Reset()
	s.spare = append(s.spare, b)
}

// unrecorded ends an Exchange of which nothing is on the disk.
func (s *Shard) unrecorded(slot uint32, ex *Exchange) {
	if ex.entered {
		s.hub.later.debts.pay(ex.session)
		if ex.turn {
			s.hub.later.debts.leave(ex.session)
		}
	}
	s.stats.Add(s.ctr.packets[acctRefused], 1)
	s.dropExchange(ex, SpoolUnavailable)
	s.noAnswer(ex)
	s.end(slot)
}

// usage tells the device policy what a session has used so far, and the
// record under which policy that was.
func (s *Shard) usage(ex *Exchange, p *radius.Packet, e *accounting.Event) {
	if ex.route == nil || !ex.route.Policy.Enabled || s.hub.policy == nil {
		return
	}
	if e.Kind != accounting.Start && e.Kind != accounting.Interim && e.Kind != accounting.Stop {
		return
	}
	var user, folded []byte
	if d := &s.router.to; d.folded != nil {
		user, folded = d.user, d.folded
	}
	q := s.query(ex, p, user, folded)
	key, ok := s.hub.policy.KeyOf(&q)
	if !ok {
		return
	}
	s.header.PolicyVersion, s.header.PolicyStale = s.hub.policy.Version(key, q.Now)
	if e.Kind != accounting.Start {
		s.hub.policy.Usage(key, spread(hashBasis, e.SessionID), e.InputOctets+e.OutputOctets, q.Wall)
	}
}

// replayRecord forwards an acknowledged record that has not reached its
// home.
func (s *Shard) replayRecord(r replayed) {
	e := ending{seq: r.seq, session: r.session, how: fateDead, letter: DeadUnreadable, lane: r.lane}
	rec, err := accounting.Decode(r.rec)
	if err != nil || s.again.Parse(rec.Raw) != radius.OK {
		s.ended = append(s.ended, e)
		return
	}
	slot := s.slab.take()
	if slot == noSlot {
		e.how, e.letter = fateBusy, 0
		s.ended = append(s.ended, e)
		return
	}
	ex := s.begin(slot)
	ex.stage, ex.kind, ex.replay = stageWaiting, home.Acct, true
	ex.seq, ex.onDisk, ex.owed = r.seq, true, true
	ex.session, ex.turn, ex.lane = r.session, true, r.lane
	ex.visitor, ex.from = ex.snap.byName[rec.Client], udp.AddrFrom(rec.From)
	if v := ex.visitor; v != nil && v.spec.Transport.Secured() {
		ex.operator = &operator{name: rec.Operator, octets: []byte(rec.Operator)}
	}
	s.slab.keep(ex, rec.Raw)
	if ex.route, ex.barred = ex.snap.wayOf(&rec); ex.route != nil {
		ex.tried = ex.barred
		if ex.seeks = ex.route.Acct < 0; !ex.seeks {
			ex.pool = ex.snap.Homes.Pool(ex.route.Acct, home.Acct)
		}
		p, _ := s.accepted(ex, &s.again)
		name, _ := p.First(radius.UserName)
		ex.key = deviceHash(p, name)
		s.router.to = direction{}
		s.router.identify(&ex.snap.Set.Identity, name)
		ex.shifts = s.router.to.shifts
		s.audit(ex, s.router.to.folded)
		s.forwardAccounting(slot, ex)
	} else {
		s.homeFailed(slot, ex, NoRoute)
	}
	s.settle(slot, ex)
}
