package dict

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
)

// ErrHidden says that an attribute cannot be made from text alone: hiding it
// takes a secret and an authenticator.
var ErrHidden = errors.New("attribute is hidden")

// Encode makes a raw attribute, header included, of the attribute called name
// (see Lookup; "name:tag" gives a tag) with the value that text reads as:
//
//	string      as it is, or quoted as in Go
//	octets      0x and hex digits, or else as a string
//	integer     a number, or the name of a value ("Stop")
//	date        RFC 3339, or seconds since 1970
//	addresses   as usual; ipv6prefix with /length; ifid as four groups of hex
//
// Any type takes 0x with a number of octets, for sending what does not fit.
func Encode(name, text string) ([]byte, error) {
	name, tag, err := cutTag(name)
	if err != nil {
		return nil, err
	}
	a, ok := Lookup(name)
	if !ok {
		return nil, fmt.Errorf("no attribute %q", name)
	}
	if a.Hidden != Clear {
		return nil, fmt.Errorf("encoding %s: %w", a.Name, ErrHidden)
	}
	value, err := a.encode(text)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", a.Name, err)
	}
	if value, err = a.addTag(value, tag); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", a.Name, err)
	}
	return a.wrap(value)
}

func cutTag(name string) (string, uint8, error) {
	name, text, ok := strings.Cut(name, ":")
	if !ok {
		return name, 0, nil
	}
	tag, err := strconv.ParseUint(text, 10, 8)
	if err != nil || tag > maxTag {
		return "", 0, fmt.Errorf("tag %q is not 0 to %d", text, maxTag)
	}
	return name, uint8(tag), nil
}

const maxTag = 0x1f // RFC 2868 section 3.3

// addTag puts tag where RFC 2868 has it: instead of the first octet of a
// number, before a string.
func (a *Attr) addTag(value []byte, tag uint8) ([]byte, error) {
	switch {
	case !a.Tagged && tag != 0:
		return nil, errors.New("it has no tag")
	case !a.Tagged, tag == 0:
		return value, nil
	case a.Data != Integer:
		return append([]byte{tag}, value...), nil
	case len(value) != 4 || value[0] != 0:
		return nil, errors.New("a tagged number has 24 bits")
	}
	value[0] = tag
	return value, nil
}

// wrap puts the headers before value.
func (a *Attr) wrap(value []byte) ([]byte, error) {
	b := []byte{byte(a.Type), 0}
	if a.Vendor != 0 {
		b = binary.BigEndian.AppendUint32(b, a.Vendor)
		b = append(b, a.Sub, byte(2+len(value)))
	} else if a.Inner {
		b = append(b, a.Sub)
	}
	b = append(b, value...)
	if len(b) > 2+radius.MaxValue {
		return nil, fmt.Errorf("encoding %s: %d octets do not fit one attribute", a.Name, len(value))
	}
	b[1] = byte(len(b))
	return b, nil
}

func (a *Attr) encode(text string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(text, "0x"); ok {
		return hex.DecodeString(digits)
	}
	switch a.Data {
	case Integer, Byte:
		return a.encodeNumber(text)
	case Date:
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			text = strconv.FormatInt(at.Unix(), 10)
		}
		n, err := strconv.ParseUint(text, 10, 32)
		return binary.BigEndian.AppendUint32(nil, uint32(n)), err
	case IPAddr, IPv6Addr:
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		if ip.Is4() != (a.Data == IPAddr) || ip.Zone() != "" {
			return nil, fmt.Errorf("%q is not an %s", text, a.Data)
		}
		return ip.AsSlice(), nil
	case IPv6Prefix:
		return encodePrefix(text)
	case IfID:
		b, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
		if err != nil || len(b) != 8 {
			return nil, fmt.Errorf("%q is not an interface id", text)
		}
		return b, nil
	}
	if strings.HasPrefix(text, `"`) {
		unquoted, err := strconv.Unquote(text)
		return []byte(unquoted), err
	}
	return []byte(text), nil
}

func (a *Attr) encodeNumber(text string) ([]byte, error) {
	n, ok := facts().values[a.Name][strings.ToLower(text)]
	if !ok {
		v, err := strconv.ParseUint(text, 10, 8*sizes[a.Data])
		if err != nil {
			return nil, err
		}
		n = uint32(v)
	}
	if a.Data == Byte {
		return []byte{byte(n)}, nil
	}
	return binary.BigEndian.AppendUint32(nil, n), nil
}

func encodePrefix(text string) ([]byte, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, err
	}
	if !p.Addr().Is6() || p != p.Masked() {
		return nil, fmt.Errorf("%q is not an ipv6prefix", text)
	}
	ip := p.Addr().As16()
	return append([]byte{0, byte(p.Bits())}, ip[:(p.Bits()+7)/8]...), nil
}

// Format reads raw, one whole attribute with its header, as "Name = value", with
// a comma between several sub-attributes. Strings are quoted, so that no octet
// of a peer reaches a terminal; a value that does not fit its type or has no
// name is hex; a hidden value is "<hidden>".
func Format(raw []byte) string {
	if len(raw) < 2 || int(raw[1]) != len(raw) {
		return "malformed = " + hexText(raw)
	}
	t, value := radius.Type(raw[0]), raw[2:]
	if t == radius.VendorSpecific {
		if text, ok := formatVendor(value); ok {
			return text
		}
		return "Vendor-Specific = " + hexText(value)
	}
	if extended(t) && len(value) > 0 {
		return formatOne(key{t: t, inner: true, sub: value[0]}, value[1:])
	}
	return formatOne(key{t: t}, value)
}

func formatVendor(value []byte) (string, bool) {
	if len(value) < 4+2 {
		return "", false
	}
	vendor := binary.BigEndian.Uint32(value)
	var texts []string
	for subs := value[4:]; len(subs) > 0; subs = subs[subs[1]:] {
		if len(subs) < 2 || subs[1] < 2 || int(subs[1]) > len(subs) || vendor == 0 {
			return "", false
		}
		texts = append(texts, formatOne(key{radius.VendorSpecific, true, vendor, subs[0]}, subs[2:subs[1]]))
	}
	return strings.Join(texts, ", "), true
}

func formatOne(k key, value []byte) string {
	a := facts().byKey[k]
	if a == nil {
		name := innerName(k)
		if !k.inner {
			name = Name(k.t)
		}
		return name + " = " + hexText(value)
	}
	name := a.Name
	if a.Hidden != Clear {
		return name + " = <hidden>"
	}
	if a.Tagged {
		var tag uint8
		if value, tag = a.cutTagOf(value); tag != 0 {
			name += ":" + strconv.Itoa(int(tag))
		}
	}
	if text, ok := a.format(value); ok {
		return name + " = " + text
	}
	return name + " = " + hexText(value)
}

func (a *Attr) cutTagOf(value []byte) ([]byte, uint8) {
	switch {
	case len(value) == 0 || value[0] == 0 || value[0] > maxTag:
		return value, 0
	case a.Data != Integer:
		return value[1:], value[0]
	case len(value) != 4:
		return value, 0
	}
	return []byte{0, value[1], value[2], value[3]}, value[0]
}

// sizes holds the data types of one size.
var sizes = map[Data]int{Integer: 4, Byte: 1, Date: 4, IPAddr: 4, IPv6Addr: 16, IfID: 8}

func (a *Attr) format(value []byte) (string, bool) {
	if size, ok := sizes[a.Data]; ok && len(value) != size {
		return "", false
	}
	switch a.Data {
	case String:
		return strconv.Quote(string(value)), true
	case Byte:
		return a.label(uint32(value[0])), true
	case Integer:
		return a.label(binary.BigEndian.Uint32(value)), true
	case Date:
		return time.Unix(int64(binary.BigEndian.Uint32(value)), 0).UTC().Format(time.RFC3339), true
	case IPAddr, IPv6Addr:
		ip, _ := netip.AddrFromSlice(value)
		return ip.String(), true
	case IPv6Prefix:
		return formatPrefix(value)
	case IfID:
		return fmt.Sprintf("%x:%x:%x:%x", value[:2], value[2:4], value[4:6], value[6:]), true
	}
	return "", false
}

func (a *Attr) label(n uint32) string {
	if label, ok := facts().labels[a.Name][n]; ok {
		return label
	}
	return strconv.FormatUint(uint64(n), 10)
}

func formatPrefix(value []byte) (string, bool) {
	if len(value) < 2 || len(value) > 18 || value[1] > 128 {
		return "", false
	}
	var ip [16]byte
	copy(ip[:], value[2:])
	p := netip.PrefixFrom(netip.AddrFrom16(ip), int(value[1]))
	if p != p.Masked() {
		return "", false // octets behind the prefix: hex keeps them
	}
	return p.String(), true
}

func hexText(b []byte) string { return "0x" + hex.EncodeToString(b) }
