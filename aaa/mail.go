package aaa

import (
	"sync"

	"github.com/roamgate/roamgate/aaa/traffic"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/mailbox"
)

// mail is what other goroutines have left for a shard.
type mail struct {
	mu      sync.Mutex // guards the in side of the boxes, and stop
	policy  mailbox.Box[uint64]
	peers   mailbox.Box[uint64]
	spooled mailbox.Box[*spool.Batch]
	replay  mailbox.Box[replayed]
	traffic mailbox.Box[chan<- *traffic.Sample]
	conns   mailbox.Box[*conn]
	doomed  mailbox.Box[doomed]
	// undialled are attempts to connect to homes.
	undialled mailbox.Box[undialled]
	said      mailbox.Box[said]
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

// post leaves a letter and wakes the shard.
func post[T any](s *Shard, b *mailbox.Box[T], letter T) {
	s.mail.mu.Lock()
	b.Put(letter)
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
	m.policy.Collect()
	m.peers.Collect()
	m.spooled.Collect()
	m.replay.Collect()
	m.traffic.Collect()
	m.conns.Collect()
	m.doomed.Collect()
	m.undialled.Collect()
	m.said.Collect()
	stop := m.stop
	m.mu.Unlock()
	for b, ok := m.spooled.Next(); ok; b, ok = m.spooled.Next() {
		s.spooled(b)
	}
	for t, ok := m.policy.Next(); ok; t, ok = m.policy.Next() {
		if slot, ex := s.slab.resolve(t); ex != nil && ex.stage == stageParked {
			s.resume(slot, ex)
		}
	}
	for t, ok := m.peers.Next(); ok; t, ok = m.peers.Next() {
		if slot, ex := s.slab.resolve(t); ex != nil && ex.seeks {
			s.found(slot, ex)
		}
	}
	for r, ok := m.replay.Next(); ok; r, ok = m.replay.Next() {
		s.replayRecord(r)
	}
	for to, ok := m.traffic.Next(); ok; to, ok = m.traffic.Next() {
		to <- s.traffic.Copy(s.now)
	}
	for c, ok := m.conns.Next(); ok; c, ok = m.conns.Next() {
		s.enter(c)
	}
	for d, ok := m.doomed.Next(); ok; d, ok = m.doomed.Next() {
		s.closeConn(d.conn, d.why)
	}
	for u, ok := m.undialled.Next(); ok; u, ok = m.undialled.Next() {
		s.undialled(u)
	}
	for x, ok := m.said.Next(); ok; x, ok = m.said.Next() {
		s.sayInside(x)
	}
	return !stop
}
