package accounting

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// Protocol is what the JSON form calls a record of Diameter. One of RADIUS has no word
// for it.
const Protocol = "diameter"

// maxPlain is the longest text that the JSON form shows: that of an attribute of RADIUS.
const maxPlain = 253

// appendProtocol appends what only a Diameter message says of itself.
func appendProtocol(dst []byte, e *Event) []byte {
	if !e.Diameter {
		return dst
	}
	dst = appendText(dst, "protocol", Protocol)
	dst = appendUint(dst, "application", uint64(e.Application))
	if e.Has&HasRecordNumber != 0 {
		dst = appendUint(dst, "record_number", uint64(e.RecordNumber))
	}
	return appendShort(dst, "origin_realm", e.OriginRealm)
}

// appendShort appends a text of which a Diameter message may have more than a reader
// takes: the end of a long one is then its hash, so that it still tells two apart.
func appendShort(dst []byte, name string, v []byte) []byte {
	if len(v) <= maxPlain {
		return appendText(dst, name, v)
	}
	return appendText(dst, name, shorten(bytes.Clone(v)))
}

func shorten(v []byte) []byte {
	const tail = 32 // hexadecimal digits
	h := sha256.Sum256(v)
	return hex.AppendEncode(append(v[:maxPlain-1-tail], '~'), h[:tail/2])
}

// nas names the NAS: where a message does not, the node that it comes from.
func (e *Event) nas() []byte {
	if len(e.NASIdentifier) > 0 || len(e.NASAddress) > 0 && !e.Diameter {
		return e.NASIdentifier
	}
	return e.OriginHost
}

// readMessage walks the AVPs of a message, or of what 3GPP wraps around them.
func (d *detail) readMessage(avps []byte, wrapped int) {
	var a diameter.AVP
	for c := diameter.Walk(avps); c.Next(&a); {
		switch a.Vendor {
		case 0:
			d.avp(&a)
		case vendor3GPP:
			switch a.Code {
			case tgppServiceInformation, tgppPSInformation:
				if wrapped < 2 {
					d.readMessage(a.Data, wrapped+1)
				}
			case tgppDataContainer:
				d.groups.take(&a)
			case diameter.TGPPVisitedPLMNID:
				if d.nVisited == 0 {
					d.nVisited = digits(&d.visited, a.Data)
				}
			default:
				if a.Code < 256 {
					d.threeGPP(byte(a.Code), a.Data)
				}
			}
		case vendorWBA:
			if a.Code < 256 {
				d.wba(byte(a.Code), a.Data)
			}
		}
	}
}

func (d *detail) avp(a *diameter.AVP) {
	switch a.Code {
	case attrFilterID:
		first(&d.filterID, a.Data)
	case attrOperatorName:
		first(&d.operatorName, a.Data)
	case attrLocationInformation:
		d.information(a.Data)
	case attrLocationData:
		d.data(a.Data)
	case avpServiceContextID:
		first(&d.context, a.Data)
	case avpMSCC:
		d.groups.take(a)
	}
}

// digits reads a PLMN as 3GPP TS 29.272 section 7.3.9 has it: MCC and MNC as digits of
// half an octet, a two-digit MNC with a filler.
func digits(dst *[6]byte, v []byte) (n int) {
	if len(v) != 3 {
		return 0
	}
	d := [6]byte{v[0] & 15, v[0] >> 4, v[1] & 15, v[2] & 15, v[2] >> 4, v[1] >> 4}
	n = 6
	if d[5] == 15 {
		n = 5
	}
	for i := range n {
		if d[i] > 9 {
			return 0
		}
		dst[i] = '0' + d[i]
	}
	return n
}

// maxGroups bounds the rating groups that the JSON form names: what others have used is
// in the counters all the same.
const maxGroups = 16

// groups are what each rating group has used since the report before.
type groups struct {
	list [maxGroups]group
	n    int
}

type group struct {
	id      uint32
	in, out uint64
	seconds uint32
}

// take takes a Multiple-Services-Credit-Control or a Service-Data-Container.
func (g *groups) take(a *diameter.AVP) {
	var id diameter.AVP
	if !diameter.Find(a.Data, avpRatingGroup, 0, &id) {
		return
	}
	number, ok := id.Uint32()
	if !ok {
		return
	}
	var u unit
	var f figures
	f.add(a)
	var of diameter.AVP
	used := f.any
	for c := a.Group(); c.Next(&of); {
		if !of.Is(avpUsedServiceUnit, 0) {
			continue
		}
		u = unit{}
		if u.read(&of); u.has == 0 && u.hasTotal {
			u.out = u.total
		}
		f.in, f.out, f.time = sum(f.in, u.in), sum(f.out, u.out), max(f.time, u.time)
		used = used || u.has != 0 || u.hasTotal || u.hasTime
	}
	if !used {
		return
	}
	for i := range g.list[:g.n] {
		if at := &g.list[i]; at.id == number {
			at.in, at.out, at.seconds = sum(at.in, f.in), sum(at.out, f.out), max(at.seconds, f.time)
			return
		}
	}
	if g.n < maxGroups {
		g.list[g.n] = group{number, f.in, f.out, f.time}
		g.n++
	}
}

func (g *groups) appendJSON(dst []byte) []byte {
	if g.n == 0 {
		return dst
	}
	dst = append(appendField(dst, "rating_groups"), '[')
	for i := range g.list[:g.n] {
		at := &g.list[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		open := len(dst)
		dst = appendUint(dst, "group", uint64(at.id))
		dst = appendUint(dst, "input_octets", at.in)
		dst = appendUint(dst, "output_octets", at.out)
		if at.seconds != 0 {
			dst = appendUint(dst, "seconds", uint64(at.seconds))
		}
		dst[open] = '{'
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
