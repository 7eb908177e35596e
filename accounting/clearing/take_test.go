package clearing

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/accounting/usage"
)

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {Directory: "a", PostgreSQL: "b"}} {
		_, err := Open(ctx, o)
		require.Error(t, err)
	}
	_, err := Open(ctx, Options{PostgreSQL: "postgres://u:secret@:nonsense:"})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
}

// lives are n sessions of hub h in batches of a few packets.
func lives(h *hub, n, each int) (ds []*queue.Delivery) {
	var all []packet
	for i := range n {
		all = append(all, life(fmt.Sprintf("s%d", i), noon.Add(time.Duration(i)*time.Minute))...)
	}
	for ps := range slices.Chunk(all, each) {
		ds = append(ds, h.batch(ps...))
	}
	return ds
}

// wantLives is what n lives come to.
func wantLives(n int64) usageOf {
	return usageOf{records: n, in: n * 1_000_000, out: n * 9_000_000, seconds: n * 3600}
}

func testRepetition(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	ds := lives(newHub(t, "hub-1"), 20, 7)
	last := ds[len(ds)-1].Last
	assert.Equal(t, last, b.take(ds...))
	want := b.records(Filter{})
	for range 3 {
		assert.Equal(t, last, b.take(ds...))
	}
	b.reopen()
	assert.Equal(t, last, b.take(ds[0]), "also of a repetition the watermark is that of the store")
	assert.Equal(t, want, b.records(Filter{}))
	assert.Equal(t, wantLives(20), b.usage())
	assert.Equal(t, map[usage.Class]int64{usage.Cleared: 60}, b.classes())
	st := b.stats()
	assert.Equal(t, int64(60), st.Reports)
	assert.Equal(t, int64(20), st.Records[usage.Final])
	assert.Equal(t, uint64(20), st.Order)
	assert.Zero(t, st.Open)
	assert.Zero(t, st.DeadLetters)
}

func testOrder(t *testing.T, make placeMaker) {
	for seed := range uint64(3) {
		b := newBench(t, make)
		ds := lives(newHub(t, "hub-1"), 20, 7)
		r := rand.New(rand.NewPCG(seed, 1))
		r.Shuffle(len(ds), func(i, j int) { ds[i], ds[j] = ds[j], ds[i] })
		taken := map[uint64]uint64{} // first to last
		for _, d := range ds {
			mark := b.take(d)
			taken[d.First] = d.Last
			want := uint64(0)
			for taken[want+1] != 0 {
				want = taken[want+1]
			}
			require.Equal(t, want, mark, "everything up to the watermark is stored, and no more")
			st, low, high, all := b.stats(), ds[0].First, uint64(0), uint64(0)
			for first, last := range taken {
				low, high, all = min(low, first), max(high, last), all+last-first+1
			}
			assert.Equal(t, high-low+1-all, st.Missing)
			assert.Equal(t, st.Missing > 0, st.Gaps > 0)
		}
		st := b.stats()
		assert.Zero(t, st.Missing)
		assert.Zero(t, st.Gaps)
		assert.Equal(t, wantLives(20), b.usage())
		assert.Equal(t, int64(60), st.Reports)
	}
}

func testFirstRecord(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	h := newHub(t, "hub-1")
	first, second, third := h.batch(life("a", noon)...), h.batch(life("b", noon)...), h.batch(life("c", noon)...)
	assert.Zero(t, b.take(second), "the first may be under way")
	assert.Zero(t, b.take(third))
	assert.Equal(t, uint64(9), b.take(first))

	old := newHub(t, "hub-2")
	old.next = 1000 // its first records went elsewhere
	one, two, three := old.batch(life("d", noon)...), old.batch(life("e", noon)...), old.batch(life("f", noon)...)
	assert.Zero(t, b.take(one))
	b.clock.now = b.clock.now.Add(10 * time.Minute)
	assert.Equal(t, uint64(1005), b.take(two))
	assert.Equal(t, uint64(1008), b.take(three))

	b = newBench(t, make, func(o *Options) { o.Settle = -1 })
	assert.Equal(t, second.Last, b.take(second))
	assert.Equal(t, third.Last, b.take(third))
	assert.Equal(t, third.Last, b.take(first), "what comes late below is taken too")
}

// testFaults kills the store at every step of a transaction, once before and
// once by a panic, and gives it the batch again.
func testFaults(t *testing.T, make placeMaker) {
	steps := []string{"begin", "source", "claims", "sessions", "records", "sums", "letters", "commit", "committed"}
	want := newBench(t, make)
	want.take(lives(newHub(t, "hub-1"), 6, 7)...)
	errDies := errors.New("dies")
	for _, hard := range []bool{false, true} {
		at, hits := "", 0
		b := newBench(t, make, func(o *Options) {
			o.fault = func(step string) error {
				if step != at {
					return nil
				}
				hits++
				if hard {
					panic(errDies)
				}
				return errDies
			}
		})
		for i, d := range lives(newHub(t, "hub-1"), 6, 7) {
			for _, at = range append(steps[i%len(steps):], steps[:i%len(steps)]...) {
				before := b.stats().Reports
				err := dies(func() error { _, err := b.s.Take(ctx, d); return err })
				if at == "committed" || before != b.stats().Reports {
					at = ""
					break
				}
				require.ErrorIs(t, err, errDies, "at %s", at)
			}
			at = ""
			assert.Equal(t, d.Last, b.take(d))
		}
		assert.GreaterOrEqual(t, hits, len(steps))
		assert.Equal(t, want.records(Filter{}), b.records(Filter{}))
		assert.Equal(t, want.classes(), b.classes())
	}
}

// dies calls f, of which a panic is an error.
func dies(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
		}
	}()
	return f()
}

// testTwoHubs is a NAS that sends 30 % of its packets again, with another
// Acct-Delay-Time and to the other hub.
func testTwoHubs(t *testing.T, make placeMaker) {
	const sessions = 60
	b := newBench(t, make)
	hubs := []*hub{newHub(t, "hub-1"), newHub(t, "hub-2")}
	r := rand.New(rand.NewPCG(7, 7))
	again := int64(0)
	var ds []*queue.Delivery
	for i := range sessions {
		for _, p := range life(fmt.Sprintf("s%d", i), noon.Add(time.Duration(i)*time.Minute)) {
			p.untimed = i%3 == 0
			one := r.IntN(2)
			ds = append(ds, hubs[one].batch(p))
			if r.IntN(10) < 3 {
				again++
				p.delay = 1 + r.Uint32N(5)
				after := time.Second
				if p.untimed { // event time is arrival less delay
					after += time.Duration(p.delay) * time.Second
				}
				ds = append(ds, hubs[1-one].late(after, p))
			}
		}
	}
	r.Shuffle(len(ds), func(i, j int) { ds[i], ds[j] = ds[j], ds[i] })
	b.take(ds...)
	assert.Equal(t, wantLives(sessions), b.usage())
	assert.Equal(t, map[usage.Class]int64{usage.Cleared: 3 * sessions, usage.Duplicate: again}, b.classes())
	assert.Equal(t, 3*sessions+again, b.stats().Reports)
}

func testContradiction(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	one, two := newHub(t, "hub-1"), newHub(t, "hub-2")
	ps := life("s", noon)
	b.take(one.batch(ps...))
	stop := ps[2]
	stop.in += 500
	b.take(two.batch(stop))
	u := b.usage()
	assert.Equal(t, int64(1_000_500), u.in, "the larger is cleared")
	assert.Equal(t, int64(9_000_000), u.out)
	assert.Equal(t, map[usage.Class]int64{usage.Cleared: 3, usage.Conflict: 1}, b.classes())

	// The same again is a duplicate, from whichever hub.
	b.take(one.batch(stop), two.batch(ps[2]))
	assert.Equal(t, int64(2), b.classes()[usage.Duplicate])
	// Nobody can make an event grow without end.
	for i := range uint32(20) {
		p := stop
		p.out += 1 + i
		b.take(one.batch(p))
	}
	got := b.classes()
	assert.Equal(t, int64(7), got[usage.Conflict])
	assert.Equal(t, int64(14), got[usage.Rejected])
	assert.Equal(t, int64(26), b.stats().Reports)
}

func testForeign(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	good := func() *queue.Delivery { return newHub(t, "hub-1").batch(life("s", noon)...) }
	tests := []struct {
		name  string
		spoil func(d *queue.Delivery)
		want  DeadReason
	}{
		{"of somebody else", func(d *queue.Delivery) { *d = queue.Delivery{Err: queue.ErrForeign, Data: []byte("hello\x00\xff")} }, DeadForeign},
		{"empty", func(d *queue.Delivery) { *d = queue.Delivery{} }, DeadBounds},
		{"no node", func(d *queue.Delivery) { d.Node = "" }, DeadBounds},
		{"a node that is no text", func(d *queue.Delivery) { d.Node = "a\x00b" }, DeadBounds},
		{"a node of no characters", func(d *queue.Delivery) { d.Node = "\xff\xfe" }, DeadBounds},
		{"unknown encoding", func(d *queue.Delivery) { d.Encoding = "cbor" }, DeadEncoding},
		{"backwards", func(d *queue.Delivery) { d.First, d.Last = d.Last, d.First }, DeadBounds},
		{"from nought", func(d *queue.Delivery) { d.First = 0 }, DeadBounds},
		{"beyond all numbers", func(d *queue.Delivery) { d.Last = 1 << 63 }, DeadBounds},
		{"an epoch beyond all numbers", func(d *queue.Delivery) { d.Epoch = 1 << 63 }, DeadBounds},
		{"more records than numbers", func(d *queue.Delivery) { d.Last = d.First }, DeadBounds},
		{"a negative count", func(d *queue.Delivery) { d.N = -1 }, DeadBounds},
		{"fewer lines", func(d *queue.Delivery) { d.N-- }, DeadCount},
		{"more lines", func(d *queue.Delivery) { d.Last++; d.N++ }, DeadCount},
		{"a line that is cut", func(d *queue.Delivery) { d.Data = d.Data[:len(d.Data)-5] }, DeadCount},
		{"lines of another stretch", func(d *queue.Delivery) { d.First += 10; d.Last += 10 }, DeadSequence},
		{"lines in another order", func(d *queue.Delivery) {
			h := newHub(t, "hub-1")
			a, _ := h.line(life("s", noon)[0], 0)
			c, _ := h.line(life("s", noon)[1], 0)
			d.N, d.Last, d.Data = 2, 2, slices.Concat(c, a)
		}, DeadSequence},
		{"a line twice", func(d *queue.Delivery) {
			d.Data = slices.Concat(d.Data, d.Data[:len(d.Data)/d.N+1])
		}, DeadCount},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(b.letters())
			d := good()
			tt.spoil(d)
			for range 2 {
				b.take(d) // confirmed: it must not stand in the way
			}
			ls := b.letters()
			require.Len(t, ls, before+1, "it is kept once")
			l := ls[before]
			assert.Equal(t, tt.want, l.Reason)
			assert.False(t, l.Line)
			assert.Equal(t, len(d.Data), len(l.Data))
			require.Error(t, b.s.Retry(ctx, l.Number), "it is not better now")
			require.Len(t, b.letters(), before+1)
		})
	}
	assert.Zero(t, b.stats().Reports)
	assert.Equal(t, int64(len(tests)), b.stats().DeadLetters)

	// A good batch is not stopped by any of these.
	b.take(good())
	assert.Equal(t, wantLives(1), b.usage())

	long := &queue.Delivery{Err: queue.ErrForeign, Data: bytes.Repeat([]byte{'x'}, 1<<20)}
	b.take(long)
	ls := b.letters()
	l := ls[len(ls)-1]
	assert.True(t, l.Cut)
	assert.Len(t, l.Data, 64<<10)
	for _, l := range ls {
		require.NoError(t, b.s.Drop(ctx, l.Number))
		require.ErrorIs(t, b.s.Drop(ctx, l.Number), ErrNoLetter)
	}
	assert.Empty(t, b.letters())
	assert.Zero(t, b.stats().DeadLetters)
	require.ErrorIs(t, b.s.Retry(ctx, 1), ErrNoLetter)
}

// testDeadLines has a batch from a hub that is newer than the store, and a
// store that is upgraded.
func testDeadLines(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	h := newHub(t, "hub-1")
	ps := life("s", noon)
	d := h.batch(slices.Concat(ps, life("other", noon))...)
	lines := slices.Collect(bytes.Lines(d.Data))
	b.s.o.parse = func(line []byte, r *usage.Report) error {
		if string(line)+"\n" == string(lines[2]) {
			return fmt.Errorf("version 2: %w", usage.ErrNewer)
		}
		return usage.ParseReport(line, r)
	}
	assert.Equal(t, d.Last, b.take(d), "the rest is taken, and nothing is lost")
	b.take(d)
	ls := b.letters()
	require.Len(t, ls, 1)
	assert.Equal(t, DeadNewer, ls[0].Reason)
	assert.True(t, ls[0].Line)
	assert.Equal(t, string(lines[2]), string(ls[0].Data)+"\n")
	assert.Equal(t, int64(1), b.classes()[usage.Rejected])
	assert.Equal(t, int64(6), b.stats().Reports)
	assert.Equal(t, wantLives(1), b.usage())
	require.ErrorContains(t, b.s.Retry(ctx, ls[0].Number), string(DeadNewer))

	b.reopen() // as a newer program
	b.s.o.parse = usage.ParseReport
	require.NoError(t, b.s.Retry(ctx, ls[0].Number))
	assert.Empty(t, b.letters())
	assert.Equal(t, wantLives(2), b.usage())
	assert.Equal(t, map[usage.Class]int64{usage.Cleared: 6}, b.classes())

	// Lines of nobody, and one in the wrong field.
	stop, _ := h.line(life("third", noon)[2], 0)
	odd := seal(&queue.Delivery{
		Node: h.node, Epoch: h.epoch, First: 7, Last: 10, N: 2, NQ: 1, Encoding: queue.Encoding,
		Data: []byte("{\"seq\":\n\xff\xfe\n"), Quarantined: stop,
	})
	assert.Equal(t, uint64(10), b.take(odd))
	ls = b.letters()
	require.Len(t, ls, 3)
	assert.Equal(t, []DeadReason{DeadUnreadable, DeadUnreadable, DeadMisplaced}, []DeadReason{ls[0].Reason, ls[1].Reason, ls[2].Reason})
	for _, l := range ls {
		require.Error(t, b.s.Retry(ctx, l.Number))
	}
	assert.Equal(t, wantLives(2), b.usage())
	assert.Equal(t, int64(9), b.stats().Reports)
}

func testConflict(t *testing.T, make placeMaker) {
	for _, way := range []string{"retried", "dropped"} {
		t.Run(way, func(t *testing.T) {
			b := newBench(t, make)
			h := newHub(t, "hub-1")
			b.take(h.batch(life("a", noon)...), h.batch(life("b", noon)...))

			// The same hub, set back to record 3, goes on with other records.
			back := newHub(t, "hub-1")
			back.next = 4
			same := back.batch(life("c", noon)...)
			back.next = 6
			overlaps := back.batch(life("d", noon)...)
			for range 2 {
				for _, d := range []*queue.Delivery{same, overlaps} {
					_, err := b.s.Take(ctx, d)
					var conflict *ConflictError
					require.ErrorAs(t, err, &conflict)
					require.ErrorIs(t, err, queue.ErrConflict)
					assert.Equal(t, d.First, conflict.First)
					assert.Equal(t, uint64(6), conflict.TakenLast)
					assert.ErrorContains(t, err, "hub-1")
				}
			}
			ls := b.letters()
			require.Len(t, ls, 2)
			assert.Equal(t, wantLives(2), b.usage())
			for _, l := range ls {
				assert.Equal(t, DeadConflict, l.Reason)
				if way == "dropped" {
					require.NoError(t, b.s.Drop(ctx, l.Number))
				} else {
					require.NoError(t, b.s.Retry(ctx, l.Number))
				}
			}
			want := wantLives(2)
			if way == "retried" {
				want = wantLives(4)
			}
			assert.Equal(t, want, b.usage())
			assert.Equal(t, uint64(8), b.take(same, overlaps), "it is settled")
			assert.Equal(t, want, b.usage())
			assert.Equal(t, uint64(11), b.take(back.batch(life("e", noon)...)), "the watermark goes on")
			assert.Empty(t, b.letters())
		})
	}
}

// testConcurrent has several consumers that all get everything, as when
// shares are taken over and given back; in PostgreSQL they are two processes'.
func testConcurrent(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	stores := []*Store{b.s, b.s}
	if b.o.PostgreSQL != "" {
		other, err := Open(ctx, b.o)
		require.NoError(t, err)
		defer func() { assert.NoError(t, other.Close()) }()
		stores[1] = other
	}
	one, two := newHub(t, "hub-1"), newHub(t, "hub-2")
	ds := slices.Concat(lives(one, 15, 5), lives(two, 15, 4)) // the same sessions through both
	var wg sync.WaitGroup
	for i := range 4 {
		mine := slices.Clone(ds)
		rand.New(rand.NewPCG(uint64(i), 3)).Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
		wg.Go(func() {
			for _, d := range mine {
				_, err := stores[i%2].Take(ctx, d)
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, wantLives(15), b.usage())
	assert.Equal(t, map[usage.Class]int64{usage.Cleared: 45, usage.Duplicate: 45}, b.classes())
	orders := map[uint64]bool{}
	for _, e := range b.records(Filter{}) {
		orders[e.Order] = true
	}
	assert.Len(t, orders, 15)
}

func testEmpty(t *testing.T, make placeMaker) {
	b := newBench(t, make)
	assert.Empty(t, b.records(Filter{}))
	assert.Empty(t, b.letters())
	st := b.stats()
	assert.Zero(t, st.Reports)
	e, err := b.s.Record(ctx, accounting.Key{1})
	require.NoError(t, err)
	assert.Nil(t, e)
	a, err := b.s.Session(ctx, accounting.Key{1})
	require.NoError(t, err)
	assert.Nil(t, a)
	now, err := b.s.Now(ctx)
	require.NoError(t, err)
	assert.True(t, now.IsZero())
	n, err := b.s.Sweep(ctx, now)
	require.NoError(t, err)
	assert.Zero(t, n)

	// A batch that carries nothing moves the watermark.
	assert.Equal(t, uint64(5), b.take(seal(&queue.Delivery{Node: "n", Epoch: 1, First: 1, Last: 5, Encoding: queue.Encoding})))
}
