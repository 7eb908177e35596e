package realm

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/pkg/radius"
)

// Judge says whether the route takes a request that its subject matches.
//
// hot: 0 allocs
func (r *Route) Judge(q *Query) Mismatch {
	if q.Message && r.Diameter == nil || !q.Message && !r.RADIUS() {
		return OtherProtocol
	}
	if r.For != nil && (q.Client == nil || !r.For.Has(q.Client.Group)) {
		return OtherGroup
	}
	if r.When == nil {
		return Matches
	}
	return r.When.judge(q, r.Rank)
}

func (c *Condition) judge(q *Query, rank int32) Mismatch {
	switch {
	case len(c.Clients) > 0 && (q.Client == nil || !slices.Contains(c.Clients, q.Client.Name)):
		return OtherClient
	case len(c.Applications) > 0 && !(q.Message && slices.Contains(c.Applications, q.Application)):
		return OtherApplication
	case len(c.Commands) > 0 && !(q.Message && slices.Contains(c.Commands, q.Command)):
		return OtherCommand
	case len(c.NASPortTypes) > 0 && !c.nasPortType(q.Packet):
		return OtherNASPortType
	case len(c.SSIDs) > 0 && !c.ssid(q.Packet):
		return OtherSSID
	case len(c.Operators) > 0 && !c.operator(q.Packet):
		return OtherOperator
	case len(c.RCOIs) > 0 && !c.rcoi(q.Packet):
		return OtherRCOI
	case len(c.Users) > 0 && !c.user(q.User):
		return OtherUser
	case len(c.During) > 0 && !c.during(q.Wall):
		return OtherTime
	case c.Percent > 0 && share(q.Device, rank) >= c.Percent:
		return OtherShare
	}
	return Matches
}

func (c *Condition) nasPortType(p *radius.Packet) bool {
	if p == nil {
		return false
	}
	v, ok := p.Uint32(radius.NASPortType)
	return ok && slices.Contains(c.NASPortTypes, v)
}

// ssid compares what stands behind the address of the access point (RFC 3580
// section 3.20).
func (c *Condition) ssid(p *radius.Packet) bool {
	if p == nil {
		return false
	}
	v, ok := p.First(radius.CalledStationID)
	if !ok {
		return false
	}
	ssid, ok := SSID(v)
	if !ok {
		return false
	}
	for _, s := range c.SSIDs {
		if s == string(ssid) {
			return true
		}
	}
	return false
}

// stationLen is the length of an address in Called-Station-Id, such as
// 00-10-A4-23-19-C0 with a separator of any kind.
const stationLen = 17

// SSID is the part of a Called-Station-Id behind the address of the access
// point and its colon (RFC 3580 section 3.20). Where the address has no
// separators, it ends at the first colon.
func SSID(called []byte) (ssid []byte, ok bool) {
	if len(called) > stationLen && called[stationLen] == ':' {
		return called[stationLen+1:], true
	}
	const bare = 12
	if len(called) > bare && called[bare] == ':' {
		return called[bare+1:], true
	}
	return nil, false
}

func (c *Condition) operator(p *radius.Packet) bool {
	if p == nil {
		return false
	}
	name, ok := p.First(radius.OperatorName)
	if !ok {
		return false
	}
	for _, want := range c.Operators {
		if OperatorIs(want, name) {
			return true
		}
	}
	return false
}

// OperatorIs reports whether an Operator-Name is the one that is wanted, or,
// where that is "1*.suffix", of a realm below the suffix. Realms and WBAIDs are
// compared without regard to case (RFC 5580 section 4.1).
//
// hot: 0 allocs
func OperatorIs(want string, name []byte) bool {
	if below, ok := strings.CutPrefix(want, "1*"); ok {
		cut := len(name) - len(below)
		return cut > 1 && name[0] == '1' && equalFold(below, name[cut:])
	}
	return equalFold(want, name)
}

// equalFold compares with ASCII letters of both cases alike.
func equalFold(a string, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range b {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// vendorWFA is the Wi-Fi Alliance, whose sub-attribute 6 tells which roaming
// consortium the device has chosen (Hotspot 2.0).
const (
	vendorWFA            = 40808
	wfaRoamingConsortium = 6
)

func (c *Condition) rcoi(p *radius.Packet) bool {
	if p == nil {
		return false
	}
	v, ok := p.Vendor(vendorWFA, wfaRoamingConsortium)
	if !ok {
		return false
	}
	for _, want := range c.RCOIs {
		if len(v) >= len(want) && string(v[:len(want)]) == want {
			return true
		}
	}
	return false
}

func (c *Condition) user(user []byte) bool {
	for i := range c.Users {
		if c.Users[i].has(user) {
			return true
		}
	}
	return false
}

func (r *UserRange) has(user []byte) bool {
	if r.Prefix {
		return len(user) >= len(r.First) && string(user[:len(r.First)]) == r.First
	}
	if len(user) != len(r.First) || len(user) != len(r.Last) {
		return false
	}
	same := 0
	for same < len(user) && r.First[same] == r.Last[same] {
		same++
	}
	if string(user[:same]) != r.First[:same] {
		return false
	}
	for _, c := range user[same:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return r.First <= string(user) && string(user) <= r.Last
}

func (c *Condition) during(wall int64) bool {
	for i := range c.During {
		if c.During[i].Holds(wall) {
			return true
		}
	}
	return false
}

// whole is all devices, in hundredths of a percent.
const whole = 10_000

// share places a device among all, the same for all its requests and in every
// hub. Another rank places it anew, so that a share of what a share has left is
// what it says.
func share(device uint64, rank int32) uint32 {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(rank))
	h := device
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return uint32(h % whole)
}
