package agent

import (
	"sync"

	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/mailbox"
)

// mail is what other goroutines have left for the loop.
type mail struct {
	mu      sync.Mutex // guards the in side of the boxes, and stop
	links   mailbox.Box[*link]
	failed  mailbox.Box[undialled]
	asked   mailbox.Box[chan<- []PeerStatus]
	tasks   mailbox.Box[func()]
	spooled mailbox.Box[*spool.Batch]
	owed    mailbox.Box[Owed]
	stop    bool
}

// post leaves a letter and wakes the loop. It is safe for concurrent use.
func post[T any](lp *loop, b *mailbox.Box[T], letter T) {
	lp.mail.mu.Lock()
	b.Put(letter)
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
	m.links.Collect()
	m.failed.Collect()
	m.asked.Collect()
	m.tasks.Collect()
	m.spooled.Collect()
	m.owed.Collect()
	stop := m.stop
	m.mu.Unlock()
	for b, ok := m.spooled.Next(); ok; b, ok = m.spooled.Next() {
		lp.ledger.spooled(b)
	}
	for o, ok := m.owed.Next(); ok; o, ok = m.owed.Next() {
		lp.carry(o)
	}
	for f, ok := m.tasks.Next(); ok; f, ok = m.tasks.Next() {
		f()
	}
	for l, ok := m.links.Next(); ok; l, ok = m.links.Next() {
		lp.enter(l)
	}
	for u, ok := m.failed.Next(); ok; u, ok = m.failed.Next() {
		lp.undialled(u)
	}
	for to, ok := m.asked.Next(); ok; to, ok = m.asked.Next() {
		to <- lp.statuses()
	}
	if stop && lp.stopping == 0 {
		lp.stopping = lp.now
		lp.takeLeave()
	}
}
