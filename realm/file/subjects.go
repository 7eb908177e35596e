package file

import (
	"errors"
	"regexp/syntax"
	"strings"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
)

// What stands in front of a subject that is no name of a realm.
const (
	prefixIMSI  = realm.SubjectIMSI
	prefixPLMN  = realm.SubjectPLMN
	prefixRealm = realm.SubjectRealmRegexp
	prefixName  = realm.SubjectNameRegexp
)

// subjects are the values of one key of an entry that become subjects.
type subjects struct {
	key    string
	prefix string
	list   []at[string]
}

// subjectsOf returns what an entry matches: one kind of it.
func (l *loader) subjectsOf(e *realmEntry) subjects {
	one := subjects{key: "realm", list: e.Realm}
	if len(one.list) > 0 && e.IMSI == nil && e.PLMN == nil && e.RealmRegexp == nil && e.NameRegexp == nil {
		return one // as nearly all have
	}
	for _, s := range []subjects{
		{"imsi", prefixIMSI, e.IMSI}, {"plmn", prefixPLMN, e.PLMN},
		{"realm_regexp", prefixRealm, e.RealmRegexp}, {"name_regexp", prefixName, e.NameRegexp},
	} {
		if len(s.list) > 0 && len(one.list) > 0 {
			l.fail(s.list[0].pos(e.Pos.File), "write two entries", "an entry has %s or %s, not both", one.key, s.key)
			return subjects{}
		}
		if len(s.list) > 0 {
			one = s
		}
	}
	if len(one.list) == 0 {
		l.fail(e.Pos, "a name, a list of names, none or default; or imsi, plmn, realm_regexp, name_regexp", "realm is missing")
	}
	return one
}

// subject reads one value.
func (l *loader) subject(s *subjects, value string) (subject, text, hint string) {
	switch s.prefix {
	case prefixIMSI:
		return imsiRange(value)
	case prefixPLMN:
		return plmn(value)
	case prefixRealm, prefixName:
		return expression(value)
	}
	return l.foldRealm(value)
}

const (
	imsiDigits = 15
	minIMSI    = 5 // the shortest of a network
)

// imsiRange reads the digits that IMSIs begin with, or the first and the last
// of a range. The same IMSIs come out as the same text.
func imsiRange(s string) (subject, text, hint string) {
	const how = "26201, 262011234567890 or 262011230000000-262011239999999"
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	switch {
	case first == "" || last == "" || !allDigits(first) || !allDigits(last):
		return "", "is no IMSI and no range of them", how
	case len(first) < minIMSI || len(last) < minIMSI:
		return "", "is too short for IMSIs of one network", "plmn: takes all of a network or a country"
	case len(first) > imsiDigits || len(last) > imsiDigits:
		return "", "is longer than the 15 digits of an IMSI", how
	case len(first) != len(last):
		return "", "is no range: the numbers have different lengths", how
	case first > last:
		return "", "is reversed", "the lower first"
	case !isRange:
		return first, "", ""
	}
	first += "000000000000000"[len(first):]
	last += "999999999999999"[len(last):]
	for i := range imsiDigits { // all that begin alike?
		if first[i] != last[i] {
			if strings.Trim(first[i:], "0") == "" && strings.Trim(last[i:], "9") == "" && i >= minIMSI {
				return first[:i], "", ""
			}
			return first + "-" + last, "", ""
		}
	}
	return first, "", ""
}

// plmn reads a network, or the code of a country.
func plmn(s string) (subject, text, hint string) {
	const how = "262-01, 26201, or 262 for a whole country"
	mcc, mnc, dashed := strings.Cut(s, "-")
	if !dashed && len(s) > 3 {
		mcc, mnc = s[:3], s[3:]
	}
	switch {
	case len(mcc) != 3 || !allDigits(mcc) || !allDigits(mnc) || dashed && mnc == "":
		return "", "is no network", how
	case !nai.IsMCC(mcc):
		return "", "begins with no country code (ITU-T E.212)", how
	case mnc == "":
		return mcc, "", ""
	case len(mnc) < 2 || len(mnc) > 3:
		return "", "is no network: its code has two or three digits", how
	}
	switch n := nai.MNCLen(mcc); {
	case n > 0 && len(mnc) != n:
		return "", "is no network: codes have " + [...]string{2: "two", 3: "three"}[n] + " digits there", "such as " + mcc + "-" + "001"[3-n:]
	case n == 0 && len(mnc) == 3 && mnc[0] == '0':
		mnc = mnc[1:] // a realm does not tell them apart
	}
	return mcc + "-" + mnc, "", ""
}

const maxExpression = 1024

// expression checks a regular expression. Its cost grows with the name alone,
// so only its size is to be feared.
func expression(s string) (subject, text, hint string) {
	if s == "" {
		return "", "is empty", "default takes what nothing else matches"
	}
	if len(s) > maxExpression {
		return "", "is longer than 1024 octets", "several entries, each with its rank"
	}
	if _, err := realm.CompileExpression(s); err != nil {
		return "", expressionText(err), expressionHint(err, s)
	}
	return s, "", ""
}

// expressionText is the error without the expression, which is quoted already.
func expressionText(err error) string {
	if e := (*syntax.Error)(nil); errors.As(err, &e) {
		return "is no regular expression: " + string(e.Code)
	}
	return err.Error()
}

func expressionHint(err error, s string) string {
	e := (*syntax.Error)(nil)
	if !errors.As(err, &e) {
		return "a counted repetition inside another multiplies; count less"
	}
	switch e.Code {
	case syntax.ErrInvalidRepeatSize, syntax.ErrLarge, syntax.ErrNestingDepth:
		return "a counted repetition inside another multiplies; count less"
	case syntax.ErrInvalidPerlOp:
		return "RE2 has no look-around: match what there is"
	case syntax.ErrInvalidEscape:
		if strings.ContainsAny(e.Expr, "123456789") {
			return "RE2 has no back references"
		}
		return "a dot is \\., an at sign needs nothing"
	case syntax.ErrMissingRepeatArgument:
		if strings.HasPrefix(s, "*") {
			return `all below a realm are realm: "*.suffix", any text is .*`
		}
	}
	return "the syntax is that of RE2"
}

// isExpression reports whether a subject is a regular expression.
func isExpression(subject string) bool {
	return strings.HasPrefix(subject, prefixRealm) || strings.HasPrefix(subject, prefixName)
}

// subjectName says a subject in the words of the files.
func subjectName(subject string) string {
	for prefix, key := range map[string]string{prefixIMSI: "imsi", prefixPLMN: "plmn", prefixRealm: "realm_regexp", prefixName: "name_regexp"} {
		if rest, ok := strings.CutPrefix(subject, prefix); ok {
			return key + " " + quote(rest)
		}
	}
	return "realm " + quote(subject)
}

// conditioned reports whether a route takes only some of what its subject
// matches.
func conditioned(r *realm.Route) bool { return r.When != nil || r.For != nil }
