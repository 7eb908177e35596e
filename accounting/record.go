package accounting

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/roamgate/roamgate/pkg/wba"
)

// Version is the layout AppendRecord writes. A reader takes any record of
// its own version, also one with fields added behind the header it knows.
const Version = 1

// MaxRecord bounds the octets of one record: its header with five full
// names and the longest message.
const MaxRecord = fixedLen + 5*(1+maxName) + addedLen + rateLen + MaxMessage

// MaxMessage bounds the Diameter messages that are recorded: four times what a
// packet of RADIUS can say. A longer one is refused; a record is kept as it came.
const MaxMessage = 16 << 10

const (
	maxName = 255
	// version 1, header length 2, kind 1, quarantine 1, flags 2, arrival 8,
	// event time 8, key 16, other 8, address 16, port 2
	fixedLen = 65
	offFlags = 5
	offTime  = 7
	offKey   = 23

	// Fields added behind the names: policy version 4, policy flags 1. A
	// record of an earlier program ends before them.
	addedLen    = 5
	policyStale = 1
	rateFollows = 2 // behind them

	rateLen = wba.RateLen
)

// Header is what a record says beside the packet: where it came from and how
// it was understood. Names are stored as text, so that a record can be read
// after the configuration has changed.
type Header struct {
	Time       int64  // arrival, Unix nanoseconds
	Event      int64  // event time, Unix seconds
	Other      uint64 // sequence number of the record this one conflicts with, 0 none
	From       netip.AddrPort
	Key        Key
	Client     string // realm.Client.Name
	Operator   string // visited operator, RFC 5580
	Country    string // visited country
	Realm      string // the realm asked for, folded
	Route      string // realm.Route.Realm: the rule that matched
	Flags      Flags
	Kind       Kind
	Quarantine Reason

	PolicyVersion uint32 // of the device policy at the time, 0 none
	PolicyStale   bool   // the policy could not be refreshed then

	Rate wba.Rate // on which visited and home network agreed when the device attached, zero: none
}

// SetEvent fills in what Classify found.
func (h *Header) SetEvent(e *Event) {
	h.Kind, h.Quarantine, h.Event = e.Kind, e.Quarantine, e.Time
	h.Flags |= e.Flags
}

// AppendRecord appends the record of the Accounting-Request raw to dst. The
// packet or message is stored verbatim except credentials, which do not belong into
// accounting (RFC 2866 section 4.1) and become zeros when h.Flags has
// FlagRedacted. Names longer than 255 octets are cut and flagged. The store
// below keeps the checksum.
//
// hot: 0 allocs when dst has room
func AppendRecord(dst []byte, h *Header, raw []byte) []byte {
	base := len(dst)
	flags := h.Flags
	if len(h.Client) > maxName || len(h.Operator) > maxName || len(h.Country) > maxName ||
		len(h.Realm) > maxName || len(h.Route) > maxName {
		flags |= FlagNameCut
	}
	dst = append(dst, Version, 0, 0, byte(h.Kind), byte(h.Quarantine))
	dst = binary.BigEndian.AppendUint16(dst, uint16(flags))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Time))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Event))
	dst = append(dst, h.Key[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.Other)
	var ip [16]byte
	if h.From.IsValid() {
		ip = h.From.Addr().As16()
	}
	dst = append(dst, ip[:]...)
	dst = binary.BigEndian.AppendUint16(dst, h.From.Port())
	dst = appendName(dst, h.Client)
	dst = appendName(dst, h.Operator)
	dst = appendName(dst, h.Country)
	dst = appendName(dst, h.Realm)
	dst = appendName(dst, h.Route)
	dst = binary.BigEndian.AppendUint32(dst, h.PolicyVersion)
	var policy byte
	if h.PolicyStale {
		policy = policyStale
	}
	if h.Rate == (wba.Rate{}) {
		dst = append(dst, policy)
	} else {
		dst = h.Rate.Append(append(dst, policy|rateFollows))
	}
	binary.BigEndian.PutUint16(dst[base+1:], uint16(len(dst)-base))
	at := len(dst)
	dst = append(dst, raw[:min(len(raw), most(raw))]...)
	if flags&FlagRedacted != 0 {
		redact(dst[at:])
	}
	return dst
}

// most is how long raw may be.
func most(raw []byte) int {
	if IsDiameter(raw) {
		return MaxMessage
	}
	return maxPacket
}

func appendName(dst []byte, s string) []byte {
	s = s[:min(len(s), maxName)]
	dst = append(dst, byte(len(s)))
	return append(dst, s...)
}

// redact overwrites the values of User-Password and CHAP-Password.
func redact(raw []byte) {
	if IsDiameter(raw) {
		redactMessage(raw)
		return
	}
	for off := headerLen; off+2 <= len(raw); {
		n := int(raw[off+1])
		if n < 2 || n > len(raw)-off {
			return
		}
		if t := raw[off]; t == attrUserPassword || t == attrCHAPPassword {
			clear(raw[off+2 : off+n])
		}
		off += n
	}
}

// Record is one stored record. Raw borrows from the octets it was decoded
// from.
type Record struct {
	Header
	Seq uint64 // set by the reader, not part of the octets
	Raw []byte
}

// ErrRecord is wrapped by every error of Decode.
var ErrRecord = errors.New("accounting record")

// headerEnd finds where the packet begins.
func headerEnd(b []byte) (int, error) {
	if len(b) < fixedLen {
		return 0, fmt.Errorf("%w: %d octets are too few", ErrRecord, len(b))
	}
	if b[0] != Version {
		return 0, fmt.Errorf("%w: version %d, this program reads %d", ErrRecord, b[0], Version)
	}
	if len(b) > MaxRecord {
		return 0, fmt.Errorf("%w: %d octets are too many", ErrRecord, len(b))
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if n < fixedLen+5 || n > len(b) || len(b)-n > most(b[n:]) {
		return 0, fmt.Errorf("%w: header length %d of %d octets", ErrRecord, n, len(b))
	}
	return n, nil
}

// Decode reads one record. Names are copied; Raw borrows from b.
func Decode(b []byte) (r Record, err error) {
	n, err := headerEnd(b)
	if err != nil {
		return r, err
	}
	r.Kind, r.Quarantine = Kind(b[3]), Reason(b[4])
	// A reason that a later program knows is still a reason.
	if !r.Kind.valid() || (r.Kind == Quarantined) != (r.Quarantine != NotQuarantined) {
		return r, fmt.Errorf("%w: kind %d with quarantine reason %d", ErrRecord, b[3], b[4])
	}
	r.Flags = Flags(binary.BigEndian.Uint16(b[offFlags:]))
	r.Time = int64(binary.BigEndian.Uint64(b[offTime:]))
	r.Event = int64(binary.BigEndian.Uint64(b[15:]))
	copy(r.Key[:], b[offKey:])
	r.Other = binary.BigEndian.Uint64(b[39:])
	r.From = decodeAddr(b[47:65])
	rest := b[fixedLen:n]
	for _, dst := range [...]*string{&r.Client, &r.Operator, &r.Country, &r.Realm, &r.Route} {
		if len(rest) == 0 || int(rest[0]) > len(rest)-1 {
			return r, fmt.Errorf("%w: a name passes the header", ErrRecord)
		}
		l := int(rest[0])
		*dst, rest = string(rest[1:1+l]), rest[1+l:]
	}
	rated := len(rest) >= addedLen && rest[addedLen-1]&rateFollows != 0
	switch n := len(rest); {
	case n > 0 && n < addedLen, rated && n < addedLen+rateLen:
		return r, fmt.Errorf("%w: %d octets behind the names", ErrRecord, n)
	case n > 0:
		r.PolicyVersion, r.PolicyStale = binary.BigEndian.Uint32(rest), rest[addedLen-1]&policyStale != 0
	}
	if rated {
		r.Rate, _ = wba.ReadRate(rest[addedLen : addedLen+rateLen])
	}
	r.Raw = b[n:]
	return r, nil
}

func decodeAddr(b []byte) netip.AddrPort {
	ip := netip.AddrFrom16([16]byte(b[:16]))
	port := binary.BigEndian.Uint16(b[16:])
	if ip == netip.IPv6Unspecified() && port == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip.Unmap(), port)
}

// KindOf returns the kind of the record b without decoding the rest, and
// false if b is no record of this version.
func KindOf(b []byte) (Kind, bool) {
	if len(b) < fixedLen || b[0] != Version {
		return 0, false
	}
	k := Kind(b[3])
	return k, k.valid()
}

// ReadEvent classifies the stored packet again, which is how counters and names
// of attributes are read from a record.
func (r *Record) ReadEvent(e *Event) {
	Classify(e, r.Raw, r.Time)
	// What was decided at arrival stands, also when the rules have changed.
	e.Kind, e.Quarantine, e.Time = r.Kind, r.Quarantine, r.Header.Event
}
