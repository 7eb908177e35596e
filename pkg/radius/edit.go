package radius

import "encoding/binary"

// CutVendor takes every sub-attribute vtype of vendor out of the packet, in
// place, and reports whether there was one. A Vendor-Specific attribute that
// has nothing else goes as a whole; one that is not a clean row of
// sub-attributes stays as it is. The authenticators no longer fit the packet
// afterwards: cut what has been verified. hot: 0 allocs
func (p *Packet) CutVendor(vendor uint32, vtype uint8) bool {
	if _, ok := p.Vendor(vendor, vtype); !ok {
		return false
	}
	out := p.From(VendorSpecific)
	for a, off, ok := p.Next(out); ok; a, off, ok = p.Next(off) {
		from := off - len(a.Raw)
		if a.Type == VendorSpecific {
			a.Raw = cutSub(a.Raw, vendor, vtype)
		}
		// What is written never passes what is still to be read.
		if from != out || len(a.Raw) != off-from {
			copy(p.b[out:], a.Raw)
		}
		out += len(a.Raw)
	}
	binary.BigEndian.PutUint16(p.b[2:], uint16(out))
	return p.Parse(p.b[:out]) == OK
}

// cutSub shortens one Vendor-Specific attribute in place; empty when nothing
// is left in it.
func cutSub(raw []byte, vendor uint32, vtype uint8) []byte {
	subs, ok := subAttributes(raw, vendor)
	if !ok {
		return raw
	}
	n := len(raw) - len(subs)
	for len(subs) > 0 {
		sub := subs[:subs[1]]
		subs = subs[len(sub):]
		if sub[0] != vtype {
			n += copy(raw[n:], sub)
		}
	}
	if n == 6 {
		return nil
	}
	raw[1] = byte(n)
	return raw[:n]
}
