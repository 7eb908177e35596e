package gateway

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// mostPackets bounds the octets that wait for one side of a connection.
const mostPackets = 1 << 20

// packets is the hub's end of a connection with the gateway: a net.Conn whose reads and
// writes are one packet of RADIUS each.
type packets struct {
	line *line

	mu       sync.Mutex // guards all below
	turn     sync.Cond
	to       []byte // for the hub
	at       int    // of it, read
	from     []byte // for the gateway
	noRead   bool   // the deadlines are over
	noWrite  bool
	patience *time.Timer // of a write
	closed   bool
}

func newPackets(l *line) *packets {
	p := &packets{line: l}
	p.turn.L = &p.mu
	return p
}

// Read gives the next packet.
func (p *packets) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.at == len(p.to) && !p.closed && !p.noRead {
		p.turn.Wait()
	}
	switch {
	case p.closed:
		return 0, io.EOF
	case p.noRead:
		return 0, os.ErrDeadlineExceeded
	}
	n := int(binary.BigEndian.Uint16(p.to[p.at+2:]))
	if n > len(b) {
		return 0, io.ErrShortBuffer
	}
	copy(b, p.to[p.at:p.at+n])
	if p.at += n; p.at == len(p.to) {
		p.to, p.at = p.to[:0], 0
	}
	return n, nil
}

// Write gives the gateway a packet, and waits for room.
func (p *packets) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.from)+len(b) > mostPackets && !p.closed && !p.noWrite {
		p.turn.Wait()
	}
	switch {
	case p.closed:
		return 0, io.ErrClosedPipe
	case p.noWrite:
		return 0, os.ErrDeadlineExceeded
	}
	p.from = append(p.from, b...)
	p.line.gateway.wake()
	return len(b), nil
}

// Close ends it, for both sides.
func (p *packets) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.patience != nil {
		p.patience.Stop()
	}
	p.turn.Broadcast()
	p.line.gateway.wake()
	return nil
}

// LocalAddr and RemoteAddr are of no network.
func (p *packets) LocalAddr() net.Addr  { return net.UDPAddrFromAddrPort(realm.Nowhere) }
func (p *packets) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(realm.Nowhere) }

// SetDeadline sets both.
func (p *packets) SetDeadline(t time.Time) error {
	_ = p.SetReadDeadline(t)
	return p.SetWriteDeadline(t)
}

// SetReadDeadline knows a time that is over, and none: nobody asks for more.
func (p *packets) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noRead = !t.IsZero() && !t.After(time.Now())
	p.turn.Broadcast()
	return nil
}

// SetWriteDeadline ends a Write that waits too long.
func (p *packets) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.patience != nil {
		p.patience.Stop()
	}
	if p.noWrite = !t.IsZero() && !t.After(time.Now()); !p.noWrite && !t.IsZero() && !p.closed {
		p.patience = time.AfterFunc(time.Until(t), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.noWrite = true
			p.turn.Broadcast()
		})
	}
	p.turn.Broadcast()
	return nil
}

// send gives the hub a packet; false: it takes too little, or is gone.
func (p *packets) send(b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.to)-p.at+len(b) > mostPackets {
		return false
	}
	if len(p.to)+len(b) > cap(p.to) && p.at > 0 {
		p.to, p.at = p.to[:copy(p.to, p.to[p.at:])], 0
	}
	p.to = append(p.to, b...)
	p.turn.Broadcast()
	return true
}

// take swaps what the hub has sent for an empty buffer; over: nothing more comes.
func (p *packets) take(empty []byte) (full []byte, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	full, p.from = p.from, empty[:0]
	p.turn.Broadcast()
	return full, p.closed
}

// line is the gateway's end.
type line struct {
	gateway *Gateway
	hub     *packets
	number  uint64 // never used twice
	// application is that of a home, and home its name; of a client peer is the name.
	application uint32
	home, peer  string
}
