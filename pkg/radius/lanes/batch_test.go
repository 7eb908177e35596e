package lanes

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// all are the ways to hash that this processor has. The kernels take every
// group, as few messages as it may have, but for the way that New takes.
func all() []kernel {
	choice := best
	choice.name = "best"
	k := []kernel{single, choice}
	for _, k1 := range kernels {
		k1.least = 1
		k = append(k, k1)
	}
	return k
}

func each(t *testing.T, f func(t *testing.T, k kernel)) {
	for _, k := range all() {
		t.Run(k.name, func(t *testing.T) { f(t, k) })
	}
}

// Batches of every size, of messages of many lengths, with and without a
// block before.
func TestSumsAreMD5(t *testing.T) {
	each(t, func(t *testing.T, k kernel) {
		r := rand.New(rand.NewPCG(1, 2))
		var first [64]byte
		for i := range first {
			first[i] = byte(r.Uint32())
		}
		after := After(&first)
		b := newBatch(k, 128, 128*300)
		for many := 1; many <= 70; many++ {
			b.Reset()
			var want [][16]byte
			for range many {
				msg := make([]byte, r.IntN(300))
				for i := range msg {
					msg[i] = byte(r.Uint32())
				}
				from, whole := Fresh, msg
				if r.IntN(2) == 1 {
					from, whole = after, append(first[:len(first):len(first)], msg...)
				}
				b.Begin(from, len(msg))
				cut := r.IntN(len(msg) + 1)
				b.Write(msg[:cut])
				b.Write(msg[cut:])
				assert.Equal(t, len(want), b.End())
				want = append(want, md5.Sum(whole))
			}
			b.Run()
			for i := range want {
				require.Equal(t, want[i], *b.Sum(i), "message %d of %d", i, many)
			}
		}
	})
}

// More blocks than are told apart among them.
func TestEveryLength(t *testing.T) {
	each(t, func(t *testing.T, k kernel) {
		b := newBatch(k, 4, 8192)
		msg := make([]byte, blockSize*(lengths+2))
		for i := range msg {
			msg[i] = byte(i * 7)
		}
		for n := range msg {
			b.Reset()
			b.Begin(Fresh, n)
			b.Write(msg[:n])
			i := b.End()
			b.Run()
			require.Equal(t, md5.Sum(msg[:n]), *b.Sum(i), "%d octets", n)
		}
	})
}

// A message in one lane changes no other, whichever lanes are taken, and
// however much longer the others are.
func TestLanesAreApart(t *testing.T) {
	each(t, func(t *testing.T, k kernel) {
		const most = 12 * blockSize
		msg := make([]byte, width*most)
		r := rand.New(rand.NewPCG(3, 4))
		for i := range msg {
			msg[i] = byte(r.Uint32())
		}
		for many := 1; many <= width; many++ {
			for long := range many {
				b := newBatch(k, many, many*most)
				for i := range many {
					n := i
					if i == long {
						n = most - i
					}
					b.Begin(Fresh, n)
					b.Write(msg[i*most:][:n])
					b.End()
				}
				b.Run()
				for i := range many {
					n := i
					if i == long {
						n = most - i
					}
					require.Equal(t, md5.Sum(msg[i*most:][:n]), *b.Sum(i), "message %d of %d, %d is long", i, many, long)
				}
			}
		}
	})
}

// Whoever adds between two Runs finds the sums of the first where they were.
func TestSumsStay(t *testing.T) {
	each(t, func(t *testing.T, k kernel) {
		b := newBatch(k, 40, 40*100)
		for i := range 40 {
			b.Begin(Fresh, 100)
			b.Write([]byte{byte(i)})
			b.End()
			if i%3 == 0 {
				b.Run()
			}
		}
		b.Run()
		for i := range 40 {
			require.Equal(t, md5.Sum([]byte{byte(i)}), *b.Sum(i), "message %d", i)
		}
	})
}

// A full arena costs a run in between, a message that is larger a new arena.
func TestFullArena(t *testing.T) {
	each(t, func(t *testing.T, k kernel) {
		b := newBatch(k, 20, 256)
		msg := make([]byte, 1000)
		for i := range 20 {
			n := 90 + i*40
			b.Begin(Fresh, n)
			b.Write(msg[:n])
			assert.Equal(t, i, b.End())
		}
		assert.Zero(t, b.Room())
		assert.Equal(t, 20, b.Len())
		b.Run()
		for i := range 20 {
			require.Equal(t, md5.Sum(msg[:90+i*40]), *b.Sum(i))
		}
		assert.Panics(t, func() { b.Begin(Fresh, 1) }, "a message more than New was told")
	})
}

// What Reset forgets is not hashed.
func TestReset(t *testing.T) {
	each(t, func(t *testing.T, k kernel) {
		b := newBatch(k, 4, 400)
		for range 4 {
			b.Begin(Fresh, 90)
			b.Write(make([]byte, 90))
			b.End()
		}
		b.Reset()
		assert.Zero(t, b.Len())
		b.Begin(Fresh, 3)
		b.Write([]byte("abc"))
		i := b.End()
		b.Run()
		assert.Zero(t, i)
		require.Equal(t, md5.Sum([]byte("abc")), *b.Sum(i))
	})
}

func TestAllocsBatch(t *testing.T) {
	each(t, func(t *testing.T, k kernel) {
		b := newBatch(k, 64, 64*300)
		msgs := messages(63, 0)
		allocs := testing.AllocsPerRun(100, func() { fill(b, msgs); b.Run() })
		assert.True(t, raced || allocs == 0, "%v allocations", allocs)
	})
}

// messages are so many of so many octets each; 0: of 16 to 240, mixed, as the
// two halves of the HMACs of requests and answers are.
func messages(many, octets int) [][]byte {
	msgs := make([][]byte, many)
	for i := range msgs {
		n := octets
		if n == 0 {
			n = 16 + i*97%225
		}
		msgs[i] = make([]byte, n)
	}
	return msgs
}

func fill(b *Batch, msgs [][]byte) {
	b.Reset()
	for _, msg := range msgs {
		b.Begin(Fresh, len(msg))
		b.Write(msg)
		b.End()
	}
}

func FuzzSums(f *testing.F) {
	f.Add([]byte("abc"), uint8(3), uint8(1))
	f.Add(make([]byte, 300), uint8(40), uint8(17))
	f.Fuzz(func(t *testing.T, data []byte, many, step uint8) {
		for _, k := range all() {
			b := newBatch(k, 256, 1<<14)
			var want [][16]byte
			for i := range int(many) {
				msg := data[min(len(data), i*int(step)):]
				msg = msg[:min(len(msg), 6000)]
				b.Begin(Fresh, len(msg))
				b.Write(msg)
				b.End()
				want = append(want, md5.Sum(msg))
			}
			b.Run()
			for i := range want {
				if *b.Sum(i) != want[i] {
					t.Fatalf("%s: message %d of %d octets: %x, want %x", k.name, i, len(data), *b.Sum(i), want[i])
				}
			}
		}
	})
}

// BenchmarkBatch is what the authenticators of a batch of packets cost, with the
// copy into the arena, BenchmarkCopy that copy alone.
func BenchmarkBatch(b *testing.B) {
	for _, k := range all() {
		bench(b, k.name+"/", func(many, octets int) func() {
			x := newBatch(k, 64, 64*300)
			msgs := messages(many, octets)
			return func() { fill(x, msgs); x.Run() }
		})
	}
}

func BenchmarkCopy(b *testing.B) {
	bench(b, "", func(many, octets int) func() {
		x := newBatch(single, 64, 64*300)
		msgs := messages(many, octets)
		return func() { fill(x, msgs) }
	})
}

func bench(b *testing.B, name string, of func(many, octets int) func()) {
	for _, octets := range []int{16, 90, 230, 0} {
		for _, many := range []int{1, 2, 4, 8, 16, 48, 64} {
			b.Run(fmt.Sprintf("%s%d/%d", name, octets, many), func(b *testing.B) {
				work := of(many, octets)
				b.ReportAllocs()
				for b.Loop() {
					work()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*many), "ns/message")
			})
		}
	}
}
