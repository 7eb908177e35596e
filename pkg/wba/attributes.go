package wba

import "encoding/binary"

// Rate is WBA-Linear-Volume-Rate: the price of 1024 octets. The scale of Nanos
// is what the contract says: the WBA's text and the attribute's name differ by a
// power of ten.
type Rate struct {
	Currency [3]byte // ISO 4217
	Index    uint8   // tells offered rates apart
	Nanos    uint32
}

// RateLen is the length of a Rate.
const RateLen = 8

// ReadRate reads eight octets. hot: 0 allocs
func ReadRate(v []byte) (r Rate, ok bool) {
	if len(v) != RateLen {
		return r, false
	}
	for _, c := range v[:3] {
		if c < 'A' || c > 'Z' {
			return r, false
		}
	}
	copy(r.Currency[:], v)
	r.Index, r.Nanos = v[3], binary.BigEndian.Uint32(v[4:])
	return r, true
}

// Append writes the eight octets. hot: 0 allocs where dst has room
func (r Rate) Append(dst []byte) []byte {
	dst = append(append(dst, r.Currency[:]...), r.Index)
	return binary.BigEndian.AppendUint32(dst, r.Nanos)
}

// SLA is WBA-Custom-SLA, which moving networks offer. Dictionaries differ on
// whether it is a text: it is four octets.
type SLA struct {
	Availability uint8  // percent
	Bandwidth    uint32 // bit/s, of 24 bits
}

// ReadSLA reads four octets. hot: 0 allocs
func ReadSLA(v []byte) (s SLA, ok bool) {
	if len(v) != 4 || v[0] > 100 {
		return s, false
	}
	return SLA{v[0], binary.BigEndian.Uint32(v) & 0xffffff}, true
}

// Namespaces of operators (RFC 5580 section 4.1, and the WBA's own).
const (
	spaceTADIG = '0'
	spaceWBAID = '4'
)

const (
	maxParty = 64
	tadigLen = 5
)

// IsProvider reports whether v names a clearing provider: '4' and a WBAID.
// hot: 0 allocs
func IsProvider(v []byte) bool {
	return len(v) > 1 && len(v) <= maxParty && v[0] == spaceWBAID && isID(v[1:])
}

// IsIdentityProvider reports whether v names an identity provider: as a clearing
// provider, or '0' and a TADIG code. hot: 0 allocs
func IsIdentityProvider(v []byte) bool {
	return IsProvider(v) || len(v) == 1+tadigLen && v[0] == spaceTADIG && isID(v[1:])
}

// isID knows the octets of a WBAID: labels with dots, and the country behind a
// colon.
func isID(v []byte) bool {
	for _, c := range v {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '.' && c != '-' && c != '_' && c != ':' {
			return false
		}
	}
	return true
}

// OperatorOf reports whether an Operator-Name is of the holder of a WBAID: its
// own, or a sub-identifier's, "4SUB.WBAID". hot: 0 allocs
func OperatorOf(wbaid string, name []byte) bool {
	if wbaid == "" || len(name) <= len(wbaid) || name[0] != spaceWBAID || len(name) > maxParty {
		return false
	}
	at := len(name) - len(wbaid)
	if !equal(wbaid, name[at:]) || !isID(name[1:]) {
		return false
	}
	return at == 1 || at > 2 && name[at-1] == '.'
}

// equal compares, ASCII letters of both cases alike.
func equal(a string, b []byte) bool {
	for i := range b {
		c, d := a[i], b[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if d >= 'A' && d <= 'Z' {
			d += 'a' - 'A'
		}
		if c != d {
			return false
		}
	}
	return true
}
