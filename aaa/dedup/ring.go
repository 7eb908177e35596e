package dedup

import "encoding/binary"

const (
	headerLen = 8
	maxReply  = 4096 // RFC 2865 section 3
	filler    = ^uint32(0)
)

// A ring above leastParts octets is made in pieces of a 64th, each when the first
// record comes to it: a hub that answers little has as little memory for it.
const (
	parts      = 64
	leastParts = 4 << 20
)

// ring is a FIFO of records in arrays: a header of the entry's number and
// the record's whole length, then the reply, padded to 8 octets. A record
// that would pass the end of an array is preceded by a filler up to there,
// so that each reply is contiguous. Offsets count up for ever.
type ring struct {
	parts      [][]byte // nil: nothing has been written there
	part, size uint64   // octets of each, and of all
	head, tail uint64
}

func newRing(size int) ring {
	n := 1
	if size >= leastParts {
		n = parts
	}
	part := size / n &^ 7
	return ring{parts: make([][]byte, n), part: uint64(part), size: uint64(n * part)}
}

// at is the array from an offset on.
func (r *ring) at(offset uint64) []byte {
	return r.parts[offset%r.size/r.part][offset%r.part:]
}

func (r *ring) empty() bool { return r.head == r.tail }

func recordLen(reply int) uint64 { return uint64(headerLen+reply+7) &^ 7 }

// room is what a reply of n octets takes at the tail, with a filler.
func (r *ring) room(n int) (need, skip uint64) {
	need = recordLen(n)
	if left := r.part - r.tail%r.part; left < need {
		skip = left
	}
	return need, skip
}

func (r *ring) fits(n int) bool {
	need, skip := r.room(n)
	return r.tail-r.head+need+skip <= r.size
}

// push appends a reply that fits and returns its place.
func (r *ring) push(entry uint32, reply []byte) uint64 {
	need, skip := r.room(len(reply))
	if skip > 0 {
		r.header(r.tail, filler, skip)
		r.tail += skip
	}
	at := r.tail
	if p := &r.parts[at%r.size/r.part]; *p == nil {
		*p = make([]byte, r.part)
	}
	r.header(at, entry, need)
	copy(r.data(at, len(reply)), reply)
	r.tail += need
	return at
}

func (r *ring) header(at uint64, entry uint32, length uint64) {
	b := r.at(at)
	binary.LittleEndian.PutUint32(b, entry)
	binary.LittleEndian.PutUint32(b[4:], uint32(length))
}

func (r *ring) record(at uint64) (entry uint32, length uint64) {
	b := r.at(at)
	return binary.LittleEndian.Uint32(b), uint64(binary.LittleEndian.Uint32(b[4:]))
}

func (r *ring) data(at uint64, n int) []byte {
	end := headerLen + uint64(n)
	return r.at(at)[headerLen:end:end]
}

// oldest gives the first record; the ring must not be empty. A filler never
// stays first without a record behind it, as push writes both.
func (r *ring) oldest() (entry uint32, at uint64) {
	entry, length := r.record(r.head)
	if entry == filler {
		r.head += length
		entry, _ = r.record(r.head)
	}
	return entry, r.head
}

func (r *ring) pop() {
	_, length := r.record(r.head)
	r.head += length
}
