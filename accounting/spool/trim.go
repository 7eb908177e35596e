package spool

import (
	"errors"
	"sort"
	"time"
)

// trimStep is how many records must be dead before they are deleted: a
// tombstone for every few records would cost more than it frees.
const trimStep = 1024

// maxMoved bounds the records that one commit moves into their markers.
const maxMoved = 1024

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
	bound, err := s.moveOwed(bound)
	if err == nil {
		bound, err = s.moveDead(bound)
	}
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

// moveOwed moves the records below bound that a home still waits for into
// their markers: a home that stays away, or is gone for good, must keep its
// own records only and not the log behind them, which would fill the disk of
// all others. It returns how far one commit has come.
func (s *Spool) moveOwed(bound uint64) (uint64, error) {
	w := &s.writer
	it, err := s.iter(keyForward, w.lowest, bound)
	if err != nil {
		return 0, err
	}
	moved := 0
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		seq := seqOf(it.Key())
		if moved == maxMoved {
			bound = seq
			break
		}
		if len(it.Value()) > 0 {
			continue // before a restart
		}
		moved++
		_, err = s.lend(seq, nil, func(_ uint64, rec []byte) bool {
			_ = w.pb.Set(key(&w.key, keyForward, seq), rec, nil)
			return true
		})
	}
	if err = errors.Join(err, damaged("reading forward markers", it.Close())); err == nil {
		w.lowest = bound
	}
	return bound, err
}

func (s *Spool) deleteBelow(bound uint64) error {
	w := &s.writer
	drop := func(prefix byte, to uint64) {
		_ = w.pb.DeleteRange(newKey(prefix, 0), newKey(prefix, to), nil)
	}
	drop(keyRecord, bound)
	drop(keyCut, bound)
	// A lost range that bound lies in is kept whole.
	if i := sort.Search(len(s.lost), func(i int) bool { return s.lost[i].Last >= bound }); i < len(s.lost) {
		drop(keyLost, min(bound, s.lost[i].First))
	} else {
		drop(keyLost, bound)
	}
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
