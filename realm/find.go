package realm

import "github.com/roamgate/roamgate/pkg/nai"

// Find returns the route of a request, the first in the order of tiers and
// ranks that takes it. A route that does nothing with requests of its protocol is
// passed over. Without one it is nil, and why is OtherGroup where a
// subject matched whose routes are all for other groups: such a request goes
// to no wider route either, since a realm that is closed to its sender is not
// handed to somebody else.
//
// hot: 0 allocs
func (t *Table) Find(q *Query) (r *Route, why Mismatch) {
	protocol := ofRADIUS
	if q.Message {
		protocol = ofDiameter
	}
	if !t.narrow[protocol] {
		if q.Realm == nil {
			r = t.none.route
		} else {
			r = t.Lookup(q.Realm)
		}
		if r == nil {
			why = OtherSubject
		}
		return r, why
	}
	s := search{t: t, q: q}
	for i := s.next(); i >= 0; i = s.next() {
		if t.judged[protocol][i>>6]&(1<<(i&63)) == 0 {
			return &t.routes[i], Matches
		}
		r, why = t.take(i, q)
		if r != nil || why == OtherGroup {
			return r, why
		}
	}
	return nil, OtherSubject
}

// take gives the route of a subject that takes the request; else OtherGroup if
// all of them are for other groups.
func (t *Table) take(head int32, q *Query) (r *Route, why Mismatch) {
	r = &t.routes[head]
	if r.rivals == 0 {
		if why = r.Judge(q); why == Matches {
			return r, why
		}
		return nil, why
	}
	groups, others := 0, 0
	for _, i := range t.rivals[r.rivals-1] {
		r := &t.routes[i]
		switch why = r.Judge(q); why {
		case Matches:
			return r, why
		case OtherGroup:
			groups++
		case OtherProtocol:
		default:
			others++
		}
	}
	if groups > 0 && others == 0 {
		return nil, OtherGroup
	}
	return nil, OtherSubject
}

// Candidates calls yield for the routes whose subject matches a request, in the
// order in which Find asks them, until it returns false. Find takes the first
// that Matches, unless all routes of a subject before it say OtherGroup.
func (t *Table) Candidates(q *Query, yield func(Candidate) bool) {
	s := search{t: t, q: q}
	for head := s.next(); head >= 0; head = s.next() {
		row := []int32{head}
		if n := t.routes[head].rivals; n > 0 {
			row = t.rivals[n-1]
		}
		for _, i := range row {
			r := &t.routes[i]
			if !yield(Candidate{Route: r, Why: r.Judge(q)}) {
				return
			}
		}
	}
}

// search goes through the subjects that match a request, one by one.
type search struct {
	t    *Table
	q    *Query
	tier Tier
	at   int32  // within the tier, 0 at its beginning
	rest []byte // of the realm, for wider suffixes
}

// next gives the number of the route by which the next subject is found, -1
// after the last.
func (s *search) next() int32 {
	for ; s.tier < tiers; s.tier, s.at = s.tier+1, 0 {
		if i := s.in(); i >= 0 {
			return i
		}
	}
	return -1
}

// in gives the next subject of the present tier, -1 if there is no more.
func (s *search) in() int32 {
	switch s.tier {
	case TierIMSI:
		return s.subscribers()
	case TierExact:
		if s.once() && s.q.Realm != nil {
			return s.t.exact.find(s.q.Realm)
		}
	case TierSuffix:
		return s.suffix()
	case TierPLMN:
		return s.network()
	case TierExpression:
		return s.expression()
	case TierNone:
		if s.once() && s.q.Realm == nil && s.t.none.route != nil {
			return s.t.none.number
		}
	case TierDefault:
		if s.once() && s.q.Realm != nil && s.t.other.route != nil {
			return s.t.other.number
		}
	}
	return -1
}

// once is true at the first call in a tier.
func (s *search) once() bool {
	s.at++
	return s.at == 1
}

// subscribers gives the ranges that hold the IMSI, the narrowest first.
func (s *search) subscribers() int32 {
	x := &s.t.imsi
	if x.n == 0 || s.q.IMSI == nil {
		return -1
	}
	n, _, ok := imsiNumber(s.q.IMSI)
	if !ok {
		return -1
	}
	if s.at == 0 {
		at := x.find(n)
		if at < 0 {
			s.at = 1
			return -1
		}
		s.at = x.steps[at].span + 2
		return x.steps[at].route
	}
	// What is wider than the last one, kept with room for the beginning.
	for span := s.at - 2; span >= 0; {
		if span = x.list[span].wider; span >= 0 && n <= x.list[span].last {
			s.at = span + 2
			return x.list[span].route
		}
	}
	s.at = 1
	return -1
}

func (s *search) suffix() int32 {
	if s.t.longest == 0 {
		return -1
	}
	if s.once() {
		s.rest = s.q.Realm
	}
	i, name := s.t.suffix(s.rest)
	s.rest = name
	return i
}

func (s *search) network() int32 {
	if s.t.plmn.n == 0 {
		return -1
	}
	mcc, mnc, ok := nai.PLMN(s.q.Realm)
	if !ok {
		return -1
	}
	network, all := s.t.plmn.find(mcc, mnc)
	for s.at < 2 {
		if s.at++; s.at == 1 && network >= 0 {
			return network
		} else if s.at == 2 && all >= 0 {
			return all
		}
	}
	return -1
}

func (s *search) expression() int32 {
	for int(s.at) < len(s.t.exprs) {
		e := &s.t.exprs[s.at]
		if s.at++; e.matches(s.q) {
			return e.route
		}
	}
	return -1
}
