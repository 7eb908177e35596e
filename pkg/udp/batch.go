package udp

import "sync/atomic"

// MaxPacket is the size of the buffers that a Queue lends (RFC 2865 §3).
const MaxPacket = 4096

// bufferAlign keeps buffers on cache lines of their own, and the stride off
// a multiple of the page so that they do not compete for the same cache sets.
const bufferAlign = 64

// Wide is the size of a Batch's buffers for sockets with Options.Coalesce.
const Wide = 1 << 16

type connCounters struct {
	drops atomic.Uint64
	recv  errorCounts
}

// Batch receives up to n datagrams at once.
type Batch struct {
	buf     []byte
	size    int
	stride  int
	n       int     // datagrams of the last Recv
	starts  []int32 // where they lie in buf
	lens    []int32
	cut     []bool
	addrs   []Addr
	locals  []LocalInfo
	headers batchHeaders
	rest    rest
	full    bool // the last answer of the kernel
}

// rest is what came together with the datagrams of the last Recv and is given
// out by the next ones.
type rest struct {
	conn  *Conn
	next  int   // message of headers
	end   int   // messages received
	part  int32 // octets of that message given out already
	size  int32 // of its datagrams
	addr  Addr
	local LocalInfo
}

// NewBatch makes a batch of n buffers of size octets. A size of MaxPacket+1
// lets the reader tell a datagram of the largest legal size from a longer one;
// sockets with Options.Coalesce need Wide.
func NewBatch(n, size int) *Batch {
	n, size = max(n, 1), max(size, 1)
	stride := (size + bufferAlign - 1) &^ (bufferAlign - 1)
	if stride%4096 == 0 {
		stride += bufferAlign
	}
	b := &Batch{
		buf:    make([]byte, n*stride),
		size:   size,
		stride: stride,
		starts: make([]int32, n),
		lens:   make([]int32, n),
		cut:    make([]bool, n),
		addrs:  make([]Addr, n),
		locals: make([]LocalInfo, n),
	}
	b.headers.init(b)
	return b
}

// Cap is the number of datagrams that fit.
func (b *Batch) Cap() int { return len(b.lens) }

// Data is datagram i of the last Recv, valid until the next. The caller may
// write to it. i must be below the count that Recv returned.
// hot: 0 allocs
func (b *Batch) Data(i int) []byte {
	off := int(b.starts[i])
	end := off + int(b.lens[i])
	return b.buf[off:end:end]
}

// Pending tells whether the next Recv of the same Conn gives more without
// asking the kernel. It must be asked for before another Conn uses the batch,
// and before the Poller is waited for: the kernel has nothing more to say of
// what it has handed over. hot: 0 allocs
func (b *Batch) Pending() bool { return b.rest.next < b.rest.end }

// Full tells whether the kernel had as much as fits when it was asked last, so
// that more may wait there. The number of datagrams does not say so once some
// came together: what is left of them is less. hot: 0 allocs
func (b *Batch) Full() bool { return b.full }

// Truncated tells whether datagram i was longer than the buffers.
func (b *Batch) Truncated(i int) bool { return b.cut[i] }

// Addr is the source of datagram i. hot: 0 allocs
func (b *Batch) Addr(i int) Addr { return b.addrs[i] }

// Local is where datagram i was sent to, for Queue. hot: 0 allocs
func (b *Batch) Local(i int) LocalInfo { return b.locals[i] }

func (b *Batch) buffer(i int) []byte {
	off := i * b.stride
	return b.buf[off : off+b.size]
}
