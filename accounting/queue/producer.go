package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
)

// ahead is how many stretches may wait encoded, and how many share one sync
// of their cuts.
const ahead = 8

// stretch is what is read from the spool in one go, and the batches made of
// it. It passes from the reader to an encoder, to the cutter, to the
// drainer, and back.
type stretch struct {
	first uint64
	known *spool.Cut // it was cut before, as one batch
	recs  []byte     // records one behind the other
	ends  []int      // where each ends in recs: of a lost one, where it begins

	batches []*Batch
	spare   []*Batch
	err     error
	made    chan struct{} // holds a value once the encoder is done
}

// producer turns the spool behind the cursor into batches: one goroutine
// reads, some encode, one makes the cuts durable, in order.
type producer struct {
	d      *Drainer
	cursor uint64 // the reader's
	out    chan *stretch
	free   chan *stretch
	todo   chan *stretch // to the encoders
	order  chan *stretch // to the cutter
}

func newProducer(d *Drainer, cursor uint64) *producer {
	p := &producer{
		d: d, cursor: cursor,
		out: make(chan *stretch, ahead), free: make(chan *stretch, 2*ahead+2),
		todo: make(chan *stretch, 2*ahead+2), order: make(chan *stretch, 2*ahead+2),
	}
	for range cap(p.free) {
		p.free <- &stretch{made: make(chan struct{}, 1)}
	}
	return p
}

// run makes batches until ctx ends or the spool cannot be used. It closes
// out behind the last.
func (p *producer) run(ctx context.Context) error {
	defer close(p.out)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, v := range p.d.views {
		wg.Go(func() {
			for st := range p.todo {
				p.encode(st, v)
				st.made <- struct{}{}
			}
		})
	}
	wg.Go(func() {
		defer close(p.todo)
		defer close(p.order)
		cancel(p.read(ctx))
	})
	err := p.cut(ctx)
	cancel(err)
	for range p.order { // let the reader end, it may wait to hand on
	}
	wg.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// read hands on stretch after stretch until it fails.
func (p *producer) read(ctx context.Context) error {
	s := p.d.s
	for {
		if p.cursor >= s.Last() {
			if err := p.wait(ctx); err != nil {
				return err
			}
			continue
		}
		cut, cutBefore, err := s.CutFrom(p.cursor + 1)
		if err != nil {
			return err
		}
		if !cutBefore && s.Last()-p.cursor < uint64(p.d.o.MaxRecords) && !sleep(ctx, p.d.o.Linger) {
			return ctx.Err()
		}
		st, err := p.take(ctx)
		if err != nil {
			return err
		}
		if err := p.fill(st, cut, cutBefore); err != nil {
			return err
		}
		p.cursor += uint64(len(st.ends))
		p.todo <- st // as deep as there are stretches
		p.order <- st
	}
}

// wait waits for records behind the cursor.
func (p *producer) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.d.s.Changed():
		return nil
	case <-time.After(time.Second):
		// A closed or failed spool changes no more.
		return p.d.s.Read(p.cursor+1, func(uint64, []byte) bool { return false })
	}
}

// fill copies the next records: those of the cut that begins there, else
// what fits a batch and is in front of the next cut. A program that did not
// carry all kinds left stretches without a cut between others.
func (p *producer) fill(st *stretch, next spool.Cut, cutBefore bool) error {
	o := &p.d.o
	last, records, octets := p.d.s.Last(), o.MaxRecords, o.MaxBytes
	st.first, st.known = p.cursor+1, nil
	switch {
	case cutBefore && next.First == st.first:
		st.known = &next
		last, records, octets = next.Last, int(next.Last-next.First)+1, 1<<62
	case cutBefore:
		last = min(last, next.First-1)
	}
	st.recs, st.ends = st.recs[:0], st.ends[:0]
	lost := p.d.s.Lost()
	due := func() uint64 { return st.first + uint64(len(st.ends)) }
	pass := func() { // what a repair has found lost is carried as nothing
		for len(st.ends) < records && due() <= last && isLost(lost, due()) {
			st.ends = append(st.ends, len(st.recs))
		}
	}
	err := p.d.s.Read(st.first, func(seq uint64, rec []byte) bool {
		if pass(); seq != due() || seq > last || len(st.ends) == records {
			return false // trimmed under us, or enough
		}
		st.recs = append(st.recs, rec...)
		st.ends = append(st.ends, len(st.recs))
		return seq < last && len(st.ends) < records && len(st.recs) < octets
	})
	pass()
	switch {
	case err != nil:
		return err
	case p.d.s.First() > st.first && len(st.ends) == 0, p.d.s.First() > st.first && st.known != nil && len(st.ends) != records:
		return fmt.Errorf("%w: %d", errTrimmed, st.first)
	case st.known != nil && len(st.ends) != records:
		return fmt.Errorf("%w: records %d to %d were cut and are not there", spool.ErrDamaged, next.First, next.Last)
	case len(st.ends) == 0:
		return fmt.Errorf("%w: record %d is not there", spool.ErrDamaged, st.first)
	}
	return nil
}

// errTrimmed: retention took a record away before it was sent once more. The
// drainer looks again where it stands.
var errTrimmed = errors.New("the spool has no longer a record that the queue lost")

// isLost says whether a repair has found seq lost.
func isLost(lost []spool.Span, seq uint64) bool {
	i := sort.Search(len(lost), func(i int) bool { return lost[i].Last >= seq })
	return i < len(lost) && lost[i].First <= seq
}

// jsonFactor is how much larger than a record its JSON form usually is.
const jsonFactor = 3

// encode makes the batches of a stretch.
func (p *producer) encode(st *stretch, v *accounting.View) {
	st.spare = append(st.spare, st.batches...)
	st.batches, st.err = st.batches[:0], nil
	limit, filter := MaxMessage, uint32(0)
	if st.known != nil {
		limit, filter = 1<<62, st.known.Filter
	}
	b := st.add(p.d.s.Epoch(), st.first, filter)
	b.Data = slices.Grow(b.Data, min(jsonFactor*len(st.recs), MaxMessage))
	from := 0
	for i, end := range st.ends {
		seq := st.first + uint64(i)
		if !b.add(seq, st.recs[from:end], v, limit) {
			b.seal()
			b = st.add(p.d.s.Epoch(), seq, filter)
			b.add(seq, st.recs[from:end], v, limit)
		}
		from = end
	}
	b.seal()
	if st.known != nil && b.cut != *st.known {
		st.err = fmt.Errorf("%w: records %d to %d are not what they were when first sent",
			spool.ErrDamaged, st.known.First, st.known.Last)
	}
}

// add begins one more batch.
func (st *stretch) add(epoch, first uint64, filter uint32) *Batch {
	var b *Batch
	if n := len(st.spare); n > 0 {
		b, st.spare = st.spare[n-1], st.spare[:n-1]
	} else {
		b = new(Batch)
	}
	b.begin(epoch, first, filter)
	st.batches = append(st.batches, b)
	return b
}

// cut makes cuts durable, those of up to ahead stretches together, and sends
// the stretches on.
func (p *producer) cut(ctx context.Context) error {
	group := make([]*stretch, 0, ahead)
	var cuts []spool.Cut
	for {
		group, cuts = group[:0], cuts[:0]
		for st := p.next(ctx, nil); st != nil; st = p.next(ctx, group) {
			if st.err != nil {
				return st.err
			}
			group = append(group, st)
			if st.known == nil {
				for _, b := range st.batches {
					cuts = append(cuts, b.cut)
				}
			}
		}
		if len(group) == 0 {
			return context.Cause(ctx)
		}
		if err := p.d.s.Cut(cuts...); err != nil {
			return err
		}
		for _, st := range group {
			select {
			case p.out <- st:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// next returns the next encoded stretch. It waits for the first of a group
// only: a stretch that is ready does not wait for one that is not.
func (p *producer) next(ctx context.Context, group []*stretch) *stretch {
	var st *stretch
	if len(group) == 0 {
		select {
		case st = <-p.order:
		case <-ctx.Done():
		}
	} else if len(group) < ahead {
		select {
		case st = <-p.order:
		default:
		}
	}
	if st != nil {
		<-st.made
	}
	return st
}

func (p *producer) take(ctx context.Context) (*stretch, error) {
	select {
	case st := <-p.free:
		return st, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
