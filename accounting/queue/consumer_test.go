package queue

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

// openTight opens a spool that keeps no more than it must.
func openTight(t testing.TB, fs vfs.FS) *spool.Spool {
	t.Helper()
	s, err := spool.Open("spool", spool.Options{FS: fs, Retain: -1, MinFree: -1, Seal: -1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func testSource(r *server, name string) *RedisSource {
	return OpenRedisSource(Server{Address: r.addr()}, SourceOptions{
		Consumer: name, Takeover: 300 * time.Millisecond, Poll: 5 * time.Millisecond,
	})
}

// settled waits until the watermark of the clearing side is back at the
// spool, and looks whether the spool can be trimmed.
func settled(t testing.TB, d *Drainer, s *spool.Spool) {
	t.Helper()
	require.Eventually(t, func() bool {
		return d.Lag() == 0 && d.Stats().Reported.Load() == s.Last() && s.Watermark() == s.Last()
	}, waitLong, waitShort)
	require.NoError(t, s.Trim(s.Last()+1))
	assert.Less(t, s.Last()-s.First(), uint64(testOptions().MaxRecords), "all but the newest batch is trimmed")
}

func TestConsumerFromRedis(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	s := openTight(t, vfs.NewMem())
	o := testOptions()
	o.Trim = TrimWatermark
	l := newLedger()
	fails := 2
	l.fail = func(d *Delivery) error {
		if fails--; fails >= 0 {
			return errors.New("the store is away")
		}
		return nil
	}
	put(t, s, stops(1, 25)...)
	put(t, s, record(accounting.Start, 1), record(accounting.Quarantined, 2), record(accounting.Off, 3))
	d, _ := drain(t, s, newSink(t, r, s.Epoch()), o)
	c, stop := consume(t, testSource(r, "c1"), l)
	settled(t, d, s)
	l.wantAll(t, "n1", s.Epoch(), 28)
	assert.Equal(t, uint64(2), c.Stats().StoreFails.Load())

	// A second spool of another node appears while it runs.
	other := openTight(t, vfs.NewMem())
	sink := OpenRedis(Server{Address: r.addr()}, "n2.b", other.Epoch()+7, nil)
	defer func() { _ = sink.Close() }()
	put(t, other, stops(1, 15)...)
	_, stopOther := drain(t, other, &epochSink{Redis: sink, epoch: other.Epoch() + 7}, o)
	require.Eventually(t, func() bool { return l.count("n2.b", other.Epoch()+7) == 15 }, waitLong, waitShort)
	stopOther()
	stop()
	assert.Equal(t, uint64(43), c.Stats().Records.Load())
	assert.Zero(t, c.Stats().Again.Load())
	assert.Zero(t, c.Stats().Foreign.Load())
	require.NotZero(t, c.Stats().Last.Load())
}

// epochSink gives batches another epoch than that of their spool: two spools
// made in one second have the same.
type epochSink struct {
	*Redis
	epoch uint64
}

func (e *epochSink) Publish(ctx context.Context, b *Batch) error {
	b.Epoch = e.epoch
	return e.Redis.Publish(ctx, b)
}

// TestForeignEntries puts into the queue what no hub writes: it reaches the
// store with a reason, and holds nothing up.
func TestForeignEntries(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := r.client()
	hash := fmt.Sprintf("%032x", 1)
	good := map[string]any{"first": 1, "last": 1, "n": 1, "hash": hash, "encoding": "jsonl", "data": "{\"seq\":1}\n"}
	tests := []struct {
		name, field string
		value       any // nil takes the field away
		why         string
	}{
		{"no first", "first", nil, "field first is no number"},
		{"first is text", "first", "one", "field first is no number"},
		{"first is signed", "first", "-1", "field first is no number"},
		{"first is not that of the id", "first", "9", "records 9 to"},
		{"last before first", "last", 0, "claims the records"},
		{"last far away", "last", uint64(1 << 40), "claims the records"},
		{"last beyond all", "last", "99999999999999999999999", "field last is no number"},
		{"more lines than said", "data", "{\"seq\":1}\n{\"seq\":2}\n", "lines"},
		{"no end of line", "data", "{\"seq\":1}", "lines"},
		{"more records than the stretch", "n", 2, "claims 2 records in 1"},
		{"records without number", "n", "x", "field n is no number"},
		{"quarantined without lines", "nq", 1, "claims 2 records in 1"},
		{"hash too short", "hash", "00", "hash has 2 digits"},
		{"hash no hex", "hash", fmt.Sprintf("%032s", "z"), "not hexadecimal"},
		{"newer encoding", "encoding", "parquet+zstd", "newer hub"},
	}
	stream := streamKey("n1", 7)
	c.SAdd(ctx, nodesKey, "n1", "", "a b", "x}:{y", "n3")
	c.SAdd(ctx, streamsKey("n1"), stream, "clr:{n2}:7", "clr:{n1}:-7", "clr:{n1}:07", "clr:wm:{n1}", streamKey("n1", 8))
	require.NoError(t, c.Set(ctx, streamKey("n1", 8), "no stream at all", 0).Err())
	for i, tt := range tests {
		values := map[string]any{}
		for k, v := range good {
			values[k] = v
		}
		if values["first"], values["last"] = i+1, i+1; tt.value == nil {
			delete(values, tt.field)
		} else {
			values[tt.field] = tt.value
		}
		require.NoError(t, c.XAdd(ctx, &redis.XAddArgs{Stream: stream, ID: fmt.Sprintf("%d-7", i+1), Values: values}).Err(), tt.name)
	}
	good["first"], good["last"], good["data"] = 100, 100, "{\"seq\":100}\n"
	require.NoError(t, c.XAdd(ctx, &redis.XAddArgs{Stream: stream, ID: "100-8", Values: good}).Err(), "the id of another spool")
	good["first"], good["last"], good["data"] = 101, 101, "{\"seq\":101}\n"
	require.NoError(t, c.XAdd(ctx, &redis.XAddArgs{Stream: stream, ID: "101-7", Values: good}).Err())

	l := newLedger()
	k, stop := consume(t, testSource(r, "c1"), l)
	require.Eventually(t, func() bool { return l.count("n1", 7) == 1 }, waitLong, waitShort, "the good one")
	require.Eventually(t, func() bool { return c.Exists(ctx, watermarkKey("n1")).Val() == 1 }, waitLong, waitShort, "it is reported")
	stop()
	require.Len(t, l.dead, len(tests)+1)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.ErrorIs(t, l.dead[i].Err, ErrForeign)
			assert.Contains(t, l.dead[i].Err.Error(), tt.why)
			assert.NotEmpty(t, l.dead[i].Data, "somebody will want to see it")
			assert.Equal(t, fmt.Sprintf("%d-7", i+1), l.dead[i].ID)
		})
	}
	assert.Equal(t, uint64(len(tests)+1), k.Stats().Foreign.Load())
	pending, err := c.XPending(ctx, stream, "clearing").Result()
	require.NoError(t, err)
	assert.Zero(t, pending.Count, "the store has them: they do not come again")
	mark, err := c.Get(ctx, watermarkKey("n1")).Result()
	require.NoError(t, err)
	assert.Equal(t, "0-7", mark, "what is no batch moves no watermark")
}

// next returns what a source has as soon as it has something.
func next(t *testing.T, src Source) (ds []*Delivery) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLong)
	defer cancel()
	for len(ds) == 0 {
		var err error
		ds, err = src.Next(ctx)
		require.NoError(t, err)
	}
	return ds
}

func TestReportNeverFalls(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := r.client()
	src := testSource(r, "c1")
	defer func() { _ = src.Close() }()
	const large = 1 << 62 // more than a floating point number tells apart
	for _, tt := range []struct {
		name       string
		epoch, seq uint64
		want       string
	}{
		{"first", 7, 9, "9-7"},
		{"more digits", 7, 10, "10-7"},
		{"lower", 7, 9, "10-7"},
		{"the spool before", 6, 1000, "10-7"},
		{"a new spool", 8, 1, "1-8"},
		{"large", 8, large, fmt.Sprint(uint64(large)) + "-8"},
		{"one more", 8, large + 1, fmt.Sprint(uint64(large+1)) + "-8"},
		{"one less", 8, large, fmt.Sprint(uint64(large+1)) + "-8"},
		{"an epoch with more digits", 10, 0, "0-10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, src.Report(ctx, "n1", tt.epoch, tt.seq))
			got, err := c.Get(ctx, watermarkKey("n1")).Result()
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
	require.NoError(t, c.Set(ctx, watermarkKey("n1"), "nonsense", 0).Err())
	require.NoError(t, src.Report(ctx, "n1", 7, 5))
	got, err := c.Get(ctx, watermarkKey("n1")).Result()
	require.NoError(t, err)
	assert.Equal(t, "5-7", got)
}

func FuzzDecode(f *testing.F) {
	hash := fmt.Sprintf("%032x", 1)
	f.Add("1", "2", "1", "1", hash, "jsonl", []byte("{}\n"), []byte("{}\n"))
	f.Add("9223372036854775808", "9223372036854775808", "131072", "131072", hash, "jsonl", []byte("\n"), []byte("\n"))
	f.Add("0", "0", "", "", "zz", "", []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, first, last, n, nq, hash, encoding string, data, quarantined []byte) {
		fields := map[string]string{"first": first, "last": last, "n": n, "nq": nq, "hash": hash, "encoding": encoding}
		d := &Delivery{Data: data, Quarantined: quarantined}
		d.decode(func(name string) string { return fields[name] })
		if d.Err != nil {
			require.ErrorIs(t, d.Err, ErrForeign)
			return
		}
		assert.LessOrEqual(t, d.First, d.Last)
		assert.Less(t, d.Last-d.First, uint64(maxRecords))
		assert.LessOrEqual(t, d.N+d.NQ, maxRecords)
	})
}
