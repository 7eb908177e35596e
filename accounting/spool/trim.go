package spool

import (
	"sort"
	"time"
)

// trimStep is how many records must be dead before they are deleted: a
// tombstone for every few records would cost more than it frees.
const trimStep = 1024

// writeTrim deletes what nobody needs any more. asked is a caller's wish,
// which is limited like the committer's own.
func (s *Spool) writeTrim(asked uint64) error {
	w := &s.writer
	first := s.first.Load()
	bound := s.keepFrom(max(w.mark, s.watermark.Load()))
	if asked > 0 {
		bound = min(bound, asked)
	}
	if bound <= first || (asked == 0 && bound-first < trimStep) {
		return nil
	}
	bound, err := s.owed(bound)
	if err != nil || bound <= first {
		return err
	}
	// A cut is deleted with the last of its records, never before.
	c, ok, err := s.cutBefore(bound)
	if err != nil {
		return err
	}
	if ok && c.Last >= bound {
		bound = max(first, c.First)
	}
	if bound <= first {
		return nil
	}
	w.floor = bound
	return s.deleteBelow(bound)
}

// keepFrom returns the first record that the watermark and retention keep.
func (s *Spool) keepFrom(watermark uint64) uint64 {
	w := &s.writer
	bound := min(watermark+1, w.next)
	// The newest record stays in any case: it says where numbering goes on.
	retain := uint64(max(s.o.Retain, 1))
	if w.next <= retain {
		return 0
	}
	bound = min(bound, w.next-retain)
	if s.o.RetainTime <= 0 {
		return bound
	}
	// The last minute that began before the limit has records on both sides
	// of it: keep all of it.
	limit := s.o.now().Add(-s.o.RetainTime).Unix()
	i := sort.Search(len(w.times), func(i int) bool { return w.times[i].unix > limit }) - 1
	if i < 0 {
		return 0
	}
	return min(bound, w.times[i].seq)
}

// owed lowers bound to the oldest record not yet forwarded.
func (s *Spool) owed(bound uint64) (uint64, error) {
	w := &s.writer
	it, err := s.iter(keyForward, w.lowest, bound)
	if err != nil {
		return 0, err
	}
	w.lowest = bound
	for ok := it.First(); ok; ok = it.Next() {
		w.lowest = seqOf(it.Key())
		break
	}
	return w.lowest, damaged("reading forward markers", it.Close())
}

func (s *Spool) deleteBelow(bound uint64) error {
	w := &s.writer
	drop := func(prefix byte, to uint64) {
		_ = w.pb.DeleteRange(newKey(prefix, 0), newKey(prefix, to), nil)
	}
	drop(keyRecord, bound)
	drop(keyCut, bound)
	// Keep the minute that bound lies in.
	i := sort.Search(len(w.times), func(i int) bool { return w.times[i].seq > bound }) - 1
	if i > 0 {
		drop(keyTime, uint64(w.times[i].unix))
		w.times = append(w.times[:0], w.times[i:]...)
	}
	s.oldest()
	return nil
}

// oldest publishes when the oldest kept record came, to the minute.
func (s *Spool) oldest() {
	if w := &s.writer; len(w.times) > 0 {
		s.stats.oldest.Store(w.times[0].unix)
	}
}

// reclaim is how long the store may leave deleted records on the disk.
const reclaim = 10 * time.Second
