// Package stream carries RADIUS packets over connections, TCP, TLS and DTLS, in
// an event loop, and messages of Diameter over TCP and TLS.
//
// A Conn is one connection that stands: connecting, accepting and the handshake
// are over when it is made, in a goroutine of the caller. From Attach on it
// belongs to one event loop: nothing waits, nothing allocates, and no goroutine
// stands behind it where the system's sockets can be polled (Linux). Elsewhere,
// and for DTLS, one goroutine reads and one writes, and the loop sees the same.
// What the peer does not take is kept up to a bound; beyond it Room lends
// nothing more, and who is served by that connection alone feels it.
//
// Frames are cut by the Length of the packet and nothing else (RFC 6613 section
// 2.6.1, draft-ietf-radext-radiusdtls-bis section 4.1); where that cannot be a
// packet's, the connection is of no more use.
//
// TLS is crypto/tls over a net.Conn that never waits: it is given whole records
// only, and what it writes is kept here until the system takes it. All packets
// since the last Flush share a system call, as far as they go, and each has a
// record of its own: there are peers that take no more than one of a record.
// crypto/tls allocates 24 octets for each record that it reads, and nothing else
// in steady state; here nothing is. Nothing is encrypted before there is somebody
// to take it, so a stalled peer costs memory up to the bound and no time.
//
// Memory: a connection at rest holds no buffer. It borrows one when there is
// something to read, until Done, and one from Room until all is sent; the rest
// of an incomplete packet is copied aside. Packets of Next are lent until Recv
// or Done, and may be changed. A server keeps the session ticket of TLS 1.3, some
// hundred octets, until its first answer.
//
// Concurrency: a Conn belongs to the goroutine that made it, from Attach on to
// that of the event loop. Nothing else may be called by others.
//
// It knows no clock, no peer and no packet but its Length: time-outs are the
// caller's (Sent, Received, Partial and Queued tell what moved), and so is whose
// certificate is accepted (tls.Config).
package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"

	"github.com/roamgate/roamgate/pkg/udp"
)

var (
	// ErrFraming is a Length that no packet has.
	ErrFraming = errors.New("stream: no packet has such a length")
	// ErrTooLong is a packet of more than 4096 octets. It is skipped.
	ErrTooLong = errors.New("stream: a packet of more than 4096 octets")
	// ErrFlood is a peer that sends TLS records that carry nothing.
	ErrFlood = errors.New("stream: too many TLS records without data")
	// ErrHandshake is a peer whose handshake is longer than any need be.
	ErrHandshake = errors.New("stream: a handshake of more than 64 KiB")
	// ErrNoCertificate is a client that has shown none.
	ErrNoCertificate = errors.New("stream: the peer has no certificate")
	errNoKeys        = errors.New("stream: a connection without TLS has no keys")
)

// Conn is one connection.
type Conn struct {
	raw           net.Conn // until Attach
	framed        bool     // each write and each read of raw is one packet
	link          link     // from Attach on
	sec           *tls.Conn
	wire          *wire
	state         *tls.ConnectionState
	export        func(label string, n int) ([]byte, error)
	remote, local netip.AddrPort

	in       inbox
	out      outbox
	received uint64
	sent     uint64
	failed   error // the first error of Flush
	closed   bool
}

// link is a connection that never waits.
type link interface {
	// read gives errNothing when there is nothing.
	read(p []byte) (int, error)
	// write takes what it can.
	write(p []byte) (int, error)
	// writable asks to be told when write takes more.
	writable(on bool) error
	close()
}

// Plain takes over a TCP connection.
func Plain(c *net.TCPConn) (*Conn, error) { return newConn(c) }

// Server does the handshake of a connection that was accepted, until ctx ends.
// A client without a certificate is refused, whatever conf says. After an error
// c is still open, so that the peer gets to read the alert: the caller closes.
func Server(ctx context.Context, c *net.TCPConn, conf *tls.Config) (*Conn, error) {
	w := &wire{Conn: c, server: true}
	s, err := secure(ctx, c, w, tls.Server(w, conf))
	if err == nil && len(s.state.PeerCertificates) == 0 {
		return nil, ErrNoCertificate
	}
	return s, err
}

// Client does the handshake of a connection that was opened, as Harden has it.
// After an error the caller closes c.
func Client(ctx context.Context, c *net.TCPConn, conf *tls.Config) (*Conn, error) {
	w := &wire{Conn: c}
	conf = conf.Clone()
	Harden(conf)
	return secure(ctx, c, w, tls.Client(w, conf))
}

func secure(ctx context.Context, c *net.TCPConn, w *wire, sec *tls.Conn) (*Conn, error) {
	if err := w.shake(ctx, sec); err != nil {
		return nil, &handshakeError{error: err, sent: w.said}
	}
	s, err := newConn(c)
	if err != nil {
		return nil, err
	}
	state := sec.ConnectionState()
	s.sec, s.wire, s.state = sec, w, &state
	s.export = func(label string, n int) ([]byte, error) { return state.ExportKeyingMaterial(label, nil, n) }
	return s, nil
}

// Datagrams takes over a connection whose reads give one packet each (DTLS).
// What follows the packet in its record is padding (RFC 7360 section 5.1).
func Datagrams(c net.Conn) *Conn {
	return &Conn{raw: c, framed: true, remote: addrPort(c.RemoteAddr()), local: addrPort(c.LocalAddr()), out: outbox{most: maxUnsent}}
}

// Secured is Datagrams of a connection whose handshake was done elsewhere: state
// is what it found out, and export gives its keying material (RFC 5705).
func Secured(c net.Conn, state *tls.ConnectionState, export func(label string, n int) ([]byte, error)) *Conn {
	s := Datagrams(c)
	s.state, s.export = state, export
	return s
}

func newConn(c *net.TCPConn) (*Conn, error) {
	s := &Conn{raw: c, remote: addrPort(c.RemoteAddr()), local: addrPort(c.LocalAddr()), out: outbox{most: maxUnsent}}
	if !s.remote.IsValid() {
		return nil, net.ErrClosed
	}
	return s, nil
}

func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Diameter has the connection carry messages of Diameter, cut by their Message
// Length (RFC 6733 section 3): up to 64 KiB each, in TLS records as full as they
// get. It comes before Attach.
func (c *Conn) Diameter() { c.in.diameter = true }

// Keep bounds what is kept for the peer, in octets; without it that is a MiB.
func (c *Conn) Keep(most int) { c.out.most = max(most, maxMessage) }

// TLS is the state of the connection after its handshake, nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState { return c.state }

// Export gives n octets of keying material for a label, the same at both ends of
// a connection and at no other (RFC 5705, RFC 8446 section 7.5).
func (c *Conn) Export(label string, n int) ([]byte, error) {
	if c.export == nil {
		return nil, errNoKeys
	}
	return c.export(label, n)
}

// Remote is the peer's address.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// Local is our own address.
func (c *Conn) Local() netip.AddrPort { return c.local }

// Attach makes the connection part of an event loop: Wait gives tag when there
// is something to receive, or room again for what was kept. Then Recv, Next and
// Flush are called.
func (c *Conn) Attach(p *udp.Poller, tag uint32) error {
	if c.closed || c.link != nil {
		return net.ErrClosed
	}
	var l link
	var err error
	if tcp, ok := c.raw.(*net.TCPConn); ok && !c.framed {
		l, err = watch(tcp, p, tag)
	} else {
		err = udp.ErrNoStreams
	}
	if errors.Is(err, udp.ErrNoStreams) {
		l, err = newRelay(c.raw, c.framed, p, tag), nil
	}
	if err != nil {
		return err
	}
	c.link, c.raw = l, nil
	if c.wire != nil {
		c.wire.attached = true
	}
	return nil
}

// Queued is what the peer has not taken, in octets.
func (c *Conn) Queued() int { return c.out.queued + c.pending() }

// Sent counts the octets that the system took since Attach, and Received those
// that it gave, TLS included: where Queued is not 0 and Sent stays what it was,
// the peer is stalled.
func (c *Conn) Sent() uint64 { return c.sent }

// Received counts the octets that came in since Attach.
func (c *Conn) Received() uint64 { return c.received }

// Partial reports whether a packet or a TLS record has begun and not ended: a
// peer that leaves it at that holds memory, and is up to nothing good.
func (c *Conn) Partial() bool {
	return c.in.partial() || c.wire != nil && c.wire.partial()
}

// Records counts the TLS records since the handshake, each way. Keys are good
// for a number of them (RFC 8446 section 5.5); crypto/tls renews ours only when
// the peer asks for it.
func (c *Conn) Records() (in, out uint64) {
	if c.wire == nil {
		return 0, 0
	}
	return c.wire.recordsIn, c.wire.recordsOut
}

// Close ends the connection, with a word to the peer where that can be done
// without waiting. What was not sent is lost. Afterwards Recv and Flush fail,
// Next and Room give nothing, and Close does nothing.
func (c *Conn) Close() {
	if c.closed {
		return
	}
	c.closed = true
	switch {
	case c.link == nil && c.sec != nil:
		_ = c.sec.Close() // writes an alert: there is room for it, nothing else was written
	case c.link == nil:
		_ = c.raw.Close()
	default:
		if c.sec != nil && c.failed == nil && c.pending() == 0 {
			_ = c.sec.CloseWrite()
			_ = c.push()
		}
		c.link.close()
	}
	// What was borrowed is not given back: the caller may be in the middle of a
	// packet, and others would write over it.
	c.in, c.out, c.wire = inbox{err: net.ErrClosed}, outbox{}, nil
}
