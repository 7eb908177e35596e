package loop

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

const (
	nas   = uint32(0x10000001)
	proxy = uint32(0x20000002)
	third = uint32(0x30000003)
	ms    = int64(time.Millisecond)
	hour  = int64(time.Hour)
)

// arrival is a request of one print, and whether it is taken for a loop.
type arrival struct {
	client uint32
	states int
	after  int64 // ns since the one before
	loop   bool
}

func TestSeen(t *testing.T) {
	sec := int64(time.Second)
	for _, tt := range []struct {
		name string
		all  []arrival
	}{
		{"one", []arrival{{nas, 0, 0, false}}},
		{"asked again under other identifiers", []arrival{{nas, 0, 0, false}, {nas, 0, ms, false}, {nas, 0, ms, false}, {nas, 0, ms, false}}},
		{"over two proxies at once", []arrival{{nas, 1, 0, false}, {proxy, 1, 0, false}}},
		{"over two ways of unlike length", []arrival{{nas, 0, 0, false}, {proxy, 1, ms, false}}},
		{"over three proxies at once", []arrival{{nas, 1, 0, false}, {proxy, 1, 0, false}, {third, 1, 0, false}}},
		{"over two proxies by turns", []arrival{{nas, 1, 0, false}, {proxy, 1, 2 * sec, false}, {nas, 1, 2 * sec, false}, {proxy, 1, 2 * sec, false}}},
		{"given up for another proxy, which asks again", []arrival{{nas, 1, 0, false}, {proxy, 1, 3 * sec, false}, {proxy, 1, 2 * sec, false}}},
		{"back with more Proxy-States", []arrival{{nas, 0, 0, false}, {proxy, 2, 10 * ms, true}}},
		{"back with many more", []arrival{{nas, 0, 0, false}, {proxy, 200, 10 * ms, true}}},
		{"back without ours, twice", []arrival{{nas, 0, 0, false}, {proxy, 1, 10 * ms, false}, {proxy, 1, 10 * ms, true}, {proxy, 1, 10 * ms, true}}},
		{"back with fewer, twice", []arrival{{nas, 3, 0, false}, {proxy, 1, 10 * ms, false}, {proxy, 1, 10 * ms, true}}},
		{"long after", []arrival{{nas, 0, 0, false}, {proxy, 9, 3 * int64(time.Minute), false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, now := New(16), hour
			for i, a := range tt.all {
				now += a.after
				home, loop := table.Seen(7, a.client, a.states, now)
				assert.Equal(t, a.loop, loop, "arrival %d", i+1)
				if loop {
					assert.EqualValues(t, 42, home)
					continue
				}
				assert.Equal(t, i == 0 || a.after > int64(old), table.Put(7, a.client, 42, a.states, now), "arrival %d", i+1)
			}
		})
	}
}

func TestMoveAndDrop(t *testing.T) {
	table := New(16)
	assert.True(t, table.Put(8, nas, 1, 0, hour))
	table.Move(8, 2, hour)
	home, loop := table.Seen(8, proxy, 2, hour)
	assert.True(t, loop)
	assert.EqualValues(t, 2, home)
	table.Drop(8, hour)
	_, loop = table.Seen(8, proxy, 2, hour)
	assert.False(t, loop, "nothing is in flight")
	table.Move(8, 3, hour)
	table.Drop(8, hour)
	assert.True(t, table.Put(8, proxy, 1, 0, hour))
}

// The clock of the hub counts from its start, and the ticks wrap.
func TestTicksWrap(t *testing.T) {
	table := New(4)
	now := int64(1)<<(tickBits+tickShift) - ms
	table.Put(9, nas, 1, 0, now)
	_, loop := table.Seen(9, proxy, 2, now+10*ms)
	assert.True(t, loop, "over the wrap")
	_, loop = table.Seen(9, proxy, 2, now-10*ms)
	assert.True(t, loop, "from a shard whose clock is behind")
}

// Whatever is put in, the newest of a row is found, and nothing that was not put.
func TestRowsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, now := New(rapid.IntRange(1, 64).Draw(t, "size")), hour
		put := map[uint64]bool{}
		for range rapid.IntRange(1, 200).Draw(t, "puts") {
			print := rapid.Uint64().Draw(t, "print")
			now += ms * 2
			table.Put(print, nas, 5, 0, now)
			put[print|1] = true
			home, loop := table.Seen(print, proxy, 2, now)
			if !loop || home != 5 {
				t.Fatalf("print %x is gone at once", print)
			}
		}
		stranger := rapid.Uint64().Draw(t, "stranger")
		if _, loop := table.Seen(stranger, proxy, 9, now); loop && !put[stranger|1] {
			t.Fatalf("print %x was never put in", stranger)
		}
	})
}

// Shards write one entry at once: what is read is whole, or nothing.
func TestTogether(t *testing.T) {
	table := New(2)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range 20000 {
				print := uint64(r.IntN(3))<<1 + 100
				home := int32(print)
				switch r.IntN(4) {
				case 0:
					table.Put(print, nas, home, 0, hour)
				case 1:
					table.Drop(print, hour)
				case 2:
					table.Move(print, home, hour)
				default:
					if got, loop := table.Seen(print, proxy, 2, hour); loop && got != home {
						t.Errorf("print %d was sent to home %d", print, got)
						return
					}
				}
			}
		})
	}
	all.Wait()
}

func TestAllocs(t *testing.T) {
	table := New(1024)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		table.Put(77, nas, 1, 0, hour)
		table.Move(77, 2, hour)
		table.Seen(77, proxy, 1, hour)
		table.Drop(77, hour)
	}))
}

func BenchmarkHotPutDrop(b *testing.B) {
	table := New(1 << 16)
	b.ReportAllocs()
	for print := uint64(1); b.Loop(); print += 0x9e3779b97f4a7c15 {
		table.Put(print, nas, 1, 0, hour)
		table.Drop(print, hour)
	}
}
