package node

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	dia "github.com/roamgate/roamgate/pkg/diameter"
)

// conn is one connection with a peer.
type conn struct {
	net.Conn
	node *Node
	peer string // its Origin-Host
	wake chan struct{}
	in   inbox // the reader's
	// ready is set where the Node spins.
	ready *ready

	mu     sync.Mutex // guards what follows
	out    []byte     // to be written
	closed bool

	// open says that capabilities are exchanged and nothing has ended it: guarded
	// by the lock of the Node.
	open   bool
	leaves bool          // a DPR has gone either way
	gone   chan struct{} // closed when the reader has ended
}

func (n *Node) dial(ctx context.Context, to netip.AddrPort) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	d := net.Dialer{}
	if n.config.Bind.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: n.config.Bind.AsSlice()}
	}
	raw, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	return n.shake(ctx, raw, true)
}

// shake does the handshake of TLS and exchanges capabilities.
func (n *Node) shake(ctx context.Context, raw net.Conn, first bool) (*conn, error) {
	release := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer release()
	if tcp, ok := raw.(*net.TCPConn); ok && n.config.Receive > 0 {
		_ = tcp.SetReadBuffer(n.config.Receive) // a bound that is not kept is no error
	}
	c := &conn{Conn: raw, node: n, wake: make(chan struct{}, 1), gone: make(chan struct{})}
	if n.config.TLS != nil {
		side := tls.Server
		if first {
			side = tls.Client
		}
		config := n.config.TLS.Clone()
		config.DynamicRecordSizingDisabled = true
		t := side(&buffered{raw, bufio.NewReaderSize(raw, 64<<10)}, config)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("handshake with %s: %w", raw.RemoteAddr(), errors.Join(err, raw.Close()))
		}
		c.Conn = t
	}
	if err := c.capabilities(first); err != nil {
		return nil, fmt.Errorf("capabilities with %s: %w", raw.RemoteAddr(), errors.Join(err, raw.Close()))
	}
	if !release() {
		return nil, errors.Join(ctx.Err(), raw.Close())
	}
	return c, nil
}

// buffered takes many small records with one system call.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// Refusal is the Result-Code of a CEA that is none of success.
type Refusal uint32

func (r Refusal) Error() string { return fmt.Sprintf("refused with %d", uint32(r)) }

// capabilities asks first, or answers.
func (c *conn) capabilities(first bool) error {
	room := make([]byte, 4096)
	if first {
		h := dia.Header{Flags: dia.FlagRequest, Command: dia.CapabilitiesExchange, HopByHop: 1, EndToEnd: c.node.endToEnd.Add(1)}
		if _, err := c.Write(c.node.exchange(room, &h, 0)); err != nil {
			return err
		}
	}
	raw, err := readOne(c.Conn)
	if err != nil {
		return err
	}
	if c.node.config.Heard != nil {
		c.node.config.Heard(raw)
	}
	var m dia.Message
	if fault := m.Parse(raw); fault != dia.NoFault {
		return fmt.Errorf("fault %s", fault)
	}
	if m.Command != dia.CapabilitiesExchange || m.Request() == first {
		return fmt.Errorf("command %d instead", m.Command)
	}
	c.peer = string(m.Value(dia.KnownOriginHost))
	if first {
		if result, _ := m.Uint32(dia.KnownResultCode); result != dia.ResultSuccess {
			return Refusal(result)
		}
		return nil
	}
	h := m.Header
	h.Flags = 0
	_, err = c.Write(c.node.exchange(room, &h, dia.ResultSuccess))
	return err
}

// exchange builds a CER, or a CEA with a result.
func (n *Node) exchange(room []byte, h *dia.Header, result uint32) []byte {
	var w dia.Writer
	w.Begin(room, h)
	if result != 0 {
		w.Uint32(dia.ResultCode, 0, dia.AVPMandatory, result)
	}
	n.origin(&w)
	w.Bytes(dia.HostIPAddress, 0, dia.AVPMandatory, []byte{0, 1, 127, 0, 0, 1})
	w.Uint32(dia.VendorID, 0, dia.AVPMandatory, vendorID)
	w.String(dia.ProductName, 0, 0, productName)
	if n.config.StateID != 0 {
		w.Uint32(dia.OriginStateID, 0, dia.AVPMandatory, n.config.StateID)
	}
	w.Uint32(dia.SupportedVendorID, 0, dia.AVPMandatory, dia.Vendor3GPP)
	apps := n.config.Applications
	if len(apps) == 0 {
		apps = []uint32{dia.AppRelay}
	}
	for _, app := range apps {
		switch {
		case vendorOf(app) != 0:
			g := w.Group(dia.VendorSpecificApplicationID, 0, dia.AVPMandatory)
			w.Uint32(dia.VendorID, 0, dia.AVPMandatory, vendorOf(app))
			w.Uint32(dia.AuthApplicationID, 0, dia.AVPMandatory, app)
			w.End(g)
		case app == dia.AppAccounting:
			w.Uint32(dia.AcctApplicationID, 0, dia.AVPMandatory, app)
		default:
			w.Uint32(dia.AuthApplicationID, 0, dia.AVPMandatory, app)
		}
	}
	return w.Finish()
}

func (n *Node) origin(w *dia.Writer) {
	w.String(dia.OriginHost, 0, dia.AVPMandatory, n.config.Identity)
	w.String(dia.OriginRealm, 0, dia.AVPMandatory, n.config.Realm)
}

// readOne reads a message and nothing behind it.
func readOne(r net.Conn) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := readFull(r, head); err != nil {
		return nil, err
	}
	size, fault := dia.Frame(head)
	if fault != dia.NoFault {
		return nil, fmt.Errorf("fault %s", fault)
	}
	raw := append(bytes.Clone(head), make([]byte, size-4)...)
	_, err := readFull(r, raw[4:])
	return raw, err
}

func readFull(r net.Conn, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	if n == len(b) {
		err = nil
	}
	return n, err
}

// send keeps b until flush. What a peer does not take stays here, and is bounded by
// what is under way.
func (c *conn) send(b []byte) {
	c.mu.Lock()
	c.out = append(c.out, b...)
	c.mu.Unlock()
}

func (c *conn) flush() {
	c.mu.Lock()
	some := len(c.out) > 0
	c.mu.Unlock()
	if some && c.ready == nil {
		c.nudge()
	}
}

func (c *conn) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write sends what was flushed, all of it at once, until the connection is closed.
func (c *conn) write() {
	var mine []byte
	for range c.wake {
		c.mu.Lock()
		mine, c.out = c.out, mine[:0]
		closed := c.closed
		c.mu.Unlock()
		if closed {
			return
		}
		if _, err := c.Write(mine); err != nil {
			c.close()
			return
		}
	}
}

// read gives take all whole messages that have arrived together, until the connection
// ends. They are take's until it returns.
func (c *conn) read(take func(c *conn, all [][]byte)) {
	for {
		m, err := c.Read(c.in.room())
		if err != nil {
			return
		}
		all, err := c.in.split(m)
		if len(all) > 0 {
			take(c, all)
		}
		if err != nil {
			return
		}
		c.in.keep()
	}
}

// inbox is what has been read.
type inbox struct {
	buf  []byte
	n    int // octets read
	used int // that are of whole messages
	all  [][]byte
}

// room is where to read to. It is never empty: keep sees to that.
func (in *inbox) room() []byte {
	if in.buf == nil {
		in.buf = make([]byte, firstBuffer)
	}
	return in.buf[in.n:]
}

var errFrame = errors.New("a message without a frame")

// split gives the whole messages when m octets more were read. They stay valid until
// keep, which must follow.
func (in *inbox) split(m int) ([][]byte, error) {
	in.n, in.used, in.all = in.n+m, 0, in.all[:0]
	for {
		rest := in.buf[in.used:in.n]
		size, fault := dia.Frame(rest)
		if fault != dia.NoFault || size > readBuffer {
			return in.all, errFrame
		}
		if size == 0 || size > len(rest) {
			return in.all, nil
		}
		in.all = append(in.all, rest[:size:size])
		in.used += size
	}
}

// keep moves what is not whole to the front.
func (in *inbox) keep() {
	full := in.n == len(in.buf)
	in.n, in.used = copy(in.buf, in.buf[in.used:in.n]), 0
	if full && len(in.buf) < readBuffer {
		in.buf = append(in.buf[:in.n], make([]byte, 4*len(in.buf)-in.n)...)
		in.buf = in.buf[:cap(in.buf)]
	}
}

// close ends the connection and its goroutines.
func (c *conn) close() {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if !first {
		return
	}
	c.nudge()
	// Without the alert, which would wait for a peer that takes nothing.
	raw := c.Conn
	if t, ok := raw.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	_ = raw.Close()
}
