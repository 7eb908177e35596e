package aaa

import (
	"encoding/binary"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// welcome takes over what a client has opened. The files may be others by now
// than those it was let in by.
func (s *Shard) welcome(c *conn) {
	s.adopt()
	who := c.client
	switch {
	case c.ends != StaysOpen:
		s.closeConn(c, c.ends)
	case s.hub.calls.has(c.mark):
		s.closeConn(c, ClosedSelf)
	case !s.follow(c):
	case c.client != who:
		s.hub.Rejudge()
	}
}

// meets refuses a call of our own with its first packet: by then we know that we
// have called.
func (s *Shard) meets(c *conn) {
	if c.link == nil && !c.met && s.hub.calls.has(c.mark) {
		s.closeConn(c, ClosedSelf)
	}
	c.met = true
}

// follow gives a connection the client that has its name in the present files.
// A name that is another's by now is seen here. Whether the certificate is still
// believed is found out beside the shard (see judgeConnections), which takes a
// moment.
func (s *Shard) follow(c *conn) bool {
	if c.client = s.snap.namesake(c); c.client == nil {
		s.closeConn(c, ClosedGone)
		return false
	}
	switch spec := c.client.Spec; {
	case c.security != securityName(spec):
		s.closeConn(c, ClosedReassigned)
		return false
	case c.identity != nil && !spec.Holder.Accepts(c.identity):
		s.closeConn(c, ClosedUntrusted)
		return false
	}
	if !c.clear {
		c.secret = c.client.Secret
	}
	return true
}

// adoptConns follows a new configuration with all of them.
func (s *Shard) adoptConns() {
	for _, c := range s.conns.slots {
		if c != nil && c.link == nil {
			s.follow(c)
		}
	}
}

// overdue says whether the time of a connection is over.
func (s *Shard) overdue(c *conn) Closing {
	if n := c.Sent(); n != c.sent || c.Queued() == 0 {
		c.sent, c.moved = n, s.now
	}
	if s.now-c.moved >= int64(s.hub.conf.Connections.Stalled) {
		return ClosedStalled
	}
	if c.identity != nil && s.wall >= c.identity.NotAfter.UnixNano() {
		return ClosedExpired
	}
	if c.link != nil {
		return s.linkOverdue(c)
	}
	silent := s.now - c.heard
	switch {
	case silent >= int64(s.hub.conf.Connections.Idle):
		return ClosedIdle
	case c.Partial() && silent >= int64(s.hub.conf.Connections.Stalled):
		return ClosedStalled
	}
	return StaysOpen
}

// hearConn takes one packet of a client's connection up to its proofs. Of one
// that is too long there is the header alone.
//
// hot: 0 allocs
func (s *Shard) hearConn(a *arrival, c *conn, data []byte, long bool) {
	a.state, a.why, a.mac, a.hash = arrivalDone, OK, radius.NoProof, radius.NoProof
	a.door, a.from, a.local = door{conn: c}, c.from, udp.LocalInfo{}
	a.client, a.secret = c.client, c.secret
	switch why := a.Parse(data); {
	case long, why == radius.BadCode: // both leave the next packet where it is
		a.state, a.why = arrivalUnserved, ofRadius(why)
		a.head(data)
		return
	case why != radius.OK:
		a.state, a.why = arrivalBroken, ofRadius(why)
		return
	}
	a.id, a.number = a.Identifier(), uint32(a.Identifier())
	if c.clear {
		a.id, a.number = 0, radius.Token(a.Authenticator())
	}
	switch {
	case a.answersInside(c):
		a.state = arrivalInside
	case s.recognise(a):
	default:
		a.state, a.why = arrivalUnserved, CodeNotServed
		a.head(data)
	}
}

// header is what an answer to a packet needs that is not understood.
type header struct {
	code radius.Code
	id   uint8
	auth [16]byte
}

func (a *arrival) head(data []byte) {
	a.header = header{code: radius.Code(data[0]), id: data[1], auth: [16]byte(data[4:radius.HeaderLen])}
	if a.door.conn.clear {
		a.header.id = 0
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
	case a.state == arrivalUnserved:
		s.protest(a)
	case why == BadMessageAuthenticator || why == BadRequestAuthenticator:
		s.closeConn(c, ClosedAuthenticator)
	}
}

// The Error-Causes of RFC 5176 section 3.5 and RFC 7930 section 5.
const (
	unsupportedExtension = 406
	responseTooBig       = 601
)

// responseLength is the attribute that says how long a packet may be: 241.3, a
// number of four octets (RFC 7930 section 7.3).
var responseLength = binary.BigEndian.AppendUint32([]byte{241, 7, 3}, radius.MaxLen)

// protest answers a packet that is not served with a Protocol-Error (RFC 7930
// section 4). It is given to this one peer and never to another; to what is an
// answer itself nothing is said.
func (s *Shard) protest(a *arrival) {
	h := &a.header
	switch h.code {
	case radius.AccessAccept, radius.AccessReject, radius.AccessChallenge, radius.AccountingResponse, radius.ProtocolError,
		radius.CoAACK, radius.CoANAK, radius.DisconnectACK, radius.DisconnectNAK:
		return
	}
	cause := uint32(unsupportedExtension)
	if a.why == ofRadius(radius.TooLong) {
		cause = responseTooBig
	}
	s.w.StartProtocolError(s.lend(a.door), h.id, h.code, cause, a.secret)
	if cause == responseTooBig {
		s.w.Raw(responseLength)
	}
	if _, sent := s.commit(a.door, a.secret, &h.auth, a.from, a.local); !sent {
		s.drop(a.client, PeerStalled, a.from)
	}
}

// securityName names what a client is judged by, "": it shows no certificate.
func securityName(c *realm.Client) string {
	if c.Security == nil {
		return ""
	}
	return c.Security.Name
}
