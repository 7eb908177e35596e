package rewrite

import (
	"bytes"
	"encoding/binary"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// add appends the attribute a with a value. A value of which a variable is not
// known is not added.
func (d *Draft) add(a *realm.Attribute, value []realm.Part, v *Vars) (added int, ok bool) {
	head := headOf(a)
	n := head
	for i := range value {
		part := octets(&value[i], v)
		if len(part) == 0 && value[i].Variable != realm.NoVariable {
			return 0, true
		}
		n += len(part)
	}
	if n > 2+radius.MaxValue || n > len(d.b)-d.n {
		return 0, false
	}
	b := d.b[d.n : d.n+n]
	d.n += n
	clear(b[:head])
	b[0], b[1] = byte(a.Type), byte(n)
	switch a.Place {
	case realm.PlaceVendorSub:
		binary.BigEndian.PutUint32(b[2:], a.Vendor)
		b[6], b[7] = a.Sub, byte(n-6)
	case realm.PlaceExtended:
		b[2] = a.Sub
	case realm.PlaceExtendedVendor:
		b[2] = byte(radius.VendorSpecific)
		binary.BigEndian.PutUint32(b[head-5:], a.Vendor)
		b[head-1] = a.Sub
	}
	b = b[head:]
	for i := range value {
		b = b[copy(b, octets(&value[i], v)):]
	}
	return 1, true
}

// octets is what a part of a value stands for.
func octets(p *realm.Part, v *Vars) []byte {
	if p.Variable != realm.NoVariable {
		return v[p.Variable]
	}
	return p.Octets
}

// has reports whether there is an attribute that a names.
func (d *Draft) has(a *realm.Attribute) bool {
	for off := d.Find(a.Type, radius.HeaderLen); off != 0; off = d.Find(a.Type, off+int(d.b[off+1])) {
		raw := d.b[off : off+int(d.b[off+1])]
		switch a.Place {
		case realm.PlacePlain:
			return true
		case realm.PlaceVendorSub:
			if hasSub(raw, a) {
				return true
			}
		default:
			if isExtended(a, raw) {
				return true
			}
		}
	}
	return false
}

// removeOne takes all attributes that a names out.
func (d *Draft) removeOne(a *realm.Attribute) int {
	if a.Place == realm.PlacePlain {
		return d.Remove(a.Type)
	}
	var one [1]realm.Attribute
	one[0] = *a
	s := step{inner: one[:]}
	return s.cut(d, false)
}

// hasSub reports whether a Vendor-Specific attribute has the sub-attribute that
// a names.
func hasSub(raw []byte, a *realm.Attribute) bool {
	subs, clean := rowOf(raw)
	if !clean || binary.BigEndian.Uint32(raw[2:]) != a.Vendor {
		return false
	}
	for ; len(subs) > 0; subs = subs[subs[1]:] {
		if subs[0] == a.Sub {
			return true
		}
	}
	return false
}

// replace gives each value that the expression matches its new octets. An empty
// result takes the attribute out, unless the packet cannot be without it.
func (s *step) replace(d *Draft) (changed int, ok bool) {
	for off := d.Find(s.attr.Type, radius.HeaderLen); off != 0; {
		before, n := d.n, 0
		end := off + int(d.b[off+1])
		if s.attr.Place == realm.PlaceVendorSub {
			n, ok = s.replaceSubs(d, off)
		} else {
			n, ok = s.replaceOne(d, off)
		}
		if !ok {
			return changed, false
		}
		changed += n
		off = d.Find(s.attr.Type, end+d.n-before)
	}
	return changed, true
}

// replaceOne is replace for the attribute at off.
func (s *step) replaceOne(d *Draft, off int) (changed int, ok bool) {
	raw, head := d.b[off:off+int(d.b[off+1])], headOf(&s.attr)
	if s.attr.Place != realm.PlacePlain && !isExtended(&s.attr, raw) {
		return 0, true
	}
	const maxTag = 0x1f
	if s.attr.Tagged && len(raw) > head && raw[head] <= maxTag {
		head++
	}
	value, matched := s.expand(raw[head:])
	if !matched || bytes.Equal(value, raw[head:]) {
		return 0, true
	}
	if len(value) == 0 {
		needed := realm.Needed(d.Code())
		if s.attr.Place == realm.PlacePlain && needed.Has(s.attr.Type) {
			return 0, true
		}
		return 1, d.splice(off, len(raw), nil)
	}
	d.b[off+1] = byte(min(head+len(value), 2+radius.MaxValue))
	return 1, head+len(value) <= 2+radius.MaxValue && d.splice(off+head, len(raw)-head, value)
}

// replaceSubs is replace for the sub-attributes in the attribute at off.
func (s *step) replaceSubs(d *Draft, off int) (changed int, ok bool) {
	raw := d.b[off : off+int(d.b[off+1])]
	if !hasSub(raw, &s.attr) {
		return 0, true
	}
	end := off + len(raw)
	for at := end - len(raw) + 6; at < end; {
		size := int(d.b[at+1])
		if d.b[at] != s.attr.Sub {
			at += size
			continue
		}
		old := d.b[at+2 : at+size]
		value, matched := s.expand(old)
		if !matched || bytes.Equal(value, old) {
			at += size
			continue
		}
		changed++
		from, cut := at+2, size-2
		if len(value) == 0 {
			from, cut = at, size
		}
		if end-off+len(value)-cut > 2+radius.MaxValue || !d.splice(from, cut, value) {
			return changed, false
		}
		end += len(value) - cut
		if len(value) > 0 {
			d.b[at+1] = byte(2 + len(value))
			at += 2 + len(value)
		}
	}
	if d.b[off+1] = byte(end - off); end == off+6 {
		return changed, d.splice(off, 6, nil)
	}
	return changed, true
}

// expand makes the new value of one that the expression matches.
func (s *step) expand(value []byte) (to []byte, matched bool) {
	groups := s.match.FindSubmatchIndex(value)
	if groups == nil {
		return nil, false
	}
	return s.match.Expand(make([]byte, 0, 2*radius.MaxValue), s.with, value, groups), true
}
