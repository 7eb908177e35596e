package spool

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
)

// Span is a range of sequence numbers, both ends in it.
type Span struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// Len counts the numbers.
func (p Span) Len() uint64 { return p.Last - p.First + 1 }

func (p Span) String() string {
	if p.First == p.Last {
		return fmt.Sprint(p.First)
	}
	return fmt.Sprintf("%d to %d", p.First, p.Last)
}

// merged sorts spans and joins those that touch.
func merged(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int {
		if a.First < b.First {
			return -1
		}
		return 1
	})
	out := spans[:0]
	for _, p := range spans {
		if n := len(out); n > 0 && p.First <= out[n-1].Last+1 {
			out[n-1].Last = max(out[n-1].Last, p.Last)
			continue
		}
		out = append(out, p)
	}
	return out
}

// gaps returns what of first to last is in none of the spans, which are
// merged.
func gaps(spans []Span, first, last uint64) (out []Span) {
	for _, p := range spans {
		if p.Last < first {
			continue
		}
		if p.First > last {
			break
		}
		if p.First > first {
			out = append(out, Span{first, p.First - 1})
		}
		first = p.Last + 1
	}
	if first <= last {
		out = append(out, Span{first, last})
	}
	return out
}

// Lost returns the ranges of records that a repair has found lost, as far as
// the log has not been trimmed past them.
func (s *Spool) Lost() []Span {
	first := s.First()
	i := sort.Search(len(s.lost), func(i int) bool { return s.lost[i].Last >= first })
	return slices.Clone(s.lost[i:])
}

// isLost says whether a repair has found all of first to last lost.
func (s *Spool) isLost(first, last uint64) bool {
	i := sort.Search(len(s.lost), func(i int) bool { return s.lost[i].Last >= first })
	return i < len(s.lost) && s.lost[i].First <= first && s.lost[i].Last >= last
}

func (s *Spool) loadLost() error {
	it, err := s.iter(keyLost, 0, 0)
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if v := it.Value(); len(it.Key()) == keyLen && len(v) == 8 {
			s.lost = append(s.lost, Span{seqOf(it.Key()), binary.BigEndian.Uint64(v)})
		} else {
			err = fmt.Errorf("%w: a lost range has %d octets", ErrDamaged, len(v))
		}
	}
	if e := it.Close(); err == nil {
		err = damaged("reading lost ranges", e)
	}
	return err
}
