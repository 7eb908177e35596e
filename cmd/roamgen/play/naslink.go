package play

import (
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
)

// join gives a lane its connection.
func (w *worker) join(l *lane, to *link) {
	l.link, l.secret = to, w.nas.secret
	if to.clear {
		l.secret, l.tokens = radius.Clear, 0
		l.renew(int(w.size), 0, 0)
		return
	}
	// The identifier 0 is kept for Status-Server (RFC 6613 section 2.6.5).
	l.renew(idsPerLane, 1, 0)
}

// token is that of the request in the slot at: which slot it is, and above it
// a count, so that a late answer never meets another request.
func (l *lane) token(at, size int32) uint32 {
	l.tokens++
	return l.tokens*uint32(size) + uint32(at-l.base)
}

// slotOf finds the slot that a packet of RADIUS/1.1 names.
func (l *lane) slotOf(p *radius.Packet, size int32) int32 {
	return l.base + int32(radius.Token(p.Authenticator())%uint32(size))
}

// cleanFlaw looks for what no packet of RADIUS/1.1 has (RFC 9765 sections 4.1
// and 5.2); the hub may not care, and we are its judge.
func cleanFlaw(p *radius.Packet, want *[16]byte) (Flaw, bool) {
	switch {
	case p.Identifier() != 0:
		return FlawMalformed, true
	case *p.Authenticator() != *want:
		return FlawAuthenticator, true
	case p.Has(radius.MessageAuthenticator):
		return FlawMessageAuthenticator, true
	}
	return 0, false
}

// attend works what comes over a lane's connections, one after the other,
// until the NAS is closed.
func (w *worker) attend(l *lane, over *link) {
	for over != nil {
		w.readers.Go(over.write)
		_ = over.read(func(packets [][]byte) { w.arrive(l, packets) }) // why it ends is the peer's business
		over.close()
		if !w.part(l) {
			return
		}
		over = w.rejoin(l)
	}
}

// arrive works packets that came together.
func (w *worker) arrive(l *lane, packets [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return
	}
	w.now, w.packets = clock(), packets
	w.receive(l, len(packets))
	if w.start != 0 && !w.carryOn() {
		w.poller.Wake() // the loop has to end
	}
}

// part loses what was in flight on a connection that has ended, and reports
// whether there is to be another.
func (w *worker) part(l *lane) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return false
	}
	w.now = clock()
	w.counts.Disconnects++
	for i := l.base; i < l.base+w.size; i++ {
		if w.slots[i].busy {
			w.waiting.remove(w.slots, i)
			w.lose(i)
		}
	}
	l.link, l.free = nil, 0
	w.poller.Wake()
	return true
}

const rejoinPause = 100 * time.Millisecond

// rejoin connects again, never at once: a peer that refuses us may do so after
// the handshake. nil: the NAS was closed.
func (w *worker) rejoin(l *lane) *link {
	tick := time.NewTicker(rejoinPause)
	defer tick.Stop()
	for {
		<-tick.C
		if w.closed() {
			return nil
		}
		over, err := w.nas.config.Stream.dial(w.nas.config.bind(l.to), l.to)
		if err != nil {
			continue
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.closing {
			over.close()
			return nil
		}
		w.join(l, over)
		return over
	}
}

func (w *worker) closed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closing
}

// alone reports that there is no connection left.
func (w *worker) alone() bool {
	for _, l := range w.lanes {
		if l.conn != nil || l.link != nil {
			return false
		}
	}
	return true
}
