package radius

import "crypto/md5"

const (
	saltLen     = 2
	maxPassword = 128 // RFC 2865 section 5.2
)

// HideUserPassword writes value, padded with zeros to whole blocks, as the value
// of a User-Password to dst and returns its length. It is not ok when value is
// longer than 128 octets or dst too short. dst and value must not overlap.
func (c *Crypt) HideUserPassword(dst, value []byte, auth *[16]byte, s *Secret) (n int, ok bool) {
	n = max(blocks(len(value)), md5.Size)
	if len(value) > maxPassword || len(dst) < n {
		return 0, false
	}
	clear(dst[copy(dst, value):n])
	c.hide(dst[:n], auth, nil, s)
	return n, true
}

// RevealUserPassword writes the clear octets of a User-Password to dst, which
// needs room for len(value), and returns their number without the padding of
// zeros. It is not ok when value is not 16 to 128 octets in blocks of 16.
// dst and value must not overlap.
func (c *Crypt) RevealUserPassword(dst, value []byte, auth *[16]byte, s *Secret) (n int, ok bool) {
	if !passwordSize(len(value)) || len(dst) < len(value) {
		return 0, false
	}
	c.reveal(dst, value, auth, nil, s)
	for n = len(value); n > 0 && dst[n-1] == 0; n-- {
	}
	return n, true
}

// HideSalted writes value as a salted string to dst: one octet of length, value
// and zeros up to whole blocks, hidden (RFC 2868 section 3.5, RFC 2548 section
// 2.4.2). The two octets of salt precede the result in the attribute and are
// the caller's to write; the high bit of the first must be set. It is not ok
// when value is longer than 239 octets or dst too short.
func (c *Crypt) HideSalted(dst, value []byte, salt [2]byte, reqAuth *[16]byte, s *Secret) (n int, ok bool) {
	const room = (MaxValue - 1 - saltLen) &^ (md5.Size - 1)
	n = blocks(1 + len(value))
	if n > room || len(dst) < n {
		return 0, false
	}
	dst[0] = byte(len(value))
	clear(dst[1+copy(dst[1:], value) : n])
	c.hide(dst[:n], reqAuth, salt[:], s)
	return n, true
}

// RevealSalted writes the clear octets of a salted string (without its salt) to
// dst, which needs room for len(value), and returns their number. It is not ok
// when value is not in blocks of 16 or what comes out contradicts its length,
// as with a wrong secret. dst and value must not overlap.
func (c *Crypt) RevealSalted(dst, value []byte, salt [2]byte, reqAuth *[16]byte, s *Secret) (n int, ok bool) {
	if !whole(len(value)) || len(dst) < len(value) {
		return 0, false
	}
	c.reveal(dst, value, reqAuth, salt[:], s)
	n = int(dst[0])
	if n >= len(value) {
		return 0, false
	}
	copy(dst, dst[1:1+n])
	return n, true
}

// hide hides dst, whole blocks, in place.
func (c *Crypt) hide(dst []byte, auth *[16]byte, salt []byte, s *Secret) {
	c.to.start(s, auth[:], salt)
	for {
		block := dst[:md5.Size]
		c.to.xor(block, block)
		if dst = dst[md5.Size:]; len(dst) == 0 {
			return
		}
		c.to.next(block)
	}
}

func (c *Crypt) reveal(dst, value []byte, auth *[16]byte, salt []byte, s *Secret) {
	c.from.start(s, auth[:], salt)
	for {
		block := value[:md5.Size]
		c.from.xor(dst, block)
		if value = value[md5.Size:]; len(value) == 0 {
			return
		}
		c.from.next(block)
		dst = dst[md5.Size:]
	}
}

// hop is where a hidden value comes from and where it goes.
type hop struct {
	in, out         *Secret
	inAuth, outAuth *[16]byte
}

// rehide carries a value of whole blocks to the next hop. The clear octets
// exist one block at a time, and the length never changes: nothing about the
// content can be read from what is sent on. dst and value must not overlap.
func (c *Crypt) rehide(dst, value, inSalt, outSalt []byte, h *hop) {
	c.from.start(h.in, h.inAuth[:], inSalt)
	c.to.start(h.out, h.outAuth[:], outSalt)
	for {
		from, to := value[:md5.Size], dst[:md5.Size]
		c.from.xor(to, from)
		c.to.xor(to, to)
		value, dst = value[md5.Size:], dst[md5.Size:]
		if len(value) == 0 {
			return
		}
		c.from.next(from)
		c.to.next(to)
	}
}

// salts hands out the salts of one packet: unique in it, high bit set, starting
// anywhere (RFC 2868 section 3.5).
type salts struct {
	last  uint16
	drawn bool
}

func (c *Crypt) nextSalt(s *salts, dst []byte) {
	if !s.drawn {
		var b [saltLen]byte
		c.Random(b[:])
		s.last, s.drawn = uint16(b[0])<<8|uint16(b[1]), true
	}
	s.last = (s.last + 1) | 0x8000
	dst[0], dst[1] = byte(s.last>>8), byte(s.last)
}

// rehideSalted carries salt and string from value to dst, which is a copy of
// it. A string that is not in whole blocks cannot have been hidden: it stays.
func (c *Crypt) rehideSalted(dst, value []byte, s *salts, h *hop) {
	if len(value) < saltLen || !whole(len(value)-saltLen) {
		return
	}
	c.nextSalt(s, dst)
	c.rehide(dst[saltLen:], value[saltLen:], value[:saltLen], dst[:saltLen], h)
}

// rehideVendor carries the hidden sub-attributes of one Vendor-Specific
// attribute from raw to dst, which is a copy of it.
func (c *Crypt) rehideVendor(dst, raw []byte, s *salts, h *hop) {
	subs, ok := subAttributes(raw, VendorMicrosoft)
	if !ok {
		return
	}
	dst = dst[len(raw)-len(subs):]
	for ; len(subs) > 0; subs, dst = subs[subs[1]:], dst[subs[1]:] {
		to, from := dst[2:subs[1]], subs[2:subs[1]]
		switch subs[0] {
		case MSMPPESendKey, MSMPPERecvKey:
			c.rehideSalted(to, from, s, h)
		case MSCHAPMPPEKeys:
			if whole(len(from)) {
				c.rehide(to, from, nil, nil, h)
			}
		}
	}
}

func blocks(n int) int { return (n + md5.Size - 1) &^ (md5.Size - 1) }

// whole reports whether n octets are one or more blocks.
func whole(n int) bool { return n > 0 && n%md5.Size == 0 }

func passwordSize(n int) bool { return whole(n) && n <= maxPassword }
