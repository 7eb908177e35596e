package accounting

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/maphash"
)

// Key names one accounting event: a keyed 128-bit hash, so that neither a
// NAS nor a reader of the spool can make two events collide on purpose.
type Key [16]byte

// startWidth is the width in seconds of one bucket of session start. Start
// times that come from arrival times shift by a second or two between
// retransmissions, so Events also looks into both neighbour buckets.
const startWidth = 10

// untimed in the first octet of a Key marks a report of usage whose time is
// that of its arrival. A NAS without Event-Timestamp that repeats the same
// octets for minutes moves its event from bucket to bucket, and who has
// recorded a packet can send it again at any time: Events knows such a report
// by its content wherever its bucket is.
const untimed = 0x80

// bucketStep separates neighbour buckets in the low half of a Key. The rest
// of the key is a keyed hash, so neighbours are found by one addition
// instead of two more hashes. It is 2^64 divided by the golden ratio: odd,
// and its multiples spread over the table.
const bucketStep = 0x9E3779B97F4A7C15

// Purposes keep hashes of one key apart from each other.
const (
	purposeEvent  = 'e'
	purposeUser   = 'u'
	purposeDevice = 'd'
	purposeCUI    = 'c'
	purposeClass  = 'k'
	purposeSame   = 's'
	purposeNumber = 'n'
	purposeModel  = 'm'
)

// contentSeed keys the content hash, which is only ever compared inside this
// process: it is computed again from the stored packets at start.
var contentSeed = maphash.MakeSeed()

// Hasher makes event keys and identity hashes under one secret key. It
// belongs to one goroutine.
type Hasher struct {
	mac hash.Hash
	buf []byte
	sum [sha256.Size]byte
}

// NewHasher returns a Hasher of the given key, which must be the same for
// all shards and over restarts for events to be recognised. key is not
// retained.
func NewHasher(key []byte) *Hasher {
	h := &Hasher{mac: hmac.New(sha256.New, key), buf: make([]byte, 0, 2*maxPacket)}
	h.digest() // the first Reset after a Sum saves the keyed state: later calls do not allocate
	h.mac.Reset()
	h.digest()
	return h
}

// Key names the event e seen at the visited network visited: its operator
// if known, else the client. Acct-Delay-Time, Identifier and authenticator
// have no part in it: a retransmission that only aged has the same key.
//
// hot: 0 allocs
func (h *Hasher) Key(e *Event, visited string) Key {
	if e.Diameter {
		return h.numbered(e, visited)
	}
	h.start(purposeEvent)
	h.text(visited)
	if len(e.NASIdentifier) > 0 {
		h.field(e.NASIdentifier)
	} else {
		h.field(e.NASAddress)
	}
	h.field(e.SessionID)
	h.field(e.MultiSessionID)
	h.identity(e)
	h.buf = append(h.buf, byte(e.Kind), byte(e.Quarantine))
	h.buf = binary.BigEndian.AppendUint32(h.buf, e.Status)
	switch e.Kind {
	case Interim:
		h.counters(e)
	case Quarantined:
		// Nothing in it can be trusted to name the event: all of it does.
		h.buf = appendStable(h.buf, e.raw)
	}
	k := h.digest()
	k[0] &^= untimed
	if e.Flags&FlagArrivalTime != 0 && e.reportsUsage() {
		k[0] |= untimed
	}
	bucket := floorDiv(e.SessionStart(), startWidth)
	low := binary.BigEndian.Uint64(k[8:]) + uint64(bucket)*bucketStep
	binary.BigEndian.PutUint64(k[8:], low)
	return k
}

// reportsUsage tells a report whose content is never the same twice by chance
// from a Start or an Accounting-On, which a NAS says in the same words after
// each boot.
func (e *Event) reportsUsage() bool {
	const usage = HasSessionTime | HasInputOctets | HasOutputOctets
	return (e.Kind == Stop || e.Kind == Interim) && e.Has&usage != 0
}

// identity adds what names the user: the home's own handle first, as the
// User-Name may be anonymous.
func (h *Hasher) identity(e *Event) {
	switch {
	case len(e.CUI) > 0:
		h.field(e.CUI)
	case e.Classes > 0:
		for raw, off := e.raw, headerLen; off+2 <= len(raw); {
			n := int(raw[off+1])
			if n < 2 || n > len(raw)-off {
				break
			}
			if raw[off] == attrClass {
				h.field(raw[off+2 : off+n])
			}
			off += n
		}
	default:
		h.field(e.UserName)
	}
}

func (h *Hasher) counters(e *Event) {
	h.buf = binary.BigEndian.AppendUint64(h.buf, e.InputOctets)
	h.buf = binary.BigEndian.AppendUint64(h.buf, e.OutputOctets)
	h.buf = binary.BigEndian.AppendUint32(h.buf, uint32(e.InputPackets))
	h.buf = binary.BigEndian.AppendUint32(h.buf, uint32(e.OutputPackets))
	h.buf = binary.BigEndian.AppendUint32(h.buf, e.SessionTime)
}

// Content hashes what the packet raw says, leaving out what a NAS changes
// when it only sends again: Acct-Delay-Time, Proxy-State and the
// authenticators. It is stable within one process.
//
// hot: 0 allocs
func (h *Hasher) Content(raw []byte) uint64 {
	h.buf = appendStable(h.buf[:0], raw)
	return maphash.Bytes(contentSeed, h.buf)
}

// StableContent hashes what Content hashes, but under the key: it is the same
// after a restart, and at every hub that has the same identity key. It is for
// who must tell a repetition from a contradiction without the packets.
func (h *Hasher) StableContent(raw []byte) Key {
	h.start(purposeSame)
	h.buf = appendStable(h.buf, raw)
	return h.digest()
}

// appendStable appends the attributes of raw that do not change when the
// same event is reported again. Credentials are stored as zeros, so their
// values stay out too: a packet and its record have the same content.
func appendStable(dst, raw []byte) []byte {
	if IsDiameter(raw) {
		return appendStableMessage(dst, raw)
	}
	if len(raw) < headerLen {
		return dst
	}
	from, off := headerLen, headerLen
	for off+2 <= len(raw) {
		n := int(raw[off+1])
		if n < 2 || n > len(raw)-off {
			break
		}
		switch raw[off] {
		case attrAcctDelayTime, attrProxyState, attrMessageAuthenticator, attrUserPassword, attrCHAPPassword:
			dst = append(dst, raw[from:off]...)
			from = off + n
		}
		off += n
	}
	return append(dst, raw[from:]...)
}

// sumOf returns the keyed hash of v for a purpose.
func (h *Hasher) sumOf(purpose byte, v []byte) Key {
	h.start(purpose)
	h.field(v)
	return h.digest()
}

func (h *Hasher) start(purpose byte) { h.buf = append(h.buf[:0], purpose) }

// field appends v with its length, so that no two lists of fields join to
// the same octets.
func (h *Hasher) field(v []byte) {
	h.buf = binary.BigEndian.AppendUint16(h.buf, uint16(len(v)))
	h.buf = append(h.buf, v...)
}

func (h *Hasher) text(s string) {
	h.buf = binary.BigEndian.AppendUint16(h.buf, uint16(len(s)))
	h.buf = append(h.buf, s...)
}

func (h *Hasher) digest() (k Key) {
	h.mac.Reset()
	_, _ = h.mac.Write(h.buf)
	copy(k[:], h.mac.Sum(h.sum[:0]))
	return k
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// AppendText implements encoding.TextAppender: 32 hexadecimal digits.
func (k Key) AppendText(b []byte) ([]byte, error) { return hex.AppendEncode(b, k[:]), nil }

// MarshalText implements encoding.TextMarshaler.
func (k Key) MarshalText() ([]byte, error) { return k.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Key) UnmarshalText(b []byte) error {
	if len(b) != 2*len(k) {
		return fmt.Errorf("a key has %d hexadecimal digits, not %d", 2*len(k), len(b))
	}
	_, err := hex.Decode(k[:], b)
	return err
}
