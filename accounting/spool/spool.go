package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"
)

var (
	// ErrDamaged: acknowledged data is missing or unreadable.
	ErrDamaged = errors.New("the spool is damaged")
	// ErrFailed: a write or sync failed; the process must be started again.
	ErrFailed = errors.New("the spool has failed")
	// ErrNoSpace: the disk is full; later it may have room again.
	ErrNoSpace = errors.New("the spool has no room on its disk")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("the spool is closed")
	// ErrOwner: another node wrote this spool.
	ErrOwner = errors.New("the spool belongs to another node")
	// ErrVersion: a newer program wrote this spool.
	ErrVersion = errors.New("the spool has an unknown layout")
)

// layout is the version of the key space below.
//
//	r<seq>  record                      f<seq>  owed to a home server
//	b<seq>  cut of the queue            t<sec>  first seq committed in that minute
//	d<seq>  dead letter: owed to nobody any more
//	w       watermark                   m       layout, epoch
//	n       node                        l<seq>  last of a range that a repair found lost
//
// An f<seq> is empty while the log has its record, and holds the record once
// the log is trimmed past it; so does a d<seq> behind its reason (dead.go).
const layout = 1

const (
	keyRecord  = 'r'
	keyForward = 'f'
	keyDead    = 'd'
	keyCut     = 'b'
	keyTime    = 't'
	keyLost    = 'l'
)

var (
	keyWatermark = []byte{'w'}
	keyMeta      = []byte{'m'}
	keyNode      = []byte{'n'}
)

const keyLen = 9

func key(dst *[keyLen]byte, prefix byte, n uint64) []byte {
	dst[0] = prefix
	binary.BigEndian.PutUint64(dst[1:], n)
	return dst[:]
}

func newKey(prefix byte, n uint64) []byte { return key(new([keyLen]byte), prefix, n) }

func seqOf(k []byte) uint64 { return binary.BigEndian.Uint64(k[1:]) }

// Spool is an open log.
type Spool struct {
	o     Options
	dir   string
	db    *pebble.DB
	lock  io.Closer
	epoch uint64
	node  string
	lost  []Span // what a repair did not find, upwards; not changed once open

	// What readers need; written by the committer only.
	first, last, watermark atomic.Uint64
	pending                atomic.Int64
	dead                   [256]atomic.Int64 // by Letter.Reason
	state                  atomic.Uint32
	stats                  counters
	ballast                ballast
	store                  store
	changed                chan struct{}
	failure                atomic.Pointer[error]
	broke                  chan struct{} // closed with failure

	in      intake
	wake    chan struct{}
	stopped chan struct{}
	writer  writer
	closing sync.Once

	open sync.RWMutex // held for reading while the store is used, for writing to close it
	shut bool         // guarded by open
}

// intake is what callers have left for the committer.
type intake struct {
	mu        sync.Mutex // guards all below
	batches   []*Batch
	records   int
	bytes     int
	watermark uint64
	requests  []*request
	stop      bool
}

// request is something a caller waits for.
type request struct {
	cuts []Cut
	trim uint64

	taken   []uint64 // owed no longer
	letters []Letter
	revive  []uint64
	revived int
	lazy    bool // needs no sync

	err  error
	done chan struct{}
}

// Submit hands b to the committer, which returns it through done once its
// records are durable or can never be. It reports false, and retains
// nothing, when the spool does not take records now; State says why. A
// caller that gets false must not answer the client.
//
// hot: 0 allocs, never waits for the disk
func (s *Spool) Submit(b *Batch, done Done) bool {
	if b.load() == 0 || State(s.state.Load()) != Ready {
		s.stats.refused.Add(uint64(b.Len()))
		return false
	}
	q := &s.in
	q.mu.Lock()
	if q.stop || q.records+b.load() > s.o.MaxQueued || q.bytes+b.Size() > s.o.MaxQueuedBytes {
		q.mu.Unlock()
		s.stats.refused.Add(uint64(b.Len()))
		return false
	}
	b.Err, b.done = nil, done
	q.batches = append(q.batches, b)
	q.records += b.load()
	q.bytes += b.Size()
	q.mu.Unlock()
	s.signal()
	return true
}

// NewBatch returns an empty batch.
func (s *Spool) NewBatch() *Batch { return new(Batch) }

// SetWatermark says that everything up to and including seq is safe on the
// other side of the queue. It never falls.
func (s *Spool) SetWatermark(seq uint64) {
	s.in.mu.Lock()
	s.in.watermark = max(s.in.watermark, min(seq, s.last.Load()))
	s.in.mu.Unlock()
	s.signal()
}

// Trim deletes delivered records below the given sequence number, as far as
// watermark and retention allow; those owed to a home stay for Pending. The
// committer does the same by itself as the watermark moves.
func (s *Spool) Trim(below uint64) error { return s.ask(&request{trim: below}) }

func (s *Spool) ask(r *request) error {
	r.done = make(chan struct{})
	s.in.mu.Lock()
	if s.in.stop {
		s.in.mu.Unlock()
		return s.unusable()
	}
	s.in.requests = append(s.in.requests, r)
	s.in.mu.Unlock()
	s.signal()
	<-r.done
	return r.err
}

func (s *Spool) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Last returns the newest durable sequence number, 0 when there is none.
func (s *Spool) Last() uint64 { return s.last.Load() }

// First returns the oldest sequence number that can be read. It is Last()+1
// when there is none.
func (s *Spool) First() uint64 { return s.first.Load() }

// Watermark returns the newest delivered sequence number.
func (s *Spool) Watermark() uint64 { return s.watermark.Load() }

// Epoch tells this spool from any that was or will be at its place: it grows
// when a spool is created anew, while sequence numbers start again.
func (s *Spool) Epoch() uint64 { return s.epoch }

// Node names the node that the spool belongs to, "" when none was ever said.
func (s *Spool) Node() string { return s.node }

// Changed receives a value after new records became durable. It serves one
// receiver and holds one value: read until Last after each.
func (s *Spool) Changed() <-chan struct{} { return s.changed }

// State says whether records are taken.
func (s *Spool) State() State {
	st := State(s.state.Load())
	if st != Ready {
		return st
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.in.records >= s.o.MaxQueued || s.in.bytes >= s.o.MaxQueuedBytes {
		return Full
	}
	return Ready
}

// Failure returns the error that ended the spool, nil while it works.
func (s *Spool) Failure() error {
	if p := s.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// fail makes the spool refuse from now on. The first error is kept.
func (s *Spool) fail(err error) {
	err = fmt.Errorf("%w: %w", ErrFailed, err)
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.broke)
		s.o.Logger.Error("spool failed, accounting is no longer acknowledged until restart",
			zap.String("dir", s.dir), zap.Error(err))
	}
	s.state.Store(uint32(Failed))
	s.signal()
}

// unusable is the error of a call that came too late.
func (s *Spool) unusable() error {
	if err := s.Failure(); err != nil {
		return err
	}
	return ErrClosed
}

// Close commits what was submitted, seals the log and closes it. After a
// failure it closes what still can be.
func (s *Spool) Close() error {
	s.closing.Do(func() {
		s.in.mu.Lock()
		s.in.stop = true
		s.in.mu.Unlock()
		s.signal()
		close(s.store.quit)
	})
	<-s.stopped
	s.open.Lock()
	defer s.open.Unlock()
	if s.shut {
		return nil
	}
	s.shut = true
	s.state.CompareAndSwap(uint32(Ready), uint32(Closed))
	if s.Failure() != nil {
		return s.abandon()
	}
	err := s.db.Close()
	return errors.Join(wrap("closing the store", err), s.lock.Close())
}

// abandon closes a failed store, which may hang in its own locks: then its
// goroutines stay until the process ends, as it must soon.
func (s *Spool) abandon() error {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		defer func() { _ = recover() }()
		_ = s.db.Close()
	}()
	select {
	case <-closed:
	case <-time.After(2 * time.Second):
	}
	_ = s.lock.Close()
	return s.Failure()
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
