package file

import (
	"hash/maphash"
	"math"
	"strconv"

	"github.com/roamgate/roamgate/realm"
)

// order brings routes with one subject into one order, and gives each a name
// of its own. Nothing is left to the order of files.
func (l *loader) order() {
	if l.ranged {
		l.crossing()
	}
	if !l.special {
		return // NewTable finds names that stand twice by itself
	}
	l.rivals = l.twins()
	for _, list := range l.rivals {
		l.rankTwins(list)
	}
	l.rankExpressions()
	l.labels()
}

// twins returns the routes of each subject that has several, by their indexes.
func (l *loader) twins() [][]int32 {
	routes := l.set.Routes
	size := 4
	for size < 2*len(routes) {
		size *= 2
	}
	slots := make([]int32, size) // index + 1
	seed := maphash.MakeSeed()
	place := make(map[int32]int) // of the first one
	var lists [][]int32
	for i := range routes {
		at := maphash.String(seed, routes[i].Realm) & uint64(size-1)
		for slots[at] != 0 && routes[slots[at]-1].Realm != routes[i].Realm {
			at = (at + 1) & uint64(size-1)
		}
		if slots[at] == 0 {
			slots[at] = int32(i + 1)
			continue
		}
		first := slots[at] - 1
		n, known := place[first]
		if !known {
			n = len(lists)
			place[first] = n
			lists = append(lists, []int32{first})
		}
		lists[n] = append(lists[n], int32(i))
	}
	return lists
}

// rankTwins judges the routes of one subject. The one without a condition
// comes last.
func (l *loader) rankTwins(list []int32) {
	var plain *realm.Route
	ranks := make(map[int32]*realm.Route, len(list))
	some := 0
	for _, i := range list {
		if conditioned(&l.set.Routes[i]) {
			some++
		}
	}
	for _, i := range list {
		r := &l.set.Routes[i]
		expr := isExpression(r.Realm)
		if !conditioned(r) && plain != nil {
			l.fail(r.Pos, twiceHint(r, plain), "%s is defined twice", subjectName(r.Realm))
			continue
		}
		if !conditioned(r) {
			if plain = r; !expr {
				r.Rank = math.MaxInt32
			}
			continue
		}
		if first, twice := ranks[r.Rank]; twice && !expr {
			l.fail(r.Pos, "first at "+first.Pos.String()+"; the lower rank: is tried first",
				"two routes of %s have rank %d", subjectName(r.Realm), r.Rank)
			continue
		}
		ranks[r.Rank] = r
		if r.Name == "" && (some > 1 || len(list) > some || expr) {
			r.Name = r.Realm + "/" + strconv.Itoa(int(r.Rank))
		}
	}
}

// span is the routes of one entry with several expressions, which need no
// order among themselves.
type span struct{ first, n int32 }

// rankExpressions wants an order where several entries have expressions.
func (l *loader) rankExpressions() {
	ranks := make(map[int32]int32)
	entry := int32(-1) // the first route of the present one
	end := int32(0)
	spans := l.spans
	for i := range l.set.Routes {
		r := &l.set.Routes[i]
		if !isExpression(r.Realm) {
			continue
		}
		at := int32(i)
		if len(spans) > 0 && at >= spans[0].first {
			entry, end = at, spans[0].first+spans[0].n
			spans = spans[1:]
		} else if at >= end {
			entry = at
		}
		first, twice := ranks[r.Rank]
		switch {
		case !twice:
			ranks[r.Rank] = entry
		case first != entry:
			l.fail(r.Pos, "first at "+l.set.Routes[first].Pos.String()+"; expressions are tried in the order of rank:, which each has for itself",
				"two expressions have rank %d", r.Rank)
		}
	}
}

// labels refuses two routes with one name.
func (l *loader) labels() {
	seen := make(map[string]*realm.Route)
	for i := range l.set.Routes {
		r := &l.set.Routes[i]
		if r.Name == "" {
			continue
		}
		if first, twice := seen[r.Name]; twice {
			if first.Realm != r.Realm || first.Rank != r.Rank { // else their ranks have been refused
				l.fail(r.Pos, "first at "+first.Pos.String(), "two routes are called %s", quote(r.Name))
			}
			continue
		}
		seen[r.Name] = r
	}
	for i := range l.set.Routes {
		r := &l.set.Routes[i]
		if r.Name != "" {
			continue
		}
		if named, twice := seen[r.Realm]; twice {
			l.fail(named.Pos, "the realm stands at "+r.Pos.String(), "the name %s is that of another route", quote(named.Name))
			delete(seen, r.Realm)
		}
	}
}
