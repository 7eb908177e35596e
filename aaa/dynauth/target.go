package dynauth

import (
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
)

// Connection is a way to a client: a UDP address, or a connection that the
// client has opened. A request that was sent by one is answered by the same. A
// home may also send its requests by one that we have opened to it.
type Connection interface {
	// Send takes one packet, which is not retained, and reports whether it went
	// out. It must not block.
	Send(b []byte) bool
	// Secret is what signs there, nil: that of the client.
	Secret() *radius.Secret
	// Reliable says that what is sent arrives, or the connection ends: nothing
	// is repeated there.
	Reliable() bool
}

// watchdog is how long a connection may owe an answer until others are tried
// before it (draft-ietf-radext-reverse-coa section 5: Tw is 15 s).
const watchdog = int64(15 * time.Second)

// identifiers of one connection.
const identifiers = 256

// link is a connection with what is on its way by it.
type link struct {
	conn    Connection
	client  *Client
	pending [identifiers]*exchange
	free    []uint8 // the one that has rested longest first
	owing   int64   // since when it owes an answer, 0: it owes none
	used    int
	tokens  uint32 // of RADIUS/1.1: how often one was made
}

// secret signs what goes by the connection.
func (l *link) secret() *radius.Secret {
	if s := l.conn.Secret(); s != nil {
		return s
	}
	return l.client.Secret
}

// token makes a number that no other packet of the connection has lately had;
// the identifier is its last octet.
func (l *link) token(id uint8) uint32 {
	l.tokens++
	return l.tokens<<8 | uint32(id)
}

// asked finds the request that p answers.
func (l *link) asked(p *radius.Packet) *exchange {
	if !l.secret().IsClear() {
		return l.pending[p.Identifier()]
	}
	token := radius.Token(p.Authenticator())
	if ex := l.pending[uint8(token)]; ex != nil && radius.Token(&ex.outAuth) == token {
		return ex
	}
	return nil
}

func newLink(c *Client, conn Connection) *link {
	l := &link{conn: conn, client: c, free: make([]uint8, identifiers)}
	for i := range l.free {
		l.free[i] = uint8(i)
	}
	return l
}

// suspect reports whether the connection has fallen silent.
func (l *link) suspect(now int64) bool { return l.owing != 0 && now-l.owing >= watchdog }

// take gives ex an identifier, false: there is none.
func (l *link) take(ex *exchange) bool {
	if len(l.free) == 0 {
		return false
	}
	ex.link, ex.outID = l, l.free[0]
	l.free = append(l.free[:0], l.free[1:]...)
	l.pending[ex.outID] = ex
	l.used++
	return true
}

// release gives an identifier back; it rests behind all others.
func (l *link) release(id uint8) {
	l.pending[id] = nil
	l.free = append(l.free, id)
	if l.used--; l.used == 0 {
		l.owing = 0
	}
}

// sent notes a transmission.
func (l *link) sent(now int64) {
	if l.owing == 0 {
		l.owing = now
	}
}

// heard notes an authentic answer: whatever else is on its way is owed from now.
func (l *link) heard(now int64) { l.owing = now }

// Attach makes a connection one of the ways to a client. It is refused where
// the configuration does not say that this client takes requests: the right
// hangs on who the client is, not on where it connects from.
func (m *Machine) Attach(client string, conn Connection) bool {
	name := m.book.Name("client " + client)
	c := m.table.byName[name]
	if c == nil {
		return false
	}
	m.links[name] = append(m.links[name], newLink(c, conn))
	return true
}

// Detach takes a connection away. What is on its way by it moves to another one
// or is answered without.
func (m *Machine) Detach(client string, conn Connection, now Clock) {
	name := m.book.Name("client " + client)
	kept := m.links[name][:0:0]
	var lost []*link
	for _, l := range m.links[name] {
		if l.conn == conn {
			lost = append(lost, l)
		} else {
			kept = append(kept, l)
		}
	}
	m.links[name] = kept
	for _, l := range lost {
		for _, ex := range l.pending {
			if ex != nil {
				m.move(ex, now)
			}
		}
	}
}

// choose gives ex an identifier of a connection to one of its clients that it
// has not been tried by, those that answer first.
func (m *Machine) choose(ex *exchange, now int64) Reason {
	why := NoRoute
	for _, silent := range [...]bool{false, true} {
		for _, c := range ex.clients {
			for _, l := range m.links[c.Name] {
				if ex.tried(l) || l.suspect(now) != silent {
					continue
				}
				if l.take(ex) {
					ex.ways = append(ex.ways, l)
					return OK
				}
				why = NoIdentifier
			}
		}
	}
	if why == NoRoute && len(ex.ways) > 0 {
		why = Silent
	}
	return why
}

// tried: over UDP the links to a client differ in our source port only, so one
// that was silent speaks for all of them.
func (ex *exchange) tried(l *link) bool {
	for _, w := range ex.ways {
		if w == l || w.conn == l.conn || sameWay(w.conn, l.conn) {
			return true
		}
	}
	return false
}

// samePeer is a Connection that others reach the same address by.
type samePeer interface{ Peer() string }

func sameWay(a, b Connection) bool {
	x, ok := a.(samePeer)
	y, also := b.(samePeer)
	return ok && also && x.Peer() == y.Peer()
}
