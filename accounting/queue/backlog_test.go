package queue

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

// pour puts records into s, in commits of 512 and each commit every apart,
// until n are there or end is closed. It returns how many are.
func pour(s *spool.Spool, from, n int, every time.Duration, end <-chan struct{}) (int, error) {
	done := make(collector, 1)
	tick := time.NewTicker(max(every, 1))
	defer tick.Stop()
	for sent := 0; sent < n; {
		b := s.NewBatch()
		for ; b.Len() < 512 && sent < n; sent++ {
			b.Add(0, typical(from+sent), false)
		}
		if !s.Submit(b, done) {
			return sent, spool.ErrClosed
		}
		if err := (<-done).Err; err != nil {
			return sent, err
		}
		if every > 0 {
			select {
			case <-tick.C:
			case <-end:
				return sent, nil
			}
		}
	}
	return n, nil
}

// afterOutage lets n records wait while Redis is away, brings it back and
// drains them while commits of 512 go on coming, every apart. It returns how
// long the n took.
func afterOutage(t testing.TB, fs vfs.FS, n int, every time.Duration) time.Duration {
	r := startRedis(t)
	s, err := spool.Open(t.TempDir(), spool.Options{FS: fs, Retain: -1, MinFree: -1})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	sink := newSink(t, r, s.Epoch())
	o := testOptions()
	o.MaxRecords = 0
	o.NewView = func() *accounting.View { return &accounting.View{Hasher: accounting.NewHasher([]byte("key"))} }
	d, stop := drain(t, s, sink, o)
	put(t, s, typical(0))
	caughtUp(t, d, s)
	r.kill()
	waits, err := pour(s, 1, n, 0, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !d.Stats().Up.Load() }, waitLong, waitShort)
	backlog := s.Last()
	require.Equal(t, uint64(1+waits), backlog, "what nobody takes is kept")

	r.start()
	type poured struct {
		n   int
		err error
	}
	end, served := make(chan struct{}), make(chan poured, 1)
	go func() {
		n, err := pour(s, 1+n, 1<<30, every, end)
		served <- poured{n, err}
	}()
	require.Eventually(t, func() bool { return d.Stats().Up.Load() }, waitLong, time.Millisecond)
	began, before := time.Now(), d.Stats().Published.Load()
	require.Eventually(t, func() bool { return d.Stats().Cursor.Load() >= backlog }, 5*time.Minute, time.Millisecond)
	took := time.Duration(float64(time.Since(began)) * float64(n) / float64(backlog-before+1))
	close(end)
	more := <-served
	require.NoError(t, more.err)
	caughtUp(t, d, s)
	stop()

	all := s.Last()
	require.Equal(t, backlog+uint64(more.n), all, "nobody waited for the queue")
	c := r.client()
	next := uint64(1)
	for from := "-"; next <= all; from = "(" + from {
		msgs, err := c.XRangeN(ctx, sink.Stream(), from, "+", 32).Result()
		require.NoError(t, err)
		require.NotEmpty(t, msgs, "record %d is lost", next)
		for _, m := range msgs {
			for _, seq := range seqs(t, m.Values["data"].(string)) {
				require.Equal(t, next, seq, "in order, each once")
				next++
			}
			from = m.ID
		}
	}
	assert.Equal(t, all+1, next)
	assert.Zero(t, d.Stats().Alarms.Load())
	assert.Zero(t, d.Stats().Rewinds.Load())
	return took
}

// TestRedisDownWhileServing (acceptance row 8) is small: no record is lost
// while Redis is away, or double after, and records are taken all the while.
func TestRedisDownWhileServing(t *testing.T) {
	t.Parallel()
	afterOutage(t, vfs.NewMem(), 2000, 5*time.Millisecond)
}

// BenchmarkDrainAfterOutage (acceptance row 8) is large: the spool is on the
// disk and 20,000 records a second go on coming. The backlog of one hour at
// that rate is 72 million records, and Redis needs 0.7 GB of memory for a
// million that nobody takes out:
//
//	go test -run '^$' -bench DrainAfterOutage -benchtime 1000000x ./accounting/queue
func BenchmarkDrainAfterOutage(b *testing.B) {
	took := afterOutage(b, nil, b.N, 512*time.Second/20_000)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.N)/took.Seconds(), "records/s")
}
