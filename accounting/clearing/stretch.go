package clearing

import (
	"errors"
	"fmt"
	"time"

	"github.com/roamgate/roamgate/accounting/queue"
)

// SourceID names one spool of one hub.
type SourceID struct {
	Node  string
	Epoch uint64
}

// Source is what is known of one spool: which of its records were taken.
type Source struct {
	SourceID
	Lowest  uint64 // first record ever taken
	Whole   uint64 // up to here nothing is missing since Lowest
	Highest uint64 // last record ever taken
	Beyond  uint64 // records above Whole that were taken

	Since   time.Time // when, by our clock, the first stretch was taken
	Taken   time.Time // and the newest
	Arrival time.Time // newest arrival of a report at the hub

	forgotten uint64 // stretches up to here are no longer known one by one
}

// Missing is how many records between Lowest and Highest were not taken.
func (s *Source) Missing() uint64 { return s.Highest - s.Whole - s.Beyond }

// stretch is one batch that was taken.
type stretch struct {
	First, Last uint64
	Hash        [16]byte
	taken       time.Time
}

func (s stretch) len() uint64 { return s.Last - s.First + 1 }

// ErrConflict is wrapped by every ConflictError. It wraps queue.ErrConflict.
var ErrConflict = fmt.Errorf("clearing: a batch contradicts what was taken: %w", queue.ErrConflict)

// ConflictError says that a batch names records that were taken, but as part
// of another batch, or with another content: a spool was set back, or two
// hubs have one name. Nothing of it is taken. It is kept as a dead letter,
// and taken as settled once that is retried or dropped.
type ConflictError struct {
	SourceID
	First, Last           uint64
	TakenFirst, TakenLast uint64 // 0 when it is too long ago
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("records %d to %d of hub %q, epoch %d, contradict the batch of %d to %d that was taken",
		e.First, e.Last, e.Node, e.Epoch, e.TakenFirst, e.TakenLast)
}

// Unwrap gives ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }

// errTaken: the stretch was taken before.
var errTaken = errors.New("taken before")

// check finds out whether st is new. It returns errTaken or a ConflictError
// if it is not.
func (s *Source) check(b book, st stretch) error {
	conflict := &ConflictError{SourceID: s.SourceID, First: st.First, Last: st.Last}
	before, err := b.floor(s.SourceID, st.Last)
	switch {
	case err != nil:
		return err
	case before != nil && before.First == st.First && before.Last == st.Last && before.Hash == st.Hash:
		return errTaken
	case before != nil && before.Last >= st.First:
		conflict.TakenFirst, conflict.TakenLast = before.First, before.Last
	case st.First > s.forgotten || st.Last < s.Lowest:
		return nil
	case st.First >= s.Lowest && st.Last <= s.forgotten:
		return errTaken
	}
	settled, err := b.settled(s.SourceID, st)
	if err == nil && settled {
		return errTaken
	}
	if err == nil {
		err = conflict
	}
	return err
}

// add takes a stretch that check has let pass.
func (s *Source) add(b book, st stretch) error {
	switch {
	case s.Lowest == 0:
		s.Lowest, s.Whole = st.First, st.Last
	case st.First == s.Whole+1:
		s.Whole = st.Last
	case st.First > s.Whole:
		s.Beyond += st.len()
	case st.Last+1 == s.Lowest:
		s.Lowest = st.First
	default: // lower than all, with a gap
		s.Beyond += s.Whole - s.Lowest + 1
		s.Lowest, s.Whole = st.First, st.Last
	}
	s.Highest = max(s.Highest, st.Last)
	for s.Beyond > 0 {
		next, err := b.from(s.SourceID, s.Whole+1, 256)
		if err != nil {
			return err
		}
		for _, n := range next {
			if n.First != s.Whole+1 {
				return nil
			}
			s.Whole = n.Last
			s.Beyond -= n.len()
		}
		if len(next) == 0 {
			return nil
		}
	}
	return nil
}

// watermark is up to where everything is stored. Where the first record of a
// spool has not been seen, one that is lower may still be under way with
// another consumer: the hub is told nothing until that can be no more.
func (s *Source) watermark(now time.Time, settle time.Duration) uint64 {
	if s.Lowest != 1 && now.Sub(s.Since) < settle {
		return 0
	}
	return s.Whole
}
