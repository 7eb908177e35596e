package spool

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// 1000 records in commits of ten: small commits, as the store tries every bit
// of a damaged one.
const damageCommits, damageEach = 100, 10

// written returns the file system after 1000 acknowledged records as a power
// cut leaves it. They lie in one log; with rotate another follows.
func written(t *testing.T, o Options, rotate bool) *vfs.MemFS {
	mem := vfs.NewCrashableMem()
	fs := &faultFS{FS: mem}
	if rotate {
		fs.tables = make(chan struct{})
	}
	o.FS = fs
	s, err := Open("spool", o)
	require.NoError(t, err)
	for i := range damageCommits {
		require.NoError(t, put(t, s, false, padded(1+i*damageEach, damageEach)...).Err)
	}
	if rotate {
		// The table that would replace the log is held up.
		_, err := s.db.AsyncFlush()
		require.NoError(t, err)
		require.NoError(t, put(t, s, false, "in the next log").Err)
	}
	if o.Seal > 0 {
		require.Eventually(t, func() bool { return s.Stats().Sealed == s.Last() }, waitLong, waitShort)
	}
	cut := mem.CrashClone(vfs.CrashCloneCfg{})
	if rotate {
		close(fs.tables)
	}
	require.NoError(t, s.Close())
	return cut
}

// padded returns records as long as real ones.
func padded(from, n int) []string {
	rs := numbered(from, n)
	for i := range rs {
		rs[i] += strings.Repeat(" ", 300)
	}
	return rs
}

func content(t *testing.T, fs vfs.FS, name string) []byte {
	f, err := fs.Open(name)
	require.NoError(t, err)
	st, err := f.Stat()
	require.NoError(t, err)
	b := make([]byte, st.Size())
	_, err = f.ReadAt(b, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return b
}

func overwrite(t *testing.T, fs vfs.FS, name string, b []byte) {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(b)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

// find returns where a record stands, or one of the few behind it: the log
// may tear one in two.
func find(b []byte, record int) int {
	for i := range 5 {
		if at := bytes.Index(b, fmt.Appendf(nil, "record %d ", record+i)); at >= 0 {
			return at
		}
	}
	return -1
}

// hurt changes the log that holds the record and returns its name.
func hurt(t *testing.T, fs vfs.FS, record int, f func(b []byte, at int) []byte) string {
	names, err := fs.List("spool")
	require.NoError(t, err)
	for _, n := range names {
		name := path.Join("spool", n)
		if !strings.HasSuffix(n, ".log") {
			continue
		}
		if b := content(t, fs, name); find(b, record) >= 0 {
			overwrite(t, fs, name, f(b, find(b, record)))
			return n
		}
	}
	require.Fail(t, "no log holds the record")
	return ""
}

func flip(b []byte, at int) []byte       { b[at+3] ^= 4; return b }
func cutOff(b []byte, at int) []byte     { return b[:at] }
func zeroTail(b []byte, at int) []byte   { clear(b[at:]); return b }
func zeroSector(b []byte, at int) []byte { clear(b[at : at+512]); return b }
func leaveAlone(b []byte, at int) []byte { return b }

// TestDamage (acceptance row 5): a torn tail opens without the torn batch,
// damage before it refuses, and nothing damaged is ever read.
// SPOOL_DAMAGE_STEP=1 flips a bit in every commit, not in every tenth.
func TestDamage(t *testing.T) {
	sealed := testOptions(nil)
	sealed.Seal = time.Millisecond
	type test struct {
		name   string
		o      Options
		rotate bool
		record int
		damage func(b []byte, at int) []byte
		want   uint64 // last record, 0: refuses
	}
	open := testOptions(nil)
	tests := []test{
		{"nothing", sealed, false, 500, leaveAlone, 1000},
		{"torn in the middle of the last commit", open, false, 992, cutOff, 990},
		{"sectors of the tail are zero", open, false, 992, zeroTail, 990},
		{"bit of the last commit", open, false, 992, flip, 990},
		{"last commit torn off after the witness", sealed, false, 992, cutOff, 0},
		{"sectors of the tail are zero after the witness", sealed, false, 992, zeroTail, 0},
		{"bit of the last commit after the witness", sealed, false, 992, flip, 0},
		{"sector of zeros in an older commit", sealed, false, 800, zeroSector, 0},
		{"sector of zeros in an older log", open, true, 200, zeroSector, 0},
		{"older log cut off", open, true, 200, cutOff, 0},
		{"bit of the last commit of a log that was followed by another", open, true, 992, flip, 0},
	}
	for at := 5; at < 990; at += 10 * longer("SPOOL_DAMAGE_STEP", 10) { // 1: every commit
		tests = append(tests,
			test{fmt.Sprintf("bit of record %d", at), sealed, false, at, flip, 0},
			test{fmt.Sprintf("bit of record %d, another log behind", at), open, true, at, flip, 0})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := written(t, tt.o, tt.rotate)
			log := hurt(t, fs, tt.record, tt.damage)
			s, err := Open("spool", testOptions(fs))
			if tt.want == 0 {
				require.ErrorIs(t, err, ErrDamaged)
				// The file, or where the store has not noticed the records.
				assert.Regexp(t, log+"|records [0-9]+ to 1000 were acknowledged", err.Error(), "the place is named")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, s.Last())
			for seq, rec := range all(t, s) {
				assert.Equal(t, fmt.Sprintf("record %d", seq), strings.TrimSpace(rec))
			}
			require.NoError(t, s.Close())
		})
	}
}

// TestNewestFormatFromTheStart: also the first log of a new spool is written
// in the format that tells damage from a torn end. The store alone begins it
// in its oldest.
func TestNewestFormatFromTheStart(t *testing.T) {
	fs := written(t, testOptions(nil), false)
	names, err := fs.List("spool")
	require.NoError(t, err)
	newest := 0
	for _, n := range names {
		if kindOf(n) != "log" {
			continue
		}
		if b := content(t, fs, path.Join("spool", n)); len(b) > logHeader {
			assert.GreaterOrEqual(t, int(b[6]), chunkNewest, n)
			newest++
		}
	}
	assert.Positive(t, newest)
}

// TestControlWithoutWitness (acceptance row 5) shows what the witness is for:
// near the end of the live log the store takes damage for the end.
func TestControlWithoutWitness(t *testing.T) {
	lost := 0
	for at := 950; at < 990; at += 10 {
		fs := written(t, testOptions(nil), false)
		hurt(t, fs, at, flip)
		s, err := Open("spool", testOptions(fs))
		if err != nil {
			continue
		}
		lost += int(1000 - s.Last())
		require.NoError(t, s.Close())
	}
	assert.Positive(t, lost)
	t.Logf("%d acknowledged records vanished over 4 single bits", lost)
}

// TestControlDefaultFormat (acceptance row 5) shows why the format is set: the
// oldest one reads the same damage as the end of the log and opens.
func TestControlDefaultFormat(t *testing.T) {
	o := testOptions(nil)
	o.format = pebble.FormatMinSupported
	lost := 0
	for at := 50; at < 900; at += 100 {
		fs := written(t, o, false)
		hurt(t, fs, at, flip)
		o.FS = fs
		s, err := Open("spool", o)
		if err != nil {
			continue
		}
		lost += int(1000 - s.Last())
		require.NoError(t, s.Close())
	}
	assert.Positive(t, lost, "acknowledged records vanish without an error")
	t.Logf("%d acknowledged records vanished over 9 single bits", lost)
}

// TestDamagedTable (acceptance row 5): records that have moved out of the log
// are checked too.
func TestDamagedTable(t *testing.T) {
	mem := vfs.NewMem()
	s, err := Open("spool", testOptions(mem))
	require.NoError(t, err)
	for range 10 {
		put(t, s, false, numbered(1, 1000)...)
	}
	require.NoError(t, s.db.Flush())
	require.NoError(t, s.Close())
	names, err := mem.List("spool")
	require.NoError(t, err)
	tables := 0
	for _, n := range names {
		if !strings.HasSuffix(n, ".sst") {
			continue
		}
		tables++
		b := content(t, mem, path.Join("spool", n))
		b[len(b)/3] ^= 1
		overwrite(t, mem, path.Join("spool", n), b)
	}
	require.Positive(t, tables)
	_, err = Open("spool", testOptions(mem))
	require.ErrorIs(t, err, ErrDamaged)
	t.Log(err)
}

func TestOpenRefuses(t *testing.T) {
	fresh := func(t *testing.T, f func(s *Spool)) *vfs.MemFS {
		mem := vfs.NewMem()
		s, err := Open("spool", testOptions(mem))
		require.NoError(t, err)
		put(t, s, false, numbered(1, 10)...)
		f(s)
		require.NoError(t, s.Close())
		return mem
	}
	set := func(k, v []byte) func(s *Spool) {
		return func(s *Spool) { _ = s.db.Set(k, v, pebble.Sync) }
	}
	for _, tt := range []struct {
		name string
		f    func(s *Spool)
		want string
		is   error
	}{
		{"Q017 a layout of the future", set(keyMeta, make([]byte, 20)), "newer program", ErrVersion},
		{"no layout", func(s *Spool) { _ = s.db.Delete(keyMeta, pebble.Sync) }, "layout is missing", ErrDamaged},
		{"Q016 a hole", func(s *Spool) { _ = s.db.Delete(newKey(keyRecord, 4), pebble.Sync) }, "records 4 to 4 are missing", ErrDamaged},
		{"end missing, watermark there", set(keyWatermark, newKey(0, 11)[1:]), "delivered up to 11", ErrDamaged},
		{"end missing, cut there", set(newKey(keyCut, 5), (&Cut{Last: 12}).append(nil)), "queued up to 12", ErrDamaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open("spool", testOptions(fresh(t, tt.f)))
			require.ErrorIs(t, err, tt.is)
			assert.ErrorContains(t, err, tt.want)
		})
	}
	t.Run("a record its reader refuses", func(t *testing.T) {
		o := testOptions(fresh(t, func(*Spool) {}))
		o.Scan = func(seq uint64, _ []byte) error {
			if seq == 7 {
				return fmt.Errorf("what is this?")
			}
			return nil
		}
		_, err := Open("spool", o)
		assert.ErrorContains(t, err, "record 7: what is this?")
	})
	t.Run("in use", func(t *testing.T) {
		dir := t.TempDir()
		o := testOptions(nil)
		s, err := Open(dir, o)
		require.NoError(t, err)
		_, err = Open(dir, o)
		assert.ErrorContains(t, err, "in use?")
		require.NoError(t, s.Close())
	})
	t.Run("read only", func(t *testing.T) {
		o := testOptions(fresh(t, func(*Spool) {}))
		o.ReadOnly = true
		s, err := Open("spool", o)
		require.NoError(t, err)
		assert.Len(t, all(t, s), 10)
		b := s.NewBatch()
		b.Add(1, nil, false)
		assert.False(t, s.Submit(b, nil))
		require.NoError(t, s.Close())
		o.FS = vfs.NewMem()
		_, err = Open("spool", o)
		require.Error(t, err)
	})
}
