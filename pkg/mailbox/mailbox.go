// Package mailbox is what event loops get letters from other goroutines by.
//
// It stands beside the packet walk: a loop has a Box for each kind of letter and one
// mutex for all of them, which it takes once a round.
//
// Memory: a Box grows to the most letters that have waited in it, and stays so.
//
// Concurrency: Put and Collect need the owner's mutex; Next belongs to the loop.
//
// It wakes nobody and drops nothing.
package mailbox

import "slices"

// Box is a queue filled by others and emptied by one loop. A letter is taken out before
// it is acted on: one that makes the loop panic is gone and takes no other with it.
type Box[T any] struct {
	in, out []T
	at      int
}

// Put leaves a letter. The owner's mutex is held.
func (b *Box[T]) Put(letter T) { b.in = append(b.in, letter) }

// Collect moves what came in to the loop's side once that is empty. The owner's mutex
// is held.
func (b *Box[T]) Collect() {
	if b.at < len(b.out) {
		return
	}
	clear(b.out)
	b.in, b.out, b.at = b.out[:0], b.in, 0
}

// Next takes the oldest letter that was collected.
func (b *Box[T]) Next() (letter T, ok bool) {
	if b.at == len(b.out) {
		return letter, false
	}
	letter = b.out[b.at]
	b.at++
	return letter, true
}

// All gives what is in the box, collected or not, the oldest first, and takes nothing
// out. The owner's mutex is held, and the loop does not run.
func (b *Box[T]) All() []T { return slices.Concat(b.out[b.at:], b.in) }
