package agent

import (
	"sync"

	"github.com/roamgate/roamgate/accounting/spool"
)

// mail is what other goroutines have left for the loop.
type mail struct {
	mu      sync.Mutex // guards the in side of the boxes, and stop
	links   box[*link]
	failed  box[undialled]
	asked   box[chan<- []PeerStatus]
	tasks   box[func()]
	spooled box[*spool.Batch]
	owed    box[Owed]
	stop    bool
}

// box is a queue filled by others and emptied by the loop. A letter is taken out before
// it is acted on.
type box[T any] struct {
	in, out []T
	at      int
}

// collect moves what came in to the loop's side once that is empty. The mail's mutex is
// held.
func (b *box[T]) collect() {
	if b.at < len(b.out) {
		return
	}
	clear(b.out)
	b.in, b.out, b.at = b.out[:0], b.in, 0
}

// next takes the oldest letter.
func (b *box[T]) next() (letter T, ok bool) {
	if b.at == len(b.out) {
		return letter, false
	}
	letter = b.out[b.at]
	b.at++
	return letter, true
}

// post leaves a letter and wakes the loop. It is safe for concurrent use.
func post[T any](lp *loop, b *box[T], letter T) {
	lp.mail.mu.Lock()
	b.in = append(b.in, letter)
	lp.mail.mu.Unlock()
	lp.poller.Wake()
}

// do has the loop call f. It is safe for concurrent use, and for what is rare.
func (lp *loop) do(f func()) { post(lp, &lp.mail.tasks, f) }

func (lp *loop) stop() {
	lp.mail.mu.Lock()
	lp.mail.stop = true
	lp.mail.mu.Unlock()
	lp.poller.Wake()
}

// readMail does what other goroutines asked for.
func (lp *loop) readMail() {
	m := &lp.mail
	m.mu.Lock()
	m.links.collect()
	m.failed.collect()
	m.asked.collect()
	m.tasks.collect()
	m.spooled.collect()
	m.owed.collect()
	stop := m.stop
	m.mu.Unlock()
	for b, ok := m.spooled.next(); ok; b, ok = m.spooled.next() {
		lp.ledger.spooled(b)
	}
	for o, ok := m.owed.next(); ok; o, ok = m.owed.next() {
		lp.carry(o)
	}
	for f, ok := m.tasks.next(); ok; f, ok = m.tasks.next() {
		f()
	}
	for l, ok := m.links.next(); ok; l, ok = m.links.next() {
		lp.enter(l)
	}
	for u, ok := m.failed.next(); ok; u, ok = m.failed.next() {
		lp.undialled(u)
	}
	for to, ok := m.asked.next(); ok; to, ok = m.asked.next() {
		to <- lp.statuses()
	}
	if stop && lp.stopping == 0 {
		lp.stopping = lp.now
		lp.takeLeave()
	}
}
