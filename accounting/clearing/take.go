package clearing

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/queue"
	"github.com/roamgate/roamgate/accounting/session"
	"github.com/roamgate/roamgate/accounting/usage"
)

const (
	// maxNode bounds the name of a hub.
	maxNode = 255
	// maxContents bounds how many contradicting accounts of one event are
	// told apart. One more is no account any longer and Rejected.
	maxContents = 8
)

// Reasons of tallies that are ours; all others are those of package session.
const (
	ReasonRecordKey     = "record_key"    // Duplicate: the event was taken, maybe from another hub
	ReasonContradictory = "contradictory" // Rejected: too many different accounts of one event
)

var _ queue.Taker = (*Store)(nil)

// batch is a delivery that was read.
type batch struct {
	id      SourceID
	st      stretch
	reports []usage.Report
	letters []DeadLetter // lines that cannot be read
}

// Take implements queue.Taker: one transaction takes all of d, or nothing
// when it was taken before. What is no batch, and lines that cannot be read,
// become dead letters; a batch that contradicts what was taken is refused
// with a ConflictError. d is borrowed for the call.
func (s *Store) Take(ctx context.Context, d *queue.Delivery) (watermark uint64, err error) {
	in, letter := s.read(d)
	if letter != nil {
		return 0, s.bury(ctx, letter)
	}
	err = s.update(ctx, func(b book) (*change, error) {
		c := newChange()
		src, err := s.place(b, c, in)
		if src != nil {
			watermark = src.watermark(in.st.taken, s.o.Settle)
		}
		if errors.Is(err, errTaken) {
			return nil, nil
		}
		if err == nil {
			err = s.apply(b, c, in.reports)
		}
		if err == nil {
			err = c.bury(b, in.letters)
		}
		return c, err
	})
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		s.o.Logger.Error("batch contradicts what was taken", zap.Error(err))
		if berr := s.bury(ctx, s.letterOf(d, DeadConflict, err.Error())); berr != nil {
			return 0, berr
		}
		return 0, err
	}
	if err != nil {
		return 0, err
	}
	return watermark, nil
}

// place adds the stretch of in to its source, or returns errTaken with the
// source as it is.
func (s *Store) place(b book, c *change, in *batch) (*Source, error) {
	src, err := b.source(in.id)
	if err != nil {
		return nil, err
	}
	if src == nil {
		src = &Source{SourceID: in.id, Since: in.st.taken}
	}
	if err := src.check(b, in.st); err != nil {
		return src, err
	}
	if err := src.add(b, in.st); err != nil {
		return nil, err
	}
	src.Taken = in.st.taken
	c.source, c.stretch = src, &in.st
	return src, nil
}

// apply takes reports: those that are new go to the rules.
func (s *Store) apply(b book, c *change, reports []usage.Report) error {
	for i := range reports {
		c.at = later(c.at, reports[i].Arrival)
	}
	c.at = earlier(c.at, s.o.Clock())
	if c.source != nil {
		// A hub that has started with a clock of 1970 makes nothing old.
		c.at = later(c.at, c.source.Arrival)
		c.source.Arrival = c.at
	}
	fresh, err := c.claim(b, reports)
	if err != nil || len(fresh) == 0 {
		return err
	}
	p := newPages(b)
	d, err := s.o.Rules.Join(p, fresh)
	if err != nil {
		return err
	}
	return p.add(c, d, fresh)
}

// claim is the third ring of duplicates: it returns the reports whose event
// was not taken before, from whatever hub. What contradicts an event that was
// taken is among them, with FlagConflict.
func (c *change) claim(b book, reports []usage.Report) ([]usage.Report, error) {
	var keys []accounting.Key
	for i := range reports {
		if r := &reports[i]; r.Key != (accounting.Key{}) {
			keys = append(append(keys, r.Key), alike(r)...)
		}
	}
	slices.SortFunc(keys, compareKeys)
	known, err := b.claims(slices.Compact(keys))
	if err != nil {
		return nil, err
	}
	c.claims = map[accounting.Key][]accounting.Key{}
	fresh := make([]usage.Report, 0, len(reports))
	for i := range reports {
		r := reports[i]
		if r.Key == (accounting.Key{}) { // the hub could not name it either
			fresh = append(fresh, r)
			continue
		}
		there := func(k accounting.Key) bool { return slices.Contains(known[k], r.Content) }
		same := known[r.Key]
		tally := session.TallyKey{Node: r.Node, Client: r.Client}
		switch {
		case there(r.Key) || slices.ContainsFunc(alike(&r), there):
			tally.Class, tally.Reason = usage.Duplicate, ReasonRecordKey
			c.tallies[tally]++
			continue
		case len(same) >= maxContents:
			tally.Class, tally.Reason = usage.Rejected, ReasonContradictory
			c.tallies[tally]++
			continue
		case len(same) > 0:
			r.Flags |= accounting.FlagConflict
		}
		known[r.Key] = append(same, r.Content)
		c.claims[r.Key] = known[r.Key]
		if r.Key.Untimed() {
			k := r.Key.ByContent(r.Content)
			known[k] = append(known[k], r.Content)
			c.claims[k] = known[k]
		}
		fresh = append(fresh, r)
	}
	return fresh, nil
}

// alike are the other keys under which the event of r may have been taken:
// where its time is that of its arrival, another hub saw it at another time.
func alike(r *usage.Report) []accounting.Key {
	var keys []accounting.Key
	if r.Key.Untimed() || r.Flags&accounting.FlagArrivalTime != 0 {
		near := r.Key.Near()
		keys = near[:]
	}
	if r.Key.Untimed() {
		keys = append(keys, r.Key.ByContent(r.Content))
	}
	return keys
}

// read reads a delivery, which anybody may have written.
func (s *Store) read(d *queue.Delivery) (*batch, *DeadLetter) {
	switch {
	case d.Node != "" && d.Encoding != "" && d.Encoding != queue.Encoding:
		return nil, s.letterOf(d, DeadEncoding, "") // of a later program, which Retry can be
	case d.Err != nil:
		return nil, s.letterOf(d, DeadForeign, d.Err.Error())
	case d.Node == "" || len(d.Node) > maxNode || !utf8.ValidString(d.Node) || strings.ContainsRune(d.Node, 0),
		d.Encoding != queue.Encoding, d.First == 0, d.Last < d.First, d.Last > math.MaxInt64, d.Epoch > math.MaxInt64,
		d.N < 0, d.NQ < 0, uint64(d.N)+uint64(d.NQ) > d.Last-d.First+1:
		return nil, s.letterOf(d, DeadBounds, "")
	}
	in := &batch{
		id: SourceID{d.Node, d.Epoch},
		st: stretch{First: d.First, Last: d.Last, Hash: d.Hash, taken: s.o.Clock()},
	}
	in.reports = make([]usage.Report, 0, d.N+d.NQ)
	if why := in.lines(s, d, d.Data, d.N, false); why != "" {
		return nil, s.letterOf(d, why, "")
	}
	if why := in.lines(s, d, d.Quarantined, d.NQ, true); why != "" {
		return nil, s.letterOf(d, why, "")
	}
	slices.SortFunc(in.reports, func(a, b usage.Report) int { return compare(a.Seq, b.Seq) })
	for i := 1; i < len(in.reports); i++ {
		if in.reports[i].Seq == in.reports[i-1].Seq {
			return nil, s.letterOf(d, DeadSequence, "")
		}
	}
	return in, nil
}

// lines reads the n lines of one field of d. It says why d is no batch.
func (in *batch) lines(s *Store, d *queue.Delivery, data []byte, n int, quarantined bool) DeadReason {
	if bytes.Count(data, []byte{'\n'}) != n || len(data) > 0 && data[len(data)-1] != '\n' {
		return DeadCount
	}
	last := uint64(0)
	for line := range bytes.Lines(data) {
		line = line[:len(line)-1]
		in.reports = append(in.reports, usage.Report{})
		r := &in.reports[len(in.reports)-1]
		err := s.o.parse(line, r)
		if err == nil && (r.Seq < d.First || r.Seq > d.Last || r.Seq <= last) {
			return DeadSequence
		}
		if err == nil && (r.Kind == accounting.Quarantined) != quarantined {
			err = errMisplaced
		}
		if err != nil {
			in.reports = in.reports[:len(in.reports)-1]
			in.letters = append(in.letters, s.lineLetter(d, line, quarantined, err))
			continue
		}
		last = r.Seq
		r.Node, r.Epoch = d.Node, d.Epoch
	}
	return ""
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func compareKeys(a, b accounting.Key) int { return bytes.Compare(a[:], b[:]) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// clean makes text of v that any store takes, of at most n octets.
func clean(v string, n int) string {
	if len(v) > n {
		v = v[:n]
	}
	v = strings.ToValidUTF8(v, "\uFFFD")
	return strings.ReplaceAll(v, "\x00", "\uFFFD")
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
