package home

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func fired(w *Wheel, now int64) []uint32 {
	var slots []uint32
	w.Advance(now, func(s uint32) { slots = append(slots, s) })
	slices.Sort(slots)
	return slots
}

func TestWheelFiresInTime(t *testing.T) {
	const turn = wheelBuckets * millisecond
	tests := []struct {
		name      string
		start, at int64
		last      int64 // an Advance at which it must not fire
		first     int64 // the first at which it must
	}{
		{"on a tick", 0, 5 * millisecond, 5*millisecond - 1, 5 * millisecond},
		{"between ticks, never early", 0, 5*millisecond + 1, 6*millisecond - 1, 6 * millisecond},
		{"already passed", second, 0, second, second + millisecond},
		{"now", second, second, second, second + millisecond},
		{"last bucket of a turn", 0, turn - millisecond, turn - millisecond - 1, turn - millisecond},
		{"a whole turn", 0, turn, turn - 1, turn},
		{"ten turns", 3 * second, 10 * turn, 10*turn - 1, 10 * turn},
		{"a long sleep over it", 0, second, second - 1, 100 * turn},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := NewWheel(1, tt.start)
			w.Set(3, tt.at)
			require.Equal(t, 1, w.Len())
			assert.Empty(t, fired(w, tt.last))
			assert.Equal(t, []uint32{3}, fired(w, tt.first))
			assert.Zero(t, w.Len())
			assert.Empty(t, fired(w, tt.first+2*turn))
		})
	}
}

func TestWheelReplaceAndCancel(t *testing.T) {
	w := NewWheel(8, 0)
	w.Cancel(5) // never set
	w.Set(5, 10*millisecond)
	w.Set(5, 20*millisecond)
	w.Set(6, 20*millisecond)
	w.Set(7, 20*millisecond)
	w.Cancel(6)
	w.Cancel(6)
	assert.Empty(t, fired(w, 19*millisecond))
	assert.Equal(t, []uint32{5, 7}, fired(w, 20*millisecond))
}

func TestWheelChangesWhileFiring(t *testing.T) {
	w := NewWheel(8, 0)
	for s := range uint32(4) {
		w.Set(s, 10*millisecond)
	}
	var got []uint32
	w.Advance(second, func(s uint32) {
		got = append(got, s)
		for other := range uint32(4) {
			if other != s {
				w.Cancel(other)
			}
		}
		w.Set(s, 0)           // itself, overdue at once
		w.Set(s+10, second)   // another, due now
		w.Set(s+20, 5*second) // and one for later
	})
	require.Len(t, got, 1, "three were cancelled by the first")
	assert.Equal(t, []uint32{got[0], got[0] + 10}, fired(w, second+millisecond))
	assert.Equal(t, []uint32{got[0] + 20}, fired(w, 5*second))
}

func TestWheelNext(t *testing.T) {
	w := NewWheel(8, 7*millisecond)
	_, ok := w.Next()
	assert.False(t, ok)
	w.Set(1, 20*second)
	w.Set(2, 30*millisecond+1)
	at, ok := w.Next()
	assert.True(t, ok)
	assert.Equal(t, 31*millisecond, at)
	w.Cancel(2)
	at, _ = w.Next()
	assert.Equal(t, 20*second, at)
	w.Advance(19*second, nil)
	at, _ = w.Next()
	assert.Equal(t, 20*second, at)
}

func TestWheelModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.Int64Range(0, 100*second).Draw(t, "start")
		w, model := NewWheel(4, now), map[uint32]int64{}
		slot := rapid.Uint32Range(0, 12)
		tick := func(at int64) int64 { return max((at+millisecond-1)/millisecond, now/millisecond+1) }
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				s, at := slot.Draw(t, "slot"), now+rapid.Int64Range(-second, 100*second).Draw(t, "in")
				w.Set(s, at)
				model[s] = tick(at)
			},
			"cancel": func(t *rapid.T) {
				s := slot.Draw(t, "slot")
				w.Cancel(s)
				delete(model, s)
			},
			"advance": func(t *rapid.T) {
				now += rapid.OneOf(rapid.Int64Range(0, 3*millisecond), rapid.Int64Range(0, 80*second)).Draw(t, "by")
				var want []uint32
				for s, at := range model {
					if at <= now/millisecond {
						want = append(want, s)
						delete(model, s)
					}
				}
				slices.Sort(want)
				require.Equal(t, want, fired(w, now))
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), w.Len())
				at, ok := w.Next()
				require.Equal(t, len(model) > 0, ok)
				for _, tick := range model {
					require.LessOrEqual(t, at, tick*millisecond)
				}
			},
		})
	})
}

func TestWheelAllocs(t *testing.T) {
	w := NewWheel(64, 0)
	w.Set(63, second)
	now, fire := int64(0), func(uint32) {}
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		for s := range uint32(64) {
			w.Set(s, now+int64(s)*millisecond)
		}
		w.Cancel(7)
		now += 10 * millisecond
		w.Advance(now, fire)
		w.Next()
	}))
}

func BenchmarkHotWheel(b *testing.B) {
	w := NewWheel(1<<14, 0)
	now, n, fire := int64(0), uint32(0), func(uint32) {}
	b.ReportAllocs()
	for b.Loop() { // one exchange: armed, answered; 10,000 in flight
		slot := n & (1<<14 - 1)
		w.Cancel(slot)
		w.Set(slot, now+2*second)
		n++
		if n%64 == 0 {
			now += millisecond
			w.Advance(now, fire)
		}
	}
}
