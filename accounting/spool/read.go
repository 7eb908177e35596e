package spool

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Read calls fn for every durable record from the sequence number from on,
// or from the oldest kept, until fn returns false. rec is lent for the call.
// A record that is missing or unreadable ends it with ErrDamaged, but for
// those that a repair has found lost (Lost): they are left out.
func (s *Spool) Read(from uint64, fn func(seq uint64, rec []byte) bool) error {
	return s.use(func() error {
		return s.read(from, s.last.Load(), fn)
	})
}

func (s *Spool) read(from, last uint64, fn func(seq uint64, rec []byte) bool) (err error) {
	from = max(from, s.first.Load())
	if from > last {
		return nil
	}
	it, err := s.iter(keyRecord, from, last+1)
	if err != nil {
		return err
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = damaged("reading records", e)
		}
	}()
	next := from
	for ok := it.First(); ok; ok = it.Next() {
		seq := seqOf(it.Key())
		// The log may have been trimmed since from was chosen.
		if next = max(next, min(seq, s.first.Load())); seq != next && !s.isLost(next, seq-1) {
			return fmt.Errorf("%w: records %d to %d are missing", ErrDamaged, next, seq-1)
		}
		next = seq + 1
		if !fn(seq, it.Value()) {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return damaged(fmt.Sprintf("reading record %d", next), err)
	}
	if next = max(next, s.first.Load()); next <= last && !s.isLost(next, last) {
		return fmt.Errorf("%w: records %d to %d are missing", ErrDamaged, next, last)
	}
	return nil
}

// Pending calls fn for up to limit records from the sequence number from on
// that are owed to a home server: those added with forward that Settle
// has not named. rec is lent for the call. limit 0 is no limit.
func (s *Spool) Pending(from uint64, limit int, fn func(seq uint64, rec []byte) bool) error {
	return s.use(func() error {
		it, err := s.iter(keyForward, from, s.last.Load()+1)
		if err != nil {
			return err
		}
		n := 0
		for ok := it.First(); ok && err == nil; ok = it.Next() {
			var more bool
			if more, err = s.lend(seqOf(it.Key()), it.Value(), fn); !more {
				break
			}
			if n++; n == limit {
				break
			}
		}
		return errors.Join(err, damaged("reading forward markers", it.Close()))
	})
}

// lend calls fn with one record, which the marker holds if the log has been
// trimmed past it.
func (s *Spool) lend(seq uint64, marker []byte, fn func(seq uint64, rec []byte) bool) (more bool, err error) {
	if len(marker) > 0 {
		return fn(seq, marker), nil
	}
	v, c, err := s.db.Get(newKey(keyRecord, seq))
	if errors.Is(err, pebble.ErrNotFound) {
		// Trimmed since the marker was read: it holds the record now, or is
		// gone because a home has answered.
		v, c, err = s.db.Get(newKey(keyForward, seq))
		if errors.Is(err, pebble.ErrNotFound) {
			return true, nil
		}
		if err == nil && len(v) == 0 {
			err = errors.Join(errors.New("it is missing"), c.Close())
		}
	}
	if err != nil {
		return false, damaged(fmt.Sprintf("reading record %d", seq), err)
	}
	more = fn(seq, v)
	return more, c.Close()
}

// use keeps the store open while f runs. A failed store is not read either:
// it may hold records in memory that were never durable.
func (s *Spool) use(f func() error) error {
	s.open.RLock()
	defer s.open.RUnlock()
	if s.shut || s.Failure() != nil {
		return s.unusable()
	}
	return f()
}

// iter walks the keys of a prefix with from <= number < to; to 0 is no limit.
func (s *Spool) iter(prefix byte, from, to uint64) (*pebble.Iterator, error) {
	o := &pebble.IterOptions{LowerBound: newKey(prefix, from), UpperBound: []byte{prefix + 1}}
	if to != 0 {
		o.UpperBound = newKey(prefix, to)
	}
	it, err := s.db.NewIter(o)
	return it, damaged("reading", err)
}

// damaged wraps a read error of the store: whatever it is, acknowledged data
// cannot be read.
func damaged(doing string, err error) error {
	if err == nil || errors.Is(err, ErrDamaged) {
		return err
	}
	if where := place(err); where != "" {
		doing += ": " + where
	}
	return fmt.Errorf("%w: %s: %w", ErrDamaged, doing, err)
}

// place digs out what the store says of the file and offset, which its
// errors carry beside their text.
func place(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		if d, ok := err.(interface{ ErrorDetail() string }); ok && d.ErrorDetail() != "" {
			return d.ErrorDetail()
		}
	}
	return ""
}
