package accounting

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkReplay is what a restart pays per retained record.
func BenchmarkReplay(b *testing.B) {
	_, rec := fullRecord(packet(stop()...))
	ev := NewEvents(1<<20, 0)
	rng := rand.NewChaCha8([32]byte{})
	n := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		_, _ = rng.Read(rec[offKey : offKey+16])
		if err := ev.Replay(n, rec); err != nil {
			b.Fatal(err)
		}
	}
}
