package agent

import (
	"errors"
	"io"
	"net/netip"
	"slices"

	"github.com/roamgate/roamgate/pkg/diameter"
)

const (
	sweepEvery = int64(1e9)
	// stalled is how long a peer may take nothing of what is sent to it.
	stalled = int64(30e9)
)

// conns are the connections of the loop.
type conns struct {
	slots   []*link // by tag; nil: free
	free    []uint32
	freed   []uint32 // in this round, of which events may still come
	serial  uint32
	open    int
	dirty   []*link // something was committed
	unread  []*link // something is left to be read
	parting []*link // a leave waits for what is under way
	ending  []*link // closed once what was said is flushed
	// strange counts connections that came and by which nobody has introduced himself
	// yet, by the network that they are from.
	strange map[netip.Prefix]int
}

// meets counts a connection that has come. false: so many of its network have not said
// who they are that there would be no place for others.
func (t *conns) meets(l *link, most int) bool {
	bits := 56
	if a := l.Remote().Addr().Unmap(); !a.Is6() {
		bits = 24
	}
	p, _ := l.Remote().Addr().Unmap().WithZone("").Prefix(bits)
	if t.strange[p] >= max(most/4, 1) {
		return false
	}
	if t.strange == nil {
		t.strange = make(map[netip.Prefix]int)
	}
	t.strange[p]++
	l.from, l.stranger = p, true
	return true
}

// knows is that somebody has introduced himself by a connection, or that it is closed.
func (t *conns) knows(l *link) {
	if !l.stranger {
		return
	}
	l.stranger = false
	if t.strange[l.from]--; t.strange[l.from] == 0 {
		delete(t.strange, l.from)
	}
}

// enter makes a connection part of the loop. What came with the handshake no poller
// tells of, so it is read at once.
func (lp *loop) enter(l *link) {
	t := &lp.conns
	if n := len(t.free); n > 0 {
		l.slot, t.free = t.free[n-1], t.free[:n-1]
	} else {
		l.slot = uint32(len(t.slots))
		t.slots = append(t.slots, nil)
	}
	t.slots[l.slot] = l
	t.serial++
	t.open++
	l.loop, l.serial, l.entered, l.moved = lp, t.serial, lp.now, lp.now
	if err := l.Attach(lp.poller, l.slot); err != nil {
		lp.closeLink(l, closedBroken)
		return
	}
	switch {
	case l.inside:
		lp.enterInside(l)
	case lp.stopping != 0:
		lp.closeLink(l, closedStopping)
	case l.ours:
		lp.dialled(l)
	case t.open > lp.conf.Most, !t.meets(l, lp.conf.Most):
		lp.stats.Add(lp.ctr.exchanges[resultMany], 1)
		lp.closeLink(l, closedMany)
	}
	lp.read(l)
}

// read has a connection read in this round or the next.
func (lp *loop) read(l *link) {
	if !l.unread && !l.closed {
		l.unread = true
		lp.conns.unread = append(lp.conns.unread, l)
	}
}

// ready notes what the poller has told of a connection.
func (lp *loop) ready(tag uint32) {
	if int(tag) >= len(lp.conns.slots) {
		return
	}
	if l := lp.conns.slots[tag]; l != nil {
		if l.Queued() > 0 && !l.dirty {
			l.dirty = true // there may be room again for what was kept
			lp.conns.dirty = append(lp.conns.dirty, l)
		}
		lp.read(l)
	}
}

// readLinks gives each connection with something to read its turn. Those that have not
// been read empty have the next one.
//
// hot: 0 allocs
func (lp *loop) readLinks() {
	list := lp.conns.unread
	for i := range len(list) {
		l := list[i]
		l.unread = false
		if !l.closed {
			lp.readLink(l)
		}
	}
	rest := lp.conns.unread
	n := copy(rest, rest[len(list):])
	clear(rest[n:])
	lp.conns.unread = rest[:n]
}

// readLink takes some buffers full of messages from a connection.
//
// hot: 0 allocs
func (lp *loop) readLink(l *link) {
	for range rounds {
		more, err := l.Recv()
		bad := lp.takeAll(l)
		switch {
		case l.closed, l.ending != staysOpen:
			return
		case bad != nil:
			lp.closeLink(l, closedFraming)
			return
		case errors.Is(err, io.EOF):
			lp.closeLink(l, closedByPeer)
			return
		case err != nil:
			l.blame(err)
			lp.closeLink(l, closedBroken)
			return
		case !more:
			return
		}
	}
	lp.read(l)
}

// takeAll deals with the messages that have come whole, up to one that the connection
// ends for.
//
// hot: 0 allocs
func (lp *loop) takeAll(l *link) error {
	for !l.closed && l.ending == staysOpen {
		b, err := l.Next()
		if err != nil {
			return err
		}
		if b == nil {
			l.Done()
			return nil
		}
		lp.take(l, b)
	}
	return nil
}

// take gives one message to whom it is for.
//
// hot: 0 allocs
func (lp *loop) take(l *link, b []byte) {
	switch {
	case l.inside:
		lp.heard(l, b)
	case b[0] != 1:
		lp.foreign(l, b)
	case isBase(b):
		lp.base(l, b)
	case l.lane == nil || !lp.message(l):
		lp.uninvited(l)
	default:
		lp.heard(l, b)
	}
}

// isBase reports whether a message is of the peer machine: capabilities, watchdog,
// disconnection.
//
// hot: 0 allocs
func isBase(b []byte) bool {
	if b[8]|b[9]|b[10]|b[11] != 0 {
		return false
	}
	switch uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7]) {
	case diameter.CapabilitiesExchange, diameter.DeviceWatchdog, diameter.DisconnectPeer:
		return true
	}
	return false
}

func (lp *loop) flushLink(l *link) {
	if err := l.Flush(); err != nil {
		l.blame(err)
		lp.closeLink(l, closedBroken)
	}
}

// blame notes why a connection broke, for people.
func (l *link) blame(err error) {
	if l.node != nil {
		l.node.lastErr = "the connection broke: " + quoted(err.Error())
	}
}

// flushLinks sends what was committed. A connection that ends here may move its
// requests to others.
//
// hot: 0 allocs
func (lp *loop) flushLinks() {
	t := &lp.conns
	for i := 0; i < len(t.dirty); i++ {
		l := t.dirty[i]
		l.dirty = false
		if !l.closed {
			lp.flushLink(l)
		}
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
	for i := 0; i < len(t.ending); i++ {
		lp.closeLink(t.ending[i], t.ending[i].ending)
	}
	clear(t.ending)
	t.ending = t.ending[:0]
}

// endLater closes a connection once what was said by it is flushed, as far as it goes.
func (lp *loop) endLater(l *link, why closing) {
	if !l.closed && l.ending == staysOpen {
		l.ending = why
		lp.conns.ending = append(lp.conns.ending, l)
	}
}

// closeLink ends a connection, and tells the machine that it stood behind.
func (lp *loop) closeLink(l *link, why closing) {
	if l.closed {
		return
	}
	if why != closedBroken && why != closedStalled {
		_ = l.Flush()
	}
	if l.ours && l.node != nil && l.lane.link != l {
		switch why {
		case closedUnfit, closedBroken, closedElection: // more is known already, or nothing failed
		default:
			l.node.lastErr = "no exchange of capabilities: " + why.String()
		}
	}
	l.closed = true
	l.Close()
	t := &lp.conns
	t.knows(l)
	t.slots[l.slot] = nil
	t.freed = append(t.freed, l.slot)
	t.open--
	t.parting = slices.DeleteFunc(t.parting, func(p *link) bool { return p == l })
	lp.note(l, why)
	lp.left(l)
}

// sweep ends connections whose time is over, and lets tags be used again.
func (lp *loop) sweep() {
	t := &lp.conns
	t.free = append(t.free, t.freed...)
	t.freed = t.freed[:0]
	if len(t.parting) > 0 {
		lp.part()
	}
	if lp.now-lp.swept < sweepEvery {
		return
	}
	lp.swept = lp.now
	lp.guard.tell(lp.now)
	for _, n := range lp.names {
		if n.lines.left > 0 && lp.now-n.lines.since >= linesEvery {
			lp.leftOut(n)
		}
		queued := 0
		for _, l := range n.links {
			queued += l.Queued()
		}
		n.ctr.queued.Store(int64(queued))
	}
	for _, l := range t.slots {
		if l == nil || l.inside {
			continue
		}
		if why := lp.overdue(l); why != staysOpen {
			lp.closeLink(l, why)
		}
	}
	lp.forget()
}

// overdue says whether the time of a connection is over.
func (lp *loop) overdue(l *link) closing {
	if n := l.Sent(); n != l.sent || l.Queued() == 0 {
		l.sent, l.moved = n, lp.now
	}
	switch {
	case lp.now-l.moved >= stalled:
		return closedStalled
	case l.identity != nil && lp.wall >= l.identity.NotAfter.UnixNano():
		return closedExpired
	case l.lane == nil && lp.now-l.entered >= int64(lp.conf.Handshake):
		return closedSilent
	}
	return staysOpen
}
