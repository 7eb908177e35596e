package dict

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// Parse reads a message in the form that Format writes. Of the first line all but the
// command may be left out: the application is then the one that the command is at home
// in, the flags are RP of a request (R between peers) and - of an answer, the
// identifiers 0. Lines that begin with # and empty lines say nothing. An AVP may have
// len=, which stands on the wire as it is.
func Parse(text string) ([]byte, error) {
	lines := splitLines(text)
	if len(lines) == 0 {
		return nil, errors.New("no message")
	}
	if strings.HasPrefix(lines[0].text, "0x") {
		if len(lines) > 1 {
			return nil, lines[1].errorf("octets alone stand on one line")
		}
		return lines[0].hex(lines[0].text)
	}
	b, length, err := parseHead(lines[0])
	if err != nil {
		return nil, err
	}
	rest, b, err := parseGroup(lines[1:], 0, b)
	if err == nil && len(rest) > 0 {
		err = rest[0].errorf("it is indented too far")
	}
	if err != nil {
		return nil, err
	}
	if length < 0 {
		length = len(b)
	}
	b[1], b[2], b[3] = byte(length>>16), byte(length>>8), byte(length)
	return b, nil
}

type line struct {
	number int
	depth  int
	text   string
}

func (l line) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %q: %w", l.number, l.text, fmt.Errorf(format, args...))
}

func (l line) hex(s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		return nil, l.errorf("%w", err)
	}
	return b, nil
}

func splitLines(text string) (lines []line) {
	for i, s := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(s, " ")
		depth := (len(s) - len(trimmed)) / len(indent)
		if trimmed = strings.TrimRight(trimmed, " \r"); trimmed != "" && trimmed[0] != '#' {
			lines = append(lines, line{i + 1, depth, trimmed})
		}
	}
	return lines
}

// parseHead reads the first line; length is -1 where it does not say one.
func parseHead(l line) (b []byte, length int, err error) {
	words := strings.Fields(l.text)
	c, request, ok := CommandNamed(words[0])
	if !ok {
		return nil, 0, l.errorf("no command %q", words[0])
	}
	h := diameter.Header{Command: c.Code, Application: c.App}
	if request {
		h.Flags = diameter.FlagRequest
		switch c.Code {
		case diameter.CapabilitiesExchange, diameter.DeviceWatchdog, diameter.DisconnectPeer:
		default:
			h.Flags |= diameter.FlagProxiable
		}
	}
	version := uint64(1)
	length = -1
	for _, word := range words[1:] {
		key, v, _ := strings.Cut(word, "=")
		var n uint64
		switch key {
		case "app":
			h.Application, ok = AppNamed(v)
		case "flags":
			var f uint8
			f, ok = parseFlags(v, "RPET")
			h.Flags = diameter.Flags(f)
			ok = ok && h.Request() == request
		case "hbh":
			n, err = strconv.ParseUint(v, 0, 32)
			h.HopByHop = uint32(n)
		case "e2e":
			n, err = strconv.ParseUint(v, 0, 32)
			h.EndToEnd = uint32(n)
		case "version":
			version, err = strconv.ParseUint(v, 0, 8)
		case "len":
			n, err = strconv.ParseUint(v, 0, 24)
			length = int(n)
		default:
			ok = false
		}
		if err != nil || !ok {
			return nil, 0, l.errorf("what is %q", word)
		}
	}
	var w diameter.Writer
	w.Begin(make([]byte, diameter.HeaderLen, 512), &h)
	b = w.Finish()
	b[0] = byte(version)
	return b, length, nil
}

func parseFlags(s, letters string) (flags uint8, ok bool) {
	if s == "-" {
		return 0, true
	}
	s, more, reserved := strings.Cut(s, "+")
	for _, c := range []byte(s) {
		i := strings.IndexByte(letters, c)
		if i < 0 {
			return 0, false
		}
		flags |= 0x80 >> i
	}
	if reserved {
		n, err := strconv.ParseUint(more, 16, 8)
		if err != nil {
			return 0, false
		}
		flags |= uint8(n)
	}
	return flags, s != "" || reserved
}

// parseGroup reads the lines of a depth and appends their octets to b.
func parseGroup(lines []line, depth int, b []byte) (rest []line, all []byte, err error) {
	for len(lines) > 0 && lines[0].depth == depth {
		l := lines[0]
		lines = lines[1:]
		if strings.HasPrefix(l.text, "0x") {
			raw, err := l.hex(l.text)
			if err != nil {
				return nil, nil, err
			}
			b = append(b, raw...)
			continue
		}
		if lines, b, err = parseAVP(l, lines, b); err != nil {
			return nil, nil, err
		}
	}
	return lines, b, nil
}

// parseAVP reads one AVP; after the line of a group come those of what is in it.
func parseAVP(l line, lines []line, b []byte) (rest []line, all []byte, err error) {
	name, text, ok := strings.Cut(l.text, ":")
	if !ok {
		return nil, nil, l.errorf("an AVP is a name, a colon and a value")
	}
	name, bracket, noted := strings.Cut(name, "[")
	at, ok := AVPNamed(name)
	if !ok {
		return nil, nil, l.errorf("no AVP %q", name)
	}
	flags, length, pad := usual(&at), -1, []byte(nil)
	if noted {
		if flags, length, pad, err = parseNotes(l, bracket, &at); err != nil {
			return nil, nil, err
		}
	}
	start, head := len(b), 8
	b = binary.BigEndian.AppendUint32(b, at.Code)
	b = append(b, byte(flags), 0, 0, 0)
	if flags&diameter.AVPVendor != 0 {
		b = binary.BigEndian.AppendUint32(b, at.Vendor)
		head = 12
	}
	if text = strings.TrimSpace(text); at.Type == Grouped && text == "" {
		if l.depth >= diameter.MaxDepth {
			return nil, nil, l.errorf("more than %d groups in each other", diameter.MaxDepth)
		}
		lines, b, err = parseGroup(lines, l.depth+1, b)
	} else {
		var v []byte
		v, err = parseValue(l, &at, text)
		b = append(b, v...)
	}
	if err != nil {
		return nil, nil, err
	}
	n := len(b) - start
	if pad == nil {
		pad = make([]byte, -n&3)
	}
	if length < 0 {
		length = n
	}
	if n < head || length >= 1<<24 {
		return nil, nil, l.errorf("it is too long")
	}
	b[start+5], b[start+6], b[start+7] = byte(length>>16), byte(length>>8), byte(length)
	return lines, append(b, pad...), nil
}

func parseNotes(l line, bracket string, at *Attr) (flags diameter.AVPFlags, length int, pad []byte, err error) {
	flags, length = usual(at), -1
	inner, ok := strings.CutSuffix(bracket, "]")
	if !ok {
		return 0, 0, nil, l.errorf("a bracket is open")
	}
	for _, note := range strings.Split(inner, ",") {
		switch key, v, _ := strings.Cut(note, "="); key {
		case "len":
			n, err := strconv.ParseUint(v, 0, 24)
			if err != nil {
				return 0, 0, nil, l.errorf("what is %q", note)
			}
			length = int(n)
		case "pad":
			if pad, err = l.hex(v); err != nil {
				return 0, 0, nil, err
			}
		default:
			f, ok := parseFlags(note, "VMP")
			if !ok {
				return 0, 0, nil, l.errorf("what is %q", note)
			}
			flags = diameter.AVPFlags(f)
			if at.Vendor != 0 {
				flags |= diameter.AVPVendor
			}
		}
	}
	return flags, length, pad, nil
}

func parseValue(l line, at *Attr, text string) ([]byte, error) {
	switch {
	case strings.HasPrefix(text, "0x"):
		return l.hex(text)
	case strings.HasPrefix(text, `"`):
		s, err := strconv.Unquote(text)
		if err != nil {
			return nil, l.errorf("%w", err)
		}
		return []byte(s), nil
	}
	v, err := encode(at, text)
	if err != nil {
		return nil, l.errorf("no %s: %w", at.Type, err)
	}
	return v, nil
}

// Encode makes the value of an AVP from text, as it stands in the text of a message.
func Encode(at Attr, text string) ([]byte, error) {
	return parseValue(line{number: 1, text: text}, &at, text)
}

func encode(at *Attr, text string) ([]byte, error) {
	switch at.Type {
	case UTF8String, DiameterIdentity, DiameterURI, IPFilterRule, QoSFilterRule:
		return []byte(text), nil
	case IPv4, IPv6:
		a, err := netip.ParseAddr(text)
		if err != nil || a.Is4() != (at.Type == IPv4) || a.Zone() != "" {
			return nil, errors.New("no address of its family")
		}
		return a.AsSlice(), nil
	case Address:
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return nil, errors.New("no address")
		}
		family := byte(2)
		if a.Is4() {
			family = 1
		}
		return append([]byte{0, family}, a.AsSlice()...), nil
	case OctetString, Grouped:
		return nil, errors.New(`octets are 0x and hex, or "text"`)
	}
	return encodeNumber(at, text)
}

func encodeNumber(at *Attr, text string) ([]byte, error) {
	if n, ok := ValueNamed(at.Code, at.Vendor, text); ok {
		return binary.BigEndian.AppendUint32(nil, n), nil
	}
	var n uint64
	var i int64
	var err error
	switch at.Type {
	case Unsigned32:
		n, err = strconv.ParseUint(text, 0, 32)
	case Unsigned64:
		n, err = strconv.ParseUint(text, 0, 64)
	case Integer32, Enumerated:
		i, err = strconv.ParseInt(text, 0, 32)
		n = uint64(i)
	case Integer64:
		i, err = strconv.ParseInt(text, 0, 64)
		n = uint64(i)
	case Float32:
		var f float64
		f, err = strconv.ParseFloat(text, 32)
		n = uint64(math.Float32bits(float32(f)))
	case Time:
		var t time.Time
		t, err = time.Parse(time.RFC3339, text)
		n = uint64(t.Unix() + era0)
	}
	if err != nil {
		return nil, err
	}
	if at.Type == Unsigned64 || at.Type == Integer64 {
		return binary.BigEndian.AppendUint64(nil, n), nil
	}
	return binary.BigEndian.AppendUint32(nil, uint32(n)), nil
}
