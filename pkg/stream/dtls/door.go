package dtls

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/transport/v5/packetio"
)

const (
	maxDatagram = 1 << 16
	queued      = 64        // datagrams of one peer that wait
	queuedSize  = 128 << 10 // and their octets
	pause       = 10 * time.Millisecond
)

// Door is a UDP socket that peers come to.
type Door struct {
	conn *net.UDPConn
	most int
	stop chan struct{}

	mu     sync.Mutex // guards all below
	peers  map[netip.AddrPort]*Peer
	closed bool
}

// Listen opens a door for at most so many peers at a time.
func Listen(at netip.AddrPort, most int) (*Door, error) {
	network := "udp6"
	if at.Addr().Is4() {
		network = "udp4"
	}
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	return &Door{conn: c, most: most, stop: make(chan struct{}), peers: make(map[netip.AddrPort]*Peer)}, nil
}

// Addr is the address with the port that the system gave.
func (d *Door) Addr() netip.AddrPort { return d.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Serve reads until the door is closed. allow is asked about a stranger whose
// datagram may begin a handshake; where it says yes, greet is given the new peer,
// nil: there are as many as may be. Neither may take long.
func (d *Door) Serve(allow func(from netip.AddrPort) bool, greet func(from netip.AddrPort, p *Peer)) {
	b := make([]byte, maxDatagram)
	for {
		n, from, err := d.conn.ReadFromUDPAddrPort(b)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			if !d.wait() {
				return
			}
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		p := d.find(from)
		if p == nil && hello(b[:n]) && allow(from) {
			p = d.add(from)
			greet(from, p)
		}
		if p != nil {
			_, _ = p.in.Write(b[:n], nil) // full: lost, as datagrams are
		}
	}
}

// wait keeps a lasting error from taking a processor.
func (d *Door) wait() bool {
	select {
	case <-time.After(pause):
		return true
	case <-d.stop:
		return false
	}
}

// hello reports whether a datagram may begin a handshake: a record of one, of
// the first epoch, with a ClientHello.
func hello(b []byte) bool {
	const handshake, clientHello, header = 22, 1, 13
	return len(b) > header+12 && b[0] == handshake && b[1] == 0xfe && b[3] == 0 && b[4] == 0 && b[header] == clientHello
}

func (d *Door) find(from netip.AddrPort) *Peer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peers[from]
}

func (d *Door) add(from netip.AddrPort) *Peer {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.peers) >= d.most {
		return nil
	}
	p := &Peer{door: d, remote: from, in: packetio.NewBuffer()}
	p.in.SetLimitCount(queued)
	p.in.SetLimitSize(queuedSize)
	d.peers[from] = p
	return p
}

// Peers is how many there are.
func (d *Door) Peers() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.peers)
}

// Close closes the socket and with it the connections of all peers.
func (d *Door) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return net.ErrClosed
	}
	d.closed = true
	for from, p := range d.peers {
		_ = p.in.Close()
		delete(d.peers, from)
	}
	d.mu.Unlock()
	close(d.stop)
	return d.conn.Close()
}

// Peer is what one address sends, and is sent.
type Peer struct {
	door   *Door
	remote netip.AddrPort
	in     *packetio.Buffer
}

// Remote is the peer's address.
func (p *Peer) Remote() netip.AddrPort { return p.remote }

// ReadFrom gives the next datagram.
func (p *Peer) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, err := p.in.Read(b, nil)
	return n, net.UDPAddrFromAddrPort(p.remote), err
}

// WriteTo sends a datagram to the peer, whatever the address says.
func (p *Peer) WriteTo(b []byte, _ net.Addr) (int, error) {
	return p.door.conn.WriteToUDPAddrPort(b, p.remote)
}

// Close forgets the peer.
func (p *Peer) Close() error {
	p.door.mu.Lock()
	if p.door.peers[p.remote] == p {
		delete(p.door.peers, p.remote)
	}
	p.door.mu.Unlock()
	return p.in.Close()
}

// LocalAddr is that of the door.
func (p *Peer) LocalAddr() net.Addr { return p.door.conn.LocalAddr() }

// SetDeadline is SetReadDeadline: writing does not wait.
func (p *Peer) SetDeadline(t time.Time) error { return p.in.SetReadDeadline(t) }

// SetReadDeadline ends waiting for a datagram.
func (p *Peer) SetReadDeadline(t time.Time) error { return p.in.SetReadDeadline(t) }

// SetWriteDeadline does nothing.
func (p *Peer) SetWriteDeadline(time.Time) error { return nil }
