package lanes

import (
	"crypto/md5"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// both runs a test with and without the kernel of this processor.
func both(t *testing.T, f func(t *testing.T, run func(*Batch))) {
	t.Run("crypto/md5", func(t *testing.T) {
		f(t, func(b *Batch) { b.runPlain(); b.n, b.jobs = 0, b.jobs[:0] })
	})
	if kernel {
		t.Run("kernel", func(t *testing.T) { f(t, (*Batch).Run) })
	}
}

// Every length up to beyond two blocks, in batches of every size, with and
// without a block before.
func TestSumsAreMD5(t *testing.T) {
	both(t, func(t *testing.T, run func(*Batch)) {
		r := rand.New(rand.NewPCG(1, 2))
		var first [64]byte
		for i := range first {
			first[i] = byte(r.Uint32())
		}
		after := After(&first)
		b := New(128, 128*300)
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
			run(b)
			for i := range want {
				assert.Equal(t, want[i], *b.Sum(i), "message %d of %d", i, many)
			}
		}
	})
}

func TestEveryLength(t *testing.T) {
	both(t, func(t *testing.T, run func(*Batch)) {
		b := New(4, 8192)
		msg := make([]byte, 4096+64)
		for i := range msg {
			msg[i] = byte(i * 7)
		}
		for n := range msg {
			b.Reset()
			b.Begin(Fresh, n)
			b.Write(msg[:n])
			i := b.End()
			run(b)
			assert.Equal(t, md5.Sum(msg[:n]), *b.Sum(i), "%d octets", n)
		}
	})
}

// A full arena costs a run in between, a message that is larger a new arena.
func TestFullArena(t *testing.T) {
	b := New(20, 256)
	msg := make([]byte, 1000)
	for i := range 20 {
		n := 90 + i*40
		b.Begin(Fresh, n)
		b.Write(msg[:n])
		assert.Equal(t, i, b.End())
	}
	assert.Zero(t, b.Room())
	b.Run()
	for i := range 20 {
		assert.Equal(t, md5.Sum(msg[:90+i*40]), *b.Sum(i))
	}
}

func TestAllocsBatch(t *testing.T) {
	b := New(64, 64*300)
	msg := make([]byte, 250)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		b.Reset()
		for range 64 {
			b.Begin(Fresh, len(msg))
			b.Write(msg)
			b.End()
		}
		b.Run()
	}))
}

func FuzzSums(f *testing.F) {
	f.Add([]byte("abc"), uint8(3), uint8(1))
	f.Add(make([]byte, 300), uint8(40), uint8(17))
	f.Fuzz(func(t *testing.T, data []byte, many, step uint8) {
		b := New(256, 1<<14)
		var want [][16]byte
		for i := range int(many) {
			msg := data[min(len(data), i*int(step)):]
			msg = msg[:min(len(msg), 5000)]
			b.Begin(Fresh, len(msg))
			b.Write(msg)
			b.End()
			want = append(want, md5.Sum(msg))
		}
		b.Run()
		for i := range want {
			if *b.Sum(i) != want[i] {
				t.Fatalf("message %d of %d octets: %x, want %x", i, len(data), *b.Sum(i), want[i])
			}
		}
	})
}

// BenchmarkBatch is 48 messages as an HMAC over a request has them.
func BenchmarkBatch(b *testing.B) {
	for _, many := range []int{1, 4, 16, 48} {
		for name, run := range map[string]func(*Batch){"crypto-md5": (*Batch).runPlain, "run": (*Batch).Run} {
			b.Run(name+"/"+string(rune('0'+many/10))+string(rune('0'+many%10)), func(b *testing.B) {
				x := New(64, 64*300)
				msg := make([]byte, 230)
				b.ReportAllocs()
				for b.Loop() {
					x.Reset()
					for range many {
						x.Begin(Fresh, len(msg))
						x.Write(msg)
						x.End()
					}
					run(x)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*many), "ns/message")
			})
		}
	}
}
