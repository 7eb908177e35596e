package spool

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faultFS is a file system that can break in the ways disks do.
type faultFS struct {
	vfs.FS
	lie     atomic.Bool           // Sync does nothing and says it did
	syncErr atomic.Pointer[error] // Sync fails once with it, then works again
	wrErr   atomic.Pointer[error] // Write fails with it
	only    string                // suffix of the files that syncErr and wrErr hit, "" all
	tables  chan struct{}         // not nil: tables are created only after a receive
}

type faultFile struct {
	vfs.File
	fs   *faultFS
	name string
}

func (f *faultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if f.tables != nil && strings.HasSuffix(name, ".sst") {
		<-f.tables
	}
	file, err := f.FS.Create(name, c)
	return f.wrap(name, file, err)
}

func (f *faultFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(from, to, c)
	return f.wrap(to, file, err)
}

func (f *faultFS) wrap(name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultFile{file, f, name}, nil
}

func (f *faultFile) hit() bool { return strings.HasSuffix(f.name, f.fs.only) }

func (f *faultFile) sync(do func() error) error {
	if p := f.fs.syncErr.Load(); p != nil && f.hit() {
		// As Linux does: the error is told once, then the pages count as clean.
		f.fs.syncErr.Store(nil)
		return *p
	}
	if f.fs.lie.Load() {
		return nil
	}
	return do()
}

func (f *faultFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *faultFile) SyncData() error { return f.sync(f.File.SyncData) }
func (f *faultFile) SyncTo(n int64) (bool, error) {
	full := false
	err := f.sync(func() (err error) { full, err = f.File.SyncTo(n); return err })
	return full, err
}

func (f *faultFile) Write(b []byte) (int, error) {
	if p := f.fs.wrErr.Load(); p != nil && f.hit() {
		return 0, *p
	}
	return f.File.Write(b)
}

var errIO = errors.New("input/output error")

// TestControlLyingDisk (acceptance row 4) shows that the power cut test can
// fail: on a disk that does not sync, acknowledged records are lost.
func TestControlLyingDisk(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs := &faultFS{FS: mem}
	s, err := Open("spool", testOptions(fs))
	require.NoError(t, err)
	fs.lie.Store(true)
	for range 10 {
		require.NoError(t, put(t, s, false, numbered(1, 100)...).Err)
	}
	cut := mem.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())
	s, err = Open("spool", testOptions(cut))
	require.NoError(t, err)
	assert.Less(t, s.Last(), uint64(1000))
	require.NoError(t, s.Close())
}

// TestNoAcknowledgementAfterAFault (acceptance row 6, C14) breaks the log and
// the manifest in turn: the batch in flight and all later ones are refused
// though the disk works again, and what was acknowledged before is there after
// a new start.
func TestNoAcknowledgementAfterAFault(t *testing.T) {
	for _, tt := range []struct {
		name, only string
		sync       bool
	}{
		{"F18 sync of the log", ".log", true},
		{"write of the log", ".log", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			fs := &faultFS{FS: mem, only: tt.only}
			s, err := Open("spool", testOptions(fs))
			require.NoError(t, err)
			require.NoError(t, put(t, s, false, numbered(1, 10)...).Err)
			if tt.sync {
				fs.syncErr.Store(&errIO)
			} else {
				fs.wrErr.Store(&errIO)
			}
			b := put(t, s, false, "lost")
			require.ErrorIs(t, b.Err, ErrFailed)
			require.ErrorContains(t, b.Err, "input/output error")
			fs.wrErr.Store(nil)
			refuses(t, s)
			require.ErrorIs(t, s.Close(), ErrFailed)
			s, err = Open("spool", testOptions(mem.CrashClone(vfs.CrashCloneCfg{})))
			require.NoError(t, err)
			assert.Equal(t, uint64(10), s.Last())
			require.NoError(t, s.Close())
		})
	}
}

func refuses(t *testing.T, s *Spool) {
	t.Helper()
	assert.Equal(t, Failed, s.State())
	b := s.NewBatch()
	b.Add(1, []byte("later"), false)
	assert.False(t, s.Submit(b, make(collector, 1)))
	require.ErrorIs(t, s.Cut(Cut{First: 1, Last: 2}), ErrFailed)
	require.ErrorIs(t, s.Read(0, nil), ErrFailed, "a failed store may show what was never durable")
	assert.Equal(t, uint64(1), s.Stats().Refused)
}

// TestManifestFault ends the store from one of its own goroutines: the
// process lives on.
func TestManifestFault(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fs := &faultFS{FS: mem}
	s, err := Open("spool", testOptions(fs))
	require.NoError(t, err)
	require.NoError(t, put(t, s, false, numbered(1, 10)...).Err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		storeLogger{s}.Fatalf("%s", errIO)
		assert.Fail(t, "the store went on after a fatal error")
	}()
	<-done
	<-s.stopped
	refuses(t, s)
	require.ErrorIs(t, s.Close(), ErrFailed)
}

// TestFullDisk (acceptance row 6): a full disk stops acknowledging until there
// is room.
func TestFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 2 << 20})
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(mem)
		o.MinFree = 1 << 20
		s, err := Open("spool", o)
		require.NoError(t, err)
		require.NoError(t, put(t, s, false, "fits").Err)
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1<<20 - 1})
		require.NoError(t, put(t, s, false, "what was taken is kept").Err)
		assert.Equal(t, NoSpace, s.State())
		b := s.NewBatch()
		b.Add(1, []byte("refused"), false)
		assert.False(t, s.Submit(b, make(collector, 1)))
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1<<20 + 1000})
		time.Sleep(2 * spaceInterval) // synctest's clock
		assert.Equal(t, NoSpace, s.State(), "not yet an eighth more")
		mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 2 << 20})
		time.Sleep(2 * spaceInterval)
		assert.Equal(t, Ready, s.State(), "taking resumes by itself")
		require.NoError(t, put(t, s, false, "after").Err)
		assert.Len(t, all(t, s), 3)
		require.NoError(t, s.Close())
	})
}

func TestQueueBound(t *testing.T) {
	fs := &faultFS{FS: vfs.NewMem()}
	o := testOptions(fs)
	o.MaxQueued = 5
	s, err := Open("spool", o)
	require.NoError(t, err)
	hold := make(chan struct{})
	release := holder{hold}
	first := s.NewBatch()
	first.Add(1, []byte("x"), false)
	require.True(t, s.Submit(first, release)) // keeps the committer busy
	<-hold
	done := make(collector, 10)
	for i := range 6 {
		b := s.NewBatch()
		b.Add(uint64(i), []byte("y"), false)
		assert.Equal(t, i < 5, s.Submit(b, done), i)
	}
	assert.Equal(t, Full, s.State())
	big := s.NewBatch()
	for range 6 {
		big.Add(1, nil, false)
	}
	assert.False(t, s.Submit(big, done))
	assert.False(t, s.Submit(s.NewBatch(), done), "an empty batch has no end to wait for")
	hold <- struct{}{}
	for range 5 {
		require.NoError(t, (<-done).Err)
	}
	assert.Equal(t, uint64(7), s.Stats().Refused)
	assert.Equal(t, uint64(6), s.Last())
	require.NoError(t, s.Close())
}

// holder stops the committer inside SpoolDone.
type holder struct{ c chan struct{} }

func (h holder) SpoolDone(*Batch) { h.c <- struct{}{}; <-h.c }
