package queue

import (
	"context"
	"errors"
	"sync"
)

// ErrConflict: the queue holds something else where our batch belongs.
// Nothing is sent over it: somebody must look.
var ErrConflict = errors.New("the queue holds other content under our id")

// Sink is the way to one clearing side.
type Sink interface {
	// Publish delivers b, also when it was delivered before: it returns nil
	// once the queue holds exactly this batch. b is lent for the call.
	Publish(ctx context.Context, b *Batch) error
	// Last returns First of the newest batch the queue was ever given, 0 for
	// none. known is false when the queue cannot tell: then what the spool
	// remembers is trusted.
	Last(ctx context.Context) (first uint64, known bool, err error)
	// Watermark returns up to which record the clearing side has stored
	// everything; known is false when it has not reported.
	Watermark(ctx context.Context) (seq uint64, known bool, err error)
}

// Trimmer is a Sink that can forget batches.
type Trimmer interface {
	// Trim forgets the batches that begin below the record first.
	Trim(ctx context.Context, first uint64) error
}

// Keeper is a Sink that can say what it still holds: somebody may have taken
// batches out that were not stored, at the front where Last does not show it.
type Keeper interface {
	// First returns First of the oldest batch that the queue holds, 0 for
	// none.
	First(ctx context.Context) (first uint64, err error)
	// Forget makes the queue as if it had never held a batch, so that all
	// that is not stored can be sent again.
	Forget(ctx context.Context) error
}

// InProcess is a Sink that calls this process.
type InProcess struct {
	deliver func(context.Context, *Batch) error

	mu   sync.Mutex // guards both
	mark uint64
	told bool
}

// NewInProcess returns a Sink that hands each batch to deliver, which must
// have stored it when it returns nil. With nil everything counts as
// delivered and stays readable in the spool as long as that retains it.
func NewInProcess(deliver func(*Batch) error) *InProcess {
	if deliver == nil {
		deliver = func(*Batch) error { return nil }
	}
	return &InProcess{deliver: func(_ context.Context, b *Batch) error { return deliver(b) }}
}

// NewEmbedded returns a Sink that has t, a clearing store in this process,
// take each batch, as of the hub named node.
func NewEmbedded(node string, t Taker) *InProcess {
	s := new(InProcess)
	s.deliver = func(ctx context.Context, b *Batch) error {
		mark, err := t.Take(ctx, &Delivery{
			Node: node, Epoch: b.Epoch, First: b.First, Last: b.Last, N: b.N, NQ: b.NQ, Hash: b.Hash,
			Encoding: Encoding, Data: b.Data, Quarantined: b.Quarantined, ID: b.ID(),
		})
		if err == nil {
			s.mu.Lock()
			s.mark, s.told = mark, true
			s.mu.Unlock()
		}
		return err
	}
	return s
}

// Publish implements Sink.
func (s *InProcess) Publish(ctx context.Context, b *Batch) error { return s.deliver(ctx, b) }

// Last implements Sink: the spool's own watermark says it.
func (s *InProcess) Last(context.Context) (uint64, bool, error) { return 0, false, nil }

// Watermark implements Sink: what the store said, and nothing where there is
// none or it has not taken anything yet.
func (s *InProcess) Watermark(context.Context) (uint64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark, s.told, nil
}
