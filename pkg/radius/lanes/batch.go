package lanes

import (
	"crypto/md5"
	"encoding"
	"encoding/binary"
	"hash"
)

const (
	width     = 16 // messages that a kernel takes at once
	blockSize = md5.BlockSize
	padding   = blockSize + 8 // most that MD5 adds behind a message
)

// State is where the hash of a message begins: at the start, or behind a first
// block that many messages share, such as the padded key of an HMAC.
type State struct {
	v     [4]uint32
	octet uint64 // hashed so far, whole blocks
}

// Fresh is the State in front of every message.
var Fresh = &State{v: [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}}

// The layout in which crypto/md5 gives and takes its state: a mark, four
// words, a block not yet hashed, the octets so far.
const (
	stateMark  = "md5\x01"
	stateBlock = len(stateMark) + md5.Size
	stateCount = stateBlock + blockSize
	stateLen   = stateCount + 8
)

// After returns the State behind block.
func After(block *[blockSize]byte) *State {
	h := md5.New()
	h.Write(block[:])
	b, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil || len(b) != stateLen {
		panic("lanes: crypto/md5 does not give its state")
	}
	s := &State{octet: blockSize}
	for i := range s.v {
		s.v[i] = binary.BigEndian.Uint32(b[len(stateMark)+4*i:])
	}
	return s
}

// job is a message that waits for Run.
type job struct {
	from  *State
	off   uint32 // in the arena
	size  uint32 // octets of the message
	left  uint32 // blocks with the padding
	index uint32 // of its sum
}

// Batch collects messages and hashes them together. All methods: hot, 0
// allocs.
type Batch struct {
	arena []byte
	n     int // octets of the arena in use
	jobs  []job
	sums  [][md5.Size]byte
	done  int // sums given out since Reset

	states [4][width]uint32 // as the kernel has them: word by word
	offs   [width]uint32

	plain  hash.Hash // what does the work without a kernel
	resume encoding.BinaryUnmarshaler
	state  [stateLen]byte
}

// New makes a Batch for so many messages between two Resets, and for so many
// octets of messages between two Runs. Both are meant to be enough; more
// octets cost a Run in between, more messages a panic.
func New(messages, octets int) *Batch {
	h := md5.New()
	return &Batch{
		arena: make([]byte, octets+padding),
		jobs:  make([]job, 0, messages),
		sums:  make([][md5.Size]byte, messages),
		plain: h, resume: h.(encoding.BinaryUnmarshaler),
	}
}

// Reset forgets all messages and sums.
func (b *Batch) Reset() { b.n, b.jobs, b.done = 0, b.jobs[:0], 0 }

// Len is the number of messages since Reset.
func (b *Batch) Len() int { return b.done }

// Room is the number of messages that may still be added before a Reset.
func (b *Batch) Room() int { return len(b.sums) - b.done }

// Begin starts a message of at most octets behind s.
func (b *Batch) Begin(s *State, octets int) {
	if b.n+octets+padding > len(b.arena) {
		b.Run()
		if octets+padding > len(b.arena) {
			b.arena = make([]byte, octets+padding)
		}
	}
	b.jobs = append(b.jobs, job{from: s, off: uint32(b.n), index: uint32(b.done)})
	b.done++
}

// Write appends to the message begun.
func (b *Batch) Write(p []byte) { b.n += copy(b.arena[b.n:], p) }

// End closes the message begun and returns its number.
func (b *Batch) End() int {
	j := &b.jobs[len(b.jobs)-1]
	j.size = uint32(b.n) - j.off
	j.left = (j.size + padding) / blockSize
	end := int(j.off + j.left*blockSize)
	tail := b.arena[b.n:end]
	clear(tail)
	tail[0] = 0x80
	binary.LittleEndian.PutUint64(tail[len(tail)-8:], 8*(j.from.octet+uint64(j.size)))
	b.n = end
	return int(j.index)
}

// Sum is the hash of message i, whose Run has been. It is good until Reset.
func (b *Batch) Sum(i int) *[md5.Size]byte { return &b.sums[i] }

// Run hashes what has been added since the last Run.
func (b *Batch) Run() {
	if len(b.jobs) > 0 {
		if kernel {
			b.runLanes()
		} else {
			b.runPlain()
		}
	}
	b.n, b.jobs = 0, b.jobs[:0]
}

func (b *Batch) runPlain() {
	for i := range b.jobs {
		j := &b.jobs[i]
		copy(b.state[:], stateMark)
		for k, v := range j.from.v {
			binary.BigEndian.PutUint32(b.state[len(stateMark)+4*k:], v)
		}
		binary.BigEndian.PutUint64(b.state[stateCount:], j.from.octet)
		if b.resume.UnmarshalBinary(b.state[:]) != nil {
			panic("lanes: crypto/md5 does not take its state")
		}
		b.plain.Write(b.arena[j.off : j.off+j.size])
		b.plain.Sum(b.sums[j.index][:0])
	}
}

// runLanes keeps every lane busy: one whose message has ended takes the next.
func (b *Batch) runLanes() {
	var at [width]*job // nil: idle
	next, busy := 0, 0
	for lane := range at {
		b.offs[lane] = 0 // an idle lane reads what another one needs
		if next < len(b.jobs) {
			at[lane] = &b.jobs[next]
			b.load(lane, at[lane])
			next++
			busy++
		}
	}
	for busy > 0 {
		n := ^uint32(0)
		for _, j := range &at {
			if j != nil {
				n = min(n, j.left)
			}
		}
		blocks(&b.states, &b.arena[0], &b.offs, int(n))
		for lane, j := range &at {
			if j == nil {
				continue
			}
			if j.left -= n; j.left > 0 {
				b.offs[lane] += n * blockSize
				continue
			}
			sum := &b.sums[j.index]
			for k := range b.states {
				binary.LittleEndian.PutUint32(sum[4*k:], b.states[k][lane])
			}
			if next == len(b.jobs) {
				at[lane], b.offs[lane] = nil, 0
				busy--
				continue
			}
			at[lane] = &b.jobs[next]
			b.load(lane, at[lane])
			next++
		}
	}
}

func (b *Batch) load(lane int, j *job) {
	for k, v := range &j.from.v {
		b.states[k][lane] = v
	}
	b.offs[lane] = j.off
}
