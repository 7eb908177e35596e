package hide

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
)

// seal encrypts what stands in front of a realm. The tag is a CBC-MAC over the lengths,
// the realm and the text, prefix-free by the first two octets, and is where the key
// stream begins.
type seal struct {
	mac, stream cipher.Block
	block, pad  [aes.BlockSize]byte
	text        [1 + tagLen + maxName]byte
	tagged      [2 + 2*maxName]byte
}

const (
	// marker begins a pseudonym: a letter, as labels of hosts do.
	marker = 't'
	tagLen = 8
	// perLabel are the octets of a label, whose limit is 63.
	perLabel = 60
	// maxFront bounds what is hidden: more has no place in a name.
	maxFront = 120
)

func newSeal(key []byte) seal {
	derive := func(of string) cipher.Block {
		m := hmac.New(sha256.New, key)
		m.Write([]byte("roamgate topology " + of))
		b, err := aes.NewCipher(m.Sum(nil)[:16])
		if err != nil {
			panic("hide: " + err.Error()) // 16 octets are a key
		}
		return b
	}
	return seal{mac: derive("tag"), stream: derive("stream")}
}

// tag is that of a text in front of a realm, folded.
func (s *seal) tag(text, realm []byte) [tagLen]byte {
	b := append(append(append(s.tagged[:0], byte(len(text)), byte(len(realm))), realm...), text...)
	clear(s.block[:])
	for len(b) > 0 {
		n := subtle.XORBytes(s.block[:], s.block[:], b[:min(len(b), aes.BlockSize)])
		s.mac.Encrypt(s.block[:], s.block[:])
		b = b[n:]
	}
	return [tagLen]byte(s.block[:])
}

// crypt is its own inverse.
func (s *seal) crypt(text []byte, tag [tagLen]byte) {
	clear(s.block[:])
	copy(s.block[:], tag[:])
	for len(text) > 0 {
		s.stream.Encrypt(s.pad[:], s.block[:])
		s.block[aes.BlockSize-1]++
		text = text[subtle.XORBytes(text, text, s.pad[:]):]
	}
}

const letters = "0123456789abcdefghijklmnopqrstuv"

// hide appends the labels of a pseudonym, without a dot behind.
func (s *seal) hide(dst, front, realm []byte) ([]byte, bool) {
	if len(front) == 0 || len(front) > maxFront {
		return nil, false
	}
	tag := s.tag(front, realm)
	raw := append(append(append(s.text[:0], byte(len(front))), tag[:]...), front...)
	s.crypt(raw[1+tagLen:], tag)
	dst = append(dst, marker)
	var bits, have uint
	n := 0
	put := func(v uint) {
		if n == perLabel {
			dst = append(dst, '.')
			n = 0
		}
		dst = append(dst, letters[v&31])
		n++
	}
	for _, c := range raw {
		bits, have = bits<<8|uint(c), have+8
		for ; have >= 5; have -= 5 {
			put(bits >> (have - 5))
		}
	}
	if have > 0 {
		put(bits << (5 - have))
	}
	return dst, true
}

// restore appends what stood in front of the realm, nil: this is no pseudonym of ours.
// used are the octets of name in front of the realm's dot.
func (s *seal) restore(dst, name []byte) (plain []byte, used int) {
	if len(name) < 16 || name[0]|0x20 != marker {
		return nil, 0
	}
	raw := s.text[:0]
	var bits, have uint
	n, need, at := 0, 1, 1
	for ; len(raw) < need && at < len(name); at++ {
		c := name[at]
		if n == perLabel {
			if n = 0; c != '.' {
				return nil, 0
			}
			continue
		}
		v := value(c)
		if v > 31 {
			return nil, 0
		}
		n++
		bits, have = bits<<5|v, have+5
		if have >= 8 {
			have -= 8
			if raw = append(raw, byte(bits>>have)); len(raw) == 1 {
				if need = 1 + tagLen + int(raw[0]); raw[0] == 0 || raw[0] > maxFront {
					return nil, 0
				}
			}
		}
	}
	if len(raw) < need || at >= len(name) || name[at] != '.' || bits&(1<<have-1) != 0 {
		return nil, 0
	}
	tag := [tagLen]byte(raw[1:])
	text := raw[1+tagLen:]
	s.crypt(text, tag)
	var realm [maxName]byte
	folded := fold(realm[:0], name[at+1:])
	want := s.tag(text, folded)
	if subtle.ConstantTimeCompare(want[:], tag[:]) != 1 {
		return nil, 0
	}
	return append(dst, text...), at
}

func value(c byte) uint {
	switch {
	case c >= '0' && c <= '9':
		return uint(c - '0')
	case c >= 'a' && c <= 'v':
		return uint(c-'a') + 10
	case c >= 'A' && c <= 'V':
		return uint(c-'A') + 10
	}
	return 255
}
