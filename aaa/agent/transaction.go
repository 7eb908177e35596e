package agent

import (
	"math/bits"
	"math/rand/v2"

	"github.com/roamgate/roamgate/realm"
)

// phase is how far a transaction has come.
type phase uint8

const (
	phaseFree   phase = iota // the slot is
	phaseBegun               // it is being decided on
	phasePolicy              // it waits for the device policy
	phaseRecord              // it waits for its record to be durable
	phaseSent                // a peer has it
	phaseLost                // the peer was lost, and the error waits for room in the sender's queue
	phaseRepeat              // another transaction of the same request has the answer
)

// transaction is one request from when it is worth a slot until it is answered. What
// it keeps of other parts of the walk they say themselves.
type transaction struct {
	phase    phase
	priority uint8 // of DRMP, 0 to 15
	fixed    bool  // one host alone can answer: it has a Destination-Host
	retried  bool  // sent to another peer after a connection was lost: with the T bit
	reacting bool  // our OC-Supported-Features is in it, and not the sender's
	waited   bool  // the device policy has come
	counted  bool  // among what its sender holds
	slot     uint32
	// number is the Hop-by-Hop Identifier toward peers: a generation and the slot.
	number uint32

	from *link // that it came by, nil: it is gone
	came uint32
	// of is who sent it, which stays when the link is gone.
	of *node
	// client is what the routes call it by the files of when it came, which a reload
	// may have without it by now.
	client      *realm.Client
	endToEnd    uint32
	command     uint32
	application uint32
	began       int64

	way  *way  // its route, nil: none but a Destination-Host
	pool *pool // where the candidates are, nil: only
	only *node
	// tried are members of the pool that have had it or must not have it.
	tried uint64
	key   uint64
	out   *link // that has it
	prior *link // that had it before, and may answer yet
	raw   []byte
	entry entry // in the table of repetitions
	// copies is the first of its repetitions, next of one the next, and first of one what
	// it repeats: slots, plus 1.
	copies, next, first uint32
	mark                mark
	voucher             voucher

	sent, got place // in the lists of out and from
}

// place is where a transaction stands in a list: the slots beside it, plus 1.
type place struct{ next, prev uint32 }

// list is a list of slots by its first, plus 1.
type list struct{ first uint32 }

const (
	tableChunk = 256 // transactions that memory is taken for at a time
	mostSlots  = 1 << 20
)

// table has the transactions. A slot's number changes with each use, so an answer
// that comes too late meets nothing.
type table struct {
	chunks [][]transaction
	free   []uint32
	most   int
	used   int
	bits   uint
	store  store
}

func newTable(most int) table {
	most = min(max(most, 1), mostSlots)
	return table{most: most, bits: uint(max(bits.Len(uint(most-1)), 1)), store: store{most: max(most*storeEach, 4<<20)}}
}

func (tb *table) at(slot uint32) *transaction {
	return &tb.chunks[slot/tableChunk][slot%tableChunk]
}

// find gives the transaction of a number, nil: it is over.
//
// hot: 0 allocs
func (tb *table) find(number uint32) *transaction {
	slot := number & (1<<tb.bits - 1)
	if int(slot/tableChunk) >= len(tb.chunks) {
		return nil
	}
	t := tb.at(slot)
	if t.phase == phaseFree || t.number != number {
		return nil
	}
	return t
}

// take gives a free slot, nil: all are in use.
//
// hot: 0 allocs below the most ever in use
func (tb *table) take() *transaction {
	if len(tb.free) == 0 && !tb.grow() {
		return nil
	}
	slot := tb.free[len(tb.free)-1]
	tb.free = tb.free[:len(tb.free)-1]
	t := tb.at(slot)
	*t = transaction{phase: phaseBegun, slot: slot, number: t.number + 1<<tb.bits}
	tb.used++
	return t
}

func (tb *table) grow() bool {
	first := len(tb.chunks) * tableChunk
	n := min(tableChunk, tb.most-first)
	if n <= 0 {
		return false
	}
	chunk := make([]transaction, n)
	for i := range chunk {
		slot := uint32(first + i)
		// Chance, so that answers to an agent that was before this one meet nothing.
		chunk[i].slot, chunk[i].number = slot, rand.Uint32()<<tb.bits|slot
	}
	tb.chunks = append(tb.chunks, chunk)
	for i := n - 1; i >= 0; i-- {
		tb.free = append(tb.free, uint32(first+i))
	}
	return true
}

// drop frees a slot.
//
// hot: 0 allocs
func (tb *table) drop(t *transaction) {
	tb.store.back(t.raw)
	t.raw, t.phase, t.from, t.out, t.prior = nil, phaseFree, nil, nil, nil
	t.way, t.pool, t.only, t.of, t.client = nil, nil, nil, nil, nil
	t.voucher = voucher{}
	tb.free = append(tb.free, t.slot)
	tb.used--
}

// enter puts a transaction into a list, and leave takes it out. at says which of its
// places is that of the list.
func (tb *table) enter(l *list, t *transaction, at func(*transaction) *place) {
	p := at(t)
	p.prev, p.next = 0, l.first
	if l.first != 0 {
		at(tb.at(l.first - 1)).prev = t.slot + 1
	}
	l.first = t.slot + 1
}

func (tb *table) leave(l *list, t *transaction, at func(*transaction) *place) {
	p := at(t)
	if p.next != 0 {
		at(tb.at(p.next - 1)).prev = p.prev
	}
	if p.prev != 0 {
		at(tb.at(p.prev - 1)).next = p.next
	} else {
		l.first = p.next
	}
	*p = place{}
}

// rank puts a list of what was sent, which has the youngest first, in the order of
// priorities, and those of one by age, the oldest first.
func (tb *table) rank(l *list) {
	var first, last [16]uint32
	for at := l.first; at != 0; {
		t := tb.at(at - 1)
		here, p := at, t.priority
		at = t.sent.next
		if t.sent = (place{next: first[p]}); first[p] != 0 {
			tb.at(first[p] - 1).sent.prev = here
		} else {
			last[p] = here
		}
		first[p] = here
	}
	l.first = 0
	end := uint32(0)
	for p, at := range first {
		switch {
		case at == 0:
			continue
		case end == 0:
			l.first = at
		default:
			tb.at(end-1).sent.next, tb.at(at-1).sent.prev = at, end
		}
		end = last[p]
	}
}

func placeSent(t *transaction) *place { return &t.sent }
func placeGot(t *transaction) *place  { return &t.got }

// store lends memory for messages, by size. It keeps what comes back, and has no more
// than most octets, lent and kept: messages of another length take the place of what
// was kept for those before.
type store struct {
	free [len(storeSizes)][][]byte
	lent int
	kept int
	most int
}

var storeSizes = [...]int{512, 2 << 10, 8 << 10, 64 << 10}

// storeEach is how many octets there are for each transaction in the mean.
const storeEach = 1 << 10

// sizeOf is what a message of n octets takes of the store.
//
// hot: 0 allocs
func sizeOf(n int) int {
	for _, size := range storeSizes {
		if n <= size {
			return size
		}
	}
	return n
}

// lend gives memory of n octets, nil: too much is lent.
//
// hot: 0 allocs below the most ever lent
func (s *store) lend(n int) []byte {
	for i, size := range storeSizes {
		if n > size {
			continue
		}
		if s.lent+size > s.most {
			return nil
		}
		s.lent += size
		if k := len(s.free[i]); k > 0 {
			b := s.free[i][k-1]
			s.free[i][k-1] = nil
			s.free[i] = s.free[i][:k-1]
			s.kept -= size
			return b[:n]
		}
		s.shed()
		return make([]byte, n, size)
	}
	return nil
}

// shed gives up what is kept beyond the bound, the longest first.
func (s *store) shed() {
	for i := len(storeSizes) - 1; i >= 0; i-- {
		for k := len(s.free[i]); k > 0 && s.lent+s.kept > s.most; k-- {
			s.free[i][k-1] = nil
			s.free[i] = s.free[i][:k-1]
			s.kept -= storeSizes[i]
		}
	}
}

func (s *store) back(b []byte) {
	for i, size := range storeSizes {
		if cap(b) == size {
			s.lent -= size
			s.kept += size
			s.free[i] = append(s.free[i], b[:0])
			return
		}
	}
}
