package realm

import "strings"

// Tier is how a route recognises its requests. The tiers are asked in this
// order, and the first route that takes the request has it.
type Tier uint8

const (
	TierIMSI       Tier = iota // the subscriber's number; the narrowest range first
	TierExact                  // the realm itself
	TierSuffix                 // a realm above it; the longest first
	TierPLMN                   // the mobile network of a 3GPP realm; with its network code first
	TierExpression             // a regular expression; by rank
	TierNone                   // no realm
	TierDefault                // any realm
	tiers
)

var tierNames = [tiers]string{
	TierIMSI: "imsi", TierExact: "exact", TierSuffix: "suffix", TierPLMN: "plmn",
	TierExpression: "regexp", TierNone: "none", TierDefault: "default",
}

// String gives the word of explanations.
func (t Tier) String() string { return tierNames[t] }

// What a subject begins with that is no name: no realm has these characters.
const (
	SubjectIMSI        = "imsi:"
	SubjectPLMN        = "plmn:"
	SubjectRealmRegexp = "realm~"
	SubjectNameRegexp  = "name~"
)

// Tier says which tier the route is in.
func (r *Route) Tier() Tier { return tierOf(r.Realm) }

func tierOf(subject string) Tier {
	switch {
	case strings.HasPrefix(subject, wildcard):
		return TierSuffix
	case subject == NameNone:
		return TierNone
	case subject == NameDefault:
		return TierDefault
	case strings.IndexByte(subject, ':') < 0 && strings.IndexByte(subject, '~') < 0:
		return TierExact
	case strings.HasPrefix(subject, SubjectIMSI):
		return TierIMSI
	case strings.HasPrefix(subject, SubjectPLMN):
		return TierPLMN
	case strings.HasPrefix(subject, SubjectRealmRegexp), strings.HasPrefix(subject, SubjectNameRegexp):
		return TierExpression
	}
	return TierExact
}
