package stream

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"github.com/roamgate/roamgate/pkg/udp"
)

const (
	ringSize = 16 << 10    // each way
	farewell = time.Second // for what is not written yet when a relay closes
)

// relay stands where the system's sockets are not polled: a goroutine reads
// into one ring and another writes from a second one, and the poller is told by
// Post. Of a framed connection each record becomes one packet in the ring, and
// each packet of the other one record.
type relay struct {
	conn   net.Conn
	framed bool
	poller *udp.Poller
	tag    uint32

	mu      sync.Mutex // guards all below
	turn    sync.Cond  // something has changed for a goroutine
	in, out ring
	err     error // what follows in
	failed  error // of writing
	told    bool  // posted, and not come yet
	asked   bool  // to be told when out has room
	closed  bool
}

// ring is a bounded queue of octets.
type ring struct {
	b    []byte
	head int
	n    int
}

func (r *ring) room() int { return len(r.b) - r.n }

func (r *ring) put(p []byte) int {
	n := min(len(p), r.room())
	at := (r.head + r.n) % len(r.b)
	m := copy(r.b[at:], p[:n])
	copy(r.b, p[m:n])
	r.n += n
	return n
}

func (r *ring) peek(p []byte) int {
	n := min(len(p), r.n)
	m := copy(p[:n], r.b[r.head:])
	copy(p[m:n], r.b)
	return n
}

func (r *ring) drop(n int) {
	r.head = (r.head + n) % len(r.b)
	r.n -= n
}

func (r *ring) take(p []byte) int {
	n := r.peek(p)
	r.drop(n)
	return n
}

func newRelay(c net.Conn, framed bool, p *udp.Poller, tag uint32) *relay {
	r := &relay{conn: c, framed: framed, poller: p, tag: tag}
	r.turn.L = &r.mu
	r.in.b, r.out.b = make([]byte, ringSize), make([]byte, ringSize)
	go r.readLoop()
	go r.writeLoop()
	return r
}

// tell has the event loop come by. r.mu is held.
func (r *relay) tell() {
	if !r.told && !r.closed {
		r.told = true
		r.poller.Post(r.tag)
	}
}

// tellRoom waits for as much room as makes the way worth while.
func (r *relay) tellRoom() {
	if r.asked && r.out.room() >= ringSize/2 {
		r.tell()
	}
}

// readLoop ends when the connection does or is closed.
func (r *relay) readLoop() {
	b := make([]byte, maxRecord)
	for {
		n, err := r.conn.Read(b)
		p := b[:n]
		if r.framed {
			p = onePacket(p)
		}
		r.mu.Lock()
		for len(p) > 0 && !r.closed {
			if r.framed && r.in.room() < len(p) {
				r.turn.Wait()
				continue
			}
			m := r.in.put(p)
			p = p[m:]
			if m > 0 {
				r.tell()
			} else {
				r.turn.Wait()
			}
		}
		if err != nil {
			r.err = err
			r.tell()
		}
		end := r.closed || err != nil
		r.mu.Unlock()
		if end {
			return
		}
	}
}

// onePacket is the packet at the front of a record, nil: there is none, and
// the record is dropped as a datagram would be.
func onePacket(b []byte) []byte {
	if len(b) < minPacket {
		return nil
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < minPacket || n > len(b) || n > maxPacket {
		return nil
	}
	return b[:n]
}

// writeLoop closes the connection at its end.
func (r *relay) writeLoop() {
	defer func() { _ = r.conn.Close() }()
	b := make([]byte, maxRecord)
	for {
		n, ok := r.nextWrite(b)
		if !ok {
			return
		}
		if _, err := r.conn.Write(b[:n]); err != nil {
			r.mu.Lock()
			r.failed = err
			r.tell()
			r.mu.Unlock()
			return
		}
	}
}

// nextWrite waits for something to write; false means the end.
func (r *relay) nextWrite(b []byte) (n int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.out.n == 0 && !r.closed {
		r.turn.Wait()
	}
	if r.out.n == 0 {
		return 0, false
	}
	if r.framed {
		var header [4]byte
		r.out.peek(header[:])
		b = b[:binary.BigEndian.Uint16(header[2:])]
	}
	n = r.out.take(b)
	r.tellRoom()
	return n, true
}

func (r *relay) read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = false
	n := r.in.take(p)
	switch {
	case r.in.n > 0 || n > 0 && r.err != nil:
		r.tell()
	case n == 0 && r.err != nil:
		return 0, r.err
	case n == 0 && r.failed != nil:
		return 0, r.failed
	case n == 0:
		return 0, errNothing
	}
	r.turn.Broadcast()
	if n == 0 {
		return 0, errNothing
	}
	return n, nil
}

// write takes whole packets only of a framed connection.
func (r *relay) write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return 0, r.failed
	}
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	n := len(p)
	if r.framed {
		n = 0
		for n < len(p) {
			m := len(onePacket(p[n:]))
			if m == 0 {
				return 0, ErrFraming // of ours
			}
			if n+m > r.out.room() {
				break
			}
			n += m
		}
	}
	n = r.out.put(p[:n])
	r.turn.Broadcast()
	return n, nil
}

func (r *relay) writable(on bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = on
	r.tellRoom()
	return nil
}

// close does not wait: both goroutines end, at the latest when what is left
// could not be written.
func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	_ = r.conn.SetReadDeadline(time.Unix(1, 0))
	_ = r.conn.SetWriteDeadline(time.Now().Add(farewell))
	r.turn.Broadcast()
}
