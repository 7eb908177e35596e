package queue

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

var ctx = context.Background()

// entries reads the whole stream and checks each entry against itself.
func entries(t testing.TB, c *redis.Client, stream string) (all []uint64, msgs []redis.XMessage) {
	t.Helper()
	msgs, err := c.XRange(ctx, stream, "-", "+").Result()
	require.NoError(t, err)
	for _, m := range msgs {
		v := m.Values
		ns := seqs(t, v["data"].(string))
		assert.Equal(t, fmt.Sprint(len(ns)), v["n"])
		assert.Equal(t, "jsonl", v["encoding"])
		assert.True(t, strings.HasPrefix(m.ID, v["first"].(string)+"-"), m.ID)
		assert.Len(t, v["hash"], 32)
		all = append(all, ns...)
	}
	return all, msgs
}

func newSink(t testing.TB, r *server, epoch uint64) *Redis {
	s := OpenRedis(Server{Address: r.addr()}, "n1", epoch, nil)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestRedisEntriesReadByPlainTools(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := r.client()
	s := openSpool(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	sink := newSink(t, r, s.Epoch())
	put(t, s, stops(1, 25)...)
	put(t, s, record(accounting.Start, 1), record(accounting.Quarantined, 2), record(accounting.Off, 3))
	d, stop := drain(t, s, sink, testOptions())
	caughtUp(t, d, s)

	want := append(numbers(26), 28)
	got, msgs := entries(t, c, sink.Stream())
	assert.Equal(t, want, got)
	assert.Equal(t, fmt.Sprintf("1-%d", s.Epoch()), msgs[0].ID)
	last := msgs[len(msgs)-1].Values
	assert.Equal(t, "28", last["last"])
	var odd []uint64
	for _, m := range msgs {
		if q, ok := m.Values["quarantined"].(string); ok {
			odd = append(odd, seqs(t, q)...)
			assert.Equal(t, "1", m.Values["nq"])
		}
	}
	assert.Equal(t, []uint64{27}, odd)

	// A consumer group of somebody else's making.
	require.NoError(t, c.XGroupCreate(ctx, sink.Stream(), "clearing", "0").Err())
	group, err := c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "clearing", Consumer: "c1", Streams: []string{sink.Stream(), ">"}}).Result()
	require.NoError(t, err)
	assert.Len(t, group[0].Messages, len(msgs))

	out := r.cli("XRANGE", sink.Stream(), "-", "+", "COUNT", "1")
	assert.Contains(t, out, "first\n1\n")
	assert.Contains(t, out, "encoding\njsonl\n")
	assert.Contains(t, out, `"kind":"stop"`)
	assert.Contains(t, out, `"session_id":"s1"`)
	assert.Equal(t, sink.Stream()+"\n", r.cli("SMEMBERS", "clr:streams:{n1}"))
	assert.False(t, sink.Evicts())
	stop()
}

// TestRedisAwayAndBack (acceptance row 8) stops and starts the queue.
func TestRedisAwayAndBack(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := r.client()
	s := openSpool(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	sink := newSink(t, r, s.Epoch())
	d, stop := drain(t, s, sink, testOptions())
	put(t, s, stops(1, 30)...)
	caughtUp(t, d, s)
	for round := range 3 {
		r.kill()
		put(t, s, stops(31+round*30, 30)...)
		require.Eventually(t, func() bool { return !d.Stats().Up.Load() }, waitLong, waitShort)
		assert.LessOrEqual(t, s.Watermark(), uint64(30+round*30), "what is not delivered is kept")
		r.start()
		caughtUp(t, d, s)
	}
	stop()
	got, _ := entries(t, c, sink.Stream())
	assert.Equal(t, numbers(120), got, "in order, once")
	assert.Zero(t, d.Stats().Alarms.Load())
	assert.Zero(t, d.Stats().Rewinds.Load(), "appendfsync always loses nothing")
}

// TestRedisLosesItsTail (acceptance row 9) takes entries and the memory of
// them away, as a failover to a replica that was behind does.
func TestRedisLosesItsTail(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := r.client()
	s := openSpool(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	sink := newSink(t, r, s.Epoch())
	d, stop := drain(t, s, sink, testOptions())
	put(t, s, stops(1, 95)...)
	caughtUp(t, d, s)
	_, msgs := entries(t, c, sink.Stream())
	require.Greater(t, len(msgs), 5)
	keep := msgs[len(msgs)-5]
	for _, m := range msgs[len(msgs)-4:] {
		require.NoError(t, c.XDel(ctx, sink.Stream(), m.ID).Err())
	}
	require.NoError(t, c.Do(ctx, "XSETID", sink.Stream(), keep.ID).Err())
	r.kill()
	r.start()
	put(t, s, stops(96, 5)...)
	caughtUp(t, d, s)
	require.Equal(t, uint64(1), d.Stats().Rewinds.Load())
	got, again := entries(t, c, sink.Stream())
	assert.Equal(t, numbers(100), got, "nothing twice, nothing missing")
	for i := range msgs {
		assert.Equal(t, msgs[i], again[i], "what is sent again is what was sent")
	}

	// All of it is gone.
	r.kill()
	r.forget()
	r.start()
	put(t, s, stops(101, 5)...)
	caughtUp(t, d, s)
	stop()
	assert.Equal(t, uint64(2), d.Stats().Rewinds.Load())
	got, _ = entries(t, c, sink.Stream())
	assert.Equal(t, numbers(105), got, "the spool still had them")
}

func TestRedisRefusesTheSameBatch(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := r.client()
	fs := vfs.NewMem()
	s := openSpool(t, fs)
	sink := newSink(t, r, s.Epoch())
	d, stop := drain(t, s, sink, testOptions())
	put(t, s, stops(1, 15)...)
	caughtUp(t, d, s)
	stop()
	require.NoError(t, s.Close())
	_, msgs := entries(t, c, sink.Stream())

	b := &Batch{Epoch: s.Epoch(), First: 1, Last: 10, N: 10, Data: []byte("whatever its bytes are now\n")}
	_, err := fmt.Sscanf(msgs[0].Values["hash"].(string), "%x", (*hexBytes)(&b.Hash))
	require.NoError(t, err)
	_, _, err = sink.Last(ctx)
	require.NoError(t, err)
	require.NoError(t, sink.Publish(ctx, b), "same records: the queue has it")
	assert.Equal(t, uint64(1), sink.Refused())
	b.Hash[0]++
	require.ErrorIs(t, sink.Publish(ctx, b), ErrConflict)
	b.First = 3
	require.ErrorIs(t, sink.Publish(ctx, b), ErrConflict, "an id below the top that is not there")
	require.NoError(t, c.Set(ctx, sink.WatermarkKey(), fmt.Sprintf("10-%d", s.Epoch()), 0).Err())
	require.NoError(t, sink.Publish(ctx, b), "stored and trimmed while the answer was lost")
	_, after := entries(t, c, sink.Stream())
	assert.Equal(t, msgs, after)
}

// hexBytes reads 16 octets with Sscanf.
type hexBytes [16]byte

func (h *hexBytes) Scan(st fmt.ScanState, _ rune) error {
	for i := range h {
		if _, err := fmt.Fscanf(st, "%02x", &h[i]); err != nil {
			return err
		}
	}
	return nil
}

func TestRedisWatermarkDecidesWhatIsTrimmed(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := r.client()
	s, err := spool.Open("spool", spool.Options{FS: vfs.NewMem(), Retain: -1, MinFree: -1, Seal: -1})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	sink := newSink(t, r, s.Epoch())
	o := testOptions()
	o.Trim = TrimWatermark
	d, stop := drain(t, s, sink, o)
	put(t, s, stops(1, 50)...)
	caughtUp(t, d, s)
	require.NoError(t, s.Trim(1000))
	assert.Equal(t, uint64(1), s.First(), "delivered is not stored")

	report := func(v string) { require.NoError(t, c.Set(ctx, sink.WatermarkKey(), v, 0).Err()) }
	report(fmt.Sprintf("40-%d", s.Epoch()+1))
	polls := time.Now().Add(5 * o.Poll)
	require.Eventually(t, func() bool { return time.Now().After(polls) }, waitLong, waitShort)
	assert.Zero(t, s.Watermark(), "a report for another spool")
	report("nonsense")
	report(fmt.Sprintf("1000-%d", s.Epoch()))
	polls = time.Now().Add(5 * o.Poll)
	require.Eventually(t, func() bool { return time.Now().After(polls) }, waitLong, waitShort)
	assert.Zero(t, s.Watermark(), "nobody can have stored what was not sent")
	report(fmt.Sprintf("25-%d", s.Epoch()))
	require.Eventually(t, func() bool { return d.Stats().Reported.Load() == 25 && s.Watermark() == 25 }, waitLong, waitShort)
	require.Eventually(t, func() bool {
		first, _ := entries(t, c, sink.Stream())
		return first[0] > 1
	}, waitLong, waitShort, "the stream is trimmed too")
	got, msgs := entries(t, c, sink.Stream())
	assert.LessOrEqual(t, got[0], uint64(26), "never a batch that is not stored whole")
	assert.Equal(t, fmt.Sprint(got[0]), msgs[0].Values["first"])
	require.NoError(t, s.Trim(1000))
	assert.LessOrEqual(t, s.First(), uint64(26))
	assert.Greater(t, s.First(), uint64(1))

	// The stream is lost, the report is not: only what is not stored is sent.
	require.NoError(t, c.Del(ctx, sink.Stream()).Err())
	stop()
	d, stop = drain(t, s, sink, o)
	caughtUp(t, d, s)
	stop()
	got, _ = entries(t, c, sink.Stream())
	assert.Subset(t, got, numbers(50)[25:])
}

func TestRedisKnowsAForeignStream(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := r.client()
	s := openSpool(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	sink := newSink(t, r, s.Epoch())
	require.NoError(t, c.XAdd(ctx, &redis.XAddArgs{Stream: sink.Stream(), ID: "5-5", Values: []any{"a", "b"}}).Err())
	put(t, s, stops(1, 5)...)
	d, stop := drain(t, s, sink, testOptions())
	require.Eventually(t, func() bool { return d.Stats().Alarms.Load() > 0 }, waitLong, waitShort)
	stop()
	n, err := c.XLen(ctx, sink.Stream()).Result()
	require.NoError(t, err)
	assert.Equal(t, int64(1), n)
}

func TestRedisEvictionIsNoticed(t *testing.T) {
	t.Parallel()
	r := startRedis(t, "--maxmemory-policy", "allkeys-lru")
	sink := newSink(t, r, 1)
	_, known, err := sink.Last(ctx)
	require.NoError(t, err)
	assert.True(t, known)
	assert.True(t, sink.Evicts())
	r.cli("ACL", "SETUSER", "default", "-config")
	sink = newSink(t, r, 1)
	_, _, err = sink.Last(ctx)
	require.NoError(t, err, "a server that keeps CONFIG to itself is believed")
}
