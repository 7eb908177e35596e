package spool

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPowerCut loses what was not synced, at a random moment and in random
// parts, and asks for every acknowledged record back.
func TestPowerCut(t *testing.T) {
	for seed := range uint64(longer("SPOOL_SEEDS", 40)) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.NewCrashableMem()
		want, owed := map[uint64]string{}, map[uint64]bool{}
		for life := range 3 {
			fs = lifeAndCrash(t, fs, rng, want, owed, fmt.Sprintf("seed %d life %d", seed, life))
		}
		s, err := Open("spool", testOptions(fs))
		require.NoError(t, err, "seed %d", seed)
		compare(t, s, want, fmt.Sprintf("seed %d", seed))
		require.NoError(t, s.Pending(0, 0, func(seq uint64, _ []byte) bool {
			delete(owed, seq)
			return true
		}))
		assert.Empty(t, owed, "seed %d: markers are as durable as their records", seed)
		require.NoError(t, s.Close())
	}
}

// lifeAndCrash writes for a while and returns the file system as a power cut
// leaves it.
func lifeAndCrash(t *testing.T, fs *vfs.MemFS, rng *rand.Rand, want map[uint64]string, owed map[uint64]bool, name string) *vfs.MemFS {
	o := testOptions(fs)
	o.Seal = 1 // the witness must never claim what is not there
	s, err := Open("spool", o)
	require.NoError(t, err, name)
	compare(t, s, want, name)
	done := make(collector, 64)
	flight := 0
	acked := func(b *Batch) {
		flight--
		require.NoError(t, b.Err)
		for i := range b.Len() {
			want[b.Seq(i)] = string(b.Record(i))
			if b.forward[i] {
				owed[b.Seq(i)] = true
			}
		}
	}
	var cut *vfs.MemFS
	for range 1 + rng.IntN(20) {
		b := s.NewBatch()
		for range 1 + rng.IntN(20) {
			b.Add(0, fmt.Appendf(nil, "%s %x", name, rng.Uint64()), rng.IntN(4) == 0)
		}
		require.True(t, s.Submit(b, done))
		flight++
		for flight > 0 && rng.IntN(2) == 0 {
			acked(<-done)
		}
	}
	cut = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	before := len(want)
	// What came back after the cut may or may not have been on the disk.
	for flight > 0 {
		b := <-done
		flight--
		require.NoError(t, b.Err)
	}
	require.Len(t, want, before)
	require.NoError(t, s.Close())
	return cut
}

// compare wants every acknowledged record under its number, and no hole
// before or after (Read checks that).
func compare(t *testing.T, s *Spool, want map[uint64]string, name string) {
	got := all(t, s)
	for seq, rec := range want {
		require.Equal(t, rec, got[seq], "%s: record %d", name, seq)
	}
	// A record that was not acknowledged but is there now stays there.
	for seq, rec := range got {
		want[seq] = rec
	}
}
