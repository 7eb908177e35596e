package device

import (
	"encoding/binary"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// Profile is one compiled policy. It is immutable and may be kept.
type Profile struct {
	Name     string
	Class    string // device class for counters and records
	Critical bool   // never held back by attempts an hour
	Deny     bool
	// DenyText is the operator's own reason of a denying profile.
	DenyText string

	// SessionTimeout and InterimInterval are seconds, 0 none. They are not in
	// Extra: what the home says has to be weighed against them.
	SessionTimeout  uint32
	InterimInterval uint32
	DailyVolume     uint64 // octets, 0 none
	AttemptsPerHour uint32 // 0 none
	// RoamingDays is how many days the device may be seen in one country that is not
	// its own, 0: any; RoamingWarn counts more of them and lets the device in.
	RoamingDays uint16
	RoamingWarn bool
	// LockIMEI keeps a device to the equipment that it was first seen with.
	LockIMEI bool

	// Extra is what an Access-Accept gets: Filter-Id and the bandwidths of
	// WISPr, as whole attributes.
	Extra []byte
	// Bandwidth lists the WISPr sub-attributes in Extra (vendor 14122): those
	// of the home's answer are to be taken out.
	Bandwidth []uint8
	// Drop is the set of attribute types the home's answer loses to Extra; it
	// converts to radius.Drop.
	Drop [4]uint64

	from, until int64 // unix seconds, 0 open
	operators   map[string]struct{}
	countries   *countrySet
	ports       *byteSet
	rats        *byteSet
	networks    *realm.Networks
	imeis       map[string]struct{} // of 14 digits, and type allocation codes of 8
	period      uint32              // milliseconds between attempts
}

// Timeout is the Session-Timeout to grant at wall, unix seconds: no session
// outlives the profile's validity. 0 is none.
func (p *Profile) Timeout(wall int64) uint32 {
	t := p.SessionTimeout
	if p.until == 0 {
		return t
	}
	left := uint32(min(max(p.until-wall, 1), 1<<31))
	if t == 0 {
		return left
	}
	return min(t, left)
}

type byteSet [4]uint64

func (s *byteSet) add(v uint8)      { s[v>>6] |= 1 << (v & 63) }
func (s *byteSet) has(v uint8) bool { return s[v>>6]&(1<<(v&63)) != 0 }

// countrySet has a bit for each pair of letters.
type countrySet [11]uint64

func countryBit(c string) (int, bool) {
	if len(c) != 2 || c[0] < 'A' || c[0] > 'Z' || c[1] < 'A' || c[1] > 'Z' {
		return 0, false
	}
	return int(c[0]-'A')*26 + int(c[1]-'A'), true
}

func (s *countrySet) has(c string) bool {
	i, ok := countryBit(c)
	return ok && s[i>>6]&(1<<(i&63)) != 0
}

// check applies the rules that need no counter, in their fixed order.
// hot: 0 allocs
func (p *Profile) check(q *Query) Reason {
	switch {
	case p.Deny:
		return Denied
	case p.from != 0 && q.Wall < p.from:
		return NotYetValid
	case p.until != 0 && q.Wall >= p.until:
		return Expired
	}
	if p.operators != nil {
		if q.Client == nil {
			return OperatorNotAllowed
		}
		if _, ok := p.operators[q.Client.Operator]; !ok {
			return OperatorNotAllowed
		}
	}
	if p.countries != nil && (q.Client == nil || !p.countries.has(q.Client.Country)) {
		return CountryNotAllowed
	}
	if p.networks != nil && !p.networks.Has(q.Network) && (!q.Later || q.Network != 0) {
		return NetworkNotAllowed
	}
	if q.Partial {
		return OK
	}
	if q.Later {
		return p.checkLater(q)
	}
	// S6a has no NAS-Port-Type: where a profile names radios, these count there.
	if p.ports != nil && (!q.Cellular || p.rats == nil) && (!q.HasNASPortType || q.NASPortType > 255 || !p.ports.has(uint8(q.NASPortType))) {
		return AccessTypeNotAllowed
	}
	if p.rats != nil && (!q.HasRATType || !p.rats.has(q.RATType)) {
		return AccessTypeNotAllowed
	}
	if p.imeis != nil && !p.knows(q.IMEI) {
		return EquipmentNotAllowed
	}
	return OK
}

// checkLater applies the rules of access and equipment to what a request within something
// longer says.
// hot: 0 allocs
func (p *Profile) checkLater(q *Query) Reason {
	switch {
	case p.ports != nil && q.HasNASPortType && (q.NASPortType > 255 || !p.ports.has(uint8(q.NASPortType))),
		p.rats != nil && q.HasRATType && !p.rats.has(q.RATType):
		return AccessTypeNotAllowed
	case p.imeis != nil && q.IMEI != nil && !p.knows(q.IMEI):
		return EquipmentNotAllowed
	}
	return OK
}

// knows reports whether equipment is in the list, by itself or by its type.
func (p *Profile) knows(imei []byte) bool {
	if imei = equipment(imei); imei == nil {
		return false
	}
	if _, ok := p.imeis[string(imei)]; ok {
		return true
	}
	_, ok := p.imeis[string(imei[:tacDigits])]
	return ok
}

// Attribute types and vendor of the answer.
const (
	typeFilterID       = 11 // RFC 2865 section 5.11
	typeVendorSpecific = 26 // RFC 2865 section 5.26
	vendorWISPr        = 14122
	wisprBandwidthUp   = 7 // WISPr-Bandwidth-Max-Up, bit/s
	wisprBandwidthDown = 8 // WISPr-Bandwidth-Max-Down, bit/s
)

// encode builds Extra and Drop once, so that answering only copies.
func (p *Profile) encode(s *ProfileSpec) {
	for _, id := range s.FilterIDs {
		p.Extra = append(append(p.Extra, typeFilterID, byte(2+len(id))), id...)
		p.Drop[typeFilterID>>6] |= 1 << (typeFilterID & 63)
	}
	if s.BandwidthUp > 0 {
		p.Extra = appendWISPr(p.Extra, wisprBandwidthUp, s.BandwidthUp)
		p.Bandwidth = append(p.Bandwidth, wisprBandwidthUp)
	}
	if s.BandwidthDown > 0 {
		p.Extra = appendWISPr(p.Extra, wisprBandwidthDown, s.BandwidthDown)
		p.Bandwidth = append(p.Bandwidth, wisprBandwidthDown)
	}
}

func appendWISPr(b []byte, t uint8, v uint32) []byte {
	b = binary.BigEndian.AppendUint32(append(b, typeVendorSpecific, 12), vendorWISPr)
	return binary.BigEndian.AppendUint32(append(b, t, 6), v)
}

// attemptPeriod is the spacing of attempts in milliseconds.
func attemptPeriod(perHour uint32) uint32 {
	if perHour == 0 {
		return 0
	}
	return max(1, uint32(time.Hour.Milliseconds())/perHour)
}
