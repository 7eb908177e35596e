package spool

import (
	"fmt"
	"runtime"

	"github.com/cockroachdb/pebble/v2"
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
	l.s.fail(fmt.Errorf(format, args...))
	runtime.Goexit()
}

func (s *Spool) storeOptions(cache *pebble.Cache, lock *pebble.Lock) *pebble.Options {
	return &pebble.Options{
		FS:                 s.o.FS,
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
			// The default ends the process. The read that met the damage
			// returns it.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				s.o.Logger.Error("spool file is damaged", zap.String("reason", i.String()))
			},
		},
	}
}
