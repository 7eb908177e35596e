package accounting

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const arrival = 1_763_755_030 * int64(1e9)

func TestClassify(t *testing.T) {
	id, user := attr(attrAcctSessionID, "s1"), attr(attrUserName, "u@a.example")
	status := func(v uint32) []byte { return attr32(attrAcctStatusType, v) }
	for _, tt := range []struct {
		name   string
		raw    []byte
		kind   Kind
		reason Reason
	}{
		{"start", packet(status(1), id, user), Start, 0},
		{"stop", packet(status(2), id, user), Stop, 0},
		{"interim", packet(status(3), id, user), Interim, 0},
		{"on needs no session", packet(status(7)), On, 0},
		{"off needs no session", packet(status(8)), Off, 0},
		{"stop of a CUI", packet(status(2), id, attr(attrCUI, "c")), Stop, 0},
		{"stop of a class", packet(status(2), id, attr(attrClass, "c")), Stop, 0},
		{"R114 stop of nobody", packet(status(2), id), Quarantined, NoIdentity},
		{"R115 no session id", packet(status(2), user), Quarantined, NoSessionID},
		{"empty session id", packet(status(2), user, attr(attrAcctSessionID, "")), Quarantined, NoSessionID},
		{"R116 no status", packet(id, user), Quarantined, NoStatusType},
		{"R117 status zero", packet(status(0), id, user), Quarantined, BadStatusType},
		{"R118 status of one octet", packet(attr(attrAcctStatusType, "\x02"), id, user), Quarantined, BadStatusType},
		{"two statuses that differ", packet(status(1), status(2), id, user), Quarantined, BadStatusType},
		{"the same status twice", packet(status(2), status(2), id, user), Stop, 0},
		{"tunnel start", packet(status(9), id, user), Quarantined, UnknownStatus},
		{"failed", packet(status(15), id, user), Quarantined, UnknownStatus},
		{"private status", packet(status(0xffffffff), id, user), Quarantined, UnknownStatus},
		{"status that looks like a stop in eight bits", packet(status(0x102), id, user), Quarantined, UnknownStatus},
		{"two session ids", packet(status(2), id, user, attr(attrAcctSessionID, "s2")), Quarantined, ManySessionIDs},
		{"R119 password", packet(status(2), id, user, attr(attrUserPassword, "0123456789abcdef")), Quarantined, Credentials},
		{"CHAP password", packet(status(2), id, user, attr(attrCHAPPassword, "0123456789abcdef0")), Quarantined, Credentials},
		{"attribute passes the end", append(packet(status(2), id, user), 26, 200, 1), Quarantined, Malformed},
		{"attribute of length one", append(packet(status(2), id, user), 26, 1), Quarantined, Malformed},
		{"lonely last octet", append(packet(status(2), id, user), 26), Quarantined, Malformed},
		{"no header", []byte{4, 1, 0}, Quarantined, Malformed},
		{"too long", make([]byte, 4097), Quarantined, Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e Event
			Classify(&e, tt.raw, arrival)
			assert.Equal(t, tt.kind, e.Kind)
			assert.Equal(t, tt.reason, e.Quarantine)
		})
	}
}

func TestClassifyReadsAFullStop(t *testing.T) {
	var e Event
	Classify(&e, packet(stop()...), arrival)
	require.Equal(t, Stop, e.Kind)
	assert.Equal(t, uint64(1<<32+7), e.InputOctets, "gigawords are the high half")
	assert.Equal(t, uint64(2<<32+9), e.OutputOctets)
	assert.Equal(t, int64(1_763_755_000), e.Time)
	assert.Equal(t, int64(1_763_754_400), e.SessionStart())
	assert.Equal(t, "234150999999999", string(e.IMSI))
	assert.Equal(t, uint8(3), e.RATType)
	assert.Equal(t, 2, e.Classes)
	assert.Zero(t, e.Flags)
}

func TestEventTime(t *testing.T) {
	base := [][]byte{attr32(attrAcctStatusType, 2), attr(attrAcctSessionID, "s"), attr(attrUserName, "u")}
	for _, tt := range []struct {
		name  string
		raw   []byte
		want  int64
		flags Flags
	}{
		{"Event-Timestamp is the event, not reduced by the delay (C21)", with(base, attr32(attrEventTimestamp, 1_763_755_000), attr32(attrAcctDelayTime, 20)), 1_763_755_000, 0},
		{"arrival less the delay", with(base, attr32(attrAcctDelayTime, 20)), 1_763_755_010, FlagArrivalTime},
		{"arrival", with(base), 1_763_755_030, FlagArrivalTime},
		{"a clock that was never set", with(base, attr32(attrEventTimestamp, 3600)), 1_763_755_030, FlagArrivalTime},
		{"a timestamp of two octets", with(base, attr(attrEventTimestamp, "ab")), 1_763_755_030, FlagArrivalTime | FlagBadAttribute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e Event
			Classify(&e, tt.raw, arrival)
			assert.Equal(t, Stop, e.Kind)
			assert.Equal(t, tt.want, e.Time)
			assert.Equal(t, tt.flags, e.Flags)
		})
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		assert.NotEmpty(t, r.String())
		assert.False(t, seen[r.String()])
		seen[r.String()] = true
	}
	assert.Equal(t, "unknown", Reason(200).String())
	assert.Equal(t, "unknown", Kind(99).String())
	assert.True(t, AllKinds.Has(Quarantined))
	assert.False(t, AllKinds.Has(Kind(99)))
}

func TestAllocsHot(t *testing.T) {
	raw := packet(stop()...)
	var e Event
	h := NewHasher([]byte("key"))
	ev := NewEvents(1<<12, 0)
	dst := make([]byte, 0, MaxRecord)
	head := Header{Client: "hotspots", Operator: "4WBA:CH", Country: "CH", Realm: "a.example", Route: "*.example"}
	n := uint64(0)
	assert.Zero(t, testing.AllocsPerRun(200, func() {
		n++
		raw[headerLen+2+4+2] = byte('a' + n%20) // another user, another event
		Classify(&e, raw, arrival)
		k, c := h.Key(&e, "hotspots"), h.Content(raw)
		if out, _ := ev.Claim(k, c+n, arrival/1e9); out == New {
			ev.Settle(k, c+n, n)
		}
		head.SetEvent(&e)
		dst = AppendRecord(dst[:0], &head, raw)
	}))
}

func BenchmarkHotAcctStop(b *testing.B) {
	raw := packet(stop()...)
	h := NewHasher([]byte("key"))
	dst := make([]byte, 0, MaxRecord)
	head := Header{Client: "hotspots", Operator: "4WBA:CH", Country: "CH", Realm: "a.example", Route: "*.example"}
	var e Event
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		Classify(&e, raw, arrival)
		head.Key = h.Key(&e, "hotspots")
		_ = h.Content(raw)
		head.SetEvent(&e)
		dst = AppendRecord(dst[:0], &head, raw)
	}
}
