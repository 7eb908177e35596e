package play

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/roamgate/roamgate/pkg/radius"
)

// homeDoor accepts the connections of a Home. Its shards take them in turns.
type homeDoor struct {
	home   *Home
	listen net.Listener
	wait   sync.WaitGroup
	ctx    context.Context // of the handshakes
	gate   sync.RWMutex    // held by Stall
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows
	links   map[*link]struct{}
	refused uint64 // handshakes that failed
	closed  bool
}

// open listens where the home's requests come by connections.
func (h *Home) open() error {
	if h.config.Stream == nil {
		return nil
	}
	l, err := net.Listen("tcp", h.config.Auth.String())
	if err != nil {
		return fmt.Errorf("listening on %s: %w", h.config.Auth, err)
	}
	h.config.Auth = l.Addr().(*net.TCPAddr).AddrPort()
	h.config.Acct = h.config.Auth
	d := &homeDoor{home: h, listen: l, links: map[*link]struct{}{}}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	h.door = d
	d.wait.Go(d.accept)
	return nil
}

// Disconnect ends all connections that there are now, without a word.
func (h *Home) Disconnect() {
	if h.door == nil {
		return
	}
	h.door.mu.Lock()
	defer h.door.mu.Unlock()
	for l := range h.door.links {
		l.close()
	}
}

// Stall works and reads nothing more from any connection, until the function is
// called that it returns.
func (h *Home) Stall() (release func()) {
	if h.door == nil {
		return func() {}
	}
	h.door.gate.Lock()
	return h.door.gate.Unlock
}

// Connections is how many there are now, and how many handshakes have failed.
func (h *Home) Connections() (now int, refused uint64) {
	if h.door == nil {
		return 0, 0
	}
	h.door.mu.Lock()
	defer h.door.mu.Unlock()
	return len(h.door.links), h.door.refused
}

func (d *homeDoor) close() error {
	if d == nil {
		return nil
	}
	d.cancel()
	err := d.listen.Close()
	d.mu.Lock()
	d.closed = true
	for l := range d.links {
		l.close()
	}
	d.mu.Unlock()
	d.wait.Wait()
	return err
}

func (d *homeDoor) accept() {
	for n := 0; ; n++ {
		c, err := d.listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		s := d.home.shards[n%len(d.home.shards)]
		d.wait.Go(func() { d.serve(s, c) })
	}
}

// serve works one connection until it ends.
func (d *homeDoor) serve(s *homeShard, c net.Conn) {
	ctx, cancel := context.WithTimeout(d.ctx, dialLimit)
	l, err := d.home.config.Stream.shake(ctx, c, tls.Server)
	cancel()
	if !d.enter(l, err) {
		return
	}
	d.wait.Go(l.write)
	_ = l.read(func(packets [][]byte) { // why it ends is the peer's business
		d.gate.RLock()
		defer d.gate.RUnlock()
		s.arrive(l, packets)
	})
	l.close()
	d.mu.Lock()
	delete(d.links, l)
	d.mu.Unlock()
}

func (d *homeDoor) enter(l *link, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.refused++
		return false
	}
	if d.closed {
		l.close()
		return false
	}
	d.links[l] = struct{}{}
	return true
}

// arrive works packets that came together over a connection.
func (s *homeShard) arrive(l *link, packets [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.script = clock(), s.home.script.Load()
	s.link, s.packets = l, packets
	if l.clear {
		s.secret = radius.Clear
	}
	held := s.hold.n
	s.receive(doorAuth, len(packets))
	s.link, s.packets, s.secret = nil, nil, s.home.secret
	l.flush()
	if held == 0 && s.hold.n > 0 {
		s.poller.Wake()
	}
}

// holds reports whether answers wait for their time.
func (s *homeShard) holds() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hold.n > 0
}
