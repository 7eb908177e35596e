package spool

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// worn returns the disk of a spool that has tables and logs: 10,000 padded
// records, trimmed up to a watermark of 4,000; 3,500 and 5,000 are
// owed, 5,001 is a dead letter, 4,001 to 4,100 and 9,901 to 10,000 are cut.
func worn(t *testing.T) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewCrashableMem()
	o := testOptions(mem)
	o.Node, o.Seal = "hub-1", time.Nanosecond
	s, err := Open("spool", o)
	require.NoError(t, err)
	for i := 0; i < 10000; i += 20 {
		if i == 9000 {
			require.NoError(t, s.db.Flush())
		}
		b := s.NewBatch()
		for j, rec := range padded(i+1, 20) {
			n := i + 1 + j
			b.Add(0, []byte(rec), n == 3500 || n == 5000 || n == 5001)
		}
		done := make(collector, 1)
		require.True(t, s.Submit(b, done))
		require.NoError(t, (<-done).Err)
	}
	require.NoError(t, s.Settle(nil, []Letter{{Seq: 5001, Reason: 3}}))
	s.SetWatermark(4000)
	require.NoError(t, s.Cut(Cut{First: 4001, Last: 4100, N: 100}, Cut{First: 9901, Last: 10000, N: 100}))
	require.NoError(t, s.Trim(4001))
	require.Equal(t, uint64(4001), s.First())
	require.Eventually(t, func() bool { return s.Stats().Sealed == s.Last() }, waitLong, waitShort)
	f, err := mem.Create("spool/identity.key", vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write([]byte("key"))
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	d, err := mem.OpenDir("spool")
	require.NoError(t, err)
	require.NoError(t, d.Sync())
	cut := mem.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())
	return cut
}

// hurtTables changes every table, so that no log has its records any more, and
// says how many it has changed.
func hurtTables(t *testing.T, fs vfs.FS, f func(b []byte)) (n int) {
	t.Helper()
	names, err := fs.List("spool")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, ".log") && find(content(t, fs, path.Join("spool", name)), 8000) >= 0 {
			require.NoError(t, fs.Remove(path.Join("spool", name)), "kept for its blocks, not for what it says")
		}
		if strings.HasSuffix(name, ".sst") {
			b := content(t, fs, path.Join("spool", name))
			f(b)
			overwrite(t, fs, path.Join("spool", name), b)
			n++
		}
	}
	return n
}

// TestRepair: whatever is damaged, what comes back is what was written, the
// rest is named to the record, and the spool works again.
func TestRepair(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, fs *vfs.MemFS)
		lost   uint64 // at most
		none   bool   // nothing is damaged
	}{
		{"nothing", func(*testing.T, *vfs.MemFS) {}, 0, true},
		{"bit in a log", func(t *testing.T, fs *vfs.MemFS) { hurt(t, fs, 9500, flip) }, 100, false},
		{"sector of zeros in a log", func(t *testing.T, fs *vfs.MemFS) { hurt(t, fs, 9500, zeroSector) }, 200, false},
		{"log cut off", func(t *testing.T, fs *vfs.MemFS) { hurt(t, fs, 9750, cutOff) }, 300, false},
		{"bit in a table", func(t *testing.T, fs *vfs.MemFS) {
			require.Positive(t, hurtTables(t, fs, func(b []byte) { b[len(b)*3/4] ^= 1 }))
		}, 200, false},
		{"table cut off", func(t *testing.T, fs *vfs.MemFS) {
			require.Positive(t, hurtTables(t, fs, func(b []byte) { clear(b[len(b)-4000:]) }))
		}, 6000, false},
		{"no manifest", func(t *testing.T, fs *vfs.MemFS) {
			names, err := fs.List("spool")
			require.NoError(t, err)
			for _, n := range names {
				if kindOf(n) == "manifest" {
					require.NoError(t, fs.Remove("spool/"+n))
				}
			}
		}, 0, false},
		{"no logs", func(t *testing.T, fs *vfs.MemFS) {
			names, err := fs.List("spool")
			require.NoError(t, err)
			for _, n := range names {
				if kindOf(n) == "log" {
					require.NoError(t, fs.Remove("spool/"+n))
				}
			}
		}, 1200, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs := worn(t)
			tt.damage(t, fs)
			o := testOptions(fs)
			o.now = func() time.Time { return time.Unix(2_000_000_000, 0) }
			if !tt.none && tt.name != "no manifest" {
				o.ReadOnly = true
				_, err := Open("spool", o)
				require.ErrorIs(t, err, ErrDamaged)
				o.ReadOnly = false
			}
			r, kept, err := Repair("spool", o)
			require.NoError(t, err)
			t.Log(r.First, r.Last, "lost", r.Lost, r.Damage)
			s, err := Open("spool", o)
			require.NoError(t, err)
			lost := uint64(0)
			for _, p := range r.Lost {
				lost += p.Len()
			}
			got := all(t, s)
			assert.LessOrEqual(t, lost, tt.lost)
			assert.Equal(t, r.Lost, s.Lost())
			assert.Equal(t, uint64(10000), s.Last(), "no number is given twice")
			assert.Equal(t, int(10000+1-r.First-lost), len(got), "what is not lost is there")
			for seq, rec := range got {
				require.Equal(t, fmt.Sprintf("record %d", seq), strings.TrimSpace(rec), "nothing damaged comes back")
			}
			assert.Equal(t, tt.lost > 0, lost > 0)
			assert.Equal(t, uint64(2_000_000_000), s.Epoch())
			b := put(t, s, false, "next")
			require.NoError(t, b.Err)
			assert.Equal(t, uint64(10001), b.Seq(0))
			assert.Equal(t, "key", string(content(t, fs, "spool/identity.key")))
			assert.Equal(t, "key", string(content(t, fs, kept+"/identity.key")), "the damaged one stays")
			require.NoError(t, s.Close())
			if tt.lost > 0 {
				return
			}
			s, err = Open("spool", testOptions(fs))
			require.NoError(t, err)
			assert.Equal(t, "hub-1", s.Node())
			assert.Equal(t, uint64(4000), s.Watermark())
			v, err := s.Inventory()
			require.NoError(t, err)
			assert.Equal(t, uint64(4001), v.First)
			assert.Equal(t, []uint64{0, 6001, 2, 1, 2}, []uint64{v.Delivered, v.Undelivered, v.Owed, v.Dead, v.Cuts})
			require.NoError(t, s.Close())
		})
	}
}

// TestLostRanges: a gap that a repair has named is passed over by all that
// read, survives a restart and goes with its records.
func TestLostRanges(t *testing.T) {
	fs := worn(t)
	hurt(t, fs, 9950, cutOff)
	o := testOptions(fs)
	r, _, err := Repair("spool", o)
	require.NoError(t, err)
	require.Len(t, r.Lost, 1)
	require.Equal(t, uint64(10000), r.Lost[0].Last)
	s, err := Open("spool", o)
	require.NoError(t, err)
	put(t, s, false, numbered(10001, 100)...)
	s = reopen(t, s, o)
	assert.Equal(t, r.Lost, s.Lost())
	var first uint64
	require.NoError(t, s.Read(r.Lost[0].First+1, func(seq uint64, _ []byte) bool { first = seq; return false }))
	assert.Equal(t, uint64(10001), first)
	s.SetWatermark(10100)
	require.NoError(t, s.Trim(10050))
	assert.Empty(t, s.Lost())
	s = reopen(t, s, o)
	assert.Empty(t, s.Lost())
	assert.Len(t, all(t, s), int(s.Last()+1-s.First()))
	require.NoError(t, s.Close())
}

// TestRepairRefuses: nothing is changed where a repair cannot be finished; one
// record that nobody can use is no reason.
func TestRepairRefuses(t *testing.T) {
	fs := worn(t)
	o := testOptions(fs)
	s, err := Open("spool", o)
	require.NoError(t, err)
	_, _, err = Repair("spool", o)
	require.ErrorContains(t, err, "in use?")
	require.NoError(t, s.Close())
	require.NoError(t, fs.MkdirAll("spool.repaired", 0o750))
	_, _, err = Repair("spool", o)
	require.ErrorContains(t, err, "spool.repaired is there already")
	require.NoError(t, fs.RemoveAll("spool.repaired"))
	names, err := fs.List("")
	require.NoError(t, err)
	assert.Equal(t, []string{"spool"}, names)

	o.Scan = func(seq uint64, _ []byte) error {
		if seq == 7000 {
			return fmt.Errorf("not ours")
		}
		return nil
	}
	r, _, err := Repair("spool", o)
	require.NoError(t, err)
	assert.Equal(t, []Span{{7000, 7000}}, r.Lost)
	assert.Contains(t, r.Damage, Damage{"record 7000", -1, "not ours"})
}

// FuzzReadLog: no octets make the reader of logs panic or return what does
// not match its checksum.
func FuzzReadLog(f *testing.F) {
	mem := vfs.NewCrashableMem()
	s, err := Open("spool", testOptions(mem))
	require.NoError(f, err)
	put(f, s, false, padded(1, 300)...)
	require.NoError(f, s.Close())
	names, err := mem.List("spool")
	require.NoError(f, err)
	for _, n := range names {
		if kindOf(n) == "log" {
			file, err := mem.Open("spool/" + n)
			require.NoError(f, err)
			b := make([]byte, 1<<17)
			k, _ := file.ReadAt(b, 0)
			require.NoError(f, file.Close())
			f.Add(b[:k], uint32(2))
		}
	}
	f.Add([]byte{}, uint32(0))
	f.Add(make([]byte, logBlock+logHeader), uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, num uint32) {
		size := 0
		x := salvager{r: &Remains{marks: map[string]mark{}}}
		for _, h := range readLog(b, num, func(w []byte) { size += len(w); x.write(w) }) {
			require.Less(t, h.from, h.to)
			require.LessOrEqual(t, h.to, len(b))
		}
		require.LessOrEqual(t, size, len(b))
	})
}
