package home

import "math/bits"

const (
	wheelTick    = millisecond
	wheelBuckets = 1 << 15 // 32.8 s: one turn holds every timer of RFC 5080
	wheelMask    = wheelBuckets - 1
	wheelDue     = wheelBuckets // the list of timers being fired
	none         = ^uint32(0)
)

// Wheel is a hashed timer wheel over slot numbers with ticks of one
// millisecond. A slot has at most one timer. Setting and cancelling take
// constant time; memory is three arrays by slot that grow with the highest
// slot ever set. A Wheel belongs to one shard.
type Wheel struct {
	now   int64 // tick up to which timers have fired
	count int
	head  [wheelBuckets + 1]uint32
	busy  [wheelBuckets / 64]uint64 // which buckets have timers
	slots []timer
}

type timer struct {
	tick       int64
	next, prev uint32
	list       uint32 // bucket or wheelDue; none: not set
}

// NewWheel returns a Wheel without timers that starts at now and has room
// for that many slots before it grows.
func NewWheel(slots int, now int64) *Wheel {
	w := &Wheel{now: now / wheelTick, slots: make([]timer, 0, slots)}
	for i := range w.head {
		w.head[i] = none
	}
	return w
}

// Len is the number of timers set.
func (w *Wheel) Len() int { return w.count }

// Set lets the slot fire at that time, never before and at the first Advance
// that has passed it by a tick. It replaces an earlier timer of the slot. A
// time already passed fires at the next Advance.
// hot: 0 allocs below the highest slot so far
func (w *Wheel) Set(slot uint32, at int64) {
	w.grow(slot)
	if w.slots[slot].list != none {
		w.unlink(slot)
	}
	tick := max((at+wheelTick-1)/wheelTick, w.now+1)
	w.slots[slot].tick = tick
	w.link(slot, uint32(tick&wheelMask))
}

// Cancel takes the slot's timer away, if it has one. It may be called from
// within Advance for any slot: a cancelled timer does not fire.
// hot: 0 allocs
func (w *Wheel) Cancel(slot uint32) {
	if int(slot) < len(w.slots) && w.slots[slot].list != none {
		w.unlink(slot)
	}
}

// Advance fires every timer due at now, in no certain order. fire may Set and Cancel any slot,
// its own included; what it sets fires at a later Advance.
// hot: 0 allocs
func (w *Wheel) Advance(now int64, fire func(slot uint32)) {
	tick := now / wheelTick
	if tick <= w.now {
		return
	}
	// One turn visits every bucket; more would find nothing new.
	from := max(w.now+1, tick-wheelBuckets+1)
	w.now = tick
	for from <= tick {
		skip, ok := w.ahead(uint32(from & wheelMask))
		if from += int64(skip); !ok || from > tick {
			break
		}
		w.collect(uint32(from & wheelMask))
		from++
	}
	for slot := w.head[wheelDue]; slot != none; slot = w.head[wheelDue] {
		w.unlink(slot)
		fire(slot)
	}
}

// Next tells when to call Advance again if no timer is set before: the time
// of the next occupied bucket, which can be earlier than its first timer.
// ok is false when there are no timers.
// hot: 0 allocs
func (w *Wheel) Next() (at int64, ok bool) {
	skip, ok := w.ahead(uint32((w.now + 1) & wheelMask))
	return (w.now + 1 + int64(skip)) * wheelTick, ok
}

// collect moves the due timers of a bucket to the list being fired, so that
// fire can rearrange buckets freely.
func (w *Wheel) collect(bucket uint32) {
	for slot := w.head[bucket]; slot != none; {
		t := &w.slots[slot]
		next := t.next
		if t.tick <= w.now {
			w.unlink(slot)
			w.link(slot, wheelDue)
		}
		slot = next
	}
}

// ahead is the distance from a bucket to the first occupied one at or after
// it, around the wheel.
func (w *Wheel) ahead(bucket uint32) (skip uint32, ok bool) {
	if w.count == 0 {
		return 0, false
	}
	const words = wheelBuckets / 64
	first := bucket / 64
	for i := range uint32(words + 1) {
		word := w.busy[(first+i)%words]
		if i == 0 {
			word &= ^uint64(0) << (bucket % 64)
		}
		if word != 0 {
			found := (first+i)%words*64 + uint32(bits.TrailingZeros64(word))
			return (found - bucket) & wheelMask, true
		}
	}
	return 0, false
}

func (w *Wheel) link(slot, list uint32) {
	t := &w.slots[slot]
	t.list, t.prev, t.next = list, none, w.head[list]
	if t.next != none {
		w.slots[t.next].prev = slot
	}
	w.head[list] = slot
	if list != wheelDue {
		w.busy[list/64] |= 1 << (list % 64)
	}
	w.count++
}

func (w *Wheel) unlink(slot uint32) {
	t := &w.slots[slot]
	if t.next != none {
		w.slots[t.next].prev = t.prev
	}
	if t.prev != none {
		w.slots[t.prev].next = t.next
	} else {
		w.head[t.list] = t.next
		if t.next == none && t.list != wheelDue {
			w.busy[t.list/64] &^= 1 << (t.list % 64)
		}
	}
	t.list = none
	w.count--
}

func (w *Wheel) grow(slot uint32) {
	for int(slot) >= len(w.slots) {
		w.slots = append(w.slots, timer{list: none})
	}
}
