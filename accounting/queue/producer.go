package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

// ahead is how many batches may wait encoded, and how many cuts share one
// sync.
const ahead = 8

// producer cuts the spool behind the cursor into batches.
type producer struct {
	d      *Drainer
	cursor uint64
	out    chan *Batch
	free   chan *Batch
}

func newProducer(d *Drainer, cursor uint64) *producer {
	p := &producer{d: d, cursor: cursor, out: make(chan *Batch, ahead), free: make(chan *Batch, 2*ahead+2)}
	for range cap(p.free) {
		p.free <- new(Batch)
	}
	return p
}

// run makes batches until ctx ends or the spool cannot be read. It closes
// out behind the last.
func (p *producer) run(ctx context.Context) error {
	defer close(p.out)
	for {
		if err := p.known(ctx); err != nil {
			return err
		}
		if p.cursor < p.d.s.Last() && p.d.s.Last()-p.cursor < uint64(p.d.o.MaxRecords) {
			if !sleep(ctx, p.d.o.Linger) {
				return ctx.Err()
			}
		}
		if p.cursor == p.d.s.Last() {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-p.d.s.Changed():
			case <-time.After(time.Second):
				// A closed or failed spool changes no more.
				if err := p.d.s.Read(p.cursor+1, func(uint64, []byte) bool { return false }); err != nil {
					return err
				}
			}
			continue
		}
		if err := p.fresh(ctx); err != nil {
			return err
		}
	}
}

// known makes again the batches that were cut before.
func (p *producer) known(ctx context.Context) error {
	for {
		cut, ok, err := p.d.s.CutFrom(p.cursor + 1)
		if err != nil || !ok {
			return err
		}
		b, err := p.take(ctx)
		if err != nil {
			return err
		}
		if err := p.rebuild(b, cut); err != nil {
			return err
		}
		if err := p.send(ctx, b); err != nil {
			return err
		}
	}
}

// rebuild fills b from a cut and checks that it came out the same.
func (p *producer) rebuild(b *Batch, cut spool.Cut) error {
	filter := accounting.Kinds(cut.Filter)
	b.reset(p.d.s.Epoch(), cut.First)
	err := p.d.s.Read(cut.First, func(seq uint64, rec []byte) bool {
		b.add(seq, rec, filter, p.d.o.View)
		return seq < cut.Last
	})
	if err != nil {
		return err
	}
	b.seal(filter)
	if b.cut != cut {
		return fmt.Errorf("%w: records %d to %d are not what they were when first sent", spool.ErrDamaged, cut.First, cut.Last)
	}
	return nil
}

// fresh cuts up to ahead new batches, makes the cuts durable together, and
// sends them on. Records that are not carried join the batch behind them, or
// pass alone when nothing follows.
func (p *producer) fresh(ctx context.Context) error {
	var batches [ahead]*Batch
	var cuts []spool.Cut
	n := 0
	next := p.cursor + 1
	for n < ahead && next <= p.d.s.Last() {
		b, err := p.take(ctx)
		if err != nil {
			return err
		}
		if err := p.fill(b, next); err != nil {
			return err
		}
		if b.count() > 0 {
			cuts = append(cuts, b.cut)
		}
		batches[n] = b
		n++
		next = b.Last + 1
	}
	if err := p.d.s.Cut(cuts...); err != nil {
		return err
	}
	for _, b := range batches[:n] {
		if err := p.send(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// maxSpan bounds how many records that are not carried one batch may pass
// over.
const maxSpan = 1 << 16

func (p *producer) fill(b *Batch, first uint64) error {
	o := &p.d.o
	b.reset(p.d.s.Epoch(), first)
	err := p.d.s.Read(first, func(seq uint64, rec []byte) bool {
		b.add(seq, rec, o.Kinds, o.View)
		return b.count() < o.MaxRecords && b.raw < o.MaxBytes && seq-first < maxSpan
	})
	b.seal(o.Kinds)
	return err
}

func (p *producer) take(ctx context.Context) (*Batch, error) {
	select {
	case b := <-p.free:
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *producer) send(ctx context.Context, b *Batch) error {
	select {
	case p.out <- b:
		p.cursor = b.Last
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
