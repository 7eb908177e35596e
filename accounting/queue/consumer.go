package queue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Consumer moves what a Source has into a Taker. The order is: stored,
// confirmed to the queue, reported to the hub. A consumer that dies in
// between has the message again, or another consumer has it, and the Taker
// knows it.
type Consumer struct {
	Source Source
	Taker  Taker
	Logger *zap.Logger // nil logs nothing
	// Backoff is the longest pause between attempts while the store or the
	// queue is away; 0 is 5 s.
	Backoff time.Duration

	stats ConsumerStats
}

// spoolName names a spool among those of all hubs.
type spoolName struct {
	node  string
	epoch uint64
}

// ConsumerStats are the consumer's counters.
type ConsumerStats struct {
	Batches    atomic.Uint64 // handed to the store and stored
	Records    atomic.Uint64 // in them, quarantined ones too
	Again      atomic.Uint64 // batches that the queue had delivered before
	TakenOver  atomic.Uint64 // of those, from a consumer that died
	Foreign    atomic.Uint64 // messages that are no batch
	Conflicts  atomic.Uint64 // batches that the store put aside
	StoreFails atomic.Uint64 // attempts to store that failed
	QueueFails atomic.Uint64 // failures of the queue
	Last       atomic.Int64  // Unix nanoseconds when a batch was last stored
	Up         atomic.Bool   // the last word of the queue was none of failure
}

// Stats returns the live counters.
func (c *Consumer) Stats() *ConsumerStats { return &c.stats }

// Run consumes until ctx ends, which is no error. It does not close the
// Source.
func (c *Consumer) Run(ctx context.Context) error {
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Backoff <= 0 {
		c.Backoff = 5 * time.Second
	}
	pause := firstBackoff
	for ctx.Err() == nil {
		err := c.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			pause = firstBackoff
			continue
		}
		c.stats.QueueFails.Add(1)
		if c.stats.Up.Swap(false) || c.stats.QueueFails.Load() == 1 {
			c.Logger.Warn("clearing queue is away, nothing is consumed", zap.Error(err))
		}
		sleep(ctx, jitter(pause))
		pause = min(2*pause, c.Backoff)
	}
	return nil
}

// round stores what the queue has, confirms and reports it.
func (c *Consumer) round(ctx context.Context) error {
	ds, err := c.Source.Next(ctx)
	if err != nil {
		return err
	}
	if !c.stats.Up.Swap(true) {
		c.Logger.Info("consuming from the clearing queue")
	}
	marks := map[spoolName]uint64{}
	for i, d := range ds {
		mark, err := c.take(ctx, d)
		if err != nil {
			// Ended in the midst of it: what is stored can still be confirmed.
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			return errors.Join(err, c.confirm(end, ds[:i], marks))
		}
		if d.Err == nil {
			name := spoolName{d.Node, d.Epoch}
			marks[name] = max(marks[name], mark)
		}
	}
	return c.confirm(ctx, ds, marks)
}

func (c *Consumer) confirm(ctx context.Context, ds []*Delivery, marks map[spoolName]uint64) error {
	if len(ds) == 0 {
		return nil
	}
	if err := c.Source.Done(ctx, ds...); err != nil {
		return err
	}
	// Also what was reported before: a queue that lost its tail may have lost
	// our word too.
	for name, mark := range marks {
		if err := c.Source.Report(ctx, name.node, name.epoch, mark); err != nil {
			return err
		}
	}
	return nil
}

// take stores one delivery. A store that fails is asked again for as long as
// it takes: nothing is passed over.
func (c *Consumer) take(ctx context.Context, d *Delivery) (mark uint64, err error) {
	pause := firstBackoff
	for {
		mark, err = c.Taker.Take(ctx, d)
		if err == nil {
			c.count(d)
			return mark, nil
		}
		if errors.Is(err, ErrConflict) {
			// The store has put it aside whole, and its watermark stays in front
			// of it: one hub that contradicts itself stops no other.
			c.stats.Conflicts.Add(1)
			c.Logger.Error("a batch contradicts what was stored: it is kept as a dead letter",
				zap.String("node", d.Node), zap.String("id", d.ID), zap.Error(err))
			return 0, nil
		}
		if ctx.Err() != nil {
			return 0, err
		}
		if c.stats.StoreFails.Add(1); pause == firstBackoff {
			c.Logger.Error("the clearing store does not take a batch, trying again",
				zap.String("node", d.Node), zap.String("id", d.ID), zap.Error(err))
		}
		sleep(ctx, jitter(pause))
		pause = min(2*pause, c.Backoff)
	}
}

func (c *Consumer) count(d *Delivery) {
	s := &c.stats
	s.Last.Store(time.Now().UnixNano())
	if d.TakenOver {
		s.TakenOver.Add(1)
	}
	if d.Times > 0 {
		s.Again.Add(1)
	}
	if d.Err != nil {
		s.Foreign.Add(1)
		c.Logger.Warn("the clearing queue has a message that is no batch",
			zap.String("node", d.Node), zap.String("id", d.ID), zap.Error(d.Err))
		return
	}
	s.Batches.Add(1)
	s.Records.Add(uint64(d.N + d.NQ))
}
