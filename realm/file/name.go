package file

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
)

const (
	maxName  = 64  // of a client, home or pool
	maxRealm = 252 // what a User-Name can hold behind the @
	maxLabel = 63
	maxText  = 253 // value of one attribute
)

// badName says why a name of a client, home or pool cannot be used. Names
// become labels of metrics and words of commands.
func badName(s string) string {
	if s == "" {
		return "the name is empty"
	}
	if len(s) > maxName {
		return "the name is longer than 64 octets"
	}
	for i := range len(s) {
		if c := s[i]; !isKeyByte(c) && c != '.' {
			return "the name has a character other than letters, digits, dot, dash and underscore"
		}
	}
	return ""
}

// foldRealm checks the realm of a route and folds it for the table. text is
// empty if it is good. folded may borrow from s.
func foldRealm(s string) (folded, text, hint string) {
	if isUsual(s) {
		return s, "", ""
	}
	folded = fold(s)
	if folded == realm.NameNone || folded == realm.NameDefault {
		return folded, "", ""
	}
	name, wild := strings.CutPrefix(folded, "*.")
	switch {
	case name == "":
		return "", "the realm is empty", `write none for a User-Name without a realm`
	case len(folded) > maxRealm:
		return "", "the realm is longer than 252 octets", ""
	case folded == "*":
		return "", "a star alone is no realm", "write default"
	case strings.ContainsAny(name, "~^$\\()[]/|+"):
		return "", "this is no realm", `"*.suffix" is every realm below it; an expression stands under realm_regexp`
	case strings.Contains(name, "*"):
		return "", "a star stands only as the whole first label", `write "*.suffix"`
	case strings.Contains(name, "@"):
		return "", "an @ is no part of a realm", "write only what follows it"
	}
	if text, hint = badLabels(name); text != "" {
		return "", text, hint
	}
	if !wild && !strings.Contains(name, ".") {
		hint = "complete the domain"
		if n := nearest(name, []string{realm.NameNone, realm.NameDefault}); n != "" {
			hint = "did you mean " + n + "?"
		} else if name == "null" || name == "local" {
			hint = "write none for a User-Name without a realm"
		}
		return "", oneLabel, hint
	}
	return folded, "", ""
}

// foldRealm is the function, for a hub to which a realm may have one label.
func (l *loader) foldRealm(s string) (folded, text, hint string) {
	folded, text, hint = foldRealm(s)
	if text == oneLabel && l.oneLabel {
		return fold(s), "", ""
	}
	return folded, text, hint
}

const oneLabel = "a realm has at least two labels (RFC 7542)"

// isHostName reports whether a text can be a name of DNS and no address.
func isHostName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || !strings.Contains(s, ".") || strings.Trim(s, "0123456789.") == "" {
		return false
	}
	text, _ := badHost(s)
	return text == ""
}

// badHost checks a name that is asked for in DNS.
func badHost(name string) (text, hint string) {
	bare := strings.TrimSuffix(name, ".")
	if _, err := netip.ParseAddr(name); err == nil {
		return quote(name) + " is an address", "write address:"
	}
	if bare == "" || len(bare) > 253 {
		return quote(name) + " is no name of DNS", "such as radius.acme.example"
	}
	for label := range strings.SplitSeq(bare, ".") {
		bad := label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-'
		for i := range len(label) {
			bad = bad || !isKeyByte(label[i])
		}
		if bad {
			return quote(name) + " is no name of DNS", "such as radius.acme.example"
		}
	}
	return "", ""
}

// isUsual is the quick look at a name as nearly all are: two labels or more of
// lower-case letters, digits and dashes.
func isUsual(s string) bool {
	if len(s) == 0 || len(s) > maxRealm {
		return false
	}
	label := 0 // where it begins
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case c == '-' && i > label:
		case c == '.' && i > label && i-label <= maxLabel && s[i-1] != '-':
			label = i + 1
		default:
			return false
		}
	}
	return label > 0 && len(s) > label && len(s)-label <= maxLabel && s[len(s)-1] != '-'
}

func badLabels(name string) (text, hint string) {
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return "the realm has an empty label", "remove the dot too many"
		case len(label) > maxLabel:
			return "a label of the realm is longer than 63 octets", ""
		case label[0] == '-' || label[len(label)-1] == '-':
			return "a label of the realm begins or ends with a dash", ""
		}
		for i := 0; i < len(label); {
			c, size := utf8.DecodeRuneInString(label[i:])
			i += size
			switch {
			case c < utf8.RuneSelf && (!isKeyByte(byte(c)) || c == '_'):
				return "the realm has a character that no realm has (RFC 7542)", "letters, digits and dashes"
			case c >= utf8.RuneSelf && !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c):
				return "the realm has a character that no realm has (RFC 7542)", "letters, digits and dashes"
			}
		}
	}
	return "", ""
}

// fold is the fold of pkg/nai, of any length. What its NFC makes longer than
// a User-Name can be stands as it is there, so it does here.
func fold(s string) string {
	var buf [nai.MaxLen]byte
	if lower := foldASCII(s); len(s) > len(buf) || ascii(s) {
		return lower
	}
	return string(nai.Fold(&buf, []byte(s)))
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldASCII writes ASCII letters in lower case.
func foldASCII(s string) string {
	i := 0
	for i < len(s) && (s[i] < 'A' || s[i] > 'Z') {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// badText says why a text cannot stand in an attribute that people read.
func badText(s string) string {
	if len(s) > maxText {
		return "the text is longer than 253 octets"
	}
	for _, c := range s {
		if unicode.IsControl(c) {
			return "the text has a control character"
		}
	}
	return ""
}

// badOperator checks an Operator-Name (RFC 5580 section 4.1): a namespace
// digit, then a name of that space.
func badOperator(s string) (text, hint string) {
	if len(s) < 2 || len(s) > maxText {
		return "an operator has 2 to 253 octets", "such as 1airport.example"
	}
	name := s[1:]
	bad := badText(name) != ""
	for i := range len(name) {
		bad = bad || name[i] <= ' '
	}
	switch s[0] {
	case '0', '3', '4': // TADIG, ICC, WBA
	case '1':
		_, realmText, _ := foldRealm(name)
		bad = bad || realmText != "" || strings.HasPrefix(name, "*")
	case '2':
		bad = bad || len(name) < 5 || len(name) > 6 || strings.Trim(name, "0123456789") != ""
	default:
		return "the operator begins with no namespace digit (RFC 5580)",
			"0 TADIG, 1 realm, 2 MCC and MNC, 3 ICC, 4 WBA: such as 1airport.example"
	}
	if bad {
		return "the operator does not fit its namespace digit (RFC 5580)",
			"0 TADIG, 1 realm, 2 MCC and MNC, 3 ICC, 4 WBA: such as 1airport.example"
	}
	return "", ""
}
