package agent

import (
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// lost is that a link can be used no more, or not now. It may be called again for one
// that was closed after that, and from within: a queue that is asked for room can find
// that its connection broke. What is being done goes on first.
func (lp *loop) lost(l *link) {
	if lp.later = append(lp.later, l); !lp.walking {
		lp.walked()
	}
}

// walked ends what was begun with walking, and sees to the links that were lost by it.
func (lp *loop) walked() {
	lp.walking = true
	for i := 0; i < len(lp.later); i++ {
		lp.handOver(lp.later[i])
	}
	clear(lp.later)
	lp.later, lp.walking = lp.later[:0], false
}

// handOver gives the requests of a link to other peers, with the T bit, since it may
// have had them (RFC 6733 section 5.5.4), those of a high priority first (RFC 7944). Who
// has asked by it is gone if it is closed.
func (lp *loop) handOver(l *link) {
	lp.table.rank(&l.pending)
	for at := l.pending.first; at != 0; at = l.pending.first {
		t := lp.table.at(at - 1)
		n := l.node
		lp.takeBack(t)
		if t.prior = l; l.closed {
			t.prior = nil
		}
		if t.pool != nil && n.able() {
			t.untry(n) // it has another connection
		}
		t.retried = true
		if why := lp.forward(t); why != OK {
			lp.failLost(t)
			continue
		}
		lp.happened(n, failedOverSeries, &n.counts.failedOver, "")
	}
	if !l.closed {
		return
	}
	for at := l.promised.first; at != 0; at = l.promised.first {
		t := lp.table.at(at - 1)
		lp.unhand(t)
		if t.phase == phaseRepeat {
			lp.unlink(t)
			lp.finish(t)
		}
	}
}

// roomAgain is when the queue of a sender is looked at again.
const roomAgain = int64(200 * time.Millisecond)

// failLost ends a transaction whose peer was lost. Very many can be lost at once: where
// the sender has not taken the errors of others yet, this one waits for room as long as
// its answer would have been waited for.
func (lp *loop) failLost(t *transaction) {
	h := diameter.Header{Command: t.command, Application: t.application}
	l := t.from
	if l == nil || l.closed || lp.now+roomAgain >= t.began+t.way.deadlineOf(&h) || l.room(lp.answerRoom(len(t.raw), nil)) != nil {
		lp.fail(t, PeerLost)
		return
	}
	t.phase = phaseLost
	lp.wheel.Set(t.slot, lp.now+roomAgain)
}

// untry lets a member have the request once more.
func (t *transaction) untry(n *node) {
	for i := range t.pool.members {
		if t.pool.members[i].node == n {
			t.tried &^= 1 << i
		}
	}
}

// opened is that requests may be sent by a link. None waits for one.
func (lp *loop) opened(l *link) {
	n := l.node
	if l.inside && !n.gateway {
		n.gateway = true
		lp.know(n)
	}
	n.counts.register(lp.agent.rooms.Stats, n.peer.Name)
}

// expired is a timer of lp.wheel: nobody has answered in time. The request is not tried
// again: whoever asked decides that.
func (lp *loop) expired(slot uint32) {
	t := lp.table.at(slot)
	lp.walking = true
	switch t.phase {
	case phaseSent:
		lp.happened(t.out.node, timeoutSeries, &t.out.node.counts.timeouts, "")
		lp.fail(t, Timeout)
	case phaseLost:
		lp.failLost(t)
	case phasePolicy, phaseBegun: // the latter where a mistake of ours left it
		lp.fail(t, Timeout)
	case phaseFree, phaseRecord, phaseRepeat:
	}
	lp.walked()
}
