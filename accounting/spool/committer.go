package spool

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"
)

// writer is the committer's own state: no other goroutine touches it.
type writer struct {
	pb         *pebble.Batch
	key        [keyLen]byte
	next       uint64   // sequence number of the next record
	taken      []*Batch // out of the intake, oldest first
	at         int      // taken[:at] are answered
	group      int      // taken[at:at+group] go into the next commit
	requests   []*request
	mark       uint64   // watermark to write
	floor      uint64   // trim to write: first record to keep
	lowest     uint64   // no forward marker below is without its record
	lowestDead uint64   // nor a dead letter
	times      []minute // minutes that have records, oldest first
	witness    witness
}

// minute names the first record of one minute.
type minute struct {
	unix int64
	seq  uint64
}

// run is the committer. It ends when the spool is closed or has failed;
// either way nothing that was submitted stays without an answer.
func (s *Spool) run() {
	defer close(s.stopped)
	defer s.finish()
	seal := time.NewTimer(time.Hour)
	defer seal.Stop()
	tick := time.NewTicker(spaceInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.wake:
		case <-tick.C:
			s.checkSpace()
			s.growBallast()
			s.measure()
		case <-seal.C:
			s.seal()
		}
		for s.take() {
			if s.cramped(s.writer.group > 0) {
				s.turnAway()
				break
			}
			s.commit()
			s.checkSpace()
			if time.Since(s.writer.witness.at) > s.o.Seal {
				s.seal()
			}
		}
		if s.Failure() != nil || s.stopping() {
			return
		}
		if s.o.Seal > 0 && s.writer.witness.seq != s.last.Load() {
			seal.Reset(s.o.Seal)
		}
	}
}

// finish runs also when the store has ended this goroutine from inside a
// commit (store.go). It refuses all that still waits.
func (s *Spool) finish() {
	if r := recover(); r != nil {
		s.fail(fmt.Errorf("committing: %v", r))
	}
	w, q := &s.writer, &s.in
	q.mu.Lock()
	q.stop = true
	left := append(w.taken[w.at:], q.batches...)
	requests := append(w.requests, q.requests...)
	q.batches, q.requests = nil, nil
	q.mu.Unlock()
	err := s.unusable()
	for _, b := range left {
		b.Err = err
		b.done.SpoolDone(b)
	}
	for _, r := range requests {
		r.err = err
		close(r.done)
	}
	w.taken, w.at, w.requests = nil, 0, nil
	s.seal()
	s.closeWitness()
}

func (s *Spool) stopping() bool {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.in.stop && len(s.in.batches) == 0 && len(s.in.requests) == 0
}

// take moves what callers have left into the writer and chooses the group of
// the next commit. It reports false when there is nothing to write.
func (s *Spool) take() bool {
	if s.Failure() != nil {
		return false
	}
	w, q := &s.writer, &s.in
	q.mu.Lock()
	if w.at == len(w.taken) {
		clear(w.taken)
		w.taken, q.batches, w.at = q.batches, w.taken[:0], 0
	}
	w.requests = append(w.requests, q.requests...)
	clear(q.requests)
	q.requests = q.requests[:0]
	w.mark = q.watermark
	q.mu.Unlock()

	records, bytes := 0, 0
	w.group = 0
	for _, b := range w.taken[w.at:] {
		if w.group > 0 && (records+b.Len() > maxCommitRecords || bytes+b.Size() > maxCommitBytes) {
			break
		}
		w.group, records, bytes = w.group+1, records+b.Len(), bytes+b.Size()
	}
	return w.group > 0 || len(w.requests) > 0 || w.mark > s.watermark.Load()
}

// commit writes one group and all else that waits, and answers it.
func (s *Spool) commit() {
	w := &s.writer
	w.pb.Reset()
	forward := s.writeRecords(w.taken[w.at : w.at+w.group])
	s.writeMarks()
	if err := s.writeLetters(); err != nil { // behind writeMarks, which may write markers anew
		s.fail(err)
		return
	}
	// Before the records are gone: who misses one must find that it was trimmed.
	s.first.Store(max(w.floor, s.first.Load()))
	start := time.Now()
	if err := s.apply(w.group > 0 || w.eager()); err != nil {
		s.fail(err)
		return
	}
	s.stats.commits.Add(1)
	s.stats.commitTime.Add(int64(time.Since(start)))
	if s.pending.Add(int64(forward)) < 0 { // a record was settled that was not owed
		s.pending.Store(0)
	}
	s.watermark.Store(max(w.mark, s.watermark.Load()))
	s.answer()
}

// apply commits the store's batch. An error leaves the disk in a state that
// only a new start can find out: the caller must not try again.
func (s *Spool) apply(sync bool) error {
	if s.writer.pb.Empty() {
		return nil
	}
	opt := pebble.NoSync
	if sync {
		opt = pebble.Sync
	}
	if err := s.writer.pb.Commit(opt); err != nil {
		return err
	}
	// The store reports some failures only through its logger.
	return s.Failure()
}

// writeRecords gives every record of the group its number and returns how
// many are owed to a home server.
func (s *Spool) writeRecords(group []*Batch) (forward int) {
	w := &s.writer
	dated := false
	for _, b := range group {
		if !dated && b.Len() > 0 {
			s.writeMinute()
			dated = true
		}
		b.first = w.next
		for i := range b.tokens {
			rec := b.Record(i)
			op := w.pb.SetDeferred(keyLen, len(rec))
			key((*[keyLen]byte)(op.Key), keyRecord, w.next)
			copy(op.Value, rec)
			_ = op.Finish() // fails only on indexed batches
			if b.forward[i] {
				forward++
				_ = w.pb.Set(key(&w.key, keyForward, w.next), nil, nil)
			}
			w.next++
		}
	}
	return forward
}

// writeMinute notes which record is the first of a minute, for retention by
// time.
func (s *Spool) writeMinute() {
	w := &s.writer
	unix := s.o.now().Truncate(time.Minute).Unix()
	if n := len(w.times); n > 0 && w.times[n-1].unix >= unix {
		return
	}
	var v [8]byte
	putSeq(&v, w.next)
	w.times = append(w.times, minute{unix, w.next})
	_ = w.pb.Set(key(&w.key, keyTime, uint64(unix)), v[:], nil)
}

// eager says whether somebody waits for a sync.
func (w *writer) eager() bool {
	for _, r := range w.requests {
		if !r.lazy {
			return true
		}
	}
	return false
}

// writeMarks writes the cuts of the queue, the watermark and what may be
// trimmed below it.
func (s *Spool) writeMarks() {
	w := &s.writer
	asked := uint64(0)
	for _, r := range w.requests {
		asked = max(asked, r.trim)
		for i := range r.cuts {
			_ = w.pb.Set(key(&w.key, keyCut, r.cuts[i].First), r.cuts[i].append(nil), nil)
		}
	}
	if w.mark > s.watermark.Load() {
		var v [8]byte
		putSeq(&v, w.mark)
		_ = w.pb.Set(keyWatermark, v[:], nil)
	}
	w.floor = 0
	if err := s.writeTrim(asked); err != nil {
		s.o.Logger.Warn("spool is not trimmed", zap.Error(err))
	}
}

// answer hands the group back to its shards and releases who asked.
func (s *Spool) answer() {
	w, q := &s.writer, &s.in
	group := w.taken[w.at : w.at+w.group]
	records, load, bytes := 0, 0, 0
	for _, b := range group {
		records += b.Len()
		load += b.load()
		bytes += b.Size()
	}
	q.mu.Lock()
	q.records -= load
	q.bytes -= bytes
	q.mu.Unlock()
	s.stats.records.Add(uint64(records))
	s.stats.bytes.Add(uint64(bytes))
	s.last.Store(w.next - 1)
	w.at += w.group
	for _, b := range group {
		b.done.SpoolDone(b)
	}
	for _, r := range w.requests {
		close(r.done)
	}
	clear(w.requests)
	w.requests = w.requests[:0]
	if records == 0 {
		return
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
