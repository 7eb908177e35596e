package session

import (
	"slices"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// Why a report is a Duplicate or Rejected; the quarantine's reasons are those
// of package accounting.
const (
	sameFigures  = "same_figures"   // the session has reported just that before, as another event
	unknownKind  = "unknown_kind"   // no rule for this kind of report
	absurdTime   = "absurd_time"    // no NAS of this century
	tooOld       = "too_old"        // of a session before the MaxGenerations newest of its ID
	manyOrigins  = "many_origins"   // one session heard of by more clients and hubs than there can be
	latestSecond = int64(1<<33 - 1) // of an event that is not absurd
)

// work is one transaction's worth of joining.
type work struct {
	r       *Rules
	b       Book
	changes *Changes
	known   map[ID][]*Session // all generations of each ID, oldest first
}

// Join takes reports in the order they were recorded, none of which is a
// duplicate of what was taken before. One with FlagConflict is another
// content of an event that was taken before.
func (r *Rules) Join(b Book, reports []usage.Report) (*Changes, error) {
	w := r.work(b)
	ids, journeys := make([]ID, 0, len(reports)), []accounting.Key(nil)
	for i := range reports {
		if rep := &reports[i]; ofSession(rep.Kind) {
			ids = append(ids, idOf(rep, nasOf(rep)))
			if j := journeyOf(rep); j != (accounting.Key{}) {
				journeys = append(journeys, j)
			}
		}
	}
	known, err := b.Sessions(compact(ids))
	if err != nil {
		return nil, err
	}
	for _, s := range known {
		w.add(s)
	}
	if len(journeys) > 0 {
		if w.changes.Journeys, err = b.Journeys(compact(journeys)); err != nil {
			return nil, err
		}
	}
	if w.changes.Journeys == nil {
		w.changes.Journeys = make(map[accounting.Key]Journey)
	}
	for i := range reports {
		out, err := w.take(&reports[i])
		if err != nil {
			return nil, err
		}
		w.changes.Outcomes = append(w.changes.Outcomes, out)
	}
	return w.changes, nil
}

// Close closes at most limit sessions whose time is up at now, which is the
// time of the reports and not that of the wall: a clearing side that was away
// closes nothing early.
func (r *Rules) Close(b Book, now time.Time, limit int) (*Changes, error) {
	due, err := b.Due(now, limit)
	if err != nil {
		return nil, err
	}
	w := r.work(b)
	for _, s := range due {
		if s.Due == 0 || s.Due > now.Unix() {
			continue
		}
		w.add(s)
		if s.Open {
			s.facts |= silent
		}
		w.end(s)
	}
	return w.changes, nil
}

func (r *Rules) work(b Book) *work {
	return &work{r: r, b: b, changes: &Changes{Tallies: make(map[TallyKey]int64)}, known: make(map[ID][]*Session)}
}

func compact(keys []accounting.Key) []accounting.Key {
	slices.SortFunc(keys, func(a, b accounting.Key) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(keys)
}

func ofSession(k accounting.Kind) bool {
	return k == accounting.Start || k == accounting.Stop || k == accounting.Interim
}

// add makes a session known to this transaction.
func (w *work) add(s *Session) {
	list := w.known[s.ID]
	at, _ := slices.BinarySearchFunc(list, s.Generation, byGeneration)
	w.known[s.ID] = slices.Insert(list, at, s)
}

func byGeneration(s *Session, generation uint64) int {
	switch {
	case s.Generation < generation:
		return -1
	case s.Generation > generation:
		return 1
	}
	return 0
}

func (w *work) touch(s *Session) {
	if !s.touched {
		s.touched = true
		w.changes.Sessions = append(w.changes.Sessions, s)
	}
}

func (w *work) tally(node, client string, class usage.Class, reason string, n int64) {
	key := TallyKey{Node: node, Client: client, Class: class, Reason: reason}
	if w.changes.Tallies[key] += n; w.changes.Tallies[key] == 0 {
		delete(w.changes.Tallies, key)
	}
}

// take takes one report.
func (w *work) take(rep *usage.Report) (Outcome, error) {
	outcome := func(s *Session, class usage.Class, reason string) Outcome {
		if s == nil || class == usage.Duplicate || class == usage.Rejected {
			w.tally(rep.Node, rep.Client, class, reason, 1)
		}
		out := Outcome{Class: class, Reason: reason}
		if s != nil {
			out.ID, out.Generation = s.ID, s.Generation
		}
		return out
	}
	event := rep.Event.Unix()
	switch {
	case rep.Kind == accounting.Quarantined:
		return outcome(nil, usage.Rejected, rep.Quarantine), nil
	case !ofSession(rep.Kind) && rep.Kind != accounting.On && rep.Kind != accounting.Off:
		return outcome(nil, usage.Rejected, unknownKind), nil
	case event < 0 || event > latestSecond || rep.Arrival.Unix() < 0 || rep.Arrival.Unix() > latestSecond:
		return outcome(nil, usage.Rejected, absurdTime), nil
	case !ofSession(rep.Kind):
		return outcome(nil, usage.Cleared, ""), w.boot(rep, nasOf(rep))
	}
	p := newPoint(rep)
	s, reason := w.session(rep, &p)
	if s == nil {
		return outcome(nil, usage.Rejected, reason), nil
	}
	at, ok := s.origin(rep)
	if !ok {
		return outcome(s, usage.Rejected, manyOrigins), nil
	}
	p.origin = at
	if p.has&hasTime == 0 {
		p.time = max(p.event-s.start, 0)
	}
	if p.has&hasOtherContent == 0 && slices.ContainsFunc(s.points, func(q point) bool { return p.same(&q) }) {
		w.touch(s)
		if before := s.hear(rep); s.Due != 0 {
			s.Due += s.Updated - before
		}
		return outcome(s, usage.Duplicate, sameFigures), nil
	}
	class, reason := w.join(s, rep, &p)
	return outcome(s, class, reason), nil
}

// hear notes that the session was heard of, and says when it was before.
func (s *Session) hear(rep *usage.Report) (before int64) {
	before = s.Updated
	s.Updated = max(s.Updated, rep.Arrival.Unix())
	return before
}

// join adds p to s and sees what follows.
func (w *work) join(s *Session, rep *usage.Report, p *point) (usage.Class, string) {
	w.touch(s)
	s.hear(rep)
	s.describe(rep, p)
	w.lead(s, rep)
	was := s.facts
	if rep.Diameter {
		s.facts |= numbered
		if p.has&hasOtherContent == 0 {
			s.numbers.hear(p.number)
		}
		if rep.Flags&accounting.FlagOnce != 0 {
			s.facts |= begun
		}
	}
	newer := p.event > s.last
	s.last = max(s.last, p.event)
	s.learn(p)
	p.order = s.taken
	s.taken++
	if was&stopped == 0 && s.facts&stopped != 0 {
		s.firstStop = p.order
		for i := range s.origins { // those of the base follow their session
			w.move(s, uint8(i), usage.Provisional, "", -s.origins[i].fine)
			w.move(s, uint8(i), usage.Cleared, "", s.origins[i].fine)
		}
	}
	at, _ := slices.BinarySearchFunc(s.points, *p, compare)
	s.points = slices.Insert(s.points, at, *p)
	c, cuts := w.replay(s, was, p.order)
	class, reason := classOf(s.facts, s.state(p.order))
	for len(s.points) > maxPoints {
		s.fold(w.r)
	}
	switch {
	case s.facts&stopped != 0:
		s.Open, s.Due = false, 0
		w.record(s, &c, cuts, false)
	case s.Open || s.facts&closed == silent && newer:
		s.Open, s.facts = true, s.facts&^silent
		w.due(s, c.gap)
		w.record(s, &c, cuts, false)
	default:
		w.due(s, c.gap)
	}
	return class, reason
}

// learn takes from p what is true of the session from now on.
func (s *Session) learn(p *point) {
	start := s.start
	switch {
	case p.has&hasTime == 0 || s.facts&begun != 0:
	case p.kind == accounting.Start:
		s.start = p.start()
	default:
		s.start = min(s.start, p.start())
	}
	if p.has&hasTime != 0 {
		s.facts |= timed
	}
	if p.has&(hasGigawords|hasGigawords<<1) != 0 {
		s.facts |= gigawords
	}
	switch p.kind {
	case accounting.Start:
		s.facts |= begun
	case accounting.Interim:
		s.facts |= interims
	case accounting.Stop:
		s.facts |= stopped
	}
	if s.start == start {
		return
	}
	for i := range s.points {
		if q := &s.points[i]; q.has&hasTime == 0 {
			q.time = max(q.event-s.start, 0)
		}
	}
	slices.SortStableFunc(s.points, compare)
}

// due says when the session is looked at again.
func (w *work) due(s *Session, gap int64) {
	if s.Open || s.Due != 0 || s.facts&stopped == 0 {
		s.Due = s.Updated + w.r.patience(s, gap)
	}
}

// end records all of a session that has no Stop, or that has more to say
// since it was recorded.
func (w *work) end(s *Session) {
	w.touch(s)
	s.Open, s.Due = false, 0
	c, cuts := w.replay(s, s.facts, s.taken)
	w.record(s, &c, cuts, true)
}

// replay walks over the points of s again and moves those that are now of
// another class. The point of order joined is new. was is what was true of s
// when their classes were last counted.
func (w *work) replay(s *Session, was facts, joined uint32) (cursor, []cut) {
	c := s.base
	cuts := slices.Clone(s.cuts)
	for i := range s.points {
		p := &s.points[i]
		before, why := classOf(was, p.state)
		p.state, cuts = c.step(w.r, s.firstStop, p, cuts)
		after, now := classOf(s.facts, p.state)
		if p.order == joined {
			w.move(s, p.origin, after, now, 1)
		} else if before != after || why != now {
			w.move(s, p.origin, before, why, -1)
			w.move(s, p.origin, after, now, 1)
		}
	}
	return c, cuts
}

func (w *work) move(s *Session, at uint8, class usage.Class, reason string, n int64) {
	if n != 0 {
		w.tally(s.origins[at].node, s.origins[at].client, class, reason, n)
	}
}

// classOf is the class of a report in a session of which f is true.
func classOf(f facts, st state) (usage.Class, string) {
	switch {
	case st != fine:
		return usage.Conflict, conflicts[st].reason
	case f&stopped != 0:
		return usage.Cleared, ""
	}
	return usage.Provisional, ""
}

func (s *Session) state(order uint32) state {
	for i := range s.points {
		if s.points[i].order == order {
			return s.points[i].state
		}
	}
	return fine
}

// fold gives up the order of the point that is first: the base takes it.
func (s *Session) fold(r *Rules) {
	p := &s.points[0]
	if _, s.cuts = s.base.step(r, s.firstStop, p, s.cuts); p.state == fine {
		s.origins[p.origin].fine++
	}
	s.points = slices.Delete(s.points, 0, 1)
}
