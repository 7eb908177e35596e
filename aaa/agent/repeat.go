package agent

import (
	"hash/maphash"
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/nai"
)

// entry is a place in the table of repetitions, plus 1; 0: none.
type entry uint32

// repeats remembers requests that may come again: those with the T bit, and those for
// accounting and credit, by Origin-Host and End-to-End Identifier (RFC 6733 section 3).
// A repetition gets the answer of the first, or waits for it, and no peer sees it twice.
// It must come from the network that the first came from: an Origin-Host is what
// anybody may write, and an answer may hold the keys of a session.
// Its memory is fixed; where it is short, the oldest answers are forgotten.
type repeats struct {
	seed    maphash.Seed
	entries []remembered
	answers []byte // a ring
	head    uint64 // octets ever written into it
}

// remembered is one request.
type remembered struct {
	key  uint64 // 0: free
	at   int64
	slot uint32 // of its transaction, plus 1; 0: it is answered
	n    uint32 // octets of the answer, 0: there is none
	off  uint64
}

const (
	repeatWays    = 8
	repeatEntries = 1 << 18
	repeatOctets  = 64 << 20
	// repeatWindow is how long an End-to-End Identifier is not used again: at least
	// four minutes.
	repeatWindow = int64(5 * time.Minute)
	// mostCopies bounds the repetitions of one request that wait for its answer.
	mostCopies = 16
)

// allot takes the memory when the first request comes that may come again.
func (r *repeats) allot() {
	r.seed = maphash.MakeSeed()
	r.entries, r.answers = make([]remembered, repeatEntries), make([]byte, repeatOctets)
}

// repeatable reports whether a request is one that is remembered.
//
// hot: 0 allocs
func repeatable(m *diameter.Message) bool {
	return m.Flags&diameter.FlagRetransmitted != 0 || m.Command == diameter.Accounting || m.Command == diameter.CreditControl
}

// keyOf is what the copies of a request from peers of a realm have in common, and nobody
// else can have. The session and the number of the record are in it, so that somebody
// who uses an identifier twice loses no record.
func (r *repeats) keyOf(m *diameter.Message, sender string) uint64 {
	var b [nai.MaxLen]byte
	host := m.Value(diameter.KnownOriginHost)
	h := maphash.Bytes(r.seed, lowered(&b, host[:min(len(host), len(b))]))
	number, _ := m.Uint32(diameter.KnownRecordNumber)
	if v, ok := m.Uint32(diameter.KnownRequestNumber); ok {
		number = v
	}
	h = mix(h ^ uint64(m.EndToEnd)<<32 ^ uint64(m.Command))
	h = mix(h ^ uint64(number)<<32 ^ uint64(m.Application))
	h = mix(h ^ maphash.Bytes(r.seed, m.Value(diameter.KnownSessionID)))
	h = mix(h ^ maphash.String(r.seed, sender))
	return h | 1
}

// find looks for a request, and makes room for it where it is new. 0: there is none,
// and it is not remembered.
//
// hot: 0 allocs
func (r *repeats) find(key uint64, now int64) (e entry, known bool) {
	set := key >> 32 % (repeatEntries / repeatWays) * repeatWays
	var old int
	oldest := farAway
	for i := range repeatWays {
		x := &r.entries[set+uint64(i)]
		if x.key == key && (x.slot != 0 || now-x.at < repeatWindow) {
			return entry(set) + entry(i) + 1, true
		}
		at := x.at
		if x.key == 0 {
			at = -1
		}
		if x.slot == 0 && at < oldest {
			old, oldest = i, at
		}
	}
	if oldest == farAway {
		return 0, false
	}
	x := &r.entries[set+uint64(old)]
	*x = remembered{key: key, at: now}
	return entry(set) + entry(old) + 1, false
}

func (r *repeats) begin(e entry, slot uint32) {
	if e != 0 {
		r.entries[e-1].slot = slot + 1
	}
}

// forget lets the next copy of a request be a new one.
func (r *repeats) forget(e entry) {
	if e != 0 {
		r.entries[e-1] = remembered{}
	}
}

// keep stores the answer.
//
// hot: 0 allocs
func (r *repeats) keep(e entry, raw []byte, now int64) {
	x := &r.entries[e-1]
	at := r.head % repeatOctets
	if at+uint64(len(raw)) > repeatOctets {
		r.head += repeatOctets - at
		at = 0
	}
	x.slot, x.at, x.off, x.n = 0, now, r.head, uint32(len(raw))
	copy(r.answers[at:], raw)
	r.head += uint64(len(raw))
}

// answer gives what keep has stored, nil: it is forgotten.
//
// hot: 0 allocs
func (r *repeats) answer(e entry) []byte {
	x := &r.entries[e-1]
	if x.n == 0 || r.head-x.off > repeatOctets {
		return nil
	}
	at := x.off % repeatOctets
	return r.answers[at : at+uint64(x.n)]
}

// repetition answers a request that has come before, or lets it wait for the answer to
// the first. Of a new one it gives the entry.
//
// hot: 0 allocs
func (lp *loop) repetition(l *link, m *diameter.Message, priority uint8) (e entry, again bool) {
	r := &lp.repeats
	if r.entries == nil {
		r.allot()
	}
	e, again = r.find(r.keyOf(m, l.node.peer.Realm), lp.now)
	if !again {
		return e, false
	}
	x := &r.entries[e-1]
	if x.slot == 0 {
		raw := r.answer(e)
		if raw == nil {
			x.at = lp.now
			return e, false
		}
		lp.happened(l.node, repeatedSeries, &l.node.counts.repeated, "")
		room := l.room(len(raw))
		if room == nil {
			lp.drop(l.node, SenderStalled)
			return e, true
		}
		copy(room, raw)
		diameter.SetHopByHop(room, m.HopByHop)
		lp.said(l, room[:len(raw)], diameter.ResultSuccess)
		return e, true
	}
	first := lp.table.at(x.slot - 1)
	var t *transaction
	if l.node.held < lp.table.most/2 && lp.copiesOf(first) < mostCopies {
		t = lp.table.take()
	}
	if t == nil {
		lp.refuse(l, m, NoSlot, 0, nil)
		return e, true
	}
	lp.happened(l.node, repeatedSeries, &l.node.counts.repeated, "")
	t.phase, t.from, t.of, t.came, t.first = phaseRepeat, l, l.node, m.HopByHop, first.slot+1
	t.next, first.copies = first.copies, t.slot+1
	t.counted = true
	l.node.held++
	lp.table.enter(&l.promised, t, placeGot)
	l.owed++
	return e, true
}

// remember keeps the answer to a request for its repetitions. An error of the protocol
// is none: the next try may have better luck.
func (lp *loop) remember(t *transaction, raw []byte, result uint32) {
	if diameter.Flags(raw[4])&diameter.FlagError != 0 || familyOf(result) == familyProtocol {
		lp.repeats.forget(t.entry)
	} else {
		lp.repeats.keep(t.entry, raw, lp.now)
	}
	t.entry = 0
}

// copiesOf counts the repetitions that wait for the answer to a transaction.
func (lp *loop) copiesOf(first *transaction) (n int) {
	for at := first.copies; at != 0; at = lp.table.at(at - 1).next {
		n++
	}
	return n
}

// unlink takes a repetition from the transaction that it waits for.
func (lp *loop) unlink(c *transaction) {
	first := lp.table.at(c.first - 1)
	for at := &first.copies; *at != 0; at = &lp.table.at(*at - 1).next {
		if *at == c.slot+1 {
			*at = c.next
			return
		}
	}
}
