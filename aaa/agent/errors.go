package agent

import (
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// answerRoom is what an answer of our own takes at most, to a request of so many octets.
func (lp *loop) answerRoom(request int, failed []byte) int {
	n := request + len(failed) + len(lp.conf.Identity) + len(lp.conf.Realm) + 512
	return min(n, diameter.MaxLen)
}

// refuse answers a request here, for a reason. result takes the place of the reason's
// unless it is 0.
//
// hot: 0 allocs
func (lp *loop) refuse(l *link, m *diameter.Message, why Reason, result uint32, failed []byte) {
	lp.count(l.node, why)
	if result == 0 {
		result = why.Result()
	}
	room := l.room(lp.answerRoom(len(m.Raw), failed))
	if room == nil {
		lp.drop(l.node, SenderStalled)
		return
	}
	lp.compose(room, m, why, result, failed)
	lp.said(l, lp.w.Finish(), result)
}

// compose begins an answer of our own.
func (lp *loop) compose(room []byte, m *diameter.Message, why Reason, result uint32, failed []byte) {
	lp.answers.Result, lp.answers.Failed, lp.answers.Text = result, failed, why.Text()
	lp.w.Answer(room, m, &lp.answers)
}

// said sends an answer of our own.
func (lp *loop) said(l *link, b []byte, result uint32) {
	if b == nil {
		return
	}
	l.commit(len(b))
	lp.stats.Add(l.node.counts.answers[outgoing], 1)
	lp.countResult(l.node, result)
}

// turnAway answers a request that goes nowhere.
func (lp *loop) turnAway(l *link, m *diameter.Message, d *direction) {
	if d.why != Redirected {
		lp.refuse(l, m, d.why, d.result, d.failed)
		return
	}
	lp.count(l.node, d.why)
	to := d.way.route.Diameter
	n := lp.answerRoom(len(m.Raw), nil)
	for _, host := range to.Hosts {
		n += 12 + len(host)
	}
	room := l.room(min(n, diameter.MaxLen))
	if room == nil {
		lp.drop(l.node, SenderStalled)
		return
	}
	lp.redirect(room, m, to)
	lp.said(l, lp.w.Finish(), diameter.ResultRedirectIndication)
}

// redirect writes the answer that says where to ask (RFC 6733 section 6.1.8).
func (lp *loop) redirect(room []byte, m *diameter.Message, to *realm.DiameterRoute) {
	lp.compose(room, m, Redirected, diameter.ResultRedirectIndication, nil)
	for _, host := range to.Hosts {
		lp.w.String(diameter.RedirectHost, 0, diameter.AVPMandatory, host)
	}
	lp.w.Uint32(diameter.RedirectHostUsage, 0, diameter.AVPMandatory, to.Usage)
	if to.Usage != 0 {
		lp.w.Uint32(diameter.RedirectMaxCacheTime, 0, diameter.AVPMandatory, to.Cache)
	}
}

// deny gives what a guard says of a request that has no transaction.
func (lp *loop) deny(l *link, m *diameter.Message, v verdict, why Reason) {
	if v.disposition == dropped {
		lp.drop(l.node, Dropped)
		return
	}
	room := l.room(lp.answerRoom(len(m.Raw), nil))
	if room == nil {
		lp.count(l.node, why)
		lp.drop(l.node, SenderStalled)
		return
	}
	b := lp.guard.deny(room, m, v)
	if b == nil {
		lp.refuse(l, m, why, diameter.ResultUnableToComply, nil)
		return
	}
	lp.count(l.node, why)
	lp.said(l, b, v.result)
}

// denied gives what the device policy says of a transaction's request, which is read
// once more: one that was rewritten stands where the answer is to be.
func (lp *loop) denied(t *transaction, v verdict) {
	if v.disposition == dropped {
		lp.drop(t.of, Dropped)
	} else {
		b := lp.guard.deny(lp.scratch, lp.again(t), v)
		if b == nil {
			lp.deliver(t, Denied, diameter.ResultUnableToComply)
			return
		}
		lp.count(t.of, Denied)
		lp.give(t, b, v.result)
	}
	lp.finish(t)
}

// fail ends a transaction that no peer answers.
func (lp *loop) fail(t *transaction, why Reason) {
	lp.takeBack(t)
	lp.heardOf(t, why.Result())
	if !lp.unanswered(t, why) {
		lp.deliver(t, why, why.Result())
	}
}

// deliver gives an error to whoever asked, and ends the transaction.
func (lp *loop) deliver(t *transaction, why Reason, result uint32) {
	lp.count(t.of, why)
	// It is no answer that a repetition should have: who tries again may have more luck.
	lp.repeats.forget(t.entry)
	t.entry = 0
	lp.compose(lp.scratch, lp.again(t), why, result, nil)
	if b := lp.w.Finish(); b != nil {
		lp.give(t, b, result)
	}
	lp.finish(t)
}

// abandon ends what waits for the answer of a transaction that has none.
func (lp *loop) abandon(t *transaction) {
	for at := t.copies; at != 0; {
		c := lp.table.at(at - 1)
		at = c.next
		lp.finish(c)
	}
	t.copies = 0
	lp.repeats.forget(t.entry)
	t.entry = 0
}
