package agent

import (
	"github.com/roamgate/roamgate/pkg/diameter"
)

// request takes a request as it came. The order is that of the package's walk.
func (lp *loop) request(l *link, m *diameter.Message, fault diameter.Fault) {
	n := l.node
	lp.stats.Add(n.counts.requests[incoming], 1)
	lp.stats.Add(lp.commands[commandOf(m.Application, m.Command)], 1)
	if fault != diameter.NoFault {
		lp.refuse(l, m, ofFault(fault), 0, m.Failed)
		return
	}
	priority := priorityOf(m)
	inside := n.gateway
	if !inside && n.index < 0 {
		lp.refuse(l, m, PeerRemoved, 0, nil) // nothing says any more what it may ask for
		return
	}
	if !inside && !n.bucket.take(lp.now, n.peer.Rate, n.peer.Burst, priority) {
		lp.refuse(l, m, RateExceeded, 0, nil)
		return
	}
	client := lp.clientOf(n)
	lp.asked = asked{m: m, peer: n.index, client: client, now: lp.now, wall: lp.wall / 1e9}
	if !inside {
		if v := lp.guard.screened(&lp.asked); v.disposition != passed {
			lp.deny(l, m, v, Screened)
			return
		}
	}
	e, again := entry(0), false
	if !inside && repeatable(m) {
		if e, again = lp.repetition(l, m, priority); again {
			return
		}
	}
	lp.asking = asking{atlas: lp.atlas, from: n, gateway: lp.inside, client: client, now: lp.now, wall: lp.wall / 1e9}
	d := lp.router.decide(&lp.asking, m)
	if d.way != nil {
		lp.stats.Add(d.way.requests, 1)
	}
	if d.why == OK && d.realm != nil && !lp.undecorate(m, d) {
		d.why = BadName
	}
	reacting := d.why == OK && reacts(d, m)
	if reacting && !d.fixed && lp.abates(reportRealm, m.Application, d.folded, priority) {
		d.why, d.result = Overloaded, diameter.ResultUnableToComply // another way would not help
	}
	if d.why != OK {
		lp.repeats.forget(e)
		lp.turnAway(l, m, d)
		return
	}
	t := lp.transact(l, m, priority, e)
	if t == nil {
		lp.repeats.forget(e)
		lp.refuse(l, m, NoSlot, 0, nil)
		return
	}
	t.way, t.pool, t.only, t.tried, t.fixed, t.reacting, t.key = d.way, d.pool, d.only, d.barred, d.fixed, reacting, d.key
	t.mark = lp.asked.mark
	lp.police(t, m)
}

// transact gives a request a transaction.
func (lp *loop) transact(l *link, m *diameter.Message, priority uint8, e entry) *transaction {
	// One peer alone may not have all there is, by what its requests take and not by
	// what they are long.
	n := l.node
	if n.held >= lp.table.most/2 || n.heldOctets+sizeOf(len(m.Raw)) > lp.table.store.most/2 {
		return nil
	}
	t := lp.table.take()
	if t == nil {
		return nil
	}
	if t.raw = lp.table.store.lend(len(m.Raw)); t.raw == nil {
		lp.table.drop(t)
		return nil
	}
	n.held++
	n.heldOctets += cap(t.raw)
	t.counted = true
	copy(t.raw, m.Raw)
	t.from, t.of, t.client, t.came, t.endToEnd = l, l.node, lp.clientOf(l.node), m.HopByHop, m.EndToEnd
	t.command, t.application, t.priority, t.began, t.entry = m.Command, m.Application, priority, lp.now, e
	lp.table.enter(&l.promised, t, placeGot)
	l.owed++
	lp.repeats.begin(e, t.slot)
	lp.wheel.Set(t.slot, lp.now+farthest)
	return t
}

// police asks the device policy, and goes on.
func (lp *loop) police(t *transaction, m *diameter.Message) {
	if t.way != nil && (t.way.route.Policy.Enabled || t.way.route.Steering != nil) && !t.of.gateway {
		lp.asked = asked{
			m: m, peer: t.of.index, client: t.client, route: t.way.route, now: lp.now, wall: lp.wall / 1e9,
			waited: t.waited, waiter: lp.agent, token: uint64(t.number), mark: t.mark,
		}
		v := lp.guard.police(&lp.asked)
		t.mark = lp.asked.mark
		switch v.disposition {
		case deferred:
			t.phase = phasePolicy
			lp.wheel.Set(t.slot, t.began+t.way.deadlineOf(&m.Header))
			return
		case passed:
		default:
			lp.denied(t, v)
			return
		}
	}
	lp.report(t, m)
}

// PolicyReady wakes the transaction whose device policy has been fetched. It is safe
// for concurrent use.
func (a *Agent) PolicyReady(token uint64) { a.loop.do(func() { a.loop.policyReady(token) }) }

// policyReady goes on with a transaction that waited for the device policy.
func (lp *loop) policyReady(token uint64) {
	t := lp.table.find(uint32(token))
	if t == nil || t.phase != phasePolicy {
		return
	}
	t.phase, t.waited = phaseBegun, true
	lp.walking = true
	lp.police(t, lp.again(t))
	lp.walked()
}

// again reads the request of a transaction once more.
func (lp *loop) again(t *transaction) *diameter.Message {
	lp.kept.Parse(t.raw)
	return &lp.kept
}

// dispatch sends a request to a peer, or says why that cannot be.
func (lp *loop) dispatch(t *transaction) {
	if why := lp.forward(t); why != OK {
		lp.fail(t, why)
	}
}
