package translate

import (
	"encoding/binary"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// maxSub is what fits into an attribute behind its vendor.
const maxSub = radius.MaxValue - 4

// layout is that of the sub-attributes of a vendor: the octets of their type and of their
// length, and whether one of flags follows.
type layout struct {
	types, lengths uint8
	more           bool // an attribute may go on in the next one, as the flags say
}

// plain is the layout that RFC 2865 section 5.26 recommends.
var plain = layout{types: 1, lengths: 1}

// layoutOf is the layout of those whose vendor has another one.
func layoutOf(vendor uint32) layout {
	switch vendor {
	case 429: // U.S. Robotics
		return layout{types: 4}
	case 4846: // Lucent
		return layout{types: 2, lengths: 1}
	case 8164: // Starent
		return layout{types: 2, lengths: 2}
	case 24757, 15663: // the WiMAX Forum, Telrad
		return layout{types: 1, lengths: 1, more: true}
	}
	return plain
}

// head is the length of what stands in front of a value.
func (l layout) head() int {
	n := int(l.types + l.lengths)
	if l.more {
		n++
	}
	return n
}

// next reads the first of a row of sub-attributes, false: it is none.
func (l layout) next(b []byte) (code uint32, value, rest []byte, more, ok bool) {
	head, n := l.head(), len(b)
	if n < head {
		return 0, nil, nil, false, false
	}
	for _, v := range b[:l.types] {
		code = code<<8 | uint32(v)
	}
	switch at := b[l.types:]; l.lengths {
	case 1:
		n = int(at[0])
	case 2:
		n = int(at[0])<<8 | int(at[1])
	}
	if n < head || n > len(b) {
		return 0, nil, nil, false, false
	}
	return code, b[head:n], b[n:], l.more && b[head-1]&0x80 != 0, true
}

// row reports whether b is whole sub-attributes.
func (l layout) row(b []byte) bool {
	ok := len(b) > 0
	for ok && len(b) > 0 {
		_, _, b, _, ok = l.next(b)
	}
	return ok
}

// vendor writes the AVPs of a Vendor-Specific attribute: one for each of its
// sub-attributes, of whatever vendor (RFC 4005 section 9.6.1). One that is not a row of
// them is left out: the attribute itself is never copied (RFC 4005 section 9.4).
func (t *Translator) vendor(v []byte) {
	if len(v) < 4 {
		t.Left++
		return
	}
	id, subs := be32(v), v[4:]
	if l := layoutOf(id); l != plain {
		t.laidOut(l, id, subs)
		return
	}
	if id == 0 || !row(subs) {
		t.Left++
		return
	}
	for ; len(subs) > 0; subs = subs[subs[1]:] {
		if id == radius.VendorMicrosoft && (subs[0] == radius.MSMPPERecvKey || subs[0] == radius.MSMPPESendKey) && t.keyed {
			continue // see keys
		}
		t.w.Bytes(uint32(subs[0]), id, 0, subs[2:subs[1]])
	}
}

// row reports whether b is whole sub-attributes in the plain layout.
func row(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return false
		}
		b = b[b[1]:]
	}
	return true
}

// laidOut writes those of a vendor that has another layout.
func (t *Translator) laidOut(l layout, id uint32, subs []byte) {
	if !l.row(subs) {
		t.Left++
		return
	}
	for len(subs) > 0 {
		code, value, rest, more, _ := l.next(subs)
		if subs = rest; l.more {
			t.join(id, code, value, more)
		} else {
			t.w.Bytes(code, id, 0, value)
		}
	}
}

// joint is a value that goes on in the next attribute.
type joint struct {
	vendor, code uint32
	n            int
	value        [radius.MaxLen]byte
}

// join writes a value that may have begun in an attribute before, and may go on in the
// next. Here it is whole, however long.
func (t *Translator) join(vendor, code uint32, value []byte, more bool) {
	j := &t.joint
	if j.vendor != 0 && (j.vendor != vendor || j.code != code) {
		t.unjoined()
	}
	j.vendor, j.code = vendor, code
	j.n += copy(j.value[j.n:], value)
	if !more {
		t.w.Bytes(code, vendor, 0, j.value[:j.n])
		j.vendor, j.n = 0, 0
	}
}

// unjoined forgets a value that ends in the middle.
func (t *Translator) unjoined() {
	if t.joint.vendor != 0 {
		t.Left++
	}
	t.joint.vendor, t.joint.n = 0, 0
}

// intoVendor adds an AVP of a vendor to a packet, in the layout of the vendor. What has no
// place there is left out, unless it must be understood (RFC 4005 section 9.6.2).
func (t *Translator) intoVendor(a *diameter.AVP, lenient bool) Reason {
	l := layoutOf(a.Vendor)
	unknown := a.Code == 0 || a.Code>>(8*l.types-1)>>1 != 0
	switch {
	case unknown, len(a.Data) > maxSub-l.head() && !l.more:
		if a.Flags&diameter.AVPMandatory == 0 || lenient {
			t.Left++
			return OK
		}
		t.Failed = a.Raw
		if unknown {
			return Unknown
		}
		return LongValue
	case a.Vendor == radius.VendorMicrosoft && a.Code >= uint32(radius.MSCHAPMPPEKeys) && !t.granting &&
		(a.Code == uint32(radius.MSMPPESendKey) || a.Code == uint32(radius.MSMPPERecvKey) || a.Code == uint32(radius.MSCHAPMPPEKeys)):
		return OK // keys come with an Accept and nowhere else
	case l == plain:
		return fits(t.r.AddVendor(a.Vendor, uint8(a.Code), a.Data))
	}
	return t.intoLayout(l, a)
}

// intoLayout adds it in a layout of its own, in as many pieces as it takes.
func (t *Translator) intoLayout(l layout, a *diameter.AVP) Reason {
	for rest := a.Data; ; {
		n := min(len(rest), maxSub-l.head())
		v := binary.BigEndian.AppendUint32(t.value[:0], a.Vendor)
		for i := int(l.types) - 1; i >= 0; i-- {
			v = append(v, byte(a.Code>>(8*i)))
		}
		switch size := l.head() + n; l.lengths {
		case 1:
			v = append(v, byte(size))
		case 2:
			v = append(v, byte(size>>8), byte(size))
		}
		if l.more {
			flags := byte(0)
			if n < len(rest) {
				flags = 0x80
			}
			v = append(v, flags)
		}
		if !t.r.Add(radius.VendorSpecific, append(v, rest[:n]...)) {
			return NoRoom
		}
		if rest = rest[n:]; len(rest) == 0 {
			return OK
		}
	}
}

// keys gives the EAP-Master-Session-Key of an Access-Accept: the key that the NAS
// receives with, then the one that it sends with (RFC 4072 section 6.1).
func (t *Translator) keys(p *radius.Packet) []byte {
	recv, ok := p.Vendor(radius.VendorMicrosoft, radius.MSMPPERecvKey)
	if !ok || len(recv) == 0 {
		return nil
	}
	send, _ := p.Vendor(radius.VendorMicrosoft, radius.MSMPPESendKey)
	return append(append(t.text[:0], recv...), send...)
}

// intoKeys adds the keys of a master key: its first 32 octets and its next (RFC 4072
// section 6.2).
func (t *Translator) intoKeys(msk []byte) Reason {
	recv := msk[:min(len(msk), 32)]
	send := msk[len(recv):]
	send = send[:min(len(send), 32)]
	if len(recv) > 0 && !t.r.AddVendor(radius.VendorMicrosoft, radius.MSMPPERecvKey, recv) ||
		len(send) > 0 && !t.r.AddVendor(radius.VendorMicrosoft, radius.MSMPPESendKey, send) {
		return NoRoom
	}
	return OK
}
