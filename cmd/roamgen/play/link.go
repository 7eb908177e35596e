package play

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// Stream makes packets travel over connections: TLS (RFC 6614), and with the
// protocol name "radius/1.1" RADIUS/1.1 (RFC 9765), or plain TCP (RFC 6613).
// Both sides use crypto/tls with a goroutine that reads and one that writes,
// and so share no code with the connections of the hub.
type Stream struct {
	TLS *tls.Config // nil: TCP
	// Requests is how many a connection of RADIUS/1.1 carries at a time, 4096
	// if unset; RADIUS/1.0 has 255 identifiers beside that of Status-Server.
	Requests int
	// Alone writes each packet by itself (draft-ietf-radext-radiusdtls-bis
	// section 4.1), and so into a TLS record of its own; otherwise those that
	// are there together share records.
	Alone bool
}

// The names of the two versions in ALPN (RFC 9765 section 3.1).
const (
	Version11 = "radius/1.1"
	Version10 = "radius/1.0"
)

// radsecSecret is prescribed (RFC 6614 section 2.3).
const radsecSecret = "radsec"

// dialLimit bounds connecting and the handshake.
const dialLimit = 10 * time.Second

// secret is the one to use where none was given.
func (s *Stream) secret(given []byte) []byte {
	if s != nil && s.TLS != nil && len(given) == 0 {
		return []byte(radsecSecret)
	}
	return given
}

// slots is the space of a connection's identifiers or tokens, a power of two:
// the lower bits of a token are the slot.
func (s *Stream) slots() int {
	if s == nil || s.TLS == nil || !slices.Contains(s.TLS.NextProtos, Version11) {
		return idsPerLane
	}
	n := idsPerLane
	for n < cmp.Or(s.Requests, 4096) {
		n *= 2
	}
	return n
}

func (s *Stream) dial(from netip.Addr, to netip.AddrPort) (*link, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialLimit)
	defer cancel()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
	c, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	return s.shake(ctx, c, tls.Client)
}

// shake does the handshake of a connection that stands.
func (s *Stream) shake(ctx context.Context, c net.Conn, side func(net.Conn, *tls.Config) *tls.Conn) (*link, error) {
	remote, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	l := &link{conn: c, remote: udp.AddrFrom(remote), wake: make(chan struct{}, 1), alone: s.Alone}
	if s.TLS == nil {
		return l, nil
	}
	config := s.TLS.Clone()
	config.DynamicRecordSizingDisabled = true
	t := side(&buffered{c, bufio.NewReaderSize(c, linkBuffer)}, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("handshake with %s: %w", remote, errors.Join(err, c.Close()))
	}
	l.conn, l.clear = t, t.ConnectionState().NegotiatedProtocol == Version11
	return l, nil
}

const linkBuffer = 64 << 10

// buffered takes many small records with one system call.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// link is one connection.
type link struct {
	conn   net.Conn
	remote udp.Addr
	clear  bool // RADIUS/1.1
	alone  bool // packets in records of their own
	wake   chan struct{}

	mu     sync.Mutex // guards what follows
	out    []byte     // to be written
	closed bool
}

// send keeps b until flush. What a peer does not take stays here, and is
// bounded by what its side has in flight.
func (l *link) send(b []byte) {
	l.mu.Lock()
	l.out = append(l.out, b...)
	l.mu.Unlock()
}

func (l *link) flush() {
	l.mu.Lock()
	some := len(l.out) > 0
	l.mu.Unlock()
	if some {
		l.nudge()
	}
}

func (l *link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write sends what was flushed, all of it at once, until the link is closed.
func (l *link) write() {
	var mine []byte
	for range l.wake {
		l.mu.Lock()
		mine, l.out = l.out, mine[:0]
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return
		}
		if err := l.put(mine); err != nil {
			l.close()
			return
		}
	}
}

func (l *link) put(b []byte) error {
	if !l.alone {
		_, err := l.conn.Write(b)
		return err
	}
	for {
		packet, rest, err := cut(b)
		if packet == nil {
			return err
		}
		if _, err := l.conn.Write(packet); err != nil {
			return err
		}
		b = rest
	}
}

// read gives take the packets that arrived together, at most a batch of them,
// until the connection ends. They are take's until it returns.
func (l *link) read(take func(packets [][]byte)) error {
	buf := make([]byte, linkBuffer)
	packets := make([][]byte, 0, batchSize)
	for n := 0; ; {
		m, err := l.conn.Read(buf[n:])
		if err != nil {
			return err
		}
		n += m
		rest := buf[:n]
		for {
			packet, behind, err := cut(rest)
			if err != nil {
				return err
			}
			if packet != nil {
				packets, rest = append(packets, packet), behind
			}
			if len(packets) == batchSize || packet == nil && len(packets) > 0 {
				take(packets)
				packets = packets[:0]
			}
			if packet == nil {
				break
			}
		}
		n = copy(buf, rest)
	}
}

var errLength = errors.New("no packet has such a length")

// cut takes the first packet of b by its Length alone, nil if it is not whole.
func cut(b []byte) (packet, rest []byte, err error) {
	if len(b) < 4 {
		return nil, b, nil
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < radius.HeaderLen || n > radius.MaxLen {
		return nil, nil, fmt.Errorf("%w: %d", errLength, n)
	}
	if n > len(b) {
		return nil, b, nil
	}
	return b[:n], b[n:], nil
}

// close ends the connection and its goroutines.
func (l *link) close() {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if !first {
		return
	}
	l.nudge()
	// Without the alert, which would wait for a peer that takes nothing.
	c := l.conn
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.Close()
}
