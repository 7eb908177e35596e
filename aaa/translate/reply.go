package translate

import (
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// Asked is the request of RADIUS that an answer of Diameter belongs to.
type Asked struct {
	Packet  *radius.Packet
	Session ID   // whose handle the answer carries
	Named   bool // there is such a session
	// Application is that of the request of Diameter.
	Application uint32
	// Room is how long a State may be that is kept, as no attribute holds it.
	Room int
}

// Outcome is what a Reply has come to.
type Outcome struct {
	Code         radius.Code
	Result       uint32
	Experimental bool
	// Stateful: the home keeps the session until it is told of its end.
	Stateful bool
	// State is the home's where it is to be kept, in the message. The next request
	// has the handle alone.
	State []byte
}

// Reply turns an answer into that of RADIUS (RFC 4005 section 9.2, RFC 4072 section
// 6.2). What cannot be granted as the home has said it is rejected, and why says so.
// Accounting that was not taken is a Protocol-Error between us and the hub, whose client
// has no answer: it says whether the home ever may take it.
//
// hot: 0 allocs
func (t *Translator) Reply(room []byte, m *diameter.Message, q *Asked) (packet []byte, out Outcome, why Reason) {
	t.Failed = nil
	out.Result, out.Experimental = resultOf(m)
	state, kept := m.Uint32(diameter.KnownAuthSessionState)
	out.Stateful = !kept || state != noStateMaintained
	p := q.Packet
	switch p.Code() {
	case radius.AccountingRequest:
		if out.Code = radius.AccountingResponse; succeeded(out.Result) {
			t.start(room, out.Code, radius.Token(p.Authenticator()))
		} else {
			out.Code = radius.ProtocolError
			t.protest(room, p, protestOf(out.Result, out.Experimental))
		}
		if why = t.proxyStates(p); why != OK {
			return nil, out, why
		}
		return t.sealed(), out, OK
	case radius.AccessRequest:
	default:
		return nil, out, Unserved
	}
	out.Code = replyCode(out.Result, out.Experimental)
	if out.Code != radius.AccessReject {
		t.start(room, out.Code, radius.Token(p.Authenticator()))
		if out.State, why = t.granted(m, q, out.Code); why == OK {
			return t.sealed(), out, OK
		}
		out.Code, out.State = radius.AccessReject, nil
	}
	t.start(room, radius.AccessReject, radius.Token(p.Authenticator()))
	if bad := t.rejected(m, q, &out, why); bad != OK {
		return nil, out, bad
	}
	return t.sealed(), out, why
}

// granted fills an Accept or a Challenge, and gives the State that is to be kept.
func (t *Translator) granted(m *diameter.Message, q *Asked, code radius.Code) (kept []byte, why Reason) {
	body, p := m.Body(), q.Packet
	if why = t.proxyStates(p); why != OK {
		return nil, why
	}
	eap, why := t.intoEAP(body)
	if why != OK {
		return nil, why
	}
	accept := code == radius.AccessAccept
	t.granting = accept
	why = t.into(body, &filter{eap: eap, state: q.Named || !accept, timeout: true, lenient: q.Application >= 1<<24})
	t.granting = false
	if why != OK {
		return nil, why
	}
	if why = t.intoTunnels(body); why != OK {
		return nil, why
	}
	if why = t.intoFilterRules(body); why != OK {
		return nil, why
	}
	if !accept {
		if v, ok := find(body, avpMultiRoundTimeOut); ok && !t.r.AddUint32(radius.SessionTimeout, v) {
			return nil, NoRoom
		}
		return t.intoState(body, q, true)
	}
	anew, why := t.intoTimes(body)
	if why != OK {
		return nil, why
	}
	var a diameter.AVP
	if diameter.Find(body, avpEAPMasterSessionKey, 0, &a) {
		if why = t.intoKeys(a.Data); why != OK {
			return nil, why
		}
	}
	if q.Application >= 1<<24 {
		if why = t.intoAccess(body, p); why != OK {
			return nil, why
		}
	}
	if !q.Named {
		return nil, OK
	}
	if kept, why = t.intoState(body, q, anew); why != OK {
		return nil, why
	}
	return kept, fits(t.r.Add(radius.Class, t.Handle(t.value[:0], q.Session)))
}

// intoState adds the State by which the next request of the session is known, with the
// home's behind it. One without a home's is due where there will be a next one: in a round,
// and where the session is authorised anew (RFC 2865 section 5.24). A home's that has no
// room there is kept.
func (t *Translator) intoState(body []byte, q *Asked, due bool) (kept []byte, why Reason) {
	state := t.Handle(t.value[:0], q.Session)
	var a diameter.AVP
	switch {
	case !diameter.Find(body, uint32(radius.State), 0, &a):
		if !due {
			return nil, OK
		}
	case len(state)+len(a.Data) <= radius.MaxValue:
		state = append(state, a.Data...)
	case len(a.Data) <= q.Room:
		kept = a.Data
	default:
		t.Failed = a.Raw
		return nil, LongValue
	}
	return kept, fits(t.r.Add(radius.State, state))
}

// intoEAP adds EAP-Message, in pieces. An invalid packet of the NAS that the home gives
// back comes with the Error-Cause that says so (RFC 4072 section 6.2).
func (t *Translator) intoEAP(body []byte) (eap bool, why Reason) {
	var a diameter.AVP
	if diameter.Find(body, avpEAPPayload, 0, &a) {
		return true, t.split(radius.EAPMessage, a.Data)
	}
	if !diameter.Find(body, avpEAPReissuedPayload, 0, &a) {
		return false, OK
	}
	if why = t.split(radius.EAPMessage, a.Data); why == OK {
		why = fits(t.r.AddErrorCause(causeInvalidEAP))
	}
	return true, why
}

// intoTimes adds Session-Timeout and Termination-Action (RFC 4005 section 9.2). The
// shorter of the two times of Diameter counts: after one the session ends, after the
// other it is authorised anew.
func (t *Translator) intoTimes(body []byte) (anew bool, why Reason) {
	session, ends := find(body, diameter.SessionTimeout)
	life, anew := find(body, avpAuthorizationLifetime)
	anew = anew && life != 0 && life != 1<<32-1 && !(ends && session != 0 && session < life)
	switch {
	case anew:
		if !t.r.AddUint32(radius.SessionTimeout, life) || !t.r.AddUint32(radius.TerminationAction, 1) {
			return true, NoRoom
		}
	case ends && session != 0:
		return false, fits(t.r.AddUint32(radius.SessionTimeout, session))
	}
	return anew, OK
}

// intoAccess adds what a 3GPP AAA server says of an access (TS 29.273): the name under
// which it knows the device, and the bit rates, as WISPr has them.
func (t *Translator) intoAccess(body []byte, p *radius.Packet) Reason {
	var a, in diameter.AVP
	if diameter.Find(body, avpMobileNodeID, 0, &a) && len(a.Data) > 0 && len(a.Data) <= radius.MaxValue {
		var name diameter.AVP
		if !diameter.Find(body, diameter.UserName, 0, &name) && !t.r.Add(radius.UserName, a.Data) {
			return NoRoom
		}
		if p.Has(radius.ChargeableUserID) && !diameter.Find(body, uint32(radius.ChargeableUserID), 0, &name) && !t.r.Add(radius.ChargeableUserID, a.Data) {
			return NoRoom
		}
	}
	rates := diameter.Find(body, tgppAMBR, diameter.Vendor3GPP, &a)
	if !rates && diameter.Find(body, tgppAPNConfig, diameter.Vendor3GPP, &in) {
		rates = diameter.Find(in.Data, tgppAMBR, diameter.Vendor3GPP, &a)
	}
	if !rates {
		return OK
	}
	for _, r := range [...]struct {
		code uint32
		sub  uint8
	}{{tgppMaxUp, wisprMaxUp}, {tgppMaxDown, wisprMaxDown}} {
		if diameter.Find(a.Data, r.code, diameter.Vendor3GPP, &in) && len(in.Data) == 4 && !t.r.AddVendor(radius.VendorWISPr, r.sub, in.Data) {
			return NoRoom
		}
	}
	return OK
}

// rejected fills a Reject. A conversation of EAP ends with a Failure, the home's or ours
// (RFC 3579 section 2.6.3).
func (t *Translator) rejected(m *diameter.Message, q *Asked, out *Outcome, why Reason) Reason {
	p := q.Packet
	if bad := t.proxyStates(p); bad != OK {
		return bad
	}
	eap := false
	if why == OK {
		var bad Reason
		if eap, bad = t.intoEAP(m.Body()); bad != OK {
			return bad
		}
	}
	if !eap && p.Has(radius.EAPMessage) {
		_, id, _, _ := p.EAP()
		if !t.r.AddEAPFailure(id) {
			return NoRoom
		}
		eap = true
	}
	cause := causeOf(out.Result, out.Experimental)
	if why != OK {
		cause = causeUnsupportedAVP
	}
	if cause != 0 && !t.r.AddErrorCause(cause) {
		return NoRoom
	}
	if eap || why != OK {
		return OK
	}
	var a diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		if a.Is(uint32(radius.ReplyMessage), 0) && len(a.Data) > 0 {
			if bad := t.split(radius.ReplyMessage, a.Data); bad != OK {
				return bad
			}
		}
	}
	return OK
}
