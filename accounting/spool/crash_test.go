package spool

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// promised is what a spool has acknowledged, and how far it may have gone.
type promised struct {
	records map[uint64]string
	owed    map[uint64]bool // to a home; false: it was settled, which is not synced
	cuts    map[uint64]Cut
	cutTo   uint64 // end of the last cut
	mark    uint64 // highest watermark ever given
	floor   uint64 // first record behind the last Trim that was acknowledged
}

// TestPowerCut loses what was not synced, at a random moment and in random
// parts, and asks for everything that was acknowledged back: row 4 of the
// acceptance table.
func TestPowerCut(t *testing.T) {
	for seed := range uint64(longer("SPOOL_SEEDS", 40)) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.NewCrashableMem()
		p := &promised{records: map[uint64]string{}, owed: map[uint64]bool{}, cuts: map[uint64]Cut{}}
		for life := range 3 {
			fs = p.lifeAndCrash(t, fs, rng, fmt.Sprintf("seed %d life %d", seed, life))
		}
		s, err := Open("spool", testOptions(fs))
		require.NoError(t, err, "seed %d", seed)
		p.check(t, s, fmt.Sprintf("seed %d", seed))
		require.NoError(t, s.Close())
	}
}

// lifeAndCrash uses a spool for a while and returns the file system as a power
// cut leaves it.
func (p *promised) lifeAndCrash(t *testing.T, fs *vfs.MemFS, rng *rand.Rand, name string) *vfs.MemFS {
	o := testOptions(fs)
	o.Seal = 1 // the witness must never claim what is not there
	s, err := Open("spool", o)
	require.NoError(t, err, name)
	p.check(t, s, name)
	done := make(collector, 64)
	flight := 0
	for range 1 + rng.IntN(20) {
		b := s.NewBatch()
		for range 1 + rng.IntN(20) {
			b.Add(0, fmt.Appendf(nil, "%s %x", name, rng.Uint64()), rng.IntN(4) == 0)
		}
		require.True(t, s.Submit(b, done))
		flight++
		for flight > 0 && rng.IntN(2) == 0 {
			p.acknowledged(t, <-done)
			flight--
		}
		p.housekeeping(t, s, rng)
	}
	cut := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
	// What comes back after the cut may or may not have been on the disk.
	for ; flight > 0; flight-- {
		require.NoError(t, (<-done).Err)
	}
	require.NoError(t, s.Close())
	return cut
}

func (p *promised) acknowledged(t *testing.T, b *Batch) {
	require.NoError(t, b.Err)
	for i := range b.Len() {
		p.records[b.Seq(i)] = string(b.Record(i))
		if b.forward[i] {
			p.owed[b.Seq(i)] = true
		}
	}
}

// housekeeping does one of what the drainer and the homes make a spool do.
func (p *promised) housekeeping(t *testing.T, s *Spool, rng *rand.Rand) {
	switch rng.IntN(6) {
	case 0:
		last := s.Last()
		if last <= p.cutTo {
			return
		}
		c := Cut{First: p.cutTo + 1, Last: p.cutTo + 1 + rng.Uint64N(last-p.cutTo), N: rng.Uint32()}
		require.NoError(t, s.Cut(c))
		p.cuts[c.First], p.cutTo = c, c.Last
	case 1:
		if p.cutTo > p.mark {
			p.mark += 1 + rng.Uint64N(p.cutTo-p.mark)
			s.SetWatermark(p.mark)
		}
	case 2:
		require.NoError(t, s.Trim(1+rng.Uint64N(s.Last()+1)))
		p.floor = s.First()
	case 3:
		for seq, is := range p.owed {
			if is && rng.IntN(3) == 0 {
				require.NoError(t, s.Settle([]uint64{seq}, nil))
				p.owed[seq] = false
			}
		}
	}
}

// check wants everything that was acknowledged: records under their numbers
// and no hole before or after (Read checks that), but for what was delivered
// and trimmed; what is owed also then; cuts; and no watermark that nobody gave.
func (p *promised) check(t *testing.T, s *Spool, name string) {
	t.Helper()
	first := s.First()
	require.LessOrEqual(t, first, p.mark+1, "%s: only what is delivered is trimmed", name)
	require.GreaterOrEqual(t, first, p.floor, "%s: a trim is as durable as a record", name)
	require.LessOrEqual(t, s.Watermark(), p.mark, "%s: nobody gave that watermark", name)
	for seq := range p.records {
		if seq < first {
			delete(p.records, seq)
		}
	}
	compare(t, s, p.records, name)
	for start, c := range p.cuts {
		if c.Last < first {
			delete(p.cuts, start)
			continue
		}
		is, ok, err := s.CutFrom(start)
		require.NoError(t, err)
		require.True(t, ok, "%s: cut %d", name, start)
		require.Equal(t, c, is, "%s: cut %d", name, start)
	}
	still := map[uint64]bool{}
	require.NoError(t, s.Pending(0, 0, func(seq uint64, _ []byte) bool {
		still[seq] = true
		return true
	}))
	for seq, is := range p.owed {
		if is {
			assert.True(t, still[seq], "%s: record %d is owed: markers are as durable as their records", name, seq)
		} else if !still[seq] {
			delete(p.owed, seq)
		}
	}
}

// compare wants every acknowledged record under its number, and no hole
// before or after.
func compare(t *testing.T, s *Spool, want map[uint64]string, name string) {
	t.Helper()
	got := all(t, s)
	for seq, rec := range want {
		require.Equal(t, rec, got[seq], "%s: record %d", name, seq)
	}
	// A record that was not acknowledged but is there now stays there.
	for seq, rec := range got {
		want[seq] = rec
	}
}
