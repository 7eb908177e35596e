package accounting

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/roamgate/roamgate/pkg/wba"
)

// View says how much of an identity the JSON form of a record shows. It
// belongs to one goroutine.
type View struct {
	Hasher *Hasher // keys the hashes; must not be nil
	Plain  bool    // also show user, device and CUI in plain
	Raw    bool    // add the packet, base64
}

// FormVersion is the first field of AppendJSON, v. Fields are added within a
// version; one that changes its meaning makes a new version, which no reader
// of this one takes.
const FormVersion = 1

// MaxClasses is how many Class attributes the JSON form names: no home sends
// that many, and a line stays bounded when a packet is full of empty ones.
const MaxClasses = 64

// AppendJSON appends the record as one JSON object without a newline. The
// field names are a contract: they are only ever added to. Fields that have
// nothing to say are left out.
//
// evidence is the SHA-256 of the packet as it is stored, which is as it was
// received except for passwords: where the flags say redacted, who holds the
// packet overwrites the values of User-Password and CHAP-Password with zeros
// before it is compared. It is no pseudonym: who knows the packet's sixteen
// octets of authenticator can try identities against it.
//
// content is the keyed hash of what stays the same when the packet is sent
// again (Hasher.StableContent).
func (r *Record) AppendJSON(dst []byte, v *View) []byte {
	var e Event
	r.ReadEvent(&e)
	var d detail
	d.read(r.Raw)
	dst = append(dst, `{"v":1,"seq":`...)
	dst = strconv.AppendUint(dst, r.Seq, 10)
	dst = appendTime(dst, "time", time.Unix(0, r.Time), time.RFC3339Nano)
	dst = appendTime(dst, "event_time", time.Unix(r.Header.Event, 0), time.RFC3339)
	dst = appendText(dst, "kind", r.Kind.String())
	if r.Kind == Quarantined {
		dst = appendText(dst, "quarantine", r.Quarantine.String())
		dst = appendUint(dst, "status", uint64(e.Status))
	}
	dst = appendProtocol(dst, &e)
	dst = appendHex(dst, "key", r.Key[:])
	content := v.Hasher.StableContent(r.Raw)
	dst = appendHex(dst, "content", content[:])
	evidence := sha256.Sum256(r.Raw)
	dst = appendHex(dst, "evidence", evidence[:])
	dst = appendText(dst, "client", r.Client)
	dst = appendText(dst, "visited_operator", r.Operator)
	dst = appendText(dst, "visited_country", r.Country)
	dst = appendText(dst, "realm", r.Realm)
	dst = appendText(dst, "route", r.Route)
	dst = v.identities(dst, &e)
	dst = appendShort(dst, "session_id", e.SessionID)
	dst = appendShort(dst, "multi_session_id", e.MultiSessionID)
	dst = appendShort(dst, "nas", e.nas())
	dst = appendAddr(dst, "nas_address", e.NASAddress)
	dst = v.classes(dst, &e)
	dst = appendCounters(dst, &e)
	var buf [maxStation]byte
	dst = appendShort(dst, "called_station", CalledStation(buf[:0], e.CalledStation))
	dst = d.appendJSON(dst, r.Rate)
	if r.PolicyVersion != 0 {
		dst = appendUint(dst, "policy_version", uint64(r.PolicyVersion))
	}
	if r.PolicyStale {
		dst = append(dst, `,"policy_stale":true`...)
	}
	if r.Flags&FlagConflict != 0 {
		dst = append(dst, `,"conflict":true`...)
	}
	if r.Other != 0 {
		dst = appendUint(dst, "duplicate_of", r.Other)
	}
	dst = appendFlags(dst, r.Flags)
	if v.Raw {
		dst = append(dst, `,"raw":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, r.Raw)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// maxStation holds the longest value of Device and CalledStation.
const maxStation = 272

func (v *View) identities(dst []byte, e *Event) []byte {
	var buf [maxStation]byte
	device := Device(buf[:0], e)
	dst = v.identity(dst, "user", purposeUser, e.UserName)
	dst = v.identity(dst, "device", purposeDevice, device)
	dst = v.identity(dst, "cui", purposeCUI, e.CUI)
	return v.identity(dst, "equipment", purposeModel, e.Equipment)
}

func (v *View) identity(dst []byte, name string, purpose byte, id []byte) []byte {
	if len(id) == 0 {
		return dst
	}
	sum := v.Hasher.sumOf(purpose, id)
	dst = appendHex(dst, name+"_hash", sum[:])
	if v.Plain {
		dst = appendShort(dst, name, id)
	}
	return dst
}

func (v *View) classes(dst []byte, e *Event) []byte {
	if e.Classes == 0 {
		return dst
	}
	dst = append(dst, `,"class":[`...)
	n := 0
	e.EachClass(func(c []byte) {
		if n == MaxClasses {
			return
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		n++
		sum := v.Hasher.sumOf(purposeClass, c)
		dst = append(dst, '"')
		dst = hex.AppendEncode(dst, sum[:])
		dst = append(dst, '"')
	})
	return append(dst, ']')
}

func appendCounters(dst []byte, e *Event) []byte {
	for _, c := range [...]struct {
		name string
		has  Has
		v    uint64
	}{
		{"session_time", HasSessionTime, uint64(e.SessionTime)},
		// A NAS may leave out a low half of zero.
		{"input_octets", HasInputOctets | HasInputGigawords, e.InputOctets},
		{"output_octets", HasOutputOctets | HasOutputGigawords, e.OutputOctets},
		{"input_packets", HasInputPackets, e.InputPackets},
		{"output_packets", HasOutputPackets, e.OutputPackets},
		{"delay_time", HasDelayTime, uint64(e.DelayTime)},
		{"terminate_cause", HasTerminateCause, uint64(e.TerminateCause)},
		{"nas_port_type", HasNASPortType, uint64(e.NASPortType)},
		{"rat", HasRATType, uint64(e.RATType)},
	} {
		if e.Has&c.has != 0 {
			dst = appendUint(dst, c.name, c.v)
		}
	}
	if e.Has&HasInputGigawords != 0 {
		dst = append(dst, `,"input_gigawords":true`...)
	}
	if e.Has&HasOutputGigawords != 0 {
		dst = append(dst, `,"output_gigawords":true`...)
	}
	if e.Has&HasSince != 0 {
		dst = append(dst, `,"since_last":true`...)
	}
	return dst
}

// appendJSON appends what only the second walk reads. The rate that was agreed
// stands in the place of the packet's.
func (d *detail) appendJSON(dst []byte, rate wba.Rate) []byte {
	dst = appendShort(dst, "operator_name", d.operatorName)
	dst = appendText(dst, "home_plmn", d.homePLMN)
	if d.offset != 0 {
		dst = strconv.AppendInt(appendField(dst, "utc_offset"), int64(d.offset), 10)
	}
	at := len(dst)
	dst = appendField(dst, "location")
	open := len(dst)
	if c, ok := d.civic.country(); ok {
		dst = appendText(dst, "country", c[:])
	}
	dst = d.civic.appendCivic(dst)
	dst = d.geo.appendPoint(dst)
	if len(d.plmn) > 0 {
		dst = appendText(dst, "plmn", d.plmn)
	} else {
		dst = appendText(dst, "plmn", d.visited[:d.nVisited])
	}
	if len(d.cell) > 0 {
		dst = appendHex(dst, "cell", d.cell[:min(len(d.cell), maxPlain)])
	}
	dst = closeObject(dst, at, open)

	at = len(dst)
	dst = appendField(dst, "service")
	open = len(dst)
	dst = appendShort(dst, "offered", d.offered)
	dst = appendShort(dst, "granted", d.filterID)
	dst = appendShort(dst, "financial_clearing", d.financial)
	dst = appendShort(dst, "data_clearing", d.clearer)
	agreed := rate != (wba.Rate{})
	if !agreed {
		rate, agreed = wba.ReadRate(d.rate)
	}
	if agreed {
		dst = append(appendField(dst, "rate"), `{"currency":"`...)
		dst = append(dst, rate.Currency[:]...)
		dst = appendUint(append(dst, '"'), "index", uint64(rate.Index))
		dst = appendUint(dst, "nanos", uint64(rate.Nanos))
		dst = append(dst, '}')
	}
	if d.chargingID != 0 {
		dst = appendUint(dst, "charging_id", uint64(d.chargingID))
	}
	dst = appendShort(dst, "context", d.context)
	dst = d.groups.appendJSON(dst)
	return closeObject(dst, at, open)
}

// closeObject ends an object whose fields begin at open, each with a comma in
// front, and whose name begins at at. One without fields goes.
func closeObject(dst []byte, at, open int) []byte {
	if len(dst) == open {
		return dst[:at]
	}
	dst[open] = '{'
	return append(dst, '}')
}

var flagNames = [...]struct {
	flag Flags
	name string
}{
	{FlagForward, "forward"},
	{FlagRedacted, "redacted"},
	{FlagArrivalTime, "arrival_time"},
	{FlagBadAttribute, "bad_attribute"},
	{FlagNameCut, "name_cut"},
	{FlagFree, "free"},
	{FlagSettled, "settled"},
	{FlagRateDiffers, "rate_differs"},
	{FlagOnce, "once"},
	{FlagNoDirection, "no_direction"},
}

// ParseFlag returns the flag that the JSON form calls name, 0 for none that
// this program knows.
func ParseFlag(name []byte) Flags {
	for _, n := range flagNames {
		if n.name == string(name) {
			return n.flag
		}
	}
	return 0
}

func appendFlags(dst []byte, f Flags) []byte {
	sep := `,"flags":["`
	for _, n := range flagNames {
		if f&n.flag != 0 {
			dst = append(dst, sep...)
			dst = append(dst, n.name...)
			sep = `","`
		}
	}
	if len(sep) == 3 {
		dst = append(dst, `"]`...)
	}
	return dst
}
