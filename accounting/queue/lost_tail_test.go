package queue

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reporting is a queue whose clearing side begins to report at some time.
type reporting struct {
	*flaky
	stored uint64
	known  bool
}

func (r *reporting) Watermark(context.Context) (uint64, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored, r.known, nil
}

// What was trimmed by before the first report - delivered - is no word of the
// clearing side: a queue that loses its tail afterwards is sent all that the
// spool has and nobody has stored (acceptance row 9).
func TestLostTailAfterFirstReport(t *testing.T) {
	s := openSpool(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	sink := &reporting{flaky: newFlaky()}
	put(t, s, stops(1, 50)...)
	d, stop := drain(t, s, sink, testOptions())
	caughtUp(t, d, s)
	require.Eventually(t, func() bool { return s.Watermark() == 50 }, waitLong, waitShort, "delivered")
	sink.mu.Lock()
	sink.stored, sink.known = 20, true
	sink.mu.Unlock()
	require.Eventually(t, func() bool { return d.Stats().Reported.Load() == 20 }, waitLong, waitShort)
	stop()
	// The server comes back with the first batch only.
	sink.mu.Lock()
	clear(sink.data)
	sink.top = 11
	sink.mu.Unlock()
	for _, again := range []struct {
		name string
		d    *Drainer
	}{{"reconnect", d}, {"restart", New(s, sink, testOptions())}} {
		t.Run(again.name, func(t *testing.T) {
			cursor, err := again.d.resume(t.Context())
			require.NoError(t, err)
			assert.Equal(t, uint64(20), cursor)
		})
	}
}
