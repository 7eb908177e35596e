package device

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// manyKeys gives the key of the i-th of many devices.
func manyKeys(h hasher) func(i int) (k0, k1 uint64) {
	return func(i int) (uint64, uint64) {
		ident := []byte("imsi:262010000000000")
		for at := len(ident) - 1; i > 0; at, i = at-1, i/10 {
			ident[at] = byte('0' + i%10)
		}
		return h.sum(ident).words()
	}
}

// TestTenMillionDevices fills a table to the size the hub is made for; with
// the race detector to few of them. It bounds what the table holds and what it
// takes while it grows.
func TestTenMillionDevices(t *testing.T) {
	n := 10_000_000
	if raced {
		n = 150_000
	}
	var before, filled, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	d, key := newDevices(16<<20), manyKeys(hasher{1, 2})
	began := time.Now()
	for i := range n {
		k0, k1 := key(i)
		d.put(k0, k1, &ref{profile: uint32(i % 1000), version: uint32(i), soft: never, hard: never}, 0)
	}
	fill := time.Since(began)
	runtime.ReadMemStats(&filled)
	runtime.GC()
	began = time.Now()
	runtime.GC()
	collect := time.Since(began)
	runtime.ReadMemStats(&after)

	began = time.Now()
	asked := 0
	for i := 0; i < n; i += 17 {
		j := i * 7919 % n
		k0, k1 := key(j)
		r, _, _, ok := d.find(k0, k1)
		require.True(t, ok)
		require.EqualValues(t, j, r.version)
		asked++
	}
	hit := time.Since(began) / time.Duration(asked)
	for i := range n / 100 {
		k0, k1 := key(n + i)
		_, _, _, ok := d.find(k0, k1)
		require.False(t, ok)
	}

	per := func(x uint64) float64 { return float64(x) / float64(n) }
	live, from := per(after.HeapAlloc-before.HeapAlloc), per(filled.HeapSys-filled.HeapReleased-before.HeapInuse)
	t.Logf("%d devices, filled in %s; a device: %.1f octets kept, %.1f of the system's while it grew; find with its hash %s, full collection %s",
		n, fill.Round(time.Millisecond), live, from, hit, collect.Round(10*time.Microsecond))
	assert.EqualValues(t, n, d.entries.Load())
	assert.Zero(t, d.evicted.Load())
	assert.Less(t, live, 107.0)
	if !raced { // few devices are less than what else is in the heap
		assert.Less(t, from, 1.1*(1<<30)/1e7)
	}
}

func BenchmarkTenMillion(b *testing.B) {
	const n = 10_000_000
	d, key := newDevices(16<<20), manyKeys(hasher{1, 2})
	for i := range n {
		k0, k1 := key(i)
		d.put(k0, k1, &ref{profile: 1, soft: never, hard: never}, 0)
	}
	for _, bc := range []struct {
		name  string
		first int
	}{{"hit", 0}, {"miss", n}} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			x := uint32(1)
			for b.Loop() {
				x = x*1664525 + 1013904223
				k0, k1 := key(bc.first + int(uint64(x)*n>>32))
				if _, _, _, ok := d.find(k0, k1); ok == (bc.first > 0) {
					b.Fatal(x)
				}
			}
		})
	}
	b.Run("hash", func(b *testing.B) {
		x, sum := uint32(1), uint64(0)
		for b.Loop() {
			x = x*1664525 + 1013904223
			k0, _ := key(int(uint64(x) * n >> 32))
			sum += k0
		}
	})
	b.Run("collect", func(b *testing.B) {
		for b.Loop() {
			runtime.GC()
		}
		runtime.KeepAlive(d)
	})
}
