package translate

import (
	"bytes"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
)

// Destination gives the realm that a request goes to: that of its User-Name (RFC 4005
// section 9.1). Where that is ours, and the name goes on behind it (RFC 7542 section
// 3.3.1, home!user@ours), it is the one in front, and name is what the User-Name is
// there, written to dst.
func Destination(dst []byte, p *radius.Packet, ours string) (realm, name []byte) {
	v, ok := p.First(radius.UserName)
	if !ok {
		return nil, nil
	}
	at := bytes.LastIndexByte(v, '@')
	if at < 0 || at == len(v)-1 {
		return nil, v
	}
	realm, name = v[at+1:], v
	if !bytes.EqualFold(realm, []byte(ours)) {
		return realm, name
	}
	bang := bytes.IndexByte(v[:at], '!')
	if bang <= 0 {
		return realm, name
	}
	dst = append(dst, v[bang+1:at]...)
	dst = append(append(dst, '@'), v[:bang]...)
	probe := [2 + radius.MaxValue]byte{'x', '@'}
	if _, next, why := nai.Split(append(probe[:2], v[:bang]...)); why == nai.OK && len(next) > 0 {
		return v[:bang], dst
	}
	return realm, name
}

// ApplicationOf is the application of an Access-Request to a home of one: NASREQ
// becomes EAP where the request carries it (RFC 4072 section 6).
func ApplicationOf(app uint32, p *radius.Packet) uint32 {
	if app == diameter.AppNASREQ && p.Has(radius.EAPMessage) {
		return diameter.AppEAP
	}
	return app
}

// Access turns an Access-Request into an AA-Request, or where it carries EAP into a
// Diameter-EAP-Request (RFC 4005 section 9.1, RFC 4072 section 6.1). name is the
// User-Name, nil: there is none.
//
// hot: 0 allocs
func (t *Translator) Access(room []byte, p *radius.Packet, name []byte, x *Terms) ([]byte, Reason) {
	if p.Code() != radius.AccessRequest {
		return nil, Unserved
	}
	if len(x.DestinationRealm) == 0 {
		return nil, NoRealm
	}
	eap := p.Has(radius.EAPMessage)
	command := uint32(diameter.AA)
	if eap {
		command = diameter.EAP
	}
	t.begin(room, command, x)
	service, asked := p.Uint32(radius.ServiceType)
	kind := uint32(authorizeAuthenticate)
	switch {
	case asked && service == serviceAuthorze:
		kind = authorizeOnly
	case asked && service == serviceAuthOnly:
		kind = authenticateOnly
	}
	t.word(diameter.AuthRequestType, kind)
	t.word(avpOriginAAAProtocol, 1) // RADIUS (RFC 4005 section 9.3.6)
	if name != nil {
		t.w.Bytes(diameter.UserName, 0, diameter.AVPMandatory, name)
	}
	if asked {
		t.word(uint32(radius.ServiceType), service)
	}
	if len(x.State) > 0 {
		t.w.Bytes(uint32(radius.State), 0, diameter.AVPMandatory, x.State)
	}
	if eap {
		t.w.Bytes(avpEAPPayload, 0, diameter.AVPMandatory, concat(t.eap[:0], p, radius.EAPMessage)) // empty: EAP-Start
		if v, ok := p.First(radius.EAPKeyName); ok && len(v) == 0 {
			t.w.Bytes(uint32(radius.EAPKeyName), 0, diameter.AVPMandatory, nil)
		}
	} else {
		t.credentials(p)
	}
	if x.Application >= 1<<24 {
		t.visited(x)
	}
	t.session(p)
	t.attributes(p)
	return t.finish()
}

// credentials are those of PAP and CHAP (RFC 4005 section 9.1). A challenge that was
// the Request Authenticator stands in an attribute of its own in RADIUS/1.1.
func (t *Translator) credentials(p *radius.Packet) {
	if v, ok := p.First(radius.UserPassword); ok {
		if len(v) == 1 && v[0] == 0 {
			v = nil // an empty one
		}
		t.w.Bytes(diameter.UserPassword, 0, diameter.AVPMandatory, v)
	}
	v, ok := p.First(radius.CHAPPassword)
	if !ok {
		return
	}
	if len(v) != 17 {
		t.Left++
		return
	}
	mark := t.w.Group(avpCHAPAuth, 0, diameter.AVPMandatory)
	t.word(avpCHAPAlgorithm, 5) // MD5
	t.w.Bytes(avpCHAPIdent, 0, diameter.AVPMandatory, v[:1])
	t.w.Bytes(avpCHAPResponse, 0, diameter.AVPMandatory, v[1:])
	t.w.End(mark)
	if !p.Has(radius.CHAPChallenge) {
		t.w.Bytes(uint32(radius.CHAPChallenge), 0, diameter.AVPMandatory, p.Authenticator()[:])
	}
}

// visited says to a 3GPP AAA server where the device is (TS 29.273 section 5.2.2.1).
func (t *Translator) visited(x *Terms) {
	flags := diameter.AVPMandatory
	t.w.Uint32(tgppRATType, diameter.Vendor3GPP, flags, ratWLAN)
	t.w.String(tgppANID, diameter.Vendor3GPP, flags, "WLAN")
	if len(x.Network) > 0 {
		t.w.Bytes(tgppVisitedNetwork, diameter.Vendor3GPP, flags, x.Network)
	}
}

// session copies Session-Timeout, which is a hint in a request.
func (t *Translator) session(p *radius.Packet) {
	if v, ok := p.Uint32(radius.SessionTimeout); ok {
		t.word(diameter.SessionTimeout, v)
	}
}

// attributes writes the AVPs of all attributes that have no other place.
func (t *Translator) attributes(p *radius.Packet) {
	eap := p.Has(radius.EAPMessage)
	t.joint.vendor, t.joint.n = 0, 0
	for a, off, ok := p.Next(radius.HeaderLen); ok; a, off, ok = p.Next(off) {
		v := a.Value()
		switch carriages[a.Type] {
		case never:
			continue
		case apart:
			t.apart(p, a, off)
			continue
		case four:
			ok = len(v) == 4
		case eight:
			ok = len(v) == 8
		case sixteen:
			ok = len(v) == 16
		}
		switch {
		case !ok:
			t.Left++
			ok = true
		case a.Type > attrLastPlain:
			t.extended(p, a, off)
		case a.Type == radius.ReplyMessage && eap: // not beside EAP (RFC 4072 section 2.8.3)
		case a.Type != radius.UserName:
			t.w.Bytes(uint32(a.Type), 0, flagsOf(uint8(a.Type)), v)
		}
	}
	t.unjoined()
	if p.Has(radius.NASFilterRule) {
		t.filterRules(p)
	}
	t.tunnels(p)
}

// apart writes attributes of which each stands alone and that have another form.
func (t *Translator) apart(p *radius.Packet, a radius.Attr, _ int) {
	v := a.Value()
	switch a.Type {
	case radius.Class:
		if _, _, ours := t.Open(v); !ours || len(v) != HandleLen {
			t.w.Bytes(diameter.Class, 0, diameter.AVPMandatory, v)
		}
	case radius.VendorSpecific:
		t.vendor(v)
	case radius.EAPKeyName: // of a request: see Access
		if len(v) > 0 && p.Code() == radius.AccessAccept {
			t.w.Bytes(uint32(a.Type), 0, diameter.AVPMandatory, v)
		}
	case radius.EventTimestamp:
		if len(v) == 4 && p.Code() != radius.AccountingRequest {
			t.word(diameter.EventTimestamp, ntp(be32(v)))
		}
	}
}

// filterRules writes NAS-Filter-Rule, whose rules are cut by octets of zero there and
// stand apart here (RFC 4849 section 2).
func (t *Translator) filterRules(p *radius.Packet) {
	for all := concat(t.text[:0], p, radius.NASFilterRule); len(all) > 0; {
		rule, rest, _ := bytes.Cut(all, []byte{0})
		if len(rule) > 0 {
			t.w.Bytes(avpNASFilterRule, 0, diameter.AVPMandatory, rule)
		}
		all = rest
	}
}

// extended writes an attribute of RFC 6929. One that goes on in others becomes one AVP;
// the octet of the flags is RADIUS's own.
func (t *Translator) extended(p *radius.Packet, a radius.Attr, off int) {
	v := a.Value()
	if a.Type < attrFirstLong {
		if len(v) < 1 {
			t.Left++
			return
		}
		t.w.Bytes(uint32(a.Type), 0, 0, v)
		return
	}
	if a.Type > attrLastLong || len(v) < 2 {
		t.Left++
		return
	}
	if t.continues(p, a) {
		return
	}
	all := append(t.text[:0], v[0])
	all = append(all, v[2:]...)
	for more := v[1]&0x80 != 0; more; {
		next, after, ok := p.Next(off)
		n := next.Raw
		if !ok || next.Type != a.Type || len(n) < 4 || n[2] != v[0] {
			t.Left++ // it ends in the middle
			return
		}
		all = append(all, n[4:]...)
		off, more = after, n[3]&0x80 != 0
	}
	t.w.Bytes(uint32(a.Type), 0, 0, all)
}

// continues reports whether an attribute belongs to the one in front of it.
func (t *Translator) continues(p *radius.Packet, a radius.Attr) bool {
	var last radius.Attr
	for b, off, ok := p.Next(p.From(a.Type)); ok; b, off, ok = p.Next(off) {
		if &b.Raw[0] == &a.Raw[0] {
			break
		}
		last = b
	}
	return last.Raw != nil && last.Type == a.Type && len(last.Raw) >= 4 && last.Raw[2] == a.Raw[2] && last.Raw[3]&0x80 != 0
}
