package aaa

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/realm"
)

const (
	laterTick   = 100 * time.Millisecond
	laterYoung  = 10                    // ticks a new record is left to its own Exchange
	laterChunk  = 4096                  // records looked at in one turn
	laterPause  = 20 * time.Millisecond // after a turn that found nothing to send
	laterShare  = 4                     // 1/laterShare of the slots are given to the walk
	ruleGrace   = int64(24 * time.Hour) // records may be without a rule before they are dead
	mostMissing = 4096                  // records without a rule that are remembered, by what they are forwarded by
)

// fate is what became of a record that was on its way to a home.
type fate uint8

const (
	fateTaken  fate = iota
	fateSilent      // no answer
	fateHeld        // not tried: the home leaves the record's realm unanswered
	fateBusy        // the home had no turn for it, or we had no room
	fateDown        // no home could be asked
	fateDead        // none ever can take it
)

// ending is what a shard says of a record that is owed.
type ending struct {
	seq     uint64
	session uint32
	how     fate
	letter  Letter
	lane    *lane // of the walk, nil where it was the record's own Exchange
}

// later brings acknowledged records to their homes: what their own Exchange
// could not, because the home was away, because an earlier record of the
// session was still owed, or because the hub was stopped.
//
// It walks the spool's markers, for each pool from where that one stands. A
// record is handed to a shard unless an earlier one of its session was left
// behind; what comes back is settled in the spool, and only then the session
// is free for its next record. So a home gets the records of a session in
// order, each once but for a crash, at the pace at which it takes them, and
// none waits for another home.
//
// Memory is bounded whatever is owed: a count by session (debts), 8 KiB for
// each pool that has left something behind, and what is on its way.
type later struct {
	mu    sync.Mutex
	ended []ending // guarded by mu

	debts   debts
	rebuilt atomic.Bool   // debts has what an earlier run has left
	wake    chan struct{} // something has come back
	jobs    chan func()   // what others want done between two turns
	oldest  atomic.Int64  // arrival of the oldest record owed, Unix ns, 0 none

	walk
}

// walk belongs to the goroutine of forwardLater.
type walk struct {
	settling   []ending
	taken      []uint64
	letters    []spool.Letter
	generation uint64
	lanes      []*lane // by pool of the configuration; the last is for those without a rule
	missing    map[lost]int64
	underway   int
	most       int // underway at once
	turn       uint64
	shard      int
	first      uint64 // nothing is owed before
	last       uint64 // what was there at the start
	event      accounting.Event
	hand       []replayed
	garbage    bool // this turn has found what cannot be read
}

func newLater(sp *spool.Spool, slots int) *later {
	l := &later{
		debts: newDebts(slots), wake: make(chan struct{}, 1), jobs: make(chan func()),
		walk: walk{last: sp.Last(), most: max(slots/laterShare, 1), missing: map[lost]int64{}},
	}
	if st := sp.Stats(); st.Pending == 0 {
		l.rebuilt.Store(true)
	}
	return l
}

// report is a shard's call with what has ended; it keeps nothing.
func (l *later) report(ended []ending) {
	l.mu.Lock()
	l.ended = append(l.ended, ended...)
	l.mu.Unlock()
	if slices.ContainsFunc(ended, func(e ending) bool { return e.lane != nil }) {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// forwardLater runs until ctx ends or the spool can no longer be used.
func (h *Hub) forwardLater(ctx context.Context) {
	l := h.later
	tick := time.NewTicker(laterTick)
	defer tick.Stop()
	var seen [laterYoung]uint64
	for n, pause := 0, false; ; {
		if !h.rebuildDebts() {
			return
		}
		if pause {
			select {
			case <-ctx.Done():
			case <-time.After(laterPause):
			}
			pause = false
		} else {
			select {
			case <-ctx.Done():
			case <-l.wake:
			case job := <-l.jobs:
				job()
			case <-tick.C:
				seen[n%laterYoung] = h.spool.Last()
				n++
				h.lookForOldest()
			}
		}
		now := h.monotonic()
		if err := h.settleOwed(now); err != nil {
			h.forwardingEnds(err)
			return
		}
		if ctx.Err() != nil {
			return
		}
		for more := true; more && !pause; {
			var sent int
			sent, more = h.forwardSome(now, seen[n%laterYoung])
			pause = sent == 0 && more
			if err := h.settleOwed(now); err != nil {
				h.forwardingEnds(err)
				return
			}
		}
	}
}

func (h *Hub) forwardingEnds(err error) {
	h.log.Error("accounting is not forwarded until the hub is started again", zap.Error(err))
}

// rebuildDebts counts what an earlier run has left, before the first turn.
func (h *Hub) rebuildDebts() bool {
	l := h.later
	if l.rebuilt.Load() {
		return true
	}
	err := h.spool.Pending(0, 0, func(seq uint64, b []byte) bool {
		if seq > l.last {
			return false
		}
		_, session, _ := h.sessionOfRecord(b, &l.event)
		l.debts.enter(session, false)
		return true
	})
	if err != nil {
		h.log.Error("reading what is owed to homes", zap.Error(err))
		return false
	}
	l.rebuilt.Store(true)
	return true
}

// settleOwed takes what the shards have said.
func (h *Hub) settleOwed(now int64) error {
	l := h.later
	l.mu.Lock()
	l.settling, l.ended = l.ended, l.settling[:0]
	l.mu.Unlock()
	l.taken, l.letters = l.taken[:0], l.letters[:0]
	for i := range l.settling {
		switch e := &l.settling[i]; e.how {
		case fateTaken:
			l.taken = append(l.taken, e.seq)
		case fateDead:
			l.letters = append(l.letters, h.letter(e.seq, e.letter))
		}
	}
	switch err := h.spool.Settle(l.taken, l.letters); {
	case errors.Is(err, spool.ErrNoSpace):
		// Nothing of it is written, and the disk will have room again: it is
		// said once more at the next turn, before what came since.
		l.mu.Lock()
		l.settling = append(l.settling, l.ended...)
		l.settling, l.ended = l.ended[:0], l.settling
		l.mu.Unlock()
		return nil
	case err != nil:
		return err
	}
	for i := range l.settling {
		l.settled(&l.settling[i], now)
	}
	clear(l.settling)
	return nil
}

func (h *Hub) letter(seq uint64, why Letter) spool.Letter {
	return spool.Letter{Seq: seq, Reason: uint8(why), Time: time.Now().Unix(), Final: why == DeadDropped}
}

// settled gives the session of a record free, once the spool knows.
func (l *later) settled(e *ending, now int64) {
	gone := e.how == fateTaken || e.how == fateDead
	if gone {
		l.debts.pay(e.session)
	}
	if on := e.lane; on != nil {
		l.underway--
		on.underway--
		if gone {
			on.won()
		} else {
			on.leave(e.seq, e.session)
			on.lost(e.how, now)
		}
	}
	l.debts.leave(e.session)
}

// forwardSome hands the next records up to horizon to the shards. more says
// that there is something left to look at now.
func (h *Hub) forwardSome(now int64, horizon uint64) (sent int, more bool) {
	l, snap := h.later, h.Snapshot()
	if snap.Generation != l.generation {
		l.adopt(snap)
	}
	at := l.behind(now, horizon)
	if at == nil {
		return 0, false
	}
	l.turn++
	l.garbage = false
	from, looked, active, over := at.next, 0, 0, true
	for _, on := range l.lanes {
		if on.ready(now, horizon) && on.next >= from {
			on.served = l.turn
			active++
		}
	}
	cursor := from
	err := h.spool.Pending(from, laterChunk, func(seq uint64, b []byte) bool {
		if seq > horizon {
			return false
		}
		cursor = seq + 1
		if h.look(snap, seq, b, now) {
			active--
		}
		looked++
		over = active > 0 && looked < laterChunk
		return over
	})
	if err != nil {
		h.log.Error("reading records to forward", zap.Error(err))
		for _, on := range l.lanes {
			on.rest = now + laneDown
		}
		over = false
	}
	for _, on := range l.lanes {
		if on.served != l.turn || on.full {
			continue
		}
		on.next = max(on.next, cursor)
		if over {
			on.next, on.end = max(on.next, horizon+1), true
		}
	}
	for i, r := range l.hand {
		if l.hand[i] = (replayed{}); r.diameter {
			h.carrier.Carry(agent.Owed{Seq: r.seq, Record: r.rec, Session: r.session, Lane: r.lane})
			continue
		}
		l.shard++
		h.shards[l.shard%len(h.shards)].replayLater(r)
	}
	sent = len(l.hand)
	l.hand = l.hand[:0]
	return sent, l.behind(now, horizon) != nil
}

// behind gives the lane that has waited longest for its turn, nil if there is
// none or no room.
func (l *later) behind(now int64, horizon uint64) (at *lane) {
	if l.underway >= l.most {
		return nil
	}
	for _, on := range l.lanes {
		if on.ready(now, horizon) && (at == nil || on.served < at.served || on.served == at.served && on.next < at.next) {
			at = on
		}
	}
	return at
}

// look decides on one record; true: its lane can take no more.
func (h *Hub) look(snap *Snapshot, seq uint64, b []byte, now int64) (stop bool) {
	l := h.later
	none := l.lanes[len(l.lanes)-1]
	rec, session, ok := h.sessionOfRecord(b, &l.event)
	diameter := ok && accounting.IsDiameter(rec.Raw)
	on, route := none, int32(-1)
	if ok && (!diameter || h.carrier != nil) {
		if route = snap.laneFor(&rec, diameter); route >= 0 {
			on = l.lanes[route]
		}
	}
	if on.served != l.turn || on.full || seq < on.next {
		return false
	}
	if on.underway >= on.limit || l.underway >= l.most {
		on.full, on.next = true, seq
		return true
	}
	on.next = seq + 1
	// What cannot be read is in no order: one turn takes all of it.
	if mine := !ok && l.garbage; !mine && (on.blocks(session) || !l.debts.seize(session)) {
		on.leave(seq, session)
		return false
	}
	e := ending{seq: seq, session: session, how: fateDead, lane: on}
	switch {
	case !ok:
		l.garbage = true
		e.letter = DeadUnreadable
	case route < 0 && !l.buried(lost{rec.Route, rec.Realm, rec.Client, diameter}, now):
		on.leave(seq, session)
		l.debts.leave(session)
		return false
	case route < 0:
		e.letter = DeadNoRoute
	default:
		l.hand = append(l.hand, replayed{seq: seq, rec: bytes.Clone(b), session: session, lane: on, diameter: diameter})
	}
	l.underway++
	on.underway++
	if e.letter != 0 {
		l.report([]ending{e})
	}
	return false
}

// laneOf is the lane of a route's records: that of its pool, or of what discovers
// its homes.
func (snap *Snapshot) laneOf(r *realm.Route) int32 {
	if r.Acct >= 0 {
		return r.Acct
	}
	return int32(len(snap.Set.Pools) + slices.Index(snap.Set.Discoveries, r.Discover))
}

// lost is what a record is forwarded by, where that leads nowhere.
type lost struct {
	route, realm, client string
	diameter             bool
}

// buried says whether records have been without a rule for so long that no
// mistake in a reload can be the reason.
func (l *later) buried(by lost, now int64) bool {
	since, known := l.missing[by]
	if !known && len(l.missing) < mostMissing {
		l.missing[by] = now
	}
	return known && now-since >= ruleGrace
}

// adopt takes another configuration: every record may go elsewhere now.
func (l *later) adopt(snap *Snapshot) {
	l.generation = snap.Generation
	old := map[string]*lane{}
	for _, on := range l.lanes {
		old[on.pool] = on
	}
	l.lanes = l.lanes[:0:0]
	names := make([]string, 0, len(snap.Set.Pools)+1)
	for i := range snap.Set.Pools {
		names = append(names, snap.Set.Pools[i].Name)
	}
	for _, d := range snap.Set.Discoveries {
		names = append(names, "discovery "+d.Name) // no pool has a space in its name
	}
	for _, name := range append(names, "") {
		on := old[name]
		if on == nil {
			on = newLane(name)
		}
		on.start(0, 0)
		on.rest, on.limit = 0, max(on.limit, firstLimit)
		l.lanes = append(l.lanes, on)
	}
	for by := range l.missing {
		rec := accounting.Record{Header: accounting.Header{Route: by.route, Realm: by.realm, Client: by.client}}
		if snap.laneFor(&rec, by.diameter) >= 0 {
			delete(l.missing, by)
		}
	}
}

// rewind lets every lane begin from the first record.
func (l *later) rewind() {
	for _, on := range l.lanes {
		on.start(0, 0)
	}
	l.first = 0
}

// lookForOldest finds when the oldest record that is owed came.
func (h *Hub) lookForOldest() {
	l, at := h.later, int64(0)
	err := h.spool.Pending(l.first, 1, func(seq uint64, b []byte) bool {
		l.first = seq
		if rec, err := accounting.Decode(b); err == nil {
			at = rec.Time
		}
		return false
	})
	if err == nil {
		l.oldest.Store(at)
	}
}

// owedAge is how long the oldest record has been owed, in seconds.
func (h *Hub) owedAge() float64 {
	at := h.later.oldest.Load()
	if at == 0 {
		return 0
	}
	return max(time.Since(time.Unix(0, at)).Seconds(), 0)
}

// between runs f between two turns of the walk.
func (h *Hub) between(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case h.later.jobs <- func() { defer close(done); f() }:
	case <-ctx.Done():
		return ctx.Err()
	}
	<-done
	return nil
}
