package session

import (
	"cmp"
	"slices"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// counters of a report, in this order everywhere.
const (
	inputOctets = iota
	outputOctets
	inputPackets
	outputPackets
	counters
)

// figures are sums from some point of a session to another.
type figures struct {
	seconds int64
	count   [counters]int64
	reports [3]int64 // starts, interims, stops
}

// less returns f reduced by g.
func (f figures) less(g *figures) figures {
	f.seconds -= g.seconds
	for i := range f.count {
		f.count[i] -= g.count[i]
	}
	for i := range f.reports {
		f.reports[i] -= g.reports[i]
	}
	return f
}

// used says whether there is anything in f but reports.
func (f *figures) used() bool { return f.seconds != 0 || f.count != [counters]int64{} }

// What a point has.
const (
	hasTime         = 1 << counters // below: one bit for each counter
	hasGigawords    = hasTime << 1  // and the bit above: of the output
	hasOtherContent = hasTime << 3  // another report of the same event said something else
	hasNumber       = hasTime << 4
	hasSince        = hasTime << 5 // the figures are of the time since the report before
	hasWidePackets  = hasTime << 6 // 64 bits of packets
	pointEnd        = hasTime << 7
	unnumbered      = hasNumber // the end in the first stored form
	wrap            = 1 << 32
	absurdCount     = 1 << 60 // above it no counter is believed
)

// point is what one report said of the session.
type point struct {
	kind  accounting.Kind
	has   uint16
	state state
	order uint32 // of arrival
	// number is that of the record, spent the seconds since the one before.
	number uint32
	spent  int64
	time   int64 // session time, or what the start lets expect
	event  int64
	count  [counters]uint64
	closing
}

// closing is what a record says of the packet behind it.
type closing struct {
	evidence usage.Hash
	origin   uint8 // index in origins
	epoch    uint64
	seq      uint64
	cause    uint32
}

// state is what a point is in the light of all others.
type state uint8

const (
	fine state = iota
	fell
	gigawordsFell
	stopBelow
	absurd
	secondStop
	afterStop
	otherContent
	states
)

// conflicts names the states that contradict: as the reason of a tally, and in
// the records. A counter that nothing can count to is a rate that no link has.
var conflicts = [states]struct {
	reason string
	code   usage.Exception
}{
	fell:          {"counter_fell", usage.CounterFell},
	gigawordsFell: {"gigawords_fell", usage.CounterFell},
	stopBelow:     {"stop_below_interim", usage.StopBelowInterim},
	absurd:        {"counter_absurd", usage.RateTooHigh},
	secondStop:    {"stops_differ", usage.StopsDiffer},
	afterStop:     {"interim_after_stop", usage.InterimAfterStop},
	otherContent:  {"content_differs", usage.ContentDiffers},
}

// notes are what a record must say about how its figures came to be.
type notes uint16

const (
	wrapped notes = 1 << iota
	ambiguous
	firstState // and one for each state that contradicts
	notesEnd   = firstState << (states - 1)
)

// note is what a record says of a point in this state.
func (st state) note() notes {
	if st == fine {
		return 0
	}
	return firstState << (st - 1)
}

// newPoint reads the figures of a report.
func newPoint(rep *usage.Report) point {
	p := point{kind: rep.Kind, event: rep.Event.Unix(), time: int64(rep.SessionTime)}
	p.count = [counters]uint64{rep.InputOctets, rep.OutputOctets, rep.InputPackets, rep.OutputPackets}
	for i, has := range [counters + 1]accounting.Has{accounting.HasInputOctets, accounting.HasOutputOctets,
		accounting.HasInputPackets, accounting.HasOutputPackets, accounting.HasSessionTime} {
		if rep.Has&has != 0 {
			p.has |= 1 << i
		} else if i < counters {
			p.count[i] = 0
		}
	}
	if p.kind == accounting.Start {
		p.has |= hasTime
	}
	if rep.InputGigawords {
		p.has |= hasGigawords | 1<<inputOctets
		p.count[inputOctets] = rep.InputOctets
	}
	if rep.OutputGigawords {
		p.has |= hasGigawords<<1 | 1<<outputOctets
		p.count[outputOctets] = rep.OutputOctets
	}
	if rep.Flags&accounting.FlagConflict != 0 {
		p.has |= hasOtherContent
	}
	if rep.Diameter {
		p.numbered(rep)
	}
	p.closing = closing{evidence: rep.Evidence, epoch: rep.Epoch, seq: rep.Seq, cause: rep.TerminateCause}
	return p
}

// numbered reads what only reports of Diameter have.
func (p *point) numbered(rep *usage.Report) {
	p.has |= hasNumber
	p.number = rep.RecordNumber
	if rep.Has&accounting.HasWidePackets != 0 {
		p.has |= hasWidePackets
	}
	if rep.Has&accounting.HasSince != 0 {
		p.has |= hasSince
		p.spent, p.time = p.time, 0
		if p.kind != accounting.Start {
			p.has &^= hasTime
		}
	}
}

// start is when the session began by this report.
func (p *point) start() int64 { return max(p.event-p.time, 0) }

// wide says whether p has all 64 bits of counter i.
func (p *point) wide(i int) bool {
	if i > outputOctets {
		return p.has&hasWidePackets != 0
	}
	return p.has&(hasGigawords<<i) != 0
}

// same says whether p and q say the same of the session.
func (p *point) same(q *point) bool {
	const figures = hasTime<<3 - 1
	return p.kind == q.kind && p.number == q.number && p.has&figures == q.has&figures && p.count == q.count &&
		(p.has&hasTime != 0 && p.time == q.time || p.has&hasTime == 0 && p.event == q.event)
}

// rank puts the reports of one second into the order of a session.
func rank(k accounting.Kind) int {
	switch k {
	case accounting.Start:
		return 0
	case accounting.Stop:
		return 2
	}
	return 1
}

// compare orders points of a session as they were made, whenever they came.
// Whatever else is equal, the order does not depend on the arrival.
func compare(p, q point) int {
	if p.has&q.has&hasNumber != 0 && p.number != q.number {
		return cmp.Compare(p.number, q.number)
	}
	return cmp.Or(cmp.Compare(p.time, q.time), cmp.Compare(rank(p.kind), rank(q.kind)),
		slices.Compare(p.count[:], q.count[:]), cmp.Compare(p.has, q.has), cmp.Compare(p.event, q.event),
		slices.Compare(p.evidence[:], q.evidence[:]))
}

// cursor walks over the points of a session and adds up.
type cursor struct {
	figures
	time    int64 // session time of the latest point
	end     int64 // its event time
	month   int32 // that its usage belongs to, 0 none yet
	gap     int64 // longest time between two reports
	stopped bool
	noted   notes
	latest  closing
}

// cut is the end of a month: what a session had come to in its last report
// before.
type cut struct {
	figures
	month  int32
	end    int64
	noted  notes
	latest closing
}

func monthOf(seconds int64) int32 {
	y, m, _ := time.Unix(seconds, 0).UTC().Date()
	return int32(y)*12 + int32(m) - 1
}

// step goes on to p and says what p is. When p begins another month, it adds
// the one that ended to cuts.
func (c *cursor) step(r *Rules, first uint32, p *point, cuts []cut) (state, []cut) {
	st, count, noted := c.weigh(r, p)
	stop := p.kind == accounting.Stop
	late := p.time < c.time && p.has&hasNumber == 0
	audit := c.stopped && count == c.count && p.time-c.time <= r.skew()
	switch {
	case !stop && (late || audit):
		st = content(p, fine)
		c.reports[rank(p.kind)]++
		c.noted |= st.note()
		return st, cuts
	case st == absurd:
	case !stop && c.stopped:
		st = afterStop
	case stop && p.order != first:
		st = secondStop
	case stop && st != fine:
		st = stopBelow
	}
	st = content(p, st)
	if m := monthOf(p.event); m > c.month {
		cuts = c.cut(cuts)
		c.month = m
	}
	if p.kind == accounting.Interim && c.end != 0 {
		c.gap = max(c.gap, p.time-c.time)
	}
	if p.has&hasTime != 0 {
		c.seconds = max(c.seconds, p.time)
	}
	if p.has&(hasSince|hasOtherContent) == hasSince && st != absurd {
		c.seconds += p.spent
	}
	c.count, c.noted = count, c.noted|noted|st.note()
	c.reports[rank(p.kind)]++
	c.time, c.end = max(c.time, p.time), max(c.end, p.event)
	c.stopped = c.stopped || stop
	c.latest = p.closing
	return st, cuts
}

// cut ends the month of c, unless nothing was used in it.
func (c *cursor) cut(cuts []cut) []cut {
	var before figures
	if n := len(cuts); n > 0 {
		before = cuts[n-1].figures
	}
	if since := c.less(&before); !since.used() || len(cuts) >= maxParts-1 {
		return cuts
	}
	return append(cuts, cut{c.figures, c.month, c.end, c.noted, c.latest})
}

// weigh says what p makes of the counters. One that falls is taken for one
// that wrapped as long as a link can be so fast and the session goes on; else
// the larger stays.
func (c *cursor) weigh(r *Rules, p *point) (st state, count [counters]int64, noted notes) {
	count = c.count
	if p.has&hasSince != 0 {
		return c.since(p)
	}
	elapsed := p.time - c.time
	for i := range count {
		if p.has&(1<<i) == 0 {
			continue
		}
		v, had := p.count[i], uint64(count[i])
		if v > absurdCount {
			st = cmp.Or(st, absurd)
			continue
		}
		if !p.wide(i) {
			v = v%wrap | had&^(wrap-1)
			if i <= outputOctets && elapsed > int64(wrap/r.linkRate()) && !c.tooFew(p, i) {
				noted |= ambiguous
			}
			if v < had {
				if c.stopped || !r.plausible(i, v+wrap-had, elapsed) {
					st = cmp.Or(st, fell)
					continue
				}
				v, noted = v+wrap, noted|wrapped
			}
		}
		if v < had {
			st = cmp.Or(st, gigawordsFell)
			continue
		}
		count[i] = int64(v)
	}
	return st, count, noted
}

// since adds what p says was used since the report before. Of two accounts of one record
// number the first stands.
func (c *cursor) since(p *point) (st state, count [counters]int64, noted notes) {
	count = c.count
	if p.has&hasOtherContent != 0 {
		return fine, count, 0
	}
	for i := range count {
		if p.has&(1<<i) == 0 {
			continue
		}
		if p.count[i] > absurdCount || uint64(count[i])+p.count[i] > absurdCount {
			st = absurd
			continue
		}
		count[i] += int64(p.count[i])
	}
	return st, count, 0
}

// tooFew says that there were not enough packets for counter i to wrap.
func (c *cursor) tooFew(p *point, i int) bool {
	const longest = 1<<16 - 1
	packets, had := p.count[i+inputPackets], uint64(c.count[i+inputPackets])
	return p.has&(1<<(i+inputPackets)) != 0 && packets >= had && packets-had < wrap/longest
}

// content adds to what p is by its figures that its event was reported with
// other content too.
func content(p *point, st state) state {
	if st == fine && p.has&hasOtherContent != 0 {
		return otherContent
	}
	return st
}
