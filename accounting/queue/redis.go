package queue

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// Redis is a Sink that appends to a Redis stream, one entry a batch, with
// the explicit id `<first>-<epoch>`: any Redis from 5 on refuses the same
// batch twice. The entry's fields are first, last, n, hash, encoding, data
// and, when there are any, nq and quarantined.
//
// The stream is `clr:{<node>}:<epoch>`: a spool made anew starts numbering
// again and must not meet the ids of the one before. The set `clr:nodes`
// lists the nodes and `clr:streams:{<node>}` the streams of one, so that a
// consumer finds them all. One stream a node is enough: packed entries carry
// more than one node can make. The clearing side
// reports in `clr:wm:{<node>}` as `<last>-<epoch>`: the `last` of the newest
// batch up to which it has stored everything, and the epoch out of its id.
//
// A new connection is made only while Last asks where the stream stands
// (dial.go).
type Redis struct {
	c       redis.UniversalClient
	node    string
	epoch   uint64
	stream  string
	streams string
	wm      string
	log     *zap.Logger

	asking  atomic.Bool
	refused atomic.Uint64
	evicts  atomic.Bool
}

// Stream returns the key of the stream.
func (r *Redis) Stream() string { return r.stream }

// WatermarkKey returns the key where the clearing side reports.
func (r *Redis) WatermarkKey() string { return r.wm }

// Refused counts batches that the stream already had.
func (r *Redis) Refused() uint64 { return r.refused.Load() }

// Evicts says that the server may throw keys away when memory is short.
func (r *Redis) Evicts() bool { return r.evicts.Load() }

// Publish implements Sink.
func (r *Redis) Publish(ctx context.Context, b *Batch) error {
	values := make([]any, 0, 16)
	values = append(values,
		"first", b.First, "last", b.Last, "n", b.N, "hash", b.HashText(), "encoding", Encoding, "data", b.Data)
	if b.NQ > 0 {
		values = append(values, "nq", b.NQ, "quarantined", b.Quarantined)
	}
	err := r.c.XAdd(ctx, &redis.XAddArgs{Stream: r.stream, ID: b.ID(), Values: values}).Err()
	if err == nil {
		return nil
	}
	if !strings.Contains(err.Error(), "equal or smaller") {
		return err
	}
	return r.same(ctx, b)
}

// same decides whether a refused batch is there already.
func (r *Redis) same(ctx context.Context, b *Batch) error {
	r.refused.Add(1)
	got, err := r.c.XRange(ctx, r.stream, b.ID(), b.ID()).Result()
	if err != nil {
		return err
	}
	if len(got) == 1 {
		if h, _ := got[0].Values["hash"].(string); h == hex.EncodeToString(b.Hash[:]) {
			return nil
		}
		return fmt.Errorf("%w: %s in %s has hash %v, ours is %s", ErrConflict, b.ID(), r.stream, got[0].Values["hash"], b.HashText())
	}
	// It may have been stored and trimmed while our answer was lost.
	if seq, known, err := r.Watermark(ctx); err != nil {
		return err
	} else if known && seq >= b.Last {
		return nil
	}
	return fmt.Errorf("%w: %s is refused by %s and not in it", ErrConflict, b.ID(), r.stream)
}

// Last implements Sink.
func (r *Redis) Last(ctx context.Context) (first uint64, known bool, err error) {
	r.asking.Store(true)
	defer r.asking.Store(false)
	r.checkPolicy(ctx)
	if err := r.c.SAdd(ctx, nodesKey, r.node).Err(); err != nil {
		return 0, false, err
	}
	if err := r.c.SAdd(ctx, r.streams, r.stream).Err(); err != nil {
		return 0, false, err
	}
	info, err := r.c.XInfoStream(ctx, r.stream).Result()
	if err != nil {
		if strings.Contains(err.Error(), "no such key") {
			return 0, true, nil
		}
		return 0, false, err
	}
	first, epoch, ok := parseID(info.LastGeneratedID)
	if ok && first != 0 && epoch != r.epoch {
		ok = false
	}
	if !ok {
		return 0, false, fmt.Errorf("%w: %s ends with id %s", ErrConflict, r.stream, info.LastGeneratedID)
	}
	return first, true, nil
}

// Watermark implements Sink.
func (r *Redis) Watermark(ctx context.Context) (seq uint64, known bool, err error) {
	v, err := r.c.Get(ctx, r.wm).Result()
	if err == redis.Nil {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	seq, epoch, ok := parseID(v)
	if !ok || epoch != r.epoch {
		// That of an earlier spool says nothing about ours.
		return 0, false, nil
	}
	return seq, true, nil
}

// Trim implements Trimmer. MINID, never MAXLEN: length knows nothing of who
// has read what.
func (r *Redis) Trim(ctx context.Context, first uint64) error {
	return r.c.XTrimMinID(ctx, r.stream, strconv.FormatUint(first, 10)).Err()
}

// First implements Keeper.
func (r *Redis) First(ctx context.Context) (first uint64, err error) {
	got, err := r.c.XRangeN(ctx, r.stream, "-", "+", 1).Result()
	if err != nil || len(got) == 0 {
		return 0, err
	}
	first, epoch, ok := parseID(got[0].ID)
	if !ok || epoch != r.epoch {
		return 0, fmt.Errorf("%w: %s begins with id %s", ErrConflict, r.stream, got[0].ID)
	}
	return first, nil
}

// Forget implements Keeper. The ids of a stream only grow, so a lost front
// can be put back into a new one only.
func (r *Redis) Forget(ctx context.Context) error { return r.c.Del(ctx, r.stream).Err() }

// checkPolicy warns of a server that evicts: it would throw the stream away.
// Servers that keep CONFIG to themselves are believed.
func (r *Redis) checkPolicy(ctx context.Context) {
	m, err := r.c.ConfigGet(ctx, "maxmemory-policy").Result()
	p, ok := m["maxmemory-policy"]
	if err != nil || !ok {
		return
	}
	evicts := p != "noeviction"
	if r.evicts.Swap(evicts) != evicts && evicts {
		r.log.Warn("redis may evict the clearing queue, set maxmemory-policy noeviction", zap.String("policy", p))
	}
}

func parseID(id string) (a, b uint64, ok bool) {
	l, r, ok := strings.Cut(id, "-")
	if !ok {
		return 0, 0, false
	}
	a, err1 := strconv.ParseUint(l, 10, 64)
	b, err2 := strconv.ParseUint(r, 10, 64)
	return a, b, err1 == nil && err2 == nil
}
