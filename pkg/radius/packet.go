package radius

import "encoding/binary"

// Packet is a reusable view of one datagram: its octets and, per attribute
// type, the offset of the first attribute. The zero Packet holds nothing until
// Parse; the accessors may only be used after a Parse that returned OK.
type Packet struct {
	b     []byte
	attrs int
	first [256]uint16 // offset of the first attribute of a type, 0 for none
}

// Attr is one attribute where it lies in the packet.
type Attr struct {
	Type Type
	Raw  []byte // type, length and value
}

// Value is what follows type and length.
func (a Attr) Value() []byte { return a.Raw[2:] }

// Parse checks the bounds of datagram and makes p a view of it. Octets after
// Length are padding and cut off (RFC 2865 section 3). datagram is retained
// until the next Parse. On any Reason but OK, p is empty.
//
// Only lengths are judged: whether a value has the right size for its type is
// for who reads it, so that one bad attribute does not cost the packet
// (RFC 6929 section 2.8). The exception is Message-Authenticator, of which no
// packet can carry two (RFC 3579 section 3.2). hot: 0 allocs
func (p *Packet) Parse(datagram []byte) Reason {
	p.b, p.attrs = nil, 0
	clear(p.first[:])
	length, why := frame(datagram)
	if why != OK {
		return why
	}
	b := datagram[:length:length]
	if why = p.index(b); why != OK {
		clear(p.first[:])
		return why
	}
	p.b = b
	return OK
}

// index walks the attributes of b once and notes the first of each type.
func (p *Packet) index(b []byte) Reason {
	attrs := 0
	for off := HeaderLen; off < len(b); {
		if off+1 >= len(b) {
			return AttrOverrun
		}
		t, n := Type(b[off]), int(b[off+1])
		if n < 2 {
			return AttrLength
		}
		if off+n > len(b) {
			return AttrOverrun
		}
		if attrs++; attrs > MaxAttributes {
			return TooManyAttributes
		}
		if t == MessageAuthenticator {
			if p.first[t] != 0 {
				return DuplicateMA
			}
			if n != 2+16 {
				return MALength
			}
		}
		if p.first[t] == 0 {
			p.first[t] = uint16(off)
		}
		off += n
	}
	p.attrs = attrs
	return OK
}

// frame checks the header alone.
func frame(datagram []byte) (length int, why Reason) {
	if len(datagram) < HeaderLen {
		return 0, TooShort
	}
	length = int(binary.BigEndian.Uint16(datagram[2:]))
	switch {
	case length < HeaderLen:
		return 0, LengthField
	case length > MaxLen:
		return 0, TooLong
	case length > len(datagram):
		return 0, Truncated
	case !Code(datagram[0]).Known():
		return 0, BadCode
	}
	return length, OK
}

// Bytes returns exactly the Length octets of the packet.
func (p *Packet) Bytes() []byte { return p.b }

// Code returns the packet's code.
func (p *Packet) Code() Code { return Code(p.b[0]) }

// Identifier returns the packet's identifier.
func (p *Packet) Identifier() uint8 { return p.b[1] }

// Authenticator points at the authenticator inside the datagram.
func (p *Packet) Authenticator() *[16]byte { return (*[16]byte)(p.b[4:]) }

// Len returns the number of attributes.
func (p *Packet) Len() int { return p.attrs }

// Has reports whether there is an attribute of type t. hot: 0 allocs
func (p *Packet) Has(t Type) bool { return p.first[t] != 0 }

// First returns the value of the first attribute of type t. hot: 0 allocs
func (p *Packet) First(t Type) ([]byte, bool) {
	off := int(p.first[t])
	if off == 0 {
		return nil, false
	}
	return p.b[off+2 : off+int(p.b[off+1])], true
}

// Next returns the attribute at off and the offset behind it. A walk starts at
// HeaderLen and ends with ok false. hot: 0 allocs
func (p *Packet) Next(off int) (a Attr, next int, ok bool) {
	if off >= len(p.b) {
		return a, off, false
	}
	next = off + int(p.b[off+1])
	return Attr{Type(p.b[off]), p.b[off:next]}, next, true
}

// From returns the offset at which a walk for attributes of type t may start,
// which is the end of the packet if there are none.
func (p *Packet) From(t Type) int {
	if off := int(p.first[t]); off != 0 {
		return off
	}
	return len(p.b)
}

// Count returns how many attributes of type t there are. hot: 0 allocs
func (p *Packet) Count(t Type) int {
	n := 0
	for a, off, ok := p.Next(p.From(t)); ok; a, off, ok = p.Next(off) {
		if a.Type == t {
			n++
		}
	}
	return n
}

// Uint32 returns the first attribute of type t if it has four octets.
// hot: 0 allocs
func (p *Packet) Uint32(t Type) (uint32, bool) {
	v, ok := p.First(t)
	if !ok || len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}

// Vendor returns the value of the first sub-attribute vtype of vendor. A
// Vendor-Specific attribute that is not a clean row of sub-attributes is passed
// over as a whole. hot: 0 allocs
func (p *Packet) Vendor(vendor uint32, vtype uint8) ([]byte, bool) {
	for a, off, ok := p.Next(p.From(VendorSpecific)); ok; a, off, ok = p.Next(off) {
		if a.Type != VendorSpecific {
			continue
		}
		subs, ok := subAttributes(a.Raw, vendor)
		if !ok {
			continue
		}
		for ; len(subs) > 0; subs = subs[subs[1]:] {
			if subs[0] == vtype {
				return subs[2:subs[1]], true
			}
		}
	}
	return nil, false
}

// EachVendor calls yield for each sub-attribute vtype of vendor, in their order,
// until it returns false. hot: 0 allocs
func (p *Packet) EachVendor(vendor uint32, vtype uint8, yield func(value []byte) bool) {
	for a, off, ok := p.Next(p.From(VendorSpecific)); ok; a, off, ok = p.Next(off) {
		if a.Type != VendorSpecific {
			continue
		}
		subs, ok := subAttributes(a.Raw, vendor)
		if !ok {
			continue
		}
		for ; len(subs) > 0; subs = subs[subs[1]:] {
			if subs[0] == vtype && !yield(subs[2:subs[1]]) {
				return
			}
		}
	}
}

// subAttributes returns the part of a Vendor-Specific attribute behind the
// vendor if it is vendor's and consists of whole sub-attributes in the layout
// RFC 2865 section 5.26 recommends.
func subAttributes(raw []byte, vendor uint32) ([]byte, bool) {
	if len(raw) < 6+2 || binary.BigEndian.Uint32(raw[2:]) != vendor {
		return nil, false
	}
	subs := raw[6:]
	for rest := subs; len(rest) > 0; {
		if len(rest) < 2 || rest[1] < 2 || int(rest[1]) > len(rest) {
			return nil, false
		}
		rest = rest[rest[1]:]
	}
	return subs, true
}

// EAP returns code, identifier and, for a Request or Response, the type of the
// EAP packet whose header lies in the first EAP-Message. Nothing behind those
// five octets is looked at; an EAP-Start (no octets) is not ok. hot: 0 allocs
func (p *Packet) EAP() (code, id uint8, typ uint8, ok bool) {
	v, _ := p.First(EAPMessage)
	return eapHeader(v)
}

func eapHeader(v []byte) (code, id uint8, typ uint8, ok bool) {
	const request, response = 1, 2
	if len(v) < 4 {
		return 0, 0, 0, false
	}
	code, id = v[0], v[1]
	length := int(binary.BigEndian.Uint16(v[2:]))
	if code == 0 || length < 4 {
		return 0, 0, 0, false
	}
	if code != request && code != response {
		return code, id, 0, true
	}
	if length < 5 || len(v) < 5 {
		return 0, 0, 0, false
	}
	return code, id, v[4], true
}
