package spool

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Letter is a dead letter: a record that was owed to a home and is not
// forwarded any more. It stays, with its record, until somebody revives it.
type Letter struct {
	Seq    uint64
	Reason uint8 // the caller's
	Time   int64 // Unix seconds of its death
	// Final letters are never revived. Their record stays as long as the log
	// has it.
	Final bool
}

// deadHead is what stands before the record in a d<seq>: reason, final, time.
// The record is there once the log is trimmed past it.
const deadHead = 1 + 1 + 8

func (l *Letter) append(dst []byte) []byte {
	final := byte(0)
	if l.Final {
		final = 1
	}
	return binary.BigEndian.AppendUint64(append(dst, l.Reason, final), uint64(l.Time))
}

func decodeLetter(k, v []byte) (l Letter, rec []byte, err error) {
	if len(k) != keyLen || len(v) < deadHead {
		return l, nil, fmt.Errorf("%w: a dead letter has %d octets", ErrDamaged, len(v))
	}
	l = Letter{Seq: seqOf(k), Reason: v[0], Final: v[1] != 0, Time: int64(binary.BigEndian.Uint64(v[2:]))}
	return l, v[deadHead:], nil
}

// Settle says what became of records that are owed: those taken are
// forgotten, the letters are owed to nobody any more and stay as dead ones. A
// letter may also take the place of a dead one. It returns once Pending and
// Dead know; after a crash a taken record may be owed once more, which the
// home must expect of accounting anyway.
func (s *Spool) Settle(taken []uint64, letters []Letter) error {
	if len(taken)+len(letters) == 0 {
		return nil
	}
	return s.ask(&request{taken: taken, letters: letters, lazy: len(letters) == 0})
}

// Revive makes dead letters owed again, but not final ones, and says how many
// it found.
func (s *Spool) Revive(seqs []uint64) (n int, err error) {
	if len(seqs) == 0 {
		return 0, nil
	}
	r := &request{revive: seqs}
	err = s.ask(r)
	return r.revived, err
}

// Dead calls fn for up to limit dead letters from the sequence number from
// on. rec is lent for the call; it is nil where the letter is final and the
// log is trimmed past it. limit 0 is no limit.
func (s *Spool) Dead(from uint64, limit int, fn func(l Letter, rec []byte) bool) error {
	return s.use(func() error {
		it, err := s.iter(keyDead, from, 0)
		if err != nil {
			return err
		}
		n := 0
		for ok := it.First(); ok && err == nil; ok = it.Next() {
			var more bool
			if more, err = s.lendLetter(it.Key(), it.Value(), fn); !more {
				break
			}
			if n++; n == limit {
				break
			}
		}
		return errors.Join(err, damaged("reading dead letters", it.Close()))
	})
}

func (s *Spool) lendLetter(k, v []byte, fn func(l Letter, rec []byte) bool) (more bool, err error) {
	l, rec, err := decodeLetter(k, v)
	if err != nil {
		return false, err
	}
	if len(rec) > 0 {
		return fn(l, rec), nil
	}
	rec, c, err := s.db.Get(newKey(keyRecord, l.Seq))
	if errors.Is(err, pebble.ErrNotFound) {
		// Trimmed since the letter was read: it holds the record now, or has
		// been revived, or never will.
		rec, c, err = s.db.Get(newKey(keyDead, l.Seq))
		switch {
		case errors.Is(err, pebble.ErrNotFound):
			return true, nil
		case err == nil && len(rec) > deadHead:
			rec = rec[deadHead:]
		case err == nil && l.Final:
			return fn(l, nil), c.Close()
		case err == nil:
			err = errors.Join(errors.New("it is missing"), c.Close())
		}
	}
	if err != nil {
		return false, damaged(fmt.Sprintf("reading dead record %d", l.Seq), err)
	}
	more = fn(l, rec)
	return more, c.Close()
}

// DeadLetters counts the dead letters of a reason.
func (s *Spool) DeadLetters(reason uint8) uint64 { return uint64(max(s.dead[reason].Load(), 0)) }

// loadDead counts the dead letters and forgets the final ones whose record is
// gone.
func (s *Spool) loadDead() error {
	it, err := s.iter(keyDead, 0, 0)
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var l Letter
		if l, _, err = decodeLetter(it.Key(), it.Value()); err != nil {
			break
		}
		if l.Final && l.Seq < s.first.Load() && !s.o.ReadOnly {
			err = s.db.Delete(it.Key(), pebble.NoSync)
			continue
		}
		s.dead[l.Reason].Add(1)
	}
	return errors.Join(err, damaged("reading dead letters", it.Close()))
}

// writeLetters writes what the requests of this commit settle and revive,
// behind writeMarks, which says in w.floor how far the log is trimmed.
func (s *Spool) writeLetters() error {
	w := &s.writer
	for _, r := range w.requests {
		for _, seq := range r.taken {
			_ = w.pb.Delete(key(&w.key, keyForward, seq), nil)
		}
		s.pending.Add(-int64(len(r.taken)))
		for i := range r.letters {
			if err := s.writeLetter(&r.letters[i]); err != nil {
				return err
			}
		}
		for _, seq := range r.revive {
			ok, err := s.writeRevived(seq)
			if err != nil {
				return err
			}
			if ok {
				r.revived++
			}
		}
	}
	return nil
}

// writeLetter turns what is owed, or a dead letter, into a dead letter.
func (s *Spool) writeLetter(l *Letter) error {
	w := &s.writer
	owed, isOwed, err := s.peek(keyForward, l.Seq)
	if err != nil {
		return err
	}
	old, isDead, err := s.peek(keyDead, l.Seq)
	if err != nil || !isOwed && !isDead {
		return err
	}
	v := l.append(make([]byte, 0, deadHead))
	if !l.Final {
		rec := owed
		if isDead {
			rec = old[deadHead:]
		}
		if v, err = s.keep(v, l.Seq, rec); err != nil {
			return err
		}
	}
	_ = w.pb.Set(key(&w.key, keyDead, l.Seq), v, nil)
	if isOwed {
		_ = w.pb.Delete(key(&w.key, keyForward, l.Seq), nil)
		s.pending.Add(-1)
	} else {
		s.dead[old[0]].Add(-1)
	}
	s.dead[l.Reason].Add(1)
	return nil
}

// writeRevived makes a dead letter owed again.
func (s *Spool) writeRevived(seq uint64) (ok bool, err error) {
	w := &s.writer
	v, found, err := s.peek(keyDead, seq)
	if err != nil || !found {
		return false, err
	}
	l, rec, err := decodeLetter(newKey(keyDead, seq), v)
	if err != nil || l.Final {
		return false, err
	}
	if rec, err = s.keep(nil, seq, rec); err != nil {
		return false, err
	}
	_ = w.pb.Set(key(&w.key, keyForward, seq), rec, nil)
	_ = w.pb.Delete(key(&w.key, keyDead, seq), nil)
	s.pending.Add(1)
	s.dead[l.Reason].Add(-1)
	return true, nil
}

// keep appends to dst the record that a marker must hold: none while the log
// has it and is not about to be trimmed past it.
func (s *Spool) keep(dst []byte, seq uint64, rec []byte) ([]byte, error) {
	w := &s.writer
	if len(rec) > 0 || seq >= max(s.first.Load(), w.floor, w.lowest) {
		return append(dst, rec...), nil
	}
	_, err := s.lend(seq, nil, func(_ uint64, rec []byte) bool {
		dst = append(dst, rec...)
		return true
	})
	return dst, err
}

// peek copies a value out of the store as it was before this commit.
func (s *Spool) peek(prefix byte, seq uint64) (v []byte, ok bool, err error) {
	b, c, err := s.db.Get(newKey(prefix, seq))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, damaged(fmt.Sprintf("reading what is owed of record %d", seq), err)
	}
	v = append(v, b...)
	if err = c.Close(); err == nil && prefix == keyDead && len(v) < deadHead {
		err = fmt.Errorf("%w: dead letter %d has %d octets", ErrDamaged, seq, len(v))
	}
	return v, true, err
}

// moveDead moves the records of dead letters below bound into them, as
// moveOwed does for what is owed, and returns how far one commit has come.
func (s *Spool) moveDead(bound uint64) (uint64, error) {
	w := &s.writer
	it, err := s.iter(keyDead, w.lowestDead, bound)
	if err != nil {
		return 0, err
	}
	moved := 0
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var l Letter
		var rec []byte
		if l, rec, err = decodeLetter(it.Key(), it.Value()); err != nil || l.Final || len(rec) > 0 {
			continue
		}
		if moved == maxMoved {
			bound = l.Seq
			break
		}
		moved++
		_, err = s.lend(l.Seq, nil, func(_ uint64, rec []byte) bool {
			_ = w.pb.Set(key(&w.key, keyDead, l.Seq), append(l.append(nil), rec...), nil)
			return true
		})
	}
	if err = errors.Join(err, damaged("reading dead letters", it.Close())); err == nil {
		w.lowestDead = bound
	}
	return bound, err
}
