package spool

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collector takes batches back.
type collector chan *Batch

func (c collector) SpoolDone(b *Batch) { c <- b }

// put submits records in one batch and waits for it.
func put(t testing.TB, s *Spool, forward bool, recs ...string) *Batch {
	t.Helper()
	b := s.NewBatch()
	for i, r := range recs {
		b.Add(uint64(i), []byte(r), forward)
	}
	done := make(collector, 1)
	require.True(t, s.Submit(b, done), "submit in state %s", s.State())
	return <-done
}

func numbered(from, n int) []string {
	rs := make([]string, n)
	for i := range rs {
		rs[i] = fmt.Sprintf("record %d", from+i)
	}
	return rs
}

func all(t testing.TB, s *Spool) map[uint64]string {
	t.Helper()
	m := map[uint64]string{}
	require.NoError(t, s.Read(0, func(seq uint64, rec []byte) bool {
		m[seq] = string(rec)
		return true
	}))
	return m
}

func testOptions(fs vfs.FS) Options {
	return Options{FS: fs, Retain: 10, Seal: -1, MinFree: -1, Ballast: -1}
}

func reopen(t testing.TB, s *Spool, o Options) *Spool {
	t.Helper()
	require.NoError(t, s.Close())
	s, err := Open(s.dir, o)
	require.NoError(t, err)
	return s
}

func TestSpoolKeepsWhatItAcknowledged(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s, err := Open("spool", o)
	require.NoError(t, err)
	assert.Equal(t, uint64(0), s.Last())
	assert.Equal(t, uint64(1), s.First())
	b := put(t, s, false, "one", "two")
	require.NoError(t, b.Err)
	assert.Equal(t, []uint64{0, 1}, b.Tokens())
	assert.Equal(t, uint64(2), b.Seq(1))
	epoch := s.Epoch()
	s = reopen(t, s, o)
	assert.Equal(t, epoch, s.Epoch())
	b = put(t, s, false, "three")
	assert.Equal(t, uint64(3), b.Seq(0))
	assert.Equal(t, map[uint64]string{1: "one", 2: "two", 3: "three"}, all(t, s))
	require.NoError(t, s.Close())
	assert.False(t, s.Submit(b, make(collector, 1)))
	require.ErrorIs(t, s.Read(0, nil), ErrClosed)
}

func TestSpoolTrimsOnlyWhatNobodyNeeds(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s, err := Open("spool", o)
	require.NoError(t, err)
	put(t, s, false, numbered(1, 50)...)
	put(t, s, true, "owed") // 51
	put(t, s, false, numbered(52, 49)...)
	trim := func(want uint64, why string) {
		t.Helper()
		require.NoError(t, s.Trim(1000))
		assert.Equal(t, want, s.First(), why)
	}
	trim(1, "nothing is delivered")
	s.SetWatermark(40)
	require.NoError(t, s.Cut(Cut{First: 1, Last: 30, N: 30}, Cut{First: 31, Last: 60, N: 30}))
	trim(31, "40 is delivered, but the cut that holds it is not over")
	s.SetWatermark(70)
	trim(71, "delivered; 51 is owed to a home and has moved into its marker")
	s.SetWatermark(1000)
	trim(91, "ten are retained, and the watermark cannot pass the end")
	s = reopen(t, s, o)
	assert.Equal(t, uint64(91), s.First())
	assert.Equal(t, uint64(100), s.Watermark())
	assert.Len(t, all(t, s), 10)
	_, ok, err := s.CutFrom(0)
	require.NoError(t, err)
	assert.False(t, ok, "cuts go with their records")
	require.NoError(t, s.Close())
}

func TestSpoolRetainsByTime(t *testing.T) {
	o := testOptions(vfs.NewMem())
	now := time.Unix(1_700_000_000, 0).Truncate(time.Minute)
	o.RetainTime, o.now = time.Hour, func() time.Time { return now }
	s, err := Open("spool", o)
	require.NoError(t, err)
	for range 5 { // 1-20, 21-40, ... half an hour apart
		put(t, s, false, numbered(1, 20)...)
		now = now.Add(30 * time.Minute)
	}
	s.SetWatermark(100)
	require.NoError(t, s.Trim(1000))
	assert.Equal(t, uint64(61), s.First(), "records of the last hour stay")
	assert.Equal(t, now.Add(-60*time.Minute), s.Stats().Oldest)
	require.NoError(t, s.Close())
}

func TestSpoolForwardMarkers(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s, err := Open("spool", o)
	require.NoError(t, err)
	put(t, s, true, "a", "b", "c")
	put(t, s, false, "d")
	require.NoError(t, s.Settle([]uint64{2}, nil))
	require.NoError(t, s.Trim(0))
	owed := func(from uint64, limit int) (seqs []uint64) {
		require.NoError(t, s.Pending(from, limit, func(seq uint64, rec []byte) bool {
			assert.Equal(t, string(rune('a'+seq-1)), string(rec))
			seqs = append(seqs, seq)
			return true
		}))
		return seqs
	}
	assert.Equal(t, []uint64{1, 3}, owed(0, 0))
	assert.Equal(t, []uint64{1}, owed(0, 1))
	assert.Equal(t, []uint64{3}, owed(2, 0))
	s = reopen(t, s, o)
	assert.Equal(t, []uint64{1, 3}, owed(0, 0))
	assert.Equal(t, uint64(2), s.Stats().Pending)
	require.NoError(t, s.Close())
}

const waitLong, waitShort = 10 * time.Second, time.Millisecond

// TestSpoolWhenTheClockSteps: retention by time keeps rather more than less,
// and numbers go on, whichever way the clock is set.
func TestSpoolWhenTheClockSteps(t *testing.T) {
	start := time.Unix(1_700_000_000, 0).Truncate(time.Minute)
	for _, tt := range []struct {
		name  string
		step  time.Duration
		first uint64 // kept after the step and one more hour
	}{
		{"none", 0, 21},
		{"an hour back: nothing is trimmed early", -time.Hour, 1},
		{"an hour on: the stretch that the limit lies in stays whole", time.Hour, 21},
		{"thirty years back", -30 * 365 * 24 * time.Hour, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := testOptions(vfs.NewMem())
			now := start
			o.RetainTime, o.now = time.Hour, func() time.Time { return now }
			s, err := Open("spool", o)
			require.NoError(t, err)
			for range 2 { // 1-20, 21-40
				put(t, s, false, numbered(1, 20)...)
				now = now.Add(30 * time.Minute)
			}
			now = now.Add(tt.step)
			for range 2 { // 41-60, 61-80
				put(t, s, false, numbered(1, 20)...)
				now = now.Add(15 * time.Minute)
			}
			s.SetWatermark(80)
			require.NoError(t, s.Trim(1000))
			assert.Equal(t, tt.first, s.First())
			s = reopen(t, s, o)
			assert.Equal(t, uint64(80), s.Last())
			assert.Len(t, all(t, s), int(80-tt.first)+1)
			require.NoError(t, s.Close())
		})
	}
}
