package spool

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A home that is gone for good must not keep the whole log on the disk: only
// its own records stay, and they can be read for as long as they are owed.
func TestOwedRecordsDoNotKeepTheLog(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s, err := Open("spool", o)
	require.NoError(t, err)
	put(t, s, true, "owed", "answered", "also owed")
	put(t, s, false, numbered(4, 97)...)
	owed := func() (recs []string) {
		require.NoError(t, s.Pending(0, 0, func(seq uint64, rec []byte) bool {
			recs = append(recs, string(rec))
			return true
		}))
		return recs
	}
	s.SetWatermark(100)
	require.NoError(t, s.Settle([]uint64{2}, nil)) // in the commit that trims it
	require.NoError(t, s.Trim(1000))
	assert.Equal(t, uint64(91), s.First(), "ten are retained")
	want := []string{"owed", "also owed"}
	assert.Equal(t, want, owed())
	put(t, s, true, numbered(101, 50)...)
	s.SetWatermark(150)
	require.NoError(t, s.Trim(1000))
	assert.Equal(t, uint64(141), s.First())
	assert.Len(t, owed(), 52)
	s = reopen(t, s, o)
	assert.Equal(t, uint64(141), s.First())
	assert.Equal(t, uint64(52), s.Stats().Pending)
	assert.Equal(t, want, owed()[:2])
	assert.Equal(t, numbered(101, 50), owed()[2:])
	require.NoError(t, s.Settle([]uint64{1, 3}, nil))
	require.NoError(t, s.Trim(0))
	assert.Equal(t, numbered(101, 50), owed())
	require.NoError(t, s.Close())
}

// However many are owed, one commit moves a bounded number of them.
func TestOwedRecordsMoveInSteps(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s, err := Open("spool", o)
	require.NoError(t, err)
	const n = 2*maxMoved + 100
	put(t, s, true, numbered(1, n)...)
	s.SetWatermark(n)
	require.NoError(t, s.Trim(n))
	first := s.First()
	assert.LessOrEqual(t, first, uint64(maxMoved+1)*2)
	for range 3 {
		require.NoError(t, s.Trim(n))
	}
	assert.Equal(t, uint64(n-9), s.First())
	left := 0
	require.NoError(t, s.Pending(0, 0, func(seq uint64, rec []byte) bool { left++; return true }))
	assert.Equal(t, n, left)
	require.NoError(t, s.Close())
}

// The log is trimmed, and a home answers, while somebody walks the markers.
func TestOwedRecordsMoveUnderAReader(t *testing.T) {
	s, err := Open("spool", testOptions(vfs.NewMem()))
	require.NoError(t, err)
	put(t, s, true, "first", "moved", "answered")
	put(t, s, false, numbered(4, 97)...)
	var got []string
	require.NoError(t, s.Pending(0, 0, func(seq uint64, rec []byte) bool {
		got = append(got, string(rec))
		if seq == 1 {
			s.SetWatermark(100)
			require.NoError(t, s.Settle([]uint64{3}, nil))
			assert.NoError(t, s.Trim(1000))
		}
		return true
	}))
	assert.Equal(t, []string{"first", "moved"}, got)
	require.NoError(t, s.Close())
}
