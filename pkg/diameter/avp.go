package diameter

import "encoding/binary"

// AVPFlags are the flags of an AVP.
type AVPFlags uint8

// The flags of an AVP (RFC 6733 section 4.1).
const (
	AVPVendor    AVPFlags = 0x80
	AVPMandatory AVPFlags = 0x40
	AVPProtected AVPFlags = 0x20
)

// AVP is one attribute-value pair where it stands. The zero AVP is none.
type AVP struct {
	Code   uint32
	Vendor uint32 // 0 without the V bit
	Flags  AVPFlags
	Data   []byte // the value
	Raw    []byte // with header and padding, as far as that is there
}

// Is reports whether it is the AVP of a vendor, 0: the IETF's.
//
// hot: 0 allocs
func (a *AVP) Is(code, vendor uint32) bool { return a.Code == code && a.Vendor == vendor }

// ReadAVPCode reads the code of an AVP of at least four octets.
func ReadAVPCode(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// Uint32 reads an Unsigned32, Integer32, Enumerated or Time.
//
// hot: 0 allocs
func (a *AVP) Uint32() (v uint32, ok bool) {
	if len(a.Data) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(a.Data), true
}

// Uint64 reads an Unsigned64.
//
// hot: 0 allocs
func (a *AVP) Uint64() (v uint64, ok bool) {
	if len(a.Data) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(a.Data), true
}

// Group walks the AVPs inside of a Grouped one.
//
// hot: 0 allocs
func (a *AVP) Group() Cursor { return Cursor{rest: a.Data} }

// Cursor walks AVPs one behind the other, by their lengths on the wire.
type Cursor struct {
	rest []byte
	bad  []byte // what has no valid length
	next int    // offset of rest
	at   int    // and of the last AVP
}

// Walk begins at the first of a number of AVPs.
func Walk(avps []byte) Cursor { return Cursor{rest: avps} }

// Next gives the next AVP; false: there is none, or Bad tells.
//
// hot: 0 allocs
func (c *Cursor) Next(a *AVP) bool {
	b := c.rest
	if len(b) == 0 {
		return false
	}
	if len(b) < 8 {
		c.bad, c.rest = b, nil
		return false
	}
	flags, n, head := AVPFlags(b[4]), length24(b[5:]), 8
	if flags&AVPVendor != 0 {
		head = 12
	}
	if n < head || n > len(b) {
		c.bad, c.rest = b, nil
		return false
	}
	// The padding of the last AVP of a group may be missing: it is not counted in
	// the length of the group by everybody.
	end := min(padded(n), len(b))
	a.Code, a.Flags, a.Vendor = binary.BigEndian.Uint32(b), flags, 0
	if head == 12 {
		a.Vendor = binary.BigEndian.Uint32(b[8:])
	}
	a.Data, a.Raw = b[head:n:n], b[:end:end]
	c.rest = b[end:]
	c.at = c.next
	c.next += end
	return true
}

// Offset gives where the last AVP began, counted from the first.
func (c *Cursor) Offset() int { return c.at }

// Bad gives what could not be an AVP, from its header on, nil: all were good.
func (c *Cursor) Bad() []byte { return c.bad }

// Find gives the first AVP of the code and vendor.
//
// hot: 0 allocs
func Find(avps []byte, code, vendor uint32, a *AVP) bool {
	for c := Walk(avps); c.Next(a); {
		if a.Is(code, vendor) {
			return true
		}
	}
	*a = AVP{}
	return false
}
