package main

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// end of the month that sessions start in. Some end in the next.
var end = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC).Unix()

// figures are what a NAS has counted.
type figures struct{ seconds, in, out, packets int64 }

// life is a session as its NAS knows it.
type life struct {
	client         string
	nas, id, multi string
	user           uint64
	start          int64
	wide           bool // it sends gigawords
	untimed        bool // it sends no Event-Timestamp
	ticks          []tick
}

// tick is one report of a life: the counters as they are, not as they show.
type tick struct {
	kind    accounting.Kind
	seconds int64
	in, out int64
	status  uint32 // another Acct-Status-Type than kind's, 0 none
	damage  damage
}

// damage makes a packet that is quarantined.
type damage uint8

const (
	whole damage = iota
	noSessionID
	withPassword
	noStatusType
)

func (t *tick) packets() (in, out int64) { return packetsOf(t.in), packetsOf(t.out) }

// packetsOf counts packets of seven hundred octets.
func packetsOf(octets int64) int64 { return (octets + 699) / 700 }

// packet is on its way to a hub.
type packet struct {
	arrival int64
	order   uint64 // of those with one arrival
	of      *life
	tick    tick
	event   int64
	delay   int64
	hub     int
}

type packets []packet

func (p packets) Len() int { return len(p) }
func (p packets) Less(i, j int) bool {
	return p[i].arrival < p[j].arrival || p[i].arrival == p[j].arrival && p[i].order < p[j].order
}
func (p packets) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *packets) Push(x any)   { *p = append(*p, x.(packet)) }
func (p *packets) Pop() any {
	last := len(*p) - 1
	x := (*p)[last]
	(*p)[last] = packet{}
	*p = (*p)[:last]
	return x
}

// generator makes lives, the faults on their way, and the truth.
type generator struct {
	random   *rand.Rand
	from     int64 // Unix seconds that the first life begins at
	coming   packets
	order    uint64
	sessions int
	want     account
}

func newGenerator(o *options) *generator {
	return &generator{random: rand.New(rand.NewPCG(o.seed, 1)), want: newAccount(), from: end - int64(o.days)*86400}
}

// between draws from low to high.
func (g *generator) between(low, high int64) int64 { return low + g.random.Int64N(high-low+1) }

// chance is true in one of n.
func (g *generator) chance(n int64) bool { return g.random.Int64N(n) == 0 }

// newLife begins a life that reports every so many seconds, n times before
// its Stop, and uses at most most octets each time.
func (g *generator) newLife(client string, at, every int64, n int, most int64) *life {
	g.sessions++
	l := &life{client: client, nas: fmt.Sprintf("ap-%d", g.random.Uint64N(5000)), id: fmt.Sprintf("%08X", g.sessions),
		user: g.random.Uint64N(1 << 40), start: at}
	t := tick{kind: accounting.Start}
	l.ticks = append(l.ticks, t)
	for range n {
		t = g.grow(t, accounting.Interim, every, most)
		l.ticks = append(l.ticks, t)
	}
	rest := g.between(1, every)
	l.ticks = append(l.ticks, g.grow(t, accounting.Stop, rest, max(most*rest/every, 1)))
	return l
}

func (g *generator) grow(t tick, kind accounting.Kind, seconds, most int64) tick {
	t.kind, t.seconds = kind, t.seconds+seconds
	const least = 100 // of one packet
	t.in, t.out = t.in+g.between(least, max(most, least)), t.out+g.between(least, max(most, least))
	return t
}

func (l *life) stop() *tick  { return &l.ticks[len(l.ticks)-1] }
func (l *life) ends() int64  { return l.start + l.stop().seconds }
func (l *life) splits() bool { return l.start < end && l.ends()+3600 >= end }

// sending says how a packet travels.
type sending struct {
	late  int64 // seconds from event to arrival
	shift int64 // seconds that the event time is off
	delay bool  // Acct-Delay-Time says so
	other bool  // through the other hub
}

// send sends one report.
func (g *generator) send(l *life, t tick, s sending) {
	g.order++
	p := packet{order: g.order, of: l, tick: t, event: l.start + t.seconds + s.shift, hub: int(l.user % 2)}
	if p.arrival = p.event + s.late; s.delay {
		p.delay = s.late
	}
	if s.other {
		p.hub = 1 - p.hub
	}
	heap.Push(&g.coming, p)
}

// sendAll sends all reports of a life at their time.
func (g *generator) sendAll(l *life) {
	for _, t := range l.ticks {
		g.send(l, t, sending{})
	}
}

// class expects n reports of l in a class.
func (g *generator) class(l *life, class string, n int) {
	g.want.add(l.client, "class "+class, int64(n))
}

// record expects a record.
func (g *generator) record(l *life, status usage.Status, codes ...usage.Exception) {
	g.want.add(l.client, "record "+string(status), 1)
	for _, e := range codes {
		g.want.add(l.client, "exception "+string(e), 1)
	}
}

// truth expects the usage of the reports in ticks, the last of which closes
// the session with a record of this status: each month ends with the last
// report in it, and nothing is interpolated.
func (g *generator) truth(l *life, ticks []tick, status usage.Status, codes ...usage.Exception) {
	var before tick
	for i := range ticks {
		t := &ticks[i]
		at := time.Unix(l.start+t.seconds, 0).UTC()
		if i+1 < len(ticks) && at.Month() == time.Unix(l.start+ticks[i+1].seconds, 0).UTC().Month() {
			continue
		}
		if t.seconds == before.seconds && i+1 < len(ticks) {
			continue // a Start alone in its month
		}
		g.want.sums(l.client, at, t.since(&before))
		if before = *t; i+1 < len(ticks) {
			g.record(l, usage.Partial, append([]usage.Exception{usage.MonthCut}, codes...)...)
		}
	}
	g.record(l, status, codes...)
}

func (t *tick) since(before *tick) figures {
	in, out := t.packets()
	hadIn, hadOut := before.packets()
	return figures{t.seconds - before.seconds, t.in - before.in, t.out - before.out, in + out - hadIn - hadOut}
}
