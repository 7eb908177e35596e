// Package loop knows requests that come back: by what is left of a request
// once all is taken away that changes from hop to hop.
//
// A hub sees its own Proxy-State in a request that has been through it. Where
// a proxy on the way takes Proxy-States out or writes its own in their place,
// the request comes back as a new one, is sent on, and goes round for as long
// as nobody answers. What it says is the same, though, and that is its print.
//
// In the packet walk the table is asked before a request is sent on, with the
// prints of requests that have been through another proxy; each request that is
// sent is put in, and taken out when its Exchange ends. So what is found is in
// flight.
//
// Many a network repeats a request that is no loop: a NAS asks again under
// another identifier, or asks two proxies at once, and both ask here. So a
// request is not taken for a loop because it is known, but because it went
// further than the one that was sent on: Seen says how that shows.
//
// A Table is fixed memory for all shards of a hub, since what comes back
// comes to any of them. It takes no lock: each entry is three words, of which
// the first holds the others against being read half written. Two that write one
// entry at once may lose it, which costs one round of a loop. It keeps no
// identity, and no octet of a request.
package loop

import (
	"sync/atomic"
	"time"
)

const (
	ways = 2 // entries that a print can stand in: a cache line
	// old is when an entry is no more believed, should its end have been lost.
	old = 2 * time.Minute
	// brisk is how soon a loop brings a request back. What repeats requests
	// waits longer (RFC 5080 section 2.2.1: two seconds).
	brisk = time.Second
)

// Table holds prints of the requests in flight.
type Table struct {
	entries []entry
	mask    uint64
	old     uint64 // in units of tick
	brisk   uint64
}

// entry is a print and what is known of its request. Its first word is the
// print under both others, so that three words that do not belong together are
// no entry.
type entry struct {
	print atomic.Uint64
	peers atomic.Uint64 // the client that sent it first, the home that it was sent to
	state atomic.Uint64 // when last seen, Proxy-States, the client that sent it last
	_     uint64
}

// Peers of an entry are numbers; those of clients outlive a reload.
const (
	homeBits  = 32
	tickShift = 20 // ns to about a millisecond
	tickBits  = 32
	hopBits   = 8
	backBits  = 64 - tickBits - hopBits
)

// New makes a Table for at least n requests at once.
func New(n int) *Table {
	size := ways
	for size < n {
		size *= 2
	}
	return &Table{
		entries: make([]entry, size), mask: uint64(size - ways),
		old: uint64(old) >> tickShift, brisk: uint64(brisk) >> tickShift,
	}
}

// known is an entry as it was read.
type known struct {
	at    *entry
	peers uint64
	state uint64
}

func (k *known) client() uint32 { return uint32(k.peers >> homeBits) }
func (k *known) home() int32    { return int32(uint32(k.peers)) }
func (k *known) tick() uint64   { return k.state >> (hopBits + backBits) }
func (k *known) states() int    { return int(k.state >> backBits & (1<<hopBits - 1)) }
func (k *known) back() uint32   { return uint32(k.state & (1<<backBits - 1)) }

func stateOf(tick uint64, states int, back uint32) uint64 {
	return tick<<(hopBits+backBits) | uint64(min(states, 1<<hopBits-1))<<backBits | uint64(back)&(1<<backBits-1)
}

func tickOf(now int64) uint64 { return uint64(now) >> tickShift & (1<<tickBits - 1) }

// row gives the entries that a print may stand in. Its low bit is set, so that
// it is never that of an empty entry.
func (t *Table) row(print uint64) []entry {
	at := print >> 32 * ways & t.mask
	return t.entries[at : at+ways : at+ways]
}

// find gives the entry of a print.
func (t *Table) find(print uint64, now uint64) (k known, ok bool) {
	row := t.row(print)
	for i := range row {
		e := &row[i]
		k = known{at: e, peers: e.peers.Load(), state: e.state.Load()}
		if e.print.Load()^k.peers^k.state == print && age(now, k.tick()) < t.old {
			return k, true
		}
	}
	return k, false
}

// age is the time since a tick; what another shard has written a moment ago may
// lie ahead of this one's clock.
func age(now, tick uint64) uint64 {
	const wrap = 1<<tickBits - 1
	if ahead := (tick - now) & wrap; ahead < 1<<(tickBits-1) {
		return 0
	}
	return (now - tick) & wrap
}

func (k *known) write(print, peers, state uint64) {
	k.at.peers.Store(peers)
	k.at.state.Store(state)
	k.at.print.Store(print ^ peers ^ state)
}

// Put notes that a request of a client has been sent to a home, with so many
// Proxy-States as it came. It reports whether the entry is the caller's, to be
// moved with Move and taken out with Drop: another request of the same print may
// be in flight already.
//
// hot: 0 allocs
func (t *Table) Put(print uint64, client uint32, home int32, states int, now int64) bool {
	print |= 1
	tick := tickOf(now)
	if _, ok := t.find(print, tick); ok {
		return false
	}
	row, oldest := t.row(print), uint64(0)
	at := &row[0]
	for i := range row {
		state := row[i].state.Load()
		if state == 0 {
			at = &row[i]
			break
		}
		if a := age(tick, state>>(hopBits+backBits)); a >= oldest {
			at, oldest = &row[i], a
		}
	}
	k := known{at: at}
	k.write(print, uint64(client)<<homeBits|uint64(uint32(home)), stateOf(tick, states, client))
	return true
}

// Move notes that the caller's request has been sent to another home.
//
// hot: 0 allocs
func (t *Table) Move(print uint64, home int32, now int64) {
	print |= 1
	if k, ok := t.find(print, tickOf(now)); ok {
		k.write(print, k.peers>>homeBits<<homeBits|uint64(uint32(home)), k.state)
	}
}

// Drop takes the caller's request out.
//
// hot: 0 allocs
func (t *Table) Drop(print uint64, now int64) {
	print |= 1
	if k, ok := t.find(print, tickOf(now)); ok {
		k.at.print.Store(0)
		k.at.peers.Store(0)
		k.at.state.Store(0)
	}
}

// Seen says whether a request with so many Proxy-States, from a client, is one in
// flight that has come back, and to which home that was sent. It has if another
// client than the first sends it and either there are more Proxy-States than the
// hub has sent it on with, or that client sends it for the second time within a
// second, which makes three.
//
// hot: 0 allocs
func (t *Table) Seen(print uint64, client uint32, states int, now int64) (home int32, looped bool) {
	print |= 1
	tick := tickOf(now)
	k, ok := t.find(print, tick)
	if !ok || k.client() == client {
		return -1, false
	}
	if states > k.states()+1 {
		return k.home(), true
	}
	const mask = 1<<backBits - 1
	if k.back() == client&mask && age(tick, k.tick()) < t.brisk {
		return k.home(), true
	}
	k.write(print, k.peers, stateOf(tick, k.states(), client))
	return -1, false
}
