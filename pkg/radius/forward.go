package radius

// Drop is a set of attribute types to leave out. The zero Drop is empty.
type Drop [4]uint64

// Set adds t.
func (d *Drop) Set(t Type) { d[t>>6] |= 1 << (t & 63) }

// Has reports whether t is in the set. A nil Drop is empty.
func (d *Drop) Has(t Type) bool { return d != nil && d[t>>6]&(1<<(t&63)) != 0 }

// hopByHop is what never leaves a hop as it came.
var hopByHop = dropOf(MessageAuthenticator)

// inAccounting is what an Accounting-Request must not carry (RFC 2866 section
// 4.1 and 5.13, RFC 3579 section 3.3).
var inAccounting = dropOf(MessageAuthenticator, UserPassword, CHAPPassword, State, ReplyMessage, EAPMessage)

// inDynAuth: a CoA-Request or Disconnect-Request has no authenticator to hide a
// User-Password with.
var inDynAuth = dropOf(MessageAuthenticator, UserPassword)

func dropOf(types ...Type) *Drop {
	d := new(Drop)
	for _, t := range types {
		d.Set(t)
	}
	return d
}

// ForwardRequest writes the client's request p for the home into buf, by way of
// w, up to the signature: the caller may append attributes and then ends it
// with SignRequest (Access-Request) or SignAccounting (all others).
//
// An Access-Request gets auth as its authenticator and a Message-Authenticator
// as its first attribute; User-Password is hidden again under out and auth; a
// CHAP-Password whose challenge was the old authenticator gets that as
// CHAP-Challenge (RFC 2865 section 2.3). For other codes auth is ignored and may
// be nil. A Message-Authenticator is made anew where it came with a CoA or
// Disconnect, and left out of accounting, which many servers drop with one.
// All else goes verbatim and in order, and ownProxyState, unless nil, becomes
// the last Proxy-State.
//
// Where in or out is Clear, values that are hidden on the other side change their
// length, out takes auth for every code (see PutToken) and id is to be 0 (RFC 9765
// section 5).
//
// The same arguments give the same octets, so a retransmission may be built
// again (RFC 2865 section 2.5); but a CoA-Request that hides something gets new
// salts each time, and its octets must be kept.
//
// BadUserPassword asks for a reject, Overflow for an answer that says so, BadCode
// says that p is no request to forward; w then holds nothing to be sent. p, auth and buf must not overlap.
func (c *Crypt) ForwardRequest(w *Writer, buf []byte, p *Packet, id uint8, auth *[16]byte, in, out *Secret, ownProxyState []byte) Reason {
	code := p.Code()
	if request, _ := code.Forwardable(); !request {
		return BadCode
	}
	h := hop{in: in, out: out, inAuth: p.Authenticator(), outAuth: auth}
	drop := hopByHop
	switch code {
	case AccessRequest:
		w.Start(buf, code, id, !h.toClear())
	case AccountingRequest:
		w.Start(buf, code, id, false)
		drop = inAccounting
	default:
		w.Start(buf, code, id, !h.toClear() && (p.Has(MessageAuthenticator) || in.IsClear()))
		drop = inDynAuth
		h.inAuth, h.outAuth = &zeros, &zeros
	}
	if code == AccessRequest || h.toClear() {
		w.SetAuthenticator(auth)
	}
	if why := c.copyRequest(w, p, drop, &h); why != OK {
		return why
	}
	if code == AccessRequest && p.Has(CHAPPassword) && !p.Has(CHAPChallenge) && !in.IsClear() &&
		!w.Add(CHAPChallenge, p.Authenticator()[:]) {
		return Overflow
	}
	if ownProxyState != nil && !w.Add(ProxyState, ownProxyState) {
		return Overflow
	}
	return OK
}

func (c *Crypt) copyRequest(w *Writer, p *Packet, drop *Drop, h *hop) Reason {
	var s salts
	dynamic, crosses, clear := p.Code() == CoARequest, h.crosses(), h.toClear()
	for a, off, ok := p.Next(HeaderLen); ok; a, off, ok = p.Next(off) {
		if drop.Has(a.Type) {
			continue
		}
		if crosses && (a.Type == UserPassword || dynamic) {
			why := OK
			if dynamic {
				why = c.cross(w, a, &s, h)
			} else {
				why = c.crossPassword(w, a.Value(), h)
			}
			if why != OK {
				return why
			}
			continue
		}
		at := w.n
		if !w.Raw(a.Raw) {
			return Overflow
		}
		switch {
		case clear:
		case a.Type == UserPassword:
			if !passwordSize(len(a.Value())) {
				return BadUserPassword
			}
			c.rehide(w.b[at+2:w.n], a.Value(), nil, nil, h)
		case dynamic:
			c.rehideReply(w.b[at:w.n], a, &s, h)
		}
	}
	return OK
}

// ForwardResponse writes the home's reply p for the client into buf, by way of
// w, up to the signature: the caller ends it with SignResponse. homeReqAuth is
// the authenticator of the request we sent, clientReqAuth that of the client's.
//
// Message-Authenticator comes first, except in an Accounting-Response and, for
// CoA and Disconnect, only where the home sent one. Tunnel-Password and the
// MS-MPPE keys are hidden again under fresh salts; every Proxy-State of the
// reply and the types in drop (may be nil) are left out; all else goes verbatim
// and in order. Then follow extra and proxyStates, raw attributes of the policy
// and of the client's request. Overflow: try again with less, or not at all.
// BadCode: p is no reply to forward.
func (c *Crypt) ForwardResponse(w *Writer, buf []byte, p *Packet, id uint8, homeReqAuth, clientReqAuth *[16]byte, in, out *Secret, proxyStates []byte, extra []byte, drop *Drop) Reason {
	if _, reply := p.Code().Forwardable(); !reply {
		return BadCode
	}
	w.Start(buf, p.Code(), id, !out.IsClear() && (signs(p) || in.IsClear() && p.Code() != AccountingResponse))
	if why := c.CopyResponse(w, p, homeReqAuth, clientReqAuth, in, out, drop); why != OK {
		return why
	}
	if !w.Raw(extra) || !w.Raw(proxyStates) {
		return Overflow
	}
	return OK
}

// signs reports whether a reply of p's kind goes out with Message-Authenticator.
func signs(p *Packet) bool {
	switch p.Code() {
	case AccessAccept, AccessReject, AccessChallenge:
		return true
	case AccountingResponse:
		return false
	}
	return p.Has(MessageAuthenticator)
}

// CopyResponse appends the attributes of the home's reply p to the packet w has
// begun, as ForwardResponse says, for callers that build the rest themselves.
func (c *Crypt) CopyResponse(w *Writer, p *Packet, homeReqAuth, clientReqAuth *[16]byte, in, out *Secret, drop *Drop) Reason {
	h := hop{in: in, out: out, inAuth: homeReqAuth, outAuth: clientReqAuth}
	var s salts
	crosses, clear := h.crosses(), h.toClear()
	for a, off, ok := p.Next(HeaderLen); ok; a, off, ok = p.Next(off) {
		if a.Type == MessageAuthenticator || a.Type == ProxyState || drop.Has(a.Type) {
			continue
		}
		if crosses {
			if why := c.cross(w, a, &s, &h); why != OK {
				return why
			}
			continue
		}
		at := w.n
		if !w.Raw(a.Raw) {
			return Overflow
		}
		if !clear {
			c.rehideReply(w.b[at:w.n], a, &s, &h)
		}
	}
	return OK
}

// rehideReply carries the hidden values of one attribute of a reply (or of a
// CoA-Request, which is one in reverse) from a to dst, a copy of it.
func (c *Crypt) rehideReply(dst []byte, a Attr, s *salts, h *hop) {
	const tagLen = 1
	switch a.Type {
	case TunnelPassword:
		if len(a.Raw) > 2+tagLen {
			c.rehideSalted(dst[2+tagLen:], a.Raw[2+tagLen:], s, h)
		}
	case VendorSpecific:
		c.rehideVendor(dst, a.Raw, s, h)
	}
}
