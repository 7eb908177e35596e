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
// (accounting.md section 6, row 9): at the front and whole, while the
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
// end of its file as a power cut does.
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

// TestTargetSwapped moves from queue to queue in mid-run, the producer dying
// between send and cursor each time (accounting.md section 6, row 10). One
// store has consumers at all of them.
func TestTargetSwapped(t *testing.T) {
	t.Parallel()
	r, n, k := startRedis(t), startNATS(t, 1, false), startKafka(t)
	fs := vfs.NewMem()
	s, err := spool.Open("spool", spool.Options{FS: fs, Retain: -1, MinFree: -1, Seal: -1})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	epoch := s.Epoch()
	l := newLedger()
	for _, src := range []Source{testSource(r, "c"), n.source(), k.source()} {
		consume(t, src, l)
	}
	total := 0
	for round := range rounds(t, 5) {
		var sink Sink
		var shut func() error
		switch round % 3 {
		case 0:
			x := OpenRedis(Server{Address: r.addr()}, "n1.a", epoch, nil)
			sink, shut = x, x.Close
		case 1:
			x, err := OpenNATS(n.server(), "n1.a", epoch, nil)
			require.NoError(t, err)
			sink, shut = x, x.Close
		default:
			x, err := OpenKafka(k.server(), "n1.a", epoch, nil)
			require.NoError(t, err)
			sink, shut = x, x.Close
		}
		put(t, s, stops(total, 45)...)
		total += 45
		dies := &dying{Sink: sink}
		dies.after.Store(int32(round % 4))
		d, stop := drain(t, s, dies, watermarkOptions())
		require.Eventually(t, func() bool { return dies.after.Load() < 0 && d.Stats().Retries.Load() > 0 }, waitLong, waitShort)
		put(t, s, stops(total, 7)...)
		total += 7
		stop()
		require.NoError(t, shut())
		require.NoError(t, s.Close())
		s, err = spool.Open("spool", spool.Options{FS: fs, Retain: -1, MinFree: -1, Seal: -1})
		require.NoError(t, err)
		require.Equal(t, epoch, s.Epoch())
	}
	x := OpenRedis(Server{Address: r.addr()}, "n1.a", epoch, nil)
	defer func() { _ = x.Close() }()
	d, stop := drain(t, s, x, watermarkOptions())
	settled(t, d, s)
	stop()
	l.wantAll(t, "n1.a", epoch, total)
	assert.Zero(t, d.Stats().Alarms.Load())
}

// TestTwoConsumersShare has two consumers, one of which dies with batches in
// its hands: the other takes them over.
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
