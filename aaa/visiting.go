package aaa

import (
	"encoding/binary"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// welcome takes over what a client has opened.
func (s *Shard) welcome(*conn) {}

// overdue says whether the time of a connection is over.
func (s *Shard) overdue(c *conn) Closing {
	if c.link != nil {
		return s.linkOverdue(c)
	}
	return StaysOpen
}

// hearConn takes one packet of a client's connection up to its proofs.
//
// hot: 0 allocs
func (s *Shard) hearConn(a *arrival, c *conn, data []byte) {
	a.state, a.why, a.mac, a.hash = arrivalDone, OK, radius.NoProof, radius.NoProof
	a.door, a.from, a.local = door{conn: c}, c.from, udp.LocalInfo{}
	a.client, a.secret = c.client, c.secret
	if why := a.Parse(data); why != radius.OK {
		a.state, a.why = arrivalBroken, ofRadius(why)
		return
	}
	a.id, a.number = a.Identifier(), uint32(a.Identifier())
	if c.clear {
		a.id, a.number = 0, binary.BigEndian.Uint32(a.Authenticator()[:4])
	}
	if !s.recognise(a) {
		a.state, a.why = arrivalUseless, CodeNotServed
	}
}

// unproved deals with a packet of a client that is not used. By a connection
// nobody but the peer can have sent it: where it is not what it claims to be,
// the connection is of no more use (draft-ietf-radext-radiusdtls-bis section
// 3.12).
func (s *Shard) unproved(a *arrival, why Reason) {
	s.drop(a.client, why, a.from)
	c := a.door.conn
	switch {
	case c == nil:
	case a.state == arrivalBroken:
		s.closeConn(c, ClosedMalformed)
	case why == BadMessageAuthenticator || why == BadRequestAuthenticator:
		s.closeConn(c, ClosedAuthenticator)
	}
}
