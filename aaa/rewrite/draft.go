package rewrite

import (
	"encoding/binary"

	"github.com/roamgate/roamgate/pkg/radius"
)

// Draft is a packet that is being changed, in a buffer of its caller. Its
// header and authenticator stay those of the packet it was made from, so what
// is hidden under them can still be carried to the next hop; what it was signed
// with no longer fits.
//
// All methods: hot, 0 allocs. What does not fit is refused, and the Draft stays
// as it was.
type Draft struct {
	b []byte // its length is the room
	n int
}

// Start begins with a copy of p in buf, which must not overlap it and should
// have radius.MaxLen octets.
func (d *Draft) Start(buf []byte, p *radius.Packet) {
	d.b = buf[:min(len(buf), radius.MaxLen)]
	d.n = copy(d.b, p.Bytes())
}

// Code returns the packet's code.
func (d *Draft) Code() radius.Code { return radius.Code(d.b[0]) }

// End completes the length field and returns the packet.
func (d *Draft) End() []byte {
	binary.BigEndian.PutUint16(d.b[2:], uint16(d.n))
	return d.b[:d.n:d.n]
}

// Next returns the attribute at off and the offset behind it, as
// radius.Packet.Next does. The octets are good until the next change.
func (d *Draft) Next(off int) (a radius.Attr, next int, ok bool) {
	if off >= d.n {
		return a, off, false
	}
	next = off + int(d.b[off+1])
	return radius.Attr{Type: radius.Type(d.b[off]), Raw: d.b[off:next]}, next, true
}

// Find returns the offset of the first attribute of type t at or behind off, 0
// for none.
func (d *Draft) Find(t radius.Type, off int) int {
	for ; off < d.n; off += int(d.b[off+1]) {
		if d.b[off] == byte(t) {
			return off
		}
	}
	return 0
}

// First returns the value of the first attribute of type t, good until the
// next change.
func (d *Draft) First(t radius.Type) ([]byte, bool) {
	off := d.Find(t, radius.HeaderLen)
	if off == 0 {
		return nil, false
	}
	return d.b[off+2 : off+int(d.b[off+1])], true
}

// Remove takes all attributes of type t out and returns how many there were.
func (d *Draft) Remove(t radius.Type) int {
	if d.Find(t, radius.HeaderLen) == 0 {
		return 0
	}
	var drop radius.Drop
	drop.Set(t)
	return d.Drop(&drop)
}

// Drop takes all attributes of the types out and returns how many there were.
func (d *Draft) Drop(types *radius.Drop) (n int) {
	out := radius.HeaderLen
	for off := out; off < d.n; {
		size := int(d.b[off+1])
		if types.Has(radius.Type(d.b[off])) {
			n++
		} else {
			if out != off {
				copy(d.b[out:], d.b[off:off+size])
			}
			out += size
		}
		off += size
	}
	d.n = out
	return n
}

// Add appends an attribute.
func (d *Draft) Add(t radius.Type, value []byte) bool {
	size := 2 + len(value)
	if len(value) > radius.MaxValue || size > len(d.b)-d.n {
		return false
	}
	d.b[d.n], d.b[d.n+1] = byte(t), byte(size)
	copy(d.b[d.n+2:], value)
	d.n += size
	return true
}

// Raw appends whole attributes as they are. tlv must be well formed.
func (d *Draft) Raw(tlv []byte) bool {
	if len(tlv) > len(d.b)-d.n {
		return false
	}
	d.n += copy(d.b[d.n:], tlv)
	return true
}

// Change gives the attribute at off another value and returns the offset
// behind it. value must not lie in the Draft.
func (d *Draft) Change(off int, value []byte) (next int, ok bool) {
	return d.put(off, 2, value)
}

// put replaces what stands behind the first head octets of the attribute at
// off by value.
func (d *Draft) put(off, head int, value []byte) (next int, ok bool) {
	end, size := off+int(d.b[off+1]), head+len(value)
	if size > 2+radius.MaxValue || !d.splice(off+head, end-off-head, value) {
		return end, false
	}
	d.b[off+1] = byte(size)
	return off + size, true
}

// splice puts octets in the place of others. Lengths are the caller's to
// correct.
func (d *Draft) splice(at, size int, to []byte) bool {
	grows := len(to) - size
	if d.n+grows > len(d.b) {
		return false
	}
	copy(d.b[at+len(to):], d.b[at+size:d.n])
	copy(d.b[at:], to)
	d.n += grows
	return true
}
