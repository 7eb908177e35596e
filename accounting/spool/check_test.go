package spool

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestScanInOrder holds that whoever looks at the records while Open reads
// them gets each once, in order, and none behind a bad one.
func TestScanInOrder(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 20} {
		s, err := Open("spool", testOptions(vfs.NewMem()))
		require.NoError(t, err)
		if n > 0 {
			put(t, s, false, numbered(1, n)...)
		}
		for bad := 0; bad <= n; bad += max(1, n/3) {
			o := testOptions(s.o.FS)
			require.NoError(t, s.Close())
			var got []string
			o.Scan = func(seq uint64, rec []byte) error {
				require.EqualValues(t, len(got)+1, seq)
				got = append(got, string(rec))
				if len(got) == bad {
					return errors.New("not ours")
				}
				return nil
			}
			broken, err := Open("spool", o)
			if bad > 0 {
				assert.Nil(t, broken)
				require.ErrorIs(t, err, ErrDamaged)
				assert.ErrorContains(t, err, "not ours")
				assert.Equal(t, numbered(1, bad), got)
			} else {
				require.NoError(t, err)
				require.NoError(t, broken.Close())
				assert.Equal(t, numbered(1, n), append([]string{}, got...))
			}
			s, err = Open("spool", testOptions(s.o.FS))
			require.NoError(t, err)
		}
		require.NoError(t, s.Close())
	}
}
