package realm

import (
	"slices"
	"strings"
)

// Names is a list of realms: exact names and, as "*.suffix", all below one. A
// nil list stands for all realms.
type Names struct {
	list  []string
	table *Table
}

// NewNames makes a list of folded names.
func NewNames(list []string) *Names {
	routes := make([]Route, len(list))
	for i, name := range list {
		routes[i] = Route{Realm: strings.Clone(name)}
	}
	return &Names{list: slices.Clone(list), table: NewTable(routes)}
}

// Allow reports whether a folded realm is in the list; nil stands for no realm,
// which is called "none".
//
// hot: 0 allocs
func (n *Names) Allow(folded []byte) bool {
	switch {
	case n == nil:
		return true
	case folded == nil:
		return n.table.None() != nil
	}
	return n.table.Lookup(folded) != nil
}

// List returns the names as NewNames had them. It must not be changed.
func (n *Names) List() []string {
	if n == nil {
		return nil
	}
	return n.list
}
