package usage

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/roamgate/roamgate/accounting"
)

// AppendJSON appends what json.Marshal makes of r, octet by octet, in a
// quarter of the time: a clearing store writes one of each session.
func (r *Record) AppendJSON(b []byte) ([]byte, error) {
	o := object{b: b, start: true}
	o.int("schema", int64(r.Schema))
	o.hex("id", r.ID[:])
	o.text("status", string(r.Status))
	if r.Corrects != nil {
		o.hex("corrects", r.Corrects[:])
	}
	o.bool("billable", r.Billable)

	o.hex("session", r.Session[:])
	o.int("part", int64(r.Part))
	o.key("journey", &r.Journey)
	if r.Leg != 0 {
		o.int("leg", int64(r.Leg))
	}

	o.party("visited", &r.Visited)
	o.party("home", &r.Home)
	o.text("hub", r.Hub)
	o.text("client", r.Client)
	o.some("route", r.Route)

	o.some("protocol", r.Protocol)
	o.number("application", r.Application)

	o.key("device", &r.Device)
	o.key("user", &r.User)
	o.key("cui", &r.CUI)
	o.key("equipment", &r.Equipment)
	o.some("plain_device", r.PlainDevice)
	o.some("plain_user", r.PlainUser)
	o.some("plain_cui", r.PlainCUI)
	o.some("plain_equipment", r.PlainEquipment)

	o.text("session_id", r.SessionID)
	o.some("multi_session_id", r.MultiSessionID)
	o.some("nas", r.NAS)
	o.some("nas_address", r.NASAddress)
	o.some("called_station", r.CalledStation)
	if len(r.Classes) > 0 {
		o.any("class", r.Classes)
	}

	o.time("start", r.Start)
	o.time("end", r.End)
	o.int("utc_offset", int64(r.Offset))
	o.int("seconds", r.Seconds)
	o.int("input_octets", r.InputOctets)
	o.int("output_octets", r.OutputOctets)
	o.int("input_packets", r.InputPackets)
	o.int("output_packets", r.OutputPackets)
	o.open("reports")
	o.int("starts", int64(r.Reports.Starts))
	o.int("interims", int64(r.Reports.Interims))
	o.int("stops", int64(r.Reports.Stops))
	o.close()

	o.some("access_type", r.AccessType)
	o.some("rat", r.RAT)
	if l := &r.Location; l.Civic != nil || l.Country != "" || l.Latitude != "" || l.Longitude != "" || l.PLMN != "" || l.Cell != "" {
		o.any("location", l)
	}
	if r.Service != (Service{}) {
		o.any("service", &r.Service)
	}

	o.number("policy_version", r.PolicyVersion)
	if r.PolicyStale {
		o.bool("policy_stale", true)
	}

	o.number("terminate_cause", r.TerminateCause)
	o.hex("evidence", r.Evidence[:])
	o.open("source")
	o.text("node", r.Source.Node)
	o.uint("epoch", r.Source.Epoch)
	o.uint("seq", r.Source.Seq)
	o.close()
	if len(r.Exceptions) > 0 {
		o.any("exceptions", r.Exceptions)
	}
	o.close()
	return o.b, o.err
}

// object is a JSON object that is being written.
type object struct {
	b     []byte
	start bool // the next octet is the brace
	err   error
}

func (o *object) name(n string) {
	if o.start {
		o.b, o.start = append(o.b, '{'), false
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), n...), '"', ':')
}

func (o *object) open(n string) {
	o.name(n)
	o.start = true
}

func (o *object) close() {
	if o.start {
		o.b, o.start = append(o.b, '{'), false
	}
	o.b = append(o.b, '}')
}

func (o *object) int(n string, v int64) {
	o.name(n)
	o.b = strconv.AppendInt(o.b, v, 10)
}

func (o *object) uint(n string, v uint64) {
	o.name(n)
	o.b = strconv.AppendUint(o.b, v, 10)
}

// number writes v unless it is zero.
func (o *object) number(n string, v uint32) {
	if v != 0 {
		o.uint(n, uint64(v))
	}
}

func (o *object) time(n string, t time.Time) {
	if y := t.Year(); y < 0 || y > 9999 || t.Location() != time.UTC {
		o.any(n, t)
		return
	}
	o.name(n)
	o.b = append(t.AppendFormat(append(o.b, '"'), time.RFC3339Nano), '"')
}

func (o *object) bool(n string, v bool) {
	o.name(n)
	o.b = strconv.AppendBool(o.b, v)
}

func (o *object) hex(n string, v []byte) {
	o.name(n)
	o.b = append(hex.AppendEncode(append(o.b, '"'), v), '"')
}

// key writes k unless it is zero.
func (o *object) key(n string, k *accounting.Key) {
	if *k != (accounting.Key{}) {
		o.hex(n, k[:])
	}
}

func (o *object) text(n, v string) {
	for i := range len(v) {
		switch c := v[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			o.any(n, v)
			return
		}
	}
	o.name(n)
	o.b = append(append(append(o.b, '"'), v...), '"')
}

// some writes v unless it is empty.
func (o *object) some(n, v string) {
	if v != "" {
		o.text(n, v)
	}
}

// any leaves to json what is rare or has rules of its own.
func (o *object) any(n string, v any) {
	o.name(n)
	doc, err := json.Marshal(v)
	if o.err == nil {
		o.err = err
	}
	o.b = append(o.b, doc...)
}

func (o *object) party(n string, p *Party) {
	o.open(n)
	o.some("realm", p.Realm)
	o.some("wbaid", p.WBAID)
	o.some("tadig", p.TADIG)
	o.some("e212", p.E212)
	o.some("icc", p.ICC)
	o.some("country", p.Country)
	o.close()
}
