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
	Tagged bool // its value may begin with a tag (RFC 2868 section 3.1)
}

// same reports whether two names mean the same attributes.
func (a Attribute) same(b Attribute) bool {
	return a.Place == b.Place && a.Type == b.Type && a.Vendor == b.Vendor && a.Sub == b.Sub
}

// long reports whether the attribute may come in fragments (RFC 6929 section
// 2.2).
func (a Attribute) long() bool { return a.Type == 245 || a.Type == 246 }

// Check says why a rule must not be, "" where it may.
func (r *Rule) Check() (text, hint string) {
	for i := range r.Attributes {
		if text, hint = r.check(&r.Attributes[i]); text != "" {
			return text, hint
		}
	}
	return "", ""
}

func (r *Rule) check(a *Attribute) (text, hint string) {
	writes := r.Action == FilterReplace || r.Action == FilterSet || r.Action == FilterSupplement || r.Action == FilterAdd
	container := a.Place == PlacePlain && (a.Type == radius.VendorSpecific || a.Type >= radius.ExtendedAttribute1 && a.Type <= 246)
	switch {
	case a.Place == PlacePlain && r.Action != FilterKeep && untouchable.Has(a.Type):
		return a.Name + " is the protocol's own: no rule may touch it", "remove it from the rule"
	case writes && hides(a):
		return a.Name + " is hidden under a secret: it can be removed, not written", ""
	case writes && container:
		return a.Name + " holds other attributes", "name the one inside, such as WISPr-Location-Name, 26.14122.2 or 241.8"
	case writes && a.Place == PlaceVendor:
		return a.Name + " are all attributes of a vendor", "name one of them, such as WISPr-Location-Name or 26.14122.2"
	case r.Action == FilterReplace && a.long():
		return a.Name + " may come in fragments: its value cannot be replaced in place", "use set"
	case r.Action == FilterRemove && a.Place == PlacePlain && a.Type == radius.UserName && r.On.Has(radius.AccessRequest):
		return "an Access-Request without User-Name goes nowhere", "say on: [access-accept] or replace the User-Name"
	case r.Action == FilterRemove && a.Place == PlacePlain && inAccounting.Has(a.Type) && r.On.Has(radius.AccountingRequest):
		return "an Accounting-Request without " + a.Name + " is no record", "leave accounting-request out of on:"
	}
	return "", ""
}

// Contradicts says why a rule and a later one of the same filter make no sense
// together, "" where they do.
func (r *Rule) Contradicts(later *Rule) string {
	if r.On != 0 && later.On != 0 && r.On&later.On == 0 {
		return ""
	}
	if r.Action == FilterLocation && later.Action == FilterLocation {
		return "location stands in two rules"
	}
	for i := range r.Attributes {
		a := &r.Attributes[i]
		gone := later.removes(a)
		switch r.Action {
		case FilterSet, FilterSupplement, FilterAdd, FilterReplace:
			if gone {
				return "an earlier rule writes " + a.Name + ", this one takes it out"
			}
		case FilterKeep:
			if gone && later.Action == FilterRemove {
				return "an earlier rule keeps " + a.Name + ", this one takes it out"
			}
		}
	}
	if later.Action == FilterSupplement && r.Action == FilterSet && !r.mayBeEmpty() && r.Attributes[0].same(later.Attributes[0]) {
		return "an earlier rule sets " + later.Attributes[0].Name + ", so it is never absent here"
	}
	return ""
}

// removes reports whether a rule leaves nothing of an attribute.
func (r *Rule) removes(a *Attribute) bool {
	switch r.Action {
	case FilterRemove, FilterSet:
		return r.names(a)
	case FilterKeep:
		return !r.names(a) && !r.needs(a)
	}
	return false
}

// needs reports whether FilterKeep keeps an attribute in some packet of the
// rule without being told.
func (r *Rule) needs(a *Attribute) bool {
	for _, code := range []radius.Code{radius.AccessRequest, radius.AccessAccept, radius.AccountingRequest} {
		if d := Needed(code); a.Place == PlacePlain && d.Has(a.Type) && r.On.Has(code) {
			return true
		}
	}
	return false
}

// names reports whether an attribute is among those of a rule, or inside one.
func (r *Rule) names(a *Attribute) bool {
	for _, b := range r.Attributes {
		if b.same(*a) || b.Place == PlacePlain && b.Type == a.Type || b.Place == PlaceVendor && a.Type == radius.VendorSpecific && b.Vendor == a.Vendor {
			return true
		}
	}
	return false
}

// mayBeEmpty reports whether a value has a variable, which may not be known.
func (r *Rule) mayBeEmpty() bool {
	return slices.ContainsFunc(r.Value, func(p Part) bool { return p.Variable != NoVariable })
}

// untouchable is what the hub and its neighbours run the protocol with.
var untouchable = typesOf(radius.ProxyState, radius.MessageAuthenticator, radius.EAPMessage, radius.State)

// inAccounting is what a record cannot be without.
var inAccounting = typesOf(radius.AcctStatusType, radius.AcctSessionID)

func typesOf(types ...radius.Type) (d radius.Drop) {
	for _, t := range types {
		d.Set(t)
	}
	return d
}

// Needed are the types that FilterKeep keeps in packets of a code without being
// told: what the protocol runs with, who asks and what proves it, and what
// makes a record one.
func Needed(code radius.Code) radius.Drop {
	d := untouchable
	d.Set(radius.ErrorCause)
	switch code {
	case radius.AccessRequest:
		for _, t := range []radius.Type{radius.UserName, radius.UserPassword, radius.CHAPPassword, radius.CHAPChallenge} {
			d.Set(t)
		}
	case radius.AccountingRequest:
		for _, t := range []radius.Type{radius.AcctStatusType, radius.AcctSessionID} {
			d.Set(t)
		}
	}
	return d
}

// hides reports whether a value is hidden, or proves a password.
func hides(a *Attribute) bool {
	switch a.Place {
	case PlacePlain:
		switch a.Type {
		case radius.UserPassword, radius.CHAPPassword, radius.CHAPChallenge, radius.TunnelPassword:
			return true
		}
	case PlaceVendorSub:
		return a.Vendor == radius.VendorMicrosoft &&
			(a.Sub == radius.MSCHAPMPPEKeys || a.Sub == radius.MSMPPESendKey || a.Sub == radius.MSMPPERecvKey)
	}
	return false
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
