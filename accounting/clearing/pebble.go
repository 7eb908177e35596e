package clearing

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"go.uber.org/zap"
)

// embedded is the backend in a directory.
type embedded struct {
	o    *Options
	db   *pebble.DB
	lock *pebble.Lock

	mu   sync.Mutex // one writer at a time
	ages ages       // guarded by mu

	failure struct {
		sync.Mutex
		err error
	}
}

// ErrFailed is wrapped by every error after a write or sync of the embedded
// store has failed: what is on the disk is not known until it is opened again.
var ErrFailed = errors.New("clearing: the store has failed")

// storeLogger stands between the store and our log. The store calls Fatalf
// when it cannot know what is on the disk. The process must go on, the store
// must not: the goroutine that called ends, and guard notices.
type storeLogger struct{ e *embedded }

func (l storeLogger) Infof(string, ...any) {}

func (l storeLogger) Errorf(format string, args ...any) {
	l.e.o.Logger.Warn("clearing store", zap.String("reason", fmt.Sprintf(format, args...)))
}

func (l storeLogger) Fatalf(format string, args ...any) {
	l.e.fail(fmt.Errorf(format, args...))
	runtime.Goexit()
}

func (e *embedded) fail(err error) {
	e.failure.Lock()
	defer e.failure.Unlock()
	if e.failure.err == nil {
		e.failure.err = fmt.Errorf("%w: %w", ErrFailed, err)
		e.o.Logger.Error("clearing store failed", zap.Error(err))
	}
}

func (e *embedded) failed() error {
	e.failure.Lock()
	defer e.failure.Unlock()
	return e.failure.err
}

// guard runs f on a goroutine of its own, which the store may end.
func (e *embedded) guard(f func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = f()
	}()
	<-done
	return errors.Join(err, e.failed())
}

func openPebble(o *Options) (*embedded, error) {
	e := &embedded{o: o}
	if err := e.guard(e.open); err != nil {
		if e.db != nil {
			_ = e.close()
		}
		return nil, err
	}
	return e, nil
}

func (e *embedded) open() error {
	if err := e.o.fs.MkdirAll(e.o.Directory, 0o750); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(e.o.Directory, e.o.fs)
	if err != nil {
		return fmt.Errorf("locking %s, is it in use? %w", e.o.Directory, err)
	}
	cache := pebble.NewCache(192 << 20)
	defer cache.Unref()
	po := &pebble.Options{
		FS:                 e.o.fs,
		Cache:              cache,
		Comparer:           comparer,
		Lock:               lock,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             storeLogger{e},
		// They are taken from the cache: that must hold more than four of
		// them, or the filters of the tables are read again and again.
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 4,
		EventListener: &pebble.EventListener{
			// The default ends the process. The read that met the damage
			// returns it.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				e.o.Logger.Error("clearing file is damaged", zap.String("reason", i.String()))
			},
		},
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most events are new
	}
	// What is there is soon written again.
	po.Levels[0].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	for i := range po.Levels[1:] {
		po.Levels[i+1].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	if e.db, err = pebble.Open(e.o.Directory, po); err != nil {
		_ = lock.Close()
		return err
	}
	e.lock = lock
	v, err := (&shelf{e.db}).get([]byte{keyLayout})
	switch {
	case err != nil:
		return err
	case v == nil:
		e.ages.oldest = math.MaxInt64
		return e.db.Set([]byte{keyLayout}, []byte{layout}, pebble.Sync)
	case !bytes.Equal(v, []byte{layout}):
		return fmt.Errorf("%s is of layout %d, this program reads %d: written by a newer program?", e.o.Directory, v[0], layout)
	}
	e.ages.oldest, err = (&shelf{e.db}).number([]byte{keyOldest})
	return err
}

// close closes the store. One that has failed may not end: its background
// work is then left behind.
func (e *embedded) close() error {
	closed := make(chan error, 1)
	go func() {
		err := errors.New("closing did not end")
		defer func() { closed <- err }() // also where the store ends this goroutine
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("closing: %v", r)
			}
		}()
		err = e.db.Close()
	}()
	var late <-chan time.Time
	if e.failed() != nil {
		late = time.After(2 * time.Second)
	}
	var err error
	select {
	case err = <-closed:
	case <-late:
	}
	return errors.Join(err, e.failed(), e.lock.Close())
}

func (e *embedded) view(ctx context.Context, f func(book) error) error {
	if err := errors.Join(ctx.Err(), e.failed()); err != nil {
		return err
	}
	snap := e.db.NewSnapshot()
	defer func() { _ = snap.Close() }()
	return f(&shelf{snap})
}

func (e *embedded) update(ctx context.Context, f func(book) (*change, error)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := errors.Join(ctx.Err(), e.failed(), e.o.fault("begin")); err != nil {
		return err
	}
	c, err := f(&shelf{e.db})
	if err != nil || c == nil {
		return err
	}
	w := &writer{shelf: shelf{e.db}, b: e.db.NewBatch(pebble.WithInitialSizeBytes(1 << 20)), fault: e.o.fault}
	defer func() { _ = w.b.Close() }()
	if err := w.write(c); err != nil {
		return err
	}
	written := c.oldest()
	oldest := min(e.ages.oldest, written)
	if oldest != e.ages.oldest {
		w.set([]byte{keyOldest}, binary.BigEndian.AppendUint64(nil, uint64(oldest)))
	}
	if w.err != nil {
		return w.err
	}
	if err := e.o.fault("commit"); err != nil {
		return err
	}
	if err := e.commit(w.b); err != nil {
		return err
	}
	e.ages.oldest, e.ages.met = oldest, min(e.ages.met, written)
	return e.o.fault("committed")
}

func (e *embedded) commit(b *pebble.Batch) error {
	return e.guard(func() error { return b.Commit(pebble.Sync) })
}
