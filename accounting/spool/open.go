package spool

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"
)

// Open opens or creates the spool in dir and checks it: every acknowledged
// record must be there and readable, else Open refuses with ErrDamaged and
// says where. A torn end of the log, which was never acknowledged, is cut
// off silently. The directory is locked until Close.
func Open(dir string, o Options) (*Spool, error) {
	o.defaults()
	s := &Spool{
		o: o, dir: dir,
		changed: make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
		broke:   make(chan struct{}),
	}
	s.store.quit = make(chan struct{})
	s.in.batches = make([]*Batch, 0, 64)
	s.guardDisk()
	if err := s.guard(s.openStore, s.broke); err != nil {
		if s.lock != nil {
			_ = s.lock.Close() // a store that is stuck keeps it until the process ends
		}
		return nil, fmt.Errorf("opening spool %s: %w", dir, err)
	}
	s.store.open.Store(true)
	if err := s.guard(s.load, nil); err != nil {
		_ = s.abandon()
		return nil, fmt.Errorf("opening spool %s: %w", dir, err)
	}
	if o.ReadOnly {
		s.state.Store(uint32(Closed))
		s.in.stop = true
		close(s.stopped)
		return s, nil
	}
	s.writer.pb = s.db.NewBatch(pebble.WithInitialSizeBytes(1<<20), pebble.WithMaxRetainedSizeBytes(2*maxCommitBytes))
	s.checkSpace()
	s.growBallast()
	s.measure()
	s.oldest()
	o.Logger.Info("spool open", zap.String("dir", dir), zap.Uint64("epoch", s.epoch),
		zap.Uint64("first", s.First()), zap.Uint64("last", s.Last()), zap.Uint64("watermark", s.Watermark()))
	go s.run()
	return s, nil
}

// guard runs f on a goroutine of its own, which the store may end
// (storeLogger). Once forsaken is closed it does not wait any longer: the
// store may hold f for ever (background).
func (s *Spool) guard(f func() error, forsaken <-chan struct{}) error {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() { done <- err }()
		err = f()
	}()
	select {
	case err := <-done:
		if err != nil {
			return err
		}
	case <-forsaken:
	}
	return s.Failure()
}

func (s *Spool) openStore() error {
	if !s.o.ReadOnly {
		if err := s.o.FS.MkdirAll(s.dir, 0o750); err != nil {
			return err
		}
	}
	lock, err := pebble.LockDirectory(s.dir, s.o.FS)
	if err != nil {
		return fmt.Errorf("locking, is it in use? %w", err)
	}
	s.lock = lock
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	if err = s.create(cache, lock); err == nil {
		s.db, err = pebble.Open(s.dir, s.storeOptions(cache, lock))
	}
	if err != nil {
		if pebble.IsCorruptionError(err) {
			err = damaged("reading the log", err)
		}
		return err
	}
	return nil
}

// create opens and closes a store that is not there yet, or of an older
// format: the store raises the format of a directory only after it has begun
// a log in the old one, which would hold our first 16 MiB of records without
// the marks by which damage is known (damage_test.go).
func (s *Spool) create(cache *pebble.Cache, lock *pebble.Lock) error {
	if s.o.ReadOnly {
		return nil
	}
	d, err := pebble.Peek(s.dir, s.o.FS)
	if err != nil || d.Exists && d.FormatMajorVersion >= s.o.format {
		return nil // what is wrong Open says
	}
	db, err := pebble.Open(s.dir, s.storeOptions(cache, lock))
	if err != nil {
		return err
	}
	return db.Close()
}

// load reads where the log stands and checks it.
func (s *Spool) load() error {
	if err := s.loadMeta(); err != nil {
		return err
	}
	if err := s.loadNode(); err != nil {
		return err
	}
	if err := s.loadLost(); err != nil {
		return err
	}
	if err := s.loadEnds(); err != nil {
		return err
	}
	w := &s.writer
	w.next = s.last.Load() + 1
	if err := s.loadTimes(); err != nil {
		return err
	}
	it, err := s.iter(keyForward, 0, 0)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		s.pending.Add(1)
	}
	if err := it.Close(); err != nil {
		return damaged("reading forward markers", err)
	}
	if err := s.loadDead(); err != nil {
		return err
	}
	if s.o.SkipCheck {
		return nil
	}
	return s.check()
}

// loadMeta reads or writes what names this spool.
func (s *Spool) loadMeta() error {
	v, c, err := s.db.Get(keyMeta)
	switch {
	case err == nil:
		defer func() { _ = c.Close() }()
		if len(v) != 9 || v[0] != layout {
			return fmt.Errorf("%w: written by a newer program?", ErrVersion)
		}
		s.epoch = binary.BigEndian.Uint64(v[1:])
		return nil
	case !errors.Is(err, pebble.ErrNotFound):
		return damaged("reading the layout", err)
	case s.o.ReadOnly:
		return errors.New("there is no spool")
	}
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	some := it.First()
	if err := it.Close(); err != nil || some {
		return damaged("the layout is missing", errors.Join(err, errors.New("but there are records")))
	}
	s.epoch = uint64(s.o.now().Unix())
	return s.db.Set(keyMeta, binary.BigEndian.AppendUint64([]byte{layout}, s.epoch), pebble.Sync)
}

// loadNode compares whose spool this is with whose it should be.
func (s *Spool) loadNode() error {
	v, c, err := s.db.Get(keyNode)
	switch {
	case err == nil:
		s.node = string(v)
		if err := c.Close(); err != nil {
			return err
		}
		if s.o.Node != "" && s.o.Node != s.node {
			return fmt.Errorf("%w: it is that of %q, not of %q "+
				"(each node needs a spool of its own; one that is renamed keeps its old name for its spool)", ErrOwner, s.node, s.o.Node)
		}
		return nil
	case !errors.Is(err, pebble.ErrNotFound):
		return damaged("reading the node", err)
	case s.o.ReadOnly:
		return nil
	}
	s.node = cmp.Or(s.o.Node, s.o.DefaultNode)
	if s.node == "" {
		return nil
	}
	return s.db.Set(keyNode, []byte(s.node), pebble.Sync)
}

// loadEnds finds first, last and watermark.
func (s *Spool) loadEnds() error {
	v, c, err := s.db.Get(keyWatermark)
	if err == nil && len(v) == 8 {
		s.watermark.Store(binary.BigEndian.Uint64(v))
		s.in.watermark = s.watermark.Load()
		err = c.Close()
	}
	if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return damaged("reading the watermark", err)
	}
	it, err := s.iter(keyRecord, 0, 0)
	if err != nil {
		return err
	}
	s.first.Store(1)
	if n := len(s.lost); n > 0 {
		s.last.Store(s.lost[n-1].Last) // numbers are not given twice
		s.first.Store(s.last.Load() + 1)
	}
	if it.First() {
		s.first.Store(seqOf(it.Key()))
	}
	if len(s.lost) > 0 {
		s.first.Store(min(s.lost[0].First, s.first.Load()))
	}
	if it.Last() {
		s.last.Store(max(seqOf(it.Key()), s.last.Load()))
	}
	if err := it.Close(); err != nil {
		return damaged("reading the ends of the log", err)
	}
	last := s.last.Load()
	if w := s.watermark.Load(); w > last {
		return fmt.Errorf("%w: delivered up to %d, but the last record is %d", ErrDamaged, w, last)
	}
	cut, ok, err := s.cutBefore(^uint64(0))
	if err == nil && ok && cut.Last > last {
		err = fmt.Errorf("%w: queued up to %d, but the last record is %d", ErrDamaged, cut.Last, last)
	}
	if err != nil {
		return err
	}
	return s.checkWitness()
}

func (s *Spool) loadTimes() error {
	it, err := s.iter(keyTime, 0, 0)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if v := it.Value(); len(v) == 8 {
			s.writer.times = append(s.writer.times, minute{int64(seqOf(it.Key())), binary.BigEndian.Uint64(v)})
		}
	}
	return damaged("reading times", it.Close())
}

// check reads every record: the store verifies its checksums, we the
// numbering and the caller the content.
func (s *Spool) check() (err error) {
	rerr := s.read(0, s.last.Load(), func(seq uint64, rec []byte) bool {
		if s.o.Scan != nil {
			err = s.o.Scan(seq, rec)
		}
		if err != nil {
			err = damaged(fmt.Sprintf("record %d", seq), err)
		}
		return err == nil
	})
	return errors.Join(err, rerr)
}
