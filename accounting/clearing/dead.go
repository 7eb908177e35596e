package clearing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
)

// DeadReason says why something could not be taken.
type DeadReason string

// The reasons of dead letters, first those of whole batches.
const (
	DeadForeign  DeadReason = "foreign"  // no hub wrote it
	DeadEncoding DeadReason = "encoding" // of its records is not known
	DeadBounds   DeadReason = "bounds"   // names no possible stretch of a spool
	DeadCount    DeadReason = "count"    // holds not as many lines as it says
	DeadSequence DeadReason = "sequence" // its lines are not of its stretch, or not in order
	DeadConflict DeadReason = "conflict" // contradicts what was taken (ConflictError)

	DeadNewer      DeadReason = "newer_schema" // a line that a later program can read
	DeadUnreadable DeadReason = "unreadable"   // a line
	DeadMisplaced  DeadReason = "misplaced"    // a quarantined line among the others, or the other way round
)

// DeadReasons are all of them.
func DeadReasons() []DeadReason {
	return []DeadReason{
		DeadForeign, DeadEncoding, DeadBounds, DeadCount, DeadSequence, DeadConflict,
		DeadNewer, DeadUnreadable, DeadMisplaced,
	}
}

const (
	maxLine   = 64 << 10 // octets kept of a line or of what is no batch
	maxBatch  = 16 << 20 // and of a batch that names its hub
	maxDetail = 256
)

var errMisplaced = errors.New("a quarantined record among others, or the other way round")

// DeadLetter is something that came and could not be taken.
type DeadLetter struct {
	Number uint64     `json:"number"`
	Time   time.Time  `json:"time"`
	Reason DeadReason `json:"reason"`
	Detail string     `json:"detail,omitempty"`
	Line   bool       `json:"line"`          // one line of a batch whose rest was taken
	Cut    bool       `json:"cut,omitempty"` // there was more: it cannot be retried

	Node        string   `json:"node,omitempty"`
	Epoch       uint64   `json:"epoch,omitempty"`
	First       uint64   `json:"first,omitempty"`
	Last        uint64   `json:"last,omitempty"`
	N           int      `json:"n,omitempty"`
	NQ          int      `json:"nq,omitempty"`
	Hash        [16]byte `json:"hash"`
	Encoding    string   `json:"encoding,omitempty"`
	Quarantined []byte   `json:"quarantined,omitempty"`
	Data        []byte   `json:"data"`

	digest accounting.Key // the same for the same thing that comes again
}

// letterOf makes a dead letter of a whole delivery.
func (s *Store) letterOf(d *queue.Delivery, why DeadReason, detail string) *DeadLetter {
	l := &DeadLetter{
		Time: s.o.Clock(), Reason: why, Detail: clean(detail, maxDetail),
		Node: clean(d.Node, maxNode), Epoch: d.Epoch, First: d.First, Last: d.Last, N: d.N, NQ: d.NQ,
		Hash: d.Hash, Encoding: clean(d.Encoding, maxNode),
	}
	limit := maxBatch
	if why == DeadForeign || d.Node == "" {
		limit = maxLine
	}
	l.Data = keep(d.Data, limit, &l.Cut)
	l.Quarantined = keep(d.Quarantined, limit-len(l.Data), &l.Cut)
	l.Cut = l.Cut || l.Node != d.Node || l.Encoding != d.Encoding
	l.sign(d.Data, d.Quarantined)
	return l
}

// lineLetter makes a dead letter of one line.
func (s *Store) lineLetter(d *queue.Delivery, line []byte, quarantined bool, err error) DeadLetter {
	l := DeadLetter{
		Time: s.o.Clock(), Reason: DeadUnreadable, Detail: clean(err.Error(), maxDetail), Line: true,
		Node: d.Node, Epoch: d.Epoch, First: d.First, Last: d.Last, Hash: d.Hash, Encoding: d.Encoding,
	}
	if l.N = 1; quarantined {
		l.N, l.NQ = 0, 1
	}
	switch {
	case errors.Is(err, usage.ErrNewer):
		l.Reason = DeadNewer
	case errors.Is(err, errMisplaced):
		l.Reason = DeadMisplaced
	}
	l.Data = keep(line, maxLine, &l.Cut)
	l.sign(line)
	return l
}

// sign names the letter by what came, so that it is kept once.
func (l *DeadLetter) sign(parts ...[]byte) {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %q %d %d %d %d %d %x %q", l.Reason, l.Node, l.Epoch, l.First, l.Last, l.N, l.NQ, l.Hash, l.Encoding)
	for _, p := range parts {
		_ = binary.Write(h, binary.BigEndian, int64(len(p)))
		_, _ = h.Write(p)
	}
	copy(l.digest[:], h.Sum(nil))
}

func keep(b []byte, limit int, cut *bool) []byte {
	if len(b) > limit {
		*cut = true
		b = b[:limit]
	}
	return append([]byte(nil), b...)
}

// bury stores a letter in a transaction of its own.
func (s *Store) bury(ctx context.Context, l *DeadLetter) error {
	return s.update(ctx, func(b book) (*change, error) {
		c := newChange()
		if err := c.bury(b, []DeadLetter{*l}); err != nil || len(c.letters) == 0 {
			return nil, err
		}
		s.o.Logger.Warn("dead letter", zap.String("reason", string(l.Reason)), zap.String("node", l.Node),
			zap.Uint64("epoch", l.Epoch), zap.Uint64("first", l.First), zap.Uint64("last", l.Last))
		return c, nil
	})
}

// bury adds letters that are not there yet. A line is a report, and counts as
// one that is Rejected.
func (c *change) bury(b book, ls []DeadLetter) error {
	number, err := b.count(countLetter)
	if err != nil {
		return err
	}
	for _, l := range ls {
		if l.Line {
			c.tallies[l.tally()]++
		}
		known, err := b.letterBy(l.digest)
		if err != nil {
			return err
		}
		for _, other := range c.letters {
			known = known || other.digest == l.digest
		}
		if known {
			continue
		}
		number++
		l.Number = uint64(number)
		c.letters = append(c.letters, l)
		c.counts[countLetter]++
		c.counts[countLetters]++
	}
	return nil
}

func (l *DeadLetter) tally() session.TallyKey {
	return session.TallyKey{Node: l.Node, Class: usage.Rejected, Reason: string(l.Reason)}
}

// DeadLetters iterates over the letters with a number above after, in order.
func (s *Store) DeadLetters(ctx context.Context, after uint64) iter.Seq2[*DeadLetter, error] {
	return func(yield func(*DeadLetter, error) bool) {
		for {
			var ls []DeadLetter
			err := s.b.view(ctx, func(b book) (err error) {
				ls, err = b.letters(after, 64)
				return err
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range ls {
				if !yield(&ls[i], nil) {
					return
				}
				after = ls[i].Number
			}
			if len(ls) == 0 {
				return
			}
		}
	}
}

// ErrNoLetter: there is no dead letter of this number.
var ErrNoLetter = errors.New("no such dead letter")

// Drop forgets a dead letter for good. A batch that was a conflict passes for
// taken from then on.
func (s *Store) Drop(ctx context.Context, number uint64) error {
	return s.update(ctx, func(b book) (*change, error) {
		l, err := b.letter(number)
		if err != nil {
			return nil, err
		}
		c := newChange()
		if err := s.settle(b, c, l); err != nil {
			return nil, err
		}
		s.o.Logger.Warn("dead letter dropped", zap.Uint64("number", number), zap.String("reason", string(l.Reason)))
		return c, nil
	})
}

// settle removes a letter that was looked at. What the batch of a conflict has
// behind all others is taken by that: no other batch will ever bring those
// numbers, and the watermark must get past them.
func (s *Store) settle(b book, c *change, l *DeadLetter) error {
	c.dropped = append(c.dropped, l.Number)
	c.counts[countLetters]--
	if l.Reason != DeadConflict {
		return nil
	}
	id, st := SourceID{l.Node, l.Epoch}, stretch{First: l.First, Last: l.Last, Hash: l.Hash}
	c.settle = append(c.settle, settlement{id, st})
	src, err := b.source(id)
	if err != nil || src == nil {
		return err
	}
	before, err := b.floor(id, st.Last)
	if err != nil || before == nil || before.Last >= st.Last || before.Last < st.First {
		return err
	}
	st.First, st.taken = before.Last+1, s.o.Clock()
	c.source, c.stretch = src, &st
	return src.add(b, st)
}

// Retry takes a dead letter as this program reads it now. It stays when that
// fails again. The batch of a conflict is taken report by report: the last
// ring of duplicates says what is new in it.
func (s *Store) Retry(ctx context.Context, number uint64) error {
	return s.update(ctx, func(b book) (*change, error) {
		l, err := b.letter(number)
		if err != nil {
			return nil, err
		}
		if l.Cut {
			return nil, fmt.Errorf("retrying dead letter %d: its octets were not all kept", number)
		}
		c := newChange()
		d := l.delivery()
		in, bad := s.read(d)
		switch {
		case bad != nil:
			return nil, fmt.Errorf("retrying dead letter %d: %s %s", number, bad.Reason, bad.Detail)
		case len(in.letters) > 0:
			return nil, fmt.Errorf("retrying dead letter %d: %s %s", number, in.letters[0].Reason, in.letters[0].Detail)
		case l.Line:
			c.tallies[l.tally()]--
		case l.Reason != DeadConflict:
			_, err := s.place(b, c, in)
			if errors.Is(err, errTaken) {
				in.reports = nil
			} else if err != nil {
				return nil, err
			}
		}
		if err := s.apply(b, c, in.reports); err != nil {
			return nil, err
		}
		return c, s.settle(b, c, l)
	})
}

// delivery is what the letter was when it came.
func (l *DeadLetter) delivery() *queue.Delivery {
	d := &queue.Delivery{
		Node: l.Node, Epoch: l.Epoch, First: l.First, Last: l.Last, N: l.N, NQ: l.NQ,
		Hash: l.Hash, Encoding: l.Encoding, Data: l.Data, Quarantined: l.Quarantined,
	}
	switch {
	case l.Reason == DeadForeign:
		d.Err = queue.ErrForeign
	case l.Line:
		d.Data = append(l.Data[:len(l.Data):len(l.Data)], '\n')
		if l.NQ > 0 {
			d.Data, d.Quarantined = nil, d.Data
		}
	}
	return d
}
