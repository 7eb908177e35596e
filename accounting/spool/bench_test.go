package spool

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAllocsAdd(t *testing.T) {
	b := new(Batch)
	rec := make([]byte, 300)
	fill := func() {
		b.Reset()
		for i := range 64 {
			b.Add(uint64(i), rec, i%2 == 0)
		}
	}
	fill()
	assert.Zero(t, testing.AllocsPerRun(100, fill))
}

func TestAllocsSubmit(t *testing.T) {
	s, err := Open("spool", testOptions(vfs.NewMem()))
	require.NoError(t, err)
	done := make(collector, 1)
	b := s.NewBatch()
	for range 64 {
		b.Add(0, make([]byte, 300), false)
	}
	// What remains is the store's own bookkeeping for a commit of 64.
	assert.Less(t, testing.AllocsPerRun(200, func() {
		s.Submit(b, done)
		<-done
	}), 64.0/4)
	require.NoError(t, s.Close())
}

// BenchmarkCommit keeps 1024 records of 300 octets in flight in batches as a
// shard makes them, on a real disk.
func BenchmarkCommit(b *testing.B) {
	for _, per := range []int{1, 16, 64} {
		b.Run(map[int]string{1: "batch=1", 16: "batch=16", 64: "batch=64"}[per], func(b *testing.B) {
			o := testOptions(nil)
			o.MinFree, o.Retain = 0, 1000
			s, err := Open(b.TempDir(), o)
			require.NoError(b, err)
			const flight = 1024
			done := make(collector, flight/per)
			rec := make([]byte, 300)
			for i := range rec {
				rec[i] = byte(i * 7)
			}
			for range cap(done) {
				x := s.NewBatch()
				for range per {
					x.Add(0, rec, false)
				}
				done <- x
			}
			start, cpu := time.Now(), cpuTime()
			b.ReportAllocs()
			n := 0
			sent, waits := map[*Batch]time.Time{}, []time.Duration(nil)
			for b.Loop() {
				x := <-done
				now := time.Now()
				if at, ok := sent[x]; ok {
					waits = append(waits, now.Sub(at))
				}
				sent[x] = now
				if x.Err != nil || !s.Submit(x, done) {
					b.Fatal("refused", x.Err, s.State())
				}
				n += per
			}
			b.ReportMetric(float64(n)/time.Since(start).Seconds(), "records/s")
			b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(n), "cpu-ns/record")
			slices.Sort(waits)
			if len(waits) > 100 {
				b.ReportMetric(waits[len(waits)/2].Seconds()*1e3, "p50-ms")
				b.ReportMetric(waits[len(waits)*99/100].Seconds()*1e3, "p99-ms")
			}
			st := s.Stats()
			b.ReportMetric(float64(st.Records)/float64(st.Commits), "records/commit")
			require.NoError(b, s.Close())
		})
	}
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
