package agent

import (
	"io"
	"net/netip"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/udp"
)

// pipe is one end of a connection in memory. It is for tests in which one goroutine
// has both ends.
type pipe struct {
	local, remote netip.AddrPort
	other         *pipe
	poller        *udp.Poller // nil: a test reads it
	tag           uint32

	in      []byte // what the other end has flushed
	at      int
	out     []byte // committed
	room    []byte
	most    int  // octets that are kept, as stream.Conn has them
	stalled bool // takes nothing
	ended   bool // nothing follows in
	closed  bool
	sent    uint64
}

// newPipe gives two ends.
func newPipe(a, b netip.AddrPort) (x, y *pipe) {
	x, y = &pipe{local: a, remote: b, most: 1 << 20}, &pipe{local: b, remote: a, most: 1 << 20}
	x.other, y.other = y, x
	return x, y
}

func (p *pipe) tell() {
	if p.poller != nil && !p.closed {
		p.poller.Post(p.tag)
	}
}

func (p *pipe) Attach(poller *udp.Poller, tag uint32) error {
	p.poller, p.tag = poller, tag
	p.tell()
	return nil
}

func (p *pipe) Recv() (more bool, err error) {
	switch {
	case p.closed:
		return false, io.ErrClosedPipe
	case p.ended && !p.whole():
		return false, io.EOF
	}
	return false, nil
}

func (p *pipe) whole() bool {
	n, bad := diameter.Frame(p.in[p.at:])
	return bad != diameter.NoFault || n > 0 && n <= len(p.in)-p.at
}

func (p *pipe) Next() ([]byte, error) {
	b := p.in[p.at:]
	n, bad := diameter.Frame(b)
	switch {
	case p.closed || n > len(b):
		return nil, nil
	case bad != diameter.NoFault:
		return nil, io.ErrUnexpectedEOF
	case n == 0:
		return nil, nil
	}
	p.at += n
	return b[:n:n], nil
}

func (p *pipe) Done() {
	p.in = p.in[:copy(p.in, p.in[p.at:])]
	p.at = 0
}

func (p *pipe) RoomFor(n int) []byte {
	if p.closed || len(p.out)+n > p.most {
		return nil
	}
	if cap(p.room) < n {
		p.room = make([]byte, max(n, 64<<10))
	}
	return p.room[:n:n]
}

func (p *pipe) Commit(n int) { p.out = append(p.out, p.room[:n]...) }

func (p *pipe) Flush() error {
	switch {
	case p.closed:
		return io.ErrClosedPipe
	case p.other.closed:
		return io.ErrClosedPipe
	case p.other.stalled || len(p.out) == 0:
		return nil
	}
	p.other.in = append(p.other.in, p.out...)
	p.sent += uint64(len(p.out))
	p.out = p.out[:0]
	p.other.tell()
	return nil
}

func (p *pipe) Queued() int            { return len(p.out) }
func (p *pipe) Sent() uint64           { return p.sent }
func (p *pipe) Remote() netip.AddrPort { return p.remote }
func (p *pipe) Local() netip.AddrPort  { return p.local }

func (p *pipe) Close() {
	if p.closed {
		return
	}
	p.closed = true
	p.other.ended = true
	p.other.tell()
}

// stall has an end take nothing until it is false again.
func (p *pipe) stall(on bool) {
	p.stalled = on
	if !on {
		p.other.tell()
	}
}

// push puts octets on the wire as they are, from an end that a test has.
func (p *pipe) push(b []byte) {
	if p.closed || p.other.closed {
		return
	}
	p.other.in = append(p.other.in, b...)
	p.other.tell()
}

// pull gives copies of the messages that have come to an end that a test has.
func (p *pipe) pull() (all [][]byte) {
	if p.stalled {
		return nil
	}
	for {
		b, err := p.Next()
		if b == nil || err != nil {
			p.Done()
			return all
		}
		all = append(all, append([]byte{}, b...))
	}
}

// gone reports whether the other end has closed it, and nothing is left to be read.
func (p *pipe) gone() bool { return p.ended && len(p.in) == p.at }
