package stream

import (
	"errors"
	"net"
)

// ErrNoSCTP says that this system has no SCTP.
var ErrNoSCTP = errors.New("this system has no SCTP")

// SCTP takes over a connection of DialSCTP or of a listener of ListenSCTP. Each
// message is one of SCTP as well (RFC 6733 section 2.1.1); Diameter alone goes by it.
func SCTP(c *net.TCPConn) (*Conn, error) {
	s, err := newConn(c)
	if err != nil {
		return nil, err
	}
	s.out.single = true
	s.Diameter()
	return s, nil
}
