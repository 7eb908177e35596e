package agent

// lost is that a link can be used no more, or not now: its requests go to other peers,
// with the T bit, since it may have had them (RFC 6733 section 5.5.4). It may be called
// again for one that was closed after that.
func (lp *loop) lost(l *link) {
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
			lp.fail(t, PeerLost)
			continue
		}
		lp.stats.Add(n.counts.failedOver, 1)
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
	if n := l.node; l.inside && !n.gateway {
		n.gateway = true
		lp.know(n)
	}
}

// expired is a timer of lp.wheel: nobody has answered in time. The request is not tried
// again: whoever asked decides that.
func (lp *loop) expired(slot uint32) {
	t := lp.table.at(slot)
	switch t.phase {
	case phaseSent:
		lp.stats.Add(t.out.node.counts.timeouts, 1)
		lp.fail(t, Timeout)
	case phasePolicy:
		lp.fail(t, Timeout)
	case phaseFree, phaseBegun, phaseRecord, phaseRepeat:
	}
}
