package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// C123: no two starts have one number, however the clock goes.
func TestC123BootNumber(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name      string
		now, want uint32
	}{
		{"the first start", 1000, 1000},
		{"later", 2000, 2000},
		{"in the same second", 2000, 2001},
		{"once more", 2000, 2002},
		{"the clock was set back", 500, 2003},
		{"and goes", 501, 2004},
		{"it is right again", 3000, 3000},
	} {
		n, err := bootNumber(dir, c.now)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, n, c.name)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "nothing unfinished")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "diameter.start"), []byte("soon"), 0o600))
	n, err := bootNumber(dir, 4000)
	assert.EqualValues(t, 4000, n)
	assert.ErrorContains(t, err, "has no number")
	n, err = bootNumber(dir, 4000)
	assert.EqualValues(t, 4001, n, "it has one now")
	require.NoError(t, err)
	n, err = bootNumber(filepath.Join(dir, "gone"), 5000)
	assert.EqualValues(t, 5000, n, "the hub serves")
	assert.ErrorIs(t, err, os.ErrNotExist)
}
