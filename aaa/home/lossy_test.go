package home

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A home that could do all, at the end of a path that loses datagrams: to send
// it less loses no less, and must not end in sending it next to nothing.
func TestPaceLossyPath(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name             string
		loss             float64
		quickest, spread time.Duration
	}{
		{"one in twenty, answers at once or after a second", 0.05, 20 * ms, 1000 * ms},
		{"one in ten, always alike", 0.1, 20 * ms, ms},
		{"one in ten, sooner or later", 0.1, 50 * ms, 300 * ms},
		{"one in ten, far away", 0.1, 200 * ms, 300 * ms},
		{"one in ten, at once or after a second", 0.1, 20 * ms, 1000 * ms},
		{"one in five, sooner or later", 0.2, 20 * ms, 300 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRush(1e5, 1<<20)
			r.loss, r.latency, r.spread = tt.loss, tt.quickest, tt.spread
			r.offer(2000, 60*time.Second)
			r.run(100 * time.Second)
			t.Logf("%d of %d answered, %d turned away, %d had to wait, slots %d", r.good, len(r.clients), r.busy, r.pace.Counters().Waited, r.inFlight)
			assert.GreaterOrEqual(t, r.good, len(r.clients)*999/1000)
		})
	}
}
