package rewrite

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"testing"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
)

// expressions are those that a made-up rule may have; how they are compiled is
// the affair of realm.CompileExpression.
var expressions = []*regexp.Regexp{
	regexp.MustCompile(`^(.*)@(.*)$`), regexp.MustCompile(`.*`), regexp.MustCompile(`a+`), regexp.MustCompile(`^$`),
	regexp.MustCompile(`(?i)^(.)(.*)$`),
}

var replacements = []string{"", "$1", "$2@$1", "$1$1$1$1", "text", "$2"}

// ruleFrom makes a rule of eight octets and a value.
func ruleFrom(b []byte) (r realm.Rule, rest []byte) {
	spec, rest := b[:8], b[8:]
	r = realm.Rule{Action: realm.Action(spec[0] % 7), On: realm.Codes(spec[1]) << 1, Location: realm.Location(spec[2] % 4)}
	if r.Action == realm.FilterLocation {
		return r, rest
	}
	vendors := []uint32{radius.VendorMicrosoft, radius.VendorWISPr, radius.Vendor3GPP, 9}
	names := 1
	if r.Action == realm.FilterRemove || r.Action == realm.FilterKeep {
		names = int(spec[7] % 4)
	}
	for i := range names {
		a := realm.Attribute{Place: realm.Place(spec[3] % 5), Type: radius.Type(spec[4]) + radius.Type(i), Vendor: vendors[spec[5]%4], Sub: spec[6] + byte(i), Tagged: spec[7]&1 != 0}
		switch a.Place {
		case realm.PlaceVendor, realm.PlaceVendorSub:
			a.Type = radius.VendorSpecific
		case realm.PlaceExtended, realm.PlaceExtendedVendor:
			a.Type = radius.ExtendedAttribute1 + radius.Type(spec[4]%6)
		}
		if a.Place == realm.PlacePlain {
			a.Vendor, a.Sub = 0, 0
		}
		r.Attributes = append(r.Attributes, a)
	}
	r.Match, r.With = expressions[int(spec[2])%len(expressions)], replacements[int(spec[1])%len(replacements)]
	n := min(len(rest), int(spec[2]))
	r.Value = []realm.Part{{Octets: rest[:n]}}
	if spec[2]&1 != 0 {
		r.Value = append(r.Value, realm.Part{Variable: realm.Variable(spec[1]) % realm.NumVariables})
	}
	return r, rest[n:]
}

// verbatim is what no program may touch, in order.
func verbatim(p *radius.Packet) (all []byte) {
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		switch a.Type {
		case radius.ProxyState, radius.MessageAuthenticator, radius.EAPMessage, radius.State:
			all = append(all, a.Raw...)
		}
	}
	return all
}

// FuzzApply: no packet and no program panics, what comes out is a packet, and
// what the protocol runs with is as it was.
func FuzzApply(f *testing.F) {
	for _, v := range vectors(f) {
		p := packetOf(f, v.code, v.packet)
		f.Add(p.Bytes(), []byte("\x00\x00\x00\x01\x00\x01\x02\x00\x02\x00\x00\x02\x00\x01\x02\x01\x06\x00\x01\x00\x00\x00\x00\x00"))
		f.Add(p.Bytes(), []byte("\x01\x00\x00\x03\x04\x01\x05\x03\x02\x03\x04\x00\x1e\x00\x00\x01\x06\x00\x02\x00\x00\x00\x00\x00"))
		f.Add(p.Bytes(), []byte("\x03\x00\x09\x04\x05\x01\x05\x00value of it\x05\x00\x03\x02\x00\x01\x02\x00abc"))
	}
	f.Fuzz(func(t *testing.T, packet, rules []byte) {
		var p radius.Packet
		if p.Parse(packet) != radius.OK {
			return
		}
		filter := &realm.Filter{Name: "f"}
		for len(rules) >= 8 && len(filter.Rules) < 16 {
			var r realm.Rule
			r, rules = ruleFrom(rules)
			filter.Rules = append(filter.Rules, r)
		}
		program, err := Compile(filter)
		if err != nil {
			return
		}
		before := bytes.Clone(p.Bytes())
		var d Draft
		d.Start(make([]byte, radius.MaxLen), &p)
		changed, ok := program.Apply(&d, &vars)
		if !bytes.Equal(before, p.Bytes()) {
			t.Fatal("the packet itself was changed")
		}
		if !ok {
			return
		}
		out := bytes.Clone(d.End())
		var q radius.Packet
		why := q.Parse(out)
		if why == radius.TooManyAttributes {
			return // it is refused then
		}
		if why != radius.OK || int(binary.BigEndian.Uint16(out[2:])) != len(out) {
			t.Fatalf("%x becomes %x: %s", before, out, why)
		}
		if out[0] != before[0] || out[1] != before[1] || !bytes.Equal(out[4:20], before[4:20]) {
			t.Fatalf("the header of %x becomes that of %x", before, out)
		}
		if !bytes.Equal(verbatim(&p), verbatim(&q)) {
			t.Fatalf("%x becomes %x: it has lost what no rule may touch", before, out)
		}
		if changed == 0 && !bytes.Equal(out, before[:len(p.Bytes())]) {
			t.Fatalf("%x becomes %x, and nothing was counted", before, out)
		}
		d.Start(make([]byte, radius.MaxLen), &p)
		program.Apply(&d, &vars)
		if !bytes.Equal(out, d.End()) {
			t.Fatal("the second time it comes out otherwise")
		}
	})
}
