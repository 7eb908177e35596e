package home

// block is the 256 identifiers of one socket toward one address of a home.
// Each is busy, free or resting, and waits in one of the two queues unless it
// is busy.
type block struct {
	word [256]uint32 // busy: the slot; resting: the coarse time it is over
	busy [4]uint64
	free queue
	rest queue // in order of time, as all rest equally long
}

// queue is a FIFO of at most 256 identifiers.
type queue struct {
	ids  [256]uint8
	head uint8
	n    uint16
}

func (q *queue) push(id uint8) {
	q.ids[q.head+uint8(q.n)] = id
	q.n++
}

func (q *queue) pop() uint8 {
	id := q.ids[q.head]
	q.head++
	q.n--
	return id
}

// newBlock returns a block that hands out start first: a restarted process
// should not meet late replies to its predecessor.
func newBlock(start uint8) *block {
	b := &block{}
	for i := range 256 {
		b.free.push(start + uint8(i))
	}
	return b
}

// coarse is a time in units of 16.8 ms; it compares by difference and wraps
// after more than a year.
func coarse(ns int64) uint32 { return uint32(ns >> 24) }

func (b *block) isBusy(id uint8) bool { return b.busy[id/64]&(1<<(id%64)) != 0 }

func (b *block) take(slot uint32, now int64) (id uint8, ok bool) {
	for b.rest.n > 0 {
		first := b.rest.ids[b.rest.head]
		if int32(coarse(now)-b.word[first]) <= 0 {
			break
		}
		b.free.push(b.rest.pop())
	}
	if b.free.n == 0 {
		return 0, false
	}
	id = b.free.pop()
	b.word[id] = slot
	b.busy[id/64] |= 1 << (id % 64)
	return id, true
}

func (b *block) give(id uint8, answered bool, until int64) {
	b.busy[id/64] &^= 1 << (id % 64)
	if answered {
		b.free.push(id)
		return
	}
	b.word[id] = coarse(until)
	b.rest.push(id)
}
