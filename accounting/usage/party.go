package usage

import (
	"strings"

	"github.com/roamgate/roamgate/pkg/nai"
)

// Namespaces of Operator-Name: its first octet (RFC 5580 section 4.1; WBAID
// was registered later).
const (
	spaceTADIG = '0'
	spaceRealm = '1'
	spaceE212  = '2'
	spaceICC   = '3'
	spaceWBAID = '4'
)

// ParseOperator reads an Operator-Name with its namespace. What does not have
// the form of its namespace is no operator: the name was written by whoever
// sent the packet.
func ParseOperator(name string) (p Party, ok bool) {
	if len(name) < 2 || len(name) > nai.MaxLen {
		return p, false
	}
	v := name[1:]
	switch name[0] {
	case spaceTADIG:
		p.TADIG = strings.ToUpper(v)
		return p, len(v) == 5 && alphanumeric(v)
	case spaceRealm:
		p.Realm, ok = foldRealm(v)
		return p, ok
	case spaceE212:
		p.E212 = v
		return p, (len(v) == 5 || len(v) == 6) && strings.Trim(v, "0123456789") == ""
	case spaceICC: // country of three letters, carrier of one to six
		p.ICC = strings.ToUpper(v)
		return p, len(v) >= 4 && len(v) <= 9 && alphanumeric(v)
	case spaceWBAID:
		id, country, has := strings.Cut(v, ":")
		p.WBAID = id
		p.Country = countryOf(country)
		return p, wbaName(id) && (!has || p.Country != "")
	}
	return p, false
}

// visited is the visited network of a report: the operator its client is
// configured as, and only where there is none what the packet claims.
func visited(r *Report) Party {
	p, ok := ParseOperator(r.Operator)
	if r.Operator == "" {
		p, ok = ParseOperator(r.OperatorName)
	}
	if !ok {
		p = Party{}
	}
	if c := countryOf(r.Country); c != "" {
		p.Country = c
	}
	return p
}

// home is the home network of a report: the realm it was routed by, and the
// mobile network that a realm of 3GPP TS 23.003 section 19 names. Such a
// realm has network codes of two digits with a zero in front; where the
// packet says how many there are (3GPP-IMSI-MCC-MNC), that counts.
func home(r *Report) Party {
	p := Party{Realm: r.Realm}
	if mcc, mnc, ok := nai.PLMN([]byte(r.Realm)); ok {
		p.E212 = string(mcc[:]) + string(mnc[:])
		if h := r.HomePLMN; len(h) == 5 && h[:3]+"0"+h[3:] == p.E212 {
			p.E212 = h
		}
	}
	return p
}

// country is where the device was: what the packet's location says, else what
// the client is configured with.
func (r *Report) country() string {
	if c := countryOf(r.Location.Country); c != "" {
		return c
	}
	return countryOf(r.Country)
}

// countryOf gives a country code of two letters in capitals, else "". It does
// not know which of them exist.
func countryOf(s string) string {
	if len(s) != 2 {
		return ""
	}
	s = strings.ToUpper(s)
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return ""
		}
	}
	return s
}

func foldRealm(s string) (string, bool) {
	var fold [nai.MaxLen]byte
	at := append([]byte{'@'}, s...)
	_, realm, why := nai.Split(at)
	if why != nai.OK || len(realm) == 0 {
		return "", false
	}
	return string(nai.Fold(&fold, realm)), true
}

func alphanumeric(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != ""
}

// wbaName says whether s is an identity of the WBA: labels with dots, the sub
// identities in front.
func wbaName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !alphanumeric(strings.Map(func(r rune) rune {
			if r == '-' || r == '_' {
				return '0'
			}
			return r
		}, label)) {
			return false
		}
	}
	return true
}
