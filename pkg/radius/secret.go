package radius

import (
	"crypto/md5"
	"encoding"
	"fmt"

	"github.com/roamgate/roamgate/pkg/radius/lanes"
)

// Secret is a shared secret with the two HMAC-MD5 key states made from it.
// It is immutable, safe for concurrent use, and prints as "[secret]" whatever
// way it is formatted or marshalled.
type Secret struct {
	raw          []byte
	inner, outer []byte // crypto/md5 states after the padded key (RFC 2104)
	// The same two states for packets that are hashed together.
	innerState, outerState *lanes.State
	clear                  bool // Clear alone
}

const redacted = "[secret]"

// NewSecret copies b. That b is neither empty nor weak is for the
// configuration to see to.
func NewSecret(b []byte) *Secret {
	key := b
	if len(key) > md5.BlockSize {
		sum := md5.Sum(b)
		key = sum[:]
	}
	ipad, opad := padded(key, 0x36), padded(key, 0x5c)
	return &Secret{
		raw:   append([]byte(nil), b...),
		inner: keyState(&ipad), outer: keyState(&opad),
		innerState: lanes.After(&ipad), outerState: lanes.After(&opad),
	}
}

func padded(key []byte, pad byte) (block [md5.BlockSize]byte) {
	copy(block[:], key)
	for i := range block {
		block[i] ^= pad
	}
	return block
}

func keyState(block *[md5.BlockSize]byte) []byte {
	h := md5.New()
	h.Write(block[:])
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic("radius: crypto/md5 does not give its state: " + err.Error())
	}
	return state
}

// Len returns the number of octets of the secret.
func (s *Secret) Len() int { return len(s.raw) }

// String hides the secret.
func (s Secret) String() string { return redacted }

// GoString hides the secret.
func (s Secret) GoString() string { return redacted }

// Format hides the secret from every verb, %x included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText hides the secret from JSON, YAML and log encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
