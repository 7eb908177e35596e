package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// truth is a session as its NAS knows it.
type truth struct {
	reports []usage.Report
	months  map[string]figures // by the last report of each
}

// drawTruth draws a session of at most maxPoints reports. Without gigawords,
// no counter grows by 2^32 between two reports.
func drawTruth(t *rapid.T) (tr truth) {
	wide := rapid.Bool().Draw(t, "gigawords")
	jitter := rapid.Int64Range(0, 30)
	starts := epoch.Add(time.Duration(rapid.IntRange(0, 45*86400).Draw(t, "starts")) * time.Second)
	tr.months = make(map[string]figures)
	var now, before figures
	n := rapid.IntRange(1, maxPoints-1).Draw(t, "reports")
	begin := report(accounting.Start, 0, 0, 0)
	begin.Event, begin.Arrival = starts, starts
	tr.reports = append(tr.reports, begin)
	for i := range n {
		step := rapid.Int64Range(400, 5*86400).Draw(t, "step")
		now.seconds += step
		for c := range now.count {
			most := int64(1<<32 - 1)
			if wide && c <= outputOctets {
				most = 1 << 40
			}
			now.count[c] += rapid.Int64Range(0, min(most, step*rateOfDefault/octetsOfPacket)).Draw(t, "grown")
		}
		kind := accounting.Interim
		if i == n-1 {
			kind = accounting.Stop
		}
		rep := report(kind, 0, uint64(now.count[0]), uint64(now.count[1]))
		if rep.InputGigawords, rep.OutputGigawords = wide, wide; !wide {
			rep.InputOctets, rep.OutputOctets = rep.InputOctets%wrap, rep.OutputOctets%wrap
		}
		rep.InputPackets, rep.OutputPackets = uint64(uint32(now.count[2])), uint64(uint32(now.count[3]))
		rep.SessionTime = uint32(now.seconds)
		rep.Event = starts.Add(time.Duration(now.seconds) * time.Second)
		rep.Arrival = rep.Event.Add(time.Duration(jitter.Draw(t, "late")) * time.Second)
		rep.Evidence[0] = byte(i)
		tr.reports = append(tr.reports, rep)
		m := rep.Event.Format("2006-01")
		sum, grown := tr.months[m], now.less(&before)
		sum.seconds += grown.seconds
		for c := range sum.count {
			sum.count[c] += grown.count[c]
		}
		tr.months[m], before = sum, now
	}
	return tr
}

func sumMonths(records []usage.Record) map[string]figures {
	months := make(map[string]figures)
	for i := range records {
		r := &records[i]
		m := r.End.Format("2006-01")
		sum := months[m]
		sum.seconds += r.Seconds
		for c, n := range [counters]int64{r.InputOctets, r.OutputOctets, r.InputPackets, r.OutputPackets} {
			sum.count[c] += n
		}
		if months[m] = sum; sum == (figures{}) {
			delete(months, m)
		}
	}
	return months
}

// TestAnyOrderComesToTheTruth (acceptance row 15) shuffles the reports of a
// session, cuts them into batches, repeats some under another key, and looks
// for missing Stops in between, too early and too late: the records of each
// month add up to what the NAS counted.
func TestAnyOrderComesToTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := drawTruth(t)
		list := slices.Clone(tr.reports)
		again := 0
		for _, rep := range tr.reports {
			if rapid.IntRange(0, 4).Draw(t, "again") == 0 {
				rep.Arrival = rep.Arrival.Add(time.Hour)
				list, again = append(list, rep), again+1
			}
		}
		list = rapid.Permutation(list).Draw(t, "order")
		rules := Default()
		var m Memory
		var records []usage.Record
		take := func(d *Changes, err error) {
			require.NoError(t, err)
			require.NoError(t, m.Take(d))
			records = append(records, d.Records...)
		}
		taken := 0
		for rest := list; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			take(rules.Join(&m, rest[:n]))
			taken += n
			assertSums(t, &m, taken)
			rest = rest[n:]
			if rapid.Bool().Draw(t, "close") {
				at := rapid.Int64Range(0, 100*86400).Draw(t, "now")
				take(rules.Close(&m, epoch.Add(time.Duration(at)*time.Second), 10))
				assertSums(t, &m, taken)
			}
		}
		take(rules.Close(&m, epoch.AddDate(1, 0, 0), 10))
		for month, f := range tr.months {
			if f == (figures{}) {
				delete(tr.months, month)
			}
		}
		assert.Equal(t, tr.months, sumMonths(records))
		assert.Equal(t, map[TallyKey]int64{{"hub1", "cafe", usage.Cleared, ""}: int64(len(tr.reports)), {"hub1", "cafe", usage.Duplicate, sameFigures}: int64(again)},
			withNothing(m.Sums, TallyKey{"hub1", "cafe", usage.Duplicate, sameFigures}))
		assert.Equal(t, 1, m.Len())
	})
}

func withNothing(sums map[TallyKey]int64, k TallyKey) map[TallyKey]int64 {
	sums[k] += 0
	return sums
}

// drawHostile draws reports that agree in nothing but some of their names.
func drawHostile(t *rapid.T) []usage.Report {
	pick := func(name string, n int) int { return rapid.IntRange(0, n).Draw(t, name) }
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) usage.Report {
		kinds := []accounting.Kind{accounting.Start, accounting.Stop, accounting.Interim, accounting.On, accounting.Off, accounting.Quarantined, 77}
		rep := report(rapid.SampledFrom(kinds).Draw(t, "kind"), 0, 0, 0)
		seconds := rapid.OneOf(rapid.Int64Range(0, 5000), rapid.Int64Range(-1<<40, 1<<40)).Draw(t, "event")
		rep.Event = time.Unix(epoch.Unix()+seconds, 0)
		rep.Arrival = time.Unix(epoch.Unix()+rapid.OneOf(rapid.Int64Range(0, 5000), rapid.Int64()).Draw(t, "arrival"), 0)
		rep.SessionTime = rapid.OneOf(rapid.Uint32Range(0, 5000), rapid.Uint32()).Draw(t, "time")
		rep.Has = accounting.Has(rapid.Uint16().Draw(t, "has"))
		rep.InputOctets = rapid.OneOf(rapid.Uint64Range(0, 1000), rapid.Uint64()).Draw(t, "in")
		rep.OutputOctets = rapid.OneOf(rapid.Uint64Range(0, 1000), rapid.Uint64()).Draw(t, "out")
		rep.InputPackets, rep.OutputPackets = uint64(rapid.Uint32().Draw(t, "p")), uint64(rapid.Uint32().Draw(t, "q"))
		rep.InputGigawords, rep.OutputGigawords = rapid.Bool().Draw(t, "gi"), rapid.Bool().Draw(t, "go")
		rep.SessionID, rep.NAS = fmt.Sprint(pick("id", 1)), fmt.Sprint(pick("nas", 1))
		rep.Node, rep.Client, rep.Operator = fmt.Sprint("hub", pick("node", 9)), fmt.Sprint("client", pick("client", 9)), "4CAFE:DE"
		rep.MultiSessionID = []string{"", "m"}[pick("multi", 1)]
		rep.Flags = accounting.Flags(pick("conflict", 1)) | accounting.Flags(pick("arrival", 1))*accounting.FlagArrivalTime
		rep.Evidence[0] = byte(pick("evidence", 255))
		if rep.Diameter = rapid.Bool().Draw(t, "diameter"); rep.Diameter {
			rep.RecordNumber = rapid.OneOf(rapid.Uint32Range(0, 9), rapid.Uint32()).Draw(t, "number")
			rep.Flags |= accounting.Flags(pick("once", 1)) * accounting.FlagOnce
			rep.Service.Context, rep.EquipmentHash[0] = []string{"", "c"}[pick("context", 1)], byte(pick("equipment", 2))
		}
		return rep
	}), 1, 60).Draw(t, "reports")
}

// TestHostileReportsAddUp (acceptance row 15) joins what no NAS would send:
// every report is in one class, the sum of the records of a session is what it
// came to, nothing is recorded twice under one name, and batches make no
// difference.
func TestHostileReportsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawHostile(t)
		rules := Default()
		var one, whole Memory
		var records []usage.Record
		for i := range list {
			d, err := rules.Join(&one, list[i:i+1])
			require.NoError(t, err)
			require.NoError(t, one.Take(d))
			records = append(records, d.Records...)
			assertSums(t, &one, i+1)
		}
		d, err := rules.Join(&whole, list)
		require.NoError(t, err)
		require.NoError(t, whole.Take(d))
		assert.Equal(t, one.Sums, whole.Sums)
		assert.Equal(t, one.sessions, whole.sessions)
		assert.ElementsMatch(t, names(records), names(d.Records))

		d, err = rules.Close(&one, time.Unix(1<<40, 0), 1000)
		require.NoError(t, err)
		require.NoError(t, one.Take(d))
		assertSums(t, &one, len(list))
		assertRecords(t, &one, append(records, d.Records...))
	})
}

func names(records []usage.Record) (ids []accounting.Key) {
	for i := range records {
		ids = append(ids, records[i].ID)
	}
	return ids
}

// assertRecords says that records add up to the sessions of m, none of which
// is open.
func assertRecords(t require.TestingT, m *Memory, records []usage.Record) {
	sums := make(map[accounting.Key]figures)
	seen := make(map[accounting.Key]bool)
	for i := range records {
		r := &records[i]
		require.False(t, seen[r.ID], "recorded twice")
		seen[r.ID] = true
		if r.Corrects != nil {
			require.True(t, seen[*r.Corrects], "corrects what is not there")
		}
		f := sums[r.Session]
		f.seconds += r.Seconds
		for c, n := range [counters]int64{r.InputOctets, r.OutputOctets, r.InputPackets, r.OutputPackets} {
			f.count[c] += n
		}
		sums[r.Session] = f
	}
	for at, b := range m.sessions {
		s, err := m.read(at)
		require.NoError(t, err)
		require.LessOrEqual(t, len(b), 1<<14)
		require.False(t, s.Open)
		require.Zero(t, s.Due)
		c := s.base
		for i := range s.points {
			_, _ = c.step(&Rules{}, s.firstStop, &s.points[i], nil)
		}
		c.reports = [3]int64{}
		require.Equal(t, c.figures, sums[s.Key()])
	}
}

// TestTenThousandReports: one session that never stops, and one ID that never
// stops beginning: what is kept of them stays small.
func TestTenThousandReports(t *testing.T) {
	var m Memory
	rules := Default()
	var batch []usage.Report
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 10_000 {
		rep := report(accounting.Interim, 60*i, uint64(i), uint64(random.Uint32()))
		rep.Node = fmt.Sprint("hub", i%40)
		batch = append(batch, rep)
		rep = report(accounting.Start, 3600*i, 0, 0)
		rep.SessionID = "again"
		batch = append(batch, rep)
	}
	for part := range slices.Chunk(batch, 500) {
		d, err := rules.Join(&m, part)
		require.NoError(t, err)
		require.NoError(t, m.Take(d))
	}
	assertSums(t, &m, len(batch))
	for _, b := range m.sessions {
		assert.Less(t, len(b), 8<<10)
	}
	assert.Positive(t, m.Sums[TallyKey{"hub39", "cafe", usage.Rejected, manyOrigins}])
}

// FuzzVectors reads any text as a case and joins it.
func FuzzVectors(f *testing.F) {
	for _, text := range readFiles(f) {
		for part := range strings.SplitSeq(text, "\ncase ") {
			f.Add("case " + part)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseVectors("fuzz", text)
		if err != nil || len(text) > 1<<14 {
			return
		}
		for _, v := range list {
			if len(v.steps) > 200 {
				continue
			}
			var m Memory
			records := v.run(t, &m)
			assertSums(t, &m, len(v.reports()))
			d, err := v.rules.Close(&m, time.Unix(1<<40, 0), 1000)
			require.NoError(t, err)
			require.NoError(t, m.Take(d))
			if v.rules.LinkRate == rateOfDefault {
				assertRecords(t, &m, append(records, d.Records...))
			}
		}
	})
}

// FuzzSession reads any octets as a stored session.
func FuzzSession(f *testing.F) {
	for _, v := range readVectors(f) {
		var m Memory
		v.run(f, &m)
		for _, b := range m.sessions {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Session
		if err := s.UnmarshalBinary(b); err != nil {
			require.ErrorIs(t, err, ErrStored)
			require.Zero(t, s.ID)
			return
		}
		again, err := s.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b, again)
		m := Memory{}
		require.NoError(t, m.Take(&Changes{Sessions: []*Session{&s}}))
		rep := report(accounting.Stop, 5000, 1<<20, 1<<20)
		rules := Default()
		_, err = rules.Join(&m, []usage.Report{rep})
		require.NoError(t, err)
		_, err = rules.Close(&m, time.Unix(1<<40, 0), 10)
		require.NoError(t, err)
	})
}

func TestStoredForm(t *testing.T) {
	var m Memory
	rep := report(accounting.Interim, 600, 1, 2)
	rep.Location.Civic = map[string]string{"1": "a", "3": "b"}
	rep.Service.Rate = &usage.Rate{Currency: "EUR", Index: 1, Nanos: 5}
	rep.Classes = []accounting.Key{{1}, {2}}
	rep.MultiSessionID = "m"
	joinAll(t, &m, rep)
	require.Len(t, m.sessions, 1)
	for at, b := range m.sessions {
		s, err := m.read(at)
		require.NoError(t, err)
		assert.Equal(t, rep.Location, s.about.Location)
		assert.Equal(t, rep.Service, s.about.Service)
		assert.Equal(t, rep.Classes, s.about.Classes)
		for n := range b {
			assert.ErrorIs(t, new(Session).UnmarshalBinary(b[:n]), ErrStored)
		}
		assert.ErrorIs(t, new(Session).UnmarshalBinary(append(slices.Clone(b), 0)), ErrStored)
		newer := slices.Clone(b)
		newer[0] = version + 1
		assert.ErrorIs(t, new(Session).UnmarshalBinary(newer), ErrNewer)
		assert.Less(t, len(b), 512)
	}
}
