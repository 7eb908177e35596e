package udp

import "sync/atomic"

// Queue collects the datagrams that one Conn shall send and hands them to the
// kernel together. It belongs to the goroutine of its Conn.
type Queue struct {
	conn    *Conn
	buf     []byte
	n       int // datagrams committed
	tail    int // where the next one begins: they lie close together
	starts  []int
	lens    []int32
	to      []Addr
	locals  []LocalInfo
	headers queueHeaders
	sent    atomic.Uint64
	errs    errorCounts
}

// NewQueue makes a queue of n datagrams (1 to 256) for c.
func NewQueue(c *Conn, n int) *Queue {
	n = min(max(n, 1), 256)
	q := &Queue{
		conn:   c,
		buf:    make([]byte, n*(MaxPacket+bufferAlign)),
		starts: make([]int, n),
		lens:   make([]int32, n),
		to:     make([]Addr, n),
		locals: make([]LocalInfo, n),
	}
	q.headers.init(q)
	return q
}

// Next lends a free buffer of MaxPacket octets to build a packet in. A full
// queue is flushed first. Until Commit, Next returns the same buffer again.
// hot: 0 allocs
func (q *Queue) Next() []byte {
	if q.n == len(q.lens) {
		q.Flush()
	}
	return q.buf[q.tail : q.tail+MaxPacket]
}

// Commit queues the first n octets of the buffer that Next returned. n above
// MaxPacket is a mistake of the caller and panics. hot: 0 allocs
func (q *Queue) Commit(n int, to Addr, l LocalInfo) {
	if uint(n) > MaxPacket {
		panic("udp: Commit of more octets than the buffer has")
	}
	i := q.n
	q.starts[i], q.lens[i], q.to[i], q.locals[i] = q.tail, int32(n), to, l
	q.tail += (n + bufferAlign - 1) &^ (bufferAlign - 1)
	q.n = i + 1
}

// Send queues a copy of b, which is not retained. More than MaxPacket octets
// are not sent but counted as ClassTooBig. hot: 0 allocs
func (q *Queue) Send(b []byte, to Addr, l LocalInfo) {
	if len(b) > MaxPacket {
		q.errs.add(ClassTooBig, 1)
		return
	}
	copy(q.Next(), b)
	q.Commit(len(b), to, l)
}

// Pending is the number of datagrams queued and not yet flushed.
func (q *Queue) Pending() int { return q.n }

// Flush sends everything queued. What the kernel refuses is counted by class
// and forgotten; it never blocks and never repeats. hot: 0 allocs
func (q *Queue) Flush() {
	if q.n == 0 {
		return
	}
	if q.conn.closed {
		q.errs.add(ClassOther, uint64(q.n))
	} else {
		q.conn.back.send(q)
	}
	q.n, q.tail = 0, 0
}

// Sent counts the datagrams that the kernel took.
func (q *Queue) Sent() uint64 { return q.sent.Load() }

// Errors counts the datagrams that it did not take.
func (q *Queue) Errors() uint64 { return q.errs.total() }

// ErrorsOf counts those of one class.
func (q *Queue) ErrorsOf(k ErrorClass) uint64 { return q.errs.of(k) }

func (q *Queue) data(i int) []byte {
	return q.buf[q.starts[i] : q.starts[i]+int(q.lens[i])]
}
