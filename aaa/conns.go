package aaa

import (
	"errors"
	"io"
	"slices"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// connTag is where the poller's tags of connections begin.
const connTag = uint32(2e6)

// conn is one connection of a shard: a client's, or one of ours to a home. It
// belongs to the shard from enter until closeConn; what is said of the peer is
// written before and does not change.
type conn struct {
	*stream.Conn
	serial    uint32 // never used twice by a shard, nor the number of a socket
	slot      uint32
	transport realm.Transport
	clear     bool          // RADIUS/1.1
	identity  *pki.Identity // what the peer's certificate says, nil: it has none
	operator  *operator     // of a client's certificate, likewise
	from      udp.Addr
	peer      string // its name in the files
	security  string // by which it was let in
	ctr       *connStats
	secret    *radius.Secret

	inner  *inner         // what CoA goes by, nil: the hub carries none
	client *client.Client // of the Snapshot that the shard has; nil: a home's
	link   *link          // to a home, nil: a client's

	shard *Shard
	mark  callMark // of the call, see calls
	ends  Closing  // before it has begun
	met   bool     // a packet has come

	heard  int64 // monotonic ns, the last packet
	moved  int64 // monotonic ns, when the peer last took something, or had nothing to take
	sent   uint64
	full   bool // what was built last does not leave
	dirty  bool // is in conns.dirty
	unread bool // is in conns.unread
	closed bool
}

// conns are the connections of a shard.
type conns struct {
	slots  []*conn // by tag; nil: free
	free   []uint32
	freed  []uint32 // in this round, of which events may still come
	serial uint32
	dirty  []*conn    // something was committed
	unread [2][]*conn // of homes and of clients: something is left to be read
	swept  int64
}

const (
	ofHomes = iota
	ofClients
)

// side is the list of unread ones that a connection stands in.
func (c *conn) side() int {
	if c.link != nil {
		return ofHomes
	}
	return ofClients
}

// enterLater gives a connection to the shard. It is safe for concurrent use.
func (s *Shard) enterLater(c *conn) { post(s, &s.mail.conns, c) }

// enter makes a connection part of the loop. What came with the handshake no
// poller tells of, so it is read at once.
func (s *Shard) enter(c *conn) {
	t := &s.conns
	if n := len(t.free); n > 0 {
		c.slot, t.free = t.free[n-1], t.free[:n-1]
	} else {
		c.slot = uint32(len(t.slots))
		t.slots = append(t.slots, nil)
	}
	t.slots[c.slot] = c
	t.serial++
	c.serial, c.heard, c.moved = 1<<16+t.serial, s.now, s.now
	s.stats.Add(c.ctr.opened, 1)
	limits := &s.hub.conf.Connections
	if all, own := s.hub.connections.add(c); c.link == nil && (all > limits.Most || own > limits.PerClient) {
		c.ends = ClosedMany
	}
	if err := c.Attach(s.poller, connTag+c.slot); err != nil {
		s.stats.Add(s.ctr.socketErrors, 1)
		if c.link != nil {
			c.link.trunk.Failed(c.link.serial, s.now)
		}
		s.closeConn(c, ClosedBroken)
		return
	}
	if c.link != nil {
		s.linkOpened(c)
	} else {
		s.welcome(c)
	}
	if !c.closed {
		s.listenInside(c)
	}
	s.unread(c)
}

// unread has a connection read in this round or the next.
func (s *Shard) unread(c *conn) {
	if !c.unread && !c.closed {
		c.unread = true
		s.conns.unread[c.side()] = append(s.conns.unread[c.side()], c)
	}
}

// connReady notes what the poller has told of a connection.
func (s *Shard) connReady(tag uint32) {
	if c := s.conns.slots[tag-connTag]; c != nil {
		if c.Queued() > 0 {
			s.dirtied(c) // there may be room again for what was kept
		}
		s.unread(c)
	}
}

// readConns gives each connection with something to read its turn. Those that
// have not been read empty have the next one.
func (s *Shard) readConns(side int) {
	list := s.conns.unread[side]
	for i := range len(list) {
		c := list[i]
		c.unread = false
		if !c.closed {
			s.readConn(c)
		}
	}
	rest := s.conns.unread[side]
	n := copy(rest, rest[len(list):])
	clear(rest[n:])
	s.conns.unread[side] = rest[:n]
}

// readConn takes some batches of packets from a connection.
func (s *Shard) readConn(c *conn) {
	for range rounds {
		more, err := c.Recv()
		bad := s.hearAll(c)
		switch {
		case c.closed:
			return
		case bad != nil:
			s.closeConn(c, ClosedFraming)
			return
		case errors.Is(err, io.EOF):
			s.closeConn(c, ClosedByPeer)
			return
		case err != nil:
			s.closeConn(c, ClosedBroken)
			return
		case !more:
			return
		}
	}
	s.unread(c)
}

// hearAll deals with the packets that have come whole.
func (s *Shard) hearAll(c *conn) (bad error) {
	for n := batchSize; n == batchSize && bad == nil && !c.closed; {
		s.proofs.Reset()
		for n = 0; n < batchSize; n++ {
			var b []byte
			if b, bad = c.Next(); b == nil {
				break
			}
			long := bad != nil // its header alone; the rest is skipped
			bad = nil
			if c.link != nil {
				s.hearLink(&s.arrivals[n], c, b, long)
			} else {
				s.hearConn(&s.arrivals[n], c, b, long)
			}
		}
		if n > 0 {
			c.heard = s.now
			if s.meets(c); c.closed {
				return nil
			}
		}
		s.proofs.Run()
		for i := 0; i < n && !c.closed; i++ {
			if c.link != nil {
				s.takeLink(&s.arrivals[i], c)
			} else {
				s.take(&s.arrivals[i])
			}
		}
		s.sign()
	}
	if !c.closed {
		c.Done()
	}
	return bad
}

// roomOf lends room to build a packet for a connection in, nil: its peer takes
// too little of what is sent to it.
func (s *Shard) roomOf(c *conn) []byte {
	if s.signatures.Room() == 0 {
		s.sign()
	}
	if c.closed {
		return nil
	}
	if b := c.Room(); b != nil || !c.dirty {
		return b
	}
	s.sign() // perhaps it is only what this round has written
	if s.flushConn(c); c.closed {
		return nil
	}
	return c.Room()
}

// commitTo sends the first n octets of what roomOf lent once they are signed.
func (s *Shard) commitTo(c *conn, n int) {
	c.Commit(n)
	s.dirtied(c)
}

func (s *Shard) dirtied(c *conn) {
	if !c.dirty {
		c.dirty = true
		s.conns.dirty = append(s.conns.dirty, c)
	}
}

func (s *Shard) flushConn(c *conn) {
	if err := c.Flush(); err != nil {
		s.closeConn(c, ClosedBroken)
	}
}

// flushConns sends what was committed. A connection that ends here may move its
// requests to others.
func (s *Shard) flushConns() {
	t := &s.conns
	for i := 0; i < len(t.dirty); i++ {
		c := t.dirty[i]
		c.dirty = false
		if !c.closed {
			s.flushConn(c)
		}
		s.sign()
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
}

// closeConn ends a connection.
func (s *Shard) closeConn(c *conn, why Closing) {
	if c.closed {
		return
	}
	s.sign() // nothing unsigned points into its buffers
	if why != ClosedBroken && why != ClosedStalled {
		_ = c.Flush()
	}
	c.closed = true
	c.Close()
	s.conns.slots[c.slot] = nil
	s.conns.freed = append(s.conns.freed, c.slot)
	s.stats.Add(c.ctr.closed[why], 1)
	s.hub.connections.remove(c)
	select {
	case s.hub.notes <- note{closed: why, conn: c}:
	default:
		s.stats.Add(s.ctr.logSuppressed, 1)
	}
	s.endInside(c)
	if c.link != nil {
		s.linkClosed(c, why)
	}
}

// sweepEvery is how late an end by time can be.
const sweepEvery = 1e9

// sweepConns ends connections whose time is over, and lets tags be used again.
func (s *Shard) sweepConns() {
	t := &s.conns
	t.free = append(t.free, t.freed...)
	t.freed = t.freed[:0]
	if s.now-t.swept < sweepEvery {
		return
	}
	t.swept = s.now
	for _, c := range t.slots {
		if c == nil {
			continue
		}
		if why := s.overdue(c); why != StaysOpen {
			s.closeConn(c, why)
		}
	}
}

// closeConns ends all of them, also those that have not been entered: the shard
// has stopped.
func (s *Shard) closeConns() {
	s.mail.mu.Lock()
	for _, c := range s.mail.conns.All() {
		c.Close()
	}
	s.mail.mu.Unlock()
	for _, c := range slices.Clone(s.conns.slots) {
		if c != nil {
			s.closeConn(c, ClosedStopping)
		}
	}
}
