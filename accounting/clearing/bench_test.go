package clearing

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/test/peer"
)

// BenchmarkTake takes batches of 512 reports, each of new sessions: of Stops
// alone, and of a Start and the Stop of each. cpu-µs/report is that of this
// process: of PostgreSQL the server has its own.
func BenchmarkTake(b *testing.B) {
	b.Run("embedded", func(b *testing.B) { benchTake(b, onDisk) })
	b.Run("postgres", func(b *testing.B) { benchTake(b, inPostgres(peer.StartPostgres(b))) })
}

func benchTake(b *testing.B, make placeMaker) {
	for _, kinds := range []string{"stops", "starts and stops"} {
		b.Run(kinds, func(b *testing.B) {
			t := newBench(b, make)
			h := newHub(b, "hub-1")
			made := 0
			next := func() *queue.Delivery {
				var ps []packet
				for len(ps) < 512 {
					l := life(fmt.Sprintf("s%d", made), noon.Add(time.Duration(made)*time.Millisecond).Truncate(time.Second))
					made++
					if kinds != "stops" {
						ps = append(ps, l[0])
					}
					ps = append(ps, l[2])
				}
				return h.batch(ps...)
			}
			var wall, cpu time.Duration
			reports := 0
			for b.Loop() {
				b.StopTimer()
				d := next()
				b.StartTimer()
				start, used := time.Now(), processTime(b)
				_, err := t.s.Take(ctx, d)
				wall, cpu = wall+time.Since(start), cpu+processTime(b)-used
				require.NoError(b, err)
				reports += d.N
			}
			b.ReportMetric(float64(reports)/wall.Seconds(), "reports/s")
			b.ReportMetric(float64(cpu.Microseconds())/float64(reports), "cpu-µs/report")
		})
	}
}

// processTime is the processor time this process has used.
func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSweep looks for what is old in a store of 51,200 sessions in which
// nothing is.
func BenchmarkSweep(b *testing.B) {
	t := newBench(b, onDisk)
	h := newHub(b, "hub-1")
	for i := range 100 {
		ps := make([]packet, 512)
		for j := range ps {
			ps[j] = life(fmt.Sprintf("%d-%d", i, j), noon)[2]
		}
		t.take(h.batch(ps...))
	}
	used := processTime(b)
	for b.Loop() {
		_, err := t.s.Sweep(ctx, noon.Add(2*time.Hour))
		require.NoError(b, err)
	}
	b.ReportMetric(float64((processTime(b)-used).Microseconds())/float64(b.N), "cpu-µs/sweep")
}
