package spool

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Cut is a stretch of the log that the queue sends as one message. It is
// fixed before the message is sent for the first time, so that a repetition
// has the same content whatever was appended meanwhile.
type Cut struct {
	First, Last uint64
	N           uint32   // records of the stretch that the message carries
	Filter      uint32   // the queue's: which records those are
	Hash        [16]byte // the queue's: of those records
}

const cutLen = 8 + 4 + 4 + 16

func (c *Cut) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, c.Last)
	dst = binary.BigEndian.AppendUint32(dst, c.N)
	dst = binary.BigEndian.AppendUint32(dst, c.Filter)
	return append(dst, c.Hash[:]...)
}

func decodeCut(k, v []byte) (c Cut, err error) {
	if len(k) != keyLen || len(v) != cutLen {
		return c, fmt.Errorf("%w: a cut has %d octets", ErrDamaged, len(v))
	}
	c.First, c.Last = seqOf(k), binary.BigEndian.Uint64(v)
	c.N, c.Filter = binary.BigEndian.Uint32(v[8:]), binary.BigEndian.Uint32(v[12:])
	copy(c.Hash[:], v[16:])
	return c, nil
}

func putSeq(v *[8]byte, seq uint64) { binary.BigEndian.PutUint64(v[:], seq) }

// Cut makes cuts durable. They must follow each other upwards.
func (s *Spool) Cut(cuts ...Cut) error {
	if len(cuts) == 0 {
		return nil
	}
	return s.ask(&request{cuts: cuts})
}

// CutFrom returns the first cut that begins at or after seq.
func (s *Spool) CutFrom(seq uint64) (c Cut, ok bool, err error) {
	err = s.use(func() error {
		c, ok, err = s.cutAtOrAfter(seq)
		return err
	})
	return c, ok, err
}

// CutOver returns the cut that seq lies in.
func (s *Spool) CutOver(seq uint64) (c Cut, ok bool, err error) {
	err = s.use(func() error {
		c, ok, err = s.cutBefore(seq + 1)
		ok = ok && c.Last >= seq
		return err
	})
	return c, ok, err
}

func (s *Spool) cutAtOrAfter(seq uint64) (c Cut, ok bool, err error) {
	it, err := s.iter(keyCut, seq, 0)
	if err != nil {
		return c, false, err
	}
	return readCut(it, it.First())
}

// cutBefore returns the last cut that begins below seq.
func (s *Spool) cutBefore(seq uint64) (c Cut, ok bool, err error) {
	it, err := s.iter(keyCut, 0, seq)
	if err != nil {
		return c, false, err
	}
	return readCut(it, it.Last())
}

func readCut(it *pebble.Iterator, found bool) (c Cut, ok bool, err error) {
	if found {
		c, err = decodeCut(it.Key(), it.Value())
	}
	if e := it.Close(); err == nil {
		err = e
	}
	return c, found && err == nil, damaged("reading a cut", err)
}
