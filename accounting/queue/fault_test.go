package queue

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting/spool"
)

func watermarkOptions() Options {
	o := testOptions()
	o.Trim = TrimWatermark
	return o
}

// TestEmbeddedStore needs no queue.
func TestEmbeddedStore(t *testing.T) {
	s := openTight(t, vfs.NewMem())
	l := newLedger()
	fails := 3
	l.fail = func(*Delivery) error {
		if fails--; fails >= 0 {
			return errors.New("the store is away")
		}
		return nil
	}
	put(t, s, stops(0, 35)...)
	put(t, s, record(99, 1))
	d, stop := drain(t, s, NewEmbedded("n1", l), watermarkOptions())
	settled(t, d, s)
	stop()
	l.wantAll(t, "n1", s.Epoch(), 36)
	put(t, s, stops(50, 5)...)
	d, stop = drain(t, s, NewEmbedded("n1", l), watermarkOptions())
	settled(t, d, s)
	stop()
	l.wantAll(t, "n1", s.Epoch(), 41)
	assert.Zero(t, l.again)
}

// TestRedisTruncatedByHand takes out of the stream what nobody has stored
// (acceptance row 9): at the front and whole, while the
// producer is connected and its newest id is what it was.
func TestRedisTruncatedByHand(t *testing.T) {
	for _, tt := range []struct {
		name string
		cut  func(c *redis.Client, stream string) error
	}{
		{"all but two trimmed", func(c *redis.Client, stream string) error { return c.XTrimMaxLen(ctx, stream, 2).Err() }},
		{"all trimmed", func(c *redis.Client, stream string) error { return c.XTrimMaxLen(ctx, stream, 0).Err() }},
		{"stream deleted", func(c *redis.Client, stream string) error { return c.Del(ctx, stream).Err() }},
		{"everything deleted", func(c *redis.Client, _ string) error { return c.FlushAll(ctx).Err() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := startRedis(t)
			c := r.client()
			s := openTight(t, vfs.NewMem())
			sink := newSink(t, r, s.Epoch())
			d, _ := drain(t, s, sink, watermarkOptions())
			l := newLedger()
			put(t, s, stops(0, 30)...)
			_, stop := consume(t, testSource(r, "c1"), l)
			settled(t, d, s)
			stop()
			put(t, s, stops(30, 70)...)
			caughtUp(t, d, s)
			require.NoError(t, tt.cut(c, sink.Stream()))
			put(t, s, stops(100, 5)...)
			_, stop = consume(t, testSource(r, "c2"), l)
			settled(t, d, s)
			stop()
			l.wantAll(t, "n1", s.Epoch(), 105)
			assert.Zero(t, d.Stats().Alarms.Load())
		})
	}
}

// TestRedisKilled kills a server that syncs every second, and cuts off the
// end of its file as a power cut does (acceptance row 9).
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	r := startRedis(t, "--appendfsync", "everysec", "--aof-load-truncated", "yes")
	s := openTight(t, vfs.NewMem())
	sink := newSink(t, r, s.Epoch())
	d, _ := drain(t, s, sink, watermarkOptions())
	l := newLedger()
	put(t, s, stops(0, 20)...)
	_, stop := consume(t, testSource(r, "c"), l)
	settled(t, d, s)
	n := 20
	for round := range rounds(t, 3) {
		if round%2 == 0 { // now and then nobody consumes for a while
			stop()
		}
		put(t, s, stops(n, 60)...)
		n += 60
		caughtUp(t, d, s)
		r.kill()
		files, err := filepath.Glob(filepath.Join(r.dir, "appendonlydir", "*.incr.aof"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		last := files[len(files)-1]
		info, err := os.Stat(last)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(last, info.Size()-min(info.Size(), int64(2000+3000*round))))
		r.start()
		put(t, s, stops(n, 5)...)
		n += 5
		if round%2 == 0 {
			_, stop = consume(t, testSource(r, "c"+strconv.Itoa(round)), l)
		}
		settled(t, d, s)
	}
	stop()
	l.wantAll(t, "n1", s.Epoch(), n)
	assert.Zero(t, d.Stats().Alarms.Load())
	assert.NotZero(t, d.Stats().Rewinds.Load())
}

// dying is a Sink whose process ends between send and cursor.
type dying struct {
	Sink
	after atomic.Int32 // batches until then
}

var errDead = errors.New("the process is dead")

func (d *dying) Publish(ctx context.Context, b *Batch) error {
	if d.after.Load() < 0 {
		return errDead
	}
	err := d.Sink.Publish(ctx, b)
	if err == nil && d.after.Add(-1) < 0 {
		return errDead // it is sent, and we do not know
	}
	return err
}

// target is a queue that can be stopped, and started again with what it held.
type target struct {
	name        string
	stop, start func()
	source      func() Source
	sink        func(epoch uint64) (Sink, func() error)
}

// targets starts one of each kind.
func targets(t testing.TB) []target {
	r, n, k := startRedis(t), startNATS(t, 1, false), startKafka(t)
	return []target{
		{"redis", r.kill, r.start, func() Source { return testSource(r, "c") }, func(epoch uint64) (Sink, func() error) {
			x := OpenRedis(Server{Address: r.addr()}, "n1.a", epoch, nil)
			return x, x.Close
		}},
		{"nats", func() { n.stop(0) }, func() { n.start(0); n.ready() }, func() Source { return n.source() }, func(epoch uint64) (Sink, func() error) {
			x, err := OpenNATS(n.server(), "n1.a", epoch, nil)
			require.NoError(t, err)
			return x, x.Close
		}},
		{"kafka", k.stop, k.start, func() Source { return k.source() }, func(epoch uint64) (Sink, func() error) {
			x, err := OpenKafka(k.server(), "n1.a", epoch, nil)
			require.NoError(t, err)
			return x, x.Close
		}},
	}
}

// TestTargetSwapped moves from queue to queue in mid-run. Each is stopped and
// started again while it is written and read, and then the producer dies
// between send and cursor (acceptance row 10). One store has consumers at all
// of them, and each record once: the ledger, which finds a record that comes
// twice, and the real one.
func TestTargetSwapped(t *testing.T) {
	t.Parallel()
	t.Run("ledger", func(t *testing.T) {
		t.Parallel()
		l := newLedger()
		epoch, n := swapTargets(t, l)
		l.wantAll(t, "n1.a", epoch, n)
		t.Logf("%d records, each once", n)
	})
	t.Run("store", func(t *testing.T) {
		t.Parallel()
		store, err := OpenStore(filepath.Join(t.TempDir(), "store"))
		require.NoError(t, err)
		// The consumers end before it does: clean-ups run from the last.
		t.Cleanup(func() { assert.NoError(t, store.Close()) })
		_, n := swapTargets(t, store)
		reports, duplicates, missing, err := store.Figures()
		require.NoError(t, err)
		assert.Equal(t, int64(n), reports)
		assert.Zero(t, duplicates)
		assert.Zero(t, missing)
		t.Logf("%d records, each once", n)
	})
}

// swapTargets returns the epoch of the spool and how many records went
// through it, all of which taker has confirmed.
func swapTargets(t *testing.T, taker Taker) (epoch uint64, total int) {
	all := targets(t)
	fs := vfs.NewMem()
	open := func() *spool.Spool {
		s, err := spool.Open("spool", spool.Options{FS: fs, Retain: -1, MinFree: -1, Seal: -1})
		require.NoError(t, err)
		return s
	}
	s := open()
	defer func() { _ = s.Close() }()
	epoch = s.Epoch()
	for _, q := range all {
		consume(t, q.source(), taker)
	}
	more := func(n int) {
		put(t, s, stops(total, n)...)
		total += n
	}
	for round := range rounds(t, 3) {
		q := all[round%len(all)]
		sink, shut := q.sink(epoch)
		dies := &dying{Sink: sink}
		dies.after.Store(1 << 30)
		d, stop := drain(t, s, dies, watermarkOptions())
		more(45)
		require.Eventually(t, func() bool { return d.Stats().Batches.Load() > 0 }, waitLong, waitShort, "%s takes something", q.name)
		q.stop()
		more(25)
		require.Eventually(t, func() bool { return d.Stats().Retries.Load() > 0 }, waitLong, waitShort, "%s is missed", q.name)
		q.start()
		dies.after.Store(int32(round % 3))
		more(45)
		require.Eventually(t, func() bool { return dies.after.Load() < 0 }, waitLong, waitShort, "%s takes it again", q.name)
		more(7)
		stop()
		require.NoError(t, shut())
		require.NoError(t, s.Close())
		s = open()
		require.Equal(t, epoch, s.Epoch())
	}
	sink, shut := all[0].sink(epoch)
	d, stop := drain(t, s, sink, watermarkOptions())
	settled(t, d, s)
	stop()
	require.NoError(t, shut())
	assert.Zero(t, d.Stats().Alarms.Load())
	return epoch, total
}

// TestTwoConsumersShare (acceptance row 11) has two consumers, one of which
// dies with batches in its hands: the other takes them over.
func TestTwoConsumersShare(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	s := openTight(t, vfs.NewMem())
	o := watermarkOptions()
	o.MaxRecords = 3
	d, _ := drain(t, s, newSink(t, r, s.Epoch()), o)
	l := newLedger()
	held := make(chan struct{})
	var first atomic.Bool
	hangs := takerFunc(func(ctx context.Context, d *Delivery) (uint64, error) {
		if first.CompareAndSwap(false, true) {
			close(held)
		}
		<-ctx.Done() // until it is killed
		return 0, ctx.Err()
	})
	_, kill := consume(t, testSource(r, "dies"), hangs)
	put(t, s, stops(0, 30)...)
	<-held
	k, stop := consume(t, testSource(r, "lives"), l)
	put(t, s, stops(30, 30)...)
	require.Eventually(t, func() bool { return l.count("n1", s.Epoch()) > 0 }, waitLong, waitShort)
	kill()
	began := time.Now()
	settled(t, d, s)
	stop()
	l.wantAll(t, "n1", s.Epoch(), 60)
	assert.NotZero(t, k.Stats().TakenOver.Load())
	t.Logf("taken over in %v with a limit of 300ms", time.Since(began))
}

type takerFunc func(context.Context, *Delivery) (uint64, error)

func (f takerFunc) Take(ctx context.Context, d *Delivery) (uint64, error) { return f(ctx, d) }
