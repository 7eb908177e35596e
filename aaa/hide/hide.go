package hide

import (
	"bytes"
	"strings"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// Hider makes pseudonyms of names, and names of pseudonyms.
type Hider struct {
	seal     seal
	identity string              // ours, folded
	realms   map[string]struct{} // inside, folded
	nodes    map[string]string   // inside, by identity: their realm

	name   [maxName]byte // being built
	folded [maxName]byte
}

// maxName is the longest DiameterIdentity.
const maxName = 255

// New makes a Hider of a node with an identity. The key is for this alone, or is used
// for other things by other derivations too.
func New(key []byte, identity string, set *realm.Set) *Hider {
	h := &Hider{
		seal: newSeal(key), identity: strings.ToLower(identity),
		realms: make(map[string]struct{}), nodes: make(map[string]string),
	}
	for i := range set.Peers {
		p := &set.Peers[i]
		if p.HideTopology {
			continue
		}
		h.nodes[p.Identity] = p.Realm
		h.realms[p.Realm] = struct{}{}
		for _, name := range p.Origins.List() {
			h.realms[strings.TrimPrefix(name, "*.")] = struct{}{}
		}
	}
	return h
}

// Hides reports whether a set has a peer that names are hidden from.
func Hides(set *realm.Set) bool {
	for i := range set.Peers {
		if set.Peers[i].HideTopology {
			return true
		}
	}
	return false
}

// Hide gives a message for a peer of a realm, folded: built in dst, or the message
// itself where it names nobody inside. nil: it would be too long, or a name is.
//
// hot: 0 allocs
func (h *Hider) Hide(dst, msg []byte, to string) []byte {
	return h.rewrite(dst, msg, hiding{to: to, on: true})
}

// Restore gives the message with the names of its pseudonyms, built in dst, or the
// message itself where there is none. nil: it would be too long.
//
// hot: 0 allocs
func (h *Hider) Restore(dst, msg []byte) []byte { return h.rewrite(dst, msg, hiding{}) }

// hiding is what is done to names.
type hiding struct {
	to     string // the realm of whom it is for
	on     bool   // names become pseudonyms, else the reverse
	failed bool   // within a Failed-AVP, which may hold any AVP of a request
}

// AVPs of RFC 8583: whose load it is.
const (
	sourceID = 649
	load     = 650
)

// AVPs of 3GPP that name the node which serves a subscriber, or which it is served by
// beside: whoever is told them puts them into a Destination-Host (TS 29.173 section
// 6.4, TS 29.272 section 7.3, TS 29.336 section 6.4, TS 29.338 section 5.3.3).
const (
	aaaServerName      = 318
	coupledNode        = 1666
	mmeName            = 2402
	sgsnName           = 2409
	ipSMGatewayName    = 3101
	scefID             = 3125
	smsfName           = 3340
	smsfNon3GPPName    = 3341
	subscriptionData   = 1400
	apnProfile         = 1429
	apnConfiguration   = 1430
	locationInfo       = 1496
	mmeLocationInfo    = 1600
	servingNode        = 2401
	otherServingNode   = 2406
	monitoringConfig   = 3122
	monitoringReport   = 3123
	aeseCommunication  = 3113
	smsfAddress        = 3344
	smsfNon3GPPAddress = 3345
)

// names reports whether an AVP has the name of a node.
func (d hiding) names(a *diameter.AVP) bool {
	switch a.Vendor {
	case 0:
	case diameter.Vendor3GPP:
		switch a.Code {
		case aaaServerName, coupledNode, mmeName, sgsnName, ipSMGatewayName, scefID, smsfName, smsfNon3GPPName:
			return true
		}
		return false
	default:
		return false
	}
	switch a.Code {
	case diameter.OriginHost, diameter.RouteRecord, diameter.SessionID, diameter.ErrorReportingHost, diameter.ProxyHost, diameter.RedirectHost, sourceID:
		return true
	case diameter.DestinationHost:
		return !d.on || d.failed
	}
	return false
}

// mostDeep bounds the groups within groups that are looked into.
const mostDeep = 4

// groups reports whether names may stand in an AVP.
func groups(a *diameter.AVP) bool {
	switch a.Vendor {
	case 0:
	case diameter.Vendor3GPP:
		switch a.Code {
		case subscriptionData, apnProfile, apnConfiguration, locationInfo, mmeLocationInfo, servingNode, otherServingNode,
			monitoringConfig, monitoringReport, aeseCommunication, smsfAddress, smsfNon3GPPAddress:
			return true
		}
		return false
	default:
		return false
	}
	switch a.Code {
	case diameter.ProxyInfo, diameter.FailedAVP, load, diameter.OCSupportedFeatures, diameter.OCOLR:
		return true
	}
	return false
}

// rewrite copies a message with other names.
func (h *Hider) rewrite(dst, msg []byte, d hiding) []byte {
	out, kept, touched := dst[:0], 0, false // msg[:kept] is in out
	var a diameter.AVP
	c := diameter.Walk(msg[diameter.HeaderLen:])
	for at := diameter.HeaderLen; c.Next(&a); at += len(a.Raw) {
		group := groups(&a)
		if !group && !d.names(&a) {
			continue
		}
		if len(out)+at-kept > cap(dst) {
			return nil
		}
		out = append(out, msg[kept:at]...)
		kept = at
		ok, changed := true, false
		if group {
			out, ok, changed = h.group(out, &a, d, 1)
		} else {
			out, ok, changed = h.avp(out, &a, d)
		}
		switch {
		case !ok:
			return nil
		case changed:
			kept, touched = at+len(a.Raw), true
		}
	}
	if !touched {
		return msg
	}
	if len(out)+len(msg)-kept > min(diameter.MaxLen, cap(dst)) {
		return nil
	}
	out = append(out, msg[kept:]...)
	out[1], out[2], out[3] = byte(len(out)>>16), byte(len(out)>>8), byte(len(out))
	return out
}

// avp writes one AVP of a name, if that is changed.
func (h *Hider) avp(out []byte, a *diameter.AVP, d hiding) (_ []byte, ok, changed bool) {
	front, name, rest := []byte(nil), a.Data, []byte(nil)
	ends := ""
	switch {
	case a.Is(diameter.SessionID, 0):
		ends = ";"
	case a.Is(diameter.RedirectHost, 0): // a DiameterURI
		ends = ":;"
		if at := bytes.Index(name, []byte("://")); at >= 0 {
			front, name = name[:at+3], name[at+3:]
		}
	}
	if at := bytes.IndexAny(name, ends); at >= 0 {
		name, rest = name[:at], name[at:]
	}
	if len(name) == 0 || len(name) > maxName {
		return out, true, false
	}
	other, ok := h.other(name, d)
	if !ok || other == nil {
		return out, ok, false
	}
	from := len(out)
	if padded := (head(a) + len(front) + len(other) + len(rest) + 3) &^ 3; from+padded > cap(out) {
		return out, false, false
	}
	out = append(append(out, a.Raw[:head(a)]...), front...)
	out = append(append(out, other...), rest...)
	length(out[from:], len(out)-from)
	return pad(out), true, true
}

// group writes a group with other names, if one is changed.
func (h *Hider) group(out []byte, g *diameter.AVP, d hiding, depth int) (_ []byte, ok, changed bool) {
	from := len(out)
	if from+head(g) > cap(out) {
		return out, false, false
	}
	out = append(out, g.Raw[:head(g)]...)
	d.failed = d.failed || g.Is(diameter.FailedAVP, 0)
	var a diameter.AVP
	c := g.Group()
	for c.Next(&a) {
		ok, one := true, false
		switch {
		case groups(&a) && depth < mostDeep:
			out, ok, one = h.group(out, &a, d, depth+1)
		case d.names(&a):
			out, ok, one = h.avp(out, &a, d)
		}
		if !ok {
			return out, false, false
		}
		if changed = changed || one; !one {
			if len(out)+len(a.Raw)+3 > cap(out) {
				return out, false, false
			}
			out = append(out, a.Raw...)
		}
		out = pad(out)
	}
	if c.Bad() != nil || !changed {
		return out[:from], true, false
	}
	length(out[from:], len(out)-from)
	return out, true, true
}

func length(avp []byte, n int) { avp[5], avp[6], avp[7] = byte(n>>16), byte(n>>8), byte(n) }

// head is the length of an AVP's header, which may have a vendor that is 0.
func head(a *diameter.AVP) int {
	if a.Flags&diameter.AVPVendor != 0 {
		return 12
	}
	return 8
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// other gives what a name becomes, nil: it stays. It is not ok where it would be no name
// any more.
func (h *Hider) other(name []byte, d hiding) (other []byte, ok bool) {
	if !d.on {
		return h.restore(name), true
	}
	front, realm := h.inside(name)
	if realm == nil || string(realm) == d.to {
		return nil, true
	}
	// A node that has a name of its own, not below its realm, has it whole.
	whole := front == len(name)
	out, ok := h.seal.hide(h.name[:0], name[:front], realm)
	if !ok {
		return nil, false
	}
	if whole {
		out = append(append(out, '.'), realm...)
	} else {
		out = append(out, name[front-1:]...)
	}
	return out, len(out) <= maxName
}

// inside finds the realm inside that a name is in, folded, nil: none. front are the octets in
// front of it with the dot, or all.
func (h *Hider) inside(name []byte) (front int, in []byte) {
	folded := fold(h.folded[:0], name)
	if string(folded) == h.identity {
		return 0, nil
	}
	for i, c := range folded {
		if c != '.' || i == 0 {
			continue
		}
		if _, ok := h.realms[string(folded[i+1:])]; ok {
			return i + 1, folded[i+1:]
		}
	}
	if in, ok := h.nodes[string(folded)]; ok {
		return len(name), append(folded[:0], in...)
	}
	return 0, nil
}

// restore gives the name of a pseudonym, nil: it is none of ours.
func (h *Hider) restore(name []byte) []byte {
	plain, used := h.seal.restore(h.name[:0], name)
	if plain == nil {
		return nil
	}
	if n := len(plain); n > 0 && plain[n-1] == '.' {
		if plain = append(plain, name[used+1:]...); len(plain) > maxName {
			return nil
		}
	}
	return plain
}

func fold(dst, name []byte) []byte {
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
