package accounting

import (
	"bytes"
	"encoding/binary"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// Attribute types this package reads (RFC 2865, 2866, 2869, 3162, 4372).
const (
	attrUserName             = 1
	attrUserPassword         = 2
	attrCHAPPassword         = 3
	attrNASIPAddress         = 4
	attrClass                = 25
	attrVendorSpecific       = 26
	attrCalledStationID      = 30
	attrCallingStationID     = 31
	attrNASIdentifier        = 32
	attrProxyState           = 33
	attrAcctStatusType       = 40
	attrAcctDelayTime        = 41
	attrAcctInputOctets      = 42
	attrAcctOutputOctets     = 43
	attrAcctSessionID        = 44
	attrAcctSessionTime      = 46
	attrAcctInputPackets     = 47
	attrAcctOutputPackets    = 48
	attrAcctTerminateCause   = 49
	attrAcctMultiSessionID   = 50
	attrAcctInputGigawords   = 52
	attrAcctOutputGigawords  = 53
	attrEventTimestamp       = 55
	attrNASPortType          = 61
	attrMessageAuthenticator = 80
	attrCUI                  = 89
	attrNASIPv6Address       = 95

	vendor3GPP      = 10415
	threeGPPIMSI    = 1
	threeGPPRATType = 21

	headerLen = 20   // RFC 2865 section 3
	maxPacket = 4096 // likewise
)

// clockFloor is 2000-01-01: an Event-Timestamp before it comes from a NAS
// that never set its clock and counts from its own start.
const clockFloor = 946684800

// Event is what one Accounting-Request, of RADIUS or Diameter, says. The slices
// borrow from the packet. An Event may be reused; Classify overwrites all of it.
type Event struct {
	Kind       Kind
	Quarantine Reason
	Flags      Flags

	Status uint32 // Acct-Status-Type, Accounting-Record-Type or CC-Request-Type as received, 0 when unusable
	Time   int64  // event time, Unix seconds

	SessionID      []byte
	MultiSessionID []byte
	UserName       []byte
	CUI            []byte
	NASIdentifier  []byte
	NASAddress     []byte // value of NAS-IP-Address, else of NAS-IPv6-Address
	CallingStation []byte
	CalledStation  []byte
	IMSI           []byte // 3GPP-IMSI
	Classes        int    // number of Class attributes; walk them with EachClass

	SessionTime    uint32
	DelayTime      uint32
	InputOctets    uint64 // Acct-Input-Gigawords * 2^32 + Acct-Input-Octets (RFC 2869 section 5.1)
	OutputOctets   uint64
	InputPackets   uint64
	OutputPackets  uint64
	TerminateCause uint32 // as RADIUS numbers them; 0 when absent
	NASPortType    uint32
	RATType        uint8
	Has            Has

	// Of Diameter alone.
	Diameter     bool
	Application  uint32
	Command      uint32
	RecordNumber uint32 // Accounting-Record-Number or CC-Request-Number
	OriginHost   []byte
	OriginRealm  []byte
	Equipment    []byte // IMEI or IMEISV
	Context      []byte // Service-Context-Id

	raw []byte
}

// Has says which counters and codes were in the packet, since zero is a
// value for most of them.
type Has uint16

const (
	HasSessionTime Has = 1 << iota
	HasInputOctets
	HasOutputOctets
	HasInputPackets
	HasOutputPackets
	HasTerminateCause
	HasNASPortType
	HasRATType
	HasDelayTime
	HasInputGigawords  // all 64 bits are there
	HasOutputGigawords // likewise
	HasRecordNumber
	HasWidePackets // the packet counters have 64 bits
	HasSince       // counters and Acct-Session-Time are of the time since the report before
)

// walker carries what a walk must remember between attributes.
type walker struct {
	inLow, inHigh, outLow, outHigh uint32
	inPackets, outPackets          uint32
	timestamp                      uint32
	statuses                       int
	statusBad, manyIDs, password   bool
}

// Classify reads the Accounting-Request raw, of RADIUS or Diameter and of
// exactly its Length octets, that arrived at the Unix time arrival in
// nanoseconds. It never fails: what cannot be billed comes out as Quarantined
// with a reason. raw is retained by e until the next Classify.
//
// hot: 0 allocs
func Classify(e *Event, raw []byte, arrival int64) {
	*e = Event{raw: raw}
	if IsDiameter(raw) {
		e.diameter(arrival)
		return
	}
	var w walker
	ok := len(raw) >= headerLen && len(raw) <= maxPacket
	off := headerLen
	for ok && off < len(raw) {
		if len(raw)-off < 2 {
			ok = false
			break
		}
		n := int(raw[off+1])
		if n < 2 || n > len(raw)-off {
			ok = false
			break
		}
		e.attribute(&w, raw[off], raw[off+2:off+n])
		off += n
	}
	e.InputOctets = uint64(w.inHigh)<<32 | uint64(w.inLow)
	e.OutputOctets = uint64(w.outHigh)<<32 | uint64(w.outLow)
	e.InputPackets, e.OutputPackets = uint64(w.inPackets), uint64(w.outPackets)
	e.setTime(w.timestamp, arrival)
	e.setKind(&w, ok)
}

// attribute takes one attribute into e. The first of a single-valued
// attribute counts.
func (e *Event) attribute(w *walker, t byte, v []byte) {
	switch t {
	case attrUserName:
		first(&e.UserName, v)
	case attrUserPassword, attrCHAPPassword:
		w.password = true
		e.Flags |= FlagRedacted
	case attrNASIPAddress:
		if len(v) == 4 {
			e.NASAddress = v
		} else {
			e.Flags |= FlagBadAttribute
		}
	case attrNASIPv6Address:
		if len(v) != 16 {
			e.Flags |= FlagBadAttribute
		} else if e.NASAddress == nil {
			e.NASAddress = v
		}
	case attrClass:
		e.Classes++
	case attrCalledStationID:
		first(&e.CalledStation, v)
	case attrCallingStationID:
		first(&e.CallingStation, v)
	case attrNASIdentifier:
		first(&e.NASIdentifier, v)
	case attrAcctStatusType:
		e.status(w, v)
	case attrAcctSessionID:
		if e.SessionID != nil && !bytes.Equal(e.SessionID, v) {
			w.manyIDs = true
		}
		first(&e.SessionID, v)
	case attrAcctMultiSessionID:
		first(&e.MultiSessionID, v)
	case attrCUI:
		first(&e.CUI, v)
	case attrVendorSpecific:
		e.vendor(v)
	default:
		e.number(w, t, v)
	}
}

// number takes the attributes whose value is four octets.
func (e *Event) number(w *walker, t byte, v []byte) {
	switch t {
	case attrAcctDelayTime:
		e.take(&e.DelayTime, HasDelayTime, v)
	case attrAcctInputOctets:
		e.take(&w.inLow, HasInputOctets, v)
	case attrAcctOutputOctets:
		e.take(&w.outLow, HasOutputOctets, v)
	case attrAcctInputGigawords:
		e.take(&w.inHigh, HasInputGigawords, v)
	case attrAcctOutputGigawords:
		e.take(&w.outHigh, HasOutputGigawords, v)
	case attrAcctSessionTime:
		e.take(&e.SessionTime, HasSessionTime, v)
	case attrAcctInputPackets:
		e.take(&w.inPackets, HasInputPackets, v)
	case attrAcctOutputPackets:
		e.take(&w.outPackets, HasOutputPackets, v)
	case attrAcctTerminateCause:
		e.take(&e.TerminateCause, HasTerminateCause, v)
	case attrNASPortType:
		e.take(&e.NASPortType, HasNASPortType, v)
	case attrEventTimestamp:
		e.take(&w.timestamp, 0, v)
	}
}

// take stores a four-octet value once. An attribute of another length is bad
// by itself and does not spoil the packet (RFC 6929 section 2.8).
func (e *Event) take(dst *uint32, has Has, v []byte) {
	if len(v) != 4 {
		e.Flags |= FlagBadAttribute
		return
	}
	if has != 0 && e.Has&has != 0 {
		return
	}
	*dst = binary.BigEndian.Uint32(v)
	e.Has |= has
}

// first keeps the first non-empty value.
func first(dst *[]byte, v []byte) {
	if *dst == nil && len(v) > 0 {
		*dst = v
	}
}

func (e *Event) status(w *walker, v []byte) {
	w.statuses++
	if len(v) != 4 {
		w.statusBad = true
		return
	}
	s := binary.BigEndian.Uint32(v)
	if s == 0 || (w.statuses > 1 && s != e.Status) {
		w.statusBad = true
		return
	}
	e.Status = s
}

// vendor walks the sub-attributes of one Vendor-Specific of 3GPP.
func (e *Event) vendor(v []byte) {
	if len(v) < 4 || binary.BigEndian.Uint32(v) != vendor3GPP {
		return
	}
	for v = v[4:]; len(v) >= 2; {
		n := int(v[1])
		if n < 2 || n > len(v) {
			return
		}
		switch v[0] {
		case threeGPPIMSI:
			first(&e.IMSI, v[2:n])
		case threeGPPRATType:
			if n == 3 && e.Has&HasRATType == 0 {
				e.RATType, e.Has = v[2], e.Has|HasRATType
			}
		}
		v = v[n:]
	}
}

// setTime finds the event time. Event-Timestamp is the time of the event
// itself and is not reduced by Acct-Delay-Time (RFC 2869 section 5.3).
func (e *Event) setTime(timestamp uint32, arrival int64) {
	if timestamp >= clockFloor {
		e.Time = int64(timestamp)
		return
	}
	e.Flags |= FlagArrivalTime
	e.Time = arrival/1e9 - int64(e.DelayTime)
}

// setKind decides the kind, the gravest reason first.
func (e *Event) setKind(w *walker, ok bool) {
	e.Kind = Quarantined
	switch {
	case !ok:
		e.Quarantine = Malformed
	case w.password:
		e.Quarantine = Credentials
	case w.statuses == 0:
		e.Quarantine = NoStatusType
	case w.statusBad:
		e.Quarantine = BadStatusType
	case e.Status == uint32(On) || e.Status == uint32(Off):
		// A NAS that goes up or down speaks of no session and no user.
		e.Kind = Kind(e.Status)
	case e.Status < 1 || e.Status > 3:
		e.Quarantine = UnknownStatus
	case len(e.SessionID) == 0:
		e.Quarantine = NoSessionID
	case w.manyIDs:
		e.Quarantine = ManySessionIDs
	case e.UserName == nil && e.CUI == nil && e.Classes == 0:
		e.Quarantine = NoIdentity
	default:
		e.Kind = Kind(e.Status)
	}
}

// SessionStart is the Unix second the session began by this event's account:
// event time less Acct-Session-Time.
func (e *Event) SessionStart() int64 { return e.Time - int64(e.SessionTime) }

// EachClass calls f with the value of every Class in order.
func (e *Event) EachClass(f func(v []byte)) {
	if e.Diameter {
		var a diameter.AVP
		for c := diameter.Walk(body(e.raw)); c.Next(&a); {
			if a.Is(diameter.Class, 0) {
				f(a.Data)
			}
		}
		return
	}
	for raw, off := e.raw, headerLen; off+2 <= len(raw); {
		n := int(raw[off+1])
		if n < 2 || n > len(raw)-off {
			return
		}
		if raw[off] == attrClass {
			f(raw[off+2 : off+n])
		}
		off += n
	}
}
