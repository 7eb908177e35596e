package gateway

import (
	"io"
	"net/netip"
	"sync"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// mostWired bounds the octets that wait for one side of a Wire.
const mostWired = 4 << 20

// Wire is the agent's end of its connection with the gateway (an agent.Conn). It
// belongs to the agent's loop; what is behind the mutex is the gateway's too.
type Wire struct {
	wake func() // has the gateway look

	poller *udp.Poller
	tag    uint32

	in    []byte // being read
	at    int
	built []byte // committed, not flushed
	room  int    // lent of built

	sent uint64

	mu     sync.Mutex // guards all below
	to     []byte     // for the agent
	from   []byte     // for the gateway
	told   bool       // the agent has been told of to
	asked  bool       // it wants to be told when from has room
	closed bool
	ready  bool // Attach has been called
}

// Attach has the agent's poller told of what comes.
func (w *Wire) Attach(p *udp.Poller, tag uint32) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.poller, w.tag, w.ready = p, tag, true
	w.tell()
	return nil
}

// tell has the agent's loop come by. w.mu is held.
func (w *Wire) tell() {
	if w.ready && !w.told && !w.closed {
		w.told = true
		w.poller.Post(w.tag)
	}
}

// Recv takes what the gateway has sent. It has all of it.
func (w *Wire) Recv() (more bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = false
	if w.at == len(w.in) {
		w.in, w.to, w.at = w.to, w.in[:0], 0
	}
	if w.closed && w.at == len(w.in) {
		return false, io.EOF
	}
	return len(w.to) > 0, nil
}

// Next gives the next message.
func (w *Wire) Next() ([]byte, error) {
	b := w.in[w.at:]
	n, bad := diameter.Frame(b)
	switch {
	case bad != diameter.NoFault || n > len(b):
		return nil, io.ErrUnexpectedEOF // of ours
	case n == 0:
		return nil, nil
	}
	w.at += n
	return b[:n:n], nil
}

// Done gives back what Next has lent.
func (w *Wire) Done() {}

// RoomFor lends n octets, nil: the gateway takes too little.
func (w *Wire) RoomFor(n int) []byte {
	at := len(w.built)
	if at+n > mostWired {
		return nil
	}
	if cap(w.built)-at < n {
		w.built = append(make([]byte, 0, max(2*cap(w.built), at+n, 64<<10)), w.built...)
	}
	w.room = n
	return w.built[at : at+n : at+n]
}

// Commit adds the first n octets of them.
func (w *Wire) Commit(n int) { w.built = w.built[:len(w.built)+min(n, w.room)] }

// Flush hands over what was committed, once there is room for it.
func (w *Wire) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return io.ErrClosedPipe
	}
	if len(w.built) == 0 {
		return nil
	}
	if len(w.from) > 0 && len(w.from)+len(w.built) > mostWired {
		w.asked = true
		return nil
	}
	w.sent += uint64(len(w.built))
	w.from = append(w.from, w.built...)
	w.built = w.built[:0]
	w.wake()
	return nil
}

// Queued is what was committed and not handed over.
func (w *Wire) Queued() int { return len(w.built) }

// Sent counts octets.
func (w *Wire) Sent() uint64 { return w.sent }

// Remote and Local are no addresses: it is in memory.
func (w *Wire) Remote() netip.AddrPort { return realm.Nowhere }
func (w *Wire) Local() netip.AddrPort  { return realm.Nowhere }

// Close ends it.
func (w *Wire) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.wake()
}

// send gives the agent a message; false: it takes too little.
func (w *Wire) send(b []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.to)+len(b) > mostWired {
		return false
	}
	w.to = append(w.to, b...)
	w.tell()
	return true
}

// take swaps what the agent has sent for an empty buffer.
func (w *Wire) take(empty []byte) (full []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	full, w.from = w.from, empty[:0]
	if w.asked {
		w.asked = false
		w.tell()
	}
	return full
}
