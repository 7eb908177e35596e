package home

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// opener counts sockets as the shard would open them.
type opener struct {
	n    int
	fail bool
	v4   []bool
}

func (o *opener) open(v4 bool) (int, bool) {
	if o.fail {
		return 0, false
	}
	o.n++
	o.v4 = append(o.v4, v4)
	return o.n - 1, true
}

type wireID struct {
	sock int
	id   uint8
}

func acquire(t require.TestingT, d *IDs, home int32, slot uint32, now int64) wireID {
	sock, id, ok := d.Acquire(at(home, Auth), true, slot, now)
	require.True(t, ok)
	return wireID{sock, id}
}

func TestIDsOneSocketServesEveryHome(t *testing.T) {
	var o opener
	d := NewIDs(IDsConfig{NeedSocket: o.open})
	for home := range int32(100) {
		for i := range 256 {
			acquire(t, d, home, uint32(i), 0)
		}
	}
	assert.Equal(t, 1, o.n)
	acquire(t, d, 0, 0, 0)
	assert.Equal(t, 2, o.n, "the 257th of a home needs a second socket")
	acquire(t, d, 1, 0, 0)
	assert.Equal(t, 2, o.n, "which the next home shares")
	assert.Equal(t, 257, d.Outstanding(at(0, Auth)))
	assert.Zero(t, d.Outstanding(at(0, Acct)))
	assert.Zero(t, d.Outstanding(at(1000, Acct)))
	assert.Equal(t, 100*256+2, d.InUse())
}

// C34: an answered identifier comes last, an unanswered one after its rest.
func TestIDsReuse(t *testing.T) {
	var o opener
	d := NewIDs(IDsConfig{NeedSocket: o.open, MaxSockets: 1, Rest: 30 * time.Second})
	first := acquire(t, d, 1, 0, 0)
	second1 := acquire(t, d, 1, 0, 0)
	d.Release(first.sock, at(1, Auth), first.id, true, 0)
	d.Release(second1.sock, at(1, Auth), second1.id, false, 0)
	for i := range 254 {
		got := acquire(t, d, 1, 0, int64(i))
		require.NotEqual(t, first, got)
		require.NotEqual(t, second1, got)
	}
	assert.Equal(t, first, acquire(t, d, 1, 0, 1000))
	_, _, ok := d.Acquire(at(1, Auth), true, 0, 30*second-1)
	assert.False(t, ok, "still resting")
	assert.Equal(t, uint64(1), d.Counters().Exhausted)
	assert.Equal(t, second1, acquire(t, d, 1, 0, 30*second+20*millisecond))
}

func TestIDsRandomStart(t *testing.T) {
	var o opener
	starts := map[uint8]bool{}
	for seed := range uint64(50) {
		d := NewIDs(IDsConfig{NeedSocket: o.open, Seed: seed})
		starts[acquire(t, d, 0, 0, 0).id] = true
	}
	assert.Greater(t, len(starts), 20)
}

func TestIDsCap(t *testing.T) {
	var o opener
	d := NewIDs(IDsConfig{NeedSocket: o.open, MaxOutstanding: 300})
	var last wireID
	for range 300 {
		last = acquire(t, d, 5, 0, 0)
	}
	_, _, ok := d.Acquire(at(5, Auth), true, 0, 0)
	assert.False(t, ok)
	assert.Equal(t, uint64(1), d.Counters().Capped)
	_, _, ok = d.Acquire(at(5, Acct), true, 0, 0)
	assert.True(t, ok, "accounting is counted apart")
	acquire(t, d, 6, 0, 0)
	d.Release(last.sock, at(5, Auth), last.id, false, 0)
	acquire(t, d, 5, 0, 0)
}

// F07: a dead home uses up its own identifiers and a bounded number of
// sockets; nobody else notices.
func TestIDsDeadHome(t *testing.T) {
	var o opener
	d := NewIDs(IDsConfig{NeedSocket: o.open, MaxSockets: 4})
	refused := 0
	for i := range 5000 {
		sock, id, ok := d.Acquire(at(1, Auth), true, 0, int64(i)*millisecond)
		if !ok {
			refused++
			continue
		}
		d.Release(sock, at(1, Auth), id, false, int64(i)*millisecond)
	}
	assert.Equal(t, 5000-4*256, refused)
	assert.Equal(t, 4, o.n)
	for range 256 {
		acquire(t, d, 2, 0, 0)
	}
}

func TestIDsFamilies(t *testing.T) {
	var o opener
	d := NewIDs(IDsConfig{NeedSocket: o.open})
	s4, id4, _ := d.Acquire(at(1, Auth), true, 4, 0)
	s6, id6, _ := d.Acquire(at(2, Auth), false, 6, 0)
	assert.NotEqual(t, s4, s6)
	assert.Equal(t, []bool{true, false}, o.v4)
	slot, ok := d.Find(s4, at(1, Auth), id4)
	assert.True(t, ok)
	assert.Equal(t, uint32(4), slot)
	slot, ok = d.Find(s6, at(2, Auth), id6)
	assert.True(t, ok)
	assert.Equal(t, uint32(6), slot)
}

// A socket that cannot be opened is asked for again after a while, not for
// each packet and not never.
func TestIDsSocketFails(t *testing.T) {
	o := opener{fail: true}
	d := NewIDs(IDsConfig{NeedSocket: o.open})
	_, _, ok := d.Acquire(at(1, Auth), true, 0, 0)
	assert.False(t, ok)
	o.fail = false
	_, _, ok = d.Acquire(at(1, Auth), true, 0, second-1)
	assert.False(t, ok)
	assert.Equal(t, uint64(2), d.Counters().NoSocket)
	_, _, ok = d.Acquire(at(2, Auth), false, 0, 1)
	assert.True(t, ok, "the other family is not affected")
	acquire(t, d, 1, 0, second)
}

// C35, R095: what is not outstanding is not found.
func TestIDsFindNothing(t *testing.T) {
	var o opener
	d := NewIDs(IDsConfig{NeedSocket: o.open})
	w := acquire(t, d, 1, 9, 0)
	tests := []struct {
		name string
		sock int
		home int32
		kind Kind
		id   uint8
	}{
		{"other identifier", w.sock, 1, Auth, w.id + 1},
		{"other socket", w.sock + 1, 1, Auth, w.id},
		{"no socket", -1, 1, Auth, w.id},
		{"other home", w.sock, 2, Auth, w.id},
		{"unused home", w.sock, 0, Auth, w.id},
		{"no home", w.sock, -1, Auth, w.id},
		{"other kind", w.sock, 1, Acct, w.id},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := d.Counters().Misused
			_, ok := d.Find(tt.sock, at(tt.home, tt.kind), tt.id)
			assert.False(t, ok)
			d.Release(tt.sock, at(tt.home, tt.kind), tt.id, true, 0)
			assert.Equal(t, before+1, d.Counters().Misused)
		})
	}
	slot, ok := d.Find(w.sock, at(1, Auth), w.id)
	assert.True(t, ok)
	assert.Equal(t, uint32(9), slot)
	d.Release(w.sock, at(1, Auth), w.id, true, 0)
	_, ok = d.Find(w.sock, at(1, Auth), w.id)
	assert.False(t, ok, "a second reply")
	d.Release(w.sock, at(1, Auth), w.id, true, 0)
	assert.Zero(t, d.InUse())
}

type idKey struct {
	home int32
	kind Kind
	wireID
}

func TestIDsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o opener
		const sockets, limit = 2, 500
		d := NewIDs(IDsConfig{NeedSocket: o.open, MaxSockets: sockets, MaxOutstanding: limit, Seed: rapid.Uint64().Draw(t, "seed")})
		now, slot := int64(0), uint32(0)
		busy, resting := map[idKey]uint32{}, map[idKey]int64{}
		var order []idKey
		count := func(home int32, kind Kind) (n int) {
			for k := range busy {
				if k.home == home && k.kind == kind {
					n++
				}
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"acquire": func(t *rapid.T) {
				home, kind := rapid.Int32Range(0, 2).Draw(t, "home"), Kind(rapid.IntRange(0, 1).Draw(t, "kind"))
				for range rapid.SampledFrom([]int{1, 10, 300}).Draw(t, "many") {
					sock, id, ok := d.Acquire(at(home, kind), true, slot, now)
					if !ok {
						require.GreaterOrEqual(t, count(home, kind)+len(resting), min(limit, sockets*256))
						continue
					}
					k := idKey{home, kind, wireID{sock, id}}
					_, twice := busy[k]
					if until := resting[k]; twice || now < until {
						require.Fail(t, "given out too early", "%v busy %v rests until %d", k, twice, until)
					}
					delete(resting, k)
					busy[k] = slot
					order = append(order, k)
					slot++
				}
			},
			"release": func(t *rapid.T) {
				answered, newest := rapid.Bool().Draw(t, "answered"), rapid.Bool().Draw(t, "newest")
				for range min(len(order), rapid.SampledFrom([]int{1, 200}).Draw(t, "many")) {
					k := order[0]
					if newest {
						k = order[len(order)-1]
						order = order[:len(order)-1]
					} else {
						order = order[1:]
					}
					d.Release(k.sock, at(k.home, k.kind), k.id, answered, now)
					delete(busy, k)
					if !answered {
						resting[k] = now + 30*second
					}
				}
			},
			"wait": func(t *rapid.T) { now += rapid.Int64Range(0, 20*second).Draw(t, "ns") },
			"": func(t *rapid.T) {
				require.Equal(t, len(busy), d.InUse())
				require.LessOrEqual(t, o.n, sockets)
				for k, s := range busy {
					if got, ok := d.Find(k.sock, at(k.home, k.kind), k.id); !ok || got != s {
						require.Fail(t, "lost", "%v found %v slot %d, want %d", k, ok, got, s)
					}
				}
				for k := range resting {
					if _, ok := d.Find(k.sock, at(k.home, k.kind), k.id); ok {
						require.Fail(t, "found while resting", "%v", k)
					}
				}
				require.Zero(t, d.Counters().Misused)
			},
		})
	})
}

func TestIDsAllocs(t *testing.T) {
	var o opener
	d := NewIDs(IDsConfig{NeedSocket: o.open})
	acquire(t, d, 3, 0, 0)
	now := int64(0)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		sock, id, _ := d.Acquire(at(3, Auth), true, 1, now)
		d.Find(sock, at(3, Auth), id)
		d.Release(sock, at(3, Auth), id, now%3 != 0, now)
		now += second
	}))
}

func BenchmarkHotIDs(b *testing.B) {
	var o opener
	d := NewIDs(IDsConfig{NeedSocket: o.open})
	type out struct {
		home int32
		wireID
	}
	var ring [4096]out
	b.ReportAllocs()
	n := 0
	for b.Loop() { // 4096 in flight to 8 homes
		r := &ring[n%len(ring)]
		if n >= len(ring) {
			d.Find(r.sock, at(r.home, Auth), r.id)
			d.Release(r.sock, at(r.home, Auth), r.id, true, 0)
		}
		r.home = int32(n & 7)
		r.sock, r.id, _ = d.Acquire(at(r.home, Auth), true, uint32(n), 0)
		n++
	}
}

// at is a line for each home and kind.
func at(home int32, kind Kind) int32 { return int32(lineOf(home, kind)) }
