package session

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// record makes a report of Diameter: counters of a whole session.
func record(k accounting.Kind, number uint32, seconds int, in, out uint64) usage.Report {
	rep := report(k, seconds, in, out)
	rep.Diameter, rep.Application, rep.RecordNumber, rep.NAS = true, 3, number, "nas.visited.example"
	rep.Has |= accounting.HasRecordNumber
	if k != accounting.Start {
		rep.Has |= accounting.HasInputGigawords | accounting.HasOutputGigawords | accounting.HasWidePackets
		rep.InputGigawords, rep.OutputGigawords = true, true
	}
	return rep
}

// used makes a report of Credit-Control: what was used since the one before.
func used(k accounting.Kind, number uint32, seconds int, in, out uint64) usage.Report {
	rep := record(k, number, seconds, in, out)
	rep.Application, rep.SessionTime = 4, 60
	rep.Has = rep.Has&^(accounting.HasInputPackets|accounting.HasOutputPackets) | accounting.HasSince
	if k == accounting.Start {
		rep.Has &^= accounting.HasSessionTime | accounting.HasSince
		rep.SessionTime = 0
	}
	return rep
}

func sumOf(records []usage.Record) (in, out, packets, seconds int64) {
	for i := range records {
		r := &records[i]
		in, out, packets, seconds = in+r.InputOctets, out+r.OutputOctets, packets+r.InputPackets, seconds+r.Seconds
	}
	return in, out, packets, seconds
}

func TestRecordsOfDiameter(t *testing.T) {
	with := func(rep usage.Report, f func(*usage.Report)) usage.Report {
		f(&rep)
		return rep
	}
	for _, tt := range []struct {
		name             string
		reports          []usage.Report
		in, out, seconds int64
		sessions         int
		codes            []usage.Exception
	}{
		{
			name: "counters above 2^31 and 2^32 are exact",
			reports: []usage.Report{record(accounting.Start, 0, 0, 0, 0), record(accounting.Interim, 1, 3600, 1<<31+1, 1<<32+1),
				record(accounting.Stop, 2, 7200, 5<<32+7, 3<<33)},
			in: 5<<32 + 7, out: 3 << 33, seconds: 7200, sessions: 1,
		},
		{
			name: "units used are added up",
			reports: []usage.Report{used(accounting.Start, 0, 0, 0, 0), used(accounting.Interim, 1, 600, 3<<32, 5),
				used(accounting.Interim, 2, 1200, 3<<32, 5), used(accounting.Stop, 3, 1800, 1, 1)},
			in: 6<<32 + 1, out: 11, seconds: 180, sessions: 1,
		},
		{
			name:    "a number that did not come",
			reports: []usage.Report{record(accounting.Start, 0, 0, 0, 0), record(accounting.Stop, 2, 600, 9, 9)},
			in:      9, out: 9, seconds: 600, sessions: 1, codes: []usage.Exception{usage.RecordNumberGap},
		},
		{
			name: "one that comes late fills its gap",
			reports: []usage.Report{record(accounting.Start, 0, 0, 0, 0), record(accounting.Interim, 2, 500, 8, 8),
				record(accounting.Interim, 1, 300, 4, 4), record(accounting.Stop, 3, 600, 9, 9)},
			in: 9, out: 9, seconds: 600, sessions: 1,
		},
		{
			name: "two accounts of one number",
			reports: []usage.Report{used(accounting.Start, 0, 0, 0, 0), used(accounting.Interim, 1, 600, 10, 10),
				with(used(accounting.Interim, 1, 600, 30, 30), func(r *usage.Report) { r.Flags |= accounting.FlagConflict }),
				used(accounting.Stop, 2, 900, 1, 1)},
			in: 11, out: 11, seconds: 120, sessions: 1, codes: []usage.Exception{usage.ContentDiffers},
		},
		{
			name: "events are sessions of their own",
			reports: []usage.Report{
				with(record(accounting.Stop, 0, 0, 7, 1), func(r *usage.Report) { r.Flags |= accounting.FlagOnce }),
				with(record(accounting.Stop, 1, 0, 7, 1), func(r *usage.Report) { r.Flags |= accounting.FlagOnce }),
			},
			in: 14, out: 2, sessions: 2,
		},
		{
			name: "whoever moves, the Session-Id is the session",
			reports: []usage.Report{record(accounting.Start, 0, 0, 0, 0),
				with(record(accounting.Stop, 1, 600, 9, 9), func(r *usage.Report) {
					r.NAS, r.UserHash, r.Event = "other", accounting.Key{9}, r.Event.Add(time.Hour)
				})},
			in: 9, out: 9, seconds: 600, sessions: 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m Memory
			records := joinAll(t, &m, tt.reports...)
			in, out, _, seconds := sumOf(records)
			assert.Equal(t, [3]int64{tt.in, tt.out, tt.seconds}, [3]int64{in, out, seconds})
			assert.Len(t, m.sessions, tt.sessions)
			var codes []usage.Exception
			for _, x := range records[len(records)-1].Exceptions {
				if x != usage.OctetsWithoutPackets && x != usage.PacketSizeImpossible && x != usage.RateTooHigh {
					codes = append(codes, x)
				}
			}
			assert.Equal(t, tt.codes, codes)
			assert.Equal(t, accounting.Protocol, records[0].Protocol)
		})
	}
}

func TestUnitsAddUpInAnyOrder(t *testing.T) {
	list := []usage.Report{used(accounting.Start, 0, 0, 0, 0)}
	var in, out int64
	for n := uint32(1); n < 30; n++ {
		list = append(list, used(accounting.Interim, n, int(n)*60, uint64(n)<<31, uint64(n)))
		in, out = in+int64(n)<<31, out+int64(n)
	}
	list = append(list, used(accounting.Stop, 30, 1800, 1<<40, 0))
	in += 1 << 40
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		var m Memory
		records := joinAll(t, &m, list...)
		records = append(records, closeAll(t, &m, base.Add(30*24*time.Hour))...)
		gotIn, gotOut, _, _ := sumOf(records)
		require.Equal(t, [2]int64{in, out}, [2]int64{gotIn, gotOut})
		require.Len(t, m.sessions, 1)
	}
}

func TestSessionsOfDiameterHaveTheirOwnForm(t *testing.T) {
	var m Memory
	rep := used(accounting.Interim, 7, 600, 1<<40, 2)
	rep.Service.Context, rep.EquipmentHash = "32251@3gpp.org", accounting.Key{5}
	joinAll(t, &m, rep, report(accounting.Interim, 600, 1, 2))
	require.Len(t, m.sessions, 2)
	forms := map[byte]int{}
	for at, b := range m.sessions {
		forms[b[0]]++
		s, err := m.read(at)
		require.NoError(t, err)
		if b[0] == version {
			assert.Equal(t, numbers{7, 7, 1}, s.numbers)
			assert.Equal(t, "32251@3gpp.org", s.about.Service.Context)
			assert.Equal(t, accounting.Key{5}, s.about.EquipmentHash)
			assert.Equal(t, uint32(7), s.points[0].number)
			assert.Equal(t, int64(60), s.points[0].spent)
		}
		for n := range b {
			assert.ErrorIs(t, new(Session).UnmarshalBinary(b[:n]), ErrStored)
		}
		b[0] = firstForm + version - b[0]
		assert.ErrorIs(t, new(Session).UnmarshalBinary(b), ErrStored, "no form is the other")
	}
	assert.Equal(t, map[byte]int{firstForm: 1, version: 1}, forms, "what is known of RADIUS is stored as it ever was")
}
