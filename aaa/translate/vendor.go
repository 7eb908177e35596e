package translate

import (
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// maxSub is the value that fits into an attribute of a vendor.
const maxSub = radius.MaxValue - 6

// vendor writes the AVPs of a Vendor-Specific attribute: one for each of its
// sub-attributes, of whatever vendor (RFC 4005 section 9.6.1). One that is not a row of
// them is left out: the attribute itself is never copied (RFC 4005 section 9.4).
func (t *Translator) vendor(v []byte) {
	if len(v) < 4 {
		t.Left++
		return
	}
	id, subs := be32(v), v[4:]
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

// row reports whether b is whole sub-attributes in the layout of RFC 2865 section 5.26.
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

// intoVendor adds an AVP of a vendor to a packet. What has no place there is left out,
// unless it must be understood (RFC 4005 section 9.6.2).
func (t *Translator) intoVendor(a *diameter.AVP, lenient bool) Reason {
	switch {
	case a.Code == 0 || a.Code > 255, len(a.Data) > maxSub:
		if a.Flags&diameter.AVPMandatory == 0 || lenient {
			t.Left++
			return OK
		}
		t.Failed = a.Raw
		if a.Code > 255 {
			return Unknown
		}
		return LongValue
	case a.Vendor == radius.VendorMicrosoft && a.Code >= uint32(radius.MSCHAPMPPEKeys) && !t.granting &&
		(a.Code == uint32(radius.MSMPPESendKey) || a.Code == uint32(radius.MSMPPERecvKey) || a.Code == uint32(radius.MSCHAPMPPEKeys)):
		return OK // keys come with an Accept and nowhere else
	case !t.r.AddVendor(a.Vendor, uint8(a.Code), a.Data):
		return NoRoom
	}
	return OK
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
