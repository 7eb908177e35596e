package usage

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/diameter"
)

// message is the stop of a session with counters that 32 bits do not hold.
func message(session string) []byte {
	const m = diameter.AVPMandatory
	var w diameter.Writer
	w.Begin(make([]byte, 8192), &diameter.Header{Flags: diameter.FlagRequest, Command: diameter.Accounting, Application: diameter.AppAccounting})
	w.String(diameter.SessionID, 0, m, session)
	w.String(diameter.OriginHost, 0, m, "nas.visited.example")
	w.String(diameter.OriginRealm, 0, m, "visited.example")
	w.Uint32(diameter.AccountingRecordType, 0, m, 4)
	w.Uint32(diameter.AccountingRecordNumber, 0, m, 3)
	w.String(diameter.UserName, 0, m, "u@home.example")
	w.Uint32(55, 0, m, uint32(arrival/1e9-30+2208988800))
	w.Uint32(46, 0, m, 600)
	w.Uint64(363, 0, m, 3<<32|0x80000001)
	w.Uint64(364, 0, m, 1<<31)
	w.Uint64(365, 0, m, 1<<33)
	w.Uint64(366, 0, m, 5)
	g := w.Group(458, 0, 0)
	w.Uint32(459, 0, 0, 0)
	w.String(460, 0, 0, "3520990012345601")
	w.End(g)
	w.String(461, 0, m, "32251@3gpp.org")
	return w.Finish()
}

func TestReportOfDiameter(t *testing.T) {
	b := line(message("nas.visited.example;1;2"), accounting.View{Plain: true})
	assert.Contains(t, string(b), `"kind":"stop","protocol":"diameter","application":3,"record_number":3,"origin_realm":"visited.example","key":`)
	assert.Contains(t, string(b), `"session_time":600,"input_octets":15032385537,"output_octets":2147483648,"input_packets":8589934592,"output_packets":5,`+
		`"input_gigawords":true,"output_gigawords":true`)
	assert.Contains(t, string(b), `"service":{"context":"32251@3gpp.org"}`)
	assert.NotContains(t, string(line(message("s"), accounting.View{})), "3520990012345601", "an identity is personal")
	var r Report
	require.NoError(t, ParseReport(b, &r), "%s", b)
	assert.True(t, r.Diameter)
	assert.Equal(t, uint32(3), r.Application)
	assert.Equal(t, uint32(3), r.RecordNumber)
	assert.Equal(t, uint64(15032385537), r.InputOctets)
	assert.Equal(t, uint64(1<<33), r.InputPackets)
	assert.Equal(t, accounting.HasRecordNumber|accounting.HasWidePackets, r.Has&(accounting.HasRecordNumber|accounting.HasWidePackets|accounting.HasSince))
	assert.Equal(t, "3520990012345601", r.Equipment)
	assert.NotZero(t, r.EquipmentHash)
	assert.Equal(t, "32251@3gpp.org", r.Service.Context)
	assert.Equal(t, "nas.visited.example", r.NAS)

	var rec Record
	rec.Describe(&r)
	rec.InputOctets, rec.OutputOctets, rec.InputPackets = int64(r.InputOctets), int64(r.OutputOctets), int64(r.InputPackets)
	var csv bytes.Buffer
	w, err := newCSVWriter(&csv, false)
	require.NoError(t, err)
	require.NoError(t, w.Write(&rec))
	require.NoError(t, w.Close())
	for _, figure := range []string{"15032385537", "2147483648", "8589934592", "diameter", "32251@3gpp.org"} {
		assert.Contains(t, csv.String(), figure)
	}
	doc, err := rec.AppendJSON(nil)
	require.NoError(t, err)
	var back Record
	require.NoError(t, json.Unmarshal(doc, &back))
	assert.Equal(t, rec, back)
}

func TestLongNamesOfDiameterStayApart(t *testing.T) {
	long := strings.Repeat("x", 3000)
	var a, b Report
	require.NoError(t, ParseReport(line(message(long+"1"), accounting.View{Plain: true, Raw: true}), &a))
	require.NoError(t, ParseReport(line(message(long+"2"), accounting.View{Plain: true, Raw: true}), &b))
	assert.Len(t, a.SessionID, 253)
	assert.NotEqual(t, a.SessionID, b.SessionID)
	assert.Equal(t, a.SessionID[:200], b.SessionID[:200])
}

// FuzzMessageLine: whatever a Diameter message says, its line is read again, with the
// same figures.
func FuzzMessageLine(f *testing.F) {
	f.Add(message("s"), true)
	f.Add(message("s")[diameter.HeaderLen:], false)
	f.Fuzz(func(t *testing.T, raw []byte, show bool) {
		if len(raw) > accounting.MaxMessage || !accounting.IsDiameter(raw) {
			return
		}
		if len(raw) >= 4 {
			raw[1], raw[2], raw[3] = 0, byte(len(raw)>>8), byte(len(raw))
		}
		b := line(raw, accounting.View{Plain: show, Raw: show})
		require.LessOrEqual(t, len(b), MaxLine)
		require.True(t, json.Valid(b))
		var r Report
		require.NoError(t, ParseReport(b, &r), "%s", b)
		var e accounting.Event
		accounting.Classify(&e, raw, arrival)
		require.True(t, r.Diameter)
		require.Equal(t, [4]uint64{e.InputOctets, e.OutputOctets, e.InputPackets, e.OutputPackets}, [4]uint64{r.InputOctets, r.OutputOctets, r.InputPackets, r.OutputPackets})
		require.Equal(t, [3]uint32{e.SessionTime, e.RecordNumber, e.TerminateCause}, [3]uint32{r.SessionTime, r.RecordNumber, r.TerminateCause})
		require.Equal(t, e.Kind, r.Kind)
	})
}
