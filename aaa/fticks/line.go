package fticks

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// Reporting says what is reported.
type Reporting uint8

const (
	None  Reporting = iota
	Basic           // without the visited institution
	Full
)

// MAC says how a Calling-Station-Id is shown.
type MAC uint8

const (
	VendorKeyHashed MAC = iota // the first three octets, then a keyed hash
	VendorHashed               // the first three octets, then a hash
	FullyKeyHashed             // a keyed hash
	FullyHashed                // a hash
	Original                   // as it is
	Static                     // not at all
)

// Keyed reports whether the mode needs a key.
func (m MAC) Keyed() bool { return m == VendorKeyHashed || m == FullyKeyHashed }

// DefaultPrefix begins the lines of eduroam.
const DefaultPrefix = "F-TICKS/eduroam/1.0"

// Room that radsecproxy has for a value.
const (
	maxInstitution = 40
	maxStation     = 64
	vendorPart     = 9 // "00-11-22-"
)

// writer makes lines. It belongs to one goroutine.
type writer struct {
	reporting Reporting
	mac       MAC
	prefix    string
	plain     hash.Hash
	keyed     hash.Hash
	name      []byte // User-Name, made printable
	station   []byte
	clean     []byte // its hexadecimal digits
	sum       []byte
	hexed     [2 * sha256.Size]byte
}

func newWriter(s *Spec) *writer {
	w := &writer{reporting: s.Reporting, mac: s.MAC, prefix: s.Prefix, plain: sha256.New()}
	if w.prefix == "" {
		w.prefix = DefaultPrefix
	}
	if s.MAC.Keyed() {
		w.keyed = hmac.New(sha256.New, s.Key)
	}
	return w
}

// append adds the line of a tick to b, without an end of line.
func (w *writer) append(b []byte, t *tick) []byte {
	w.name = printable(w.name[:0], t.name())
	realm := []byte(nil)
	if i := bytes.LastIndexByte(w.name, '@'); i >= 0 {
		realm = w.name[i+1:]
	}
	b = append(b, w.prefix...)
	b = field(append(b, "#REALM="...), realm)
	b = field(append(b, "#VISCOUNTRY="...), []byte(t.country))
	b = append(b, '#')
	if w.reporting == Full {
		b = field(append(b, "VISINST="...), []byte(t.institution[:min(len(t.institution), maxInstitution)]))
		b = append(b, '#')
	}
	b = w.appendStation(append(b, "CSI="...), t)
	if t.accept {
		return append(b, "#RESULT=OK#"...)
	}
	return append(b, "#RESULT=FAIL#"...)
}

// appendStation shows the Calling-Station-Id as the mode says.
func (w *writer) appendStation(b []byte, t *tick) []byte {
	if w.mac == Static {
		return append(b, "undisclosed"...)
	}
	if !t.hasStation {
		return b
	}
	w.station = printable(w.station[:0], t.station())
	h := w.plain
	if w.mac.Keyed() {
		h = w.keyed
	}
	switch w.mac {
	case Original:
		return field(b, w.station[:min(len(w.station), maxStation)])
	case VendorHashed, VendorKeyHashed:
		if len(w.station) < vendorPart { // its end is the end of radsecproxy's text
			return field(b, w.station)
		}
		b = field(b, w.station[:vendorPart])
		return append(b, w.hashed(h)[:maxStation-vendorPart-1]...)
	}
	return append(b, w.hashed(h)...)
}

// hashed is the hash of a station's hexadecimal digits in lower case: every
// way of writing an address gives the same. What stands behind a ';' is not
// part of the address.
func (w *writer) hashed(h hash.Hash) []byte {
	w.clean = w.clean[:0]
	for _, c := range w.station {
		if c >= 'A' && c <= 'F' {
			c += 'a' - 'A'
		}
		if c == ';' {
			break
		}
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'f' {
			w.clean = append(w.clean, c)
		}
	}
	h.Reset()
	h.Write(w.clean)
	w.sum = h.Sum(w.sum[:0])
	hex.Encode(w.hexed[:], w.sum)
	return w.hexed[:]
}

const digits = "0123456789abcdef"

// printable writes each octet that is not printable ASCII as %XX.
func printable(b, value []byte) []byte {
	for _, c := range value {
		if c < ' ' || c > '~' {
			b = append(b, '%', digits[c>>4], digits[c&15])
			continue
		}
		b = append(b, c)
	}
	return b
}

// field adds a value that cannot end its field.
func field(b, value []byte) []byte {
	for _, c := range value {
		if c < ' ' || c > '~' || c == '#' {
			b = append(b, '%', digits[c>>4], digits[c&15])
			continue
		}
		b = append(b, c)
	}
	return b
}
