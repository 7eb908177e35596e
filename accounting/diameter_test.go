package accounting

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// avps adds AVPs to a message.
type avps func(w *diameter.Writer)

func text(code uint32, v string) avps {
	return func(w *diameter.Writer) { w.String(code, 0, diameter.AVPMandatory, v) }
}

func number(code, v uint32) avps {
	return func(w *diameter.Writer) { w.Uint32(code, 0, diameter.AVPMandatory, v) }
}

func count(code uint32, v uint64) avps {
	return func(w *diameter.Writer) { w.Uint64(code, 0, diameter.AVPMandatory, v) }
}

func of3GPP(code uint32, v string) avps {
	return func(w *diameter.Writer) { w.String(code, vendor3GPP, 0, v) }
}

func groupOf(code, vendor uint32, members ...avps) avps {
	return func(w *diameter.Writer) {
		mark := w.Group(code, vendor, diameter.AVPMandatory)
		for _, m := range members {
			m(w)
		}
		w.End(mark)
	}
}

func group0(code uint32, members ...avps) avps { return groupOf(code, 0, members...) }

// message builds a request.
func message(command, app uint32, members ...avps) []byte {
	var w diameter.Writer
	w.Begin(make([]byte, diameter.MaxLen), &diameter.Header{
		Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: command, Application: app, HopByHop: 1, EndToEnd: 2,
	})
	for _, m := range members {
		m(&w)
	}
	return w.Finish()
}

func acr(members ...avps) []byte {
	return message(diameter.Accounting, diameter.AppAccounting, members...)
}

// session names a session and who has it.
func session(number uint32, more ...avps) []avps {
	return append([]avps{
		text(diameter.SessionID, "nas.visited.example;1;2"), text(diameter.OriginHost, "nas.visited.example"),
		text(diameter.OriginRealm, "visited.example"), text(diameter.DestinationRealm, "home.example"),
		func(w *diameter.Writer) {
			w.Uint32(diameter.AccountingRecordNumber, 0, diameter.AVPMandatory, number)
		},
	}, more...)
}

// fullACR says all that there is to say in NASREQ accounting.
func fullACR() []byte {
	return acr(session(7, number(diameter.AccountingRecordType, 4), text(1, "u@home.example"),
		text(30, "AA-BB-CC-DD-EE-FF:Roam"), text(31, "02-00-5E-10-00-01"), text(25, "class-one"), text(50, "multi-9"),
		number(55, 1_763_755_000+ntpEpoch), number(46, 600), number(295, 11), number(61, 19),
		count(363, 5<<32+7), count(364, 1<<63), count(365, 1<<33), count(366, 13),
		group0(443, number(450, 1), text(444, "001010000000001")), group0(443, number(450, 0), text(444, "15550000001")),
		group0(458, number(459, 0), text(460, "3520990012345601")),
		of3GPP(2, "\x00\x00\x12\x34"), of3GPP(18, "00101"), of3GPP(21, "\x06"), of3GPP(23, "\x4a\x00"))...)
}

func TestClassifyMessage(t *testing.T) {
	const arrival = 1_763_755_030 * int64(1e9)
	var e Event
	Classify(&e, fullACR(), arrival)
	assert.Equal(t, Stop, e.Kind, e.Quarantine)
	assert.Equal(t, int64(1_763_755_000), e.Time)
	assert.Equal(t, uint32(7), e.RecordNumber)
	assert.Equal(t, uint64(5<<32+7), e.InputOctets)
	assert.Equal(t, uint64(1<<63), e.OutputOctets)
	assert.Equal(t, uint64(1<<33), e.InputPackets)
	assert.Equal(t, uint32(1), e.TerminateCause)
	assert.Equal(t, uint8(6), e.RATType)
	assert.Equal(t, "001010000000001", string(e.IMSI))
	assert.Equal(t, "02-00-5E-10-00-01", string(e.CallingStation))
	assert.Equal(t, "3520990012345601", string(e.Equipment))
	assert.Zero(t, e.Flags)
	assert.Equal(t, 1, e.Classes)
	n := 0
	e.EachClass(func(v []byte) { n += len(v) })
	assert.Equal(t, len("class-one"), n)
}

func TestClassifyMessageKinds(t *testing.T) {
	who := text(1, "u@home.example")
	credit := func(kind uint32, more ...avps) []byte {
		return message(diameter.CreditControl, diameter.AppCredit, append([]avps{
			text(diameter.SessionID, "s"), who, number(diameter.CCRequestType, kind), number(diameter.CCRequestNumber, 3),
		}, more...)...)
	}
	record := func(kind uint32, more ...avps) []byte {
		return acr(session(3, append([]avps{who, number(diameter.AccountingRecordType, kind)}, more...)...)...)
	}
	for _, tt := range []struct {
		name  string
		raw   []byte
		kind  Kind
		why   Reason
		flags Flags
	}{
		{"event", record(1), Stop, 0, FlagOnce},
		{"start", record(2), Start, 0, 0},
		{"interim", record(3), Interim, 0, 0},
		{"stop", record(4), Stop, 0, 0},
		{"initial", credit(1), Start, 0, 0},
		{"update", credit(2), Interim, 0, 0},
		{"termination", credit(3), Stop, 0, 0},
		{"credit event", credit(4), Stop, 0, FlagOnce},
		{"unknown record type", record(9), Quarantined, UnknownStatus, 0},
		{"no record type", acr(session(3, who)...), Quarantined, NoStatusType, 0},
		{"two record types", record(2, number(diameter.AccountingRecordType, 4)), Quarantined, BadStatusType, 0},
		{"a record type of one octet", acr(session(3, who, text(diameter.AccountingRecordType, "\x02"))...), Quarantined, BadStatusType, 0},
		{"no number", acr(text(263, "s"), who, number(diameter.AccountingRecordType, 2)), Quarantined, NoRecordNumber, 0},
		{"no session", acr(who, number(diameter.AccountingRecordType, 2), number(485, 1)), Quarantined, NoSessionID, 0},
		{"two sessions", record(2, text(263, "other")), Quarantined, ManySessionIDs, 0},
		{"nobody", acr(session(3, number(diameter.AccountingRecordType, 2))...), Quarantined, NoIdentity, 0},
		{"a password", record(2, text(2, "secret")), Quarantined, Credentials, FlagRedacted},
		{"a master key", record(2, text(464, "secret")), Quarantined, Credentials, FlagRedacted},
		{"cut", record(2)[:60], Quarantined, Malformed, 0},
		{"too long", record(2, text(25, strings.Repeat("x", MaxMessage))), Quarantined, Malformed, 0},
		{"a bad figure", record(2, text(363, "\x01")), Start, 0, FlagBadAttribute},
		{"only a total", credit(3, group0(456, group0(446, count(421, 9)))), Stop, 0, FlagNoDirection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e Event
			Classify(&e, tt.raw, 1)
			assert.Equal(t, tt.kind, e.Kind)
			assert.Equal(t, tt.why, e.Quarantine)
			assert.Equal(t, tt.flags, e.Flags&^FlagArrivalTime)
		})
	}
}

func TestClassifyUsedUnits(t *testing.T) {
	who := text(1, "u@home.example")
	msc := func(group uint32, units ...avps) avps {
		return group0(456, append([]avps{number(432, group)}, units...)...)
	}
	for _, tt := range []struct {
		name    string
		raw     []byte
		in, out uint64
		seconds uint32
		has     Has
		groups  string
		absent  Has
	}{
		{
			name: "credit control, by rating group",
			raw: message(272, 4, text(263, "s"), who, number(416, 2), number(415, 1),
				msc(1, group0(446, count(412, 3<<32), count(414, 5), count(421, 3<<32+5), number(420, 60)), group0(446, count(412, 1))),
				msc(2, group0(446, count(412, 10), count(414, 20), number(420, 90)))),
			in: 3<<32 + 11, out: 25, seconds: 90, has: HasInputOctets | HasOutputOctets | HasInputGigawords | HasSince | HasSessionTime,
			groups: `[{"group":1,"input_octets":12884901889,"output_octets":5,"seconds":60},{"group":2,"input_octets":10,"output_octets":20,"seconds":90}]`,
		},
		{
			name: "sums stay at the largest number",
			raw: message(272, 4, text(263, "s"), who, number(416, 2), number(415, 1),
				msc(1, group0(446, count(412, 1<<63)), group0(446, count(412, 1<<63)))),
			in: 1<<64 - 1, has: HasInputOctets | HasSince, absent: HasOutputOctets,
			groups: `[{"group":1,"input_octets":18446744073709551615,"output_octets":0}]`,
		},
		{
			name: "service data containers of Rf",
			raw: acr(session(1, who, number(480, 3), groupOf(873, vendor3GPP, groupOf(874, vendor3GPP,
				of3GPP(2, "\x00\x00\x00\x09"), text(30, "iot.apn"),
				groupOf(2040, vendor3GPP, number(432, 8), count(363, 1<<32), count(364, 2)),
				groupOf(2040, vendor3GPP, number(432, 8), count(363, 1), count(364, 2)),
				groupOf(2046, vendor3GPP, count(363, 99), count(364, 99)))))...),
			in: 1<<32 + 1, out: 4, has: HasInputOctets | HasOutputOctets | HasSince, absent: HasSessionTime,
			groups: `[{"group":8,"input_octets":4294967297,"output_octets":4}]`,
		},
		{
			name: "traffic volumes of Rf",
			raw: acr(session(1, who, number(480, 3), groupOf(873, vendor3GPP, groupOf(874, vendor3GPP,
				groupOf(2046, vendor3GPP, count(363, 99), count(364, 98)), groupOf(2046, vendor3GPP, count(363, 1)))))...),
			in: 100, out: 98, has: HasInputOctets | HasSince,
		},
		{
			name: "what is counted at the top is the whole session's",
			raw: acr(session(1, who, number(480, 3), count(363, 7), count(364, 8), groupOf(873, vendor3GPP, groupOf(874, vendor3GPP,
				groupOf(2040, vendor3GPP, number(432, 8), count(363, 1), count(364, 2)))))...),
			in: 7, out: 8, has: HasInputOctets, absent: HasSince,
			groups: `[{"group":8,"input_octets":1,"output_octets":2}]`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e Event
			Classify(&e, tt.raw, 1)
			assert.NotEqual(t, Quarantined, e.Kind, e.Quarantine)
			assert.Equal(t, tt.in, e.InputOctets)
			assert.Equal(t, tt.out, e.OutputOctets)
			assert.Equal(t, tt.seconds, e.SessionTime)
			assert.Equal(t, tt.has, e.Has&tt.has)
			assert.Zero(t, e.Has&tt.absent)
			r := Record{Header: Header{Kind: e.Kind}, Raw: tt.raw}
			var line struct {
				Service struct {
					Groups json.RawMessage `json:"rating_groups"`
				} `json:"service"`
			}
			b := r.AppendJSON(nil, &View{Hasher: NewHasher(nil)})
			require.NoError(t, json.Unmarshal(b, &line), string(b))
			assert.Equal(t, tt.groups, string(line.Service.Groups))
		})
	}
}

func TestUnixTimeHasTwoEras(t *testing.T) {
	for _, tt := range []struct {
		name string
		v    uint32
		want int64
	}{
		{"2025", 1_763_755_000 + ntpEpoch, 1_763_755_000},
		{"the last second of era 0", 1<<32 - 1, 2_085_978_495},
		{"the first second of era 1", 0, 2_085_978_496},
		{"2040", 126_230_000, 2_212_208_496},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, UnixTime(tt.v)) })
	}
}

func TestKeyOfMessage(t *testing.T) {
	h := NewHasher([]byte("key"))
	key := func(raw []byte) Key {
		var e Event
		Classify(&e, raw, 1)
		return h.Key(&e, "visited")
	}
	who := text(1, "u@home.example")
	start := number(diameter.AccountingRecordType, 2)
	one := acr(session(1, who, start)...)
	assert.Equal(t, key(one), key(acr(session(1, who, number(diameter.AccountingRecordType, 3))...)), "Session-Id and number are the event")
	assert.NotEqual(t, key(one), key(acr(session(2, who, start)...)))
	assert.False(t, key(one).Untimed())

	again := acr(session(1, who, start, text(diameter.RouteRecord, "relay"), number(diameter.OriginStateID, 5), number(41, 9),
		text(diameter.DestinationHost, "other"), group0(diameter.ProxyInfo, text(280, "h"), text(33, "s")))...)
	again[4] |= byte(diameter.FlagRetransmitted)
	diameter.SetHopByHop(again, 99)
	diameter.SetEndToEnd(again, 99)
	assert.Equal(t, h.Content(one), h.Content(again), "it is the same by whatever way it comes")
	assert.Equal(t, h.StableContent(one), h.StableContent(again))
	assert.NotEqual(t, h.Content(one), h.Content(acr(session(1, who, start, number(46, 1))...)))
}

func TestRecordOfMessageKeepsNoCredentials(t *testing.T) {
	raw := acr(session(1, text(1, "u@home.example"), number(480, 2), text(2, "hidden-password"),
		group0(402, number(403, 5), text(405, "chap-response")), text(464, "master-session-key"),
		func(w *diameter.Writer) { w.String(16, vendorMicrosoft, 0, "mppe-send") })...)
	var e Event
	Classify(&e, raw, 1)
	var h Header
	h.SetEvent(&e)
	b := AppendRecord(nil, &h, raw)
	for _, hidden := range []string{"hidden-password", "chap-response", "master-session-key", "mppe-send"} {
		assert.NotContains(t, string(b), hidden)
		assert.Contains(t, string(raw), hidden, "the message itself is left alone")
	}
	r, err := Decode(b)
	require.NoError(t, err)
	assert.Equal(t, Credentials, r.Quarantine)
	hash := NewHasher(nil)
	assert.Equal(t, hash.Content(raw), hash.Content(r.Raw), "a message and its record have the same content")
}

func TestAllocsClassifyMessage(t *testing.T) {
	raw := fullACR()
	h := NewHasher([]byte("key"))
	var e Event
	dst := make([]byte, 0, MaxRecord)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		Classify(&e, raw, 1)
		head := Header{Key: h.Key(&e, "visited"), Client: "visited"}
		head.SetEvent(&e)
		_ = h.Content(raw)
		dst = AppendRecord(dst[:0], &head, raw)
	}))
}
