// Package stream carries RADIUS packets over connections, TCP, TLS and DTLS, in
// an event loop.
//
// A Conn is one connection that stands: connecting, accepting and the handshake
// are over when it is made, in a goroutine of the caller. From Attach on it
// belongs to one event loop: nothing waits, nothing allocates, and no goroutine
// stands behind it where the system's sockets can be polled. What the peer does
// not take is kept up to a bound; beyond it Room lends nothing more, and who is
// served by that connection alone feels it.
//
// Frames are cut by the Length of the packet and nothing else (RFC 6613 section
// 2.6.1); where that cannot be a packet's, the connection is of no more use.
package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"

	"github.com/roamgate/roamgate/pkg/udp"
)

// ErrFraming is a Length that no packet has.
var ErrFraming = errors.New("stream: no packet has such a length")

// Conn is one connection.
type Conn struct{ _ int }

// Plain takes over a TCP connection.
func Plain(c *net.TCPConn) (*Conn, error) { panic("unfinished") }

// Server does the handshake of a connection that was accepted, until ctx ends.
func Server(ctx context.Context, c *net.TCPConn, conf *tls.Config) (*Conn, error) {
	panic("unfinished")
}

// Client does the handshake of a connection that was opened.
func Client(ctx context.Context, c *net.TCPConn, conf *tls.Config) (*Conn, error) {
	panic("unfinished")
}

// Datagrams takes over a connection whose reads give one packet each (DTLS).
func Datagrams(c net.Conn) *Conn { panic("unfinished") }

// TLS is the state of the connection after its handshake, nil over TCP.
func (c *Conn) TLS() *tls.ConnectionState { panic("unfinished") }

// Remote is the peer's address, Local ours.
func (c *Conn) Remote() netip.AddrPort { panic("unfinished") }

// Local is our own address.
func (c *Conn) Local() netip.AddrPort { panic("unfinished") }

// Attach makes the connection part of an event loop: Wait gives tag when there
// is something to receive, or room again for what was kept.
func (c *Conn) Attach(p *udp.Poller, tag uint32) error { panic("unfinished") }

// Recv takes what has arrived, a buffer full at most, and reports whether there
// is more. io.EOF says that the peer has ended the connection; any other error
// ends it too. Packets that came whole before are still given by Next.
func (c *Conn) Recv() (more bool, err error) { panic("unfinished") }

// Next gives the next whole packet, nil: there is none now. It is good until
// the next Recv, and may be changed.
func (c *Conn) Next() ([]byte, error) { panic("unfinished") }

// Room lends 4096 octets to build a packet in, nil: the peer takes too little
// and the packet is not to be sent. Until Commit it lends the same again. What
// was committed stays where it is until Flush.
func (c *Conn) Room() []byte { panic("unfinished") }

// Commit adds the first n octets of what Room lent to what is to be sent.
func (c *Conn) Commit(n int) { panic("unfinished") }

// Flush sends what was committed, as far as the peer takes it; the rest goes
// when it takes more. An error ends the connection.
func (c *Conn) Flush() error { panic("unfinished") }

// Queued is what the peer has not taken, in octets.
func (c *Conn) Queued() int { panic("unfinished") }

// Close ends the connection. Nothing may be done with it afterwards.
func (c *Conn) Close() { panic("unfinished") }
