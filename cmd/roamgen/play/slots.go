package play

import (
	"net/netip"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

const (
	idsPerLane = 256
	slotBuffer = 1024
	none       = -1
)

// slot is one request in flight: the identifier id of a lane.
type slot struct {
	auth  [16]byte
	first int64 // sent for the first time
	due   int64 // to be sent again
	conv  int32
	prev  int32 // by due, over all lanes of a worker
	next  int32
	tries int32
	n     int32 // octets of buf
	kind  Kind
	busy  bool
	buf   [slotBuffer]byte
}

// lane is one socket or connection toward one port of the proxy, the space of
// its identifiers. The slot of identifier i is number base+i of the worker.
type lane struct {
	conn   *udp.Conn // nil over a connection
	queue  *udp.Queue
	link   *link // nil over UDP, and while there is no connection
	to     netip.AddrPort
	target udp.Addr
	secret *radius.Secret
	base   int32
	acct   bool
	// ids is a ring of free identifiers: the one freed longest ago is used
	// next, so that a late answer rarely meets a new request.
	ids  []int32
	head int
	free int
	// In RADIUS/1.1 a token is the identifier and, above it, how many requests
	// there were before.
	tokens uint32
}

// newLane has the identifiers from start on, in turns.
func newLane(base int32, size, start int, acct bool) *lane {
	l := &lane{base: base, acct: acct}
	l.renew(size, 0, start)
	return l
}

// renew makes all identifiers free, the first ones kept back.
func (l *lane) renew(size, kept, start int) {
	l.ids = make([]int32, size-kept)
	for i := range l.ids {
		l.ids[i] = int32(kept + (start+i)%(size-kept))
	}
	l.head, l.free = 0, len(l.ids)
}

func (l *lane) take() int32 {
	id := l.ids[l.head]
	l.head = (l.head + 1) % len(l.ids)
	l.free--
	return l.base + id
}

func (l *lane) give(s int32) {
	l.ids[(l.head+l.free)%len(l.ids)] = s - l.base
	l.free++
}

// waiting is the list of busy slots by the time of their repetition. The
// timeout is the same for all, so what is sent last is due last.
type waiting struct{ head, tail int32 }

func (w *waiting) push(slots []slot, i int32) {
	slots[i].prev, slots[i].next = w.tail, none
	if w.tail == none {
		w.head = i
	} else {
		slots[w.tail].next = i
	}
	w.tail = i
}

func (w *waiting) remove(slots []slot, i int32) {
	s := &slots[i]
	if s.prev == none {
		w.head = s.next
	} else {
		slots[s.prev].next = s.next
	}
	if s.next == none {
		w.tail = s.prev
	} else {
		slots[s.next].prev = s.prev
	}
}

// fifo is a ring of conversation numbers that grows to the most it ever held.
type fifo struct {
	b    []int32 // length is a power of two
	head int
	n    int
}

func (f *fifo) push(v int32) {
	if f.n == len(f.b) {
		grown := make([]int32, max(2*len(f.b), 64))
		for i := range f.n {
			grown[i] = f.b[(f.head+i)&(len(f.b)-1)]
		}
		f.b, f.head = grown, 0
	}
	f.b[(f.head+f.n)&(len(f.b)-1)] = v
	f.n++
}

func (f *fifo) peek() int32 { return f.b[f.head] }

func (f *fifo) pop() int32 {
	v := f.b[f.head]
	f.head = (f.head + 1) & (len(f.b) - 1)
	f.n--
	return v
}
