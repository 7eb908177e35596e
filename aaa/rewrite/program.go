package rewrite

import (
	"encoding/binary"
	"fmt"
	"regexp"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// Vars is what variables stand for; an empty one is not known.
type Vars [realm.NumVariables][]byte

// Program is a compiled realm.Filter. A nil Program changes nothing.
type Program struct {
	name  string
	steps []step
	uses  uint64 // variables
}

// step is one rule, ready to be applied.
type step struct {
	action   realm.Action
	on       realm.Codes
	types    radius.Drop       // whole types of Remove and Keep
	inner    []realm.Attribute // what they name inside a container
	attr     realm.Attribute   // of all others
	match    *regexp.Regexp
	with     []byte
	value    []realm.Part
	location realm.Location
}

// Compile makes the Program of a filter; nil gives nil.
func Compile(f *realm.Filter) (*Program, error) {
	if f == nil {
		return nil, nil
	}
	p := &Program{name: f.Name}
	for i := range f.Rules {
		r := &f.Rules[i]
		if text, _ := r.Check(); text != "" {
			return nil, fmt.Errorf("rule %q: %s", r.Text, text)
		}
		s := step{action: r.Action, on: r.On, match: r.Match, with: []byte(r.With), value: r.Value, location: r.Location}
		switch r.Action {
		case realm.FilterRemove, realm.FilterKeep:
			s.choose(r.Attributes)
		case realm.FilterLocation:
			if r.Location == realm.LocationCarry {
				continue
			}
		default:
			if len(r.Attributes) != 1 || r.Action == realm.FilterReplace && r.Match == nil {
				return nil, fmt.Errorf("rule %q: it names no attribute or no expression", r.Text)
			}
			s.attr = r.Attributes[0]
			for _, part := range r.Value {
				p.uses |= 1 << part.Variable
			}
		}
		if n := len(p.steps); n > 0 && r.Action == realm.FilterRemove && p.steps[n-1].joins(&s) {
			continue
		}
		p.steps = append(p.steps, s)
	}
	return p, nil
}

// choose notes what is removed or kept. The rules of a location are kept with
// it (RFC 5580 section 4.4).
func (s *step) choose(attributes []realm.Attribute) {
	for _, a := range attributes {
		if a.Place == realm.PlacePlain {
			s.types.Set(a.Type)
		} else {
			s.inner = append(s.inner, a)
		}
	}
	if s.action == realm.FilterKeep && (s.types.Has(radius.LocationInformation) || s.types.Has(radius.LocationData)) {
		s.types.Set(basicLocationPolicyRules)
		s.types.Set(extendedLocationPolicyRules)
	}
}

// joins takes another removal into this one, if it is for the same packets.
func (s *step) joins(next *step) bool {
	if s.action != realm.FilterRemove || s.on != next.on {
		return false
	}
	for i := range s.types {
		s.types[i] |= next.types[i]
	}
	s.inner = append(s.inner, next.inner...)
	return true
}

// Name is the filter's name.
func (p *Program) Name() string { return p.name }

// Uses reports whether a value has the variable, so that a caller need not find
// what is not wanted.
func (p *Program) Uses(v realm.Variable) bool { return p.uses>>v&1 != 0 }

// Writes reports whether a rule may give attributes of type t other values. A
// nil Program writes none.
func (p *Program) Writes(t radius.Type) bool {
	if p == nil {
		return false
	}
	for i := range p.steps {
		if s := &p.steps[i]; s.attr.Type == t && s.attr.Place == realm.PlacePlain {
			return true
		}
	}
	return false
}

// Apply changes the packet and returns how many attributes it has removed,
// added or changed. It is not ok if something does not fit the packet, which
// is of no use then.
//
// hot: 0 allocs but for expressions
func (p *Program) Apply(d *Draft, v *Vars) (changed int, ok bool) {
	if p == nil {
		return 0, true
	}
	code := d.Code()
	for i := range p.steps {
		s := &p.steps[i]
		if !s.on.Has(code) {
			continue
		}
		n, ok := s.apply(d, v)
		if !ok {
			return changed, false
		}
		changed += n
	}
	return changed, true
}

func (s *step) apply(d *Draft, v *Vars) (changed int, ok bool) {
	switch s.action {
	case realm.FilterRemove:
		if len(s.inner) == 0 {
			return d.Drop(&s.types), true
		}
		return s.cut(d, false), true
	case realm.FilterKeep:
		return s.cut(d, true), true
	case realm.FilterReplace:
		return s.replace(d)
	case realm.FilterSet:
		n := d.removeOne(&s.attr)
		added, ok := d.add(&s.attr, s.value, v)
		return n + added, ok
	case realm.FilterSupplement:
		if d.has(&s.attr) {
			return 0, true
		}
		return d.add(&s.attr, s.value, v)
	case realm.FilterAdd:
		return d.add(&s.attr, s.value, v)
	}
	return d.blur(s.location)
}

// cut removes the attributes that the step names, or, with keep, all others.
func (s *step) cut(d *Draft, keep bool) (changed int) {
	needed := radius.Drop{}
	if keep {
		needed = realm.Needed(d.Code())
	}
	out := radius.HeaderLen
	var last fragment
	for off := out; off < d.n; {
		raw := d.b[off : off+int(d.b[off+1])]
		off += len(raw)
		t, stays, before := radius.Type(raw[0]), 0, last
		last = fragment{} // what continues stands right behind
		switch named := s.types.Has(t); {
		case keep && (named || needed.Has(t)):
			stays = len(raw)
		case !keep && named:
		default:
			stays = s.inside(raw, before, &last, keep, &changed)
		}
		if stays == 0 {
			changed++
		} else if out != off-len(raw) {
			copy(d.b[out:], raw[:stays])
		}
		out += stays
	}
	d.n = out
	return changed
}

// fragment is what became of the last fragment of a long extended attribute:
// the next one of its kind shares its fate (RFC 6929 section 2.2).
type fragment struct {
	t, sub byte
	more   bool
	stays  bool
}

// inside cuts what the step names out of an attribute, in place, or keeps
// nothing else in it. It returns how many octets of it stay. before is what
// became of the attribute in front.
func (s *step) inside(raw []byte, before fragment, last *fragment, keep bool, changed *int) int {
	t := radius.Type(raw[0])
	if t != radius.VendorSpecific && (t < radius.ExtendedAttribute1 || t > 246) || len(s.inner) == 0 {
		if keep {
			return 0
		}
		return len(raw)
	}
	if t == radius.VendorSpecific {
		return s.insideVendor(raw, keep, changed)
	}
	long := t >= radius.LongExtendedAttribute
	stays := !keep
	if long && len(raw) > 3 && before.more && before.t == raw[0] && before.sub == raw[2] {
		stays = before.stays
	} else {
		for i := range s.inner {
			if isExtended(&s.inner[i], raw) {
				stays = keep
			}
		}
	}
	if long && len(raw) > 3 {
		*last = fragment{raw[0], raw[2], raw[3]&moreFragments != 0, stays}
	}
	if !stays {
		return 0
	}
	return len(raw)
}

const moreFragments = 0x80

// insideVendor is inside for a Vendor-Specific attribute. Of one that is no clean
// row of sub-attributes nothing is taken out: it goes as a whole where what a
// rule names can be read in it, as a NAS may read it too.
func (s *step) insideVendor(raw []byte, keep bool, changed *int) int {
	if len(raw) < 2+4 {
		if keep {
			return 0
		}
		return len(raw)
	}
	vendor, some := binary.BigEndian.Uint32(raw[2:]), false
	for i := range s.inner {
		a := &s.inner[i]
		if a.Vendor != vendor || a.Type != radius.VendorSpecific {
			continue
		}
		if a.Place == realm.PlaceVendor {
			if keep {
				return len(raw)
			}
			return 0
		}
		some = true
	}
	subs, clean := rowOf(raw)
	switch {
	case keep && (!some || !clean), some && !clean && s.meets(vendor, raw[6:]):
		return 0
	case !some || !clean:
		return len(raw)
	}
	n := len(raw) - len(subs)
	head := n
	for len(subs) > 0 {
		sub := subs[:subs[1]]
		subs = subs[len(sub):]
		if s.namesSub(vendor, sub[0]) != keep {
			*changed++
			continue
		}
		n += copy(raw[n:], sub)
	}
	if n == head {
		*changed-- // the last one goes with what held it
		return 0
	}
	raw[1] = byte(n)
	return n
}

func (s *step) namesSub(vendor uint32, sub byte) bool {
	for i := range s.inner {
		if a := &s.inner[i]; a.Place == realm.PlaceVendorSub && a.Vendor == vendor && a.Sub == sub {
			return true
		}
	}
	return false
}

// meets reports whether a sub-attribute that the step names stands at the
// beginning of a row, as far as that can be read.
func (s *step) meets(vendor uint32, row []byte) bool {
	for len(row) > 0 && !s.namesSub(vendor, row[0]) {
		if len(row) < 2 || row[1] < 2 || int(row[1]) > len(row) {
			return false
		}
		row = row[row[1]:]
	}
	return len(row) > 0
}

// rowOf returns the sub-attributes of a Vendor-Specific attribute in the layout
// that RFC 2865 section 5.26 recommends, if that is how it reads.
func rowOf(raw []byte) (subs []byte, clean bool) {
	if len(raw) < 2+4+2 {
		return nil, false
	}
	subs = raw[6:]
	for rest := subs; len(rest) > 0; rest = rest[rest[1]:] {
		if len(rest) < 2 || rest[1] < 2 || int(rest[1]) > len(rest) {
			return nil, false
		}
	}
	return subs, true
}

// isExtended reports whether raw is the extended attribute that a names.
func isExtended(a *realm.Attribute, raw []byte) bool {
	if radius.Type(raw[0]) != a.Type {
		return false
	}
	head := headOf(a) // with vendor and its type, where they count
	switch a.Place {
	case realm.PlaceExtended:
		return len(raw) >= 3 && raw[2] == a.Sub
	case realm.PlaceExtendedVendor:
		return len(raw) >= head && raw[2] == byte(radius.VendorSpecific) &&
			binary.BigEndian.Uint32(raw[head-5:]) == a.Vendor && raw[head-1] == a.Sub
	}
	return false
}

// headOf is how many octets stand in front of an attribute's value. For a
// sub-attribute of a vendor it is as if it were the first.
func headOf(a *realm.Attribute) int {
	head := 2
	switch a.Place {
	case realm.PlaceVendorSub:
		return head + 4 + 2
	case realm.PlaceExtended:
		head++
	case realm.PlaceExtendedVendor:
		head += 1 + 4 + 1
	}
	if a.Place != realm.PlacePlain && a.Type >= radius.LongExtendedAttribute {
		head++ // flags
	}
	return head
}
