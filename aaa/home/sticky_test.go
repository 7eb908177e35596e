package home

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSticky(t *testing.T) {
	var r random
	hash := make([]uint64, 64)
	for i := range hash {
		hash[i] = r.next()
	}
	tests := []struct {
		name  string
		learn []int // indexes into hash; the home is the position
		at    int64
		find  int
		home  int32
		ok    bool
	}{
		{"nothing learned", nil, 0, 0, 0, false},
		{"learned", []int{5}, 0, 5, 0, true},
		{"another State", []int{5}, 0, 6, 0, false},
		{"learned again from another home", []int{5, 6, 5}, 0, 5, 2, true},
		{"at the end of its time", []int{5}, 60 * second, 5, 0, true},
		{"after its time", []int{5}, 61 * second, 5, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSticky(1000, time.Minute)
			for home, i := range tt.learn {
				s.Learn(hash[i], int32(home), 0)
			}
			home, ok := s.Find(hash[tt.find], tt.at)
			assert.Equal(t, tt.ok, ok)
			if ok {
				assert.Equal(t, tt.home, home)
			}
		})
	}
}

func TestStickyZeroHash(t *testing.T) {
	s := NewSticky(1, time.Minute)
	_, ok := s.Find(0, 0)
	assert.False(t, ok)
	s.Learn(0, 0, 0)
	home, ok := s.Find(0, 0)
	assert.True(t, ok)
	assert.Zero(t, home)
}

func TestStickyHomeBounds(t *testing.T) {
	s := NewSticky(64, time.Minute)
	s.Learn(1, -1, 0)
	s.Learn(2, maxHomes, 0)
	s.Learn(3, maxHomes-1, 0)
	_, ok := s.Find(1, 0)
	assert.False(t, ok)
	_, ok = s.Find(2, 0)
	assert.False(t, ok)
	home, _ := s.Find(3, 0)
	assert.Equal(t, int32(maxHomes-1), home)
}

// A full set gives up its oldest conversation.
func TestStickyReplacesOldest(t *testing.T) {
	s := NewSticky(stickyWays, time.Hour)
	of := func(i int) uint64 { return uint64(i+1) << 32 }
	for i := range stickyWays + 3 {
		s.Learn(of(i), int32(i), int64(i)*second)
	}
	for i := range stickyWays + 3 {
		home, ok := s.Find(of(i), 20*second)
		assert.Equal(t, i >= 3, ok, i)
		if ok {
			assert.Equal(t, int32(i), home)
		}
	}
}

func TestStickyConcurrent(t *testing.T) {
	s := NewSticky(256, time.Minute)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := random(g)
			for i := range 5000 {
				h := r.next() % 512 << 32
				s.Learn(h, int32(h>>32), int64(i)*millisecond)
				if home, ok := s.Find(h, int64(i)*millisecond); ok {
					assert.Equal(t, int32(h>>32), home)
				}
			}
		})
	}
	wg.Wait()
}

func TestStickyAllocs(t *testing.T) {
	s := NewSticky(256, time.Minute)
	var r random
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		h := r.next()
		s.Learn(h, 1, 0)
		s.Find(h, 0)
	}))
}

func BenchmarkHotSticky(b *testing.B) {
	s := NewSticky(1<<17, time.Minute)
	var r random
	b.ReportAllocs()
	for b.Loop() {
		h := r.next()
		s.Learn(h, 1, 0)
		s.Find(h, 0)
	}
}
