package stream

import (
	"context"
	"net"
	"time"
)

// nothing is what crypto/tls gets where a read would wait. Being temporary it
// leaves the connection as it was, with the begin of a record kept.
type nothing struct{}

func (*nothing) Error() string   { return "stream: nothing to read now" }
func (*nothing) Timeout() bool   { return true }
func (*nothing) Temporary() bool { return true }

var errNothing error = &nothing{}

const (
	// idleRecords is how many records without data a peer may send, and one
	// more for each dataPerIdle with data: a KeyUpdate costs the making of keys.
	idleRecords = 64
	dataPerIdle = 256
	// maxHandshake bounds what a peer can have us keep and verify.
	maxHandshake = 64 << 10
	// maxHeld is how much of session tickets waits for the first answer.
	maxHeld = 16 << 10
)

// wire is the connection below TLS. During the handshake it is the socket with
// its deadlines. From Attach on it gives what Recv has read, and keeps what is
// written until push sends it.
//
// It never gives more than the rest of a record, so that crypto/tls keeps
// nothing but the begin of one: its buffer stays as small as the records are.
type wire struct {
	net.Conn
	ctx      context.Context // of the handshake while that runs
	attached bool
	alert    byte // what an alert in plain text is replaced by
	said     byte // the alert that we sent in plain text
	shaken   int  // octets of the handshake
	in       []byte
	end      error // what follows in

	header [5]byte
	have   int // octets of the header
	left   int // octets of the record behind it

	buf  *sized
	out  []byte
	sent int

	server bool
	held   []byte // tickets that leave with what is written next

	recordsIn, recordsOut uint64
	idle                  int
}

// Read gives octets up to the end of a record.
func (w *wire) Read(p []byte) (n int, err error) {
	if w.have == len(w.header) && w.left == 0 { // a new record
		w.have = 0
		if w.idle > idleRecords {
			return 0, ErrFlood
		}
	}
	for n < len(p) && (w.have < len(w.header) || w.left > 0) {
		part := p[n:]
		if w.have < len(w.header) {
			part = part[:min(len(part), len(w.header)-w.have)]
		} else {
			part = part[:min(len(part), w.left)]
		}
		m, err := w.read(part, n)
		w.count(part[:m])
		n += m
		if err != nil || m == 0 {
			return n, err
		}
	}
	return n, nil
}

// read gives what there is; with got octets in hand it never waits.
func (w *wire) read(p []byte, got int) (int, error) {
	if !w.attached {
		if got > 0 {
			return 0, nil
		}
		n, err := w.apart(w.Conn.Read, p)
		if w.shaken += n; w.shaken > maxHandshake {
			return n, ErrHandshake
		}
		return n, err
	}
	if len(w.in) == 0 {
		switch {
		case got > 0:
			return 0, nil
		case w.end != nil:
			return 0, w.end
		}
		return 0, errNothing
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

// count follows the records.
func (w *wire) count(b []byte) {
	if w.have == len(w.header) {
		w.left -= len(b)
		return
	}
	w.have += copy(w.header[w.have:], b)
	if w.have == len(w.header) {
		w.left = int(w.header[3])<<8 | int(w.header[4])
		if w.attached {
			w.recordsIn++
			w.idle++
		}
	}
}

// advanced says that a record had data.
func (w *wire) advanced() {
	w.idle--
	if w.recordsIn%dataPerIdle == 0 {
		w.idle--
	}
	w.idle = max(w.idle, 0)
}

func (w *wire) partial() bool {
	return w.left > 0 || w.have > 0 && w.have < len(w.header)
}

// Write is called once for each record.
func (w *wire) Write(p []byte) (int, error) {
	if !w.attached {
		return w.shakeOut(p)
	}
	if len(w.out)+len(w.held)+len(p) > 2*cipherSize {
		return 0, ErrFlood // of KeyUpdates whose answers it does not take
	}
	if w.buf == nil {
		w.buf = cipherBuffers.lend()
		w.out = w.buf.b[:0]
	}
	if w.held != nil {
		w.out = append(w.out, w.held...)
		w.held = nil
	}
	w.out = append(w.out, p...)
	w.recordsOut++
	return len(p), nil
}

// shakeOut sends what belongs to the handshake, but for the session tickets of
// TLS 1.3, which a server sends when the handshake is over for the client: they
// leave with the first answer. FreeRADIUS before 3.2.9 reads its blocking socket
// as soon as there is something in it, under a lock that its writer needs too.
// Where that is nothing for it, it waits for an answer to the request that it
// does not get to send.
func (w *wire) shakeOut(p []byte) (int, error) {
	if w.ticket(p) && len(w.held)+len(p) <= maxHeld {
		w.held = append(w.held, p...)
		return len(p), nil
	}
	p = w.say(p)
	if w.held == nil {
		return w.apart(w.Conn.Write, p)
	}
	held := len(w.held)
	n, err := w.apart(w.Conn.Write, append(w.held, p...))
	w.held = nil
	return max(0, n-held), err
}

// ticket knows one by its place: all else that a server encrypts follows its
// hello in the same write, or is an alert.
func (w *wire) ticket(p []byte) bool {
	const record, alert = 23, 5 + 2 + 1 + 16
	return w.server && p[0] == record && len(p) > alert
}

// apart gives the turn of a handshake to others while it waits for the peer.
func (w *wire) apart(wait func([]byte) (int, error), p []byte) (int, error) {
	if w.ctx == nil {
		return wait(p)
	}
	leaveTurn()
	n, err := wait(p)
	if e := takeTurn(w.ctx); e != nil {
		return n, e
	}
	return n, err
}

// say keeps the alert in a record of a fatal one, having put in what was meant.
func (w *wire) say(p []byte) []byte {
	const record, fatal = 21, 2
	if len(p) != 7 || p[0] != record || p[5] != fatal {
		return p
	}
	if w.alert != 0 {
		p = append(append([]byte{}, p[:6]...), w.alert)
	}
	w.said = p[6]
	return p
}

// free gives the buffer of what is sent back.
func (w *wire) free() {
	if w.buf != nil {
		cipherBuffers.back(w.buf)
	}
	w.buf, w.out, w.sent = nil, nil, 0
}

// Close closes the socket where crypto/tls may, which is during the handshake.
func (w *wire) Close() error {
	if w.attached {
		return nil
	}
	return w.Conn.Close()
}

// SetDeadline and its kin are of the handshake.
func (w *wire) SetDeadline(t time.Time) error {
	if w.attached {
		return nil
	}
	return w.Conn.SetDeadline(t)
}

func (w *wire) SetReadDeadline(t time.Time) error {
	if w.attached {
		return nil
	}
	return w.Conn.SetReadDeadline(t)
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.attached {
		return nil
	}
	return w.Conn.SetWriteDeadline(t)
}
