package aaa

import (
	"context"
	"net/netip"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/udp"
)

// note is a packet worth a log line. A shard writes none itself: a blocked
// log must not stop a packet.
type note struct {
	why   Reason
	peer  string
	home  string // the other peer, of an alarm
	alarm bool
	from  udp.Addr
	n     int64 // lines like this left out since the last one
	// Of dynamic authorisation, in the place of why and from.
	reverse dynauth.Reason
	source  netip.AddrPort
	// Of a connection that has ended, in the place of all others.
	closed Closing
	conn   *conn
}

// noteEvery is how often one reason is written, in ns.
const noteEvery = 1e9

// note leaves a log line for a dropped, refused or odd packet: one a second for
// each reason, with the number of those left out. It names the source and
// the reason, never an attribute.
func (s *Shard) note(why Reason, peer string, from udp.Addr) {
	if !why.circles() { // an alarm has said it
		s.say(note{why: why, peer: peer, from: from})
	}
}

func (s *Shard) say(n note) {
	l := &s.logged[n.why]
	if l.at != 0 && s.now-l.at < noteEvery {
		l.n++
		s.stats.Add(s.ctr.logSuppressed, 1)
		return
	}
	n.n = l.n
	select {
	case s.hub.notes <- n:
		l.at, l.n = s.now, 0
	default:
		l.n++
		s.stats.Add(s.ctr.logSuppressed, 1)
	}
}

func (h *Hub) writeNotes(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-h.notes:
			h.write(n)
		}
	}
}

func (h *Hub) write(n note) {
	if n.reverse != dynauth.OK {
		h.log.Info("dynamic authorisation noted",
			zap.String("reason", n.reverse.String()), zap.String("peer", n.peer),
			zap.Stringer("from", n.source), zap.Int64("suppressed", n.n))
		return
	}
	if c := n.conn; c != nil {
		h.log.Info("connection closed", zap.String("peer", c.peer), zap.String("direction", c.direction()),
			zap.Stringer("transport", c.transport), zap.Stringer("from", c.from.AddrPort()), zap.Stringer("reason", n.closed))
		return
	}
	if n.alarm {
		h.writeAlarm(&n)
		return
	}
	h.log.Info("packet noted",
		zap.String("reason", n.why.String()), zap.String("peer", n.peer),
		zap.Stringer("from", n.from.AddrPort()), zap.Int64("suppressed", n.n))
}

func (h *Hub) homeChanged(hm *home.Home, k home.Kind, from, to home.Health, why home.Cause) {
	if from != to {
		h.stateChanges(hm, k, to.String()).Add(1)
	}
	write := h.log.Warn
	if to == home.Up {
		write = h.log.Info
	}
	write("home changed state", zap.String("home", hm.Spec.Name), zap.Stringer("kind", k),
		zap.Stringer("from", from), zap.Stringer("to", to), zap.Stringer("cause", why))
}
