package lanes

import (
	"crypto/md5"
	"encoding"
	"encoding/binary"
	"hash"
)

const (
	blockSize = md5.BlockSize
	padding   = blockSize + 8 // most that MD5 adds behind a message
)

// State is where the hash of a message begins: at the start, or behind a first
// block that many messages share, such as the padded key of an HMAC.
type State struct {
	v     [md5.Size]byte // as in a sum
	octet uint64         // hashed so far, whole blocks
}

// Fresh is the State in front of every message.
var Fresh = &State{v: [md5.Size]byte{
	0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
	0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10,
}}

// After returns the State behind block.
func After(block *[blockSize]byte) *State {
	p := newPlain()
	s := &State{v: Fresh.v, octet: blockSize}
	p.blocks(&s.v, block[:])
	return s
}

// job is a message that waits for Run.
type job struct {
	off   uint32 // in the arena
	left  uint32 // blocks with the padding
	index uint32 // of its sum
	next  uint32 // job of this length, counted from 1
}

// lengths are told apart up to what a RADIUS packet and a secret have.
const lengths = 80

// Batch collects messages and hashes them together. All methods: hot, 0
// allocs.
type Batch struct {
	arena  []byte
	n      int    // octets of the arena in use
	before uint64 // octets in front of the message begun
	jobs   []job
	length [lengths + 1]uint32 // last job of so many blocks, counted from 1
	most   uint32              // blocks of the longest
	sums   [][md5.Size]byte    // from Begin to Run where the hash begins; behind len a spare one
	done   int                 // sums given out since Reset

	kernel kernel
	group  group
	plain  *plain
}

// New makes a Batch for so many messages between two Resets, and for so many
// octets of messages between two Runs. Both are meant to be enough; more
// octets cost a Run in between, more messages a panic.
func New(messages, octets int) *Batch { return newBatch(best, messages, octets) }

func newBatch(k kernel, messages, octets int) *Batch {
	return &Batch{
		arena:  make([]byte, octets+padding),
		jobs:   make([]job, 0, messages),
		sums:   make([][md5.Size]byte, messages, messages+1),
		kernel: k,
		plain:  newPlain(),
	}
}

// Reset forgets all messages and sums.
func (b *Batch) Reset() {
	b.forget()
	b.done = 0
}

func (b *Batch) forget() {
	clear(b.length[:b.most+1])
	b.n, b.jobs, b.most = 0, b.jobs[:0], 0
}

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
	b.sums[b.done] = s.v
	b.before = s.octet
	b.jobs = append(b.jobs, job{off: uint32(b.n), index: uint32(b.done)})
	b.done++
}

// Write appends to the message begun.
func (b *Batch) Write(p []byte) { b.n += copy(b.arena[b.n:], p) }

// End closes the message begun and returns its number.
func (b *Batch) End() int {
	j := &b.jobs[len(b.jobs)-1]
	size := uint32(b.n) - j.off
	j.left = (size + padding) / blockSize
	end := int(j.off + j.left*blockSize)
	tail := b.arena[b.n:end]
	clear(tail)
	tail[0] = 0x80
	binary.LittleEndian.PutUint64(tail[len(tail)-8:], 8*(b.before+uint64(size)))
	b.n = end
	n := min(j.left, lengths)
	b.most = max(b.most, n)
	last := &b.length[n]
	j.next, *last = *last, uint32(len(b.jobs))
	return int(j.index)
}

// Sum is the hash of message i, whose Run has been. It is good until Reset.
func (b *Batch) Sum(i int) *[md5.Size]byte { return &b.sums[i] }

// Run hashes what has been added since the last Run. The longest go first, so
// that messages of about one length share a group: a lane whose message has
// ended waits for the longest beside it.
func (b *Batch) Run() {
	left, lane := len(b.jobs), 0
	for n := b.most; left > 0; n-- {
		for i := b.length[n]; i != 0; left-- {
			j := &b.jobs[i-1]
			b.group.take(lane, j)
			if lane++; lane == width {
				b.hash(lane)
				lane = 0
			}
			i = j.next
		}
	}
	if lane > 0 {
		b.hash(lane)
	}
	b.forget()
}

// hash works off the lanes of the group that are taken.
func (b *Batch) hash(taken int) {
	g := &b.group
	if taken < b.kernel.least {
		for lane := range taken {
			from := b.arena[g.off[lane]:][:g.left[lane]*blockSize]
			b.plain.blocks(&b.sums[g.sum[lane]/md5.Size], from)
		}
		return
	}
	for lane := taken; lane < width; lane++ {
		g.sum[lane] = uint32(len(b.sums) * md5.Size) // the spare one
		g.off[lane] = g.off[0]
		g.left[lane] = 0
	}
	b.kernel.blocks(&b.sums[0], &b.arena[0], g)
}

// The layout in which crypto/md5 gives and takes its state: a mark, four
// words in network order, a block not yet hashed, the octets so far.
const (
	stateWords = len("md5\x01")
	stateLen   = stateWords + md5.Size + blockSize + 8
)

// plain hashes whole blocks with crypto/md5.
type plain struct {
	hash  hash.Hash
	give  encoding.BinaryAppender
	take  encoding.BinaryUnmarshaler
	state [stateLen]byte
}

func newPlain() *plain {
	h := md5.New()
	p := &plain{hash: h, give: h.(encoding.BinaryAppender), take: h.(encoding.BinaryUnmarshaler)}
	if b, err := p.give.AppendBinary(p.state[:0]); err != nil || len(b) != stateLen {
		panic("lanes: crypto/md5 does not give its state")
	}
	return p
}

// blocks takes sum behind from. The octets so far, which p.state keeps from
// the message before, count whole blocks and matter for the padding only.
func (p *plain) blocks(sum *[md5.Size]byte, from []byte) {
	words := p.state[stateWords:]
	for i := 0; i < md5.Size; i += 4 {
		binary.BigEndian.PutUint32(words[i:], binary.LittleEndian.Uint32(sum[i:]))
	}
	if p.take.UnmarshalBinary(p.state[:]) != nil {
		panic("lanes: crypto/md5 does not take its state")
	}
	p.hash.Write(from)
	if _, err := p.give.AppendBinary(p.state[:0]); err != nil {
		panic("lanes: crypto/md5 does not give its state")
	}
	for i := 0; i < md5.Size; i += 4 {
		binary.LittleEndian.PutUint32(sum[i:], binary.BigEndian.Uint32(words[i:]))
	}
}
