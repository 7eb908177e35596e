package usage

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
)

func TestParseReport(t *testing.T) {
	raw := stop()
	b := line(raw, accounting.View{Plain: true, Raw: true}, func(h *accounting.Header) {
		h.Flags |= accounting.FlagConflict | accounting.FlagForward | accounting.FlagNameCut
		h.Other = 3
	})
	r := Report{Node: "n1", Epoch: 4, Route: "left over", Classes: make([]accounting.Key, 3)}
	require.NoError(t, ParseReport(append(b, '\n'), &r), "%s", b)

	var e accounting.Event
	accounting.Classify(&e, raw, arrival)
	h := accounting.NewHasher([]byte("key"))
	assert.NotZero(t, r.UserHash)
	assert.NotZero(t, r.DeviceHash)
	assert.NotZero(t, r.CUIHash)
	require.Len(t, r.Classes, 2)
	assert.NotEqual(t, r.Classes[0], r.Classes[1])
	r.UserHash, r.DeviceHash, r.CUIHash, r.Classes = accounting.Key{}, accounting.Key{}, accounting.Key{}, nil
	assert.Equal(t, Report{
		Node: "n1", Epoch: 4, Seq: 7,
		Arrival: time.Unix(0, arrival).UTC(), Event: time.Unix(1_763_755_000, 0).UTC(),
		Kind: accounting.Stop, Other: 3,
		Flags: accounting.FlagConflict | accounting.FlagForward | accounting.FlagNameCut,
		Key:   h.Key(&e, "4WBA:CH"), Content: h.StableContent(raw), Evidence: sha256.Sum256(raw),
		Client: "hotspots", Operator: "4WBA:CH", Country: "CH", OperatorName: "4WBA:CH",
		Realm: "a.example", Route: "*.example", HomePLMN: "23415",
		User:   "6234150999999999@wlan.mnc015.mcc234.3gppnetwork.org",
		Device: "imsi:234150999999999", CUI: "cui-1",
		SessionID: "5f3759df-0001", MultiSessionID: "multi-9", NAS: "ap-17.visited.example",
		NASAddress: "10.0.0.1", CalledStation: "AA-BB-CC-DD-EE-FF:Roam",
		Has: accounting.HasOutputGigawords<<1 - 1, SessionTime: 600,
		InputOctets: 1<<32 + 7, OutputOctets: 2<<32 + 9, InputPackets: 11, OutputPackets: 13,
		InputGigawords: true, OutputGigawords: true, DelayTime: 3, TerminateCause: 1, NASPortType: 19, RAT: 3,
		Offset: -6 * 3600,
		Location: Location{
			Country: "CH", Civic: map[string]string{"3": "Bern", "6": "Bahnhof\u00e9"},
			Latitude: "46.9480000", Longitude: "-7.4474000", PLMN: "22801", Cell: "0122f8",
		},
		Service: Service{
			Offered: "OpenRoaming Gold", Granted: "OpenRoaming Gold", FinancialClearing: "4CLEAR.WBA",
			DataClearing: "4DATA.WBA", Rate: &Rate{Currency: "CHF", Index: 2, Nanos: 256}, ChargingID: 0x1234,
		},
		PolicyVersion: 7, PolicyStale: true,
	}, r)
}

func TestParseReportOfLittle(t *testing.T) {
	var r Report
	b := line(packet(attr32(40, 9)), accounting.View{}, func(h *accounting.Header) {
		*h = accounting.Header{Kind: h.Kind, Quarantine: h.Quarantine, Key: accounting.Key{1}}
	})
	require.NoError(t, ParseReport(b, &r), "%s", b)
	assert.Equal(t, accounting.Quarantined, r.Kind)
	assert.Equal(t, "unknown_status", r.Quarantine)
	assert.Zero(t, r.Has)
	assert.Empty(t, r.Client)

	require.NoError(t, ParseReport([]byte(`{"seq":9,"kind":"quarantined","quarantine":"unreadable","record":"AAAA"}`), &r))
	assert.Equal(t, uint64(9), r.Seq, "what the hub could not read itself")

	require.NoError(t, ParseReport([]byte(`{"seq":3,"time":"2025-11-21T19:57:10.5Z","event_time":"2025-11-21T19:56:40Z","kind":"start","key":"40634ece8440a15330ee9bdf85dafbab"}`), &r))
	assert.Zero(t, r.Content, "a hub that knows no version yet")
	assert.Equal(t, 500*time.Millisecond, time.Duration(r.Arrival.Nanosecond()))
}

func TestParseReportTakesWhatALaterHubAdds(t *testing.T) {
	b := string(line(stop(), accounting.View{}))
	b = strings.Replace(b, `"kind"`, `"new":{"a":[1,-2.5e+3,null,true,false,"\u00e9\ud83d\ude00"],"b":{}},"kind"`, 1)
	b = strings.Replace(b, `"location":{`, `"location":{"floor":[], `, 1)
	b = strings.Replace(b, `"rate":{`, "\"rate\" : {\"scale\":0,\t", 1)
	b = b[:len(b)-1] + `,"flags":["forward","new_flag"]}`
	var r, plain Report
	require.NoError(t, ParseReport([]byte(b), &r), b)
	require.NoError(t, ParseReport(line(stop(), accounting.View{}), &plain))
	plain.Flags = accounting.FlagForward
	assert.Equal(t, plain, r)
}

func TestParseReportRefuses(t *testing.T) {
	good := string(line(stop(), accounting.View{Plain: true}))
	swap := func(from, to string) string {
		require.Contains(t, good, from)
		return strings.Replace(good, from, to, 1)
	}
	for _, tt := range []struct {
		name, line, want string
	}{
		{"nothing", "", "no JSON"},
		{"a list", "[]", "no JSON"},
		{"half a line", good[:len(good)/2], ""},
		{"two lines", good + good, "no JSON"},
		{"a comma too many", good[:len(good)-1] + ",}", "no JSON"},
		{"too long", good[:len(good)-1] + strings.Repeat(" ", MaxLine) + "}", "octets in a line"},
		{"version zero", swap(`"v":1`, `"v":0`), "v: no number"},
		{"version as a text", swap(`"v":1`, `"v":"1"`), "v: no number"},
		{"version late", swap(`{"v":1,"seq":7`, `{"seq":7,"v":1`), "v: is not the first field"},
		{"no seq", swap(`"seq":7,`, ``), "seq is missing"},
		{"negative seq", swap(`"seq":7`, `"seq":-7`), "seq: no number"},
		{"seq of 65 bits", swap(`"seq":7`, `"seq":18446744073709551616`), "seq: no number"},
		{"seq with a fraction", swap(`"seq":7`, `"seq":7.0`), "seq: no number"},
		{"seq with an exponent", swap(`"seq":7`, `"seq":7e1`), "seq: no number"},
		{"seq with a zero in front", swap(`"seq":7`, `"seq":07`), "seq: no number"},
		{"seq twice", swap(`"seq":7`, `"seq":7,"seq":8`), "seq: is there twice"},
		{"no key", swap(`"key":`, `"yek":`), "key is missing"},
		{"no content", swap(`"content":`, `"tnetnoc":`), "content is missing"},
		{"no evidence", swap(`"evidence":`, `"e":`), "evidence is missing"},
		{"short key", swap(`"key":"`, `"key":"0`), "key: not hexadecimal"},
		{"key of other letters", swap(`"key":"35`, `"key":"zz`), "key: not hexadecimal"},
		{"kind", swap(`"kind":"stop"`, `"kind":"stopp"`), "kind: none of the known"},
		{"unknown kind", swap(`"kind":"stop"`, `"kind":"unknown"`), "kind: none of the known"},
		{"quarantined for nothing", swap(`"kind":"stop"`, `"kind":"quarantined"`), "do not go together"},
		{"quarantine of a stop", swap(`"kind":"stop"`, `"kind":"stop","quarantine":"malformed"`), "do not go together"},
		{"time with an offset", swap(`"time":"2025-11-21T19:57:10Z"`, `"time":"2025-11-21T19:57:10+01:00"`), "time: no time"},
		{"no time at all", swap(`"event_time":"2025-11-21T19:56:40Z"`, `"event_time":"2025-13-21T19:56:40Z"`), "event_time: no time"},
		{"empty text", swap(`"client":"hotspots"`, `"client":""`), "client: the text is empty"},
		{"long text", swap(`"client":"hotspots"`, `"client":"`+strings.Repeat("x", maxText+1)+`"`), "client: the text is too long"},
		{"no UTF-8", swap(`"client":"hotspots"`, "\"client\":\"h\xff\""), "client: no UTF-8"},
		{"no UTF-8 behind an escape", swap(`"client":"hotspots"`, "\"client\":\"\\n\xff\""), "client: no UTF-8"},
		{"control octet", swap(`"client":"hotspots"`, "\"client\":\"h\x01\""), "client: no JSON"},
		{"bad escape", swap(`"client":"hotspots"`, `"client":"\x"`), "client: no JSON"},
		{"bad unicode escape", swap(`"client":"hotspots"`, `"client":"\u12g4"`), "client: no JSON"},
		{"address", swap(`"10.0.0.1"`, `"10.0.0.256"`), "nas_address: no address"},
		{"33 bits", swap(`"session_time":600`, `"session_time":4294967296`), "session_time: no number"},
		{"RAT of nine bits", swap(`"rat":3`, `"rat":256`), "rat: no number"},
		{"gigawords", swap(`"input_gigawords":true`, `"input_gigawords":1`), "input_gigawords: none of"},
		{"half a word", swap(`"input_gigawords":true`, `"input_gigawords":tru`), "input_gigawords: no JSON"},
		{"offset of no place", swap(`-21600`, `54000`), "utc_offset: no number"},
		{"offset of a minute", swap(`-21600`, `60`), "utc_offset: no number"},
		{"sign alone", swap(`-21600`, `- 21600`), "utc_offset: no JSON"},
		{"country", swap(`"country":"CH"`, `"country":"Ch"`), "location: none of"},
		{"CAtype", swap(`"3":"Bern"`, `"300":"Bern"`), "location: no number"},
		{"CAtype spelt otherwise", swap(`"3":"Bern"`, `"03":"Bern"`), "location: no number"},
		{"CAtype twice", swap(`"3":"Bern"`, `"3":"Bern","3":"Biel"`), "location: is there twice"},
		{"place twice", swap(`"plmn":"22801"`, `"plmn":"22801","plmn":"22802"`), "location: is there twice"},
		{"behind the pole", swap(`"46.9480000"`, `"90.0000001"`), "location: no number"},
		{"degrees of other form", swap(`"46.9480000"`, `"46.948"`), "location: no number"},
		{"cell", swap(`"0122f8"`, `"0122f"`), "location: not hexadecimal"},
		{"currency", swap(`"currency":"CHF"`, `"currency":"francs"`), "service: none of"},
		{"no currency", swap(`"currency":"CHF"`, `"c":"CHF"`), "service: none of"},
		{"rate as a number", swap(`"rate":{"currency":"CHF","index":2,"nanos":256}`, `"rate":5`), "service: no JSON"},
		{"too many classes", swap(`"class":[`, `"class":[`+strings.Repeat(`"40634ece8440a15330ee9bdf85dafbab",`, 63)), "class: too many"},
		{"nested deep", swap(`"v":1`, `"v":1,"x":`+strings.Repeat("[", 9)+strings.Repeat("]", 9)), "nested too deep"},
		{"unknown word", swap(`"v":1`, `"v":1,"x":nul`), "no JSON"},
		{"unknown number", swap(`"v":1`, `"v":1,"x":1.`), "no JSON"},
		{"unknown exponent", swap(`"v":1`, `"v":1,"x":1e`), "no JSON"},
		{"unknown sign", swap(`"v":1`, `"v":1,"x":-`), "no JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Report
			err := ParseReport([]byte(tt.line), &r)
			require.ErrorIs(t, err, ErrReport)
			assert.NotErrorIs(t, err, ErrNewer)
			assert.ErrorContains(t, err, tt.want)
			for _, secret := range []string{"hotspots", "234150999999999", "cui-1"} {
				assert.NotContains(t, err.Error(), secret)
			}
		})
	}
	var r Report
	err := ParseReport([]byte(swap(`"v":1,"seq":7`, `"v":2,"seq":{}`)), &r)
	require.ErrorIs(t, err, ErrNewer)
	assert.NotErrorIs(t, err, ErrReport)
}

// text is what AppendJSON makes of an attribute.
func text(v []byte) string { return string([]rune(string(v))) }

// FuzzReport: whatever a NAS sends, the line of its record is read, and says
// what the packet said.
func FuzzReport(f *testing.F) {
	f.Add(stop(), true, uint32(0))
	f.Add(packet(attr32(40, 2), attr(44, "\"\\\x00\x1f\x7f\xff\xe2\x82\xac\xed\xa0\x80"), attr(1, "u")), false, uint32(9))
	f.Add(packet(bytes.Repeat([]byte{25, 2}, 2038)), true, uint32(1))
	f.Add(packet(attr(128, "\x00\x05ch"), attr(127, "\x00\x05\x00")), true, uint32(1))
	f.Fuzz(func(t *testing.T, raw []byte, show bool, version uint32) {
		if len(raw) > 4096 {
			return
		}
		b := line(raw, accounting.View{Plain: show, Raw: show}, func(h *accounting.Header) { h.PolicyVersion = version })
		require.LessOrEqual(t, len(b), MaxLine)
		require.True(t, json.Valid(b))
		var r Report
		require.NoError(t, ParseReport(b, &r), "%s", b)
		var e accounting.Event
		accounting.Classify(&e, raw, arrival)
		const gigawords = accounting.HasInputGigawords | accounting.HasOutputGigawords
		require.Equal(t, e.Has&gigawords, r.Has&gigawords)
		if e.Has&accounting.HasInputGigawords != 0 {
			e.Has |= accounting.HasInputOctets
		}
		if e.Has&accounting.HasOutputGigawords != 0 {
			e.Has |= accounting.HasOutputOctets
		}
		if r.Has&accounting.HasRATType != 0 {
			require.Equal(t, e.RATType, r.RAT)
		}
		type figures struct {
			kind           accounting.Kind
			has            accounting.Has
			in, out        uint64
			time           uint32
			pin, pout      uint64
			delay, cause   uint32
			port, version  uint32
			id, multi, nas string
			classes        int
			at             int64
		}
		require.Equal(t,
			figures{e.Kind, e.Has, e.InputOctets, e.OutputOctets, e.SessionTime, e.InputPackets, e.OutputPackets, e.DelayTime, e.TerminateCause,
				e.NASPortType, version, text(e.SessionID), text(e.MultiSessionID), text(e.NASIdentifier), min(e.Classes, accounting.MaxClasses), e.Time},
			figures{r.Kind, r.Has, r.InputOctets, r.OutputOctets, r.SessionTime, r.InputPackets, r.OutputPackets, r.DelayTime, r.TerminateCause,
				r.NASPortType, r.PolicyVersion, r.SessionID, r.MultiSessionID, r.NAS, len(r.Classes), r.Event.Unix()})
		if show {
			require.Equal(t, text(e.UserName), r.User)
			require.Equal(t, text(e.CUI), r.CUI)
		}
	})
}

// FuzzParseReport: what is taken is JSON, and the library reads the same in it.
func FuzzParseReport(f *testing.F) {
	f.Add(line(stop(), accounting.View{Plain: true, Raw: true}))
	f.Add([]byte(`{"seq":9,"kind":"quarantined","quarantine":"unreadable","record":"AAAA","x":[1,{"y":null}]}`))
	f.Add([]byte(`{"v":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Report
		if ParseReport(b, &r) != nil {
			return
		}
		var m struct {
			Seq         uint64   `json:"seq"`
			InputOctets uint64   `json:"input_octets"`
			SessionID   string   `json:"session_id"`
			Class       []string `json:"class"`
			UTCOffset   int      `json:"utc_offset"`
			Location    Location `json:"location"`
			Service     Service  `json:"service"`
		}
		// The library folds case, and takes the last of two that differ in it.
		names := map[string]json.RawMessage{}
		require.NoError(t, json.Unmarshal(b, &names), "%s", b)
		for name := range names {
			if name != strings.ToLower(name) {
				return
			}
		}
		require.NoError(t, json.Unmarshal(b, &m), "%s", b)
		require.Equal(t, m.Seq, r.Seq)
		require.Equal(t, m.InputOctets, r.InputOctets)
		require.Equal(t, m.SessionID, r.SessionID)
		require.Len(t, r.Classes, len(m.Class))
		require.Equal(t, m.UTCOffset, r.Offset)
	})
}

func BenchmarkParseReport(b *testing.B) {
	l := line(stop(), accounting.View{})
	var r Report
	b.ReportAllocs()
	b.SetBytes(int64(len(l)))
	for b.Loop() {
		if err := ParseReport(l, &r); err != nil {
			b.Fatal(err)
		}
	}
}
