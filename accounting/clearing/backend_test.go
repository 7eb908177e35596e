package clearing

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roamgate/roamgate/test/peer"
)

// testServerKilled kills the server between batches; a Take that fails is
// given the same batch again.
func testServerKilled(t *testing.T, p *peer.Postgres) {
	b := newBench(t, inPostgres(p))
	for i, d := range lives(newHub(t, "hub-1"), 10, 6) {
		if i == 2 {
			p.Kill()
			_, err := b.s.Take(ctx, d)
			require.Error(t, err)
			p.Restart()
		}
		for range 10 { // connections of the pool that died with the server
			if _, err := b.s.Take(ctx, d); err == nil {
				break
			}
		}
		b.take(d)
	}
	assert.Equal(t, wantLives(10), b.usage())
}

// testConsumerHangs has a consumer stop in the midst of a transaction: others
// go on once the server has ended it, and it finds its batch taken.
func testConsumerHangs(t *testing.T, p *peer.Postgres) {
	b := newBench(t, inPostgres(p))
	hangs, goesOn := make(chan struct{}), make(chan struct{})
	o := b.o
	o.PostgreSQL += "&idle_in_transaction_session_timeout=200ms"
	o.fault = func(step string) error {
		if step == "commit" {
			close(hangs)
			<-goesOn
		}
		return nil
	}
	slow, err := Open(ctx, o)
	require.NoError(t, err)
	defer func() { assert.NoError(t, slow.Close()) }()
	ds := lives(newHub(t, "hub-1"), 10, 6)
	done := make(chan error, 1)
	go func() {
		_, err := slow.Take(ctx, ds[0])
		done <- err
	}()
	<-hangs
	b.take(ds...)
	close(goesOn)
	require.Error(t, <-done)
	slow.o.fault = func(string) error { return nil }
	mark, err := slow.Take(ctx, ds[0])
	require.NoError(t, err)
	assert.Equal(t, uint64(30), mark)
	assert.Equal(t, wantLives(10), b.usage())
}

func testLaterTables(t *testing.T, p *peer.Postgres) {
	b := newBench(t, inPostgres(p))
	c, err := pgx.Connect(ctx, b.o.PostgreSQL)
	require.NoError(t, err)
	_, err = c.Exec(ctx, `UPDATE clearing_version SET version = 2`)
	require.NoError(t, err)
	require.NoError(t, c.Close(ctx))
	_, err = Open(ctx, b.o)
	require.ErrorContains(t, err, "newer program")
}

func TestDirectoryIsLocked(t *testing.T) {
	b := newBench(t, onDisk)
	_, err := Open(ctx, b.o)
	require.ErrorContains(t, err, "in use")
	b.take(lives(newHub(t, "hub-1"), 3, 4)...)
	assert.Equal(t, wantLives(3), b.usage())
}

// TestPowerCut (acceptance row 4) drops what was not synced: a batch that was
// taken stays.
func TestPowerCut(t *testing.T) {
	fs := vfs.NewCrashableMem()
	b := newBench(t, func(testing.TB) Options { return Options{Directory: "clearing", fs: fs} })
	ds := lives(newHub(t, "hub-1"), 10, 6)
	for i, d := range ds {
		b.take(d)
		cut := newBench(t, func(testing.TB) Options {
			return Options{Directory: "clearing", fs: fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0})}
		})
		src, err := cut.s.Sources(ctx)
		require.NoError(t, err)
		require.Len(t, src, 1)
		assert.Equal(t, ds[i].Last, src[0].Whole)
		cut.take(ds...)
		assert.Equal(t, wantLives(10), cut.usage())
	}
}

// faultFS is a file system whose log can fail, once, as Linux tells it.
type faultFS struct {
	vfs.FS
	syncErr, writeErr atomic.Pointer[error]
}

type faultFile struct {
	vfs.File
	fs *faultFS
}

func (f *faultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(name)(f.FS.Create(name, c))
}

func (f *faultFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(to)(f.FS.ReuseForWrite(from, to, c))
}

func (f *faultFS) wrap(name string) func(vfs.File, error) (vfs.File, error) {
	return func(file vfs.File, err error) (vfs.File, error) {
		if err != nil || !strings.HasSuffix(name, ".log") {
			return file, err
		}
		return &faultFile{file, f}, nil
	}
}

func once(p *atomic.Pointer[error], do func() error) error {
	if err := p.Swap(nil); err != nil {
		return *err
	}
	return do()
}

func (f *faultFile) Sync() error     { return once(&f.fs.syncErr, f.File.Sync) }
func (f *faultFile) SyncData() error { return once(&f.fs.syncErr, f.File.SyncData) }
func (f *faultFile) Write(b []byte) (n int, err error) {
	err = once(&f.fs.writeErr, func() (err error) { n, err = f.File.Write(b); return err })
	return n, err
}

// TestFailedDisk breaks the log: the batch and all later ones are refused
// though the disk works again, and nothing is lost or double after a new start.
func TestFailedDisk(t *testing.T) {
	errIO := errors.New("input/output error")
	for _, what := range []string{"sync", "write"} {
		t.Run(what, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			fs := &faultFS{FS: mem}
			b := newBench(t, func(testing.TB) Options { return Options{Directory: "clearing", fs: fs} })
			ds := lives(newHub(t, "hub-1"), 10, 6)
			b.take(ds[:2]...)
			if what == "sync" {
				fs.syncErr.Store(&errIO)
			} else {
				fs.writeErr.Store(&errIO)
			}
			for range 3 {
				_, err := b.s.Take(ctx, ds[2])
				require.ErrorIs(t, err, ErrFailed)
			}
			_, err := b.s.Stats(ctx)
			require.ErrorIs(t, err, ErrFailed)
			_, err = b.s.Sweep(ctx, noon)
			require.ErrorIs(t, err, ErrFailed)
			require.ErrorIs(t, b.s.Close(), ErrFailed)
			b.s = nil

			b.o.fs = mem.CrashClone(vfs.CrashCloneCfg{})
			b.open()
			b.take(ds...)
			assert.Equal(t, wantLives(10), b.usage())
			assert.Equal(t, int64(30), b.stats().Reports)
		})
	}
}

// TestLaterLayout opens what a later program has written.
func TestLaterLayout(t *testing.T) {
	b := newBench(t, inMemory)
	e := b.s.b.(*embedded)
	require.NoError(t, e.db.Set([]byte{keyLayout}, []byte{layout + 1}, nil))
	require.NoError(t, b.s.Close())
	b.s = nil
	_, err := Open(ctx, b.o)
	require.ErrorContains(t, err, "newer program")
}

// TestComparer holds what the store asks of prefixes (pebble.Comparer).
func TestComparer(t *testing.T) {
	key := rapid.Custom(func(t *rapid.T) []byte {
		k := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xff}), 1, 24).Draw(t, "k")
		k[0] = keyClaim
		return k
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := key.Draw(t, "a"), key.Draw(t, "b")
		pa, pb := a[:comparer.Split(a)], b[:comparer.Split(b)]
		if c := bytes.Compare(pa, pb); c != 0 {
			assert.Equal(t, c, comparer.Compare(a, b), "prefixes are in the order of keys")
		}
		assert.Equal(t, len(pa), comparer.Split(pa))
		next := comparer.ImmediateSuccessor(nil, pa)
		assert.Equal(t, len(next), comparer.Split(next), "it is a prefix")
		assert.Positive(t, comparer.Compare(next, a))
		if bytes.Compare(pb, pa) > 0 {
			assert.LessOrEqual(t, comparer.Compare(next, pb), 0, "nothing is between")
		}
	})
}
