package aaa

import (
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// door is where a request has come in and where its answer goes out: a socket
// that datagrams come to, or a connection.
type door struct {
	front *listen.Front // nil: a connection
	conn  *conn
}

// service is what is asked for there.
func (d door) service() listen.Service {
	if d.conn != nil {
		return listen.Every
	}
	return d.front.Service
}

// secured reports whether TLS or DTLS protects what comes in there.
func (d door) secured() bool { return d.conn != nil && d.conn.transport.Secured() }

// loses reports whether an answer that leaves there may not arrive, so that the
// request comes once more (RFC 5080 section 2.2.2): of connections that is DTLS.
func (d door) loses() bool { return d.conn == nil || !d.conn.transport.Reliable() }

// resend sends an answer again. There must be room for it.
func (s *Shard) resend(a *arrival, answer []byte) {
	c := a.door.conn
	if c == nil {
		a.door.front.Queue.Send(answer, a.from, a.local)
	} else if b := c.Room(); b != nil {
		s.commitTo(c, copy(b, answer))
	}
}

// number tells doors apart. A connection's is never used again.
func (d door) number() uint32 {
	if d.conn != nil {
		return d.conn.serial
	}
	return uint32(d.front.Index)
}

// lend gives the room for an answer. Where a peer takes too little of what is
// sent to it, that is room for nothing: commit says so.
func (s *Shard) lend(d door) []byte {
	if d.conn == nil {
		return s.room(d.front.Queue)
	}
	b := s.roomOf(d.conn)
	if d.conn.full = b == nil; d.conn.full {
		return s.nowhere[:]
	}
	return b
}

// commit ends the answer that s.w has built in what lend gave, and reports
// whether it leaves. It is signed with all others.
func (s *Shard) commit(d door, secret *radius.Secret, auth *[16]byte, to udp.Addr, local udp.LocalInfo) (out []byte, leaves bool) {
	c := d.conn
	if c != nil && c.full {
		c.full = false
		return nil, false
	}
	out = s.signatures.Response(&s.w, secret, auth)
	if c == nil {
		d.front.Queue.Commit(len(out), to, local)
	} else {
		s.commitTo(c, len(out))
	}
	return out, true
}
