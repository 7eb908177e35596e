package aaa

import (
	"sync"
	"sync/atomic"

	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/pkg/radius"
)

const (
	// mostInside bounds what shards have told the loop of dynamic authorisation
	// and it has not read, and mostSaid what it has told one connection.
	mostInside = 4096
	mostSaid   = 256
)

// inner is a connection as the loop of dynamic authorisation has it: the way to
// a client that takes requests by it, or where a home sends them from (see
// dynauth.Connection). The connection itself stays its shard's.
type inner struct {
	conn   *conn
	said   atomic.Int32 // packets that the shard has not written yet
	number int          // that no other has, below 0
	secret *radius.Secret

	attached bool // belongs to the loop
}

// Send leaves a packet with the shard.
func (w *inner) Send(b []byte) bool {
	if w.said.Add(1) > mostSaid {
		w.said.Add(-1)
		return false
	}
	post(w.conn.shard, &w.conn.shard.mail.said, said{w, append([]byte(nil), b...)})
	return true
}

// Secret is that of RADIUS/1.1, nil: the peer's.
func (w *inner) Secret() *radius.Secret { return w.secret }

// Reliable is true: TCP and TLS repeat by themselves.
func (w *inner) Reliable() bool { return w.conn.transport.Reliable() }

// said is a packet for a connection.
type said struct {
	way *inner
	b   []byte
}

// sayInside writes what the loop of dynamic authorisation has to say.
func (s *Shard) sayInside(x said) {
	x.way.said.Add(-1)
	c := x.way.conn
	if b := s.roomOf(c); b != nil { // else it is gone or stalled, and the loop waits for nobody
		s.commitTo(c, copy(b, x.b))
	}
}

// told is what a shard tells the loop of dynamic authorisation.
type told struct {
	way  *inner
	what telling
	b    []byte
}

type telling uint8

const (
	toldOpened telling = iota
	toldClosed
	toldAnswer  // of a client
	toldRequest // of a home
)

// insides is what has been told.
type insides struct {
	mu  sync.Mutex // guards in
	in  []told
	out []told
}

// tell leaves word. Of packets there is room for some only: who sends more than
// the loop can read has them lost, as over UDP.
func (d *dynAuth) tell(t told) bool {
	d.insides.mu.Lock()
	room := t.what == toldOpened || t.what == toldClosed || len(d.insides.in) < mostInside
	if room {
		d.insides.in = append(d.insides.in, t)
	}
	d.insides.mu.Unlock()
	d.poller.Wake()
	return room
}

// listenInside makes a connection one that CoA and Disconnect can go by.
func (s *Shard) listenInside(c *conn) {
	d := s.hub.dynauth
	if d == nil {
		return
	}
	c.inner = &inner{conn: c, number: -1 - int(c.serial)*len(s.hub.shards) - s.index}
	if c.clear {
		c.inner.secret = radius.Clear
	}
	if c.client != nil {
		d.tell(told{way: c.inner, what: toldOpened})
	}
}

// endInside tells that a connection is gone.
func (s *Shard) endInside(c *conn) {
	if c.inner != nil && c.link == nil { // its client may be in the files no longer
		s.hub.dynauth.tell(told{way: c.inner, what: toldClosed})
	}
}

// passInside hands a packet over that came by a connection and belongs to no
// request of a shard's.
func (s *Shard) passInside(a *arrival, c *conn, what telling) {
	if !s.hub.dynauth.tell(told{way: c.inner, what: what, b: append([]byte(nil), a.Bytes()...)}) {
		s.stats.Add(s.ctr.local[Overload], 1)
		s.note(Overload, c.peer, c.from)
	}
}

// answersInside reports whether a packet of a client answers what was sent to it.
func (a *arrival) answersInside(c *conn) bool {
	switch a.Code() {
	case radius.CoAACK, radius.CoANAK, radius.DisconnectACK, radius.DisconnectNAK, radius.ProtocolError:
		return c.inner != nil && c.client.Spec.ReverseCoA
	}
	return false
}

// asksInside reports whether a packet of a home is a request, and whether the
// home may send it.
func (a *arrival) asksInside(c *conn) (asks, may bool) {
	switch a.Code() {
	case radius.CoARequest, radius.DisconnectRequest:
		return true, c.inner != nil && c.link.trunk.home.Spec.ReverseCoA
	}
	return false, false
}

// protestAt answers a home that asks what it may not (RFC 7930 section 4).
func (s *Shard) protestAt(a *arrival, c *conn) {
	id, auth := a.Identifier(), *a.Authenticator()
	if c.clear {
		id = 0
	}
	b := s.roomOf(c)
	if b == nil {
		return
	}
	s.w.StartProtocolError(b, id, a.Code(), unsupportedExtension, c.secret)
	s.commitTo(c, len(s.signatures.Response(&s.w, c.secret, &auth)))
}

// readInsides does what shards have told.
func (d *dynAuth) readInsides() {
	m := &d.insides
	m.mu.Lock()
	m.in, m.out = m.out[:0], m.in
	m.mu.Unlock()
	for _, t := range m.out {
		w := t.way
		switch t.what {
		case toldOpened:
			d.inners[w] = struct{}{}
			d.right(w)
		case toldClosed:
			delete(d.inners, w)
			if w.attached {
				w.attached = false
				d.machine.Detach(w.conn.peer, w, d.clock)
			}
		case toldAnswer:
			d.machine.Reply(w.conn.peer, w, t.b, d.clock)
		case toldRequest:
			d.machine.RequestBy(w.conn.peer, dynauth.Source{From: w.conn.Remote(), Front: w.number, Way: w}, t.b, d.clock)
		}
	}
	clear(m.out)
}

// right gives a client's connection the right to get requests, or takes it, as
// the configuration has it.
func (d *dynAuth) right(w *inner) {
	switch may := d.snap.reverse.Reverse(w.conn.peer); {
	case may && !w.attached:
		w.attached = d.machine.Attach(w.conn.peer, w)
	case !may && w.attached:
		w.attached = false
		d.machine.Detach(w.conn.peer, w, d.clock)
	}
}
