package agent

import (
	"math/bits"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// forward sends the request of a transaction to the best peer that has not had it.
//
// hot: 0 allocs
func (lp *loop) forward(t *transaction) Reason {
	if t.only != nil {
		switch n := t.only; {
		case !n.gateway && !n.able():
			return HostAway
		case !n.gateway && !n.serves(t.application):
			return ApplicationNotServed
		case n.full(t.priority):
			return Busy
		case lp.spares(t, n):
			return Overloaded
		default:
			return lp.sendTo(t, n)
		}
	}
	worst := OK
	for {
		at, why := t.pool.choose(t.tried, t.application, t.priority, t.key)
		if at < 0 {
			return max(why, worst)
		}
		t.tried |= 1 << at
		n := t.pool.members[at].node
		if lp.spares(t, n) {
			worst = max(worst, Overloaded)
		} else if why = lp.sendTo(t, n); why == OK {
			return OK
		}
		worst = max(why, worst)
	}
}

// spares reports whether a host is not asked because it wants to have less.
func (lp *loop) spares(t *transaction, n *node) bool {
	return t.reacting && !n.gateway && len(lp.overload.reports) > 0 && lp.abates(reportHost, t.application, n.identity, t.priority)
}

// sendTo writes the request into the queue of a connection with the node.
//
// hot: 0 allocs
func (lp *loop) sendTo(t *transaction, n *node) Reason {
	size := len(t.raw) + len(t.of.record)
	if t.reacting {
		size += len(ourFeatures)
	}
	if size > diameter.MaxLen {
		return TooLong
	}
	for range n.links {
		l := n.link()
		if l == nil {
			return PeersDown
		}
		room := l.room(size)
		if room == nil {
			continue
		}
		lp.w.Copy(room, t.raw)
		if lp.w.Raw(t.of.record); t.reacting {
			lp.w.Raw(ourFeatures)
		}
		b := lp.w.Finish()
		if b == nil {
			return TooLong
		}
		diameter.SetHopByHop(b, t.number)
		if t.retried {
			diameter.SetFlags(b, diameter.Flags(b[4])|diameter.FlagRetransmitted)
		}
		l.commit(len(b))
		lp.sentBy(t, l)
		return OK
	}
	return Busy
}

// sentBy notes who has the request.
func (lp *loop) sentBy(t *transaction, l *link) {
	t.phase, t.out = phaseSent, l
	lp.table.enter(&l.pending, t, placeSent)
	l.awaited++
	l.node.flight++
	lp.stats.Add(l.node.counts.requests[outgoing], 1)
	if t.retried {
		lp.happened(l.node, retransmittedSeries, &l.node.counts.retransmitted, "")
	}
	h := diameter.Header{Command: t.command, Application: t.application}
	lp.wheel.Set(t.slot, max(t.began+t.way.deadlineOf(&h), lp.now+leastDeadline))
}

// takeBack takes the request from the peer that has it.
func (lp *loop) takeBack(t *transaction) {
	if l := t.out; l != nil {
		lp.table.leave(&l.pending, t, placeSent)
		l.awaited--
		l.node.flight--
		t.out = nil
	}
}

// left reports whether a member of the pool has not had the request yet.
func (t *transaction) left() bool {
	return t.pool != nil && bits.OnesCount64(t.tried) < len(t.pool.members)
}
