package accounting

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter/dict"
	"github.com/roamgate/roamgate/pkg/wba"
)

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func fullRecord(raw []byte) (Header, []byte) {
	var e Event
	Classify(&e, raw, arrival)
	h := Header{
		Time: arrival, From: netip.MustParseAddrPort("192.0.2.1:1813"), Other: 12,
		Client: "hotspots", Operator: "4WBA:CH", Country: "CH", Realm: "a.example", Route: "*.example",
	}
	h.SetEvent(&e)
	h.Key = NewHasher([]byte("key")).Key(&e, h.Operator)
	return h, AppendRecord(nil, &h, raw)
}

func TestRecordRoundTrip(t *testing.T) {
	raw := packet(stop()...)
	h, b := fullRecord(raw)
	r, err := Decode(b)
	require.NoError(t, err)
	assert.Equal(t, h, r.Header)
	assert.Equal(t, raw, r.Raw)
	k, ok := KindOf(b)
	assert.True(t, ok)
	assert.Equal(t, Stop, k)
	h.From = netip.AddrPort{}
	r, err = Decode(AppendRecord(nil, &h, nil))
	require.NoError(t, err)
	assert.Equal(t, h, r.Header)
	assert.Empty(t, r.Raw)
}

var euro = wba.Rate{Currency: [3]byte{'E', 'U', 'R'}, Index: 2, Nanos: 7}

// The rate that was agreed is kept beside the packet, and shown in the place of
// the one that the packet names.
func TestRecordRate(t *testing.T) {
	for _, raw := range [][]byte{packet(stop()...), with(stop(), vendor(vendorWBA, 15, "CHF\x00\x00\x00\x00\x01"))} {
		h, _ := fullRecord(raw)
		h.Rate, h.PolicyStale, h.Flags = euro, true, FlagSettled|FlagRateDiffers
		b := AppendRecord(nil, &h, raw)
		r, err := Decode(b)
		require.NoError(t, err)
		assert.Equal(t, h, r.Header)
		assert.Equal(t, raw, r.Raw)
		line := string(r.AppendJSON(nil, &View{Hasher: NewHasher(nil)}))
		assert.Contains(t, line, `"rate":{"currency":"EUR","index":2,"nanos":7}`)
		assert.Contains(t, line, `"flags":["settled","rate_differs"]`)

		n := int(binary.BigEndian.Uint16(b[1:]))
		for cut := 1; cut < rateLen; cut++ {
			short := append(bytes.Clone(b[:n-cut]), b[n:]...)
			binary.BigEndian.PutUint16(short[1:], uint16(n-cut))
			_, err := Decode(short)
			require.ErrorContains(t, err, "behind the names")
		}
	}
}

func TestRecordBounds(t *testing.T) {
	long := strings.Repeat("x", 300)
	h := Header{Kind: Start, Client: long, Operator: long, Country: long, Realm: long, Route: long, Rate: euro}
	for _, tt := range []struct {
		name  string
		first byte
		most  int
	}{{"RADIUS", 4, maxPacket}, {"Diameter", 1, MaxMessage}} {
		t.Run(tt.name, func(t *testing.T) {
			raw := make([]byte, MaxMessage+1)
			raw[0] = tt.first
			b := AppendRecord(nil, &h, raw)
			assert.Len(t, b, MaxRecord-MaxMessage+tt.most)
			r, err := Decode(b)
			require.NoError(t, err)
			assert.Len(t, r.Client, 255)
			assert.NotZero(t, r.Flags&FlagNameCut)
			assert.Len(t, r.Raw, tt.most)
			_, err = Decode(append(b, 0))
			assert.ErrorIs(t, err, ErrRecord)
		})
	}
}

func TestRecordKeepsNoCredentials(t *testing.T) {
	raw := with(stop(), attr(attrUserPassword, "hidden-password!"), attr(attrCHAPPassword, "0chap-response16!"))
	_, b := fullRecord(raw)
	assert.NotContains(t, string(b), "hidden-password!")
	assert.NotContains(t, string(b), "chap-response16")
	assert.Contains(t, string(raw), "hidden-password!", "the packet itself is left alone")
	r, err := Decode(b)
	require.NoError(t, err)
	assert.Equal(t, Credentials, r.Quarantine)
	assert.Len(t, r.Raw, len(raw))
}

func TestRecordReadsLaterFields(t *testing.T) {
	_, b := fullRecord(packet(stop()...))
	n := int(b[1])<<8 | int(b[2])
	later := append(append(bytes.Clone(b[:n]), "new"...), b[n:]...)
	later[2] += 3
	r, err := Decode(later)
	require.NoError(t, err)
	assert.Equal(t, packet(stop()...), r.Raw)
}

func TestDecodeRefuses(t *testing.T) {
	_, good := fullRecord(packet(stop()...))
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, "too few"},
		{"later version", change(func(b []byte) []byte { b[0] = 2; return b }), "version 2"},
		{"kind", change(func(b []byte) []byte { b[3] = 77; return b }), "kind 77"},
		{"reason without quarantine", change(func(b []byte) []byte { b[4] = 1; return b }), "reason 1"},
		{"quarantine without a reason", change(func(b []byte) []byte { b[3] = 255; return b }), "kind 255"},
		{"header passes the end", change(func(b []byte) []byte { b[1] = 0xff; return b }), "header length"},
		{"header too short", change(func(b []byte) []byte { b[1], b[2] = 0, 10; return b }), "header length"},
		{"name passes the header", change(func(b []byte) []byte { b[fixedLen] = 255; return b }), "a name"},
		{"too long", append(bytes.Clone(good), make([]byte, MaxRecord)...), "too many"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode(tt.b)
			require.ErrorIs(t, err, ErrRecord)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestAppendJSON(t *testing.T) {
	_, b := fullRecord(packet(stop()...))
	r, err := Decode(b)
	require.NoError(t, err)
	r.Seq = 7
	view := View{Hasher: NewHasher([]byte("key"))}
	out := string(r.AppendJSON(nil, &view))
	evidence := sha256.Sum256(r.Raw)
	const content = "983958ba4609f258b9fd5b429bcc9715" // changing this makes every repetition after an update a contradiction
	want := `{"v":1,"seq":7,"time":"2025-11-21T19:57:10Z","event_time":"2025-11-21T19:56:40Z","kind":"stop",` +
		`"key":"` + hexOf(r.Key[:]) + `","content":"` + content + `","evidence":"` + hexOf(evidence[:]) + `","client":"hotspots","visited_operator":"4WBA:CH","visited_country":"CH",` +
		`"realm":"a.example","route":"*.example"`
	assert.Equal(t, want, out[:len(want)])
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &m))
	for name, v := range map[string]any{
		"session_id": "5f3759df-0001", "multi_session_id": "multi-9", "nas": "ap-17.visited.example", "nas_address": "10.0.0.1",
		"input_octets": float64(1<<32 + 7), "output_octets": float64(2<<32 + 9), "input_packets": 11., "output_packets": 13.,
		"session_time": 600., "terminate_cause": 1., "nas_port_type": 19., "rat": 3.,
		"called_station": "AA-BB-CC-DD-EE-FF:Roam", "duplicate_of": 12.,
	} {
		assert.Equal(t, v, m[name], name)
	}
	assert.Len(t, m["class"], 2)
	for _, name := range []string{"user", "device", "cui", "raw", "quarantine", "delay_time", "flags"} {
		assert.NotContains(t, m, name)
	}
	for _, plain := range []string{"234150999999999", "cui-1", "02-00-5E", "02005e100001", "class-one"} {
		assert.NotContains(t, out, plain, "identities show as hashes")
	}
	view.Plain, view.Raw = true, true
	require.NoError(t, json.Unmarshal(r.AppendJSON(nil, &view), &m))
	assert.Equal(t, "imsi:234150999999999", m["device"])
	assert.Equal(t, "cui-1", m["cui"])
	assert.NotEmpty(t, m["raw"])
}

func TestAppendJSONOfHostileText(t *testing.T) {
	raw := packet(attr32(attrAcctStatusType, 9), attr(attrAcctSessionID, "\"\\\x00\x1f\x7f\xff\xe2\x82\xac\xed\xa0\x80"), attr(attrUserName, "u"))
	h, _ := fullRecord(raw)
	h.Event, h.Time = 1<<62, -1<<62
	r, err := Decode(AppendRecord(nil, &h, raw))
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(r.AppendJSON(nil, &View{Hasher: NewHasher(nil)}), &m))
	assert.Equal(t, "\"\\\x00\x1f\x7f\ufffd€\ufffd\ufffd\ufffd", m["session_id"])
	assert.Equal(t, "unknown_status", m["quarantine"])
	assert.Equal(t, 9., m["status"])
}

func TestStations(t *testing.T) {
	for _, tt := range []struct{ name, calling, device, called string }{
		{"hyphens", "02-00-5e-10-00-01", "mac:02005e100001", "02-00-5E-10-00-01"},
		{"colons", "02:00:5E:10:00:01", "mac:02005e100001", "02-00-5E-10-00-01"},
		{"dots", "0200.5e10.0001", "mac:02005e100001", "02-00-5E-10-00-01"},
		{"bare", "02005e100001", "mac:02005e100001", "02-00-5E-10-00-01"},
		{"with SSID", "02-00-5e-10-00-01:My Net", "station:02-00-5e-10-00-01:My Net", "02-00-5E-10-00-01:My Net"},
		{"APN", "internet.example", "station:internet.example", "internet.example"},
		{"number", "+447700900000", "station:+447700900000", "+447700900000"},
		{"two separators", "02--005e100001", "station:02--005e100001", "02--005e100001"},
		{"short", "02-00", "station:02-00", "02-00"},
		{"none", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.device, string(Device(nil, &Event{CallingStation: []byte(tt.calling)})))
			assert.Equal(t, tt.called, string(CalledStation(nil, []byte(tt.calling))))
		})
	}
}

func FuzzDecode(f *testing.F) {
	_, b := fullRecord(packet(stop()...))
	f.Add(b)
	f.Add(b[:fixedLen+5])
	f.Add([]byte{Version})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(AppendRecord(nil, &r.Header, r.Raw))
		require.NoError(t, err)
		require.Equal(t, r.Header, again.Header)
		require.True(t, json.Valid(r.AppendJSON(nil, &View{Hasher: NewHasher(nil), Plain: true, Raw: true})))
	})
}

func FuzzClassify(f *testing.F) {
	f.Add(packet(stop()...))
	f.Add(with(stop(), attr(attrUserPassword, "0123456789abcdef")))
	f.Add([]byte{4, 1, 0, 20})
	fuzzClassify(f, maxPacket)
}

// FuzzClassifyMessage is the same of Diameter, by the messages that all tests use.
func FuzzClassifyMessage(f *testing.F) {
	f.Add(fullACR())
	for _, name := range []string{"valid.txt", "malformed.txt"} {
		text, err := os.ReadFile("../test/vectors/diameter/" + name)
		require.NoError(f, err)
		all, err := dict.Vectors(string(text))
		require.NoError(f, err)
		for _, v := range all {
			f.Add(v.Raw)
		}
	}
	fuzzClassify(f, MaxMessage)
}

// fuzzClassify: whatever comes has a kind, and its record says what it said itself.
func fuzzClassify(f *testing.F, longest int) {
	h := NewHasher([]byte("key"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e Event
		Classify(&e, raw, arrival)
		require.True(t, e.Kind.valid())
		require.Equal(t, e.Kind == Quarantined, e.Quarantine != NotQuarantined)
		k := h.Key(&e, "v")
		if len(raw) > longest {
			return
		}
		head := Header{Time: arrival, Key: k}
		head.SetEvent(&e)
		r, err := Decode(AppendRecord(nil, &head, raw))
		require.NoError(t, err)
		var again Event
		r.ReadEvent(&again)
		require.Equal(t, k, h.Key(&again, "v"), "a stored packet has the key it came with")
		require.Equal(t, h.Content(raw), h.Content(r.Raw))
	})
}
