package spool

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// storeLogger stands between the store and our log. The store calls Fatalf
// when it cannot know what is on the disk and expects the process to end.
// Ours must go on serving authentication, but the store must not go on: a
// manifest or a log written again after a failed sync would pass for
// durable. So Fatalf marks the spool failed and ends the calling goroutine,
// which releases the locks its deferred calls hold; the committer and Open
// notice by their own deferred calls.
type storeLogger struct{ s *Spool }

func (l storeLogger) Infof(string, ...any) {}

func (l storeLogger) Errorf(format string, args ...any) {
	l.s.o.Logger.Warn("spool store", zap.String("reason", fmt.Sprintf(format, args...)))
}

func (l storeLogger) Fatalf(format string, args ...any) {
	err := fatalError{text: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err.cause = cause
		}
	}
	l.s.fail(err)
	runtime.Goexit()
}

// fatalError keeps what the store's text was made of.
type fatalError struct {
	text  string
	cause error
}

func (e fatalError) Error() string { return e.text }
func (e fatalError) Unwrap() error { return e.cause }

// background hears of a table that could not be written. The store holds its
// lock, and tries again at once and for ever: patientFS slows that down.
// A full disk passes; whatever else keeps tables from being written does not
// get better by trying, and while the store opens nobody could make room.
func (s *Spool) background(err error) {
	if s.Failure() != nil {
		return
	}
	s.store.failed.Store(time.Now().UnixNano())
	if text := err.Error(); s.store.said.Swap(text) != text {
		s.o.Logger.Warn("spool store", zap.String("reason", text))
	}
	if !s.store.open.Load() {
		s.fail(err)
		runtime.Goexit() // Open does not wait for it any more (guard)
	}
	if !errors.Is(err, syscall.ENOSPC) && !pebble.IsCorruptionError(err) {
		s.fail(err)
	}
}

// patience is how long the store waits before it tries a failed table again.
const patience = time.Second

// store is what we know of the store's own goroutines.
type store struct {
	open   atomic.Bool  // it has been opened
	failed atomic.Int64 // when a table could not be written, Unix ns
	said   atomic.Value // string: why, last
	quit   chan struct{}
}

// patientFS holds up the next table after one that could not be written.
type patientFS struct {
	vfs.FS
	s *Spool
}

func (p patientFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	at := p.s.store.failed.Load()
	if wait := patience - time.Duration(time.Now().UnixNano()-at); at != 0 && wait > 0 && strings.HasSuffix(name, ".sst") {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.s.store.quit:
		}
	}
	return p.FS.Create(name, c)
}

// Unwrap lets the store find the file system of the machine.
func (p patientFS) Unwrap() vfs.FS { return p.FS }

func (s *Spool) storeOptions(cache *pebble.Cache, lock *pebble.Lock) *pebble.Options {
	return &pebble.Options{
		FS:                 patientFS{s.o.FS, s},
		Cache:              cache,
		Lock:               lock,
		FormatMajorVersion: s.o.format,
		ReadOnly:           s.o.ReadOnly,
		Logger:             storeLogger{s},
		// Large enough that a commit of 4 MiB is no "large batch" to the
		// store; small, as it keeps that many logs of this size for reuse and
		// reads them at start. Larger ones were not measurably faster.
		MemTableSize:                16 << 20,
		MemTableStopWritesThreshold: 4,
		FlushDelayDeleteRange:       reclaim,
		EventListener: &pebble.EventListener{
			BackgroundError: s.background,
			// The default ends the process. The read that met the damage
			// returns it.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				s.o.Logger.Error("spool file is damaged", zap.String("reason", i.String()))
			},
		},
	}
}
