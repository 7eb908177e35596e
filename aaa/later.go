package aaa

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	laterEvery = time.Second // between two tries of what a home did not take
	laterChunk = 1000        // records tried at once
	laterAge   = 60          // tries a record is left to its own Exchange, longer than any MRD
)

// later counts the records of one chunk that are on their way.
type later struct {
	underway atomic.Int64
	taken    atomic.Int64  // of them taken by their home
	ended    chan struct{} // the last one has ended
}

// done is said by a shard of each record it was given.
func (l *later) done(taken bool) {
	if taken {
		l.taken.Add(1)
	}
	if l.underway.Add(-1) == 0 {
		select {
		case l.ended <- struct{}{}:
		default:
		}
	}
}

// forwardLater brings acknowledged records to their homes: those of an
// earlier run first, then whatever a home did not take while it was away. It
// walks the spool's markers round and round, so that no home's records wait
// behind another's. A marker goes when the home has answered, so a crash at
// any point only repeats a forward, which the home knows by its
// Acct-Session-Id.
func (h *Hub) forwardLater(ctx context.Context) {
	tick := time.NewTicker(laterEvery)
	defer tick.Stop()
	// What is younger than a minute may still be with its own Exchange.
	var seen [laterAge]uint64
	for i := range seen {
		seen[i] = h.spool.Last()
	}
	cursor := uint64(0)
	for n := 0; ; {
		next, some := h.chunk(cursor, seen[n%laterAge])
		if some && !h.awaitChunk(ctx) {
			return
		}
		cursor = next
		if some && h.later.taken.Swap(0) > 0 {
			continue // the homes are there: go on at their pace
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			seen[n%laterAge] = h.spool.Last()
			n++
		}
	}
}

func (h *Hub) awaitChunk(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-h.later.ended:
		return true
	}
}

// chunk hands the next records from cursor up to horizon to the shards. next
// is where to go on: the start after the last one.
func (h *Hub) chunk(cursor, horizon uint64) (next uint64, some bool) {
	var chunk []replayed
	err := h.spool.Pending(cursor, laterChunk, func(seq uint64, rec []byte) bool {
		if seq > horizon {
			return false
		}
		chunk = append(chunk, replayed{seq, bytes.Clone(rec)})
		return true
	})
	if err != nil {
		h.log.Error("reading records to forward", zap.Error(err))
	}
	if len(chunk) == 0 {
		return 0, false
	}
	h.later.underway.Store(int64(len(chunk)))
	for i, r := range chunk {
		h.shards[i%len(h.shards)].replayLater(r)
	}
	return chunk[len(chunk)-1].seq + 1, true
}
