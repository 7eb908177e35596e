package session

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

const vectorFolder = "../../test/vectors/session"

// vector is one case of a text file: what happens, and what it comes to.
type vector struct {
	name  string
	file  string
	rules Rules
	steps []step
	want  []string
}

// step is a report, or a call of Close.
type step struct {
	report usage.Report
	close  time.Time
}

func (v *vector) reports() (list []usage.Report) {
	for _, s := range v.steps {
		if s.close.IsZero() {
			list = append(list, s.report)
		}
	}
	return list
}

// epoch is second 0 of a vector that does not say otherwise.
var epoch = time.Date(2026, 11, 10, 10, 0, 0, 0, time.UTC)

// parseVectors reads the notation described in test/vectors/session.
func parseVectors(file, text string) (list []vector, err error) {
	var at time.Time
	scan := bufio.NewScanner(strings.NewReader(text))
	for n := 1; scan.Scan(); n++ {
		line, _, _ := strings.Cut(scan.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		var err error
		switch {
		case words[0] == "case" && len(words) >= 2:
			at = epoch
			v := vector{name: words[1], file: file, rules: Default()}
			for _, w := range words[2:] {
				key, value, _ := strings.Cut(w, "=")
				switch key {
				case "at":
					at, err = time.Parse(time.RFC3339, value)
				case "rate":
					v.rules.LinkRate, err = strconv.ParseUint(value, 10, 64)
				default:
					err = fmt.Errorf("no setting %s", key)
				}
			}
			list = append(list, v)
		case len(list) == 0:
			err = fmt.Errorf("no case yet")
		case words[0] == "=":
			v := &list[len(list)-1]
			v.want = append(v.want, strings.Join(words[1:], " "))
		default:
			v := &list[len(list)-1]
			var s step
			s, err = parseStep(words, at)
			s.report.Seq = uint64(len(v.steps) + 1)
			s.report.Evidence[0], s.report.Evidence[1] = byte(len(v.steps)), byte(len(v.steps)>>8)
			v.steps = append(v.steps, s)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		}
	}
	return list, scan.Err()
}

var kindWords = map[string]accounting.Kind{"start": accounting.Start, "interim": accounting.Interim, "stop": accounting.Stop,
	"on": accounting.On, "off": accounting.Off, "quarantined": accounting.Quarantined}

func parseStep(words []string, at time.Time) (s step, err error) {
	if len(words) < 2 {
		return s, fmt.Errorf("a time is missing")
	}
	seconds, err := strconv.ParseInt(words[1], 10, 32)
	if err != nil {
		return s, err
	}
	event := at.Add(time.Duration(seconds) * time.Second)
	if words[0] == "close" {
		return step{close: event}, nil
	}
	kind, ok := kindWords[words[0]]
	if !ok {
		return s, fmt.Errorf("no kind %s", words[0])
	}
	rep := &s.report
	*rep = usage.Report{Node: "hub1", Epoch: 1, Client: "cafe", Realm: "home.example", Kind: kind,
		Event: event, Arrival: event, SessionID: "1", NAS: "ap1", UserHash: accounting.Key{1}}
	if kind == accounting.Interim || kind == accounting.Stop {
		rep.SessionTime, rep.Has = uint32(max(seconds, 0)), accounting.HasSessionTime
	}
	for _, w := range words[2:] {
		if err := parseField(rep, w); err != nil {
			return s, err
		}
	}
	return s, nil
}

func parseField(rep *usage.Report, w string) (err error) {
	key, value, _ := strings.Cut(w, "=")
	number := func(bits int, has accounting.Has) (n uint64) {
		rep.Has |= has
		n, err = strconv.ParseUint(value, 10, bits)
		return n
	}
	switch key {
	case "t":
		if rep.Has &^= accounting.HasSessionTime; value == "-" {
			rep.SessionTime = 0
			return nil
		}
		rep.SessionTime = uint32(number(32, accounting.HasSessionTime))
	case "i":
		rep.InputOctets = number(32, accounting.HasInputOctets)
	case "o":
		rep.OutputOctets = number(32, accounting.HasOutputOctets)
	case "I":
		rep.InputOctets, rep.InputGigawords = number(64, accounting.HasInputOctets), true
	case "O":
		rep.OutputOctets, rep.OutputGigawords = number(64, accounting.HasOutputOctets), true
	case "p":
		rep.InputPackets = number(32, accounting.HasInputPackets)
	case "q":
		rep.OutputPackets = number(32, accounting.HasOutputPackets)
	case "cause":
		rep.TerminateCause = uint32(number(32, accounting.HasTerminateCause))
	case "late":
		rep.Arrival = rep.Arrival.Add(time.Duration(number(31, 0)) * time.Second)
	case "id":
		rep.SessionID = value
	case "nas":
		rep.NAS = value
	case "multi":
		rep.MultiSessionID = value
	case "node":
		rep.Node = value
	case "client":
		rep.Client = value
	case "user":
		rep.UserHash = accounting.Key([]byte(fmt.Sprintf("%-16.16s", value)))
	case "cui":
		rep.CUIHash = accounting.Key([]byte(fmt.Sprintf("%-16.16s", value)))
	case "reason":
		rep.Quarantine = value
	case "conflict":
		rep.Flags |= accounting.FlagConflict
	case "arrival":
		rep.Flags |= accounting.FlagArrivalTime
	default:
		err = fmt.Errorf("no field %s", key)
	}
	return err
}

// run takes the steps one by one.
func (v *vector) run(t require.TestingT, m *Memory) (records []usage.Record) {
	for i, s := range v.steps {
		var d *Changes
		var err error
		if s.close.IsZero() {
			d, err = v.rules.Join(m, []usage.Report{s.report})
		} else {
			d, err = v.rules.Close(m, s.close, 1000)
		}
		require.NoError(t, err, "%s: step %d", v.name, i+1)
		require.NoError(t, m.Take(d))
		records = append(records, d.Records...)
	}
	return records
}

// say writes what a run came to in the words of the vectors that want uses.
func (v *vector) say(m *Memory, records []usage.Record) (got []string) {
	asked := func(word string) bool {
		return slices.ContainsFunc(v.want, func(w string) bool { return strings.HasPrefix(w, word) })
	}
	if !asked("month") {
		for i := range records {
			got = append(got, sayRecord(&records[i]))
		}
	} else {
		got = append(got, sayMonths(records)...)
	}
	if asked("sessions") {
		got = append(got, fmt.Sprintf("sessions %d", m.Len()))
	}
	if asked("leg") {
		for i := range records {
			got = append(got, fmt.Sprintf("leg %d %s", records[i].Leg, records[i].SessionID))
		}
	}
	sums := make(map[string]int64)
	for k, n := range m.Sums {
		sums[strings.TrimSpace(k.Class.String()+" "+k.Reason)] += n
	}
	for k, n := range sums {
		got = append(got, fmt.Sprintf("%d %s", n, k))
	}
	return got
}

// joinCodes are the exceptions that tell how a record was joined and do not
// follow from its status.
var joinCodes = []usage.Exception{
	usage.StartMissing, usage.StopMissing, usage.NASRestarted, usage.IDReused, usage.StartUnclear, usage.CounterWrapped,
	usage.CounterAmbiguous, usage.CounterFell, usage.StopBelowInterim, usage.StopsDiffer, usage.InterimAfterStop,
	usage.ContentDiffers, usage.RateTooHigh,
}

func codesOf(r *usage.Record) (codes []string) {
	for _, e := range r.Exceptions {
		if slices.Contains(joinCodes, e) {
			codes = append(codes, string(e))
		}
	}
	return codes
}

func sayRecord(r *usage.Record) string {
	s := fmt.Sprintf("%s part=%d %s+%d %d i=%d o=%d", r.Status, r.Part, r.Start.Format(time.RFC3339),
		int64(r.End.Sub(r.Start).Seconds()), r.Seconds, r.InputOctets, r.OutputOctets)
	if r.InputPackets != 0 || r.OutputPackets != 0 {
		s += fmt.Sprintf(" p=%d q=%d", r.InputPackets, r.OutputPackets)
	}
	return strings.TrimSpace(s + " " + strings.Join(codesOf(r), " "))
}

func sayMonths(records []usage.Record) (got []string) {
	type sum struct{ seconds, in, out int64 }
	months := make(map[string]sum)
	for i := range records {
		r := &records[i]
		m := r.End.Format("2006-01")
		x := months[m]
		months[m] = sum{x.seconds + r.Seconds, x.in + r.InputOctets, x.out + r.OutputOctets}
	}
	for m, x := range months {
		if x != (sum{}) {
			got = append(got, fmt.Sprintf("month %s %d i=%d o=%d", m, x.seconds, x.in, x.out))
		}
	}
	return got
}

func readVectors(t testing.TB) (list []vector) {
	for file, text := range readFiles(t) {
		vs, err := parseVectors(file, text)
		require.NoError(t, err)
		list = append(list, vs...)
	}
	return list
}

func readFiles(t testing.TB) map[string]string {
	files, err := filepath.Glob(vectorFolder + "/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	texts := make(map[string]string)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		texts[filepath.Base(f)] = string(b)
	}
	return texts
}

// TestVectors (acceptance row 15) runs every case of test/vectors/session, one
// report at a time and, where nothing is closed in between, all in one batch:
// gigawords (C20), several access points (C29), interims with every counter
// (C39) among them.
func TestVectors(t *testing.T) {
	list := readVectors(t)
	assert.GreaterOrEqual(t, len(list), 500)
	for _, v := range list {
		t.Run(v.file+"/"+v.name, func(t *testing.T) {
			var m Memory
			records := v.run(t, &m)
			assert.ElementsMatch(t, v.want, v.say(&m, records))
			assertSums(t, &m, len(v.reports()))
			if len(v.steps) != len(v.reports()) {
				return
			}
			var whole Memory
			d, err := v.rules.Join(&whole, v.reports())
			require.NoError(t, err)
			require.NoError(t, whole.Take(d))
			assert.Equal(t, records, d.Records)
			assert.Equal(t, m.Sums, whole.Sums)
			assert.Equal(t, m.sessions, whole.sessions)
		})
	}
}

// assertSums says that every report is in exactly one class.
func assertSums(t assert.TestingT, m *Memory, reports int) {
	var n int64
	for k, v := range m.Sums {
		assert.Positive(t, v, "%v", k)
		n += v
	}
	assert.EqualValues(t, reports, n)
}
