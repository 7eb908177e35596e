package play

import (
	"crypto/md5"
	"encoding/binary"
)

const (
	mppeKeyLen    = 32
	mppeHiddenLen = 2 + 48 // salt, then length octet and key padded to blocks
)

// mppeKey is the key that a home derives for a device: both ends of a test
// can compute it, so the NAS notices a hop that re-encrypts wrongly.
func mppeKey(dst *[mppeKeyLen]byte, device uint64, vendorType uint8) {
	r := random(device ^ uint64(vendorType))
	for i := 0; i < mppeKeyLen; i += 8 {
		binary.BigEndian.PutUint64(dst[i:], r.next())
	}
}

// hideKey encrypts as RFC 2548 section 2.4.2 says, written apart from
// pkg/radius to be a second opinion. hot: 0 allocs
func hideKey(dst *[mppeHiddenLen]byte, key *[mppeKeyLen]byte, salt uint16, auth *[16]byte, secret []byte) {
	binary.BigEndian.PutUint16(dst[:2], salt|0x8000)
	clear(dst[2:])
	dst[2] = mppeKeyLen
	copy(dst[3:], key[:])
	var scratch mppeScratch
	mask := scratch.first(secret, auth, dst[:2])
	for at := 2; at < mppeHiddenLen; at += 16 {
		for i := range 16 {
			dst[at+i] ^= mask[i]
		}
		mask = scratch.following(secret, dst[at:at+16])
	}
}

// revealKey decrypts and reports whether the shape was right. hot: 0 allocs
func revealKey(key *[mppeKeyLen]byte, hidden []byte, auth *[16]byte, secret []byte) bool {
	if len(hidden) != mppeHiddenLen || hidden[0]&0x80 == 0 {
		return false
	}
	var plain [mppeHiddenLen - 2]byte
	var scratch mppeScratch
	mask := scratch.first(secret, auth, hidden[:2])
	for at := 0; at < len(plain); at += 16 {
		cipher := hidden[2+at : 2+at+16]
		for i := range 16 {
			plain[at+i] = cipher[i] ^ mask[i]
		}
		mask = scratch.following(secret, cipher)
	}
	copy(key[:], plain[1:])
	return plain[0] == mppeKeyLen
}

// mppeScratch holds the input of one MD5; secrets longer than it are cut,
// which no test uses.
type mppeScratch struct{ b [256]byte }

func (m *mppeScratch) first(secret []byte, auth *[16]byte, salt []byte) [16]byte {
	b := append(append(append(m.b[:0], secret...), auth[:]...), salt...)
	return md5.Sum(b)
}

func (m *mppeScratch) following(secret, block []byte) [16]byte {
	return md5.Sum(append(append(m.b[:0], secret...), block...))
}
