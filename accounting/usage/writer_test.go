package usage

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
)

// export writes n records of any kind.
func export(t testing.TB, f Format, n int) ([]*Record, []byte) {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	var b bytes.Buffer
	w, err := NewWriter(f, &b, false)
	require.NoError(t, err)
	rs := make([]*Record, n)
	for i := range rs {
		rs[i] = anyRecord(rng)
		require.NoError(t, w.Write(rs[i]))
	}
	require.NoError(t, w.Close())
	return rs, b.Bytes()
}

func TestJSONLinesComeBack(t *testing.T) {
	rs, b := export(t, JSONLines, 300)
	lines := bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	require.Len(t, lines, len(rs))
	for i := range rs {
		got, err := ReadRecord(lines[i])
		require.NoError(t, err, "%s", lines[i])
		require.Equal(t, rs[i], got)
	}
}

func TestParquetComesBack(t *testing.T) {
	rs, b := export(t, Parquet, 300)
	rows, err := parquet.Read[row](bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	require.Len(t, rows, len(rs))
	for i := range rs {
		require.Equal(t, rs[i], rows[i].record(t))
	}
	file, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	for i, column := range file.Schema().Columns() {
		assert.Equal(t, []string{columns[i]}, column, "the columns are flat and in the order that is documented")
	}
	schema, _ := file.Lookup("schema")
	assert.Equal(t, "1", schema)
}

// Groups are written as they fill: memory is that of one, however many
// records there are.
func TestParquetGroupsAreBounded(t *testing.T) {
	const group = 30
	var out bytes.Buffer
	w := newParquetWriter(&out, group)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10 * group {
		require.NoError(t, w.Write(anyRecord(rng)))
	}
	assert.NotZero(t, out.Len(), "the first groups are out before the last is full")
	require.NoError(t, w.Close())
	file, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	require.NoError(t, err)
	for _, g := range file.RowGroups() {
		assert.LessOrEqual(t, g.NumRows(), int64(group))
	}
	assert.Equal(t, int64(10*group), file.NumRows())
}

type counter int

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

func TestCSVComesBack(t *testing.T) {
	rs, b := export(t, CSV, 300)
	assert.Equal(t, len(rs)+1, bytes.Count(b, []byte("\r\n")), "a record is one line")
	assert.Equal(t, len(rs)+1, bytes.Count(b, []byte("\n")))
	lines, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, Columns(), lines[0])
	for i, r := range rs {
		var want, got row
		want.set(r)
		v := reflect.ValueOf(&want).Elem()
		for j := range v.NumField() {
			if v.Field(j).Kind() == reflect.String {
				v.Field(j).SetString(strings.TrimPrefix(harmless(v.Field(j).String()), "'"))
			}
		}
		got.read(t, lines[i+1])
		require.Equal(t, want, got)
	}
}

func TestCSVIsHarmless(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"text", "plain", "plain"},
		{"formula", "=1+2", "'=1+2"},
		{"sum", "+1", "'+1"},
		{"difference", "-1", "'-1"},
		{"function", "@SUM(A1)", "'@SUM(A1)"},
		{"apostrophe", "'x", "''x"},
		{"wide formula", "＝1", "'＝1"},
		{"formula behind a tab", "\t=1", "\ufffd=1"},
		{"line break", "a\r\nb\u2028c", "a\ufffd\ufffdb\ufffdc"},
		{"formula in the middle", "a=1", "a=1"},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, harmless(tt.in)) })
	}
}

func TestNewWriterRefuses(t *testing.T) {
	_, err := NewWriter("xlsx", io.Discard, false)
	assert.ErrorContains(t, err, `no format "xlsx": one of [jsonl csv parquet]`)
	_, err = NewWriter(Parquet, io.Discard, true)
	assert.ErrorContains(t, err, "cannot be continued")
}

// A disk that is full shows at the latest when the writer is closed.
func TestWriterErrors(t *testing.T) {
	for _, f := range Formats() {
		t.Run(string(f), func(t *testing.T) {
			full := errors.New("disk full")
			w, err := NewWriter(f, failing{full}, false)
			require.NoError(t, err)
			for range 300 {
				if err = w.Write(anyRecord(rand.New(rand.NewPCG(1, 1)))); err != nil {
					break
				}
			}
			assert.ErrorIs(t, errors.Join(err, w.Close()), full)
		})
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// An export that was cut off anywhere and continued is the export.
func TestLast(t *testing.T) {
	for _, f := range []Format{JSONLines, CSV} {
		t.Run(string(f), func(t *testing.T) {
			rs, whole := export(t, f, 2)
			for cut := range len(whole) + 1 {
				if cut%7 != 0 && !bytes.Contains(whole[max(0, cut-2):min(len(whole), cut+2)], []byte("\n")) {
					continue // in the middle of a line any place is as good
				}
				id, end, err := Last(f, bytes.NewReader(whole), int64(cut))
				require.NoError(t, err, cut)
				require.LessOrEqual(t, end, int64(cut))
				out := bytes.NewBuffer(bytes.Clone(whole[:end]))
				w, err := NewWriter(f, out, end > 0)
				require.NoError(t, err)
				next := 0
				for i, r := range rs {
					if r.ID == id {
						next = i + 1
					}
				}
				for _, r := range rs[next:] {
					require.NoError(t, w.Write(r))
				}
				require.NoError(t, w.Close())
				require.Equal(t, string(whole), out.String(), "cut at %d", cut)
			}
		})
	}
}

func TestLastRefuses(t *testing.T) {
	_, good := export(t, CSV, 2)
	for _, tt := range []struct {
		name string
		f    Format
		b    string
		want string
	}{
		{"parts", Parquet, "PAR1", "written in parts"},
		{"something else", JSONLines, "hello\n", "no JSON"},
		{"an empty line", JSONLines, "\n", "no JSON"},
		{"a newer schema", JSONLines, `{"schema":2}` + "\n", "newer program"},
		{"other columns", CSV, "id,schema\r\n1,2\r\n", "columns are others"},
		{"no id", CSV, strings.Join(columns, ",") + "\r\nx" + strings.Repeat(",", len(columns)-1) + "\r\n", "its last line"},
		{"a column too few", CSV, strings.Join(columns, ",") + "\r\n" + strings.Repeat(",", len(columns)-2) + "\r\n", "its last line"},
		{"a long line", CSV, strings.Join(columns, ",") + "\r\n" + strings.Repeat("x", 3*maxExported) + "\r\n", "longer than"},
		{"a long torn line", JSONLines, strings.Repeat("x", 3*maxExported), "longer than"},
		{"half of something else", CSV, "x\n" + string(good), "columns are others"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, end, err := Last(tt.f, strings.NewReader(tt.b), int64(len(tt.b)))
			require.ErrorIs(t, err, ErrResume)
			assert.ErrorContains(t, err, tt.want)
			assert.Zero(t, end)
		})
	}
	_, _, err := Last(CSV, bytes.NewReader(good), int64(len(good))+1)
	assert.ErrorIs(t, err, io.EOF, "a file shorter than it was said to be")
}

// record reads a row back.
func (w *row) record(t testing.TB) *Record {
	key := func(s string) (k accounting.Key) {
		if s != "" {
			require.NoError(t, k.UnmarshalText([]byte(s)))
		}
		return k
	}
	r := &Record{
		Schema: int(w.Schema), ID: key(w.ID), Status: Status(w.Status), Billable: w.Billable,
		Session: key(w.Session), Part: int(w.Part), Journey: key(w.Journey), Leg: int(w.Leg),
		Visited: Party{Realm: w.VisitedRealm, WBAID: w.VisitedWBAID, TADIG: w.VisitedTADIG, E212: w.VisitedE212, ICC: w.VisitedICC, Country: w.VisitedCountry},
		Home:    Party{Realm: w.HomeRealm, WBAID: w.HomeWBAID, TADIG: w.HomeTADIG, E212: w.HomeE212, ICC: w.HomeICC, Country: w.HomeCountry},
		Hub:     w.Hub, Client: w.Client, Route: w.Route, Device: key(w.Device), User: key(w.User), CUI: key(w.CUI),
		PlainDevice: w.PlainDevice, PlainUser: w.PlainUser, PlainCUI: w.PlainCUI,
		SessionID: w.SessionID, MultiSessionID: w.MultiSessionID, NAS: w.NAS, NASAddress: w.NASAddress, CalledStation: w.CalledStation,
		Start: w.Start, End: w.End, Offset: int(w.Offset), Seconds: w.Seconds,
		InputOctets: w.InputOctets, OutputOctets: w.OutputOctets, InputPackets: w.InputPackets, OutputPackets: w.OutputPackets,
		Reports:    Reports{Starts: int(w.Starts), Interims: int(w.Interims), Stops: int(w.Stops)},
		AccessType: w.AccessType, RAT: w.RAT,
		Location: Location{Country: w.LocationCountry, Latitude: w.Latitude, Longitude: w.Longitude, PLMN: w.LocationPLMN, Cell: w.LocationCell},
		Service: Service{Offered: w.Offered, Granted: w.Granted, FinancialClearing: w.FinancialClearing,
			DataClearing: w.DataClearing, ChargingID: uint32(w.ChargingID)},
		PolicyVersion: uint32(w.PolicyVersion), PolicyStale: w.PolicyStale, TerminateCause: uint32(w.TerminateCause),
		Source: Source{Node: w.SourceNode, Epoch: w.SourceEpoch, Seq: w.SourceSeq},
	}
	_, err := hex.Decode(r.Evidence[:], []byte(w.Evidence))
	require.NoError(t, err)
	if w.Corrects != "" {
		k := key(w.Corrects)
		r.Corrects = &k
	}
	if w.RateCurrency != "" {
		r.Service.Rate = &Rate{Currency: w.RateCurrency, Index: uint8(w.RateIndex), Nanos: uint32(w.RateNanos)}
	}
	if w.LocationCivic != "" {
		require.NoError(t, json.Unmarshal([]byte(w.LocationCivic), &r.Location.Civic))
	}
	for _, x := range strings.Fields(w.Exceptions) {
		r.Exceptions = append(r.Exceptions, Exception(x))
	}
	for _, k := range strings.Fields(w.Classes) {
		r.Classes = append(r.Classes, key(k))
	}
	return r
}

// read reads a line of CSV back.
func (w *row) read(t testing.TB, cells []string) {
	v := reflect.ValueOf(w).Elem()
	require.Len(t, cells, v.NumField())
	for i, c := range cells {
		var err error
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(strings.TrimPrefix(c, "'"))
		case reflect.Bool:
			f.SetBool(c == "true")
		case reflect.Int32, reflect.Int64:
			var n int64
			n, err = strconv.ParseInt(c, 10, 64)
			f.SetInt(n)
		case reflect.Uint64:
			var n uint64
			n, err = strconv.ParseUint(c, 10, 64)
			f.SetUint(n)
		default:
			var at time.Time
			at, err = time.Parse(time.RFC3339Nano, c)
			f.Set(reflect.ValueOf(at))
		}
		require.NoError(t, err, columns[i])
	}
}

func BenchmarkWriter(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	rs := make([]*Record, 256)
	for i := range rs {
		rs[i] = anyRecord(rng)
	}
	for _, f := range Formats() {
		b.Run(string(f), func(b *testing.B) {
			var out counter
			w, err := NewWriter(f, &out, false)
			require.NoError(b, err)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Write(rs[n%len(rs)]); err != nil {
					b.Fatal(err)
				}
				n++
			}
			require.NoError(b, w.Close())
			b.ReportMetric(float64(out)/float64(n), "octets/record")
		})
	}
}
