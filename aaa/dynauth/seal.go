package dynauth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/roamgate/roamgate/pkg/radius"
)

// OperatorNASIdentifier is the extended type of 241 that names a NAS to its own
// operator only (RFC 8559 section 3.4).
const OperatorNASIdentifier = 8

// A token is a version, sixteen octets that are both its seal and its nonce, and
// whole blocks: a mark of the client, then the attributes that named the NAS,
// then zeros. It is the same for the same NAS, so that a home can still tell
// two of them apart.
const (
	tokenVersion = 1
	tokenHead    = 1 + aes.BlockSize
	tokenBlocks  = 14
	tokenPlain   = tokenBlocks * aes.BlockSize
	maxToken     = tokenHead + tokenPlain // 252 are what 241.8 can hold
)

// Mark tells the clients of an operator apart inside a token.
type Mark [8]byte

// Sealer hides what names a NAS and finds it again. All hubs of one operator
// that have one key read each other's tokens, and a restart changes nothing. It
// belongs to one goroutine.
type Sealer struct {
	mac, enc cipher.Block
	k1, k2   [aes.BlockSize]byte // subkeys of the MAC (RFC 4493 section 2.3)
	marks    []byte              // keys the marks
	in, out  [aes.BlockSize]byte
	plain    [tokenPlain]byte
	message  [2 + radius.MaxValue + tokenPlain]byte
}

// NewSealer derives its keys from key, which is not retained.
func NewSealer(key []byte) *Sealer {
	derive := func(purpose string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte("operator-nas-identifier " + purpose))
		return h.Sum(nil)
	}
	block := func(purpose string) cipher.Block {
		b, err := aes.NewCipher(derive(purpose)[:aes.BlockSize])
		if err != nil {
			panic("dynauth: " + err.Error()) // the length is that of a key
		}
		return b
	}
	s := &Sealer{mac: block("seal"), enc: block("hide"), marks: derive("mark")}
	s.mac.Encrypt(s.k1[:], s.in[:])
	double(&s.k1)
	s.k2 = s.k1
	double(&s.k2)
	return s
}

// double multiplies by x in the field of the MAC.
func double(b *[aes.BlockSize]byte) {
	carry := b[0] >> 7
	for i := range len(b) - 1 {
		b[i] = b[i]<<1 | b[i+1]>>7
	}
	b[len(b)-1] = b[len(b)-1]<<1 ^ carry*0x87
}

// Mark is that of a client's name.
func (s *Sealer) Mark(client string) (m Mark) {
	h := hmac.New(sha256.New, s.marks)
	h.Write([]byte(client))
	copy(m[:], h.Sum(nil))
	return m
}

// Attributes are a packet or what becomes one.
type Attributes interface {
	First(t radius.Type) ([]byte, bool)
}

// Append appends what stands in a request toward a home in the place of
// NAS-IP-Address, NAS-IPv6-Address and NAS-Identifier of p, which the caller
// leaves out with any Operator-NAS-Identifier: a NAS-Identifier that is the
// operator's realm, and an Operator-NAS-Identifier. operator is the value of
// the one Operator-Name of the request; without one there is nothing to append
// (RFC 8559 section 3.4). A NAS-Identifier that is too long for a token is not
// found again.
//
// hot: 0 allocs
func (s *Sealer) Append(dst []byte, p Attributes, operator []byte, m Mark) []byte {
	if len(operator) < 2 || len(operator) > radius.MaxValue {
		return dst
	}
	n := s.describe(p, m)
	dst = append(dst, byte(radius.NASIdentifier), byte(1+len(operator)))
	dst = append(dst, operator[1:]...)
	dst = append(dst, byte(radius.ExtendedAttribute1), byte(3+tokenHead+n), OperatorNASIdentifier, tokenVersion)
	s.seal(operator, s.plain[:n])
	seal := s.out
	dst = append(dst, seal[:]...)
	at := len(dst)
	dst = append(dst, s.plain[:n]...)
	s.stream(dst[at:], &seal)
	return dst
}

// NASTypes are the attributes that Append stands for. An Operator-NAS-Identifier
// is another one, which a set of types cannot name.
func NASTypes() (d radius.Drop) {
	d.Set(radius.NASIPAddress)
	d.Set(radius.NASIPv6Address)
	d.Set(radius.NASIdentifier)
	return d
}

// describe writes the plain octets of a token, whole blocks.
func (s *Sealer) describe(p Attributes, m Mark) int {
	clear(s.plain[:])
	n := copy(s.plain[:], m[:])
	for _, t := range [...]radius.Type{radius.NASIPAddress, radius.NASIPv6Address, radius.NASIdentifier} {
		if v, ok := p.First(t); ok && n+2+len(v) <= tokenPlain {
			s.plain[n], s.plain[n+1] = byte(t), byte(2+len(v))
			n += 2 + copy(s.plain[n+2:], v)
		}
	}
	return (n + aes.BlockSize - 1) &^ (aes.BlockSize - 1)
}

// Open reads a token that stood beside operator: the mark of its client and the
// attributes that named the NAS, good until the next call. It is not ok for
// what this key has not made, or not for this operator.
func (s *Sealer) Open(token, operator []byte) (m Mark, attributes []byte, ok bool) {
	if len(token) <= tokenHead || len(token) > maxToken || token[0] != tokenVersion ||
		(len(token)-tokenHead)%aes.BlockSize != 0 || len(operator) > radius.MaxValue {
		return m, nil, false
	}
	seal := [aes.BlockSize]byte(token[1:])
	plain := s.plain[:copy(s.plain[:], token[tokenHead:])]
	s.stream(plain, &seal)
	s.seal(operator, plain)
	if subtle.ConstantTimeCompare(s.out[:], seal[:]) != 1 {
		return m, nil, false
	}
	rest := plain[copy(m[:], plain):]
	n := 0
	for n+2 <= len(rest) && rest[n] != 0 {
		n += int(rest[n+1]) // ours: the seal says so
	}
	return m, rest[:n], true
}

// seal leaves in s.out the MAC (RFC 4493) of the operator, case folded as it is
// looked up, and the plain octets.
func (s *Sealer) seal(operator, plain []byte) {
	b := append(s.message[:0], byte(len(operator)))
	for _, c := range operator {
		b = append(b, lower(c))
	}
	b = append(b, plain...)
	clear(s.out[:])
	for ; len(b) > aes.BlockSize; b = b[aes.BlockSize:] {
		s.mix(b[:aes.BlockSize], nil)
	}
	last, key := s.in[:0], &s.k1
	if last = append(last, b...); len(b) < aes.BlockSize {
		last, key = append(last, 0x80), &s.k2
	}
	clear(s.in[len(last):])
	s.mix(s.in[:], key)
}

// mix encrypts what there is and another block.
func (s *Sealer) mix(block []byte, key *[aes.BlockSize]byte) {
	for i := range s.in {
		c := block[i] ^ s.out[i]
		if key != nil {
			c ^= key[i]
		}
		s.in[i] = c
	}
	s.mac.Encrypt(s.out[:], s.in[:])
}

// stream hides or shows b under a seal: the seal is the counter of the first
// block, as in RFC 5297.
func (s *Sealer) stream(b []byte, seal *[aes.BlockSize]byte) {
	s.in = *seal
	s.in[8] &= 0x7f // room to count without a carry
	s.in[12] &= 0x7f
	for ; len(b) > 0; b = b[min(len(b), aes.BlockSize):] {
		s.enc.Encrypt(s.out[:], s.in[:])
		for i := range min(len(b), aes.BlockSize) {
			b[i] ^= s.out[i]
		}
		s.in[15]++
	}
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
