package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/realm"
)

const (
	shortPause = 5 * time.Millisecond // after an error of accept
	longPause  = time.Second
	farewell   = 500 * time.Millisecond // for the peer to read an alert
	unread     = 64 << 10
)

// noCertificate is crypto/tls's word for it: it has no error of its own.
const noCertificate = "tls: client didn't provide a certificate"

// disagreements are the alerts handshake_failure, protocol_version,
// inappropriate_fallback and no_application_protocol.
var disagreements = []uint8{40, 70, 86, 120}

// keepAlive finds out within half a minute that a peer is gone that says so no
// more.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// Acceptor has a goroutine for each door, and one for each handshake. Who is
// let in is the hub's.
type Acceptor struct {
	hub     Hub
	limits  Limits
	doors   []net.Listener
	addrs   []Address
	secure  *tls.Config // the keys of session tickets are in it
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup
	open    halfOpen
	results [numTransports][NumResults]atomic.Uint64
	pauses  atomic.Uint64
}

// Accept opens every address. Nobody else may share it.
func Accept(addrs []Address, hub Hub, limits Limits) (*Acceptor, error) {
	a := &Acceptor{hub: hub, limits: limits.complete()}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.open.each = make(map[netip.Prefix]int)
	a.secure = &tls.Config{GetConfigForClient: a.config}
	for _, at := range addrs {
		l, err := a.listen(at)
		if err != nil {
			a.Close()
			return nil, fmt.Errorf("listening on %s for %s over %s: %w", at.Addr, at.Service, at.Transport, err)
		}
		at.Addr = netip.AddrPortFrom(at.Addr.Addr(), l.Addr().(*net.TCPAddr).AddrPort().Port())
		a.doors, a.addrs = append(a.doors, l), append(a.addrs, at)
	}
	for i := range a.doors {
		a.wg.Go(func() { a.accept(i) })
	}
	return a, nil
}

func (a *Acceptor) listen(at Address) (net.Listener, error) {
	network := "tcp6"
	if at.Addr.Addr().Is4() {
		network = "tcp4"
	}
	switch at.Transport {
	case realm.TCP, realm.TLS:
		lc := net.ListenConfig{KeepAliveConfig: keepAlive}
		return lc.Listen(a.ctx, network, at.Addr.String())
	}
	return nil, fmt.Errorf("no connections over %s", at.Transport)
}

// Addrs are the doors, with the ports that the system chose.
func (a *Acceptor) Addrs() []Address { return a.addrs }

// Count says how many visitors of a transport had a result.
func (a *Acceptor) Count(t realm.Transport, r Result) uint64 { return a.results[t][r].Load() }

// HalfOpen is how many handshakes run.
func (a *Acceptor) HalfOpen() int { return a.open.count() }

// Pauses counts how often accepting had to wait, as it does where there are no
// descriptors left.
func (a *Acceptor) Pauses() uint64 { return a.pauses.Load() }

// Close closes the doors, ends the handshakes and waits for all goroutines.
// Connections that were handed over stay.
func (a *Acceptor) Close() {
	a.stop()
	for _, l := range a.doors {
		_ = l.Close()
	}
	a.wg.Wait()
}

// accept ends when its door is closed.
func (a *Acceptor) accept(i int) {
	pause := shortPause
	for {
		c, err := a.doors[i].Accept()
		if err == nil {
			pause = shortPause
			a.meet(i, c.(*net.TCPConn))
			continue
		}
		if a.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		a.pauses.Add(1)
		select {
		case <-time.After(pause):
		case <-a.ctx.Done():
			return
		}
		pause = min(2*pause, longPause)
	}
}

// meet decides whether a visitor is worth a handshake.
func (a *Acceptor) meet(i int, c *net.TCPConn) {
	v := &Visitor{Door: a.addrs[i], Index: i, Remote: addrPort(c.RemoteAddr()), Local: addrPort(c.LocalAddr())}
	why := Accepted
	if !v.Remote.IsValid() {
		why = Gone
	} else if !a.hub.Allow(v.Door, v.Remote.Addr()) {
		why = UnknownSource
	} else {
		why = a.open.enter(v.Remote.Addr(), a.limits)
	}
	if why != Accepted {
		_ = c.SetLinger(0) // nothing waits for a peer that gets no answer
		_ = c.Close()
		a.finish(v, why, nil)
		return
	}
	a.wg.Go(func() {
		defer a.open.leave(v.Remote.Addr())
		a.greet(v, c)
	})
}

func (a *Acceptor) finish(v *Visitor, why Result, err error) {
	a.results[v.Door.Transport][why].Add(1)
	if why != Accepted && a.hub.Failed != nil {
		a.hub.Failed(v, why, err)
	}
}

// visit is a visitor on its way through the handshake.
type visit struct {
	*Visitor
	refused, distrusted bool
}

type visitKey struct{}

// greet does the handshake.
func (a *Acceptor) greet(v *Visitor, c *net.TCPConn) {
	if v.Door.Transport == realm.TCP {
		conn, err := stream.Plain(c)
		if err != nil {
			_ = c.Close()
			a.finish(v, Gone, err)
			return
		}
		a.finish(v, Accepted, nil)
		a.hub.Established(v, conn)
		return
	}
	vi := &visit{Visitor: v}
	ctx, cancel := context.WithTimeout(context.WithValue(a.ctx, visitKey{}, vi), a.limits.Handshake)
	defer cancel()
	conn, err := stream.Server(ctx, c, a.secure)
	if err != nil {
		a.finish(v, vi.why(err), err)
		part(c)
		return
	}
	a.finish(v, Accepted, nil)
	a.hub.Established(v, conn)
}

// part closes so that the peer gets to read the alert: closing with octets
// unread would have the system throw it away.
func part(c *net.TCPConn) {
	_ = c.CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(farewell))
	_, _ = io.CopyN(io.Discard, c, unread)
	_ = c.Close()
}

// config asks the hub, and sees to what all have in common.
func (a *Acceptor) config(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	vi := hello.Context().Value(visitKey{}).(*visit)
	conf, err := a.hub.Config(vi.Visitor, hello)
	if err != nil {
		vi.refused = true
		stream.Deny(hello)
		return nil, err
	}
	conf = conf.Clone()
	stream.Harden(conf)
	conf.ClientAuth = max(conf.ClientAuth, tls.RequireAnyClientCert)
	if verify := conf.VerifyConnection; verify != nil {
		conf.VerifyConnection = func(s tls.ConnectionState) error {
			err := verify(s)
			vi.distrusted = err != nil
			return err
		}
	}
	return conf, nil
}

// why sorts the error of a handshake.
func (vi *visit) why(err error) Result {
	var cert *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var op *net.OpError
	switch {
	case vi.refused:
		return Unwelcome
	case vi.distrusted, errors.As(err, &cert):
		return Distrusted
	case errors.Is(err, stream.ErrNoCertificate), err.Error() == noCertificate:
		return NoCertificate
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return TimedOut
	case errors.As(err, &header):
		return NotTLS
	}
	if _, alerted := stream.Alert(err); alerted {
		return Alerted
	}
	if code, sent := stream.Sent(err); sent && slices.Contains(disagreements, code) {
		return NoAgreement
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) && op.Op != "local error" {
		return Gone
	}
	return Broken
}

// halfOpen counts the handshakes.
type halfOpen struct {
	mu   sync.Mutex // guards all below
	all  int
	each map[netip.Prefix]int
}

// network is what one party can easily have many addresses of.
func network(a netip.Addr) netip.Prefix {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

func (h *halfOpen) enter(a netip.Addr, l Limits) Result {
	p := network(a)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.all >= l.HalfOpen:
		return TooMany
	case h.each[p] >= l.HalfOpenEach:
		return TooManyThere
	}
	h.all++
	h.each[p]++
	return Accepted
}

func (h *halfOpen) leave(a netip.Addr) {
	p := network(a)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all--
	if h.each[p]--; h.each[p] == 0 {
		delete(h.each, p)
	}
}

func (h *halfOpen) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
