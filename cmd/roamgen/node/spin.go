package node

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// errSpins says what Config.Spin is not for.
var errSpins = errors.New("over TLS a node does not spin")

// ready is a connection that is read and written without waiting.
type ready struct {
	raw   syscall.RawConn
	ended chan struct{}
	// What one attempt gave; the functions are made once.
	n           int
	err         error
	sent        []byte // of what is to be written
	read, write func(fd uintptr) bool
}

// readied has the node's own goroutine read and write the connection.
func (c *conn) readied() error {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok {
		return errSpins
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	r := &ready{raw: raw, ended: make(chan struct{})}
	r.read = func(fd uintptr) bool {
		r.n, r.err = readNow(fd, c.in.room())
		return true
	}
	r.write = func(fd uintptr) bool {
		r.n, r.err = writeNow(fd, r.sent)
		return true
	}
	c.ready = r
	return nil
}

// spin does all there is to do, again and again, until the Node is closed and has no
// connection left.
func (n *Node) spin() {
	for n.turn() {
		play.Yield()
	}
}

func (n *Node) turn() (more bool) {
	n.gate.RLock()
	defer n.gate.RUnlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		if c.ready == nil {
			continue // its capabilities were just exchanged
		}
		all, err := c.readReady()
		n.takeAll(c, all)
		c.in.keep()
		if err != nil {
			c.end()
		}
	}
	if n.work != nil {
		n.work.fill(time.Now())
	}
	for _, c := range n.conns {
		if c.ready != nil && c.writeReady() != nil {
			c.end()
		}
	}
	return !n.closed || len(n.conns) > 0
}

// end has converse go on.
func (c *conn) end() {
	select {
	case <-c.ready.ended:
	default:
		close(c.ready.ended)
	}
}

func (c *conn) readReady() ([][]byte, error) {
	r := c.ready
	if err := r.raw.Read(r.read); err != nil || r.err != nil {
		return nil, errors.Join(err, r.err)
	}
	if r.n == 0 {
		return nil, nil
	}
	return c.in.split(r.n)
}

// writeReady writes what there is, as much as the kernel takes.
func (c *conn) writeReady() error {
	r := c.ready
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.out) == 0 || c.closed {
		return nil
	}
	r.sent = c.out
	if err := r.raw.Write(r.write); err != nil || r.err != nil {
		return errors.Join(err, r.err)
	}
	c.out = c.out[:copy(c.out, c.out[r.n:])]
	return nil
}
