package radius

import "encoding/binary"

// Clear is the secret of a RADIUS/1.1 connection: there is none (RFC 9765).
// What is proved with it is true, as TLS has proved it; what is signed with it
// carries a Token in the place of its authenticator, and no
// Message-Authenticator; values are not hidden. A packet for such a connection
// is built with the identifier 0 and an authenticator that PutToken has made.
//
// It tells itself from NewSecret by its identity alone: no configuration can
// name it.
var Clear = &Secret{clear: true}

// IsClear reports whether s is Clear. nil is not.
func (s *Secret) IsClear() bool { return s != nil && s.clear }

// Token is the number under which a packet of RADIUS/1.1 is answered. It stands
// where the authenticator of other versions begins; the twelve octets behind it
// are reserved.
func Token(auth *[16]byte) uint32 { return binary.BigEndian.Uint32(auth[:4]) }

// PutToken makes auth that of a packet with the token.
func PutToken(auth *[16]byte, token uint32) {
	*auth = [16]byte{}
	binary.BigEndian.PutUint32(auth[:4], token)
}

// token puts the token of a request into the answer that is being built.
func (w *Writer) token(request *[16]byte) {
	var auth [16]byte
	PutToken(&auth, Token(request))
	w.SetAuthenticator(&auth)
}

// maxTag is the highest tag of a tunnel (RFC 2868 section 3.1).
const maxTag = 0x1f

// crosses reports whether values are hidden on one side of the hop only.
func (h *hop) crosses() bool { return h.in.IsClear() != h.out.IsClear() }

// toClear reports whether they are not hidden on its far side.
func (h *hop) toClear() bool { return h.out.IsClear() }

// cross carries an attribute of a reply to the other version of RADIUS, where it
// is longer or shorter if it is of a kind that is hidden. One that cannot be what
// it claims is left out, as nobody could use it.
func (c *Crypt) cross(w *Writer, a Attr, s *salts, h *hop) Reason {
	switch a.Type {
	case TunnelPassword:
		return c.crossTunnel(w, a, s, h)
	case VendorSpecific:
		if subs, ok := subAttributes(a.Raw, VendorMicrosoft); ok && haveKeys(subs) {
			return c.crossVendor(w, subs, s, h)
		}
	}
	return fits(w.Raw(a.Raw))
}

func fits(ok bool) Reason {
	if !ok {
		return Overflow
	}
	return OK
}

// crossPassword: an empty password is one octet of zero where it must have one,
// as the padding of the other side does not tell them apart.
func (c *Crypt) crossPassword(w *Writer, value []byte, h *hop) Reason {
	var clear [maxPassword]byte
	if h.toClear() {
		n, ok := c.RevealUserPassword(clear[:], value, h.inAuth, h.in)
		if !ok {
			return BadUserPassword
		}
		return fits(w.Add(UserPassword, clear[:max(n, 1)]))
	}
	if len(value) == 0 {
		return BadUserPassword
	}
	n, ok := c.HideUserPassword(clear[:], value, h.outAuth, h.out)
	if !ok {
		return BadUserPassword
	}
	return fits(w.Add(UserPassword, clear[:n]))
}

// crossTunnel: a Tunnel-Password that is not hidden is a string with a tag, and
// where the tag is none it is the string's first octet (RFC 2868 section 3.3).
func (c *Crypt) crossTunnel(w *Writer, a Attr, s *salts, h *hop) Reason {
	var buf [MaxValue]byte
	v := a.Value()
	if len(v) == 0 {
		return fits(w.Raw(a.Raw))
	}
	tag := v[0]
	if tag > maxTag {
		tag = 0
	}
	buf[0] = tag
	if h.toClear() {
		n, ok := c.open(buf[1:], v[1:], h)
		if !ok {
			return OK
		}
		return fits(w.Add(TunnelPassword, buf[:1+n]))
	}
	if v[0] <= maxTag {
		v = v[1:]
	}
	n, ok := c.seal(buf[1:], v, s, h)
	if !ok {
		return OK
	}
	return fits(w.Add(TunnelPassword, buf[:1+n]))
}

// crossVendor writes each sub-attribute as an attribute of its own: together
// they may have no room in one any more.
func (c *Crypt) crossVendor(w *Writer, subs []byte, s *salts, h *hop) Reason {
	var buf [MaxValue]byte
	for ; len(subs) > 0; subs = subs[subs[1]:] {
		v := subs[2:subs[1]]
		n, ok := 0, true
		switch {
		case subs[0] == MSCHAPMPPEKeys && h.toClear():
			n, ok = c.openKeys(buf[:], v, h)
		case subs[0] == MSCHAPMPPEKeys:
			n, ok = c.HideUserPassword(buf[:], v, h.outAuth, h.out)
		case !isKey(subs[0]):
			n = copy(buf[:], v)
		case h.toClear():
			n, ok = c.open(buf[:], v, h)
		default:
			n, ok = c.seal(buf[:], v, s, h)
		}
		if ok && !w.AddVendor(VendorMicrosoft, subs[0], buf[:n]) {
			return Overflow
		}
	}
	return OK
}

// chapKeys are the octets of MS-CHAP-MPPE-Keys before their padding (RFC 2548
// section 2.4.1). Zeros at their end belong to them.
const chapKeys = 24

func (c *Crypt) openKeys(dst, value []byte, h *hop) (n int, ok bool) {
	if len(value) != blocks(chapKeys) {
		return 0, false
	}
	c.reveal(dst, value, h.inAuth, nil, h.in)
	return chapKeys, true
}

// open reads a salted value.
func (c *Crypt) open(dst, value []byte, h *hop) (n int, ok bool) {
	if len(value) < saltLen {
		return 0, false
	}
	return c.RevealSalted(dst, value[saltLen:], [saltLen]byte(value), h.inAuth, h.in)
}

// seal writes a salted value with its salt.
func (c *Crypt) seal(dst, value []byte, s *salts, h *hop) (n int, ok bool) {
	var salt [saltLen]byte
	c.nextSalt(s, salt[:])
	copy(dst, salt[:])
	n, ok = c.HideSalted(dst[saltLen:], value, salt, h.outAuth, h.out)
	return saltLen + n, ok
}

// isKey reports whether a sub-attribute of Microsoft's is hidden.
func isKey(vtype uint8) bool {
	return vtype == MSMPPESendKey || vtype == MSMPPERecvKey || vtype == MSCHAPMPPEKeys
}

func haveKeys(subs []byte) bool {
	for ; len(subs) > 0; subs = subs[subs[1]:] {
		if isKey(subs[0]) {
			return true
		}
	}
	return false
}
