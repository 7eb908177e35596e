package queue

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
)

// typical makes a stop as a hotspot sends it, about 300 octets as stored.
func typical(n int) []byte {
	raw := make([]byte, 20)
	raw[0] = 4
	text := func(code byte, v string) { raw = append(append(raw, code, byte(2+len(v))), v...) }
	number := func(code byte, v int) { raw = binary.BigEndian.AppendUint32(append(raw, code, 6), uint32(v)) }
	number(40, int(accounting.Stop))
	text(44, fmt.Sprintf("5F3A%08X", n))
	text(50, fmt.Sprintf("9C%010X", n))
	text(1, "0234150999999999@wlan.mnc015.mcc234.3gppnetwork.org")
	text(31, fmt.Sprintf("02-00-%02X-%02X-%02X-01", n>>16&255, n>>8&255, n&255))
	text(30, "AA-BB-CC-DD-EE-FF:OpenRoaming")
	text(25, "c0ffee0123456789")
	text(32, "hotspot-0042")
	raw = append(raw, 4, 6, 192, 0, 2, 1)
	number(42, 123456789)
	number(43, 987654321)
	number(46, 3600)
	number(49, 1)
	number(55, 1_763_755_000)
	number(61, 19)
	binary.BigEndian.PutUint16(raw[2:], uint16(len(raw)))
	var e accounting.Event
	accounting.Classify(&e, raw, 1)
	h := accounting.Header{Time: 1_763_755_000e9 + int64(n), Client: "hotspots", Realm: "wlan.mnc015.mcc234.3gppnetwork.org", Route: "home"}
	h.SetEvent(&e)
	return accounting.AppendRecord(nil, &h, raw)
}

// BenchmarkDrain (acceptance row 8) empties a filled spool. CPU is that of
// this process: with NATS and Kafka the servers are in it, Redis is another.
// Give it many records: -benchtime 300000x.
func BenchmarkDrain(b *testing.B) {
	redisWith := func(fsync string) func(testing.TB, uint64) Sink {
		return func(t testing.TB, epoch uint64) Sink {
			return newSink(t, startRedis(t, "--appendfsync", fsync), epoch)
		}
	}
	natsWith := func(n int, sync bool) func(testing.TB, uint64) Sink {
		return func(t testing.TB, epoch uint64) Sink { return startNATS(t, n, sync).sink(epoch) }
	}
	for _, tt := range []struct {
		name string
		open func(testing.TB, uint64) Sink
	}{
		{"nowhere", func(testing.TB, uint64) Sink { return NewInProcess(nil) }},
		{"redis/everysec", redisWith("everysec")},
		{"redis/always", redisWith("always")},
		{"nats/r1", natsWith(1, false)},
		{"nats/r1/sync", natsWith(1, true)},
		{"nats/r3/sync", natsWith(3, true)},
		{"kafka", func(t testing.TB, epoch uint64) Sink { return startKafka(t).sink(epoch) }},
	} {
		for _, encoders := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/encoders=%d", tt.name, encoders), func(b *testing.B) {
				s := openSpool(b, vfs.NewMem())
				defer func() { _ = s.Close() }()
				group := make([][]byte, 0, 512)
				for i := range b.N {
					if group = append(group, typical(i)); len(group) == cap(group) || i == b.N-1 {
						put(b, s, group...)
						group = group[:0]
					}
				}
				o := testOptions()
				o.MaxRecords, o.Encoders = 0, encoders
				o.NewView = func() *accounting.View {
					return &accounting.View{Hasher: accounting.NewHasher([]byte("key"))}
				}
				sink := tt.open(b, s.Epoch())
				b.ResetTimer()
				used, start := cpu(b), time.Now()
				d, stop := drain(b, s, sink, o)
				require.Eventually(b, func() bool { return d.Stats().Cursor.Load() == s.Last() }, 5*time.Minute, waitShort)
				b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "records/s")
				b.ReportMetric(float64(cpu(b)-used)/float64(b.N)/1e3, "cpu-µs/record")
				b.StopTimer()
				stop()
			})
		}
	}
}

// cpu is what this process has used.
func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
