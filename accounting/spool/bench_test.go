package spool

import (
	"fmt"
	"math/rand/v2"
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

// taker is what the benchmarks fill: the spool, or what it is held against.
type taker interface {
	Submit(b *Batch, done Done) bool
	Close() error
}

// takers are opened on a real disk.
var takers = []struct {
	name string
	open func(dir string) (taker, error)
}{
	{"segment", func(dir string) (taker, error) { return openSegment(dir) }},
	{"spool", func(dir string) (taker, error) {
		o := testOptions(nil)
		o.MinFree, o.Retain, o.Seal = 0, 1000, 0
		return Open(dir, o)
	}},
}

// load is what one taker did in one turn.
type load struct {
	rate, cpu, p50, p99 float64 // records/s, µs/record, ms, ms
}

// keepFull keeps 1024 records of 300 octets in flight, in batches of per, for
// the given time. A batch is answered to the goroutine that fills all: what
// 1024 goroutines would cost is not in the figures.
func keepFull(b *testing.B, s taker, per int, during time.Duration) load {
	const flight = 1024
	done := make(collector, flight/per)
	rec, rng := make([]byte, 300), rand.NewChaCha8([32]byte{})
	for range cap(done) {
		x := new(Batch)
		for range per {
			// Authenticators, hashes and counters do not compress, the rest does.
			_, _ = rng.Read(rec[:100])
			x.Add(0, rec, false)
		}
		done <- x
	}
	start, cpu := time.Now(), cpuTime()
	sent, waits, n := map[*Batch]time.Time{}, make([]time.Duration, 0, 1<<20), 0
	now := start
	for now.Sub(start) < during {
		x := <-done
		now = time.Now()
		if at, ok := sent[x]; ok {
			waits = append(waits, now.Sub(at))
			n += per
		}
		sent[x] = now
		if x.Err != nil || !s.Submit(x, done) {
			b.Fatal("refused", x.Err)
		}
	}
	for range cap(done) {
		<-done
		n += per
	}
	slices.Sort(waits)
	return load{
		rate: float64(n) / time.Since(start).Seconds(),
		cpu:  float64((cpuTime() - cpu).Nanoseconds()) / 1e3 / float64(n),
		p50:  waits[len(waits)/2].Seconds() * 1e3,
		p99:  waits[len(waits)*99/100].Seconds() * 1e3,
	}
}

// BenchmarkCommit (acceptance row 1) lets the spool and a bare segment file
// take turns of two seconds, so that both see the same neighbours, and reports
// the median turn of each. The segment's rate says whether the machine is
// quiet enough for the spool's to mean anything: it should be 700,000 and not
// vary.
// Run it as: go test -run '^$' -bench Commit -benchtime 5x ./accounting/spool
func BenchmarkCommit(b *testing.B) {
	for _, per := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("batch=%d", per), func(b *testing.B) {
			got := map[string][]load{}
			for range b.N {
				for _, t := range takers {
					s, err := t.open(b.TempDir())
					require.NoError(b, err)
					got[t.name] = append(got[t.name], keepFull(b, s, per, 2*time.Second))
					require.NoError(b, s.Close())
				}
			}
			b.ReportMetric(0, "ns/op")
			for _, t := range takers {
				report(b, t.name, got[t.name])
			}
		})
	}
}

// report gives medians, and how far the turns were apart.
func report(b *testing.B, name string, turns []load) {
	median := func(f func(load) float64) float64 {
		v := make([]float64, 0, len(turns))
		for _, t := range turns {
			v = append(v, f(t))
		}
		slices.Sort(v)
		if name := name + "-min-records/s"; v[0] > 1000 {
			b.ReportMetric(v[0], name)
		}
		return v[len(v)/2]
	}
	b.ReportMetric(median(func(l load) float64 { return l.cpu }), name+"-cpu-us/record")
	b.ReportMetric(median(func(l load) float64 { return l.p50 }), name+"-p50-ms")
	b.ReportMetric(median(func(l load) float64 { return l.p99 }), name+"-p99-ms")
	b.ReportMetric(median(func(l load) float64 { return l.rate }), name+"-records/s")
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
