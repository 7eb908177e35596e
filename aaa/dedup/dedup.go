// Package dedup remembers recent requests so that a retransmission is
// answered with the same bytes and never forwarded twice (RFC 5080 section
// 2.2.2).
//
// It stands right behind the check of the authenticators: a packet that
// fails its Message-Authenticator or Request Authenticator must never reach
// Claim, or a spoofer could push out the entry of a genuine request. The key
// is what the RFC names - source address and port, our socket or the
// connection, code and Identifier - and the mark tells apart what shares a key: another
// authenticator is a new request and purges the old entry, the same
// authenticator over other octets is a conflict, which is never processed
// and evicts nothing.
//
// A Cache belongs to one shard and is not safe for concurrent use. All its
// memory is allocated by New, holds no pointers, and costs nothing until it
// is touched; the replies lie in one ring in the order they were given, so
// that with the one fixed TTL the oldest reply is also the first to expire.
// Nothing given to the Cache is retained; the reply returned by Claim is
// valid until the next call. Time is the caller's monotonic nanoseconds.
//
// It does not look into packets, does not hash them and sends nothing.
package dedup

import (
	"hash/maphash"
	"math/bits"
	"time"

	"github.com/roamgate/roamgate/pkg/udp"
)

// NoSlot is the slot of no exchange.
const NoSlot = ^uint32(0)

// NoEntry is the Entry of a request that is not remembered; Answer and
// Forget ignore it.
const NoEntry Entry = 0

// Bounds of a Config; a value outside is moved to the nearest bound.
const (
	MinTTL        = 5 * time.Second // RFC 5080 section 2.2.2
	MaxTTL        = 30 * time.Second
	MaxEntries    = 1 << 22 // leaves 10 bits of an Entry to its generation
	MinReplyBytes = 1 << 14 // three replies of the largest size and their headers
	MaxReplyBytes = 1 << 36
)

// Key says which requests may be the same one.
type Key struct {
	From udp.Addr
	Door uint32 // which of our sockets, or which connection
	ID   uint32 // Identifier, or Token of RADIUS/1.1
	Code uint8
}

// Mark says whether requests of one Key are the same one.
type Mark struct {
	Auth [16]byte // Request Authenticator
	Body uint64   // keyed hash of the datagram
}

// Outcome is what Claim found.
type Outcome uint8

// The outcomes of Claim.
const (
	Claimed  Outcome = iota // never seen: process it
	Pending                 // being worked on: drop it
	Answered                // answered before: send the same bytes again
	Conflict                // same authenticator over other octets: drop it
)

var outcomeNames = [...]string{"new", "pending", "answered", "conflict"}

// String gives the counter label.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown"
}

// Entry names a claimed request until it is forgotten, displaced, evicted or
// expired; a stale Entry is recognised by its generation and ignored.
type Entry uint32

// Counters count since New.
type Counters struct {
	Hits      uint64 // retransmissions answered with the kept bytes
	Pending   uint64 // retransmissions of requests in work
	Conflicts uint64 // same authenticator, other octets
	Evicted   uint64 // replies dropped before their time for want of room
	Displaced uint64 // entries purged by a new authenticator under their key
	Untracked uint64 // requests let through unremembered: all entries pending
}

// Config sizes a Cache. The zero value is usable.
type Config struct {
	TTL        time.Duration // how long a reply is kept, 10 s
	MaxEntries int           // pending and answered requests, 65536; more than the shard has exchange slots
	ReplyBytes int           // replies with 8 octets of header each, 16 MiB
}

func (c Config) bounded() Config {
	if c.TTL == 0 {
		c.TTL = 10 * time.Second
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = 1 << 16
	}
	if c.ReplyBytes == 0 {
		c.ReplyBytes = 16 << 20
	}
	c.TTL = min(max(c.TTL, MinTTL), MaxTTL)
	c.MaxEntries = min(max(c.MaxEntries, 1), MaxEntries)
	c.ReplyBytes = min(max(c.ReplyBytes, MinReplyBytes), MaxReplyBytes)
	return c
}

type state uint8

const (
	vacant state = iota
	pending
	answered
)

type entry struct {
	key     Key
	mark    Mark
	expires int64  // answered only
	at      uint64 // answered only: where in the ring
	slot    uint32 // pending: the exchange; vacant: the next vacant entry
	tag     uint32 // low half of the key's hash
	gen     uint32
	size    uint16 // of the reply
	state   state
}

// Cache is the duplicate cache of one shard.
type Cache struct {
	seed     maphash.Seed
	ttl      int64
	index    index
	entries  []entry
	touched  uint32 // entries[touched:] were never used
	vacancy  uint32 // first vacant entry below touched, NoSlot none
	live     int
	idxBits  uint
	replies  ring
	counters Counters
}

// New returns an empty Cache.
func New(conf Config) *Cache {
	conf = conf.bounded()
	return &Cache{
		seed:    maphash.MakeSeed(),
		ttl:     int64(conf.TTL),
		index:   newIndex(conf.MaxEntries),
		entries: make([]entry, conf.MaxEntries),
		vacancy: NoSlot,
		idxBits: uint(bits.Len(uint(conf.MaxEntries))),
		replies: newRing(conf.ReplyBytes),
	}
}

// Counters returns the counts so far.
func (c *Cache) Counters() Counters { return c.counters }

// Len is the number of requests remembered.
func (c *Cache) Len() int { return c.live }

// Claim looks for the request of key k and mark m and remembers it as
// pending in the caller's slot if it is new.
//
//	Claimed   e is the caller's to Answer or Forget. other is the slot of the
//	          pending exchange that the new authenticator displaced, or
//	          NoSlot: its Entry is stale, and its reply is no longer wanted.
//	          e is NoEntry when every entry is pending: the request may be
//	          processed, a retransmission of it will not be recognised.
//	Pending   other is the slot of the exchange at work, or NoSlot when it
//	          has been detached.
//	Answered  reply is what to send again, valid until the next call.
//	Conflict  other is the slot of the exchange at work, or NoSlot.
//
// hot: 0 allocs
func (c *Cache) Claim(k Key, m Mark, slot uint32, now int64) (out Outcome, e Entry, other uint32, reply []byte) {
	tag := uint32(maphash.Comparable(c.seed, k))
	other = NoSlot
	if i, ok := c.find(&k, tag); ok {
		old := &c.entries[i]
		if old.state == pending {
			other = old.slot
		}
		switch {
		case old.state == answered && old.expires <= now:
			c.remove(i)
		case old.mark.Auth != m.Auth:
			c.counters.Displaced++
			c.remove(i)
		case old.mark.Body != m.Body:
			c.counters.Conflicts++
			return Conflict, NoEntry, other, nil
		case old.state == pending:
			c.counters.Pending++
			return Pending, NoEntry, other, nil
		default:
			c.counters.Hits++
			return Answered, NoEntry, NoSlot, c.replies.data(old.at, int(old.size))
		}
	}
	return Claimed, c.add(&k, &m, tag, slot, now), other, nil
}

// Answer keeps a copy of the reply given to e for the TTL from now on. A
// stale or answered e is ignored. A reply of more than 4096 octets is no
// RADIUS packet; e is forgotten then. now must not go back between calls.
// hot: 0 allocs
func (c *Cache) Answer(e Entry, reply []byte, now int64) {
	i, ok := c.pending(e)
	if !ok {
		return
	}
	if len(reply) > maxReply {
		c.remove(i)
		return
	}
	for !c.replies.fits(len(reply)) {
		c.dropOldest(now)
	}
	ent := &c.entries[i]
	ent.at = c.replies.push(i, reply)
	ent.size = uint16(len(reply))
	ent.expires = now + c.ttl
	ent.state = answered
}

// Detach takes the exchange of the pending e away: its answer is written and
// comes with Answer. Until then a retransmission finds e pending with NoSlot.
// A stale or answered e is ignored.
// hot: 0 allocs
func (c *Cache) Detach(e Entry) {
	if i, ok := c.pending(e); ok {
		c.entries[i].slot = NoSlot
	}
}

// Forget removes the pending e, so that a retransmission is tried again. A
// stale or answered e is ignored.
// hot: 0 allocs
func (c *Cache) Forget(e Entry) {
	if i, ok := c.pending(e); ok {
		c.remove(i)
	}
}

// Expire drops the replies whose time is over. Pending requests do not
// expire: whoever claimed one has a timer on it.
// hot: 0 allocs
func (c *Cache) Expire(now int64) {
	for !c.replies.empty() {
		i, at := c.replies.oldest()
		if ent := &c.entries[i]; ent.holds(at) && ent.expires > now {
			return
		}
		c.dropOldest(now)
	}
}

// holds reports whether the record at that place of the ring is this
// entry's; else it was left behind by a displaced one.
func (ent *entry) holds(at uint64) bool { return ent.state == answered && ent.at == at }

func (c *Cache) find(k *Key, tag uint32) (uint32, bool) {
	for pos := c.index.start(tag); ; pos = c.index.next(pos) {
		i, ok, end := c.index.match(pos, tag)
		if end {
			return 0, false
		}
		if ok && c.entries[i].key == *k {
			return i, true
		}
	}
}

func (c *Cache) pending(e Entry) (uint32, bool) {
	i := uint32(e) & (1<<c.idxBits - 1)
	if e == NoEntry || i >= uint32(len(c.entries)) {
		return 0, false
	}
	ent := &c.entries[i]
	return i, ent.state == pending && ent.gen == uint32(e)>>c.idxBits
}

func (c *Cache) add(k *Key, m *Mark, tag, slot uint32, now int64) Entry {
	for c.live == len(c.entries) && !c.replies.empty() {
		c.dropOldest(now)
	}
	if c.live == len(c.entries) {
		c.counters.Untracked++
		return NoEntry
	}
	i := c.vacancy
	if i != NoSlot {
		c.vacancy = c.entries[i].slot
	} else {
		i = c.touched
		c.touched++
	}
	ent := &c.entries[i]
	ent.key, ent.mark, ent.tag, ent.slot, ent.state = *k, *m, tag, slot, pending
	if ent.gen = (ent.gen + 1) & (1<<(32-c.idxBits) - 1); ent.gen == 0 {
		ent.gen = 1
	}
	c.index.insert(tag, i)
	c.live++
	return Entry(ent.gen<<c.idxBits | i)
}

func (c *Cache) remove(i uint32) {
	ent := &c.entries[i]
	c.index.remove(ent.tag, i)
	ent.state = vacant
	ent.slot = c.vacancy
	c.vacancy = i
	c.live--
}

// dropOldest frees the oldest record of the ring and with it its entry,
// unless that was displaced before.
func (c *Cache) dropOldest(now int64) {
	i, at := c.replies.oldest()
	if ent := &c.entries[i]; ent.holds(at) {
		if ent.expires > now {
			c.counters.Evicted++
		}
		c.remove(i)
	}
	c.replies.pop()
}
