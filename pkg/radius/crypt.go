package radius

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/subtle"
	"encoding"
	"encoding/binary"
	"hash"
)

// Crypt proves and makes authenticators and hidden values. It is scratch space
// (hash states, a supply of random octets) of one shard: not safe for
// concurrent use, kept for the shard's life. All comparisons take the same time
// wherever the difference lies. All methods: hot, 0 allocs.
type Crypt struct {
	h      hash.Hash                  // the only hash state of the shard
	resume encoding.BinaryUnmarshaler // the same, for taking up a key state
	head   [HeaderLen]byte            // header as it counts for a hash
	sum    [md5.Size]byte

	from, to stream // key streams of the two hops

	random [1024]byte // drawn in one system call
	spent  int
}

// zeros stands in for an authenticator not yet made.
var zeros [16]byte

// NewCrypt makes the scratch space of one shard.
func NewCrypt() *Crypt {
	h := md5.New()
	c := &Crypt{h: h, resume: h.(encoding.BinaryUnmarshaler)}
	c.spent = len(c.random)
	c.from.buf = make([]byte, 0, 256)
	c.to.buf = make([]byte, 0, 256)
	return c
}

// Random fills dst with fresh octets from the system's generator.
func (c *Crypt) Random(dst []byte) {
	for len(dst) > 0 {
		if c.spent == len(c.random) {
			_, _ = rand.Read(c.random[:]) // cannot fail: the runtime ends the process first
			c.spent = 0
		}
		n := copy(dst, c.random[c.spent:])
		clear(c.random[c.spent : c.spent+n]) // what has been handed out is not kept
		c.spent += n
		dst = dst[n:]
	}
}

// CheckMessageAuthenticator proves the Message-Authenticator of a request: over
// its own authenticator for Access-Request and Status-Server (RFC 3579 section
// 3.2, RFC 5997 section 3), over sixteen zero octets for Accounting-Request,
// CoA-Request and Disconnect-Request (RFC 5176 section 3.4). It is false when
// there is none, and for all other codes.
func (c *Crypt) CheckMessageAuthenticator(p *Packet, s *Secret) bool {
	switch p.Code() {
	case AccessRequest, StatusServer:
		return c.checkMA(p, p.Authenticator(), s)
	case AccountingRequest, CoARequest, DisconnectRequest:
		return c.checkMA(p, &zeros, s)
	}
	return false
}

// CheckResponseMessageAuthenticator proves the Message-Authenticator of a reply
// to the request that carried reqAuth. It is false when there is none.
func (c *Crypt) CheckResponseMessageAuthenticator(p *Packet, reqAuth *[16]byte, s *Secret) bool {
	return c.checkMA(p, reqAuth, s)
}

func (c *Crypt) checkMA(p *Packet, auth *[16]byte, s *Secret) bool {
	off := int(p.first[MessageAuthenticator])
	if off == 0 || s.clear {
		return s.clear
	}
	off += 2
	c.hmacStart(s)
	c.header(p.b, auth)
	c.h.Write(p.b[HeaderLen:off])
	c.h.Write(zeros[:])
	c.h.Write(p.b[off+16:])
	return subtle.ConstantTimeCompare(c.hmacSum(s), p.b[off:off+16]) == 1
}

// CheckRequestAuthenticator proves the Request Authenticator of an
// Accounting-Request (RFC 2866 section 3), CoA-Request or Disconnect-Request
// (RFC 5176 section 2.3). An authenticator of zeros is wrong like any other.
func (c *Crypt) CheckRequestAuthenticator(p *Packet, s *Secret) bool {
	switch p.Code() {
	case AccountingRequest, CoARequest, DisconnectRequest:
		return c.CheckResponse(p, &zeros, s)
	}
	return false
}

// CheckResponse proves the Response Authenticator of a reply to the request
// that carried reqAuth (RFC 2865 section 3).
func (c *Crypt) CheckResponse(p *Packet, reqAuth *[16]byte, s *Secret) bool {
	if s.clear {
		return true
	}
	sum := c.authenticator(p.b, reqAuth, s)
	return subtle.ConstantTimeCompare(sum, p.Authenticator()[:]) == 1
}

// authenticator is MD5(code, id, length, auth, attributes, secret).
func (c *Crypt) authenticator(b []byte, auth *[16]byte, s *Secret) []byte {
	c.h.Reset()
	c.header(b, auth)
	c.h.Write(b[HeaderLen:])
	c.h.Write(s.raw)
	return c.h.Sum(c.sum[:0])
}

// header hashes the header of b with auth in the place of its authenticator.
// auth is copied first: given to the hash it would escape to the heap.
func (c *Crypt) header(b []byte, auth *[16]byte) {
	copy(c.head[:], b[:4])
	copy(c.head[4:], auth[:])
	c.h.Write(c.head[:])
}

func (c *Crypt) hmacStart(s *Secret) {
	if c.resume.UnmarshalBinary(s.inner) != nil {
		panic("radius: Secret not made by NewSecret")
	}
}

// hmacSum ends what hmacStart began; the result is valid until the next hash.
func (c *Crypt) hmacSum(s *Secret) []byte {
	inner := c.h.Sum(c.sum[:0])
	if c.resume.UnmarshalBinary(s.outer) != nil {
		panic("radius: Secret not made by NewSecret")
	}
	c.h.Write(inner)
	return c.h.Sum(c.sum[:0])
}

// stream is the key stream that hides a value: MD5 over the secret and what
// precedes the block (RFC 2865 section 5.2, RFC 2868 section 3.5).
type stream struct {
	buf []byte // the secret, then room for what precedes the block
	n   int
	key [md5.Size]byte
}

func (k *stream) start(s *Secret, auth, salt []byte) {
	k.buf = append(k.buf[:0], s.raw...)
	k.n = len(k.buf)
	k.buf = append(append(k.buf, auth...), salt...)
	k.key = md5.Sum(k.buf)
}

// next moves the stream behind the hidden block just handled.
func (k *stream) next(hidden []byte) {
	k.buf = append(k.buf[:k.n], hidden...)
	k.key = md5.Sum(k.buf)
}

func (k *stream) xor(dst, src []byte) {
	x := (*[16]byte)(src)
	y := (*[16]byte)(dst)
	le := binary.LittleEndian
	le.PutUint64(y[:], le.Uint64(x[:])^le.Uint64(k.key[:]))
	le.PutUint64(y[8:], le.Uint64(x[8:])^le.Uint64(k.key[8:]))
}
