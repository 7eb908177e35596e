package aaa

import (
	"math"
	"slices"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// noSocket is the socket of an Exchange that waits for its turn at its home.
const noSocket = int32(-1)

// forwardAuth sends an Access-Request to a home of its pool.
func (s *Shard) forwardAuth(slot uint32, ex *Exchange, p *radius.Packet) {
	if ex.seeks {
		if why := s.seek(slot, ex); why != OK {
			s.refuse(slot, ex, why)
		}
		return
	}
	why := s.choose(slot, ex, p)
	if why == OK && ex.sock != noSocket {
		why = s.transmit(slot, ex)
	}
	switch {
	case why == OK && ex.sock == noSocket:
		s.turns(ex.homeIdx, home.Auth) // what was lost there makes room without a word
	case why == OK:
	case why == HomeBusy:
		s.discard(slot, ex)
	default:
		s.refuse(slot, ex, why)
	}
}

// choose picks a home and takes an identifier for it. Members that have no
// identifier left are passed over, and so are those that have enough to do:
// where there is no other, the Exchange waits for its turn at the first of
// them, without a socket.
func (s *Shard) choose(slot uint32, ex *Exchange, p *radius.Packet) Reason {
	sticky := int32(-1)
	if state, ok := p.First(radius.State); ok && ex.kind == home.Auth {
		own, any := s.conversation(ex, state)
		if idx, found := s.hub.sticky.Find(own, s.now); found {
			sticky = idx
		} else if idx, found := s.hub.sticky.Find(any, s.now); found {
			sticky = idx
		}
	}
	a := s.homeAsk(ex, p, sticky)
	wait, busy := int32(-1), false
	for {
		a.Exclude = ex.tried
		idx, why := ex.pool.Pick(&a)
		switch {
		case why == home.OK:
		case wait >= 0:
			s.await(slot, ex, wait)
			return OK
		case busy:
			return HomeBusy
		case why == home.AllDown:
			return HomesDown
		case why == home.Silent:
			return RealmSilent
		case ex.tried != ex.barred:
			return HomeTimeout
		default:
			return NoPool
		}
		ex.tried |= ex.pool.Bit(idx)
		switch s.pace.Ask(idx, ex.kind, ex.stateful || ex.kind == home.Acct, s.now) {
		case home.Go:
			switch {
			case s.engage(slot, ex, idx):
				return OK
			case !ex.snap.Homes.Home(idx).Stream(), s.trunkAt(idx, ex.kind) == nil:
			case ex.replay:
				busy = true
			case idx == sticky || s.hopeful(idx, ex.kind):
				s.await(slot, ex, idx)
				return OK
			case wait < 0:
				wait = idx
			}
		case home.Wait:
			switch {
			case idx == sticky: // no other knows the conversation
				s.await(slot, ex, idx)
				return OK
			case ex.replay: // it comes again by itself
				busy = true
			case wait < 0:
				wait = idx
			}
		default:
			busy = true
		}
	}
}

// engage takes an identifier of a home for the Exchange.
func (s *Shard) engage(slot uint32, ex *Exchange, idx int32) bool {
	hm := ex.snap.Homes.Home(idx)
	if hm.Stream() {
		if !s.engageLink(slot, ex, hm) {
			return false
		}
	} else if !s.engageSocket(slot, ex, hm) {
		return false
	}
	ex.homeIdx, ex.sent, ex.rt = idx, 0, 0
	ex.nonce = s.nonceFor(idx)
	s.stats.Add(ex.snap.homeStats[idx].requests[ex.kind], 1)
	return true
}

// engageSocket takes an identifier under one of the shard's sockets.
func (s *Shard) engageSocket(slot uint32, ex *Exchange, hm *home.Home) bool {
	line := hm.Line[ex.kind]
	sock, id, ok := s.ids.Acquire(line, hm.Addr[ex.kind].V4, slot, s.now)
	if !ok {
		s.stats.Add(s.ctr.local[NoIdentifier], 1)
		s.note(NoIdentifier, hm.Spec.Name, hm.Addr[ex.kind])
		return false
	}
	hm.Load[ex.kind].Set(s.index, s.ids.Outstanding(line))
	ex.link, ex.sock, ex.homeID, ex.homeSecret = nil, int32(sock), id, hm.Secret
	s.crypt.Random(ex.homeAuth[:])
	return true
}

// await lets the Exchange wait for its turn at a home.
func (s *Shard) await(slot uint32, ex *Exchange, idx int32) {
	ex.homeIdx, ex.link, ex.sock, ex.sent, ex.rt = idx, nil, noSocket, 0, 0
	if oldest, full := s.pace.Enqueue(slot, idx, ex.kind, s.now); full {
		s.discard(oldest, s.slab.at(oldest))
	}
	s.wheel.Set(slot, s.patient(ex))
}

// patient is how long an Exchange may wait for a turn.
func (s *Shard) patient(ex *Exchange) int64 {
	return min(s.now+int64(home.Patience), ex.began+int64(ex.pool.Timers.MRD))
}

// turns lets those have their turn that the home can take now. Where it has
// fallen silent they go to another one, as those do that it has not answered.
// There may be thousands of them, so some at a time: the others' packets must
// not wait for all of them.
func (s *Shard) turns(idx int32, kind home.Kind) {
	l := line{idx, kind}
	if slices.Contains(s.goOn, l) {
		return
	}
	for range turnsAtOnce {
		slot, ok := s.pace.Next(idx, kind, s.now)
		if !ok {
			return
		}
		ex := s.slab.at(slot)
		switch {
		case ex.orphan() && kind == home.Auth:
			s.end(slot)
			continue
		case !s.well(ex) && s.failOver(slot, ex):
			continue
		case ex.sock != noSocket:
			s.stats.Add(ex.snap.homeStats[idx].retransmits[kind], 1)
		case s.engage(slot, ex, idx):
		case ex.snap.Homes.Home(idx).Stream() && s.astray(idx, kind) && s.failOver(slot, ex):
			continue
		case ex.snap.Homes.Home(idx).Stream():
			s.hold(slot, ex)
			return
		default:
			s.await(slot, ex, idx) // nor is there an identifier for the next
			return
		}
		if why := s.transmit(slot, ex); why != OK {
			s.giveUp(slot, ex, why)
		}
	}
	s.goOn = append(s.goOn, l)
}

// turnsAtOnce is how many requests have their turn at a home before others do
// something.
const turnsAtOnce = batchSize

// line is where requests wait for their turn.
type line struct {
	home int32
	kind home.Kind
}

// moreTurns goes on where turns has stopped.
func (s *Shard) moreTurns() {
	now := s.goOn
	s.goOn, s.spareLines = s.spareLines[:0], now
	for _, l := range now {
		s.turns(l.home, l.kind)
	}
}

// discard ends a request that its home has no room for, without a word: what
// RADIUS has against congestion is the client's own repetition with its
// backoff (RFC 5080 section 2.2.1). A record that is acknowledged stays owed.
func (s *Shard) discard(slot uint32, ex *Exchange) {
	if ex.kind == home.Acct {
		s.giveUp(slot, ex, HomeBusy)
		return
	}
	if !ex.orphan() && ex.told() {
		s.refuse(slot, ex, HomeBusy) // its peers have agreed that there is always an answer
		return
	}
	if !ex.orphan() {
		s.dropExchange(ex, HomeBusy)
		s.noAnswer(ex)
	}
	s.end(slot)
}

// transmit builds the request for its home and queues it. The same
// Exchange, home and identifier always give the same octets (RFC 2865
// section 2.5), so nothing but the client's request is kept.
func (s *Shard) transmit(slot uint32, ex *Exchange) Reason {
	hm := ex.snap.Homes.Home(ex.homeIdx)
	p, why := s.outgoing(ex, s.parsed(ex), ex.homeIdx)
	if why != OK {
		return why
	}
	room := s.roomAtHome(ex)
	switch {
	case room == nil && ex.sock == noSocket:
		return OK // its connection has just ended, and it waits for another
	case room == nil:
		s.leaveHome(slot, ex, false)
		return HomeStalled
	}
	bad := s.crypt.ForwardRequest(&s.w, room, p, ex.homeID, &ex.homeAuth, ex.secret, ex.homeSecret, s.seal(ex.nonce))
	if bad != radius.OK {
		return ofRadius(bad)
	}
	var out []byte
	if ex.kind == home.Acct {
		// Its authenticator is a hash of the packet, and the answer is
		// verified with it (RFC 2866 section 3).
		out = s.signatures.Accounting(&s.w, ex.homeSecret)
		s.unsigned = append(s.unsigned, unsigned{b: out, token: s.slab.token(slot)})
	} else {
		out = s.signatures.Request(&s.w, ex.homeSecret)
	}
	if ex.link != nil {
		s.commitTo(ex.link.conn, len(out))
	} else {
		sock := &s.homes[ex.sock]
		sock.queue.Commit(len(out), hm.Addr[ex.kind], udp.LocalInfo{})
		sock.dirty = true
	}
	if ex.sent == 0 {
		ex.firstAt = s.now
		s.track(ex, out)
	}
	ex.sent = min(ex.sent, math.MaxUint8-1) + 1 // a client may repeat for ever
	ex.sentAt = s.now
	s.pace.Sent(slot, ex.homeIdx, ex.kind, s.now)
	if !s.silent(ex) {
		hm.State[ex.kind].Sent(s.now)
	}
	s.arm(slot, ex)
	return OK
}

// roomAtHome lends room to build the request of an Exchange in, nil: its
// connection takes no more, or has ended by what stood before it.
func (s *Shard) roomAtHome(ex *Exchange) []byte {
	if ex.link != nil {
		return s.roomOf(ex.link.conn)
	}
	return s.room(s.homes[ex.sock].queue)
}

// arm sets the timer of the next transmission, or of giving up.
func (s *Shard) arm(slot uint32, ex *Exchange) {
	t := &ex.pool.Timers
	end := ex.began + int64(t.MRD)
	if ex.link == nil && ex.clientRepeats() {
		s.wheel.Set(slot, end)
		return
	}
	if s.pace.Paced(ex.homeIdx, ex.kind) {
		ex.rt = t.Next(0, 1, s.random32())
	} else {
		ex.rt = t.Next(ex.rt, int(ex.sent), s.random32())
	}
	s.wheel.Set(slot, min(s.now+ex.rt, end))
}

func (s *Shard) random32() uint32 {
	var b [4]byte
	s.crypt.Random(b[:])
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// expire is the wheel's call: the home has not answered in time, or has had no
// room for the request.
func (s *Shard) expire(slot uint32) {
	ex := s.slab.at(slot)
	switch {
	case ex.stage == stageDelayed && ex.orphan():
		s.end(slot)
		return
	case ex.stage == stageDelayed:
		s.reject(slot, ex, ex.why)
		return
	case ex.stage != stageWaiting || ex.homeIdx < 0:
		return
	}
	idx, kind := ex.homeIdx, ex.kind
	if s.pace.Queued(slot) {
		s.waitedLong(slot, ex)
	} else {
		s.unanswered(slot, ex)
	}
	s.turns(idx, kind)
}

// waitedLong ends the wait for a turn. Where the client still asks, its next
// repetition is a new request and goes before others.
func (s *Shard) waitedLong(slot uint32, ex *Exchange) {
	health, _ := ex.snap.Homes.Home(ex.homeIdx).State[ex.kind].Health()
	switch {
	case ex.orphan() && ex.kind == home.Auth:
		s.end(slot)
	case health != home.Up && s.failOver(slot, ex):
	case s.now-ex.began >= int64(ex.pool.Timers.MRD), ex.snap.Homes.Home(ex.homeIdx).Stream() && s.astray(ex.homeIdx, ex.kind):
		s.giveUp(slot, ex, HomeTimeout)
	default:
		s.discard(slot, ex)
	}
}

func (s *Shard) unanswered(slot uint32, ex *Exchange) {
	hm := ex.snap.Homes.Home(ex.homeIdx)
	ctr := ex.snap.homeStats[ex.homeIdx]
	silent := s.noteSilence(ex, hm)
	s.stats.Add(ctr.timeouts[ex.kind], 1)
	again := !ex.arrives() && s.pace.Expired(slot, s.now)
	if ex.orphan() && ex.kind == home.Auth {
		s.end(slot)
		return
	}
	t := &ex.pool.Timers
	if s.now-ex.began >= int64(t.MRD) {
		s.giveUp(slot, ex, HomeTimeout)
		return
	}
	if (silent || !s.well(ex)) && s.failOver(slot, ex) {
		return
	}
	if int(ex.sent) >= t.MRC || ex.link == nil && ex.clientRepeats() {
		s.giveUp(slot, ex, HomeTimeout)
		return
	}
	if ex.arrives() {
		// It arrives, so it is sent once (draft-ietf-radext-radiusdtls-bis section
		// 3.9.2): the timer goes on for the sake of another home.
		s.pace.Overdue(slot, s.now)
		ex.sent++
		s.arm(slot, ex)
		return
	}
	if !again {
		s.wheel.Set(slot, s.patient(ex))
		return
	}
	s.stats.Add(ctr.retransmits[ex.kind], 1)
	if why := s.transmit(slot, ex); why != OK {
		s.giveUp(slot, ex, why)
	}
}

// well reports whether the home of an Exchange is up.
func (s *Shard) well(ex *Exchange) bool {
	health, _ := ex.snap.Homes.Home(ex.homeIdx).State[ex.kind].Health()
	return health == home.Up
}

// failOver moves an Exchange to another home of its pool; false: it stays.
// One that carries State stays while its home may still answer: no other
// home knows that conversation.
func (s *Shard) failOver(slot uint32, ex *Exchange) bool {
	health, _ := ex.snap.Homes.Home(ex.homeIdx).State[ex.kind].Health()
	down := health == home.Down
	if ex.stateful && !down {
		return false
	}
	old := *ex
	if why := s.choose(slot, ex, s.parsed(ex)); why != OK {
		if down {
			s.giveUp(slot, ex, HomesDown)
		}
		return down
	}
	if old.sock != noSocket {
		s.release(&old, false)
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

// leaveHome gives the identifier back. One that was sent and not answered
// rests; one that never left is free at once, or requests we refuse would use
// them up.
func (s *Shard) leaveHome(slot uint32, ex *Exchange, answered bool) {
	if ex.homeIdx < 0 {
		return
	}
	s.pace.Leave(slot)
	if ex.sock != noSocket {
		s.release(ex, answered || ex.sent == 0)
	}
	ex.homeIdx = -1
}

func (s *Shard) release(ex *Exchange, free bool) {
	if l := ex.link; l != nil {
		if !l.conn.closed {
			l.Give(ex.number, free, s.now)
			s.loadLink(l.trunk)
		}
		ex.link = nil
		return
	}
	hm := ex.snap.Homes.Home(ex.homeIdx)
	line := hm.Line[ex.kind]
	s.ids.Release(int(ex.sock), line, ex.homeID, free, s.now)
	hm.Load[ex.kind].Set(s.index, s.ids.Outstanding(line))
}

// giveUp ends an Exchange whose homes do not answer. An Access-Request is
// refused; an accounting record that nobody acknowledged is left to the
// client's own repetition, and one that is acknowledged stays marked in the
// spool for a later try.
func (s *Shard) giveUp(slot uint32, ex *Exchange, why Reason) {
	if ex.kind == home.Auth {
		s.refuse(slot, ex, why)
		return
	}
	s.wheel.Cancel(slot)
	s.homeFailed(slot, ex, why)
	s.settle(slot, ex)
}

// noAnswer lets the client's repetition be tried again. One that was displaced
// has been counted as such.
func (s *Shard) noAnswer(ex *Exchange) {
	if ex.orphan() {
		return
	}
	s.dups.Forget(ex.entry)
	s.stats.Add(ex.snap.clientStats[ex.client.Index].responses[ex.kind][resultNone], 1)
}
