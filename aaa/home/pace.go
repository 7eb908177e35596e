package home

import (
	"math"
	"time"
)

// Patience is how long a request may wait for its turn at a home. Most
// clients have given up or asked again by then (RFC 5080 section 2.2.1).
const Patience = 10 * time.Second

// Turn says what to do with a new request to a home.
type Turn uint8

// The turns.
const (
	Go   Turn = iota // send it
	Wait             // keep it until Next names it
	Busy             // the home holds too much: try another, else discard it in silence
)

// PaceCounters count since NewPace.
type PaceCounters struct {
	Struggles uint64 // times that a home came to be paced
	Waited    uint64 // requests and repetitions that had to wait
	Busy      uint64 // requests that Ask turned away
}

// Pace lets each home have as much as it answers. A home that answers in time
// may have all that comes. One that leaves a part of it unanswered struggles:
// what it cannot do in time would only be repeated, by us and by the clients.
// From then on no more than a span of its work is kept there: 1.25 s of what
// it answered lately, a quarter less for each two seconds in which it still
// does not keep up, an eighth more for each in which it does, until it is at
// no pace any more. A home that is only slow is given 5/4 of its own quickest
// answers, so that it does not lose its throughput to that. If it does less
// once it is given less, while requests wait for it, datagrams are lost on the
// way and the span was too short: it grows by half each second, and is left
// alone for up to a minute.
//
// What comes beside that waits here, the newest first: its client still
// listens, and what is old by the time the rush is over has been asked again.
// Conversations that have begun go ahead, up to twice the span (RFC 5080
// section 2.2.3); repetitions go last. The wait is bounded by what the home
// does in 8 s, and no home and kind ever holds more than half of the shard's
// slots, whatever it answers: a home that dies takes no more before its death
// is noticed.
//
// A slot is told to the Pace in this order: Ask when it is new; Sent for each
// transmission, or Enqueue when it has to wait; Expired when the time of a
// transmission is over; Answered or Leave at the end. Sent to another home it
// has left the first. All of them are O(1). A Pace belongs to one shard; its
// memory is 24 octets for each slot and some 700 for each home it has met.
type Pace struct {
	lines    []paced // by home and kind
	places   []place // by slot
	half     int
	counters PaceCounters
}

// place is where a slot is.
type place struct {
	next, prev uint32 // in the queue
	line       int32
	bucket     uint32 // it was sent in
	state      placeState
}

type placeState uint8

const (
	nowhere placeState = iota
	there
	fresh
	late
)

// list is a queue of slots.
type list struct {
	head, tail uint32 // meaningful if n is not 0
	n          int
}

// noPlace is before the first of a queue and after its last.
const noPlace = ^uint32(0)

// NewPace returns a Pace for exchanges in slots 0 to slots-1.
func NewPace(slots int) *Pace {
	return &Pace{places: make([]place, slots), half: max(slots/2, 1)}
}

// Counters returns the counts so far.
func (p *Pace) Counters() PaceCounters { return p.counters }

// Waiting is the number of requests that wait for their turn at a home.
func (p *Pace) Waiting(home int32, kind Kind) int { return p.line(home, kind).waiting() }

// There is the number of requests that a home may be working on.
func (p *Pace) There(home int32, kind Kind) int { return p.line(home, kind).there }

// Limit is how many requests may be at the home; 0: it is at no pace.
func (p *Pace) Limit(home int32, kind Kind, now int64) int {
	l := p.line(home, kind)
	if l.span == 0 {
		return 0
	}
	return l.limit(now)
}

// Paced reports whether the home is at a pace. A transmission to it then has
// one IRT to be answered, however often it was sent: the pace stands for the
// backoff, and what is lost must not keep its place for long.
// hot: 0 allocs
func (p *Pace) Paced(home int32, kind Kind) bool { return p.line(home, kind).span != 0 }

// Queued reports whether the slot waits for its turn.
// hot: 0 allocs
func (p *Pace) Queued(slot uint32) bool { return p.places[slot].state > there }

// Ask says what to do with a new request to the home. urgent ones belong to a
// conversation that has begun, or are accounting.
// hot: 0 allocs unless the home is new
func (p *Pace) Ask(home int32, kind Kind, urgent bool, now int64) Turn {
	l := p.line(home, kind)
	switch {
	case l.held >= p.half:
		p.counters.Busy++
		return Busy
	case l.span == 0:
		return Go
	}
	l.judge(now)
	limit := l.limit(now)
	if urgent {
		limit *= 2
	}
	if l.span == 0 || l.there < limit && (urgent || l.waiting() == 0) {
		return Go
	}
	return Wait
}

// Sent counts the slot as being at the home.
// hot: 0 allocs unless the home is new
func (p *Pace) Sent(slot uint32, home int32, kind Kind, now int64) {
	p.Leave(slot)
	l := p.line(home, kind)
	l.rotate(now)
	l.held++
	l.there++
	l.sent[l.bucket%memory]++
	p.places[slot] = place{line: int32(lineOf(home, kind)), bucket: uint32(l.bucket), state: there}
}

// Enqueue lets the slot wait for its turn at the home, before all others.
// Where too many wait already, the one that has waited longest must go: it
// has left the Pace, and is the caller's to discard in silence.
// hot: 0 allocs unless the home is new
func (p *Pace) Enqueue(slot uint32, home int32, kind Kind, now int64) (oldest uint32, full bool) {
	p.Leave(slot)
	l := p.line(home, kind)
	if full = l.fresh.n >= l.backlog(now); full {
		oldest = l.fresh.tail
		p.Leave(oldest)
	}
	p.push(slot, lineOf(home, kind), fresh)
	return oldest, full
}

// Expired reports that a transmission was not answered in time, and says
// whether to send it again now. If not, the slot waits: it may be named by
// Next, and is still answered if the home was only late.
// hot: 0 allocs
func (p *Pace) Expired(slot uint32, now int64) (again bool) {
	at := p.places[slot]
	if at.state != there {
		return at.state == nowhere
	}
	if p.missed(&p.lines[at.line], now); p.lines[at.line].span == 0 {
		return true
	}
	p.Leave(slot)
	p.push(slot, int(at.line), late)
	return false
}

// Overdue is Expired for what is not sent again, as it travels by a connection:
// it stays where it is.
// hot: 0 allocs
func (p *Pace) Overdue(slot uint32, now int64) {
	if at := p.places[slot]; at.state == there {
		p.missed(&p.lines[at.line], now)
	}
}

// Back lets a slot wait for its turn behind those that are new: it was at the
// home, and the connection has ended that it was sent by.
// hot: 0 allocs unless the home is new
func (p *Pace) Back(slot uint32, home int32, kind Kind) {
	p.Leave(slot)
	p.line(home, kind)
	p.push(slot, lineOf(home, kind), late)
}

// missed counts a transmission that was not answered in time.
func (p *Pace) missed(l *paced, now int64) {
	l.rotate(now)
	l.expired[l.bucket%buckets]++
	l.timeouts++
	if l.span == 0 && l.fails() {
		p.counters.Struggles++
		l.span = max(spanFirst, l.least())
		l.judged, l.lowered, l.hold, l.best = now, now, holdFirst, l.rate
	}
	l.judge(now)
}

// Next takes the first that waits for its turn at the home, if the home may
// have one more. It is to be asked until it has none, after each answer and
// each timeout; what it names is to be Sent or to Leave.
// hot: 0 allocs
func (p *Pace) Next(home int32, kind Kind, now int64) (slot uint32, ok bool) {
	l := p.line(home, kind)
	if l.waiting() == 0 || l.span != 0 && l.there >= l.limit(now) {
		return 0, false
	}
	slot = l.late.head
	if l.fresh.n > 0 {
		slot = l.fresh.head
	}
	p.Leave(slot)
	return slot, true
}

// Answered ends what Sent began: a verified answer came that long after the
// request was first sent.
// hot: 0 allocs
func (p *Pace) Answered(slot uint32, took, now int64) {
	at := &p.places[slot]
	if at.state == nowhere {
		return
	}
	l := &p.lines[at.line]
	l.rotate(now)
	l.answered[l.bucket%buckets]++
	l.answers++
	l.rate = max(l.rate, int64(l.answers))
	l.learn(took, now)
	if at.state == there {
		l.lag(now - int64(at.bucket)<<bucketShift)
	}
	p.Leave(slot)
}

// Leave ends it without an answer. A slot that is nowhere stays so.
// hot: 0 allocs
func (p *Pace) Leave(slot uint32) {
	at := &p.places[slot]
	if at.state == nowhere {
		return
	}
	l := &p.lines[at.line]
	l.held--
	switch {
	case at.state == there && at.bucket >= uint32(l.lost):
		l.there--
		l.sent[at.bucket%memory]--
	case at.state > there:
		p.unlink(l.queue(at.state), at)
	}
	at.state = nowhere
}

func lineOf(home int32, kind Kind) int { return int(home)*kinds + int(kind) }

func (p *Pace) line(home int32, kind Kind) *paced {
	i := lineOf(home, kind)
	for i >= len(p.lines) {
		p.lines = append(p.lines, paced{quick: [2]int64{math.MaxInt64, math.MaxInt64}})
	}
	return &p.lines[i]
}

// push adds the slot to a queue: what is fresh at its head.
func (p *Pace) push(slot uint32, line int, state placeState) {
	l := &p.lines[line]
	q := l.queue(state)
	at := place{next: noPlace, prev: noPlace, line: int32(line), state: state}
	switch {
	case q.n == 0:
		q.head, q.tail = slot, slot
	case state == fresh:
		at.next = q.head
		p.places[q.head].prev = slot
		q.head = slot
	default:
		at.prev = q.tail
		p.places[q.tail].next = slot
		q.tail = slot
	}
	p.places[slot] = at
	q.n++
	l.held++
	p.counters.Waited++
}

func (p *Pace) unlink(q *list, at *place) {
	q.n--
	if at.prev == noPlace {
		q.head = at.next
	} else {
		p.places[at.prev].next = at.next
	}
	if at.next == noPlace {
		q.tail = at.prev
	} else {
		p.places[at.next].prev = at.prev
	}
}
