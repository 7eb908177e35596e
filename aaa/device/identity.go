package device

import (
	"strconv"

	"github.com/roamgate/roamgate/pkg/nai"
)

// identCap holds the longest identity: cui, a 253-octet realm and a 253-octet
// value, with their separators.
const identCap = 544

// class is the kind of name a device goes by.
type class uint8

const (
	classNone class = iota
	classIMSI
	classMAC
	classCUI
	classNAI
)

// appendIdentity writes the identity of q's device in its one canonical form:
//
//	imsi:262011234567890
//	mac:00112233aabb
//	cui:9:a.example:opaque    the realm with its length, then the octets of CUI
//	nai:user@a.example        the user as sent, the realm folded
//
// The IMSI of the NAI goes before 3GPP-IMSI: the first is what the home
// authenticates, the second what the visited network says. hot: 0 allocs
func appendIdentity(dst []byte, q *Query) ([]byte, class) {
	if imsi, ok := imsiOfNAI(q.User, q.Realm); ok {
		return append(append(dst, "imsi:"...), imsi...), classIMSI
	}
	if isIMSI(q.IMSI) {
		return append(append(dst, "imsi:"...), q.IMSI...), classIMSI
	}
	if mac, ok := ParseMAC(q.CallingStation); ok {
		return appendMAC(append(dst, "mac:"...), mac), classMAC
	}
	if len(q.Realm) > 253 || len(q.User) > 253 || len(q.CUI) > 253 {
		return dst, classNone
	}
	// A single NUL asks the home for a CUI (RFC 4372 section 2.1).
	if len(q.CUI) > 1 || len(q.CUI) == 1 && q.CUI[0] != 0 {
		return appendCUI(dst, q.Realm, q.CUI), classCUI
	}
	if len(q.User) == 0 && len(q.Realm) == 0 {
		return dst, classNone
	}
	return appendNAI(dst, q.User, q.Realm), classNAI
}

func appendCUI(dst, realm, cui []byte) []byte {
	dst = strconv.AppendInt(append(dst, "cui:"...), int64(len(realm)), 10)
	dst = append(append(dst, ':'), realm...)
	return append(append(dst, ':'), cui...)
}

func appendNAI(dst, user, realm []byte) []byte {
	dst = append(append(dst, "nai:"...), user...)
	if len(realm) == 0 {
		return dst
	}
	return append(append(dst, '@'), realm...)
}

func appendMAC(dst []byte, mac [6]byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range mac {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// isIMSI accepts 6 to 15 digits: country and network code with at least one
// digit of subscriber.
func isIMSI(b []byte) bool {
	if len(b) < 6 || len(b) > 15 {
		return false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// imsiOfNAI finds the IMSI of a permanent identity. It must belong to the
// network the realm names, or a NAI of one network could use up the attempts
// of another's subscriber. A network code of two digits has a leading zero in
// the realm.
func imsiOfNAI(user, realm []byte) ([]byte, bool) {
	imsi, ok := nai.IMSI(user, realm)
	if !ok {
		return nil, false
	}
	mcc, mnc, ok := nai.PLMN(realm)
	if !ok || string(imsi[:3]) != string(mcc[:]) {
		return nil, false
	}
	return imsi, string(imsi[3:6]) == string(mnc[:]) || mnc[0] == '0' && string(imsi[3:5]) == string(mnc[1:])
}

// ParseMAC reads a MAC address in the forms that network servers send:
// 001122334455, 00-11-22-33-44-55, 00:11:22:33:44:55, 0011.2233.4455 and
// 001122-334455, in either case, and ignores ":SSID" after it (RFC 3580
// sections 3.20, 3.21). hot: 0 allocs
func ParseMAC(b []byte) (mac [6]byte, ok bool) {
	mac, _, ok = parseMAC(b)
	return mac, ok
}

// parseMAC also gives the length of the address without what follows it.
func parseMAC(b []byte) (mac [6]byte, length int, ok bool) {
	var sep byte
	n, group, run := 0, 0, 0
	for i, c := range b {
		v := unhex[c]
		switch {
		case v < 16 && n < 12:
			mac[n>>1] = mac[n>>1]<<4 | v
			n++
			run++
			continue
		case n == 12:
			return mac, i, c == ':' && evenGroups(sep, group, run)
		case c != '-' && c != ':' && c != '.', sep != 0 && c != sep, run == 0, group != 0 && run != group, i == 0:
			return mac, 0, false
		}
		sep, group, run = c, run, 0
	}
	return mac, len(b), n == 12 && evenGroups(sep, group, run)
}

// evenGroups refuses forms such as 0-011223344-55.
func evenGroups(sep byte, group, run int) bool {
	switch {
	case sep == 0:
		return true
	case run != group:
		return false
	case sep == '.':
		return group == 4
	}
	return group == 2 || sep == '-' && group == 6
}

var unhex = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	for i, c := range []byte("ABCDEF") {
		t[c] = byte(10 + i)
	}
	return t
}()
