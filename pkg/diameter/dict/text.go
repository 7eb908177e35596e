package dict

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// Seconds of a Time (RFC 6733 section 4.3.1) count from 1900, and from 2036 again.
const (
	era0 = 2208988800
	era1 = era0 - 1<<32
)

const indent = "  "

// Format writes a message as text that Parse reads to the same octets:
//
//	ULR app=S6a flags=RP hbh=0x1 e2e=0x2
//	Session-Id: mme.visited.example;1;2
//	Vendor-Specific-Application-Id:
//	  Vendor-Id: 10415
//	  Auth-Application-Id: 16777251
//	User-Name: 001010000000001
//	AVP-10415-9999[M]: 0x0102
//
// Flags of the header are R, P, E and T, +hex what is reserved, - none; version= and
// len= stand there where they are not 1 and the true length. Flags of an AVP stand
// where they are not those of the dictionary: M, P, V (with a vendor that is 0), +hex,
// - none. pad= is padding that is not zero, or not all there. Octets that are no AVP
// stand in hex, and what has fewer than a header is hex alone.
func Format(b []byte) string {
	var s strings.Builder
	if len(b) < diameter.HeaderLen {
		return hexText(b) + "\n"
	}
	h := diameter.ReadHeader(b)
	fmt.Fprintf(&s, "%s app=%s flags=%s hbh=0x%x e2e=0x%x", CommandName(h.Command, h.Request()), AppName(h.Application), flagText(uint8(h.Flags), "RPET"), h.HopByHop, h.EndToEnd)
	if b[0] != 1 {
		fmt.Fprintf(&s, " version=%d", b[0])
	}
	if h.Length != len(b) {
		fmt.Fprintf(&s, " len=%d", h.Length)
	}
	s.WriteByte('\n')
	formatAVPs(&s, b[diameter.HeaderLen:], 0)
	return s.String()
}

// flagText writes the flags of the upper bits by a letter each.
func flagText(flags uint8, letters string) string {
	var s strings.Builder
	for i := range len(letters) {
		if bit := uint8(0x80) >> i; flags&bit != 0 {
			s.WriteByte(letters[i])
			flags &^= bit
		}
	}
	if flags != 0 {
		fmt.Fprintf(&s, "+%x", flags)
	}
	if s.Len() == 0 {
		return "-"
	}
	return s.String()
}

func formatAVPs(s *strings.Builder, avps []byte, depth int) {
	var a diameter.AVP
	c := diameter.Walk(avps)
	for c.Next(&a) {
		at, _ := AVP(a.Code, a.Vendor)
		s.WriteString(strings.Repeat(indent, depth))
		s.WriteString(at.Name)
		s.WriteString(notes(&a, &at))
		s.WriteByte(':')
		if at.Type == Grouped && depth < diameter.MaxDepth && whole(a.Data) {
			s.WriteByte('\n')
			formatAVPs(s, a.Data, depth+1)
			continue
		}
		if at.Type == Grouped {
			s.WriteString(" " + hexText(a.Data) + "\n")
			continue
		}
		s.WriteString(" " + valueText(&at, a.Data) + "\n")
	}
	if bad := c.Bad(); bad != nil {
		s.WriteString(strings.Repeat(indent, depth) + hexText(bad) + "\n")
	}
}

// whole reports whether the octets are AVPs without a rest.
func whole(b []byte) bool {
	var a diameter.AVP
	c := diameter.Walk(b)
	for c.Next(&a) {
	}
	return c.Bad() == nil
}

// notes are what an AVP has that is not as usual, in brackets.
func notes(a *diameter.AVP, at *Attr) string {
	var parts []string
	if a.Flags != usual(at) {
		flags := a.Flags
		if a.Vendor != 0 {
			flags &^= diameter.AVPVendor
		}
		parts = append(parts, flagText(uint8(flags), "VMP"))
	}
	head := 8
	if a.Flags&diameter.AVPVendor != 0 {
		head = 12
	}
	n := head + len(a.Data)
	if pad := a.Raw[n:]; len(pad) != -n&3 || strings.Trim(string(pad), "\x00") != "" {
		parts = append(parts, "pad="+hexText(pad))
	}
	if parts == nil {
		return ""
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// usual are the flags of an AVP of ours.
func usual(at *Attr) (flags diameter.AVPFlags) {
	if at.Vendor != 0 {
		flags |= diameter.AVPVendor
	}
	if at.Mandatory {
		flags |= diameter.AVPMandatory
	}
	return flags
}

func hexText(b []byte) string { return "0x" + hex.EncodeToString(b) }

// Value writes a value as it stands in the text of a message.
func Value(at Attr, v []byte) string { return valueText(&at, v) }

func valueText(at *Attr, v []byte) string {
	switch at.Type {
	case UTF8String, DiameterIdentity, DiameterURI, IPFilterRule, QoSFilterRule:
		if plain(v) {
			return string(v)
		}
		return strconv.Quote(string(v))
	case OctetString:
		if len(v) > 0 && printable(v) {
			return strconv.Quote(string(v))
		}
	case IPv4, IPv6:
		if a, ok := netip.AddrFromSlice(v); ok && a.Is4() == (at.Type == IPv4) {
			return a.String()
		}
	case Address:
		if text := addressText(v); text != "" {
			return text
		}
	default:
		if text := numberText(at, v); text != "" {
			return text
		}
	}
	return hexText(v)
}

func numberText(at *Attr, v []byte) string {
	switch {
	case len(v) == 4:
		n := binary.BigEndian.Uint32(v)
		switch at.Type {
		case Unsigned32:
			return strconv.FormatUint(uint64(n), 10)
		case Integer32:
			return strconv.FormatInt(int64(int32(n)), 10)
		case Enumerated:
			if name := ValueName(at.Code, at.Vendor, n); name != "" {
				return name
			}
			return strconv.FormatInt(int64(int32(n)), 10)
		case Float32:
			if f := math.Float32frombits(n); !math.IsNaN(float64(f)) { // of NaN there are many
				return strconv.FormatFloat(float64(f), 'g', -1, 32)
			}
		case Time:
			return timeOf(n).Format(time.RFC3339)
		}
	case len(v) == 8 && at.Type == Unsigned64:
		return strconv.FormatUint(binary.BigEndian.Uint64(v), 10)
	case len(v) == 8 && at.Type == Integer64:
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(v)), 10)
	}
	return ""
}

// timeOf reads a Time of the years 1968 to 2104.
func timeOf(n uint32) time.Time {
	if n < 1<<31 {
		return time.Unix(int64(n)-era1, 0).UTC()
	}
	return time.Unix(int64(n)-era0, 0).UTC()
}

func addressText(v []byte) string {
	if len(v) < 2 {
		return ""
	}
	a, ok := netip.AddrFromSlice(v[2:])
	family := binary.BigEndian.Uint16(v)
	if !ok || (family != 1 || !a.Is4()) && (family != 2 || !a.Is6()) {
		return ""
	}
	return a.String()
}

// plain reports whether text needs no quotes.
func plain(v []byte) bool {
	if len(v) == 0 || v[0] == '"' || v[0] == ' ' || v[len(v)-1] == ' ' || len(v) > 1 && v[0] == '0' && v[1] == 'x' || !utf8.Valid(v) {
		return false
	}
	for _, r := range string(v) {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func printable(v []byte) bool {
	for _, c := range v {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
