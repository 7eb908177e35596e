package spool

// Batch is a group of records that one shard submits together. It is
// recycled: its memory grows to the largest group it carried and stays.
type Batch struct {
	// Err says after SpoolDone why the records are not durable; nil: they are.
	Err error

	buf     []byte
	ends    []int
	tokens  []uint64
	forward []bool
	waits   []uint64
	first   uint64
	done    Done
}

// Done takes batches back. SpoolDone runs on the committer goroutine: it
// must not block and must not call Submit; a shard posts the batch to its
// own mailbox.
type Done interface {
	SpoolDone(b *Batch)
}

// Add appends one record. token is the caller's and comes back in Tokens;
// forward marks the record as owed to a home server, so that Pending finds
// it until Settle. rec is copied.
//
// hot: 0 allocs once grown
func (b *Batch) Add(token uint64, rec []byte, forward bool) {
	b.buf = append(b.buf, rec...)
	b.ends = append(b.ends, len(b.buf))
	b.tokens = append(b.tokens, token)
	b.forward = append(b.forward, forward)
}

// Wait lets token come back with the batch, in Waits, without a record: all
// that was submitted before is then durable or can never be.
//
// hot: 0 allocs once grown
func (b *Batch) Wait(token uint64) { b.waits = append(b.waits, token) }

// Waits returns the tokens that have no record. The slice is the batch's own.
func (b *Batch) Waits() []uint64 { return b.waits }

// load is what a batch counts for against MaxQueued.
func (b *Batch) load() int { return len(b.tokens) + len(b.waits) }

// Len counts the records.
func (b *Batch) Len() int { return len(b.tokens) }

// Size counts the octets of the records.
func (b *Batch) Size() int { return len(b.buf) }

// Tokens returns the tokens in order of Add. The slice is the batch's own.
func (b *Batch) Tokens() []uint64 { return b.tokens }

// Record returns the i-th record. The slice is the batch's own.
func (b *Batch) Record(i int) []byte {
	from := 0
	if i > 0 {
		from = b.ends[i-1]
	}
	return b.buf[from:b.ends[i]:b.ends[i]]
}

// Seq returns the sequence number of the i-th record once the batch is done
// with Err nil.
func (b *Batch) Seq(i int) uint64 { return b.first + uint64(i) }

// Reset empties the batch for the next group.
func (b *Batch) Reset() {
	b.Err, b.first, b.done = nil, 0, nil
	b.buf, b.ends, b.tokens, b.forward, b.waits = b.buf[:0], b.ends[:0], b.tokens[:0], b.forward[:0], b.waits[:0]
}
