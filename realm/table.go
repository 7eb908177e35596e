package realm

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
)

// The names of the two entries of a table that are not names of realms.
const (
	NameNone    = "none"    // a NAI without a realm
	NameDefault = "default" // a realm that nothing else matches
	wildcard    = "*."      // prefix of a suffix entry
)

// maxDepth bounds the labels of a suffix entry that the walk can see. A name
// of 253 octets has at most 127 labels.
const maxDepth = 127

// Table finds the Route of a request. It is immutable and safe for concurrent
// use; the zero Table has no routes.
type Table struct {
	routes []Route
	exact  index
	below  index // suffix entries without their "*."
	// depths and lengths have a bit for each count of labels and of octets
	// that occurs in below, so that the walk asks the index only where an
	// answer is possible: a name of 127 labels sent by an attacker costs no
	// more look-ups than the operator has depths.
	depths  [2]uint64
	lengths [4]uint64
	longest int
	imsi    ranges
	plmn    networks
	exprs   []expression // by rank
	none    last
	other   last
	rivals  [][]int32        // rows of routes of one subject, in the order of trial
	named   map[string]int32 // routes that have a Name
	n       int
	// narrow is set where a look-up by realm alone does not find every route,
	// judged has a bit for each route that is not all there is to its subject:
	// the routes themselves lie far apart in memory. Both are by protocol.
	narrow [protocols]bool
	judged [protocols][]uint64
}

// The protocols that requests are of.
const (
	ofRADIUS = iota
	ofDiameter
	protocols
)

// NewTable indexes routes by their Realm, which must be folded. The slice is
// retained and must not change afterwards. Of routes with equal subjects those
// for a part of its requests come first, by rank; of those for all of them only
// the first counts. What is no subject is not found.
func NewTable(routes []Route) *Table {
	var names [2]int
	for i := range routes {
		switch routes[i].Tier() {
		case TierExact:
			names[0]++
		case TierSuffix:
			names[1]++
		}
	}
	t := &Table{routes: routes, exact: newIndex(routes, names[0]), below: newIndex(routes, names[1])}
	for p := range t.judged {
		t.judged[p] = make([]uint64, len(routes)/64+1)
	}
	for i := range routes {
		t.add(int32(i))
	}
	t.imsi.sorted(func(head, i int32) {
		if !t.join(head, i) {
			t.n--
		}
	})
	t.imsi.build()
	slices.SortStableFunc(t.exprs, func(a, b expression) int { return cmp.Compare(t.rank(a.route), t.rank(b.route)) })
	for _, row := range t.rivals {
		slices.SortStableFunc(row, func(a, b int32) int { return byRank(&routes[a], &routes[b]) })
	}
	for p := range t.narrow {
		t.narrow[p] = t.narrow[p] || t.imsi.n > 0 || t.plmn.n > 0 || len(t.exprs) > 0
	}
	return t
}

// rank is the place of an expression among the others: the lowest rank of its
// routes, whether they are for all requests or for some.
func (t *Table) rank(head int32) int32 {
	r := &t.routes[head]
	if r.rivals == 0 {
		return r.Rank
	}
	lowest := r.Rank
	for _, i := range t.rivals[r.rivals-1] {
		lowest = min(lowest, t.routes[i].Rank)
	}
	return lowest
}

// byRank orders routes of one subject: those for all its requests come last.
func byRank(a, b *Route) int {
	if a.narrow() != b.narrow() {
		if a.narrow() {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.Rank, b.Rank)
}

// narrow reports whether the route is for a part of the requests of its subject.
func (r *Route) narrow() bool { return r.When != nil || r.For != nil }

func (t *Table) add(i int32) {
	r := &t.routes[i]
	r.rivals = 0
	head := t.place(r, i)
	switch {
	case head < 0:
		return
	case head != i && !t.join(head, i):
		return
	}
	t.n++
	t.judge(i, ofRADIUS, r.narrow() || !r.RADIUS())
	t.judge(i, ofDiameter, r.narrow() || r.Diameter == nil)
	if r.Name != "" {
		if t.named == nil {
			t.named = make(map[string]int32)
		}
		t.named[r.Name] = i
	}
}

// place keeps a route under its subject and gives the number of the route by
// which that is found, -1 if it never is.
func (t *Table) place(r *Route, i int32) int32 {
	switch r.Tier() {
	case TierIMSI:
		return t.imsi.add(r.Realm, i)
	case TierSuffix:
		return t.addSuffix(r.Realm[len(wildcard):], i)
	case TierPLMN:
		return t.plmn.add(r.Realm, i)
	case TierExpression:
		return t.addExpression(r, i)
	case TierNone:
		return t.none.add(r, i)
	case TierDefault:
		return t.other.add(r, i)
	}
	return t.exact.add(r.Realm, i)
}

// last is a route without a name to be found by.
type last struct {
	route  *Route
	number int32
}

func (place *last) add(r *Route, i int32) int32 {
	if place.route == nil {
		*place = last{r, i}
	}
	return place.number
}

// join puts a route beside head, which has its subject. A second one for all
// requests is never asked.
func (t *Table) join(head, i int32) bool {
	h := &t.routes[head]
	if h.rivals == 0 {
		t.rivals = append(t.rivals, []int32{head})
		h.rivals = int32(len(t.rivals))
	}
	row := &t.rivals[h.rivals-1]
	if !t.routes[i].narrow() && slices.ContainsFunc(*row, func(j int32) bool { return !t.routes[j].narrow() }) {
		return false
	}
	*row = append(*row, i)
	t.judge(head, ofRADIUS, true)
	t.judge(head, ofDiameter, true)
	return true
}

// judge notes that a route does not take all requests of a protocol.
func (t *Table) judge(i int32, protocol int, narrow bool) {
	if narrow {
		t.narrow[protocol] = true
		t.judged[protocol][i>>6] |= 1 << (i & 63)
	}
}

func (t *Table) addSuffix(suffix string, i int32) int32 {
	depth := strings.Count(suffix, ".") + 1
	if depth > maxDepth || len(suffix) > maxNamed {
		return -1
	}
	head := t.below.add(suffix, i)
	t.depths[depth>>6] |= 1 << (depth & 63)
	t.lengths[len(suffix)>>6] |= 1 << (len(suffix) & 63)
	t.longest = max(t.longest, len(suffix))
	return head
}

// Lookup returns the Route by which a realm folded by nai.Fold is found where
// nothing but its name counts: the exact entry, else the longest suffix entry,
// else the default, else nil. Of several routes of that subject it is any. folded
// is not retained.
//
// hot: 0 allocs
func (t *Table) Lookup(folded []byte) *Route {
	if i := t.exact.find(folded); i >= 0 {
		return &t.routes[i]
	}
	if t.longest > 0 {
		if i, _ := t.suffix(folded); i >= 0 {
			return &t.routes[i]
		}
	}
	return t.other.route
}

// suffix tries the ends of the name that begin behind a dot, the longest
// first. The first octet is left out: an empty label is nothing below a suffix.
// name is the end that was found.
func (t *Table) suffix(folded []byte) (i int32, name []byte) {
	if len(folded) == 0 {
		return -1, nil
	}
	end := folded[1:]
	if over := len(end) - 1 - t.longest; over > 0 {
		end = end[over:]
	}
	marks := dots(end)
	depth := 0
	for _, m := range marks {
		depth += bits.OnesCount64(m)
	}
	for word, m := range marks {
		for ; m != 0; m &= m - 1 {
			name := end[word<<6+bits.TrailingZeros64(m)+1:]
			if depth <= maxDepth && t.depths[depth>>6]&(1<<(depth&63)) != 0 &&
				t.lengths[len(name)>>6]&(1<<(len(name)&63)) != 0 {
				if i := t.below.find(name); i >= 0 {
					return i, name
				}
			}
			depth--
		}
	}
	return -1, nil
}

// dots has a bit for each octet of b, 256 at most, that is a dot.
func dots(b []byte) (m [4]uint64) {
	const (
		each = 0x0101010101010101
		low7 = 0x7f * each
		join = 0x0102040810204080 // brings the lowest bits of eight octets into the highest octet
	)
	at := 0
	for ; at+8 <= len(b); at += 8 {
		v := binary.LittleEndian.Uint64(b[at:]) ^ '.'*each
		zero := ^(v&low7 + low7 | v | low7) // the highest bit of octets that are 0
		m[at>>6] |= zero >> 7 * join >> 56 << (at & 63)
	}
	for ; at < len(b); at++ {
		if b[at] == '.' {
			m[at>>6] |= 1 << (at & 63)
		}
	}
	return m
}

// Entry returns the Route that bears this very subject, as its Realm has it, and
// is for all its requests, or the first of several: nothing stands below a suffix
// entry here and nothing falls to the default.
func (t *Table) Entry(subject string) *Route {
	i := int32(-1)
	switch tierOf(subject) {
	case TierNone:
		return t.none.route
	case TierDefault:
		return t.other.route
	case TierSuffix:
		i = t.below.find([]byte(subject[len(wildcard):]))
	case TierIMSI:
		i = t.imsi.entry(subject)
	case TierPLMN:
		i = t.plmn.entry(subject)
	case TierExpression:
		i = t.expression(subject)
	default:
		i = t.exact.find([]byte(subject))
	}
	if i < 0 {
		return nil
	}
	return &t.routes[i]
}

// Labelled returns the Route with this Label, nil if there is none.
func (t *Table) Labelled(label string) *Route {
	if i, ok := t.named[label]; ok {
		return &t.routes[i]
	}
	r := t.Entry(label)
	if r == nil || r.Name == "" {
		return r
	}
	if r.rivals > 0 {
		for _, i := range t.rivals[r.rivals-1] {
			if t.routes[i].Name == "" {
				return &t.routes[i]
			}
		}
	}
	return nil
}

// None returns the Route of a NAI without a realm, nil if there is none.
//
// hot: 0 allocs
func (t *Table) None() *Route { return t.none.route }

// Default returns the Route of realms that nothing else matches, nil if there
// is none.
func (t *Table) Default() *Route { return t.other.route }

// Len returns the number of routes in the table.
func (t *Table) Len() int { return t.n }
