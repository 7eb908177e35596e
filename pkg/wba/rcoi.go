// Package wba reads and writes what the Wireless Broadband Alliance has its
// members say to each other in RADIUS: the roaming consortium of OpenRoaming, the
// attributes with which two networks agree on a clearing house and a rate, and
// why a request was rejected.
//
// It stands below the routing table and the walk, which ask it what an
// attribute means; it decides nothing. Octets come from strangers: every reader
// is bounded and says whether the value has the form it must have. What is read
// is a plain value or borrows from its argument; nothing is kept, nothing but
// String and Text allocates, and all of it is safe for concurrent use.
//
// The identifiers follow the public tools and dictionary of the WBA (vendor
// 14122), HS20-Roaming-Consortium that of the Wi-Fi Alliance (vendor 40808). No
// conformance to the WRIX documents is claimed: they are not public. It does not
// rate (package usage and those behind it) and does not know who is a member.
package wba

import "strings"

// Vendors and their attributes.
const (
	Vendor = 14122

	OfferedService            = 12 // text, the tier that the visited network offers
	FinancialClearingProvider = 13 // text, whose house pays
	DataClearingProvider      = 14 // text, who gets the records; absent: that of FinancialClearingProvider
	LinearVolumeRate          = 15 // a Rate
	IdentityProvider          = 16 // text, the operator that has authenticated
	CustomSLA                 = 17 // an SLA

	VendorWFA         = 40808
	RoamingConsortium = 6 // HS20-Roaming-Consortium, the one that the device has chosen
)

// RCOI is the identifier of a roaming consortium of OpenRoaming: whether the
// visited network is paid, and what it asks of users.
type RCOI struct {
	Settled    bool
	Proofed    bool   // users were identified with enhanced proof
	Tier       Tier   // the least quality of service
	Identified bool   // the user's permanent identity is given
	Type       IDType // whose users
	ShortLived bool   // the credential is
	Rest       uint8  // the bits without a meaning, of the last octet
}

// Bases, and the bits of the octets behind them.
const (
	baseFree    = "\x5a\x03\xba"
	baseSettled = "\xba\xa2\xd0"
	baseLen     = 3
	rcoiLen     = 5

	bitProofed    = 0x80
	maskTier      = 0x60
	shiftTier     = 5
	bitIdentified = 0x10
	maskType      = 0x0f
	bitShortLived = 0x80 // of the last octet
)

// Free and Settled begin the identifiers of the two kinds.
func Free() string { return baseFree }

// Settled begins the identifiers of the settled kind.
func Settled() string { return baseSettled }

// ReadRCOI reads an identifier of three octets, which asks nothing, or of five;
// ok is false for one that is none of OpenRoaming. hot: 0 allocs
func ReadRCOI(b []byte) (r RCOI, ok bool) {
	if len(b) != baseLen && len(b) != rcoiLen {
		return r, false
	}
	switch string(b[:baseLen]) {
	case baseFree:
	case baseSettled:
		r.Settled = true
	default:
		return r, false
	}
	if len(b) == rcoiLen {
		p, q := b[baseLen], b[baseLen+1]
		r.Proofed, r.Identified = p&bitProofed != 0, p&bitIdentified != 0
		r.Tier, r.Type = Tier(p&maskTier>>shiftTier), IDType(p&maskType)
		r.ShortLived, r.Rest = q&bitShortLived != 0, q&^bitShortLived
	}
	return r, true
}

// Octets writes the identifier in five octets.
func (r RCOI) Octets() (b [rcoiLen]byte) {
	copy(b[:], baseFree)
	if r.Settled {
		copy(b[:], baseSettled)
	}
	b[baseLen] = uint8(r.Tier)<<shiftTier&maskTier | uint8(r.Type)&maskType
	if r.Proofed {
		b[baseLen] |= bitProofed
	}
	if r.Identified {
		b[baseLen] |= bitIdentified
	}
	b[baseLen+1] = r.Rest &^ bitShortLived
	if r.ShortLived {
		b[baseLen+1] |= bitShortLived
	}
	return b
}

// String says what the identifier means, for people.
func (r RCOI) String() string {
	words := []string{"OpenRoaming", "settlement-free"}
	if r.Settled {
		words[1] = "settled"
	}
	words = append(words, r.Tier.String(), r.Type.String())
	for _, w := range []struct {
		is   bool
		word string
	}{
		{r.Proofed, "enhanced identity proofing"}, {r.Identified, "permanent identity"},
		{r.ShortLived, "short-lived credential"}, {r.Rest != 0, "bits without a meaning"},
	} {
		if w.is {
			words = append(words, w.word)
		}
	}
	return words[0] + " " + strings.Join(words[1:], ", ")
}

// Tier is a quality of service.
type Tier uint8

// The tiers; the fourth has no name.
const (
	Bronze Tier = iota
	Silver
	Gold
	tiers
)

var tierNames = [tiers]string{"bronze", "silver", "gold"}

// String gives the word of labels and records.
func (t Tier) String() string {
	if t < tiers {
		return tierNames[t]
	}
	return "unknown tier"
}

// ReadTier reads WBA-Offered-Service, or the Filter-Id in which the identity
// provider repeats it: "OpenRoaming Silver". hot: 0 allocs
func ReadTier(v []byte) (Tier, bool) {
	const of = "openroaming "
	if len(v) <= len(of) || !fold(of, v[:len(of)]) {
		return 0, false
	}
	for t, name := range tierNames {
		if fold(name, v[len(of):]) {
			return Tier(t), true
		}
	}
	return 0, false
}

// IDType is what kind of identity provider a network serves.
type IDType uint8

var idTypes = [...]string{
	"any identity", "service providers", "cloud providers", "enterprises", "governments", "automotive",
	"hospitality", "aviation", "education", "cable operators", "manufacturers' IoT", "retail",
}

// String says it for people.
func (t IDType) String() string {
	if int(t) < len(idTypes) {
		return idTypes[t]
	}
	return "unknown identities"
}

// fold compares with lower, which is in lower case, ASCII letters of both cases
// alike.
func fold(lower string, b []byte) bool {
	if len(lower) != len(b) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
