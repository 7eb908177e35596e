package diameter

import "unicode/utf8"

const (
	maxIdentity = 255
	maxLabel    = 63
)

// nameOctets are those of a host's name. The underscore is none by the book, and
// operators have it all the same.
var nameOctets = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	return t
}()

// ValidIdentity reports whether v is a DiameterIdentity: the name of a host or a
// realm (RFC 6733 section 4.3.1), with no empty label, no dot at its end and nothing
// that a log, a name server or a file could take for something else.
//
// hot: 0 allocs
func ValidIdentity[T ~string | ~[]byte](v T) bool {
	if len(v) == 0 || len(v) > maxIdentity {
		return false
	}
	label := 0
	for i := range len(v) {
		switch c := v[i]; {
		case nameOctets[c]:
			label++
		case c != '.' || label == 0 || label > maxLabel:
			return false
		default:
			label = 0
		}
	}
	return label > 0 && label <= maxLabel
}

// ValidText reports whether v is a UTF8String without control octets: those of a
// Session-Id and of a User-Name would end a name early for whoever counts to a NUL.
//
// hot: 0 allocs
func ValidText(v []byte) bool {
	high := byte(0)
	for _, c := range v {
		if c < ' ' || c == 0x7f {
			return false
		}
		high |= c
	}
	return high < 0x80 || utf8.Valid(v)
}

// SameIdentity compares identities, in any case of their letters.
//
// hot: 0 allocs
func SameIdentity[A, B ~string | ~[]byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if x, y := a[i], b[i]; x != y && lower(x) != lower(y) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
