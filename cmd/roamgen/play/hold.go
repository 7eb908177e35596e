package play

import (
	"time"

	"github.com/roamgate/roamgate/pkg/udp"
)

const (
	holdSlots = 1024
	holdTick  = int64(time.Millisecond)
	holdEnd   = -1
)

// held is an answer that waits for its time.
type held struct {
	due   int64
	to    udp.Addr
	local udp.LocalInfo
	link  *link  // nil over UDP
	b     []byte // kept with the entry and grown as needed
	next  int32
	door  uint8
}

// tick is the first one at which the answer is not early.
func (e *held) tick() int64 { return (e.due + holdTick - 1) / holdTick }

// hold is a hashed timer wheel of answers, one tick a millisecond. Entries
// are recycled, so a steady load allocates nothing. It belongs to one shard.
type hold struct {
	slots  [holdSlots]int32
	all    []held
	free   int32
	n      int
	cursor int64 // the last tick released
}

func newHold(now int64) *hold {
	h := &hold{free: holdEnd, cursor: now / holdTick}
	for i := range h.slots {
		h.slots[i] = holdEnd
	}
	return h
}

// put copies b and keeps it until due.
func (h *hold) put(due int64, door uint8, b []byte, link *link, to udp.Addr, local udp.LocalInfo) {
	i := h.free
	if i == holdEnd {
		h.all = append(h.all, held{})
		i = int32(len(h.all) - 1)
	} else {
		h.free = h.all[i].next
	}
	e := &h.all[i]
	e.due, e.door, e.link, e.to, e.local = due, door, link, to, local
	e.b = append(e.b[:0], b...)
	h.link(i, max(e.tick(), h.cursor+1))
	h.n++
}

func (h *hold) link(i int32, tick int64) {
	s := &h.slots[tick%holdSlots]
	h.all[i].next = *s
	*s = i
}

// release hands out every answer that is due. The entry is valid until fn
// returns.
func (h *hold) release(now int64, fn func(*held)) {
	end := now / holdTick
	if h.n == 0 {
		h.cursor = end
		return
	}
	for tick := max(h.cursor+1, end-holdSlots+1); tick <= end; tick++ {
		h.cursor = tick
		i := h.slots[tick%holdSlots]
		h.slots[tick%holdSlots] = holdEnd
		for i != holdEnd {
			next := h.all[i].next
			if t := h.all[i].tick(); t > tick { // another turn of the wheel
				h.link(i, t)
			} else {
				fn(&h.all[i])
				h.all[i].next = h.free
				h.free = i
				h.n--
			}
			i = next
		}
	}
}
