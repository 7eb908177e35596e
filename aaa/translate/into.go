package translate

import (
	"bytes"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// start begins a packet of RADIUS/1.1 with a token.
func (t *Translator) start(room []byte, code radius.Code, token uint32) {
	var auth [16]byte
	radius.PutToken(&auth, token)
	t.r.Start(room, code, 0, false)
	t.r.SetAuthenticator(&auth)
}

// protest begins a Protocol-Error (RFC 7930 section 4).
func (t *Translator) protest(room []byte, p *radius.Packet, cause uint32) {
	t.r.StartProtocolError(room, 0, p.Code(), cause, radius.Clear)
	var auth [16]byte
	radius.PutToken(&auth, radius.Token(p.Authenticator()))
	t.r.SetAuthenticator(&auth)
}

// sealed gives the packet that was built.
func (t *Translator) sealed() []byte { return t.r.SignAccounting(nil, radius.Clear) }

// filter is what of a message does not go into attributes by itself.
type filter struct {
	request bool // else it is an answer
	eap     bool // no Reply-Message beside it (RFC 4072 section 2.8.3)
	service bool // Service-Type is given by Auth-Request-Type
	lenient bool // what 3GPP adds need not be understood
	state   bool // State is the translator's
	timeout bool // so is Session-Timeout
}

// into adds the attributes of all AVPs that have one of their number.
func (t *Translator) into(body []byte, f *filter) Reason {
	var a diameter.AVP
	c := diameter.Walk(body)
	for c.Next(&a) {
		why := OK
		switch {
		case a.Vendor != 0:
			why = t.intoVendor(&a, f.lenient && a.Vendor == diameter.Vendor3GPP)
		case a.Code == 0 || a.Code > 255:
			why = t.beyond(&a)
		default:
			why = t.attribute(&a, f)
		}
		if why != OK {
			return why
		}
	}
	if bad := c.Bad(); bad != nil {
		t.Failed = bad
		return BadValue
	}
	return OK
}

// beyond judges an AVP that has no attribute of its number.
func (t *Translator) beyond(a *diameter.AVP) Reason {
	if a.Code >= 256 && a.Code < 512 && ends[a.Code-256] || a.Flags&diameter.AVPMandatory == 0 {
		return OK
	}
	t.Failed = a.Raw
	return Unknown
}

func (t *Translator) attribute(a *diameter.AVP, f *filter) Reason {
	typ, v := radius.Type(a.Code), a.Data
	ok := true
	switch carriages[a.Code] {
	case never:
		return OK
	case apart:
		return t.intoApart(typ, a, f)
	case four:
		ok = len(v) == 4
	case eight:
		ok = len(v) == 8
	case sixteen:
		ok = len(v) == 16
	}
	switch {
	case !ok:
		t.Failed = a.Raw
		return BadValue
	case len(v) == 0:
		return OK // no attribute is empty (RFC 2865 section 5)
	case typ > attrLastPlain:
		return t.intoExtended(typ, a)
	case typ == radius.ReplyMessage && f.eap:
		return OK
	}
	return t.add(typ, a)
}

// add writes an attribute, or several where its kind may go on in the next.
func (t *Translator) add(typ radius.Type, a *diameter.AVP) Reason {
	v := a.Data
	if len(v) > radius.MaxValue && !joined[typ] {
		t.Failed = a.Raw
		return LongValue
	}
	return t.split(typ, v)
}

func (t *Translator) split(typ radius.Type, v []byte) Reason {
	for {
		n := min(len(v), radius.MaxValue)
		if !t.r.Add(typ, v[:n]) {
			return NoRoom
		}
		if v = v[n:]; len(v) == 0 {
			return OK
		}
	}
}

// intoApart adds what has another form in RADIUS, as far as it stands alone.
func (t *Translator) intoApart(typ radius.Type, a *diameter.AVP, f *filter) Reason {
	switch typ {
	case radius.UserPassword:
		if !f.request {
			return OK
		}
		if len(a.Data) > 128 {
			t.Failed = a.Raw
			return BadValue
		}
		if len(a.Data) == 0 {
			return fits(t.r.Add(typ, zero[:])) // see radius.Clear
		}
		return t.add(typ, a)
	case radius.ServiceType:
		if f.service {
			return OK
		}
		return t.addFour(typ, a)
	case radius.SessionTimeout:
		if f.timeout {
			return OK
		}
		return t.addFour(typ, a)
	case radius.State:
		if f.state || len(a.Data) == 0 {
			return OK
		}
		return t.add(typ, a)
	case radius.Class, radius.EAPKeyName:
		if len(a.Data) == 0 && (typ == radius.Class || !f.request) {
			return OK
		}
		return t.add(typ, a)
	case radius.VendorSpecific: // it may not be in a message (RFC 4005 section 9.4)
		t.Left++
	case radius.EventTimestamp:
		v, ok := a.Uint32()
		at, good := unix(v)
		if !ok || !good {
			t.Failed = a.Raw
			return BadValue
		}
		return fits(t.r.AddUint32(typ, at))
	}
	return OK
}

var zero [1]byte

func (t *Translator) addFour(typ radius.Type, a *diameter.AVP) Reason {
	if len(a.Data) != 4 {
		t.Failed = a.Raw
		return BadValue
	}
	return t.add(typ, a)
}

func fits(ok bool) Reason {
	if !ok {
		return NoRoom
	}
	return OK
}

// intoExtended adds an attribute of RFC 6929, in as many pieces as it takes.
func (t *Translator) intoExtended(typ radius.Type, a *diameter.AVP) Reason {
	v := a.Data
	switch {
	case typ < attrFirstLong:
		return t.add(typ, a)
	case typ > attrLastLong && a.Flags&diameter.AVPMandatory != 0:
		t.Failed = a.Raw
		return Unknown
	case typ > attrLastLong || len(v) < 2:
		t.Left++
		return OK
	}
	const most = radius.MaxValue - 2
	for sub, rest := v[0], v[1:]; ; {
		n := min(len(rest), most)
		flags := byte(0)
		if n < len(rest) {
			flags = 0x80
		}
		piece := append(append(t.value[:0], sub, flags), rest[:n]...)
		if !t.r.Add(typ, piece) {
			return NoRoom
		}
		if rest = rest[n:]; len(rest) == 0 {
			return OK
		}
	}
}

// intoFilterRules adds the rules as one text that is cut where it has to be.
func (t *Translator) intoFilterRules(body []byte) Reason {
	all := t.text[:0]
	var a diameter.AVP
	for c := diameter.Walk(body); c.Next(&a); {
		if !a.Is(avpNASFilterRule, 0) || len(a.Data) == 0 || bytes.IndexByte(a.Data, 0) >= 0 {
			continue
		}
		if len(all)+1+len(a.Data) > cap(all) {
			return NoRoom
		}
		if len(all) > 0 {
			all = append(all, 0)
		}
		all = append(all, a.Data...)
	}
	if len(all) == 0 {
		return OK
	}
	return t.split(radius.NASFilterRule, all)
}

// find gives the four octets of an AVP without a vendor.
func find(body []byte, code uint32) (v uint32, ok bool) {
	var a diameter.AVP
	if !diameter.Find(body, code, 0, &a) {
		return 0, false
	}
	return a.Uint32()
}

// proxyStates copies those of a request, in their order (RFC 2865 section 5.33).
func (t *Translator) proxyStates(p *radius.Packet) Reason {
	for a, off, ok := p.Next(p.From(radius.ProxyState)); ok; a, off, ok = p.Next(off) {
		if a.Type == radius.ProxyState && !t.r.Raw(a.Raw) {
			return NoRoom
		}
	}
	return OK
}
