package agent

import (
	"github.com/roamgate/roamgate/pkg/diameter"
)

// answer takes an answer as it came: to the request that has its Hop-by-Hop Identifier
// on that connection, or to nobody (RFC 6733 section 6.2).
//
// hot: 0 allocs
func (lp *loop) answer(l *link, m *diameter.Message, fault diameter.Fault) {
	n := l.node
	lp.stats.Add(n.counts.answers[incoming], 1)
	t := lp.table.find(m.HopByHop)
	switch {
	case t == nil, t.phase != phaseSent, l != t.out && l != t.prior:
		lp.drop(n, LateAnswer)
		return
	case m.EndToEnd != t.endToEnd, m.Command != t.command:
		lp.drop(n, OtherEndToEnd)
		return
	case fault != diameter.NoFault:
		if lp.drop(n, BadAnswer); l == t.out {
			lp.fail(t, BadAnswer)
		}
		return
	}
	result := resultOf(m)
	if lp.elsewhere(t, l, m, result) {
		return
	}
	lp.guard.answered(t.mark, familyOf(result) == familySuccess, lp.now)
	if t.way != nil {
		lp.stats.Add(t.way.results[familyOf(result)], 1)
		lp.stats.Observe(t.way.seconds, lp.now-t.began)
	}
	lp.heardOf(t, result)
	if lp.ledger.answered(&t.voucher, result) == quiet {
		lp.finish(t)
		return
	}
	raw := m.Raw
	if t.reacting && (m.Has(diameter.KnownSupportedFeatures) || m.Has(diameter.KnownOverload)) {
		lp.learn(t, n, m)
		if b := lp.strip(m); b != nil {
			raw = b
		}
	}
	lp.give(t, raw, result)
	lp.finish(t)
}

// resultOf gives the Result-Code of an answer, or its Experimental-Result-Code, 0:
// there is none.
func resultOf(m *diameter.Message) uint32 {
	if v, ok := m.Uint32(diameter.KnownResultCode); ok {
		return v
	}
	var a diameter.AVP
	if diameter.Find(m.Value(diameter.KnownExperimentalResult), diameter.ExperimentalResultCode, 0, &a) {
		v, _ := a.Uint32()
		return v
	}
	return 0
}

// elsewhere sends a request that a peer could not deliver, or was too busy for, to
// another one, unless one host alone can answer it (RFC 6733 section 6.2). The T bit is
// not set for it: nobody has processed it.
func (lp *loop) elsewhere(t *transaction, l *link, m *diameter.Message, result uint32) bool {
	if m.Flags&diameter.FlagError == 0 || result != diameter.ResultUnableToDeliver && result != diameter.ResultTooBusy {
		return false
	}
	if t.fixed || !t.left() || l != t.out {
		return false
	}
	lp.takeBack(t)
	t.prior = nil
	if lp.forward(t) == OK {
		lp.happened(l.node, reroutedSeries, &l.node.counts.rerouted, "")
		return true
	}
	return false
}

// give passes an answer to whoever asked, and to all that have asked again meanwhile.
//
// hot: 0 allocs
func (lp *loop) give(t *transaction, raw []byte, result uint32) {
	if t.entry != 0 {
		lp.remember(t, raw, result)
	}
	lp.hand(t, raw, result)
	for at := t.copies; at != 0; {
		c := lp.table.at(at - 1)
		at = c.next
		lp.hand(c, raw, result)
		lp.finish(c)
	}
	t.copies = 0
}

// hand writes an answer into the queue of the connection that its request came by.
func (lp *loop) hand(t *transaction, raw []byte, result uint32) {
	l := t.from
	if l == nil || l.closed {
		lp.drop(t.of, SenderGone)
		return
	}
	b := l.room(len(raw))
	if b == nil {
		lp.drop(l.node, SenderStalled)
		return
	}
	copy(b, raw)
	diameter.SetHopByHop(b, t.came)
	l.commit(len(raw))
	lp.stats.Add(l.node.counts.answers[outgoing], 1)
	lp.countResult(l.node, result)
}

// unhand is that whoever asked waits no more.
func (lp *loop) unhand(t *transaction) {
	if l := t.from; l != nil {
		lp.table.leave(&l.promised, t, placeGot)
		l.owed--
		t.from = nil
	}
}

// finish ends a transaction.
//
// hot: 0 allocs
func (lp *loop) finish(t *transaction) {
	if t.copies != 0 || t.entry != 0 {
		lp.abandon(t)
	}
	lp.takeBack(t)
	lp.unhand(t)
	if t.counted {
		t.of.held--
		t.of.heldOctets -= cap(t.raw)
	}
	lp.wheel.Cancel(t.slot)
	lp.heardOf(t, 0)
	lp.table.drop(t)
}
