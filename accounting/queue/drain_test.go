package queue

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

// go-redis tries a lost server again once a second in a goroutine that looks
// for the end of its pool only when it wakes.
const redialing = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"

func TestMain(m *testing.M) {
	if os.Getenv(envConsumer) != "" {
		fmt.Fprintln(os.Stderr, consumeAndDie())
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(redialing))
}

type collector chan *spool.Batch

func (c collector) SpoolDone(b *spool.Batch) { c <- b }

// record makes a stored record of a kind; session n tells them apart.
func record(kind accounting.Kind, n int) []byte {
	raw := make([]byte, 20)
	raw[0] = 4
	status := uint32(kind)
	if kind == accounting.Quarantined {
		status = 99
	}
	raw = binary.BigEndian.AppendUint32(append(raw, 40, 6), status)
	id := fmt.Sprintf("s%d", n)
	raw = append(append(raw, 44, byte(2+len(id))), id...)
	raw = append(append(raw, 1, 11), "u@a.realm"...)
	binary.BigEndian.PutUint16(raw[2:], uint16(len(raw)))
	var e accounting.Event
	accounting.Classify(&e, raw, 1)
	h := accounting.Header{Time: 1_763_755_000e9 + int64(n), Client: "hotspots", Realm: "a.realm", Route: "a.realm"}
	h.SetEvent(&e)
	return accounting.AppendRecord(nil, &h, raw)
}

func openSpool(t testing.TB, fs vfs.FS) *spool.Spool {
	t.Helper()
	s, err := spool.Open("spool", spool.Options{FS: fs, Retain: 100000, MinFree: -1, Seal: -1})
	require.NoError(t, err)
	return s
}

func put(t testing.TB, s *spool.Spool, recs ...[]byte) {
	t.Helper()
	b := s.NewBatch()
	for _, r := range recs {
		b.Add(0, r, false)
	}
	done := make(collector, 1)
	require.True(t, s.Submit(b, done))
	require.NoError(t, (<-done).Err)
}

func stops(from, n int) [][]byte {
	rs := make([][]byte, n)
	for i := range rs {
		rs[i] = record(accounting.Stop, from+i)
	}
	return rs
}

func testOptions() Options {
	return Options{
		View:   &accounting.View{Hasher: accounting.NewHasher([]byte("key"))},
		Linger: time.Millisecond, Backoff: 100 * time.Millisecond, Poll: 10 * time.Millisecond,
		MaxRecords: 10,
	}
}

// drain runs a drainer and returns how to stop it.
func drain(t testing.TB, s *spool.Spool, sink Sink, o Options) (*Drainer, func()) {
	t.Helper()
	d := New(s, sink, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-done)
		})
	}
	t.Cleanup(stop)
	return d, stop
}

func caughtUp(t testing.TB, d *Drainer, s *spool.Spool) {
	t.Helper()
	require.Eventually(t, func() bool { return d.Lag() == 0 && d.Stats().Cursor.Load() == s.Last() }, waitLong, waitShort)
}

// seqs reads the sequence numbers of JSON lines.
func seqs(t testing.TB, data string) (ns []uint64) {
	t.Helper()
	for line := range strings.Lines(data) {
		var m struct{ Seq uint64 }
		require.NoError(t, json.Unmarshal([]byte(line), &m), line)
		ns = append(ns, m.Seq)
	}
	return ns
}

func TestInProcess(t *testing.T) {
	s := openSpool(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	var mu sync.Mutex
	var got, odd []uint64
	fail := 2
	sink := NewInProcess(func(b *Batch) error {
		mu.Lock()
		defer mu.Unlock()
		if fail > 0 {
			fail--
			return errors.New("not now")
		}
		got = append(got, seqs(t, string(b.Data))...)
		odd = append(odd, seqs(t, string(b.Quarantined))...)
		assert.Equal(t, b.N+b.NQ, int(b.cut.N))
		return nil
	})
	put(t, s, record(accounting.Start, 1), record(accounting.Stop, 1), record(accounting.Interim, 2))
	d, stop := drain(t, s, sink, testOptions())
	put(t, s, record(accounting.Quarantined, 3), record(accounting.On, 4), record(accounting.Off, 5), record(accounting.Start, 6))
	put(t, s, []byte("no record at all"))
	caughtUp(t, d, s)
	require.Eventually(t, func() bool { return s.Watermark() == s.Last() }, waitLong, waitShort, "delivered is stored")
	stop()
	assert.Equal(t, []uint64{1, 2, 3, 5, 6, 7}, got)
	assert.Equal(t, []uint64{4, 8}, odd)
	assert.Equal(t, uint64(2), d.Stats().Retries.Load())
	assert.Equal(t, uint64(8), d.Stats().Published.Load())
}

// flaky is a sink that keeps what it was given, by id.
type flaky struct {
	mu     sync.Mutex
	data   map[string]string
	tries  map[string]int
	lose   func(try int) bool // the answer is lost though the batch is kept
	top    uint64
	unsure bool
}

func (f *flaky) Publish(_ context.Context, b *Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := b.ID()
	f.tries[id]++
	if old, ok := f.data[id]; ok && old != string(b.Data) {
		return fmt.Errorf("%w: %s differs", ErrConflict, id)
	}
	f.data[id] = string(b.Data)
	f.top = max(f.top, b.First)
	if f.lose != nil && f.lose(f.tries[id]) {
		return errors.New("the answer is lost")
	}
	return nil
}

func (f *flaky) Last(context.Context) (uint64, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unsure {
		return 0, false, nil
	}
	return f.top, true, nil
}

func (f *flaky) Watermark(context.Context) (uint64, bool, error) { return 0, false, nil }

func (f *flaky) all(t *testing.T) (ns []uint64) {
	for _, d := range f.data {
		ns = append(ns, seqs(t, d)...)
	}
	return ns
}

func newFlaky() *flaky { return &flaky{data: map[string]string{}, tries: map[string]int{}} }

func numbers(n int) []uint64 {
	ns := make([]uint64, n)
	for i := range ns {
		ns[i] = uint64(i + 1)
	}
	return ns
}

// TestRepetitionIsIdentical (acceptance row 10) loses every first answer and
// restarts the drainer with other limits in between: a batch sent again has
// the content it had, whatever came behind it.
func TestRepetitionIsIdentical(t *testing.T) {
	fs := vfs.NewMem()
	s := openSpool(t, fs)
	sink := newFlaky()
	sink.unsure = true
	sink.lose = func(try int) bool { return try < 3 }
	put(t, s, stops(1, 25)...)
	o := testOptions()
	o.Backoff = 60 * time.Millisecond
	_, stop := drain(t, s, sink, o)
	require.Eventually(t, func() bool { sink.mu.Lock(); defer sink.mu.Unlock(); return len(sink.data) > 0 }, waitLong, waitShort)
	put(t, s, stops(26, 25)...)
	stop()
	require.NoError(t, s.Close())
	s = openSpool(t, fs)
	defer func() { _ = s.Close() }()
	o.MaxRecords = 3 // changes nothing for what is cut
	d, stop := drain(t, s, sink, o)
	caughtUp(t, d, s)
	stop()
	assert.ElementsMatch(t, numbers(50), sink.all(t))
	assert.Zero(t, d.Stats().Alarms.Load())
}

func TestConflictStandsStill(t *testing.T) {
	s := openSpool(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	sink := newFlaky()
	sink.data["1-"+fmt.Sprint(s.Epoch())] = "something else"
	put(t, s, stops(1, 5)...)
	d, stop := drain(t, s, sink, testOptions())
	require.Eventually(t, func() bool { return d.Stats().Alarms.Load() > 1 }, waitLong, waitShort)
	stop()
	assert.Zero(t, d.Stats().Cursor.Load())
	assert.Zero(t, s.Watermark(), "nothing is trimmed")
	assert.Len(t, sink.data, 1)
}

func TestQueueAheadOfTheSpool(t *testing.T) {
	s := openSpool(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	sink := newFlaky()
	sink.top = 1000
	put(t, s, stops(1, 5)...)
	d, stop := drain(t, s, sink, testOptions())
	require.Eventually(t, func() bool { return d.Stats().Alarms.Load() > 0 }, waitLong, waitShort)
	stop()
	assert.Empty(t, sink.data, "a spool restored from a copy does not write over the queue")
}

func TestRunEndsWithTheSpool(t *testing.T) {
	s := openSpool(t, vfs.NewMem())
	d := New(s, NewInProcess(nil), testOptions())
	put(t, s, stops(1, 1)...)
	done := make(chan error, 1)
	go func() { done <- d.Run(context.Background()) }()
	caughtUp(t, d, s)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-done, spool.ErrClosed)
}

func TestParseTrim(t *testing.T) {
	for word, want := range map[string]Trim{"": TrimAuto, "auto": TrimAuto, "delivered": TrimDelivered, "watermark": TrimWatermark} {
		got, err := ParseTrim(word)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := ParseTrim("never")
	require.Error(t, err)
}

func TestParseID(t *testing.T) {
	for _, tt := range []struct {
		name, id string
		a, b     uint64
		ok       bool
	}{
		{"id", "12-34", 12, 34, true},
		{"largest", "18446744073709551615-18446744073709551615", 1<<64 - 1, 1<<64 - 1, true},
		{"too large", "18446744073709551616-1", 0, 0, false},
		{"half", "12", 0, 0, false},
		{"empty", "", 0, 0, false},
		{"signs", "+1--2", 0, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b, ok := parseID(tt.id)
			assert.Equal(t, tt.ok, ok)
			if ok {
				assert.Equal(t, []uint64{tt.a, tt.b}, []uint64{a, b})
			}
		})
	}
}

// TestCutsOfAnOlderProgram has stretches that a program cut which carried
// some kinds only: those come out as they were, and what it left between them
// without a cut is carried.
func TestCutsOfAnOlderProgram(t *testing.T) {
	s := openSpool(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	o := testOptions()
	recs := append(stops(1, 3), record(accounting.Start, 4), record(accounting.Start, 5), record(accounting.Interim, 6))
	recs = append(append(recs, record(accounting.Start, 7)), stops(8, 3)...)
	put(t, s, recs...)
	some := accounting.KindsOf(accounting.Stop, accounting.On, accounting.Off, accounting.Quarantined)
	for _, r := range [][2]uint64{{1, 4}, {7, 9}} {
		b := new(Batch)
		b.begin(s.Epoch(), r[0], uint32(some))
		for seq := r[0]; seq <= r[1]; seq++ {
			require.True(t, b.add(seq, recs[seq-1], o.View, MaxMessage))
		}
		b.seal()
		require.NoError(t, s.Cut(b.cut))
	}
	var got [][3]int
	var all []uint64
	d, stop := drain(t, s, NewInProcess(func(b *Batch) error {
		got = append(got, [3]int{int(b.First), int(b.Last), b.N})
		all = append(all, seqs(t, string(b.Data))...)
		return nil
	}), o)
	caughtUp(t, d, s)
	stop()
	assert.Equal(t, [][3]int{{1, 4, 3}, {5, 6, 2}, {7, 9, 2}, {10, 10, 1}}, got)
	assert.Equal(t, []uint64{1, 2, 3, 5, 6, 8, 9, 10}, all)
}

// TestBatchesFitEveryQueue packs records whose JSON form is many times their
// size: a message stays below what queues take, and a record alone goes.
func TestBatchesFitEveryQueue(t *testing.T) {
	s := openSpool(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	recs := make([][]byte, 300)
	for i := range recs {
		recs[i] = fat(i)
	}
	put(t, s, recs...)
	o := testOptions()
	o.MaxRecords = 0
	o.View.Plain, o.View.Raw = true, true
	o.NewView, o.Encoders = func() *accounting.View {
		return &accounting.View{Hasher: accounting.NewHasher([]byte("key")), Plain: true, Raw: true}
	}, 3
	var all []uint64
	batches := 0
	d, stop := drain(t, s, NewInProcess(func(b *Batch) error {
		assert.LessOrEqual(t, len(b.Data), MaxMessage)
		assert.Equal(t, b.Last-b.First+1, uint64(b.N))
		all = append(all, seqs(t, string(b.Data))...)
		batches++
		return nil
	}), o)
	caughtUp(t, d, s)
	stop()
	assert.Equal(t, numbers(300), all, "in order, once")
	assert.Greater(t, batches, 2)

	b := new(Batch)
	b.begin(1, 1, 0)
	require.True(t, b.add(1, recs[0], o.View, 10), "the first always fits")
	require.False(t, b.add(2, recs[1], o.View, 10))
	assert.Equal(t, []uint64{1}, seqs(t, string(b.Data)))
	assert.Equal(t, uint64(1), b.Last)
}

// fat makes a record near the largest packet: Class attributes of one octet,
// each a hash in JSON, and a name of octets that JSON escapes.
func fat(n int) []byte {
	raw := make([]byte, 20)
	raw[0] = 4
	raw = binary.BigEndian.AppendUint32(append(raw, 40, 6), uint32(accounting.Stop))
	id := fmt.Sprintf("s%d", n)
	raw = append(append(raw, 44, byte(2+len(id))), id...)
	raw = append(append(raw, 1, 255), strings.Repeat("\x01", 253)...)
	for len(raw) < 4090 {
		raw = append(raw, 25, 3, byte(len(raw)))
	}
	binary.BigEndian.PutUint16(raw[2:], uint16(len(raw)))
	var e accounting.Event
	accounting.Classify(&e, raw, 1)
	h := accounting.Header{Time: 1_763_755_000e9, Client: "hotspots", Realm: "a.realm", Route: "a.realm"}
	h.SetEvent(&e)
	return accounting.AppendRecord(nil, &h, raw)
}
