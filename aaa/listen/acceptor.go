package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/pkg/stream/dtls"
	"github.com/roamgate/roamgate/realm"
)

const (
	shortPause = 5 * time.Millisecond // after an error of accept
	longPause  = time.Second
	farewell   = 500 * time.Millisecond // for the peer to read an alert
	unread     = 64 << 10
)

// keepAlive finds out within half a minute that a peer is gone that says so no
// more.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// Acceptor has a goroutine for each door, and one for each handshake. Who is
// let in is the hub's.
type Acceptor struct {
	hub     Hub
	limits  Limits
	doors   []door
	secure  *tls.Config // the keys of session tickets are in it
	ctx     context.Context
	stop    context.CancelFunc
	wg      sync.WaitGroup
	open    halfOpen
	results [numTransports][NumResults]atomic.Uint64
	pauses  atomic.Uint64
}

// door is one address. Either of its two sockets is there.
type door struct {
	Address
	tcp  net.Listener // or of SCTP
	dtls *dtls.Door
}

func (d *door) close() {
	if d.tcp != nil {
		_ = d.tcp.Close()
	}
	if d.dtls != nil {
		_ = d.dtls.Close()
	}
}

// Accept opens every address. Nobody else may share it.
func Accept(addrs []Address, hub Hub, limits Limits) (*Acceptor, error) {
	a := &Acceptor{hub: hub, limits: limits.complete()}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.open.each = make(map[netip.Prefix]int)
	a.secure = &tls.Config{GetConfigForClient: a.config}
	for _, at := range addrs {
		d, err := a.listen(at)
		if err != nil {
			a.Close()
			return nil, fmt.Errorf("listening on %s for %s over %s: %w", at.Addr, at.Service, at.Transport, err)
		}
		a.doors = append(a.doors, d)
	}
	for i := range a.doors {
		if d := &a.doors[i]; d.dtls != nil {
			a.wg.Go(func() { d.dtls.Serve(a.asked(d), a.met(i)) })
		} else {
			a.wg.Go(func() { a.accept(i) })
		}
	}
	return a, nil
}

func (a *Acceptor) listen(at Address) (d door, err error) {
	network := "tcp6"
	if at.Addr.Addr().Is4() {
		network = "tcp4"
	}
	var bound netip.AddrPort
	switch at.Transport {
	case realm.TCP, realm.TLS:
		lc := net.ListenConfig{KeepAliveConfig: keepAlive}
		if d.tcp, err = lc.Listen(a.ctx, network, at.Addr.String()); err == nil {
			bound = addrPort(d.tcp.Addr())
		}
	case realm.SCTP:
		if d.tcp, err = stream.ListenSCTP(at.Addr); err == nil {
			bound = addrPort(d.tcp.Addr())
		}
	case realm.DTLS:
		if d.dtls, err = dtls.Listen(at.Addr, a.limits.Peers); err == nil {
			bound = d.dtls.Addr()
		}
	default:
		err = fmt.Errorf("no connections over %s", at.Transport)
	}
	at.Addr = netip.AddrPortFrom(at.Addr.Addr(), bound.Port())
	d.Address = at
	return d, err
}

// Addrs are the doors, with the ports that the system chose.
func (a *Acceptor) Addrs() (addrs []Address) {
	for i := range a.doors {
		addrs = append(addrs, a.doors[i].Address)
	}
	return addrs
}

// Count says how many visitors of a transport had a result.
func (a *Acceptor) Count(t realm.Transport, r Result) uint64 { return a.results[t][r].Load() }

// HalfOpen is how many handshakes run.
func (a *Acceptor) HalfOpen() int { return a.open.count() }

// Pauses counts how often accepting had to wait, as it does where there are no
// descriptors left.
func (a *Acceptor) Pauses() uint64 { return a.pauses.Load() }

// Close closes the doors, ends the handshakes and waits for all goroutines.
// Connections that were handed over stay, but for those of DTLS, which have the
// socket of their door.
func (a *Acceptor) Close() {
	a.stop()
	for i := range a.doors {
		a.doors[i].close()
	}
	a.wg.Wait()
}

// accept ends when its door is closed.
func (a *Acceptor) accept(i int) {
	pause := shortPause
	for {
		c, err := a.doors[i].tcp.Accept()
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
	v := &Visitor{Door: a.doors[i].Address, Index: i, Remote: addrPort(c.RemoteAddr()), Local: addrPort(c.LocalAddr())}
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

// greet does the handshake.
func (a *Acceptor) greet(v *Visitor, c *net.TCPConn) {
	if by := v.Door.Transport; by == realm.TCP || by == realm.SCTP {
		conn, err := stream.Plain(c)
		if by == realm.SCTP {
			conn, err = stream.SCTP(c)
		}
		if err != nil {
			_ = c.Close()
			a.finish(v, Gone, err)
			return
		}
		a.finish(v, Accepted, nil)
		a.hub.Established(v, conn)
		return
	}
	in := a.shake(v, func(ctx context.Context, vi *visit) (*stream.Conn, error) {
		return stream.Server(context.WithValue(ctx, visitKey{}, vi), c, a.secure)
	})
	if !in {
		part(c)
	}
}

// shake does a handshake by f and hands the connection over.
func (a *Acceptor) shake(v *Visitor, f func(context.Context, *visit) (*stream.Conn, error)) bool {
	vi := &visit{Visitor: v}
	ctx, cancel := context.WithTimeout(a.ctx, a.limits.Handshake)
	defer cancel()
	conn, err := f(ctx, vi)
	if err != nil {
		a.finish(v, vi.why(err), err)
		return false
	}
	a.finish(v, Accepted, nil)
	a.hub.Established(v, conn)
	return true
}

// part closes so that the peer gets to read the alert: closing with octets
// unread would have the system throw it away.
func part(c *net.TCPConn) {
	_ = c.CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(farewell))
	_, _ = io.CopyN(io.Discard, c, unread)
	_ = c.Close()
}

// config is for crypto/tls.
func (a *Acceptor) config(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	return a.configure(hello.Context().Value(visitKey{}).(*visit), hello)
}

// configure asks the hub, and sees to what all have in common.
func (a *Acceptor) configure(vi *visit, hello *tls.ClientHelloInfo) (*tls.Config, error) {
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

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
