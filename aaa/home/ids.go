package home

import "time"

// Sockets are asked for at most this often after one could not be opened; a
// failure must not become a system call per packet, nor a latch.
const socketRetry = second

// IDsConfig bounds the identifiers of a shard. The zero value of a bound is
// its default.
type IDsConfig struct {
	Rest           time.Duration // 30 s: how long an unanswered identifier is not used again
	MaxOutstanding int           // per address, all that MaxSockets allow
	MaxSockets     int           // per address family, 64
	// NeedSocket opens one more socket of the family and names it by a small
	// number: numbers index an array. It is called from Acquire.
	NeedSocket func(v4 bool) (sock int, ok bool)
	Seed       uint64 // of the random start points, any
}

// IDCounters count why Acquire had nothing to give.
type IDCounters struct {
	Capped    uint64 // the home had MaxOutstanding requests
	Exhausted uint64 // every identifier of every socket was in use or resting
	NoSocket  uint64 // NeedSocket could not open one
	Misused   uint64 // Release of what was not acquired
}

// IDs hands out the Identifiers of requests to homes: 256 for each pair of
// one of the shard's sockets and a home's address, so that a home which does
// not answer takes no identifier of another one. It asks for another socket
// only when a home has used up those at hand, and all homes share the same
// sockets.
//
// An answered identifier is used again after all others that are free (RFC
// 5080 section 2.2.2), an unanswered one only after it has rested, so that a
// late reply does not meet another request. An IDs belongs to one shard and
// grows by 1.6 KiB for each such pair when first used.
type IDs struct {
	conf     IDsConfig
	lines    []line // by the number of an address, see View.Line
	families [2]family
	place    []int32 // by socket: position in its family
	rest     int64
	inUse    int
	rnd      random
	counters IDCounters
}

// line is one address of a home: blocks[i] goes with the i-th socket of its
// family.
type line struct {
	blocks []*block
	cur    int // where the last identifier came from
	out    int
}

type family struct {
	socks []int
	retry int64 // no socket is asked for before
}

// NewIDs returns an IDs without sockets.
func NewIDs(conf IDsConfig) *IDs {
	if conf.Rest == 0 {
		conf.Rest = 30 * time.Second
	}
	if conf.MaxSockets == 0 {
		conf.MaxSockets = 64
	}
	if conf.MaxOutstanding == 0 {
		conf.MaxOutstanding = conf.MaxSockets * 256
	}
	return &IDs{conf: conf, rest: int64(conf.Rest), rnd: random(conf.Seed)}
}

// Counters returns the counts so far.
func (d *IDs) Counters() IDCounters { return d.counters }

// InUse is the number of identifiers acquired and not released.
func (d *IDs) InUse() int { return d.inUse }

// Outstanding is the number of identifiers in use toward an address.
func (d *IDs) Outstanding(line int32) int {
	if int(line) < len(d.lines) {
		return d.lines[line].out
	}
	return 0
}

// Acquire takes an identifier toward an address for the exchange in slot. v4
// is the family of the address. It is not ok when the home there has all it
// may have: the caller tries another home or sheds.
// hot: 0 allocs unless the address meets a socket for the first time
func (d *IDs) Acquire(line int32, v4 bool, slot uint32, now int64) (sock int, id uint8, ok bool) {
	l := d.line(line)
	if l.out >= d.conf.MaxOutstanding {
		d.counters.Capped++
		return 0, 0, false
	}
	fam := d.family(v4)
	for range l.blocks {
		if l.cur >= len(l.blocks) {
			l.cur = 0
		}
		if id, ok = l.blocks[l.cur].take(slot, now); ok {
			return d.took(l, fam, id)
		}
		l.cur++
	}
	if !d.widen(l, fam, v4, now) {
		return 0, 0, false
	}
	l.cur = len(l.blocks) - 1
	id, _ = l.blocks[l.cur].take(slot, now)
	return d.took(l, fam, id)
}

// Find gives the slot of the exchange that holds the identifier. What is not
// outstanding - a late, second or invented reply - is not found.
// hot: 0 allocs
func (d *IDs) Find(sock int, line int32, id uint8) (slot uint32, ok bool) {
	b := d.block(sock, line)
	if b == nil || !b.isBusy(id) {
		return 0, false
	}
	return b.word[id], true
}

// Release gives the identifier back. Answered means that a verified reply
// came; any other identifier rests.
// hot: 0 allocs
func (d *IDs) Release(sock int, line int32, id uint8, answered bool, now int64) {
	b := d.block(sock, line)
	if b == nil || !b.isBusy(id) {
		d.counters.Misused++
		return
	}
	d.lines[line].out--
	d.inUse--
	b.give(id, answered, now+d.rest)
}

func (d *IDs) line(i int32) *line {
	for int(i) >= len(d.lines) {
		d.lines = append(d.lines, line{})
	}
	return &d.lines[i]
}

func (d *IDs) family(v4 bool) *family {
	if v4 {
		return &d.families[0]
	}
	return &d.families[1]
}

func (d *IDs) took(l *line, fam *family, id uint8) (sock int, _ uint8, ok bool) {
	l.out++
	d.inUse++
	return fam.socks[l.cur], id, true
}

// block finds what belongs to a socket and a home. A socket of the other
// family can share the position but never the home's address; the caller
// knows the source address of the reply.
func (d *IDs) block(sock int, line int32) *block {
	if sock < 0 || sock >= len(d.place) || line < 0 || int(line) >= len(d.lines) {
		return nil
	}
	pos := int(d.place[sock])
	if pos < 0 || pos >= len(d.lines[line].blocks) {
		return nil
	}
	return d.lines[line].blocks[pos]
}

// widen lets the line use one more socket of its family, opened if needed.
func (d *IDs) widen(l *line, fam *family, v4 bool, now int64) bool {
	if len(l.blocks) == len(fam.socks) {
		if len(fam.socks) >= d.conf.MaxSockets {
			d.counters.Exhausted++
			return false
		}
		if now < fam.retry || !d.open(fam, v4, now) {
			d.counters.NoSocket++
			return false
		}
	}
	l.blocks = append(l.blocks, newBlock(uint8(d.rnd.next())))
	return true
}

func (d *IDs) open(fam *family, v4 bool, now int64) bool {
	sock, ok := d.conf.NeedSocket(v4)
	if !ok {
		fam.retry = now + socketRetry
		return false
	}
	for sock >= len(d.place) {
		d.place = append(d.place, -1)
	}
	d.place[sock] = int32(len(fam.socks))
	fam.socks = append(fam.socks, sock)
	return true
}
