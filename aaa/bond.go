package aaa

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/wba"
)

// bond seals what two networks have agreed on for a session in a Class, which the
// visited network repeats in every record of it (RFC 2865 section 5.25). So the
// hub need not remember sessions, a restart loses nothing, and every hub with the
// same identity key reads it. Nobody else can make one, and one that was given to
// a client for a user of one realm is of no use to another client, nor for users
// of another realm: a rate that one home has agreed to is never another's. It
// hides nothing: both have said it to each other.
//
// It belongs to one shard.
type bond struct {
	mac  hash.Hash
	sum  [sha256.Size]byte
	out  [2 + bondLen]byte
	name [maxParty + 1 + nai.MaxLen]byte
}

// A bond is a mark, whether the session is paid, the rate (zeros: none), a nonce,
// so that two sessions never have one Class, and a tag.
const (
	bondMark  = "rg$"
	bondRate  = len(bondMark) + 1
	bondNonce = 8
	bondTag   = 8
	bondHead  = bondRate + wba.RateLen + bondNonce
	bondLen   = bondHead + bondTag
	maxParty  = 256 // octets of a client's name that count
)

// bondLabel keeps the key of these tags apart from others of the hub's key.
const bondLabel = "roamgate session terms 1"

func newBond(identity []byte) bond { return bond{mac: keyed(identity, bondLabel)} }

// keyed gives the hash of one use of the hub's own key. Its Reset does not
// allocate.
func keyed(identity []byte, label string) hash.Hash {
	key := hmac.New(sha256.New, identity)
	key.Write([]byte(label))
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Sum(nil) // the first Reset after it saves the keyed state
	mac.Reset()
	mac.Sum(nil)
	return mac
}

// seal makes the attribute. It is good until the next one.
//
// hot: 0 allocs
func (b *bond) seal(how settlement, rate wba.Rate, nonce [bondNonce]byte, client string, realm []byte) []byte {
	b.out[0], b.out[1] = byte(radius.Class), byte(len(b.out))
	v := append(append(b.out[2:2], bondMark...), byte(how))
	if rate == (wba.Rate{}) {
		v = append(v, make([]byte, wba.RateLen)...)
	} else {
		v = rate.Append(v)
	}
	v = append(v, nonce[:]...)
	return append(b.out[:2+len(v)], b.tag(v, client, realm)...)
}

// open reads the value of a Class; ok is false for one that was not sealed with
// our key for the client and the realm.
//
// hot: 0 allocs
func (b *bond) open(v []byte, client string, realm []byte) (how settlement, rate wba.Rate, ok bool) {
	if len(v) != bondLen || string(v[:len(bondMark)]) != bondMark {
		return unsettled, rate, false
	}
	if !hmac.Equal(v[bondHead:], b.tag(v[:bondHead], client, realm)) {
		return unsettled, rate, false
	}
	rate, _ = wba.ReadRate(v[bondRate : bondRate+wba.RateLen])
	return settlement(v[len(bondMark)]), rate, true
}

// tag is what only who has the key can make. It is good until the next one.
func (b *bond) tag(head []byte, client string, realm []byte) []byte {
	b.mac.Reset()
	b.mac.Write(head)
	name := append(append(b.name[:0], client[:min(len(client), maxParty)]...), 0)
	b.mac.Write(append(name, realm[:min(len(realm), nai.MaxLen)]...))
	return b.mac.Sum(b.sum[:0])[:bondTag]
}
