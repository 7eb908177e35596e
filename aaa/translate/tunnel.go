package translate

import (
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// maxTunnels are the tags of tunnels, and none (RFC 2868 section 3.1).
const maxTunnels = 0x1f + 1

// tunnel is what a tag has.
type tunnel struct{ used bool }

const tunnelPreference = 83

// tagged reports whether an attribute is one of a tunnel.
func tagged(t uint32) bool {
	switch t {
	case 64, 65, 66, 67, 69, 81, 82, 83, 90, 91:
		return true
	}
	return false
}

// number reports whether it is one of three octets behind its tag.
func tunnelNumber(t uint32) bool { return t == 64 || t == 65 || t == tunnelPreference }

// untag gives the tag of an attribute and what follows; a string whose first octet is no
// tag has none.
func untag(typ radius.Type, v []byte) (tag uint8, rest []byte, ok bool) {
	switch {
	case tunnelNumber(uint32(typ)):
		return min(v0(v), maxTunnels), v, len(v) == 4 && v[0] < maxTunnels
	case len(v) == 0:
		return 0, nil, false
	case v[0] < maxTunnels:
		return v[0], v[1:], len(v) > 1 || typ == radius.TunnelPassword
	}
	return 0, v, true
}

func v0(v []byte) uint8 {
	if len(v) == 0 {
		return 0
	}
	return v[0]
}

// tunnels writes a Tunneling AVP for each tag (RFC 4005 section 7).
func (t *Translator) tunnels(p *radius.Packet) {
	clear(t.tags[:])
	any := false
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		if !tagged(uint32(a.Type)) {
			continue
		}
		tag, _, good := untag(a.Type, a.Value())
		if !good {
			t.Left++
			continue
		}
		t.tags[tag].used, any = true, true
	}
	if !any {
		return
	}
	for tag := range t.tags {
		if t.tags[tag].used {
			t.tunnel(p, uint8(tag))
		}
	}
}

func (t *Translator) tunnel(p *radius.Packet, tag uint8) {
	mark := t.w.Group(avpTunneling, 0, diameter.AVPMandatory)
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		if !tagged(uint32(a.Type)) {
			continue
		}
		of, v, good := untag(a.Type, a.Value())
		switch {
		case !good || of != tag:
		case tunnelNumber(uint32(a.Type)):
			t.word(uint32(a.Type), be32(v)&0xffffff)
		default:
			t.w.Bytes(uint32(a.Type), 0, diameter.AVPMandatory, v)
		}
	}
	t.w.End(mark)
}

// intoTunnels adds the attributes of the Tunneling AVPs of a message. Where there is one
// it has no tag, as those who know of none expect it; more are numbered.
func (t *Translator) intoTunnels(body []byte) Reason {
	n := 0
	var a diameter.AVP
	for c := diameter.Walk(body); c.Next(&a); {
		if a.Is(avpTunneling, 0) {
			n++
		}
	}
	if n == 0 {
		return OK
	}
	if n >= maxTunnels {
		return LongValue
	}
	tag := uint8(0)
	for c := diameter.Walk(body); c.Next(&a); {
		if !a.Is(avpTunneling, 0) {
			continue
		}
		if n > 1 {
			tag++
		}
		if why := t.intoTunnel(&a, tag); why != OK {
			return why
		}
	}
	return OK
}

func (t *Translator) intoTunnel(group *diameter.AVP, tag uint8) Reason {
	var a diameter.AVP
	c := group.Group()
	for c.Next(&a) {
		if a.Vendor != 0 || !tagged(a.Code) {
			t.Left++
			continue
		}
		v := t.value[:0]
		switch {
		case tunnelNumber(a.Code):
			n, ok := a.Uint32()
			if !ok || n > 0xffffff {
				t.Left++
				continue
			}
			v = append(v, tag, byte(n>>16), byte(n>>8), byte(n))
		case len(a.Data) > radius.MaxValue-1:
			t.Failed = a.Raw
			return LongValue
		case len(a.Data) == 0 && a.Code != uint32(radius.TunnelPassword):
			continue
		case tag != 0 || a.Code == uint32(radius.TunnelPassword) || a.Data[0] < maxTunnels:
			v = append(append(v, tag), a.Data...)
		default:
			v = append(v, a.Data...)
		}
		if !t.r.Add(radius.Type(a.Code), v) {
			return NoRoom
		}
	}
	if c.Bad() != nil {
		t.Failed = group.Raw
		return BadValue
	}
	return OK
}
