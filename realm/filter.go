package realm

import (
	"regexp"
	"slices"

	"github.com/roamgate/roamgate/pkg/radius"
)

// Filter is what becomes of the attributes of packets in one direction: rules
// that are applied in their order.
type Filter struct {
	Name  string
	Rules []Rule
	Pos   Pos
}

// Equal reports whether two filters do the same. Positions do not count.
func (f *Filter) Equal(g *Filter) bool {
	if f == nil || g == nil {
		return f == g
	}
	return f.Name == g.Name && slices.EqualFunc(f.Rules, g.Rules, func(a, b Rule) bool { return a.Text == b.Text })
}

// Action is what a Rule does.
type Action uint8

const (
	FilterRemove     Action = iota // the attributes that it names
	FilterKeep                     // removes all but those that it names and what the protocol needs
	FilterReplace                  // a value that the expression matches becomes the text, as a whole
	FilterSet                      // removes the attribute and adds it with the value
	FilterSupplement               // adds the attribute where there is none
	FilterAdd                      // adds the attribute
	FilterLocation                 // bounds how exact a location is
)

// Rule is one step of a Filter.
type Rule struct {
	Action     Action
	On         Codes       // in which packets, 0: in all
	Attributes []Attribute // several for FilterRemove and FilterKeep, else one
	Match      *regexp.Regexp
	With       string // what a matching value becomes: $1 is the first group
	Value      []Part
	Location   Location
	Text       string // the rule for people; equal texts are equal rules
	Pos        Pos
}

// Codes is a set of packet codes.
type Codes uint64

// CodesOf makes a set.
func CodesOf(codes ...radius.Code) (c Codes) {
	for _, code := range codes {
		c |= 1 << code
	}
	return c
}

// Has reports whether a rule for the set is for packets of the code.
//
// hot: 0 allocs
func (c Codes) Has(code radius.Code) bool { return c == 0 || c>>(code&63)&1 != 0 }

// Place says where in a packet an Attribute stands.
type Place uint8

const (
	PlacePlain          Place = iota // attributes of the type
	PlaceVendor                      // Vendor-Specific attributes of the vendor, as a whole
	PlaceVendorSub                   // sub-attributes of the vendor
	PlaceExtended                    // Sub of an extended attribute (RFC 6929 sections 2.1 and 2.2)
	PlaceExtendedVendor              // Sub of a vendor in an extended attribute (RFC 6929 section 2.3)
)

// Attribute names attributes of a packet.
type Attribute struct {
	Name   string // for people
	Place  Place
	Type   radius.Type
	Vendor uint32
	Sub    uint8
}

// Part is a piece of a value: octets, or what a variable stands for.
type Part struct {
	Octets   []byte
	Variable Variable // NoVariable: Octets
}

// Variable is what the hub knows of a packet beside its attributes. A value
// with a variable that is not known is not added.
type Variable uint8

const (
	NoVariable     Variable = iota
	VarClient               // name of the client
	VarSource               // IP address that the request came from
	VarCertificate          // name in the client's certificate; none over UDP
	VarOperator             // name of the client's operator
	VarOperatorID           // the same with its namespace digit, as Operator-Name has it
	VarCountry              // of the client, ISO 3166-1 alpha-2
	VarRealm                // of the User-Name, folded
	VarHome                 // name of the home
	NumVariables
)

var variableNames = [NumVariables]string{
	VarClient: "client", VarSource: "source", VarCertificate: "certificate", VarOperator: "operator",
	VarOperatorID: "operator_id", VarCountry: "country", VarRealm: "realm", VarHome: "home",
}

// String is the word between the braces.
func (v Variable) String() string { return variableNames[v] }

// Location says how exact the location in a packet may be (RFC 5580 and the
// vendors' attributes for it).
type Location uint8

const (
	LocationCarry   Location = iota // as it is, within the rules that came with it
	LocationCoarse                  // the state or region, or some ten kilometres
	LocationCountry                 // the country
	LocationStrip                   // none
)

// Rewrite is what becomes of a User-Name toward the home. It is undone in the
// reply, and nothing of it is seen by the client.
type Rewrite struct {
	Realm string // takes the place of the realm, "": it stays
	Strip bool   // only the user is sent on
}
