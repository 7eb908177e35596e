package realm

import (
	"fmt"
	"strings"

	"github.com/roamgate/roamgate/pkg/nai"
)

// Network is a mobile network by its country code and its network code. A network code
// of two digits is that of three with a leading zero, since realms do not tell them
// apart (TS 23.003 section 19.2). The zero Network is none.
type Network uint32

const (
	mccUnit = 1 << 10
	// wholeCountry stands in the place of a network code.
	wholeCountry = mccUnit - 1
)

// NewNetwork makes a Network of codes below 1000; mnc -1 is all of a country.
func NewNetwork(mcc, mnc int) Network {
	if mnc < 0 {
		mnc = wholeCountry
	}
	return Network(mcc*mccUnit + mnc)
}

// ParseNetwork reads "262-01", or "262" for all of a country.
func ParseNetwork(text string) (Network, bool) {
	mcc, mnc, ok := ParsePLMN(SubjectPLMN + text)
	if !ok || mcc == 0 {
		return 0, false
	}
	return NewNetwork(mcc, mnc), true
}

// String is the inverse of ParseNetwork, with three digits of a network code where its
// country has such codes.
func (n Network) String() string {
	mcc, mnc := n.MCC(), n.MNC()
	switch {
	case n == 0:
		return "none"
	case mnc < 0:
		return fmt.Sprintf("%03d", mcc)
	case mnc > 99 || mncDigits[mcc] == 3:
		return fmt.Sprintf("%03d-%03d", mcc, mnc)
	}
	return fmt.Sprintf("%03d-%02d", mcc, mnc)
}

// MCC and MNC give the codes; the MNC of a whole country is -1.
func (n Network) MCC() int { return int(n / mccUnit) }
func (n Network) MNC() int {
	if n%mccUnit == wholeCountry {
		return -1
	}
	return int(n % mccUnit)
}

// Country gives the Network of all of its country.
//
// hot: 0 allocs
func (n Network) Country() Network {
	if n == 0 {
		return 0
	}
	return n | wholeCountry
}

// Covers reports whether another network is it, or is of the country that it is.
//
// hot: 0 allocs
func (n Network) Covers(other Network) bool {
	return other != 0 && (n == other || n == other.Country())
}

// NetworkOf reads the network of a folded realm that ends in
// mncNNN.mccNNN.3gppnetwork.org.
//
// hot: 0 allocs
func NetworkOf(folded []byte) (n Network, ok bool) {
	mcc, mnc, ok := nai.PLMN(folded)
	if !ok {
		return 0, false
	}
	return NewNetwork(three(mcc), three(mnc)), true
}

func three(b [3]byte) int { return int(b[0]-'0')*100 + int(b[1]-'0')*10 + int(b[2]-'0') }

// VisitedNetwork reads the value of Visited-PLMN-Id (TS 29.272 section 7.3.9): three
// octets of digits, as TS 23.003 section 12.1 has them on the radio.
//
// hot: 0 allocs
func VisitedNetwork(b []byte) (n Network, ok bool) {
	if len(b) != 3 {
		return 0, false
	}
	d := [6]byte{b[0] & 15, b[0] >> 4, b[1] & 15, b[1] >> 4, b[2] & 15, b[2] >> 4}
	for i, v := range d {
		if v > 9 && (i != 3 || v != 15) {
			return 0, false
		}
	}
	mnc := int(d[4])*10 + int(d[5])
	if d[3] != 15 {
		mnc = mnc*10 + int(d[3])
	}
	return NewNetwork(int(d[0])*100+int(d[1])*10+int(d[2]), mnc), true
}

// NetworkOfDigits reads a country code and a network code of two or three digits, as
// 3GPP-SGSN-MCC-MNC has them (TS 29.061 section 16.4.7.2).
//
// hot: 0 allocs
func NetworkOfDigits(b []byte) (n Network, ok bool) {
	if len(b) != 5 && len(b) != 6 {
		return 0, false
	}
	mcc, ok := decimal(b[:3])
	mnc, ok2 := decimal(b[3:])
	if !ok || !ok2 || mcc == 0 {
		return 0, false
	}
	return NewNetwork(mcc, mnc), true
}

// AppendVisited writes what VisitedNetwork reads.
func (n Network) AppendVisited(dst []byte) []byte {
	mcc, mnc := n.MCC(), max(n.MNC(), 0)
	third := byte(15)
	if mnc > 99 || mncDigits[mcc%1000] == 3 {
		third, mnc = byte(mnc%10), mnc/10
	}
	return append(dst, byte(mcc/100)|byte(mcc/10%10)<<4, byte(mcc%10)|third<<4, byte(mnc/10)|byte(mnc%10)<<4)
}

// Issued reports whether an IMSI is of the network. Where a country has network codes
// of both lengths either reading counts.
//
// hot: 0 allocs
func (n Network) Issued(imsi []byte) bool {
	if n == 0 || len(imsi) < 6 {
		return false
	}
	for _, c := range imsi[:6] {
		if c < '0' || c > '9' {
			return false
		}
	}
	mcc := three([3]byte(imsi))
	if mcc != n.MCC() {
		return false
	}
	mnc, digits := n.MNC(), mncDigits[mcc]
	return mnc < 0 || digits != 3 && mnc == int(imsi[3]-'0')*10+int(imsi[4]-'0') ||
		digits != 2 && mnc == three([3]byte(imsi[3:]))
}

// mncDigits are the digits of network codes by country code, 0: both lengths.
var mncDigits = func() (t [1000]uint8) {
	for i := range t {
		t[i] = uint8(nai.MNCLen(fmt.Sprintf("%03d", i)))
	}
	return t
}()

// Networks is a list of networks and of whole countries; nil is the empty one.
type Networks struct {
	list []Network
	has  map[Network]struct{}
}

// NewNetworks makes a list, nil of none.
func NewNetworks(list []Network) *Networks {
	if len(list) == 0 {
		return nil
	}
	n := &Networks{list: list, has: make(map[Network]struct{}, len(list))}
	for _, one := range list {
		n.has[one] = struct{}{}
	}
	return n
}

// Has reports whether a network or its country is in the list.
//
// hot: 0 allocs
func (n *Networks) Has(one Network) bool {
	if n == nil || one == 0 {
		return false
	}
	if _, ok := n.has[one]; ok {
		return true
	}
	_, ok := n.has[one.Country()]
	return ok
}

// String gives the list as it is written.
func (n *Networks) String() string {
	if n == nil {
		return ""
	}
	texts := make([]string, len(n.list))
	for i, one := range n.list {
		texts[i] = one.String()
	}
	return strings.Join(texts, " ")
}

// MNCDigits gives how many digits the network codes have in the country of an IMSI, 0:
// some two and some three, or it is none.
//
// hot: 0 allocs
func MNCDigits(imsi []byte) int {
	if len(imsi) < 3 || imsi[0]-'0' > 9 || imsi[1]-'0' > 9 || imsi[2]-'0' > 9 {
		return 0
	}
	return int(mncDigits[three([3]byte(imsi))])
}
