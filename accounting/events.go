package accounting

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is what Events.Claim found.
type Outcome uint8

const (
	// New: not seen before. The caller now owes Settle or Abandon.
	New Outcome = iota
	// Duplicate: the same event with the same content is durable as the
	// returned record: acknowledge, store nothing.
	Duplicate
	// Conflict: the same event with other content. Store it too, with
	// FlagConflict and the returned record in Header.Other (0 while that one
	// is not durable yet); the caller owes Settle or Abandon as for New.
	Conflict
	// Committing: the same event and content is on its way to the disk. Claim
	// again behind the commits that wait now.
	Committing
)

// String gives the counter label.
func (o Outcome) String() string {
	switch o {
	case New:
		return "new"
	case Duplicate:
		return "duplicate"
	case Conflict:
		return "conflict"
	case Committing:
		return "committing"
	}
	return "unknown"
}

const (
	stripes = 256
	// maxSame bounds how many contents of one event are remembered, so that
	// an endless conflict cannot make a long chain. What is not remembered
	// is stored all the same.
	maxSame = 8
)

// Events remembers the events of the last hours, in memory only: it is
// rebuilt from the spool at start, which costs no durable write per event.
// It is an economy, not a guarantee: the final judge of uniqueness is the
// clearing store, which sees the same Key.
//
// All shards use one Events, as a client may send a repetition from another
// port. Each event takes one of 256 mutexes, which guards a fixed table of
// entries without pointers. A claim with its settling takes about 450 ns in
// a full table of a million, nearly all of it cache misses, and no more when
// two cores do it at once (BenchmarkEventsClaim).
type Events struct {
	window  int64      // seconds
	per     int        // entries of a part
	opening sync.Mutex // held by who makes the rings
	opened  atomic.Bool
	parts   [stripes]part
}

// entry is one remembered event. seq 0 means not durable yet.
type entry struct {
	hi, lo  uint64
	content uint64
	seq     uint64
	time    int64 // Unix seconds of the claim
}

// part is one stripe: a ring of entries, oldest first, and an open-addressed
// index of ring positions + 1.
type part struct {
	mu    sync.Mutex // guards all below
	ring  []entry
	index []uint32
	shift uint8
	head  int // oldest
	n     int
	_     [32]byte // keeps neighbours' mutexes off this cache line
}

// NewEvents returns a table for the newest n events of the last window.
// n is rounded up so that each stripe is a power of two; an event costs 48
// octets. A window of 0 means 72 hours.
func NewEvents(n int, window time.Duration) *Events {
	if window <= 0 {
		window = 72 * time.Hour
	}
	per := 1 << bits.Len(uint(max(n/stripes, 8)-1))
	ev := &Events{window: int64(window / time.Second), per: per}
	for i := range ev.parts {
		p := &ev.parts[i]
		p.shift = uint8(64 - bits.Len(uint(2*per-1)))
	}
	return ev
}

// open makes room for the events with the first of them: a hub that carries no
// accounting has none.
func (ev *Events) open() {
	ev.opening.Lock()
	defer ev.opening.Unlock()
	if ev.opened.Load() {
		return
	}
	for i := range ev.parts {
		p := &ev.parts[i]
		p.mu.Lock()
		p.ring, p.index = make([]entry, ev.per), make([]uint32, 2*ev.per)
		p.mu.Unlock()
	}
	ev.opened.Store(true)
}

// Owed is a bit of the seq given to Settle and returned by Claim of a
// Duplicate: the record is marked as owed to a home (FlagForward).
const Owed = uint64(1) << 63

// Claim looks the event up and remembers it when it is New or a Conflict.
// now is Unix seconds. seq is that of the durable record it repeats, with its
// Owed bit, or contradicts; 0 if there is none yet.
//
// hot: 0 allocs
func (ev *Events) Claim(k Key, content uint64, now int64) (out Outcome, seq uint64) {
	if !ev.opened.Load() {
		ev.open()
	}
	hi, lo := halves(k)
	p := &ev.parts[hi%stripes]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire(now - ev.window)
	at, other, same := p.find(hi, lo, content)
	if at < 0 {
		// Session start taken from arrival time wanders: the same content
		// one bucket away is the same event.
		for _, near := range [2]uint64{lo - bucketStep, lo + bucketStep} {
			if at, _, _ = p.find(hi, near, content); at >= 0 {
				break
			}
		}
	}
	if at < 0 && isUntimed(hi) {
		at, _, _ = p.find(hi, byContent(content), content)
	}
	if at >= 0 {
		if s := p.ring[at].seq; s != 0 {
			return Duplicate, s
		}
		return Committing, 0
	}
	if same < maxSame {
		p.insert(entry{hi: hi, lo: lo, content: content, time: now})
		if isUntimed(hi) {
			p.insert(entry{hi: hi, lo: byContent(content), content: content, time: now})
		}
	}
	if same == 0 {
		return New, 0
	}
	return Conflict, other &^ Owed
}

// Settle says that the claimed event is durable as record seq, which may have
// the Owed bit.
func (ev *Events) Settle(k Key, content, seq uint64) {
	hi, lo := halves(k)
	p := &ev.parts[hi%stripes]
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, lo := range [2]uint64{lo, byContent(content)} {
		if at, _, _ := p.find(hi, lo, content); at >= 0 {
			p.ring[at].seq = seq
		}
		if !isUntimed(hi) {
			return
		}
	}
}

// Abandon takes a claim back: the record was not stored, and a repetition
// must be let in.
func (ev *Events) Abandon(k Key, content uint64) {
	hi, lo := halves(k)
	p := &ev.parts[hi%stripes]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.abandon(hi, lo, content)
	if isUntimed(hi) {
		p.abandon(hi, byContent(content), content)
	}
}

func (p *part) abandon(hi, lo, content uint64) {
	at, _, _ := p.find(hi, lo, content)
	if at < 0 || p.ring[at].seq != 0 {
		return
	}
	p.unlink(at)
	// The hole keeps its place in the ring until it is the oldest.
	p.ring[at] = entry{time: p.ring[at].time}
}

// isUntimed says of the upper half of a Key whether its event is also
// remembered by content, in an entry of its own.
func isUntimed(hi uint64) bool { return hi>>56&untimed != 0 }

// byContent stands for the lower half of a Key in the second entry of an
// event that is remembered by its content.
func byContent(content uint64) uint64 { return content * bucketStep }

// Replay remembers a stored record, for rebuilding at start in order of seq.
// A record that cannot be read is an error: the spool holds only records.
func (ev *Events) Replay(seq uint64, rec []byte) error {
	n, err := headerEnd(rec)
	if err != nil {
		return err
	}
	if kind, ok := KindOf(rec); !ok {
		return fmt.Errorf("%w: kind %d", ErrRecord, kind)
	}
	var buf [maxPacket]byte
	content := maphash.Bytes(contentSeed, appendStable(buf[:0], rec[n:]))
	key, seconds := Key(rec[offKey:]), int64(binary.BigEndian.Uint64(rec[offTime:]))/1e9
	if Flags(binary.BigEndian.Uint16(rec[offFlags:]))&FlagForward != 0 {
		seq |= Owed
	}
	if out, _ := ev.Claim(key, content, seconds); out == New || out == Conflict {
		ev.Settle(key, content, seq)
	}
	return nil
}

// Len counts the remembered events; those remembered by content count twice.
func (ev *Events) Len() int {
	n := 0
	for i := range ev.parts {
		p := &ev.parts[i]
		p.mu.Lock()
		n += p.n
		p.mu.Unlock()
	}
	return n
}

func halves(k Key) (hi, lo uint64) {
	return binary.BigEndian.Uint64(k[:8]), binary.BigEndian.Uint64(k[8:])
}

// find returns the ring position of exactly this event and content or -1,
// and for the same event with other contents the newest durable sequence
// number and how many there are.
func (p *part) find(hi, lo, content uint64) (at int, other uint64, same int) {
	if p.n == 0 {
		return -1, 0, 0
	}
	mask := len(p.index) - 1
	for i := int(lo >> p.shift); ; i = (i + 1) & mask {
		x := p.index[i]
		if x == 0 {
			return -1, other, same
		}
		e := &p.ring[x-1]
		if e.lo != lo || e.hi != hi {
			continue
		}
		if e.content == content {
			return int(x - 1), other, same
		}
		same++
		other = max(other, e.seq)
	}
}

func (p *part) insert(e entry) {
	if p.n == len(p.ring) {
		p.drop()
	}
	at := (p.head + p.n) & (len(p.ring) - 1)
	p.ring[at] = e
	p.n++
	mask := len(p.index) - 1
	i := int(e.lo >> p.shift)
	for p.index[i] != 0 {
		i = (i + 1) & mask
	}
	p.index[i] = uint32(at + 1)
}

// expire drops what is older than the Unix second before. Arrival order is
// time order but for clock steps, which only make an entry stay longer.
func (p *part) expire(before int64) {
	for p.n > 0 && p.ring[p.head].time < before {
		p.drop()
	}
}

// drop forgets the oldest entry.
func (p *part) drop() {
	if e := &p.ring[p.head]; e.hi|e.lo|e.content != 0 {
		p.unlink(p.head)
	}
	p.head = (p.head + 1) & (len(p.ring) - 1)
	p.n--
}

// unlink takes ring position at out of the index and closes the gap, so that
// no tombstones gather.
func (p *part) unlink(at int) {
	mask := len(p.index) - 1
	i := int(p.ring[at].lo >> p.shift)
	for p.index[i] != uint32(at+1) {
		if p.index[i] == 0 {
			return
		}
		i = (i + 1) & mask
	}
	for j := i; ; {
		j = (j + 1) & mask
		x := p.index[j]
		if x == 0 {
			break
		}
		home := int(p.ring[x-1].lo >> p.shift)
		// x may move to i only if its own place is not between i and j.
		if (j-home)&mask >= (j-i)&mask {
			p.index[i] = x
			i = j
		}
	}
	p.index[i] = 0
}
