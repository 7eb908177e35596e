package agent

import (
	"slices"

	"github.com/roamgate/roamgate/aaa/peer"
)

// event tells the machine of a lane, and does what it says. at is the connection that
// the event came by, nil: none.
func (lp *loop) event(ln *lane, e peer.Event, at *link) { lp.act(ln, ln.machine.On(e, lp.now), at) }

// due is a timer of a lane.
func (lp *loop) due(slot uint32) {
	if ln := lp.lanes[slot]; ln != nil {
		was := ln.machine.State()
		do := ln.machine.Expire(lp.now)
		if was.Open() && do.Has(peer.IDisc|peer.RDisc) {
			lp.watched(ln.node, watchClosed)
		}
		lp.act(ln, do, nil)
	}
}

// act does what a machine says.
func (lp *loop) act(ln *lane, do peer.Actions, at *link) {
	was := ln.link
	if do.Has(peer.Accept) {
		ln.r, at.lane = at, ln
		lp.conns.knows(at)
	}
	if do.Has(peer.Reject) {
		lp.reject(at)
	}
	switch ln.machine.State() {
	case peer.IOpen:
		ln.link = ln.i
	case peer.ROpen:
		ln.link = ln.r
	}
	if do.Has(peer.Failover) && was != nil {
		lp.unable(was, true)
		if ln.machine.Watch() == peer.Suspect {
			lp.watched(ln.node, watchSuspect)
			lp.noteState(ln, "peer is suspect")
		}
	}
	if do.Has(peer.IDisc) {
		ln.dialed++ // what has not come yet is not wanted any more
		if i := ln.i; i != nil {
			ln.i = nil
			lp.disconnect(ln, i)
		}
	}
	if do.Has(peer.RDisc) {
		if r := ln.r; r != nil {
			ln.r = nil
			lp.disconnect(ln, r)
		}
	}
	if do.Has(peer.Connect) {
		lp.connect(ln)
	}
	if do.Has(peer.SendCER) {
		lp.sendCER(ln.i)
	}
	if do.Has(peer.SendCEA) {
		lp.sendCEA(ln)
	}
	if do.Has(peer.Failback) {
		lp.usable(ln.link)
	}
	if do.Has(peer.SendDWR) {
		lp.sendDWR(ln.link)
	}
	if do.Has(peer.SendDPR) {
		lp.sendDPR(ln.link, ln.node.cause())
	}
	if do.Has(peer.Elect) && peer.Wins(lp.conf.Identity, ln.node.peer.Identity) {
		lp.event(ln, peer.WinElection, nil)
		return
	}
	lp.timer(ln)
	if ln.link != nil && !ln.machine.State().Open() && ln.machine.State() != peer.Closing {
		ln.link = nil
	}
	ln.node.published()
}

// disconnect closes a connection that a lane has let go of.
func (lp *loop) disconnect(ln *lane, l *link) {
	why := closedElection
	switch {
	case l.ending != staysOpen:
		why = l.ending
	case l == ln.link && ln.machine.Watch() == peer.Down:
		why = closedWatchdog
	case l == ln.link:
		why = closedLeft
	case ln.machine.State() == peer.Closed:
		why = closedSilent
	}
	if l.Queued() > 0 && !l.closed {
		_ = l.Flush()
	}
	lp.closeLink(l, why)
}

// left tells the lane of a connection that has ended.
func (lp *loop) left(l *link) {
	lp.unable(l, true)
	ln := l.lane
	if ln != nil && ln.link == l && l.dpr != (ids{}) {
		ln.machine.Disconnect(l.cause, lp.now) // it has not waited for our DPA
	}
	switch {
	case ln == nil:
	case ln.i == l:
		lp.event(ln, peer.IPeerDisc, l)
		ln.i = nil
	case ln.r == l:
		lp.event(ln, peer.RPeerDisc, l)
		ln.r = nil
	}
}

// usable lets requests be sent by a link.
func (lp *loop) usable(l *link) {
	if !slices.Contains(l.node.links, l) {
		l.node.links = append(l.node.links, l)
		l.node.lastErr = ""
		lp.noteState(l.lane, "peer is open")
	}
	lp.opened(l)
}

// unable lets none be sent any more. lost: those that wait for an answer go elsewhere.
func (lp *loop) unable(l *link, lost bool) {
	if n := l.node; n != nil {
		n.links = slices.DeleteFunc(n.links, func(o *link) bool { return o == l })
	}
	if lost {
		lp.lost(l)
	}
}

// message tells the machine that a message has come which is the walk's; false: none
// may come by this connection now.
//
// hot: 0 allocs
func (lp *loop) message(l *link) bool {
	ln := l.lane
	if ln.link != l {
		return false
	}
	do := ln.machine.On(peer.RcvMessage, lp.now)
	if !do.Has(peer.Process) {
		return false
	}
	if do != peer.Process {
		lp.act(ln, do, l)
	}
	return true
}
