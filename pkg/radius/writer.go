package radius

import "encoding/binary"

// Writer builds a packet into a buffer of its caller, which it retains until
// the next Start. What would pass MaxLen or the buffer is refused whole: the
// packet stays as it was. All methods: hot, 0 allocs.
type Writer struct {
	b  []byte // the caller's buffer, at most MaxLen of it
	n  int    // octets written
	ma int    // offset of the value of our Message-Authenticator, 0 for none
}

// Start begins a packet in buf, which must hold at least a header and, withMA, a
// Message-Authenticator. withMA reserves that as first attribute, where no
// prefix chosen by others can stand before it (CVE-2024-3596).
func (w *Writer) Start(buf []byte, code Code, id uint8, withMA bool) {
	w.b, w.n, w.ma = buf[:min(len(buf), MaxLen)], HeaderLen, 0
	clear(w.b[:HeaderLen])
	w.b[0], w.b[1] = byte(code), id
	if withMA {
		w.ma = HeaderLen + 2
		w.n = w.ma + 16
		w.b[HeaderLen], w.b[HeaderLen+1] = byte(MessageAuthenticator), 2+16
		clear(w.b[w.ma:w.n])
	}
}

// SetAuthenticator copies a into the packet.
func (w *Writer) SetAuthenticator(a *[16]byte) { copy(w.b[4:HeaderLen], a[:]) }

// Authenticator points at the authenticator of the packet being built.
func (w *Writer) Authenticator() *[16]byte { return (*[16]byte)(w.b[4:]) }

// Len returns the octets written so far.
func (w *Writer) Len() int { return w.n }

// Room returns the octets that still fit.
func (w *Writer) Room() int { return len(w.b) - w.n }

// Add appends an attribute.
func (w *Writer) Add(t Type, value []byte) bool {
	n := 2 + len(value)
	if len(value) > MaxValue || n > w.Room() {
		return false
	}
	w.b[w.n], w.b[w.n+1] = byte(t), byte(n)
	copy(w.b[w.n+2:], value)
	w.n += n
	return true
}

// AddUint32 appends an attribute of four octets.
func (w *Writer) AddUint32(t Type, v uint32) bool {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return w.Add(t, b[:])
}

// AddVendor appends a Vendor-Specific attribute with one sub-attribute.
func (w *Writer) AddVendor(vendor uint32, vtype uint8, value []byte) bool {
	n := 2 + 4 + 2 + len(value)
	if n > 2+MaxValue || n > w.Room() {
		return false
	}
	b := w.b[w.n : w.n+n]
	b[0], b[1] = byte(VendorSpecific), byte(n)
	binary.BigEndian.PutUint32(b[2:], vendor)
	b[6], b[7] = vtype, byte(2+len(value))
	copy(b[8:], value)
	w.n += n
	return true
}

// Raw appends whole attributes as they are. tlv must be well formed.
func (w *Writer) Raw(tlv []byte) bool {
	if len(tlv) > w.Room() {
		return false
	}
	w.n += copy(w.b[w.n:], tlv)
	return true
}

// AddEAPFailure appends the EAP-Failure that answers the EAP packet id
// (RFC 3579 section 2.6.3).
func (w *Writer) AddEAPFailure(id uint8) bool {
	const failure = 4
	return w.Add(EAPMessage, []byte{failure, id, 0, 4})
}

// AddErrorCause appends an Error-Cause (RFC 5176 section 3.5).
func (w *Writer) AddErrorCause(v uint32) bool { return w.AddUint32(ErrorCause, v) }

// StartProtocolError begins the answer to a packet that cannot be dealt with
// (RFC 7930 section 4): the code that it had, unless s is Clear, where its Token
// says which it was (RFC 9765 section 5.5), and why. It ends with SignResponse.
func (w *Writer) StartProtocolError(buf []byte, id uint8, original Code, cause uint32, s *Secret) {
	w.Start(buf, ProtocolError, id, !s.clear)
	if !s.clear {
		w.Raw([]byte{byte(extended1), 3 + 4, originalPacketCode, 0, 0, 0, byte(original)})
	}
	w.AddErrorCause(cause)
}

// Original-Packet-Code is 241.4, an integer of four octets.
const (
	extended1          Type = 241
	originalPacketCode byte = 4
)

// SignRequest ends an Access-Request or Status-Server: its
// Message-Authenticator is made over the authenticator set before. The octets
// returned lie in the buffer given to Start.
func (w *Writer) SignRequest(c *Crypt, s *Secret) []byte {
	b := w.end()
	w.sign(c, s)
	return b
}

// SignAccounting ends an Accounting-Request, CoA-Request or
// Disconnect-Request: Message-Authenticator over sixteen zero octets if there
// is one, then the Request Authenticator over all (RFC 2866 section 3).
func (w *Writer) SignAccounting(c *Crypt, s *Secret) []byte {
	if s.clear {
		return w.end()
	}
	return w.SignResponse(c, s, &zeros)
}

// SignResponse ends a reply to the request that carried reqAuth:
// Message-Authenticator if there is one, then the Response Authenticator.
func (w *Writer) SignResponse(c *Crypt, s *Secret, reqAuth *[16]byte) []byte {
	b := w.end()
	if s.clear {
		w.token(reqAuth)
		return b
	}
	w.SetAuthenticator(reqAuth)
	w.sign(c, s)
	copy(b[4:HeaderLen], c.authenticator(b, reqAuth, s))
	return b
}

func (w *Writer) end() []byte {
	b := w.b[:w.n:w.n]
	binary.BigEndian.PutUint16(b[2:], uint16(w.n))
	return b
}

// sign makes the Message-Authenticator over the packet as it stands.
func (w *Writer) sign(c *Crypt, s *Secret) {
	if w.ma == 0 || s.clear {
		return
	}
	mac := w.b[w.ma : w.ma+16]
	clear(mac) // signed before, as a request that is sent again with changes
	c.hmacStart(s)
	c.h.Write(w.b[:w.n])
	copy(mac, c.hmacSum(s))
}
