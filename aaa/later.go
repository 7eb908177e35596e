package aaa

import (
	"bytes"
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	laterEvery = time.Second // between two tries of what a home did not take
	laterChunk = 1000        // records tried at once
	laterMax   = 1 << 16     // remembered here; beyond it the spool is read again
)

// later remembers acknowledged records that still have to reach their home.
// The spool's markers are the truth; this list only saves reading them.
type later struct {
	mu   sync.Mutex // guards all below
	seqs []uint64
	scan bool // the list is not complete: read the markers again
}

// add remembers a record; false: there is no room, the markers will be read
// again.
func (l *later) add(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seqs) >= laterMax {
		l.scan = true
		return false
	}
	l.seqs = append(l.seqs, seq)
	return true
}

// take gives up to laterChunk records, and whether the markers must be read.
func (l *later) take() (seqs []uint64, scan bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.seqs), laterChunk)
	seqs = append(seqs, l.seqs[:n]...)
	l.seqs = append(l.seqs[:0], l.seqs[n:]...)
	scan, l.scan = l.scan && len(l.seqs) == 0, l.scan && len(l.seqs) > 0
	return seqs, scan
}

// forwardLater brings acknowledged records to their homes: those of an
// earlier run first, then whatever a home did not take while it was away.
// A record's marker goes when the home has answered, so a crash at any point
// only repeats a forward, which the home knows by its Acct-Session-Id.
func (h *Hub) forwardLater(ctx context.Context) {
	h.remember()
	tick := time.NewTicker(laterEvery)
	defer tick.Stop()
	for {
		seqs, scan := h.later.take()
		for i, seq := range seqs {
			h.again(h.shards[i%len(h.shards)], seq)
		}
		if scan {
			h.remember()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// again hands one record to a shard unless a home has taken it meanwhile.
func (h *Hub) again(s *Shard, seq uint64) {
	err := h.spool.Pending(seq, 1, func(got uint64, rec []byte) bool {
		if got == seq {
			s.Replay(seq, bytes.Clone(rec))
		}
		return false
	})
	if err != nil {
		h.log.Error("reading a record to forward", zap.Uint64("seq", seq), zap.Error(err))
	}
}

// remember fills the list from the spool's markers.
func (h *Hub) remember() {
	err := h.spool.Pending(0, 0, func(seq uint64, _ []byte) bool { return h.later.add(seq) })
	if err != nil {
		h.log.Error("reading records to forward", zap.Error(err))
	}
}
