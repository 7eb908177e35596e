package spool

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// letters reads all dead letters as "seq reason record".
func letters(t testing.TB, s *Spool) (all []string) {
	t.Helper()
	require.NoError(t, s.Dead(0, 0, func(l Letter, rec []byte) bool {
		all = append(all, fmt.Sprint(l.Seq, " ", l.Reason, " ", string(rec)))
		return true
	}))
	return all
}

func owed(t testing.TB, s *Spool) (all []string) {
	t.Helper()
	require.NoError(t, s.Pending(0, 0, func(seq uint64, rec []byte) bool {
		all = append(all, string(rec))
		return true
	}))
	return all
}

// A dead letter is out of what is owed, keeps its record through trims and
// restarts, and comes back when it is revived.
func TestDeadLetters(t *testing.T) {
	for _, tt := range []struct {
		name string
		trim int // before which step the log is trimmed past them
	}{{"in the log", 9}, {"trimmed while owed", 0}, {"trimmed while dead", 1}, {"trimmed once revived", 2}} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarted %v", tt.name, restart), func(t *testing.T) {
				o := testOptions(vfs.NewMem())
				s, err := Open("spool", o)
				require.NoError(t, err)
				step := func(n int) {
					if tt.trim == n {
						s.SetWatermark(s.Last())
						require.NoError(t, s.Trim(s.Last()))
						require.Greater(t, s.First(), uint64(4))
					}
					if restart {
						s = reopen(t, s, o)
					}
				}
				put(t, s, true, "one", "two", "three", "four")
				put(t, s, false, numbered(5, 60)...)
				step(0)
				require.NoError(t, s.Settle([]uint64{1}, []Letter{{Seq: 2, Reason: 7, Time: 99}, {Seq: 3, Reason: 8}, {Seq: 60, Reason: 8}}))
				step(1)
				assert.Equal(t, []string{"2 7 two", "3 8 three"}, letters(t, s))
				assert.Equal(t, []string{"four"}, owed(t, s))
				assert.Equal(t, uint64(1), s.DeadLetters(7))
				assert.Equal(t, uint64(2), s.Stats().Dead)
				assert.Equal(t, uint64(1), s.Stats().Pending)
				n, err := s.Revive([]uint64{2, 4, 77})
				require.NoError(t, err)
				assert.Equal(t, 1, n, "only what is dead")
				step(2)
				assert.Equal(t, []string{"3 8 three"}, letters(t, s))
				assert.Equal(t, []string{"two", "four"}, owed(t, s))
				step(3)
				assert.Equal(t, []string{"two", "four"}, owed(t, s))
				assert.Equal(t, uint64(2), s.Stats().Pending)
				assert.Equal(t, uint64(1), s.Stats().Dead)
				require.NoError(t, s.Close())
			})
		}
	}
}

// A final letter is never revived. Its record stays as long as the log has
// it, and then nothing of it does.
func TestFinalLetters(t *testing.T) {
	o := testOptions(vfs.NewMem())
	s, err := Open("spool", o)
	require.NoError(t, err)
	put(t, s, true, "one", "two")
	put(t, s, false, numbered(3, 60)...)
	require.NoError(t, s.Settle(nil, []Letter{{Seq: 2, Reason: 7}}))
	require.NoError(t, s.Settle(nil, []Letter{{Seq: 1, Reason: 9, Final: true}, {Seq: 2, Reason: 9, Final: true}}))
	n, err := s.Revive([]uint64{1, 2})
	require.NoError(t, err)
	assert.Zero(t, n)
	assert.Empty(t, owed(t, s))
	assert.Equal(t, []string{"1 9 one", "2 9 two"}, letters(t, s))
	assert.Zero(t, s.DeadLetters(7))
	s.SetWatermark(62)
	require.NoError(t, s.Trim(62))
	assert.Equal(t, []string{"1 9 ", "2 9 "}, letters(t, s))
	s = reopen(t, s, o)
	assert.Empty(t, letters(t, s))
	assert.Zero(t, s.Stats().Dead)
	require.NoError(t, s.Close())
}

// However many letters are dead, one commit moves a bounded number of them.
func TestDeadLettersMoveInSteps(t *testing.T) {
	s, err := Open("spool", testOptions(vfs.NewMem()))
	require.NoError(t, err)
	const n = 2*maxMoved + 100
	put(t, s, true, numbered(1, n)...)
	var dead []Letter
	for seq := uint64(1); seq <= n; seq++ {
		dead = append(dead, Letter{Seq: seq})
	}
	require.NoError(t, s.Settle(nil, dead))
	s.SetWatermark(n)
	require.NoError(t, s.Trim(n))
	assert.LessOrEqual(t, s.First(), uint64(maxMoved+1)*2)
	for range 3 {
		require.NoError(t, s.Trim(n))
	}
	assert.Equal(t, uint64(n-9), s.First())
	assert.Len(t, letters(t, s), n)
	require.NoError(t, s.Close())
}

// What a letter holds may be damaged: it says so and nothing else.
func FuzzDecodeLetter(f *testing.F) {
	f.Add((&Letter{Reason: 3, Time: 7}).append(nil))
	f.Add((&Letter{Final: true}).append([]byte(nil)))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, v []byte) {
		l, rec, err := decodeLetter(newKey(keyDead, 5), v)
		if err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			return
		}
		assert.Equal(t, len(v), deadHead+len(rec))
		again, _, err := decodeLetter(newKey(keyDead, 5), l.append(nil))
		require.NoError(t, err)
		assert.Equal(t, l, again)
	})
}
