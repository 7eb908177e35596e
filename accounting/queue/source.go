package queue

import (
	"context"
	"errors"
)

// Delivery is one message of a queue as the consumer gets it: what a Sink
// has published as a Batch, or what somebody else has put there.
type Delivery struct {
	Node        string // hub that sent it
	Epoch       uint64 // of its spool
	First, Last uint64
	N, NQ       int // records in Data and in Quarantined
	Hash        [16]byte
	Encoding    string
	Data        []byte // JSON lines
	Quarantined []byte // JSON lines
	Times       int    // how often it was delivered before, as far as the queue knows
	TakenOver   bool   // from a consumer that did not confirm it
	Err         error  // it is no batch: why (ErrForeign); Data is what came

	ID string // names it in the queue, for people
	at any    // the Source's own, for Done
}

// ErrForeign: a message that no hub of ours wrote.
var ErrForeign = errors.New("this is no batch of a hub")

// Source is the consumer's end of a queue. It belongs to one goroutine.
type Source interface {
	// Next waits a moment for messages that nobody else works on and returns
	// a few, none when there are none.
	// Those of a consumer that died come after a while (takeover). A message
	// that is not confirmed comes again, at the latest to the next consumer.
	Next(ctx context.Context) ([]*Delivery, error)
	// Done confirms messages: they do not come again.
	Done(ctx context.Context, ds ...*Delivery) error
	// Report tells the hub named node that everything up to and including
	// seq of its spool's epoch is stored here. It never falls.
	Report(ctx context.Context, node string, epoch, seq uint64) error
	// Close gives back what was not confirmed.
	Close() error
}

// Taker stores deliveries. It must be safe to call again with the same
// delivery at any time: the effect is that of one call.
type Taker interface {
	// Take stores d and returns up to which record of the delivery's hub and
	// epoch everything is stored, 0 for none. An error means that nothing of
	// d was stored; ErrConflict, that d contradicts what was stored before
	// and has been put aside whole, for people to look at.
	Take(ctx context.Context, d *Delivery) (watermark uint64, err error)
}
