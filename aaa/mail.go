package aaa

import (
	"sync"

	"github.com/roamgate/roamgate/aaa/traffic"
	"github.com/roamgate/roamgate/accounting/spool"
)

// mail is what other goroutines have left for a shard.
type mail struct {
	mu      sync.Mutex // guards the in side of the boxes, and stop
	policy  box[uint64]
	peers   box[uint64]
	spooled box[*spool.Batch]
	replay  box[replayed]
	traffic box[chan<- *traffic.Sample]
	conns   box[*conn]
	doomed  box[doomed]
	// undialled are attempts to connect to homes.
	undialled box[undialled]
	said      box[said]
	stop      bool
}

// replayed is an accounting record that still has to reach its home.
type replayed struct {
	seq     uint64
	rec     []byte
	session uint32
	lane    *lane
	// diameter: it is none of a shard's.
	diameter bool
}

// box is a queue filled by others and emptied by the shard. A letter is taken
// out before it is acted on: one that makes the shard panic is gone and takes
// no other with it.
type box[T any] struct {
	in, out []T
	at      int
}

// collect moves what came in to the shard's side once that is empty. The
// mail's mutex is held.
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

// post leaves a letter and wakes the shard.
func post[T any](s *Shard, b *box[T], letter T) {
	s.mail.mu.Lock()
	b.in = append(b.in, letter)
	s.mail.mu.Unlock()
	s.poller.Wake()
}

// PolicyReady wakes the Exchange whose device policy has been fetched. It
// is safe for concurrent use.
func (s *Shard) PolicyReady(token uint64) { post(s, &s.mail.policy, token) }

// SpoolDone hands a batch back whose commit has ended. It is safe for
// concurrent use.
func (s *Shard) SpoolDone(b *spool.Batch) { post(s, &s.mail.spooled, b) }

// replayLater asks the shard to forward a spooled record to its home. rec is
// kept. It is safe for concurrent use.
func (s *Shard) replayLater(r replayed) { post(s, &s.mail.replay, r) }

func (s *Shard) stop() {
	s.mail.mu.Lock()
	s.mail.stop = true
	s.mail.mu.Unlock()
	s.poller.Wake()
}

// readMail does what other goroutines asked for; false means stop.
func (s *Shard) readMail() bool {
	m := &s.mail
	m.mu.Lock()
	m.policy.collect()
	m.peers.collect()
	m.spooled.collect()
	m.replay.collect()
	m.traffic.collect()
	m.conns.collect()
	m.doomed.collect()
	m.undialled.collect()
	m.said.collect()
	stop := m.stop
	m.mu.Unlock()
	for b, ok := m.spooled.next(); ok; b, ok = m.spooled.next() {
		s.spooled(b)
	}
	for t, ok := m.policy.next(); ok; t, ok = m.policy.next() {
		if slot, ex := s.slab.resolve(t); ex != nil && ex.stage == stageParked {
			s.resume(slot, ex)
		}
	}
	for t, ok := m.peers.next(); ok; t, ok = m.peers.next() {
		if slot, ex := s.slab.resolve(t); ex != nil && ex.seeks {
			s.found(slot, ex)
		}
	}
	for r, ok := m.replay.next(); ok; r, ok = m.replay.next() {
		s.replayRecord(r)
	}
	for to, ok := m.traffic.next(); ok; to, ok = m.traffic.next() {
		to <- s.traffic.Copy(s.now)
	}
	for c, ok := m.conns.next(); ok; c, ok = m.conns.next() {
		s.enter(c)
	}
	for d, ok := m.doomed.next(); ok; d, ok = m.doomed.next() {
		s.closeConn(d.conn, d.why)
	}
	for u, ok := m.undialled.next(); ok; u, ok = m.undialled.next() {
		s.undialled(u)
	}
	for x, ok := m.said.next(); ok; x, ok = m.said.next() {
		s.sayInside(x)
	}
	return !stop
}
