package home

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// C30, C31: the waits of RFC 5080 section 2.2.1 without jitter and at its
// ends.
func TestTimersNext(t *testing.T) {
	rfc := Timers{IRT: 2 * time.Second, MRT: 16 * time.Second, MRC: 5, MRD: 30 * time.Second}
	ever := Timers{IRT: 2 * time.Second}
	const middle = math.MaxUint32/2 + 1
	tests := []struct {
		name   string
		timers Timers
		rnd    uint32
		want   []float64 // seconds
	}{
		{"no jitter", rfc, middle, []float64{2, 4, 8, 16, 16, 0, 0}},
		{"shortest", rfc, 0, []float64{1.8, 3.42, 6.498, 12.3462, 14.4, 0}},
		{"longest", rfc, math.MaxUint32, []float64{2.2, 4.62, 9.702, 17.6, 17.6, 0}},
		{"accounting is never given up", ever, middle, []float64{2, 4, 8, 16, 32, 64, 128}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var rt int64
			for i, want := range tt.want {
				rt = tt.timers.Next(rt, i+1, tt.rnd)
				assert.InDelta(t, want, float64(rt)/1e9, 0.001, "transmission %d", i+1)
			}
		})
	}
}

func TestTimersDeadline(t *testing.T) {
	assert.Equal(t, int64(31e9), (&Timers{MRD: 30 * time.Second}).Deadline(1e9))
	assert.Zero(t, (&Timers{}).Deadline(1e9))
}

func TestTimersNeverSpin(t *testing.T) {
	assert.Positive(t, (&Timers{}).Next(0, 1, 0))
}

func TestTenthStaysInBounds(t *testing.T) {
	var r random
	low, high := int64(0), int64(0)
	for range 10_000 {
		j := tenth(second, uint32(r.next()))
		low, high = min(low, j), max(high, j)
	}
	assert.InDelta(t, -1e8, low, 1e6)
	assert.InDelta(t, 1e8, high, 1e6)
}
