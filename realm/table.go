package realm

import (
	"bytes"
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
	exact map[string]*Route
	below map[string]*Route // suffix entries without their "*."
	// depths has a bit for each label count that occurs in below, so that
	// the walk asks the map only where an answer is possible: a name of 127
	// labels sent by an attacker costs no more lookups than the operator
	// has depths.
	depths  [2]uint64
	deepest int
	none    *Route
	other   *Route
}

// NewTable indexes routes by their Realm, which must be folded. The slice is
// retained and must not change afterwards. Of routes with equal names the
// first one counts.
func NewTable(routes []Route) *Table {
	t := &Table{
		exact: make(map[string]*Route, len(routes)),
		below: make(map[string]*Route),
	}
	for i := range routes {
		t.add(&routes[i])
	}
	return t
}

func (t *Table) add(r *Route) {
	if suffix, ok := strings.CutPrefix(r.Realm, wildcard); ok {
		t.addSuffix(suffix, r)
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
		if _, taken := t.exact[r.Realm]; !taken {
			t.exact[r.Realm] = r
		}
	}
}

func (t *Table) addSuffix(suffix string, r *Route) {
	depth := strings.Count(suffix, ".") + 1
	if _, taken := t.below[suffix]; taken || depth > maxDepth {
		return
	}
	t.below[suffix] = r
	t.depths[depth>>6] |= 1 << (depth & 63)
	t.deepest = max(t.deepest, depth)
}

// Lookup returns the Route of a realm folded by nai.Fold: the exact entry,
// else the longest suffix entry, else the default, else nil. folded is not
// retained.
//
// hot: 0 allocs
func (t *Table) Lookup(folded []byte) *Route {
	if r := t.exact[string(folded)]; r != nil {
		return r
	}
	if t.deepest > 0 {
		if r := t.suffix(folded); r != nil {
			return r
		}
	}
	return t.other
}

// suffix walks the labels from the right, where all entries are anchored, and
// stops at the deepest one, however long the name is.
func (t *Table) suffix(folded []byte) (found *Route) {
	end := len(folded)
	for depth := 1; depth <= t.deepest; depth++ {
		dot := bytes.LastIndexByte(folded[:end], '.')
		if dot <= 0 { // an empty first label is nothing below the suffix
			break
		}
		if t.depths[depth>>6]&(1<<(depth&63)) != 0 {
			if r := t.below[string(folded[dot+1:])]; r != nil {
				found = r
			}
		}
		end = dot
	}
	return found
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
	n := len(t.exact) + len(t.below)
	if t.none != nil {
		n++
	}
	if t.other != nil {
		n++
	}
	return n
}
