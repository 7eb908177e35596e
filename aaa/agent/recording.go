package agent

import (
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
)

// report has the ledger record what is to be recorded, and goes on. What comes from the
// gateway to RADIUS, or goes to it, the walk of RADIUS records.
func (lp *loop) report(t *transaction, m *diameter.Message) {
	if lp.ledger.spool == nil || !records(m) || t.of.gateway || t.only != nil && t.only.gateway {
		lp.signal(t, m)
		lp.dispatch(t)
		return
	}
	q := lp.reportedOf(t, m)
	lp.proceed(t, lp.ledger.record(&t.voucher, &q))
}

func (lp *loop) reportedOf(t *transaction, m *diameter.Message) reported {
	q := reported{
		m: m, client: t.client, wall: lp.wall - (lp.now - t.began), token: uint64(t.number),
		realm: folded(&lp.fold, m.Value(diameter.KnownDestinationRealm)),
	}
	if t.way != nil {
		q.route = t.way.route
	}
	if t.from != nil {
		q.from = t.from.Remote()
	}
	return q
}

// folded is a realm as routes and records have it.
func folded(dst *[nai.MaxLen]byte, v []byte) []byte {
	if len(v) > nai.MaxLen {
		return nil
	}
	return nai.Fold(dst, v)
}

// voucherOf implements settler.
func (lp *loop) voucherOf(token uint64) (v *voucher, q reported, ok bool) {
	t := lp.table.find(uint32(token))
	if t == nil || t.phase != phaseRecord {
		return nil, q, false
	}
	return &t.voucher, lp.reportedOf(t, lp.again(t)), true
}

// settle implements settler.
func (lp *loop) settle(token uint64, c course) {
	if t := lp.table.find(uint32(token)); t != nil && t.phase == phaseRecord {
		t.phase = phaseBegun
		lp.walking = true
		lp.proceed(t, c)
		lp.walked()
	}
}

// proceed does what the ledger says.
func (lp *loop) proceed(t *transaction, c course) {
	switch c {
	case goesOn:
		lp.dispatch(t)
	case waits:
		t.phase = phaseRecord
	case accepted:
		lp.vouch(t)
		lp.finish(t)
	case acceptedGoesOn:
		lp.vouch(t)
		lp.dispatch(t)
	case refuses:
		lp.deliver(t, NotRecorded, t.voucher.result)
	case quiet:
		lp.finish(t)
	}
}

// vouch answers a request for accounting whose record is safe here.
func (lp *loop) vouch(t *transaction) {
	m := lp.again(t)
	lp.answers.Result, lp.answers.Failed, lp.answers.Text = diameter.ResultSuccess, nil, ""
	lp.w.Answer(lp.scratch, m, &lp.answers)
	acknowledge(&lp.w, m)
	if b := lp.w.Finish(); b != nil {
		lp.give(t, b, diameter.ResultSuccess)
	}
	lp.unhand(t)
}

// unanswered lets the ledger say what becomes of a request that no peer has answered.
// false: the sender gets an error.
func (lp *loop) unanswered(t *transaction, why Reason) bool {
	c := lp.ledger.failed(&t.voucher, why.fate())
	if c == goesOn {
		return false
	}
	lp.count(t.of, why)
	lp.proceed(t, c)
	return true
}

// fate is what a failure means for a record that is owed.
func (r Reason) fate() Fate {
	switch r {
	case Busy, NoSlot, Overloaded:
		return FateBusy
	case PeersDown, NoPool, HostAway, ApplicationNotServed:
		return FateDown
	case TooLong:
		return FateTooLong
	case Timeout, PeerLost, BadAnswer:
		return FateSilent
	}
	return FateHeld
}

// SpoolDone hands a batch back whose commit has ended. It is safe for concurrent use.
func (a *Agent) SpoolDone(b *spool.Batch) { post(a.loop, &a.loop.mail.spooled, b) }

// Carry has a record brought to its home that is owed to it; Creditor.Ended says what
// became of it. It is safe for concurrent use.
func (a *Agent) Carry(o Owed) { post(a.loop, &a.loop.mail.owed, o) }

// carry sends a record that is owed as its request came, with the T bit: a home may have
// it already.
func (lp *loop) carry(o Owed) {
	ended := func(how Fate) {
		lp.ledger.ended = append(lp.ledger.ended, Ending{Seq: o.Seq, Session: o.Session, Fate: how, Lane: o.Lane})
	}
	rec, m, ok := lp.readOwed(o.Record)
	if !ok {
		ended(FateForeign)
		return
	}
	of, client := lp.senderOf(rec.Client)
	lp.asking = asking{atlas: lp.atlas, gateway: lp.inside, client: client, now: lp.now, wall: lp.wall / 1e9}
	d := lp.router.decide(&lp.asking, m)
	if d.why != OK {
		ended(d.why.fate())
		return
	}
	if d.only != nil && d.only.gateway {
		ended(FateHeld) // its realm is translated by now, and RADIUS counts its records otherwise
		return
	}
	t := lp.table.take()
	if t == nil {
		ended(FateBusy)
		return
	}
	room := lp.aged(m, (lp.wall-rec.Time)/1e9)
	if t.raw = lp.table.store.lend(len(room)); t.raw == nil {
		lp.table.drop(t)
		ended(FateBusy)
		return
	}
	copy(t.raw, room)
	t.of, t.client, t.endToEnd, t.command, t.application, t.began = of, client, m.EndToEnd, m.Command, m.Application, lp.now
	t.priority, t.retried = leastPriority, true
	t.way, t.pool, t.only, t.tried, t.fixed, t.key = d.way, d.pool, d.only, d.barred, d.fixed, d.key
	t.voucher = voucher{seq: o.Seq, session: o.Session, lane: o.Lane, stage: recorded | entered | turned | early | answered}
	lp.walking = true
	lp.dispatch(t)
	lp.walked()
}

// leastPriority lets what somebody waits for go first (RFC 7944).
const leastPriority = 15

// senderOf gives who sent a record: the node of the client, and one that stands for it
// where it is none any more.
func (lp *loop) senderOf(client string) (*node, *realm.Client) {
	for _, n := range lp.nodes {
		if n == nil {
			continue
		}
		if c := lp.clientOf(n); c.Name == client {
			return n, c
		}
	}
	if lp.former == nil {
		lp.former = &node{peer: &realm.Peer{Name: "none"}, index: -1}
		lp.former.counts.register(lp.agent.rooms.Stats, "none")
	}
	return lp.former, nobody
}
