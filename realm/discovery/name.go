package discovery

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/roamgate/roamgate/pkg/nai"
)

const (
	mostName  = 253
	mostLabel = 63
)

// aLabels makes A-labels of U-labels and of nothing else: what would have to be
// mapped first, as capitals and wide forms, could be another's name.
var aLabels = idna.New(idna.ValidateLabels(true), idna.CheckHyphens(true), idna.CheckJoiners(true), idna.BidiRule(), idna.StrictDomainName(true))

// Question is the name that DNS is asked for to find the peers of a realm: in
// A-labels and, with public, for realms of 3GPP networks in the tree of them
// that the public DNS has (GSMA IR.67), never in both. False: there is none
// (RFC 7585 section 3.4.1).
func Question(realm string, public bool) (name string, ok bool) {
	if !utf8.ValidString(realm) {
		return "", false
	}
	name = realm
	if !ascii(name) {
		var err error
		if name, err = aLabels.ToASCII(name); err != nil {
			return "", false
		}
	}
	name = strings.ToLower(name)
	if !hostName(name) || strings.IndexByte(name, '.') < 0 {
		return "", false
	}
	if strings.HasPrefix(name, "xn--") || strings.Contains(name, ".xn--") {
		if _, err := aLabels.ToUnicode(name); err != nil {
			return "", false // no U-label has such an A-label
		}
	}
	if public {
		if other, mobile := nai.PublicName(make([]byte, 0, mostName), []byte(name)); mobile {
			name = string(other)
		}
	}
	return name, len(name) <= mostName
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// hostName reports whether a name, in lower case and without a dot at its end,
// has labels of letters, digits and hyphens alone.
func hostName(name string) bool {
	if len(name) == 0 || len(name) > mostName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !ldh(label) {
			return false
		}
	}
	return true
}

// serviceName is one that may have labels with an underscore in front (RFC 2782).
func serviceName(name string) bool {
	if len(name) == 0 || len(name) > mostName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !ldh(strings.TrimPrefix(label, "_")) || len(label) > mostLabel {
			return false
		}
	}
	return true
}

func ldh(label string) bool {
	n := len(label)
	if n == 0 || n > mostLabel || label[0] == '-' || label[n-1] == '-' {
		return false
	}
	for i := range n {
		c := label[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// folded is a name of a record in lower case and without the dot at its end.
func folded(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
