package realm

import "slices"

// GroupKind is what a group of peers is to the hub.
type GroupKind uint8

const (
	Visited    GroupKind = iota // networks under contract with the hub's operator
	Own                         // networks of the hub's operator
	Federation                  // others' hubs: their peers are not ours
)

// String gives the word of the routing files.
func (k GroupKind) String() string {
	return [...]string{Visited: "visited", Own: "own", Federation: "federation"}[k]
}

// Group is a number of clients and homes that are treated alike.
type Group struct {
	Name       string
	Kind       GroupKind
	Consortium Consortium
	Terms      Terms // of the consortium
	Pos        Pos
}

// Scope is a choice of groups.
type Scope struct{ Groups []*Group }

// Has reports whether a client of the group, nil for one without, is in the
// scope. A nil Scope has all.
//
// hot: 0 allocs
func (s *Scope) Has(g *Group) bool { return s == nil || slices.Contains(s.Groups, g) }

// Contract lets requests pass from one federation to another, which is denied
// otherwise: whoever sends both ways through a hub would else be lent its
// agreements (RFC 2607 section 4).
type Contract struct {
	From, To *Group
	Realms   *Names // nil: all
	Pos      Pos
}

// Transit finds the contract that lets a request for a folded realm pass from
// a client of one group to a home of another. needed is false where none is,
// since one of them is no federation. A federation that gets its own requests
// back needs one too: its members would else reach each other by our agreement.
//
// hot: 0 allocs
func (s *Set) Transit(from, to *Group, folded []byte) (c *Contract, needed bool) {
	if from == nil || to == nil || from.Kind != Federation || to.Kind != Federation {
		return nil, false
	}
	for i := range s.Contracts {
		c := &s.Contracts[i]
		if c.From == from && c.To == to && c.Realms.Allow(folded) {
			return c, true
		}
	}
	return nil, true
}

// OperatorMode says what the hub does with Operator-Name (RFC 5580 section
// 4.1) in the requests of a client.
type OperatorMode uint8

const (
	OperatorPass  OperatorMode = iota // leaves it as it is
	OperatorStamp                     // adds the client's where there is none
	OperatorCheck                     // stamps, and refuses another than the client's or one reached through it
)

// String gives the word of the routing files.
func (m OperatorMode) String() string {
	return [...]string{OperatorPass: "pass", OperatorStamp: "stamp", OperatorCheck: "check"}[m]
}

// Identity is what the hub takes for a network access identifier, beside
// user@realm of at least two labels, and which realms are its own.
type Identity struct {
	ManyAt    bool // the last @ counts
	Backslash bool // a Windows domain in front is part of the user
	OneLabel  bool // a realm without a dot is a realm
	// Own are the hub's own realms, folded: a decorated name in one of them
	// is sent to the next realm of its source route (RFC 7542 section 3.3.1).
	Own *Names
}

// Loops bounds how far a request may travel.
type Loops struct {
	// MaxProxyStates is the number of Proxy-States at which a request has
	// been through too many hops; 0: 32.
	MaxProxyStates int
	// Hop, unless its Type is 0, is the attribute with the number of hops
	// that are left; it is lowered by one, and refused at zero. Where a
	// request has none it gets Hops, unless that is 0.
	Hop  HopAttribute
	Hops uint32
}

// HopAttribute is where the number of hops stands: an attribute of four
// octets, or, with a Vendor, a sub-attribute.
type HopAttribute struct {
	Type   uint8
	Vendor uint32
	Sub    uint8
}
