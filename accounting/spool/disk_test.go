package spool

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// smallDisk is a file system with room for so many octets. As on a real one
// the write that meets the end writes what fits.
type smallDisk struct {
	vfs.FS
	mu    sync.Mutex // guards all below and the sizes in files
	room  int64
	files map[string]*extent
}

// extent is what one file takes.
type extent struct{ size int64 }

type smallFile struct {
	vfs.File
	disk *smallDisk
	e    *extent
	pos  int64
}

func newSmallDisk(fs vfs.FS, room int64) *smallDisk {
	return &smallDisk{FS: fs, room: room, files: map[string]*extent{}}
}

func (d *smallDisk) usedLocked() (n int64) {
	for _, e := range d.files {
		n += e.size
	}
	return n
}

// leave makes room for so many octets more.
func (d *smallDisk) leave(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = d.usedLocked() + n
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	used := d.usedLocked()
	return vfs.DiskUsage{AvailBytes: uint64(max(d.room-used, 0)), TotalBytes: uint64(d.room), UsedBytes: uint64(used)}, nil
}

func (d *smallDisk) opened(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.files[name]
	if e == nil {
		e = new(extent)
		d.files[name] = e
	}
	return &smallFile{File: f, disk: d, e: e}, nil
}

func (d *smallDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.gone(name)
	f, err := d.FS.Create(name, c)
	return d.opened(name, f, err)
}

func (d *smallDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, c, o...)
	return d.opened(name, f, err)
}

func (d *smallDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, c)
	d.moved(from, to)
	return d.opened(to, f, err)
}

func (d *smallDisk) Rename(from, to string) error {
	err := d.FS.Rename(from, to)
	d.moved(from, to)
	return err
}

func (d *smallDisk) Remove(name string) error {
	err := d.FS.Remove(name)
	d.gone(name)
	return err
}

func (d *smallDisk) moved(from, to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[to] = d.files[from]
	delete(d.files, from)
}

func (d *smallDisk) gone(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, name)
}

// take is how much of n octets at pos fits.
func (f *smallFile) take(pos int64, n int) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	more := max(pos+int64(n)-f.e.size, 0)
	left := max(f.disk.room-f.disk.usedLocked(), 0)
	var err error
	if more > left {
		n, err = max(n-int(more-left), 0), &os.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}
	}
	f.e.size = max(f.e.size, pos+int64(n))
	return n, err
}

func (f *smallFile) Write(b []byte) (int, error) {
	fits, full := f.take(f.pos, len(b))
	n, err := f.File.Write(b[:fits])
	f.pos += int64(n)
	if err == nil {
		err = full
	}
	return n, err
}

func (f *smallFile) WriteAt(b []byte, at int64) (int, error) {
	fits, full := f.take(at, len(b))
	n, err := f.File.WriteAt(b[:fits], at)
	if err == nil {
		err = full
	}
	return n, err
}

// fill submits records one by one until one is not taken, and returns what
// was acknowledged.
func fill(t *testing.T, s *Spool, acked map[uint64]string) {
	t.Helper()
	done := make(collector, 1)
	for i := range 5000 {
		b := s.NewBatch()
		b.Add(0, []byte(padded(i, 1)[0]), i%8 == 0)
		if !s.Submit(b, done) {
			return
		}
		<-done
		if b.Err != nil {
			require.ErrorIs(t, b.Err, ErrNoSpace)
			return
		}
		acked[b.Seq(0)] = string(b.Record(0))
	}
	require.Fail(t, "the disk was never full")
}

// TestDiskFullAtAnyByte (acceptance row 6): F17. A neighbour fills the disk at
// any octet of a commit: the write under way is saved by the ballast, nothing
// more is taken, taking resumes by itself, and what was acknowledged is there.
func TestDiskFullAtAnyByte(t *testing.T) {
	for left := int64(0); left < 2400; left += 113 { // a record takes some 350 octets
		synctest.Test(t, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			disk := newSmallDisk(mem, 64<<20)
			o := testOptions(disk)
			o.Ballast, o.Seal = 1<<20, time.Millisecond
			s, err := Open("spool", o)
			require.NoError(t, err)
			want := map[uint64]string{}
			require.Equal(t, int64(1<<20), s.ballast.size)
			require.NoError(t, put(t, s, true, "before").Err)
			want[1] = "before"
			disk.leave(left)
			fill(t, s, want)
			require.Equal(t, NoSpace, s.State(), "%d left", left)
			_, err = disk.Stat("spool/" + ballastName)
			require.ErrorIs(t, err, os.ErrNotExist, "the ballast is given up")
			cut := mem.CrashClone(vfs.CrashCloneCfg{})
			time.Sleep(time.Minute) // synctest's clock
			assert.Equal(t, NoSpace, s.State(), "what the ballast left is not to be filled")
			s.SetWatermark(1)
			disk.leave(64 << 20)
			time.Sleep(2 * spaceInterval)
			require.Equal(t, Ready, s.State(), "taking resumes by itself")
			b := put(t, s, false, "after")
			require.NoError(t, b.Err)
			assert.Equal(t, uint64(1), s.Watermark(), "marks have waited for room")
			time.Sleep(2 * spaceInterval)
			st, err := disk.Stat("spool/" + ballastName)
			require.NoError(t, err, "the ballast is made anew")
			assert.Equal(t, o.Ballast, st.Size())
			require.NoError(t, s.Failure())
			require.NoError(t, s.Close())

			s, err = Open("spool", testOptions(cut))
			require.NoError(t, err, "%d left: power cut while full", left)
			compare(t, s, want, "while full")
			require.NoError(t, s.Close())
			want[b.Seq(0)] = "after"
			s, err = Open("spool", testOptions(mem))
			require.NoError(t, err)
			compare(t, s, want, "after")
			assert.Len(t, want, int(s.Last()), "only what was acknowledged")
			require.NoError(t, s.Close())
		})
	}
}

// TestBallastFilled: where a neighbour takes the ballast's room too, what is
// under way is turned away before it can fail, and marks as well.
func TestBallastFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSmallDisk(vfs.NewMem(), 64<<20)
		o := testOptions(disk)
		o.Ballast = 1 << 20
		s, err := Open("spool", o)
		require.NoError(t, err)
		want := map[uint64]string{}
		disk.leave(100)
		fill(t, s, want)
		disk.leave(0)
		require.ErrorIs(t, s.Settle([]uint64{1}, nil), ErrNoSpace)
		require.ErrorIs(t, s.Trim(1), ErrNoSpace)
		require.ErrorIs(t, s.Cut(Cut{First: 1, Last: 1}), ErrNoSpace)
		time.Sleep(time.Minute)
		require.NoError(t, s.Failure())
		assert.Positive(t, s.Stats().Pending)
		disk.leave(64 << 20)
		require.NoError(t, s.Close())
	})
}

// TestFullDiskWithoutBallast: then the failed write is final.
func TestFullDiskWithoutBallast(t *testing.T) {
	for left := int64(0); left < 1200; left += 97 {
		mem := vfs.NewCrashableMem()
		disk := newSmallDisk(mem, 64<<20)
		s, err := Open("spool", testOptions(disk))
		require.NoError(t, err)
		want := map[uint64]string{}
		disk.leave(left)
		done := make(collector, 1)
		var b *Batch
		for i := 0; b == nil || b.Err == nil; i++ {
			b = s.NewBatch()
			b.Add(0, []byte(padded(i, 1)[0]), false)
			require.True(t, s.Submit(b, done))
			<-done
			if b.Err == nil {
				want[b.Seq(0)] = string(b.Record(0))
			}
		}
		require.ErrorIs(t, b.Err, ErrFailed)
		require.ErrorIs(t, b.Err, syscall.ENOSPC)
		disk.leave(1 << 20)
		assert.False(t, s.Submit(b, done), "not before a restart")
		require.ErrorIs(t, s.Close(), ErrFailed)
		s, err = Open("spool", testOptions(mem.CrashClone(vfs.CrashCloneCfg{})))
		require.NoError(t, err)
		compare(t, s, want, "after restart")
		require.NoError(t, s.Close())
	}
}

// TestFaultAtAnySync (acceptance row 6): F18, F19. Whichever sync or write
// fails first, and though the next would succeed: no acknowledgement after it.
func TestFaultAtAnySync(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		sync bool
	}{
		{"F18 input/output error at a sync", syscall.EIO, true},
		{"no space at a sync", syscall.ENOSPC, true},
		{"input/output error at a write", syscall.EIO, false},
		{"F19 read-only remount", syscall.EROFS, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for n := int64(0); n < 24; n++ {
				faultAfter(t, n, tt.err, tt.sync)
			}
		})
	}
}

func faultAfter(t *testing.T, n int64, fault error, sync bool) {
	mem := vfs.NewCrashableMem()
	fs := &countedFS{FS: mem, err: fault, sync: sync, once: fault != syscall.EROFS}
	o := testOptions(fs)
	o.Seal, o.Ballast = time.Nanosecond, 1<<10
	s, err := Open("spool", o)
	require.NoError(t, err)
	fs.left.Store(n)
	fs.armed.Store(true)
	want, done := map[uint64]string{}, make(collector, 1)
	failed := false
	for i := range 100 {
		b := s.NewBatch()
		b.Add(0, []byte(padded(i, 1)[0]), i%3 == 0)
		if !s.Submit(b, done) {
			failed = true
			continue
		}
		<-done
		if b.Err != nil {
			failed = true
			require.ErrorIs(t, b.Err, ErrFailed)
			continue
		}
		require.False(t, failed, "acknowledged after a fault")
		want[b.Seq(0)] = string(b.Record(0))
	}
	require.True(t, fs.fired.Load(), "the fault was met")
	require.ErrorIs(t, s.Close(), fault)
	s, err = Open("spool", testOptions(mem.CrashClone(vfs.CrashCloneCfg{})))
	require.NoError(t, err)
	compare(t, s, want, "after restart")
	require.NoError(t, s.Close())
}

// countedFS fails one sync or write, or with once false every call from it on
// that changes something, after so many that succeed.
type countedFS struct {
	vfs.FS
	err          error
	sync, once   bool
	armed, fired atomic.Bool
	left         atomic.Int64
}

func (f *countedFS) hit(sync bool) error {
	if !f.armed.Load() || (f.sync != sync && f.once) {
		return nil
	}
	if n := f.left.Add(-1); n == -1 || n < -1 && !f.once {
		f.fired.Store(true)
		return f.err
	}
	return nil
}

type countedFile struct {
	vfs.File
	fs *countedFS
}

func (f *countedFS) file(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &countedFile{file, f}, nil
}

func (f *countedFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if !f.once && f.hit(false) != nil {
		return nil, f.err
	}
	return f.file(f.FS.Create(name, c))
}

func (f *countedFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(f.FS.ReuseForWrite(from, to, c))
}

func (f *countedFile) Write(b []byte) (int, error) {
	if err := f.fs.hit(false); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

func (f *countedFile) synced(do func() error) error {
	if err := f.fs.hit(true); err != nil {
		return err
	}
	return do()
}

func (f *countedFile) Sync() error     { return f.synced(f.File.Sync) }
func (f *countedFile) SyncData() error { return f.synced(f.File.SyncData) }
func (f *countedFile) SyncTo(n int64) (full bool, err error) {
	err = f.synced(func() (err error) { full, err = f.File.SyncTo(n); return err })
	return full, err
}

func (f *countedFS) Lock(name string) (io.Closer, error) {
	if !f.once && f.hit(false) != nil {
		return nil, f.err
	}
	return f.FS.Lock(name)
}

// TestReadOnlyDisk (acceptance row 6): F19 at start.
func TestReadOnlyDisk(t *testing.T) {
	mem := vfs.NewMem()
	s, err := Open("spool", testOptions(mem))
	require.NoError(t, err)
	require.NoError(t, put(t, s, false, "kept").Err)
	require.NoError(t, s.Close())
	fs := &countedFS{FS: mem, err: syscall.EROFS}
	fs.armed.Store(true)
	_, err = Open("spool", testOptions(fs))
	require.ErrorIs(t, err, syscall.EROFS)
	assert.NotErrorIs(t, err, ErrDamaged)
}

// TestFullDiskAtStart: the store cannot write what its log holds into a
// table, and tries without end. Open says why. The store's goroutines stay
// until the process ends, so this is done in one of its own.
func TestFullDiskAtStart(t *testing.T) {
	const child = "ROAMGATE_TEST_FULL_AT_START"
	if os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDiskAtStart$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		require.Contains(t, string(out), "refused, then opened", "%v", err)
		return
	}
	mem := vfs.NewCrashableMem()
	disk := newSmallDisk(mem, 64<<20)
	s, err := Open("spool", testOptions(disk))
	require.NoError(t, err)
	put(t, s, false, padded(1, 100)...)
	require.NoError(t, s.Close())
	disk.leave(2000)
	_, err = Open("spool", testOptions(disk))
	require.ErrorIs(t, err, syscall.ENOSPC)
	s, err = Open("spool", testOptions(mem.CrashClone(vfs.CrashCloneCfg{})))
	require.NoError(t, err)
	assert.Len(t, all(t, s), 100)
	fmt.Println("refused, then opened")
	os.Exit(0)
}

// TestDiskLevels: F16. One line in the log for each level that is crossed.
func TestDiskLevels(t *testing.T) {
	mem := vfs.NewMem()
	core, logs := observer.New(zap.InfoLevel)
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(mem)
		o.Logger = zap.New(core)
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 500, UsedBytes: 500})
		s, err := Open("spool", o)
		require.NoError(t, err)
		for _, step := range []struct {
			used  uint64
			level int
			says  string
		}{
			{690, 0, ""}, {700, 70, "disk fills up"}, {699, 70, ""}, {849, 70, ""}, {970, 95, "disk fills up"},
			{945, 95, ""}, {940, 85, "disk has more room"}, {850, 85, ""}, {100, 0, "disk has more room"},
		} {
			before := logs.Len()
			mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1000 - step.used, UsedBytes: step.used})
			time.Sleep(5 * spaceInterval) // synctest's clock
			st := s.Stats()
			assert.Equal(t, step.level, st.DiskLevel, step.used)
			assert.InDelta(t, float64(step.used)/1000, st.DiskUsed, 1e-9)
			said := []string{}
			for _, e := range logs.All()[before:] {
				said = append(said, e.Message)
			}
			assert.Equal(t, step.says, strings.Join(said, ", "), step.used)
		}
		require.NoError(t, s.Close())
	})
}
