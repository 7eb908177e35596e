package clearing

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
)

// Options of a Store. Exactly one of Directory and PostgreSQL is given.
type Options struct {
	// Directory of the embedded store, which locks it.
	Directory string
	// PostgreSQL is a connection string; tables are made in the first schema
	// of its search_path.
	PostgreSQL string
	// Rules join reports to sessions; nil is session.Default.
	Rules *session.Rules
	// Keep is how long what is closed stays: sessions, the keys that find
	// duplicates, usage records. 0 is 400 days, by the reports' own time.
	Keep time.Duration
	// Settle is how long the watermark of a spool is held back whose first
	// record was never seen. 0 is ten minutes, negative not at all.
	Settle time.Duration
	// Logger takes state changes; nil logs nothing.
	Logger *zap.Logger
	// Clock is the wall clock; nil is time.Now. It says when something was
	// taken; reports have their own time.
	Clock func() time.Time

	fs    vfs.FS                            // tests: of the embedded store
	fault func(step string) error           // tests: may fail or panic at any step
	parse func([]byte, *usage.Report) error // tests: what an older program can read
}

func (o *Options) defaults() error {
	if (o.Directory == "") == (o.PostgreSQL == "") {
		return errors.New("one of a directory and a PostgreSQL must be given")
	}
	if o.Rules == nil {
		r := session.Default()
		o.Rules = &r
	}
	if o.Keep <= 0 {
		o.Keep = 400 * 24 * time.Hour
	}
	if o.Settle == 0 {
		o.Settle = 10 * time.Minute
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	if o.parse == nil {
		o.parse = usage.ParseReport
	}
	if o.fault == nil {
		o.fault = func(string) error { return nil }
	}
	return nil
}

// Store is the clearing store.
type Store struct {
	o      Options
	b      backend
	opened time.Time
	commit struct{ n, nanos atomic.Int64 }
}

// Open opens or creates a store.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.defaults(); err != nil {
		return nil, fmt.Errorf("opening the clearing store: %w", err)
	}
	s := &Store{o: o, opened: o.Clock()}
	var err error
	if o.Directory != "" {
		s.b, err = openPebble(&s.o)
	} else {
		s.b, err = openPostgres(ctx, &s.o)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the clearing store: %w", err)
	}
	return s, nil
}

// Close closes the store. No other call may be under way.
func (s *Store) Close() error { return s.b.close() }

func (s *Store) update(ctx context.Context, f func(book) (*change, error)) error {
	start := s.o.Clock()
	err := s.b.update(ctx, f)
	if err == nil {
		s.commit.n.Add(1)
		s.commit.nanos.Add(int64(s.o.Clock().Sub(start)))
	}
	return err
}
