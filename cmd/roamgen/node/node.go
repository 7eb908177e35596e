package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	dia "github.com/roamgate/roamgate/pkg/diameter"
)

// Node is a Diameter node.
type Node struct {
	config   Config
	listen   net.Listener
	endToEnd atomic.Uint32
	asked    atomic.Uint32
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wait     sync.WaitGroup
	gate     sync.RWMutex // held by Stall

	mu     sync.Mutex // guards what follows
	conns  []*conn
	turns  int // of the connections that work goes by
	script Script
	counts Counts
	seen   map[origin]uint32 // requests, with Track
	ledger map[Record]Volume
	taken  []Record // of ours, that were acknowledged
	asks   map[uint32]*ask
	work   *work // nil: none
	closed bool
	room   []byte // to build messages in
	in     dia.Message
	rounds map[string]int
}

// ask waits for an answer.
type ask struct {
	c      *conn
	answer chan []byte
}

// asking marks the Hop-by-Hop Identifiers of Ask; those of work are below.
const asking = 1 << 31

// Start listens, connects, and returns when all peers of Config.Connect have agreed on
// capabilities.
func Start(ctx context.Context, c Config) (*Node, error) {
	if c.Spin && c.TLS != nil {
		return nil, errSpins
	}
	n := &Node{
		config: c, script: c.Script, asks: map[uint32]*ask{}, rounds: map[string]int{},
		room: make([]byte, firstRoom),
	}
	// RFC 6733 section 3: the time above, and what is random below.
	n.endToEnd.Store(uint32(time.Now().Unix())<<20 | rand.Uint32()>>12)
	if c.Track {
		n.seen, n.ledger = map[origin]uint32{}, map[Record]Volume{}
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if c.Listen.IsValid() {
		l, err := net.Listen("tcp", c.Listen.String())
		if err != nil {
			n.cancel()
			return nil, fmt.Errorf("listening on %s: %w", c.Listen, err)
		}
		n.listen = l
		n.wait.Go(n.accept)
	}
	if c.Spin {
		n.wait.Go(n.spin)
	}
	ready := make(chan error, len(c.Connect)*max(c.Connections, 1))
	for _, to := range c.Connect {
		for range max(c.Connections, 1) {
			n.wait.Go(func() { n.connect(ctx, to, ready) })
		}
	}
	for range cap(ready) {
		if err := <-ready; err != nil {
			return nil, errors.Join(fmt.Errorf("%s: connecting: %w", c.Identity, err), n.Close())
		}
	}
	return n, nil
}

// Addr is where it listens.
func (n *Node) Addr() netip.AddrPort {
	return n.listen.Addr().(*net.TCPAddr).AddrPort()
}

func (n *Node) accept() {
	for {
		raw, err := n.listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		n.wait.Go(func() {
			ctx, cancel := context.WithTimeout(n.ctx, dialLimit)
			c, err := n.shake(ctx, raw, false)
			cancel()
			if err != nil {
				n.mu.Lock()
				n.counts.Refused++
				n.mu.Unlock()
				return
			}
			n.serve(c)
		})
	}
}

// connect keeps one connection.
func (n *Node) connect(ctx context.Context, to netip.AddrPort, ready chan<- error) {
	first := true
	for {
		c, err := n.dial(n.ctx, to)
		var refused Refusal
		if first && (err == nil || errors.As(err, &refused) || ctx.Err() != nil) {
			first = false
			if err == nil && !n.enter(c) {
				err = net.ErrClosed
			}
			ready <- err
			if err != nil {
				return
			}
			n.converse(c)
		} else if err == nil {
			n.serve(c)
		}
		pause := n.config.Retry
		if pause == 0 {
			pause = retryPause
		}
		select {
		case <-n.ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (n *Node) serve(c *conn) {
	if n.enter(c) {
		n.converse(c)
	}
}

// enter makes a connection one of the Node's.
func (n *Node) enter(c *conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		c.close()
		return false
	}
	if n.config.Spin && c.readied() != nil {
		c.close()
		return false
	}
	c.open = true
	n.conns = append(n.conns, c)
	n.counts.Opened++
	if n.work != nil {
		n.work.opened()
	}
	return true
}

// converse works a connection until it ends.
func (n *Node) converse(c *conn) {
	if c.ready != nil {
		<-c.ready.ended
	} else {
		n.wait.Go(c.write)
		n.flushAll() // what waited for a connection
		c.read(n.take)
	}
	c.close()
	n.mu.Lock()
	c.open = false
	n.conns = slices.DeleteFunc(n.conns, func(o *conn) bool { return o == c })
	for id, a := range n.asks {
		if a.c == c {
			close(a.answer)
			delete(n.asks, id)
		}
	}
	if n.work != nil {
		n.work.lost(c)
	}
	n.mu.Unlock()
	n.flushAll()
	close(c.gone)
}

func (n *Node) flushAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		c.flush()
	}
}

// take works messages that came together.
func (n *Node) take(c *conn, all [][]byte) {
	n.gate.RLock()
	defer n.gate.RUnlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.takeAll(c, all)
	if n.work != nil {
		n.work.fill(time.Now())
	}
	for _, o := range n.conns {
		o.flush()
	}
}

func (n *Node) takeAll(c *conn, all [][]byte) {
	now := time.Now()
	for _, raw := range all {
		if n.config.Heard != nil {
			n.config.Heard(raw)
		}
		m := &n.in
		if fault := m.Parse(raw); fault != dia.NoFault {
			n.counts.Malformed++
			continue
		}
		switch {
		case m.Application == dia.AppBase && base(m.Command):
			n.peerMessage(c, m)
		case m.Request():
			n.answer(c, m)
		case m.HopByHop&asking != 0:
			if a := n.asks[m.HopByHop]; a != nil && a.c == c {
				delete(n.asks, m.HopByHop)
				a.answer <- bytes.Clone(raw)
			} else {
				n.counts.Unasked++
			}
		case n.work != nil:
			n.work.answered(c, m, now)
		default:
			n.counts.Unasked++
		}
	}
}

func base(command uint32) bool {
	return command == dia.CapabilitiesExchange || command == dia.DeviceWatchdog || command == dia.DisconnectPeer
}

// peerMessage is what the peer machine gets.
func (n *Node) peerMessage(c *conn, m *dia.Message) {
	h := m.Header
	h.Flags = 0
	switch {
	case m.Command == dia.CapabilitiesExchange && m.Request():
		c.send(n.exchange(n.room, &h, dia.ResultSuccess))
	case m.Command == dia.DeviceWatchdog && m.Request():
		n.counts.Watchdogs++
		if !n.config.Quiet {
			c.send(n.plain(&h, dia.ResultSuccess))
		}
	case m.Command == dia.DisconnectPeer && m.Request():
		n.counts.Disconnects++
		c.leaves, c.open = true, false
		c.send(n.plain(&h, dia.ResultSuccess)) // the peer closes
	case m.Command == dia.DisconnectPeer:
		c.close()
	}
}

// plain builds a message with a result, or 0, and who sends it.
func (n *Node) plain(h *dia.Header, result uint32) []byte {
	var w dia.Writer
	w.Begin(n.room, h)
	if result != 0 {
		w.Uint32(dia.ResultCode, 0, dia.AVPMandatory, result)
	}
	n.origin(&w)
	return w.Finish()
}

// SetScript replaces how it answers.
func (n *Node) SetScript(s Script) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.script = s
}

// Stall reads nothing more from any connection, until the function is called that it
// returns.
func (n *Node) Stall() (release func()) {
	n.gate.Lock()
	return n.gate.Unlock
}

// Peers are the Origin-Hosts of those that it has connections with.
func (n *Node) Peers() (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		if c.open {
			all = append(all, c.peer)
		}
	}
	return all
}

// Watch sends a watchdog by every connection.
func (n *Node) Watch() {
	n.each(func(c *conn) {
		h := dia.Header{Flags: dia.FlagRequest, Command: dia.DeviceWatchdog, HopByHop: 1, EndToEnd: n.endToEnd.Add(1)}
		c.send(n.plain(&h, 0))
	})
}

// Write sends octets as they are by every connection: what is wrong with them is what
// they are for.
func (n *Node) Write(raw []byte) { n.each(func(c *conn) { c.send(raw) }) }

func (n *Node) each(f func(c *conn)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		f(c)
		c.flush()
	}
}

// Disconnect ends all connections that there are now, without a word.
func (n *Node) Disconnect() { n.each((*conn).close) }

// Leave ends all connections that there are now by a DPR with the cause.
func (n *Node) Leave(cause uint32) {
	n.each(func(c *conn) {
		h := dia.Header{Flags: dia.FlagRequest, Command: dia.DisconnectPeer, HopByHop: 1, EndToEnd: n.endToEnd.Add(1)}
		var w dia.Writer
		w.Begin(n.room, &h)
		n.origin(&w)
		w.Uint32(dia.DisconnectCause, 0, dia.AVPMandatory, cause)
		c.leaves, c.open = true, false
		c.send(w.Finish())
	})
}

// rebooting is the Disconnect-Cause of who comes back (RFC 6733 section 5.4.3).
const rebooting = 0

// leaveLimit is how long Close waits for the answers to its DPRs.
const leaveLimit = 500 * time.Millisecond

// Close disconnects from its peers and ends. Closing it again does nothing.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		n.wait.Wait()
		return nil
	}
	n.closed = true
	conns := slices.Clone(n.conns)
	n.mu.Unlock()
	n.cancel()
	var err error
	if n.listen != nil {
		err = n.listen.Close()
	}
	n.Leave(rebooting)
	limit := time.After(leaveLimit)
	for _, c := range conns {
		select {
		case <-c.gone:
		case <-limit:
			limit = nil
			n.Disconnect()
			<-c.gone
		}
	}
	n.Disconnect()
	n.wait.Wait()
	return err
}

// errNoPeer says that there is no connection.
var errNoPeer = errors.New("there is no peer")

// Ask sends a request whose identifiers it sets, and waits for its answer. A zero
// End-to-End Identifier is replaced by a new one.
func (n *Node) Ask(ctx context.Context, request []byte) ([]byte, error) {
	request = bytes.Clone(request)
	id := asking | n.asked.Add(1)
	dia.SetHopByHop(request, id)
	if h := dia.ReadHeader(request); h.EndToEnd == 0 {
		dia.SetEndToEnd(request, n.endToEnd.Add(1))
	}
	a := &ask{answer: make(chan []byte, 1)}
	n.mu.Lock()
	a.c = n.next()
	if a.c == nil {
		n.mu.Unlock()
		return nil, errNoPeer
	}
	n.asks[id] = a
	a.c.send(request)
	a.c.flush()
	n.mu.Unlock()
	select {
	case answer, ok := <-a.answer:
		if !ok {
			return nil, fmt.Errorf("asking %s: the connection was lost", a.c.peer)
		}
		return answer, nil
	case <-ctx.Done():
		n.mu.Lock()
		delete(n.asks, id)
		n.mu.Unlock()
		return nil, fmt.Errorf("asking %s: %w", a.c.peer, ctx.Err())
	}
}

// next is a connection to send by, nil: there is none.
func (n *Node) next() *conn {
	for range n.conns {
		n.turns++
		if c := n.conns[n.turns%len(n.conns)]; c.open {
			return c
		}
	}
	return nil
}
