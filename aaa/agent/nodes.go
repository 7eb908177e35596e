package agent

import (
	"slices"

	"github.com/roamgate/roamgate/aaa/peer"
	"github.com/roamgate/roamgate/realm"
)

// adopt takes a newer configuration over: peers that are new are connected to, those
// that are in it no more take leave, and what stays is not touched. Who stops goes by
// what it had.
func (lp *loop) adopt() {
	next := lp.agent.snap.Load()
	if next == lp.snap || lp.stopping != 0 {
		return
	}
	lp.snap = next
	before := lp.names
	lp.names = make(map[string]*node, len(next.set.Peers))
	lp.nodes = make([]*node, len(next.set.Peers))
	for i := range next.set.Peers {
		p := &next.set.Peers[i]
		if p.Disabled {
			continue
		}
		n := before[p.Identity]
		if n == nil {
			n = &node{ctr: lp.agent.nodeSeries(p.Name)}
		} else {
			delete(before, p.Identity)
		}
		lp.names[p.Identity], lp.nodes[i] = n, n
		lp.configure(n, p, int32(i))
	}
	for _, n := range before {
		lp.dismiss(n, peer.DoNotWant)
		lp.old = append(lp.old, n)
	}
	lp.adopted()
}

// configure gives a node what the files say of it now.
func (lp *loop) configure(n *node, p *realm.Peer, index int32) {
	was := n.peer
	if was != nil && was.Name != p.Name {
		n.ctr = lp.agent.nodeSeries(p.Name)
	}
	n.peer, n.index = p, index
	conf := lp.machineConfig(p)
	for _, ln := range n.lanes {
		ln.machine.Configure(conf, lp.now)
		lp.timer(ln)
	}
	if was != nil {
		lp.follow(n, was)
	}
	most := max(p.Connections, 1)
	for len(n.lanes) > most {
		ln := n.lanes[len(n.lanes)-1]
		n.lanes = n.lanes[:len(n.lanes)-1]
		n.spare = append(n.spare, ln)
		lp.release(ln, peer.DoNotWant)
	}
	for len(n.lanes) < most {
		conf.Seed = uint64(lp.wall) ^ uint64(index)<<32 ^ uint64(len(n.lanes))<<56
		ln := &lane{node: n, machine: peer.New(conf, lp.now)}
		if k := len(lp.spare); k > 0 {
			ln.slot, lp.spare = lp.spare[k-1], lp.spare[:k-1]
			lp.lanes[ln.slot] = ln
		} else {
			ln.slot = uint32(len(lp.lanes))
			lp.lanes = append(lp.lanes, ln)
		}
		n.lanes = append(n.lanes, ln)
		lp.timer(ln)
	}
	n.published()
}

func (lp *loop) machineConfig(p *realm.Peer) peer.Config {
	return peer.Config{
		Initiate: p.Host != "" || len(p.Addresses) > 0, Watchdog: p.Watchdog, Retry: p.Retry,
		Handshake: lp.conf.Handshake, Farewell: lp.conf.Drain,
	}
}

// timer has a lane's machine looked at when it wants to be.
func (lp *loop) timer(ln *lane) {
	if at := ln.machine.Due(); at != 0 {
		lp.timers.Set(ln.slot, at)
	} else {
		lp.timers.Cancel(ln.slot)
	}
}

// follow looks whether the connections of a node are still right by newer files.
func (lp *loop) follow(n *node, was *realm.Peer) {
	p := n.peer
	for _, ln := range n.lanes {
		l := ln.link
		switch {
		case l == nil || l.closed:
		case p.Realm != was.Realm, l.transport != p.Transport, !l.ours && !lp.agent.mayComeFrom(p, l.Remote().Addr()):
			lp.closeLink(l, closedReassigned)
		case !l.holds(p):
			lp.closeLink(l, closedUntrusted)
		case p.Queue != was.Queue:
			l.belongs(n)
		case l.ours && p.Host == "" && !slices.Contains(p.Addresses, l.Remote()):
			lp.event(ln, peer.Stop, l) // it comes back by the new address
		}
	}
}

// dismiss takes leave of a node for good.
func (lp *loop) dismiss(n *node, why peer.Cause) {
	n.index, n.leave = -1, why
	for _, ln := range n.lanes {
		lp.release(ln, why)
	}
}

// release takes leave by one lane, which connects no more.
func (lp *loop) release(ln *lane, why peer.Cause) {
	ln.node.leave = why
	conf := lp.machineConfig(ln.node.peer)
	conf.Initiate = false
	ln.machine.Configure(conf, lp.now)
	lp.event(ln, peer.Stop, nil)
}

// cause is what a DPR to the node says.
func (n *node) cause() peer.Cause { return n.leave }

// forget frees the lanes that have taken leave.
func (lp *loop) forget() {
	gone := func(ln *lane) bool {
		if ln.machine.State() != peer.Closed {
			return false
		}
		lp.timers.Cancel(ln.slot)
		lp.lanes[ln.slot] = nil
		lp.spare = append(lp.spare, ln.slot)
		return true
	}
	for _, n := range lp.nodes {
		if n != nil && len(n.spare) > 0 {
			n.spare = slices.DeleteFunc(n.spare, gone)
			if len(n.spare) == 0 {
				n.leave = peer.Rebooting
			}
		}
	}
	lp.old = slices.DeleteFunc(lp.old, func(n *node) bool {
		n.lanes, n.spare = slices.DeleteFunc(n.lanes, gone), slices.DeleteFunc(n.spare, gone)
		return len(n.lanes)+len(n.spare) == 0
	})
}

// takeLeave is the end: every peer is told that we go.
func (lp *loop) takeLeave() {
	for _, n := range lp.names {
		for _, ln := range slices.Concat(n.lanes, n.spare) {
			lp.release(ln, peer.Rebooting)
		}
	}
	for _, l := range slices.Clone(lp.conns.slots) {
		if l != nil && !l.inside && l.lane == nil {
			lp.endLater(l, closedStopping)
		}
	}
}

// ended reports that all have left, or that their time is over.
func (lp *loop) ended() bool {
	if lp.stopping == 0 {
		return false
	}
	outside := 0
	for _, l := range lp.conns.slots {
		if l != nil && !l.inside {
			outside++
		}
	}
	if outside > 0 && lp.now-lp.stopping < int64(lp.conf.Drain)+int64(lp.conf.Drain)/2 {
		return false
	}
	lp.countLast()
	lp.ledger.flush()
	for _, l := range slices.Clone(lp.conns.slots) {
		if l != nil {
			lp.closeLink(l, closedStopping)
		}
	}
	lp.stats.Publish()
	return true
}

// enterInside makes the gateway to RADIUS a peer that is always able.
func (lp *loop) enterInside(l *link) {
	l.node = &node{peer: &realm.Peer{Name: "radius"}, index: -1, relay: true, ctr: lp.agent.nodeSeries("radius"), links: []*link{l}}
	lp.inside = l.node
	lp.opened(l)
}
