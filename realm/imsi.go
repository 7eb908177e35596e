package realm

import (
	"cmp"
	"slices"
	"strings"
)

const (
	minIMSI = 5 // a network of two digits behind its country
	maxIMSI = 15
)

// ParseIMSI reads the subject of a range of subscribers: "imsi:" and the digits
// that their numbers begin with, or the first and the last of equally many
// digits joined by a dash. first and last are the ends as numbers of 15 digits.
func ParseIMSI(subject string) (first, last uint64, ok bool) {
	text, ok := strings.CutPrefix(subject, SubjectIMSI)
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	if !ok || len(from) != len(to) || len(from) < minIMSI {
		return 0, 0, false
	}
	first, _, ok = imsiNumber([]byte(from))
	if !ok {
		return 0, 0, false
	}
	last, rest, ok := imsiNumber([]byte(to))
	return first, last + rest, ok && first <= last
}

// imsiNumber reads digits from the left: missing ones are zeros, and rest is
// what they could be more.
func imsiNumber(digits []byte) (n, rest uint64, ok bool) {
	if len(digits) > maxIMSI {
		return 0, 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	rest = 1
	for range maxIMSI - len(digits) {
		n *= 10
		rest *= 10
	}
	return n, rest - 1, true
}

// ranges finds the narrowest range that holds a number. Ranges may lie inside
// of each other; of two that only overlap, the one that begins first ends where
// the other begins.
//
// What it searches are the places where the narrowest range becomes another
// one. The first six digits lead to a short part of them, and in that the
// search begins where the number would stand if all were equally far apart,
// which ranges of one operator mostly are.
type ranges struct {
	list  []span
	n     int
	steps []step
	parts []int32 // first step at or behind each prefix; one more at the end
}

// step is where the narrowest range becomes another one.
type step struct {
	start uint64 // ascending
	span  int32  // from start on, -1 none
	route int32  // of the span
}

type span struct {
	first, last uint64
	route       int32
	wider       int32 // the span it lies in, -1
}

const (
	prefixes  = 1_000_000 // of six digits
	perPrefix = 1_000_000_000
)

// add keeps a range. Equal ones are joined by build: until then each is a head
// of its own.
func (x *ranges) add(subject string, i int32) int32 {
	first, last, ok := ParseIMSI(subject)
	if !ok {
		return -1
	}
	x.list = append(x.list, span{first, last, i, -1})
	x.n++
	return i
}

// build makes the search possible. Before it, equal must have joined spans that
// are the same.
func (x *ranges) build() {
	if x.n == 0 {
		return
	}
	var inside []int32 // spans that hold the place, the narrowest last
	mark := func(at uint64) {
		next := step{at, -1, -1}
		if n := len(inside); n > 0 {
			next.span = inside[n-1]
			next.route = x.list[next.span].route
		}
		if n := len(x.steps); n > 0 && x.steps[n-1].start == at {
			x.steps = x.steps[:n-1]
		}
		x.steps = append(x.steps, next)
	}
	leave := func(before uint64) {
		for len(inside) > 0 {
			top := &x.list[inside[len(inside)-1]]
			if top.last >= before {
				return
			}
			end := top.last + 1
			for len(inside) > 0 && x.list[inside[len(inside)-1]].last < end {
				inside = inside[:len(inside)-1]
			}
			mark(end)
		}
	}
	for i := range x.list {
		s := &x.list[i]
		leave(s.first)
		if len(inside) > 0 {
			s.wider = inside[len(inside)-1]
		}
		inside = append(inside, int32(i))
		mark(s.first)
	}
	leave(1 << 63)
	x.split()
}

func (x *ranges) split() {
	x.parts = make([]int32, prefixes+1)
	at := 0
	for p := range x.parts {
		for at < len(x.steps) && x.steps[at].start < uint64(p)*perPrefix {
			at++
		}
		x.parts[p] = int32(at)
	}
}

// sorted puts the spans in the order of build: by first, the wider before the
// narrower. It calls join for each two that are equal, and keeps the former.
func (x *ranges) sorted(join func(head, route int32)) {
	slices.SortStableFunc(x.list, func(a, b span) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.last, a.last)) })
	kept := x.list[:0]
	for _, s := range x.list {
		if n := len(kept); n > 0 && kept[n-1].first == s.first && kept[n-1].last == s.last {
			join(kept[n-1].route, s.route)
			continue
		}
		kept = append(kept, s)
	}
	x.list = kept
}

// find gives the step at which a number of 15 digits stands, -1 in front of all.
//
// hot: 0 allocs
func (x *ranges) find(n uint64) int {
	p := n / perPrefix
	lo, hi := int(x.parts[p]), int(x.parts[p+1])
	if lo == hi || x.steps[lo].start > n {
		return lo - 1
	}
	// It is the last step in [lo, hi) that does not begin behind n.
	guess, width := lo+int((n-p*perPrefix)*uint64(hi-lo)/perPrefix), 1
	if x.steps[guess].start <= n {
		for lo = guess; lo+width < hi && x.steps[lo+width].start <= n; width *= 2 {
			lo += width
		}
		hi = min(hi, lo+width)
	} else {
		for hi = guess; hi-width > lo && x.steps[hi-width].start > n; width *= 2 {
			hi -= width
		}
		lo = max(lo, hi-width)
	}
	for hi-lo > 1 {
		if mid := int(uint(lo+hi) >> 1); x.steps[mid].start <= n {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// entry gives the route of the very range, -1 for none.
func (x *ranges) entry(subject string) int32 {
	first, last, ok := ParseIMSI(subject)
	if !ok {
		return -1
	}
	i, found := slices.BinarySearchFunc(x.list, span{first: first, last: last}, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.last, a.last))
	})
	if !found {
		return -1
	}
	return x.list[i].route
}
