package realm

import (
	"encoding/binary"
	"math/bits"
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

// Table finds the Route of a realm. It is immutable and safe for concurrent
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
	none    *Route
	other   *Route
}

// NewTable indexes routes by their Realm, which must be folded. The slice is
// retained and must not change afterwards. Of routes with equal names the
// first one counts.
func NewTable(routes []Route) *Table {
	suffixes := 0
	for i := range routes {
		if strings.HasPrefix(routes[i].Realm, wildcard) {
			suffixes++
		}
	}
	t := &Table{routes: routes, exact: newIndex(routes, len(routes)-suffixes), below: newIndex(routes, suffixes)}
	for i := range routes {
		t.add(int32(i))
	}
	return t
}

func (t *Table) add(i int32) {
	r := &t.routes[i]
	if suffix, ok := strings.CutPrefix(r.Realm, wildcard); ok {
		t.addSuffix(suffix, i)
		return
	}
	switch r.Realm {
	case NameNone:
		if t.none == nil {
			t.none = r
		}
	case NameDefault:
		if t.other == nil {
			t.other = r
		}
	default:
		t.exact.add(r.Realm, i)
	}
}

func (t *Table) addSuffix(suffix string, i int32) {
	depth := strings.Count(suffix, ".") + 1
	if depth > maxDepth || len(suffix) > maxNamed {
		return
	}
	t.below.add(suffix, i)
	t.depths[depth>>6] |= 1 << (depth & 63)
	t.lengths[len(suffix)>>6] |= 1 << (len(suffix) & 63)
	t.longest = max(t.longest, len(suffix))
}

// Lookup returns the Route of a realm folded by nai.Fold: the exact entry,
// else the longest suffix entry, else the default, else nil. folded is not
// retained.
//
// hot: 0 allocs
func (t *Table) Lookup(folded []byte) *Route {
	if i := t.exact.find(folded); i >= 0 {
		return &t.routes[i]
	}
	if t.longest > 0 {
		if i := t.suffix(folded); i >= 0 {
			return &t.routes[i]
		}
	}
	return t.other
}

// suffix tries the ends of the name that begin behind a dot, the longest
// first. The first octet is left out: an empty label is nothing below a suffix.
func (t *Table) suffix(folded []byte) int32 {
	if len(folded) == 0 {
		return -1
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
					return i
				}
			}
			depth--
		}
	}
	return -1
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

// Entry returns the Route that bears this very name, as its Realm has it:
// nothing stands below a suffix entry here and nothing falls to the default.
func (t *Table) Entry(name string) *Route {
	i := int32(-1)
	suffix, wild := strings.CutPrefix(name, wildcard)
	switch {
	case name == NameNone:
		return t.none
	case name == NameDefault:
		return t.other
	case wild:
		i = t.below.find([]byte(suffix))
	default:
		i = t.exact.find([]byte(name))
	}
	if i < 0 {
		return nil
	}
	return &t.routes[i]
}

// None returns the Route of a NAI without a realm, nil if there is none.
//
// hot: 0 allocs
func (t *Table) None() *Route { return t.none }

// Default returns the Route of realms that nothing else matches, nil if there
// is none.
func (t *Table) Default() *Route { return t.other }

// Len returns the number of routes in the table.
func (t *Table) Len() int {
	n := t.exact.n + t.below.n
	if t.none != nil {
		n++
	}
	if t.other != nil {
		n++
	}
	return n
}
