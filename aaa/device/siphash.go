package device

import (
	"encoding/binary"
	"math/bits"
)

// Key is a keyed 128-bit hash of a device's identity. Without the key it tells
// nothing about the device, so it may stand in logs and records.
type Key [16]byte

// words gives the key as table words; the first is never zero, which marks an
// empty slot.
func (k Key) words() (k0, k1 uint64) {
	k0 = binary.LittleEndian.Uint64(k[:8])
	if k0 == 0 {
		k0 = 1
	}
	return k0, binary.LittleEndian.Uint64(k[8:])
}

// hasher is SipHash-2-4 with 128 bits of output (Aumasson, Bernstein): a
// pseudo-random function, so that nobody who does not know the key can aim
// devices at one slot or at one another's policy.
type hasher struct{ k0, k1 uint64 }

type sip struct{ v0, v1, v2, v3 uint64 }

func (s *sip) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}

func (s *sip) block(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

func (s *sip) finish() uint64 {
	s.round()
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

// sum hashes b. hot: 0 allocs
func (h hasher) sum(b []byte) (k Key) {
	s := sip{
		v0: h.k0 ^ 0x736f6d6570736575,
		v1: h.k1 ^ 0x646f72616e646f6d ^ 0xee,
		v2: h.k0 ^ 0x6c7967656e657261,
		v3: h.k1 ^ 0x7465646279746573,
	}
	last := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		s.block(binary.LittleEndian.Uint64(b))
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	s.block(last)
	s.v2 ^= 0xee
	binary.LittleEndian.PutUint64(k[:8], s.finish())
	s.v1 ^= 0xdd
	binary.LittleEndian.PutUint64(k[8:], s.finish())
	return k
}
