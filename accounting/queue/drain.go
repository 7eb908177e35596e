package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

// Drainer moves one spool's records into one Sink.
type Drainer struct {
	s     *spool.Spool
	sink  Sink
	o     Options
	views []*accounting.View // one for each encoder
	stats Stats

	polled   time.Time
	polls    uint64
	heard    bool   // it had one when last asked
	reported bool   // the clearing side has a watermark
	stored   uint64 // that watermark, as last heard
	trimmed  uint64 // the queue holds nothing below
}

// New returns a drainer of s; Run does the work.
func New(s *spool.Spool, sink Sink, o Options) *Drainer {
	o.defaults()
	d := &Drainer{s: s, sink: sink, o: o, views: []*accounting.View{o.View}}
	for o.NewView != nil && len(d.views) < o.Encoders {
		d.views = append(d.views, o.NewView())
	}
	return d
}

// Stats returns the live counters.
func (d *Drainer) Stats() *Stats { return &d.stats }

// Lag counts the records that are durable but not behind the cursor.
func (d *Drainer) Lag() uint64 {
	last, cursor := d.s.Last(), d.stats.Cursor.Load()
	if cursor >= last {
		return 0
	}
	return last - cursor
}

// Run drains until ctx ends, which is no error, or the spool is unusable.
// While the queue is away it tries again, first soon and then every few
// seconds.
func (d *Drainer) Run(ctx context.Context) error {
	pause := firstBackoff
	for {
		before := d.stats.Batches.Load()
		err := d.session(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, spool.ErrFailed), errors.Is(err, spool.ErrClosed), errors.Is(err, spool.ErrDamaged):
			return fmt.Errorf("draining the spool: %w", err)
		}
		if d.stats.Batches.Load() > before {
			pause = firstBackoff
		}
		d.report(err)
		if errors.Is(err, ErrConflict) {
			pause = d.o.Backoff
		}
		if !sleep(ctx, jitter(pause)) {
			return nil
		}
		pause = min(2*pause, d.o.Backoff)
	}
}

func (d *Drainer) report(err error) {
	if errors.Is(err, ErrConflict) {
		d.stats.Up.Store(false)
		d.stats.Alarms.Add(1)
		d.o.Logger.Error("clearing queue conflict, nothing is drained", zap.Error(err))
		return
	}
	d.stats.Retries.Add(1)
	if d.stats.Up.Swap(false) || d.stats.Retries.Load() == 1 {
		d.o.Logger.Warn("clearing queue is away, records stay in the spool", zap.Error(err))
	}
}

// session drains until the first error. A producer cuts and encodes ahead
// while the queue syncs.
func (d *Drainer) session(ctx context.Context) error {
	cursor, err := d.resume(ctx)
	if err != nil {
		return err
	}
	if !d.stats.Up.Swap(true) {
		d.o.Logger.Info("draining to the clearing queue", zap.Uint64("cursor", cursor), zap.Uint64("last", d.s.Last()))
	}
	ctx, cancel := context.WithCancel(ctx)
	p := newProducer(d, cursor)
	produced := make(chan error, 1)
	go func() { produced <- p.run(ctx) }()
	err = d.publish(ctx, p)
	cancel()
	if perr := <-produced; err == nil || errors.Is(perr, spool.ErrDamaged) {
		err = perr
	}
	return err
}

// publish sends what the producer makes until it ends.
func (d *Drainer) publish(ctx context.Context, p *producer) error {
	tick := time.NewTicker(d.o.Poll)
	defer tick.Stop()
	for {
		select {
		case st, ok := <-p.out:
			if !ok {
				return nil
			}
			for _, b := range st.batches {
				if err := d.sink.Publish(ctx, b); err != nil {
					return fmt.Errorf("publishing records %d to %d: %w", b.First, b.Last, err)
				}
				d.advance(b)
			}
			p.free <- st
		case <-tick.C:
		}
		if err := d.poll(ctx); err != nil {
			return err
		}
	}
}

func (d *Drainer) advance(b *Batch) {
	d.stats.LastAck.Store(time.Now().UnixNano())
	d.stats.Batches.Add(1)
	d.stats.Published.Add(uint64(b.count()))
	d.stats.Cursor.Store(b.Last)
	if !d.byWatermark() {
		d.s.SetWatermark(b.Last)
	}
}

// byWatermark says whether the clearing side decides what is trimmed.
func (d *Drainer) byWatermark() bool {
	return d.o.Trim == TrimWatermark || d.o.Trim == TrimAuto && d.reported
}

// poll reads the clearing side's watermark now and then.
func (d *Drainer) poll(ctx context.Context) error {
	if time.Since(d.polled) < d.o.Poll || d.o.Trim == TrimDelivered {
		return nil
	}
	d.polled = time.Now()
	seq, known, err := d.sink.Watermark(ctx)
	if err != nil {
		return err
	}
	had := d.heard
	if d.heard = known; !known {
		if had {
			return errForgot
		}
		return nil
	}
	if d.polls++; d.polls%frontEvery == 0 {
		if lost, err := d.frontLost(ctx, min(seq, d.stats.Cursor.Load())); err != nil || lost {
			return errors.Join(err, errFront)
		}
	}
	d.reported = true
	if seq > d.stats.Cursor.Load() {
		// Nobody can have stored what was not sent: never trim by it.
		d.o.Logger.Warn("clearing watermark is ahead of the queue", zap.Uint64("watermark", seq))
		return nil
	}
	d.stored = seq
	d.stats.Reported.Store(seq)
	d.s.SetWatermark(seq)
	return d.trimQueue(ctx, seq)
}

// frontEvery is after how many polls the queue's front is looked at: the
// queue answers with a whole batch.
const frontEvery = 10

var (
	errFront  = errors.New("the queue lost batches that nobody has stored")
	errForgot = errors.New("the queue lost the clearing side's watermark, and maybe more")
)

// frontLost says whether the queue lacks a batch behind the record stored,
// up to which the clearing side has everything: we never trim so far.
func (d *Drainer) frontLost(ctx context.Context, stored uint64) (bool, error) {
	k, ok := d.sink.(Keeper)
	if !ok {
		return false, nil
	}
	cut, ok, err := d.s.CutOver(stored + 1)
	if err == nil && !ok {
		cut, ok, err = d.s.CutFrom(stored + 1)
	}
	if err != nil || !ok || cut.Last > d.stats.Cursor.Load() {
		return false, err // nothing is owed, or it is not sent yet
	}
	first, err := k.First(ctx)
	return err == nil && (first == 0 || first > cut.First), err
}

// trimQueue lets the queue forget whole batches below the watermark.
func (d *Drainer) trimQueue(ctx context.Context, seq uint64) error {
	t, ok := d.sink.(Trimmer)
	if !ok {
		return nil
	}
	first := seq + 1
	if cut, ok, err := d.s.CutOver(seq); err != nil {
		return err
	} else if ok && cut.Last > seq {
		first = cut.First
	}
	if first <= d.trimmed {
		return nil
	}
	if err := t.Trim(ctx, first); err != nil {
		return err
	}
	d.trimmed = first
	return nil
}

// resume asks the queue where it stands and returns the last record it
// needs no more.
func (d *Drainer) resume(ctx context.Context) (cursor uint64, err error) {
	top, known, err := d.sink.Last(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking the queue where it stands: %w", err)
	}
	if err := d.hear(ctx); err != nil {
		return 0, fmt.Errorf("reading the clearing watermark: %w", err)
	}
	d.polled = time.Time{}
	had := d.stats.Cursor.Load()
	cursor = max(had, d.s.Watermark())
	if known {
		if cursor, err = d.behind(top); err != nil {
			return 0, err
		}
		if cursor, err = d.front(ctx, cursor); err != nil {
			return 0, err
		}
	}
	if cursor, err = d.align(cursor); err != nil {
		return 0, err
	}
	if cursor < had {
		d.stats.Rewinds.Add(1)
		d.o.Logger.Warn("the queue lost its tail, sending again", zap.Uint64("from", cursor+1), zap.Uint64("cursor", had))
	}
	d.stats.Cursor.Store(cursor)
	return cursor, nil
}

// front begins anew when the queue lost its front.
func (d *Drainer) front(ctx context.Context, cursor uint64) (uint64, error) {
	d.stats.Cursor.Store(cursor)
	if !d.byWatermark() {
		return cursor, nil
	}
	if lost, err := d.frontLost(ctx, min(d.stored, cursor)); err != nil || !lost {
		return cursor, err
	}
	if err := d.sink.(Keeper).Forget(ctx); err != nil {
		return 0, err
	}
	return d.behind(0)
}

// hear asks the clearing side what it has stored, before anything is sent.
func (d *Drainer) hear(ctx context.Context) error {
	if d.o.Trim == TrimDelivered {
		return nil
	}
	seq, known, err := d.sink.Watermark(ctx)
	d.heard = known && err == nil
	switch {
	case err != nil:
		return err
	case known:
		d.reported, d.stored = true, seq
	case !d.reported:
		d.stored = d.s.Watermark() // TrimWatermark: its last word before the restart
	}
	return nil
}

// behind returns the end of the newest batch the queue has, which begins at
// top. Nothing below what the clearing side has stored is needed again; the
// spool's own watermark is no proof of that, as before the first report it
// told what was delivered, and a report alone is none, as it can be of
// records that were never sent.
func (d *Drainer) behind(top uint64) (uint64, error) {
	floor := d.s.First() - 1
	if d.byWatermark() {
		floor = max(floor, min(d.s.Watermark(), d.stored))
	}
	if top == 0 {
		return floor, nil
	}
	if top > d.s.Last() {
		return 0, fmt.Errorf("%w: it has record %d, the spool ends at %d: was the spool restored from a copy?", ErrConflict, top, d.s.Last())
	}
	cut, ok, err := d.s.CutOver(top)
	switch {
	case err != nil:
		return 0, err
	case ok && cut.First == top:
		return max(cut.Last, floor), nil
	case top >= d.s.First():
		return 0, fmt.Errorf("%w: a batch begins at record %d that was never cut there", ErrConflict, top)
	}
	// Its newest batch is trimmed here. What it lacks up to our first record
	// is stored by the clearing side, or gone.
	if !d.byWatermark() && d.s.First() > top+1 {
		d.stats.Lost.Add(1)
		d.o.Logger.Error("the queue lost records that the spool no longer has",
			zap.Uint64("after", top), zap.Uint64("first", d.s.First()))
	}
	return floor, nil
}

// align moves a cursor that lies inside a cut to the front of it: batches
// are sent whole.
func (d *Drainer) align(cursor uint64) (uint64, error) {
	cut, ok, err := d.s.CutOver(cursor + 1)
	if err == nil && ok {
		cursor = cut.First - 1
	}
	return cursor, err
}

func jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(rand.Int64N(int64(d)))
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
