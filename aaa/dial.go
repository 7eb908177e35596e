package aaa

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/pkg/stream/dtls"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

const (
	// dialTime is how long connecting and the handshake may take.
	dialTime = 10 * time.Second
	// mostDials bounds the attempts of all shards at one time. What is beyond it
	// comes a little later.
	mostDials = 256
	// The same of homes that were found: what DNS says of them anybody can have
	// written, and it must not keep others from their connections.
	foundTime  = 3 * time.Second
	foundDials = 128
)

// dialling is the attempts to connect to homes: each in a goroutine, as names of
// authorities and slow peers must not stop a shard.
type dialling struct {
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	kinds   [2]dials // of the files' homes, and of those that were found
	// results are those of handshakes.
	results [realm.Diameter + 1][listen.NumResults]atomic.Uint64
}

// dials is what attempts share.
type dials struct {
	free chan struct{}
	most time.Duration // that one may take
}

func newDialling() *dialling {
	d := &dialling{kinds: [2]dials{{make(chan struct{}, mostDials), dialTime}, {make(chan struct{}, foundDials), foundTime}}}
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d
}

// undialled is an attempt that failed.
type undialled struct {
	trunk  *trunk
	serial uint32
	why    home.Cause
	said   string
}

// dial begins an attempt; false: there are too many.
func (h *Hub) dial(s *Shard, t *trunk, serial uint32) bool {
	d, ctr := h.dialling, s.homeCounters(t.home.Index)
	if ctr == nil || ctr.conns == nil {
		return false // no configuration that is in use has it
	}
	hm, kind := t.home, t.kind
	share := &d.kinds[0]
	if hm.Found() {
		share = &d.kinds[1]
	}
	select {
	case share.free <- struct{}{}:
	default:
		return false
	}
	d.running.Go(func() {
		defer func() { <-share.free }()
		ctx, cancel := context.WithTimeout(d.ctx, share.most)
		defer cancel()
		c, err := h.connect(ctx, hm, kind)
		if err != nil {
			why, said := unconnected(err)
			post(s, &s.mail.undialled, undialled{t, serial, why, said})
			return
		}
		c.shard, c.ctr, c.mark = s, ctr.conns, h.markOf(c, true)
		c.link = &link{shard: s, trunk: t, conn: c, serial: serial, home: hm.Index}
		h.calls.add(c.mark)
		s.enterLater(c)
	})
	return true
}

// connect makes a connection to a home.
func (h *Hub) connect(ctx context.Context, hm *home.Home, kind home.Kind) (*conn, error) {
	if hm.Spec.Transport == realm.Diameter {
		return h.connectWithin(hm)
	}
	to := hm.Addr[kind].AddrPort()
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	from := h.source(to.Addr().Is4())
	d, network := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from)}, "tcp"
	if hm.Spec.Transport == realm.DTLS {
		d, network = net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(from)}, "udp"
	}
	raw, err := d.DialContext(ctx, network, to.String())
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	c := &conn{transport: hm.Spec.Transport, from: udp.AddrFrom(to), peer: hm.Spec.Name, secret: hm.Secret}
	if err := h.shake(ctx, c, hm, raw); err != nil {
		_ = raw.Close()
		var bad insecure
		if errors.As(err, &bad) {
			h.dialling.results[c.transport][bad.result].Add(1)
		}
		return nil, err
	}
	h.dialling.results[c.transport][listen.Accepted].Add(1)
	return c, nil
}

// callSeries exports how handshakes with homes went. A home that took no
// connection has had none: see roamgate_home_unreached_total.
func (h *Hub) callSeries(by realm.Transport) {
	for r := range listen.NumResults {
		if !r.Refused() && r != listen.NoCertificate { // which are those of clients
			n := &h.dialling.results[by][r]
			h.handshakes(outgoing, by, r, func() float64 { return float64(n.Load()) })
		}
	}
}

// insecure is a handshake that failed.
type insecure struct {
	error
	result listen.Result
}

// Unwrap gives why.
func (i insecure) Unwrap() error { return i.error }

// shake does the handshake where the home has one.
func (h *Hub) shake(ctx context.Context, c *conn, hm *home.Home, raw net.Conn) (err error) {
	tcp, _ := raw.(*net.TCPConn)
	if hm.Spec.Transport == realm.TCP {
		if c.Conn, err = stream.Plain(tcp); err != nil {
			return fmt.Errorf("taking the connection over: %w", err)
		}
		return nil
	}
	if hm.TLS == nil {
		return insecure{errors.New("nothing says whose certificate is believed"), listen.Unwelcome}
	}
	conf, distrusted := hm.TLS.Clone(), false
	conf.VerifyConnection = func(cs tls.ConnectionState) (err error) {
		c.identity, err = hm.Verify(&cs, time.Now())
		h.refusals.note(outgoing, err)
		distrusted = err != nil
		return err
	}
	if tcp != nil {
		c.Conn, err = stream.Client(ctx, tcp, conf)
	} else {
		c.Conn, err = dtls.Client(ctx, raw.(*net.UDPConn), conf)
	}
	switch {
	case distrusted:
		return insecure{err, listen.Distrusted}
	case err != nil:
		return insecure{err, listen.ResultOf(err)}
	}
	if c.clear, err = hm.Version(c.TLS()); err != nil {
		return insecure{err, listen.NoAgreement}
	}
	if c.clear {
		c.secret = radius.Clear
	}
	return nil
}

// unconnected gives the cause of a failed attempt and its words for people.
func unconnected(err error) (home.Cause, string) {
	var refused pki.Refused
	var bad insecure
	switch {
	case errors.As(err, &refused):
		return home.Insecure, refused.Error()
	case errors.As(err, &bad) && errors.Is(err, context.DeadlineExceeded):
		return home.Insecure, "the handshake took too long"
	case errors.As(err, &bad):
		return home.Insecure, plainWords(bad.Error())
	case errors.Is(err, syscall.ECONNREFUSED):
		return home.Refused, "connection refused"
	case errors.Is(err, context.DeadlineExceeded):
		return home.Unreachable, "no answer"
	}
	return home.Unreachable, plainWords(err.Error())
}

// plainWords keeps what a peer may have put into an error from being more than
// a short line.
func plainWords(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 200)]
}
