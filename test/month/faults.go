package main

import (
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// fault makes one life, or a few that have to do with each other, and what
// happens to them.
type fault struct {
	name string
	play func(g *generator, client string, at int64)
}

const mebibyte = 1 << 20

// faults are the visited networks, each with what goes wrong there. A fault
// that shows in a record is not played across the end of a month, where it
// would show in two.
var faults = []fault{
	{"none", func(g *generator, c string, at int64) { g.plain(g.some(c, at)) }},
	{"short", func(g *generator, c string, at int64) { g.plain(g.newLife(c, at, g.between(2, 14400), 0, 10*mebibyte)) }},
	{"lost-start", lostStart},
	{"lost-interim", lostInterim},
	{"repeated", repeated},
	{"two-hubs", twoHubs},
	{"reordered", reordered},
	{"no-timestamp", noTimestamp},
	{"lost-stop", lostStop},
	{"late-stop", lateStop},
	{"restart", restart},
	{"id-reused", func(g *generator, c string, at int64) { reused(g, c, at, false) }},
	{"id-reused-late-stop", func(g *generator, c string, at int64) { reused(g, c, at, true) }},
	{"wrap", wrap},
	{"gigawords", gigawords},
	{"wrap-unseen", ambiguous},
	{"counter-fell", func(g *generator, c string, at int64) { fell(g, c, at, false, accounting.Interim) }},
	{"gigawords-fell", func(g *generator, c string, at int64) { fell(g, c, at, true, accounting.Interim) }},
	{"stop-below", func(g *generator, c string, at int64) { fell(g, c, at, false, accounting.Stop) }},
	{"second-stop", secondStop},
	{"after-stop", afterStop},
	{"journey", journey},
	{"long", long},
	{"zero", zero},
	{"unreadable", unreadable},
}

// some is a life like most: gigawords, reports every ten minutes.
func (g *generator) some(client string, at int64) *life {
	l := g.newLife(client, at, 600, int(g.between(2, 9)), 40*mebibyte)
	l.wide = true
	return l
}

// plain plays a life that nothing happens to.
func (g *generator) plain(l *life) {
	g.sendAll(l)
	g.truth(l, l.ticks, usage.Final)
	g.class(l, "cleared", len(l.ticks))
}

func lostStart(g *generator, c string, at int64) {
	l := g.some(c, at)
	if l.splits() {
		g.plain(l)
		return
	}
	for _, t := range l.ticks[1:] {
		g.send(l, t, sending{})
	}
	g.truth(l, l.ticks[1:], usage.Final, usage.StartMissing)
	g.class(l, "cleared", len(l.ticks)-1)
}

func lostInterim(g *generator, c string, at int64) {
	l := g.some(c, at)
	lost := int(g.between(1, int64(len(l.ticks)-2)))
	l.ticks = append(l.ticks[:lost], l.ticks[lost+1:]...)
	g.plain(l)
}

// repeated: a NAS that hears no answer sends again, older.
func repeated(g *generator, c string, at int64) {
	l := g.some(c, at)
	g.plain(l)
	for _, t := range l.ticks {
		for late := int64(5); g.chance(3); late *= 2 {
			g.send(l, t, sending{late: late, delay: true})
			g.class(l, "duplicate record_key", 1)
		}
	}
}

// twoHubs: its answer was lost, and it turned to the other hub.
func twoHubs(g *generator, c string, at int64) {
	l := g.some(c, at)
	g.plain(l)
	if l.splits() {
		return
	}
	for _, t := range l.ticks {
		if g.chance(2) {
			g.send(l, t, sending{late: g.between(0, 40), delay: true, other: true})
			g.class(l, "duplicate record_key", 1)
		}
	}
}

// reordered: interim reports come after those behind them, some after the Stop.
func reordered(g *generator, c string, at int64) {
	l := g.some(c, at)
	if l.splits() {
		g.plain(l)
		return
	}
	for _, t := range l.ticks {
		s := sending{}
		if t.kind == accounting.Interim && g.chance(2) {
			s.late = g.between(1, 1100) // not long enough to be taken for lost
		}
		g.send(l, t, s)
	}
	g.truth(l, l.ticks, usage.Final)
	g.class(l, "cleared", len(l.ticks))
}

// noTimestamp: the event time is that of arrival, and a repetition that does
// not say how old it is moves it.
func noTimestamp(g *generator, c string, at int64) {
	l := g.some(c, at)
	l.untimed = true
	if l.splits() {
		l.untimed = false
		g.plain(l)
		return
	}
	g.sendAll(l)
	g.truth(l, l.ticks, usage.Final, usage.ArrivalTime)
	g.class(l, "cleared", len(l.ticks))
	for _, t := range l.ticks {
		switch g.between(0, 5) {
		case 0: // it says its age
			g.send(l, t, sending{late: 7, delay: true})
			g.class(l, "duplicate record_key", 1)
		case 1: // known by its content, but for a Start, which always says the same
			g.send(l, t, sending{shift: 25})
			if t.kind == accounting.Start {
				g.class(l, "duplicate same_figures", 1)
			} else {
				g.class(l, "duplicate record_key", 1)
			}
		}
	}
}

func lostStop(g *generator, c string, at int64) {
	l := g.some(c, at)
	if l.splits() {
		g.plain(l)
		return
	}
	heard := l.ticks[:len(l.ticks)-1]
	for _, t := range heard {
		g.send(l, t, sending{})
	}
	g.truth(l, heard, usage.Estimated, usage.StopMissing)
	g.class(l, "provisional", len(heard))
}

// lateStop: the NAS kept its Stop until somebody answered.
func lateStop(g *generator, c string, at int64) {
	l := g.some(c, at)
	if l.splits() {
		g.plain(l)
		return
	}
	last := len(l.ticks) - 1
	for _, t := range l.ticks[:last] {
		g.send(l, t, sending{})
	}
	g.send(l, l.ticks[last], sending{late: g.between(3*3600, 20*3600), delay: true})
	g.truth(l, l.ticks[:last], usage.Estimated, usage.StopMissing)
	g.corrected(l, &l.ticks[last-1], &l.ticks[last], usage.LateReport)
	g.class(l, "cleared", len(l.ticks))
}

// corrected expects that the record of before becomes that of t.
func (g *generator) corrected(l *life, before, t *tick, codes ...usage.Exception) {
	g.record(l, usage.Correction, codes...)
	g.want.sums(l.client, timeOf(l.start+t.seconds), t.since(before))
}

// restart: power fails at a NAS with a few sessions. It comes back and says
// so, sometimes twice; Off is the same, announced.
func restart(g *generator, c string, at int64) {
	n := int(g.between(1, 4))
	lives := make([]*life, n)
	for i := range lives {
		lives[i] = g.newLife(c, at+g.between(0, 600), 600, 3, mebibyte)
		lives[i].wide = true
		lives[i].nas, lives[i].user = "ap-of-"+lives[0].id, lives[i].user&^1 // all at the hub that it speaks to
	}
	if at+4*3600 >= end {
		for _, l := range lives {
			g.plain(l)
		}
		return
	}
	last := int64(0)
	for _, l := range lives {
		heard := l.ticks[:len(l.ticks)-1]
		for _, t := range heard {
			g.send(l, t, sending{})
		}
		last = max(last, l.start+heard[len(heard)-1].seconds)
		g.truth(l, heard, usage.Estimated, usage.NASRestarted)
		g.class(l, "provisional", len(heard))
	}
	boot := tick{kind: accounting.On}
	if g.chance(2) {
		boot.kind = accounting.Off
	}
	speaks := &life{client: c, nas: lives[0].nas, start: last + g.between(30, 400)}
	g.send(speaks, boot, sending{})
	g.class(speaks, "cleared", 1)
	if g.chance(3) {
		g.send(speaks, boot, sending{late: 9, delay: true})
		g.class(speaks, "duplicate record_key", 1)
	}
}

// reused: a NAS restarts without a word and counts its sessions from one.
func reused(g *generator, c string, at int64, late bool) {
	old, l := g.some(c, at), g.some(c, 0)
	last := len(old.ticks) - 1
	l.start = old.start + old.ticks[last-1].seconds + g.between(700, 1500)
	if l.id, l.nas, l.user = old.id, old.nas, old.user; old.splits() || l.splits() || l.ends() > end {
		l.id += "-2"
		g.plain(old)
		g.plain(l)
		return
	}
	for _, t := range old.ticks[:last] {
		g.send(old, t, sending{})
	}
	g.plain(l)
	g.truth(old, old.ticks[:last], usage.Estimated, usage.IDReused)
	if !late {
		g.class(old, "provisional", last)
		return
	}
	g.send(old, old.ticks[last], sending{late: g.between(1500, 20*3600), delay: true})
	g.corrected(old, &old.ticks[last-1], &old.ticks[last], usage.LateReport)
	g.class(old, "cleared", last+1)
}

// wrap: counters of 32 bits, and usage beyond.
func wrap(g *generator, c string, at int64) {
	l := g.newLife(c, at, 300, int(g.between(3, 8)), 3_500_000_000)
	wraps := false
	for i := range l.ticks {
		wraps = wraps || max(l.ticks[i].in, l.ticks[i].out) >= 1<<32
	}
	if l.splits() {
		l.wide, wraps = true, false
	}
	if !wraps {
		g.plain(l)
		return
	}
	g.sendAll(l)
	g.truth(l, l.ticks, usage.Final, usage.CounterWrapped)
	g.class(l, "cleared", len(l.ticks))
}

func gigawords(g *generator, c string, at int64) {
	l := g.newLife(c, at, 600, int(g.between(3, 8)), 1<<35)
	l.wide = true
	g.plain(l)
}

// ambiguous: so much time between reports that more than one wrap is possible.
func ambiguous(g *generator, c string, at int64) {
	l := g.newLife(c, at, 1200, 2, 200*mebibyte)
	for i := range l.ticks { // enough packets for a wrap of octets
		l.ticks[i].in += int64(i) * 60 * mebibyte
		l.ticks[i].out += int64(i) * 60 * mebibyte
	}
	if l.splits() {
		l.wide = true
		g.plain(l)
		return
	}
	g.sendAll(l)
	g.truth(l, l.ticks, usage.Final, usage.CounterAmbiguous)
	g.class(l, "cleared", len(l.ticks))
}

// fell: one report says less than the one before, by more than chance and
// less than a wrap.
func fell(g *generator, c string, at int64, wide bool, kind accounting.Kind) {
	l := g.newLife(c, at, 300, 4, 20*mebibyte)
	l.wide = wide
	if l.splits() {
		l.wide = true
		g.plain(l)
		return
	}
	i, class, code := 3, "conflict counter_fell", usage.CounterFell
	switch {
	case kind == accounting.Stop:
		i, class, code = 5, "conflict stop_below_interim", usage.StopBelowInterim
	case wide:
		class = "conflict gigawords_fell"
	}
	shown := l.ticks[i]
	shown.in = l.ticks[i-1].in - g.between(1, l.ticks[i-1].in-1)
	shown.out = l.ticks[i-1].out
	for j, t := range l.ticks {
		if j == i {
			t = shown
		}
		g.send(l, t, sending{})
	}
	if i == 5 { // the larger stands
		l.ticks[5].in, l.ticks[5].out = l.ticks[4].in, l.ticks[4].out
	}
	g.truth(l, l.ticks, usage.Final, code)
	g.class(l, "cleared", len(l.ticks)-1)
	g.class(l, class, 1)
}

// secondStop: two Stops that differ.
func secondStop(g *generator, c string, at int64) {
	l := g.some(c, at)
	if l.splits() {
		g.plain(l)
		return
	}
	g.plain(l)
	last, second := *l.stop(), *l.stop()
	g.class(l, "conflict stops_differ", 1)
	if g.chance(2) {
		second.in -= g.between(1, second.in-1)
		g.send(l, second, sending{late: 30})
		return
	}
	second.in, second.out, second.seconds = second.in+5000, second.out+9000, second.seconds+1
	g.send(l, second, sending{late: 30})
	g.corrected(l, &last, &second, usage.LateReport, usage.StopsDiffer)
}

// afterStop: an interim report after the Stop, which says as much or more.
func afterStop(g *generator, c string, at int64) {
	l := g.some(c, at)
	if l.splits() {
		g.plain(l)
		return
	}
	g.plain(l)
	last, after := *l.stop(), *l.stop()
	after.kind, after.seconds = accounting.Interim, after.seconds+g.between(0, 30)
	if g.chance(2) {
		g.send(l, after, sending{})
		g.class(l, "cleared", 1)
		return
	}
	after.in, after.seconds = after.in+1000, last.seconds+g.between(1, 30)
	g.send(l, after, sending{late: 20})
	g.class(l, "conflict interim_after_stop", 1)
	g.corrected(l, &last, &after, usage.LateReport, usage.InterimAfterStop)
}

// journey: a device moves between access points, and the legs add up.
func journey(g *generator, c string, at int64) {
	n := int(g.between(2, 4))
	var first *life
	for i := range n {
		l := g.some(c, at)
		if l.multi = l.id + "-m"; i == 0 {
			first = l
		}
		l.multi, l.user, l.nas = first.multi, first.user, l.nas+"-"+l.id
		if g.chance(2) {
			l.id = first.id // a controller keeps it
		}
		at = l.ends() - 2
		g.plain(l)
		g.want.add(c, "leg "+string(rune('1'+i)), 1)
	}
}

// long lives are cut at the end of the month.
func long(g *generator, c string, at int64) {
	l := g.newLife(c, at, 6*3600, int(g.between(4, 80)), 1<<33)
	l.wide = true
	g.plain(l)
}

// zero: attached, and silent.
func zero(g *generator, c string, at int64) {
	l := g.newLife(c, at, 900, 0, 1)
	for i := range l.ticks {
		l.ticks[i].in, l.ticks[i].out = 0, 0
	}
	if l.splits() {
		l.stop().in, l.stop().out = 700, 700
		g.plain(l)
		return
	}
	g.sendAll(l)
	g.truth(l, l.ticks, usage.Final, usage.ZeroUsage)
	g.class(l, "cleared", len(l.ticks))
}

// unreadable: packets that cannot be billed between those that can.
func unreadable(g *generator, c string, at int64) {
	l := g.some(c, at)
	g.plain(l)
	bad := *l.stop()
	switch g.between(0, 3) {
	case 0:
		bad.damage = noSessionID
		g.class(l, "rejected no_session_id", 1)
	case 1:
		bad.damage = withPassword
		g.class(l, "rejected credentials", 1)
	case 2:
		bad.damage = noStatusType
		g.class(l, "rejected no_status_type", 1)
	case 3:
		bad.status = 9
		g.class(l, "rejected unknown_status", 1)
	}
	g.send(l, bad, sending{late: 1})
}
