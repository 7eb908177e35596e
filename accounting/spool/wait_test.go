package spool

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What waits comes back behind the records that were submitted before it, and
// takes no number.
func TestBatchWaits(t *testing.T) {
	s, err := Open("spool", testOptions(vfs.NewMem()))
	require.NoError(t, err)
	done := make(collector, 3)
	for i, recs := range []int{1, 0, 2} {
		b := s.NewBatch()
		for range recs {
			b.Add(0, []byte("r"), false)
		}
		b.Wait(uint64(i))
		require.True(t, s.Submit(b, done))
	}
	for i, last := range []uint64{1, 1, 3} {
		b := <-done
		require.NoError(t, b.Err)
		assert.Equal(t, []uint64{uint64(i)}, b.Waits())
		assert.GreaterOrEqual(t, s.Last(), last)
		b.Reset()
		assert.Empty(t, b.Waits())
	}
	assert.Zero(t, s.Stats().Queued)
	assert.Equal(t, uint64(3), s.Last())
	require.NoError(t, s.Close())
	b := s.NewBatch()
	b.Wait(9)
	assert.False(t, s.Submit(b, done), "a closed spool keeps nobody")
}
