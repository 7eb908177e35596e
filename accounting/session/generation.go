package session

import (
	"slices"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// session finds the session that a report is of, among those of its ID, or
// begins one. A NAS uses an Acct-Session-Id again once it has booted: sessions
// of one ID differ in their start. nil: the reason why there is none.
func (w *work) session(rep *usage.Report, p *point) (*Session, string) {
	nas := nasOf(rep)
	id := idOf(rep, nas)
	list := w.known[id]
	if s := w.r.match(list, rep, p); s != nil {
		return s, ""
	}
	start := p.start()
	if len(list) >= MaxGenerations && start < list[len(list)-MaxGenerations].start {
		return nil, tooOld
	}
	s := &Session{ID: id, Generation: uint64(start), NAS: nas, Open: true, start: start, last: start}
	if p.has&hasTime != 0 {
		s.facts |= timed
	}
	if rep.Flags&accounting.FlagArrivalTime != 0 {
		s.facts |= arrival
	}
	for slices.ContainsFunc(list, func(o *Session) bool { return o.Generation == s.Generation }) {
		s.Generation++
	}
	for _, other := range list {
		switch {
		case other.start > start:
			// A newer one is known: this one has ended, and what comes of it
			// is recorded once it has had time to come.
			s.Open, s.facts = false, s.facts|reused
		case other.Open:
			other.facts |= reused
			w.end(other)
		}
	}
	w.add(s)
	return s, ""
}

// match finds the session of a report by when it began.
func (r *Rules) match(list []*Session, rep *usage.Report, p *point) *Session {
	if rep.Diameter {
		if n := len(list); n > 0 {
			return list[n-1] // whatever their clocks say: there is but one
		}
		return nil
	}
	if p.has&hasTime == 0 {
		return r.matchUntimed(list, p)
	}
	start := p.start()
	var best *Session
	for _, s := range list {
		far := distance(s.start, start)
		if far > r.skew() && (s.facts&timed != 0 || start > s.last) || s.before(rep, p, start) {
			continue
		}
		if best == nil || far < distance(best.start, start) {
			best = s
		}
	}
	if best != nil || p.kind == accounting.Start {
		return best
	}
	// Two sessions of one ID do not go on at the same time. One whose clock
	// was set has two starts; but no session gets younger.
	for _, s := range slices.Backward(list) {
		if start > s.last || p.event < s.start || start > s.start && p.time < s.oldest() {
			continue
		}
		s.facts |= unclear
		return s
	}
	return nil
}

// before says that s had ended when the session of p began, although they
// began within the skew: a device that comes back at once, to a NAS that
// counts its sessions from one again. Only clocks of a NAS tell that, not
// times of arrival.
func (s *Session) before(rep *usage.Report, p *point, start int64) bool {
	const jitter = 5
	if s.facts&stopped == 0 || s.facts&arrival != 0 || rep.Flags&accounting.FlagArrivalTime != 0 ||
		start < s.last || distance(s.start, start) <= jitter {
		return false
	}
	return p.kind == accounting.Start || !slices.ContainsFunc(s.points, func(q point) bool { return p.same(&q) })
}

// matchUntimed finds the session of a report without Acct-Session-Time: the
// newest that had begun.
func (r *Rules) matchUntimed(list []*Session, p *point) *Session {
	for _, s := range slices.Backward(list) {
		if s.start <= p.event+r.skew() {
			return s
		}
	}
	return nil
}

// oldest is the session time of the latest point.
func (s *Session) oldest() int64 {
	if n := len(s.points); n > 0 {
		return s.points[n-1].time
	}
	return s.base.time
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// maxBooted bounds how many sessions one report closes. Those beyond are
// closed when they have been silent for long enough.
const maxBooted = 100_000

// boot closes what was open at a NAS that says Accounting-On or -Off.
func (w *work) boot(rep *usage.Report, nas accounting.Key) error {
	const page = 256
	event := rep.Event.Unix()
	var list []*Session
	for _, generations := range w.known {
		for _, s := range generations {
			if s.NAS == nas {
				list = append(list, s)
			}
		}
	}
	slices.SortFunc(list, order)
	for _, s := range list {
		w.bootOne(s, event)
	}
	var after *Session
	for n := 0; n < maxBooted; n += page {
		open, err := w.b.OpenAt(nas, after, page)
		if err != nil {
			return err
		}
		for _, s := range open {
			after = s
			if slices.ContainsFunc(w.known[s.ID], func(o *Session) bool { return o.Generation == s.Generation }) {
				continue
			}
			w.add(s)
			w.bootOne(s, event)
		}
		if len(open) < page {
			break
		}
	}
	return nil
}

func (w *work) bootOne(s *Session, event int64) {
	if s.Open && s.start < event && s.last <= event {
		s.facts |= booted
		w.end(s)
	}
}

// order is that of Book.OpenAt.
func order(a, b *Session) int {
	if c := slices.Compare(a.ID[:], b.ID[:]); c != 0 {
		return c
	}
	return byGeneration(a, b.Generation)
}
