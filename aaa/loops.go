package aaa

import (
	"encoding/binary"
	"hash/maphash"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// mostProxyStates is how many hops a request may have been through, where the
// operator does not say.
const mostProxyStates = 32

// knownLoops are prints of requests in flight that a hub has room for.
const knownLoops = 1 << 16

// homeOf is which home a Proxy-State of ours went to: part of its nonce.
const homeOf = 1<<20 - 1

// nonceFor makes the nonce of a request to a home: that home, so that a loop
// can be named, and chance.
func (s *Shard) nonceFor(home int32) uint32 { return uint32(home)&homeOf | s.random32()&^homeOf }

// cameBack looks for signs that a request has been here: our own Proxy-State,
// or that it says the same as one in flight and has come further. It counts the
// Proxy-States by the way. Both peers of a loop are named in the log and counted.
func (s *Shard) cameBack(ex *Exchange, p *radius.Packet) Reason {
	if !p.Has(radius.ProxyState) {
		return OK
	}
	states := 0
	for a, off, ok := p.Next(p.From(radius.ProxyState)); ok; a, off, ok = p.Next(off) {
		if a.Type != radius.ProxyState {
			continue
		}
		states++
		ours, forged := s.own(a.Value())
		if ours {
			s.alarm(ex, Loop, int32(binary.BigEndian.Uint32(a.Value()[proxyMark:])&homeOf))
			return Loop
		}
		if forged {
			s.stats.Add(s.ctr.local[ForgedProxyState], 1)
			s.note(ForgedProxyState, ex.client.Spec.Name, ex.from)
		}
	}
	ex.states = uint8(min(states, 255))
	print := s.print(p.Bytes(), &ex.snap.Set.Loops.Hop)
	if home, looped := s.hub.loops.Seen(print, ex.snap.clientIDs[ex.client.Index], states, s.now); looped {
		s.alarm(ex, LoopFingerprint, home)
		return LoopFingerprint
	}
	return OK
}

// alarmOf gives an alarm where a request goes no further because it goes round,
// or would. What comes behind is the home that would be asked first.
func (s *Shard) alarmOf(ex *Exchange, d *direction) {
	if !d.why.circles() || ex.turns > 0 {
		return
	}
	next := int32(-1)
	if d.pool != nil && d.pool.Len() > 0 {
		next = d.pool.Member(0)
	}
	s.alarm(ex, d.why, next)
}

// travelled says why a request has come far enough, if it has: it has been
// through too many hops, or the hops that it was given are spent. What is left
// is one more than zero here, because our own hop counts (as with radsecproxy,
// which discards what it has counted down to zero).
func travelled(l *realm.Loops, p *radius.Packet, states int) Reason {
	most := l.MaxProxyStates
	if most == 0 {
		most = mostProxyStates
	}
	if states >= most {
		return ManyProxyStates
	}
	if l.Hop.Type != 0 {
		if left, ok := hopsLeft(&l.Hop, p); ok && left <= 1 {
			return HopsSpent
		}
	}
	return OK
}

// hopsLeft reads the hop attribute. A value of another size is nobody's number.
func hopsLeft(h *realm.HopAttribute, p *radius.Packet) (left uint32, ok bool) {
	if h.Vendor == 0 {
		return p.Uint32(radius.Type(h.Type))
	}
	v, ok := p.Vendor(h.Vendor, h.Sub)
	if !ok || len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}

// countHop lowers the hop attribute in the draft by one, or gives a request
// without one what the operator wants it to have.
func (s *Shard) countHop(l *realm.Loops) Reason {
	h := &l.Hop
	if h.Type == 0 {
		return OK
	}
	found := false
	for a, off, ok := s.draft.Next(radius.HeaderLen); ok && !found; a, off, ok = s.draft.Next(off) {
		var left []byte
		if left, found = hopIn(h, a); len(left) == 4 {
			if n := binary.BigEndian.Uint32(left); n > 0 {
				binary.BigEndian.PutUint32(left, n-1)
			}
		}
	}
	if found || l.Hops == 0 {
		return OK
	}
	var b [12]byte
	tlv := append(b[:0], h.Type, 6)
	if h.Vendor != 0 {
		tlv = append(binary.BigEndian.AppendUint32(append(b[:0], byte(radius.VendorSpecific), 12), h.Vendor), h.Sub, 6)
	}
	if !s.draft.Raw(binary.BigEndian.AppendUint32(tlv, l.Hops)) {
		return ofRadius(radius.Overflow)
	}
	return OK
}

// hopIn gives the value of the hop attribute where it stands in a.
func hopIn(h *realm.HopAttribute, a radius.Attr) (value []byte, ok bool) {
	if a.Type != radius.Type(h.Type) {
		return nil, false
	}
	if h.Vendor == 0 {
		return a.Value(), true
	}
	v := a.Value()
	if len(v) < 4 || binary.BigEndian.Uint32(v) != h.Vendor {
		return nil, false
	}
	for v = v[4:]; len(v) >= 2 && v[1] >= 2 && int(v[1]) <= len(v); v = v[v[1]:] {
		if v[0] == h.Sub {
			return v[2:v[1]], true
		}
	}
	return nil, false
}

// changing are the types that every hop, or every transmission, writes anew.
var changing = func() (d radius.Drop) {
	for _, t := range []radius.Type{radius.ProxyState, radius.MessageAuthenticator, radius.UserPassword, radius.TunnelPassword, radius.AcctDelayTime} {
		d.Set(t)
	}
	return d
}()

// print is what is left of a request when all is taken away that changes from
// hop to hop. Nobody outside can make two requests of one print.
func (s *Shard) print(b []byte, hop *realm.HopAttribute) uint64 {
	n := 1
	s.states[0] = b[0]
	for begin, off := radius.HeaderLen, radius.HeaderLen; ; {
		if off < len(b) {
			t := radius.Type(b[off])
			if !changing.Has(t) && (hop.Type == 0 || t != radius.Type(hop.Type) || !ofHop(hop, b[off:])) {
				off += int(b[off+1])
				continue
			}
		}
		n += copy(s.states[n:], b[begin:off])
		if off >= len(b) {
			return maphash.Bytes(s.hub.seed, s.states[:n])
		}
		off += int(b[off+1])
		begin = off
	}
}

func ofHop(h *realm.HopAttribute, raw []byte) bool {
	_, ok := hopIn(h, radius.Attr{Type: radius.Type(raw[0]), Raw: raw[:raw[1]]})
	return ok
}

// track notes that a request has been written for a home for the first time,
// so that it is known should it come back.
func (s *Shard) track(ex *Exchange, written []byte) {
	if ex.print != 0 {
		s.hub.loops.Move(ex.print, ex.homeIdx, s.now)
		return
	}
	if ex.client == nil {
		return // it comes from the spool, where nothing comes back to
	}
	print := s.print(written, &ex.snap.Set.Loops.Hop)
	if s.hub.loops.Put(print, ex.snap.clientIDs[ex.client.Index], ex.homeIdx, int(ex.states), s.now) {
		ex.print = print
	}
}

// untrack is called when an Exchange ends.
func (s *Shard) untrack(ex *Exchange) {
	if ex.print != 0 {
		s.hub.loops.Drop(ex.print, s.now)
	}
}

// between is a pair of peers that requests go round between.
type between struct{ client, home string }

// alarm counts a loop and has it logged, with both its peers.
func (s *Shard) alarm(ex *Exchange, why Reason, index int32) {
	b := between{client: ex.client.Spec.Name}
	if hm := ex.snap.Homes.Home(index); hm != nil {
		b.home = hm.Spec.Name
	}
	id, known := s.circles[b]
	if !known {
		if len(s.circles) >= maxNames {
			clear(s.circles)
		}
		id = s.hub.loopSeries(b)
		s.circles[b] = id
	}
	s.stats.Add(id, 1)
	s.say(note{why: why, peer: b.client, home: b.home, from: ex.from, alarm: true})
}

// circles says whether the reason has an alarm, which names both peers.
func (r Reason) circles() bool {
	switch r {
	case Loop, LoopFingerprint, ManyProxyStates, HopsSpent, Hairpin:
		return true
	}
	return false
}

// loopSeries registers a pair when the first request goes round between the
// two: there are more pairs than anybody wants to see.
func (h *Hub) loopSeries(b between) stat.ID {
	return h.stats.CounterSparse("roamgate_loops_detected_total", "Requests that go round in a circle, by the peer that sent them and the one they were or would be sent to: our own Proxy-State, a request in flight that has come back, too many hops, or back to where it came from; the home is empty where none is known.",
		"client", b.client, "home", b.home)
}

func (h *Hub) writeAlarm(n *note) {
	h.log.Warn("request goes round in a circle",
		zap.String("reason", n.why.String()), zap.String("client", n.peer), zap.String("home", n.home),
		zap.Stringer("from", n.from.AddrPort()), zap.Int64("suppressed", n.n))
}
