package device

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDevicesAgreeWithMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDevices(1 << 20)
		model := map[uint64]ref{}
		key := rapid.Uint64Range(1, 400) // all in one segment
		put := func(t *rapid.T) {
			k := key.Draw(t, "key")
			r := ref{profile: uint32(k), version: rapid.Uint32().Draw(t, "version"), flags: flagBlocked, soft: 5, hard: 9, epoch: 3, retry: 4}
			d.put(k, k*7, &r, 1)
			model[k] = r
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": put, "put more": put,
			"remove": func(t *rapid.T) {
				k := key.Draw(t, "key")
				d.remove(k, k*7)
				delete(model, k)
			},
			"update": func(t *rapid.T) {
				k := key.Draw(t, "key")
				old, known := model[k]
				require.Equal(t, known, d.update(k, k*7, 77, 0, 8, 4))
				if known {
					model[k] = ref{profile: 77, version: 8, soft: old.soft, hard: old.hard, epoch: 4}
				}
			},
			"": func(t *rapid.T) {
				require.EqualValues(t, len(model), d.entries.Load())
				k := key.Draw(t, "key")
				r, _, _, ok := d.find(k, k*7)
				want, known := model[k]
				require.Equal(t, known, ok)
				if known {
					require.Equal(t, want, r)
				}
				_, _, _, ok = d.find(k, k*7+1)
				require.False(t, ok)
			},
		})
	})
}

func TestDevicesAreBounded(t *testing.T) {
	d := newDevices(segments * 16)
	for i := range uint64(40_000) {
		k := hasher{3, 4}.sum([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		k0, k1 := k.words()
		d.put(k0, k1, &ref{soft: 5, hard: 9}, 1)
		_, _, _, ok := d.find(k0, k1)
		require.True(t, ok, "the newest is always there")
	}
	assert.LessOrEqual(t, int(d.entries.Load()), segments*18)
	assert.NotZero(t, d.evicted.Load())
	for i := range d.seg {
		assert.LessOrEqual(t, len(d.seg[i].cur.Load().w), 256*slotWords)
	}
}

func TestExpiredMakeRoom(t *testing.T) {
	d := newDevices(1 << 20)
	for i := range uint64(1000) {
		d.put(i+1, i, &ref{soft: 2, hard: 3}, 1)
	}
	for i := range uint64(2000) {
		d.put(i+5000, i, &ref{soft: 20, hard: 30}, 10)
	}
	assert.EqualValues(t, 2000, d.entries.Load())
}

// Readers never see a reference that was not stored: version follows profile.
func TestReadersSeeWholeReferences(t *testing.T) {
	d := newDevices(1 << 20)
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				for k := uint64(1); k < 300; k++ {
					if r, s, off, ok := d.find(k, k); ok {
						if r.profile != r.version || r.hard < 9 {
							t.Errorf("torn: %+v", r)
						}
						s.claim(off, 1, 2)
					}
				}
			}
		})
	}
	for n := range uint32(100) {
		for k := uint64(1); k < 300; k++ {
			d.put(k, k, &ref{profile: n, version: n, soft: 5, hard: 9 + n}, 1)
			if k%7 == 0 {
				d.remove(k, k)
			}
		}
	}
	close(done)
	wg.Wait()
}

func TestNegative(t *testing.T) {
	n := newNegative(512)
	n.put(1, 2, absentUnknown, 40)
	assert.Equal(t, absentUnknown, n.find(1, 2, 39))
	assert.Zero(t, n.find(1, 2, 40))
	assert.Zero(t, n.find(1, 3, 1))
	n.put(1, 2, absentAway, 50)
	assert.Equal(t, absentAway, n.find(1, 2, 45))
	n.remove(1, 2)
	assert.Zero(t, n.find(1, 2, 1))
	// The one of a set that ends first gives way.
	for i := range uint64(negWays + 1) {
		n.put(i+10, 2, absentUnknown, uint32(100+i))
	}
	assert.Zero(t, n.find(10, 2, 1))
	assert.Equal(t, absentUnknown, n.find(11, 2, 1))
}
