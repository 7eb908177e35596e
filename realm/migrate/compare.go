package migrate

import (
	"slices"
	"strings"
)

// Ours is what the hub does with a request, in the words of a Decision.
type Ours struct {
	Decision
	// Reason is why it is not forwarded, a word of the hub's closed set.
	Reason string
	// Malformed says that the reason is the User-Name itself.
	Malformed bool
}

// The rules by which a decision of the hub may be another one.
const (
	// RuleLocal: what the original answers itself, the hub rejects, or records
	// and does not bill.
	RuleLocal = "local-answer"
	// RuleSilence: where the original says nothing, the hub rejects.
	RuleSilence = "silence-to-reject"
	// RuleMalformed: a name that is no network access identifier is rejected.
	RuleMalformed = "malformed-realm"
	// RuleFilter: what stands in front of the realm is the home's business.
	RuleFilter = "filter-username"
	// RuleHairpin: nothing is sent back to where it came from.
	RuleHairpin = "hairpin"
	// RuleStrip: only what stands behind an @ is taken off a name; where more
	// would have to be, the name is rejected.
	RuleStrip = "strip-in-front"
)

var ruleTexts = map[string]string{
	RuleLocal:     "the original answers by itself; the hub rejects, and records without billing",
	RuleSilence:   "the original says nothing; the hub rejects",
	RuleMalformed: "the name is no network access identifier (RFC 7542) and is rejected",
	RuleFilter:    "what stands in front of the realm is left to the home",
	RuleHairpin:   "a request is not sent back to where it came from",
	RuleStrip:     "the original takes off more than what stands behind the last @; the hub rejects such names",
}

// RuleText says a rule for people.
func RuleText(rule string) string { return ruleTexts[rule] }

// Compare says whether the hub does what the original does with a request.
// Where it does not, rule names the intended difference, "" there is none.
func Compare(q Request, original Decision, ours Ours) (equal bool, rule string) {
	if original.Outcome == Forwarded && ours.Outcome == Forwarded {
		return compareHomes(original, ours)
	}
	if original.Outcome == ours.Outcome {
		return true, ""
	}
	forwarded := ours.Outcome == Forwarded
	switch original.Outcome {
	case Local:
		return false, when(!forwarded, RuleLocal)
	case Silent:
		return false, when(!forwarded, RuleSilence)
	case Rejected:
		if !forwarded {
			return true, "" // accounting that goes nowhere
		}
		return false, when(strings.HasPrefix(original.Why, "filter_username"), RuleFilter)
	}
	switch {
	case ours.Malformed:
		return false, RuleMalformed
	case ours.Reason == "hairpin":
		return false, RuleHairpin
	case ours.Reason == "route_rejects" && stripsMore(q.Name, original.User):
		return false, RuleStrip
	}
	return false, ""
}

func when(is bool, rule string) string {
	if is {
		return rule
	}
	return ""
}

// stripsMore reports whether a User-Name lost something else than its realm
// behind the @.
func stripsMore(name, user string) bool {
	rest := name
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		rest = name[:at]
	}
	return user != name && user != rest
}

func compareHomes(original Decision, ours Ours) (equal bool, rule string) {
	a, b := original.Homes, ours.Homes
	if !original.Ordered || !ours.Ordered {
		a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	}
	a, b = slices.Compact(a), slices.Compact(b)
	if ours.User != original.User {
		return false, ""
	}
	return slices.Equal(a, b), ""
}
