package usage

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/roamgate/roamgate/accounting"
)

var (
	// ErrReport: the line is none that a hub wrote.
	ErrReport = errors.New("accounting report")
	// ErrNewer: the hub that wrote this is newer than this program, which
	// must not guess what it means.
	ErrNewer = errors.New("written by a newer program")
)

// MaxLine bounds a line that is read. AppendJSON writes no longer one.
const MaxLine = 64 << 10

// maxText bounds a text: an attribute of 253 octets, each of which may have
// become the three of U+FFFD, and what the hub puts in front of some.
const maxText = 3*255 + 16

// Unreadable is the Quarantine of a record that the hub itself could not
// read. Its line says nothing else but where it is.
const Unreadable = "unreadable"

// reportFields is every field of a line in the order AppendJSON writes them.
// Only v, seq and what required says must be there.
var reportFields = [...]struct {
	name string
	read func(s *scanner, r *Report)
}{
	{"v", func(s *scanner, _ *Report) { s.version() }},
	{"seq", func(s *scanner, r *Report) { r.Seq = s.uint(64) }},
	{"time", func(s *scanner, r *Report) { r.Arrival = s.time() }},
	{"event_time", func(s *scanner, r *Report) { r.Event = s.time() }},
	{"kind", func(s *scanner, r *Report) { r.Kind = s.kind() }},
	{"quarantine", func(s *scanner, r *Report) { r.Quarantine = s.text() }},
	{"status", func(s *scanner, _ *Report) { s.uint(32) }},
	{"protocol", func(s *scanner, r *Report) { r.Diameter = s.protocol() }},
	{"application", func(s *scanner, r *Report) { r.Application = uint32(s.uint(32)) }},
	{"record_number", func(s *scanner, r *Report) { r.RecordNumber = s.has(r, accounting.HasRecordNumber) }},
	{"origin_realm", func(s *scanner, r *Report) { r.OriginRealm = s.text() }},
	{"key", func(s *scanner, r *Report) { s.hex(r.Key[:]) }},
	{"content", func(s *scanner, r *Report) { s.hex(r.Content[:]) }},
	{"evidence", func(s *scanner, r *Report) { s.hex(r.Evidence[:]) }},
	{"client", func(s *scanner, r *Report) { r.Client = s.text() }},
	{"visited_operator", func(s *scanner, r *Report) { r.Operator = s.text() }},
	{"visited_country", func(s *scanner, r *Report) { r.Country = s.text() }},
	{"realm", func(s *scanner, r *Report) { r.Realm = s.text() }},
	{"route", func(s *scanner, r *Report) { r.Route = s.text() }},
	{"user_hash", func(s *scanner, r *Report) { s.hex(r.UserHash[:]) }},
	{"user", func(s *scanner, r *Report) { r.User = s.text() }},
	{"device_hash", func(s *scanner, r *Report) { s.hex(r.DeviceHash[:]) }},
	{"device", func(s *scanner, r *Report) { r.Device = s.text() }},
	{"cui_hash", func(s *scanner, r *Report) { s.hex(r.CUIHash[:]) }},
	{"cui", func(s *scanner, r *Report) { r.CUI = s.text() }},
	{"equipment_hash", func(s *scanner, r *Report) { s.hex(r.EquipmentHash[:]) }},
	{"equipment", func(s *scanner, r *Report) { r.Equipment = s.text() }},
	{"session_id", func(s *scanner, r *Report) { r.SessionID = s.text() }},
	{"multi_session_id", func(s *scanner, r *Report) { r.MultiSessionID = s.text() }},
	{"nas", func(s *scanner, r *Report) { r.NAS = s.text() }},
	{"nas_address", func(s *scanner, r *Report) { r.NASAddress = s.address() }},
	{"class", func(s *scanner, r *Report) { r.Classes = s.classes() }},
	{"session_time", func(s *scanner, r *Report) { r.SessionTime = s.has(r, accounting.HasSessionTime) }},
	{"input_octets", func(s *scanner, r *Report) {
		r.InputOctets = s.uint(64)
		r.Has |= accounting.HasInputOctets
	}},
	{"output_octets", func(s *scanner, r *Report) {
		r.OutputOctets = s.uint(64)
		r.Has |= accounting.HasOutputOctets
	}},
	{"input_packets", func(s *scanner, r *Report) { r.InputPackets = s.packets(r, accounting.HasInputPackets) }},
	{"output_packets", func(s *scanner, r *Report) { r.OutputPackets = s.packets(r, accounting.HasOutputPackets) }},
	{"delay_time", func(s *scanner, r *Report) { r.DelayTime = s.has(r, accounting.HasDelayTime) }},
	{"terminate_cause", func(s *scanner, r *Report) { r.TerminateCause = s.has(r, accounting.HasTerminateCause) }},
	{"nas_port_type", func(s *scanner, r *Report) { r.NASPortType = s.has(r, accounting.HasNASPortType) }},
	{"rat", func(s *scanner, r *Report) {
		r.RAT = uint8(s.uint(8))
		r.Has |= accounting.HasRATType
	}},
	{"input_gigawords", func(s *scanner, r *Report) {
		if r.InputGigawords = s.bool(); r.InputGigawords {
			r.Has |= accounting.HasInputGigawords
		}
	}},
	{"output_gigawords", func(s *scanner, r *Report) {
		if r.OutputGigawords = s.bool(); r.OutputGigawords {
			r.Has |= accounting.HasOutputGigawords
		}
	}},
	{"since_last", func(s *scanner, r *Report) {
		if s.bool() {
			r.Has |= accounting.HasSince
		}
	}},
	{"called_station", func(s *scanner, r *Report) { r.CalledStation = s.text() }},
	{"operator_name", func(s *scanner, r *Report) { r.OperatorName = s.text() }},
	{"home_plmn", func(s *scanner, r *Report) { r.HomePLMN = s.text() }},
	{"utc_offset", func(s *scanner, r *Report) { r.Offset = s.offset() }},
	{"location", func(s *scanner, r *Report) { s.location(&r.Location) }},
	{"service", func(s *scanner, r *Report) { s.service(&r.Service) }},
	{"policy_version", func(s *scanner, r *Report) { r.PolicyVersion = uint32(s.uint(32)) }},
	{"policy_stale", func(s *scanner, r *Report) { r.PolicyStale = s.bool() }},
	{"conflict", func(s *scanner, r *Report) {
		if s.bool() {
			r.Flags |= accounting.FlagConflict
		}
	}},
	{"duplicate_of", func(s *scanner, r *Report) { r.Other = s.uint(64) }},
	{"flags", func(s *scanner, r *Report) { r.Flags |= s.flags() }},
	{"raw", func(s *scanner, _ *Report) { s.skip() }},
}

// quoted are the names as AppendJSON writes them.
var quoted = func() (q [len(reportFields)]string) {
	for i := range reportFields {
		q[i] = `"` + reportFields[i].name + `":`
	}
	return q
}()

// seen is the set of fields of an object that were there. A name twice is
// where two readers see two values.
type seen uint64

// bitOf finds the bit of a field, for required.
func bitOf(names ...string) (set seen) {
	for _, name := range names {
		for i := range reportFields {
			if reportFields[i].name == name {
				set |= 1 << i
			}
		}
	}
	return set
}

var (
	// A hub that knows no version yet says neither content nor evidence.
	versioned     = bitOf("v")
	required      = bitOf("seq", "time", "event_time", "kind", "key")
	requiredByV1  = bitOf("content", "evidence")
	requiredAtAll = bitOf("seq", "kind", "quarantine") // of what the hub could not read
)

// ParseReport reads a line that accounting.Record.AppendJSON wrote, with or
// without the newline. It sets all of r but Node and Epoch, which are those
// of the batch. It takes fields that it does not know; of those it knows it
// takes nothing that AppendJSON would not write. The error says which field
// is wrong, and never what is in it. After an error r.Seq is what the line
// said, if it got so far, and the rest of r has no meaning.
func ParseReport(line []byte, r *Report) error {
	*r = Report{Node: r.Node, Epoch: r.Epoch}
	if len(line) > MaxLine {
		return fmt.Errorf("%w: %d octets in a line, more than %d", ErrReport, len(line), MaxLine)
	}
	s := scanner{b: line}
	got, field := s.report(r)
	switch {
	case errors.Is(s.err, ErrNewer):
		return s.err
	case s.err != nil && field != "":
		return fmt.Errorf("%w: %s: %w", ErrReport, field, s.err)
	case s.err != nil:
		return fmt.Errorf("%w: %w", ErrReport, s.err)
	}
	return complete(r, got)
}

// report reads the whole line. field is where it was when s.err was set.
func (s *scanner) report(r *Report) (got seen, field string) {
	next := 0
	for s.open('{'); s.more('}'); {
		i := s.field(next)
		if i < 0 {
			s.skip()
			continue
		}
		f := &reportFields[i]
		switch {
		case got&(1<<i) != 0:
			s.fail(errTwice)
		case i == 0 && got != 0:
			s.fail(errVersionLate)
		}
		if f.read(s, r); s.err != nil {
			return got, f.name
		}
		got |= 1 << i
		next = i + 1
	}
	s.end()
	return got, ""
}

// field reads the name of a field and finds it in reportFields, in which the
// search begins at next: a line has them in that order. -1 is none of them.
func (s *scanner) field(next int) int {
	if rest := s.b[s.i:]; s.err == nil && len(rest) > 1 {
		for i := next; i < len(quoted); i++ {
			if q := quoted[i]; q[1] == rest[1] && len(rest) >= len(q) && string(rest[:len(q)]) == q {
				s.i += len(q)
				return i
			}
		}
	}
	name := s.name() // spelt otherwise, in another place, or not known
	for i := next; i < len(reportFields); i++ {
		if reportFields[i].name == string(name) {
			return i
		}
	}
	for i := range next {
		if reportFields[i].name == string(name) {
			return i
		}
	}
	return -1
}

// complete checks what must hold between fields.
func complete(r *Report, got seen) error {
	need := required
	switch {
	case r.Kind == accounting.Quarantined && r.Quarantine == Unreadable:
		need = requiredAtAll
	case got&versioned != 0:
		need |= requiredByV1
	}
	if missing := need &^ got; missing != 0 {
		for i := range reportFields {
			if missing&(1<<i) != 0 {
				return fmt.Errorf("%w: %s is missing", ErrReport, reportFields[i].name)
			}
		}
	}
	if (r.Kind == accounting.Quarantined) != (r.Quarantine != "") {
		return fmt.Errorf("%w: kind %s and quarantine do not go together", ErrReport, r.Kind)
	}
	return nil
}

func (s *scanner) version() {
	switch v := s.uint(64); {
	case s.err != nil:
	case v > accounting.FormVersion:
		s.fail(fmt.Errorf("%w: form %d of a report, this one reads %d", ErrNewer, v, accounting.FormVersion))
	case v == 0:
		s.fail(errNumber)
	}
}

func (s *scanner) kind() accounting.Kind {
	k, ok := accounting.ParseKind(s.string())
	if !ok {
		s.fail(errWord)
	}
	return k
}

// has reads a 32-bit figure and notes that it was there.
func (s *scanner) has(r *Report, h accounting.Has) uint32 {
	r.Has |= h
	return uint32(s.uint(32))
}

// packets reads a counter of packets, which only Diameter has of 64 bits.
func (s *scanner) packets(r *Report, h accounting.Has) uint64 {
	r.Has |= h
	if r.Diameter {
		r.Has |= accounting.HasWidePackets
		return s.uint(64)
	}
	return s.uint(32)
}

// protocol reads the one word there is.
func (s *scanner) protocol() bool {
	if string(s.string()) != accounting.Protocol {
		s.fail(errWord)
	}
	return true
}

// flags that a later hub has added mean nothing here.
func (s *scanner) flags() (f accounting.Flags) {
	for s.open('['); s.more(']'); {
		f |= accounting.ParseFlag(s.string())
	}
	return f
}

func (s *scanner) classes() (keys []accounting.Key) {
	for s.open('['); s.more(']'); {
		if len(keys) == accounting.MaxClasses {
			s.fail(errMany)
			return nil
		}
		var k accounting.Key
		s.hex(k[:])
		keys = append(keys, k)
	}
	return keys
}

func (s *scanner) address() string {
	t := s.text()
	if _, err := netip.ParseAddr(t); err != nil {
		s.fail(errAddress)
	}
	return t
}

func (s *scanner) time() time.Time {
	v := s.string()
	var t time.Time
	if err := t.UnmarshalText(v); err != nil || v[len(v)-1] != 'Z' {
		s.fail(errTime)
	}
	return t
}

// offset reads seconds east of UTC: whole quarters of an hour, 14 hours at
// most.
func (s *scanner) offset() int {
	neg := s.minus()
	n := int(s.uint(32))
	if n > 14*3600 || n%(15*60) != 0 {
		s.fail(errNumber)
	}
	if neg {
		return -n
	}
	return n
}
