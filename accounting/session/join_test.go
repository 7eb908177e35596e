package session

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

var base = time.Date(2026, 11, 10, 10, 0, 0, 0, time.UTC)

// report makes a report of a session that began at base.
func report(k accounting.Kind, seconds int, in, out uint64) usage.Report {
	rep := usage.Report{
		Node: "hub1", Epoch: 1, Seq: 1, Client: "cafe", Operator: "4CAFE:DE", Realm: "home.example",
		Kind: k, Event: base.Add(time.Duration(seconds) * time.Second), SessionID: "1", NAS: "ap1",
		UserHash: accounting.Key{1}, SessionTime: uint32(seconds), InputOctets: in, OutputOctets: out,
	}
	rep.Arrival = rep.Event
	if k != accounting.Start {
		rep.Has = accounting.HasSessionTime | accounting.HasInputOctets | accounting.HasOutputOctets |
			accounting.HasInputPackets | accounting.HasOutputPackets
		rep.InputPackets, rep.OutputPackets = (in+99)/100, (out+99)/100
	}
	return rep
}

// joinAll joins reports one by one.
func joinAll(t *testing.T, m *Memory, reports ...usage.Report) (records []usage.Record) {
	t.Helper()
	rules := Default()
	for i := range reports {
		d, err := rules.Join(m, reports[i:i+1])
		require.NoError(t, err)
		require.NoError(t, m.Take(d))
		records = append(records, d.Records...)
	}
	return records
}

func closeAll(t *testing.T, m *Memory, now time.Time) []usage.Record {
	t.Helper()
	rules := Default()
	d, err := rules.Close(m, now, 1000)
	require.NoError(t, err)
	require.NoError(t, m.Take(d))
	return d.Records
}

func TestOneSession(t *testing.T) {
	var m Memory
	records := joinAll(t, &m, report(accounting.Start, 0, 0, 0), report(accounting.Interim, 600, 10, 20), report(accounting.Stop, 1000, 30, 50))
	require.Len(t, records, 1)
	r := &records[0]
	assert.Equal(t, usage.Final, r.Status)
	assert.Equal(t, [3]int64{1000, 30, 50}, [3]int64{r.Seconds, r.InputOctets, r.OutputOctets})
	assert.Equal(t, usage.Reports{Starts: 1, Interims: 1, Stops: 1}, r.Reports)
	assert.Equal(t, base, r.Start)
	assert.Equal(t, base.Add(1000*time.Second), r.End)
	assert.Empty(t, r.Exceptions)
	assert.True(t, r.Billable)
	assert.Equal(t, map[TallyKey]int64{{Node: "hub1", Client: "cafe", Class: usage.Cleared}: 3}, m.Sums)
}

// A session that nobody pays for has its one record, and that is not billed,
// whichever report says so; one report that was sealed as settled makes it paid.
func TestSettlementOfSession(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flags [3]accounting.Flags
		bill  bool
	}{
		{"said by all", [3]accounting.Flags{accounting.FlagFree, accounting.FlagFree, accounting.FlagFree}, false},
		{"said by the Start", [3]accounting.Flags{accounting.FlagFree, 0, 0}, false},
		{"said by the Stop", [3]accounting.Flags{0, 0, accounting.FlagFree}, false},
		{"the Class was lost on the way", [3]accounting.Flags{accounting.FlagSettled, accounting.FlagFree, accounting.FlagFree}, true},
		{"settled", [3]accounting.Flags{accounting.FlagSettled, accounting.FlagSettled, accounting.FlagSettled}, true},
		{"of no consortium", [3]accounting.Flags{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m Memory
			reports := []usage.Report{report(accounting.Start, 0, 0, 0), report(accounting.Interim, 600, 10, 20), report(accounting.Stop, 1000, 30, 50)}
			for i := range reports {
				reports[i].Flags |= tt.flags[i]
			}
			records := joinAll(t, &m, reports...)
			require.Len(t, records, 1)
			assert.Equal(t, tt.bill, records[0].Billable)
			assert.Equal(t, !tt.bill, slices.Contains(records[0].Exceptions, usage.SettlementFree))
		})
	}
}

func TestMissingStopThenLate(t *testing.T) {
	var m Memory
	require.Empty(t, joinAll(t, &m, report(accounting.Start, 0, 0, 0), report(accounting.Interim, 600, 10, 20)))
	require.Empty(t, closeAll(t, &m, base.Add(2399*time.Second)))
	records := closeAll(t, &m, base.Add(2400*time.Second))
	require.Len(t, records, 1)
	assert.Equal(t, usage.Estimated, records[0].Status)
	assert.Equal(t, int64(600), records[0].Seconds)
	assert.EqualValues(t, 2, m.Count(usage.Provisional))

	late := joinAll(t, &m, report(accounting.Stop, 1000, 30, 50))
	require.Len(t, late, 1)
	assert.Equal(t, usage.Correction, late[0].Status)
	assert.Equal(t, records[0].ID, *late[0].Corrects)
	assert.Equal(t, [3]int64{400, 20, 30}, [3]int64{late[0].Seconds, late[0].InputOctets, late[0].OutputOctets})
	assert.EqualValues(t, 3, m.Count(usage.Cleared))
	assert.Zero(t, m.Count(usage.Provisional))
}

// TestTwoNASesAndReboot: C18, one Acct-Session-Id that is three sessions.
func TestTwoNASesAndReboot(t *testing.T) {
	var m Memory
	other := report(accounting.Stop, 1000, 7, 7)
	other.NAS = "ap2"
	again := report(accounting.Stop, 500, 5, 5)
	again.Event = again.Event.Add(2 * time.Hour)
	again.Arrival = again.Event
	records := joinAll(t, &m, report(accounting.Start, 0, 0, 0), report(accounting.Stop, 1000, 30, 50), other, again)
	require.Len(t, records, 3)
	assert.Equal(t, 3, m.Len())
	for _, r := range records {
		assert.Equal(t, usage.Final, r.Status)
	}
}
