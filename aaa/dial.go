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
	"syscall"
	"time"

	"github.com/roamgate/roamgate/aaa/home"
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
)

// dialling is the attempts to connect to homes: each in a goroutine, as names of
// authorities and slow peers must not stop a shard.
type dialling struct {
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	free    chan struct{}
	most    time.Duration // that one may take
}

func newDialling() *dialling {
	d := &dialling{free: make(chan struct{}, mostDials), most: dialTime}
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
	select {
	case d.free <- struct{}{}:
	default:
		return false
	}
	hm, kind := t.home, t.kind
	d.running.Go(func() {
		defer func() { <-d.free }()
		ctx, cancel := context.WithTimeout(d.ctx, d.most)
		defer cancel()
		c, err := h.connect(ctx, hm, kind)
		if err != nil {
			why, said := unconnected(err)
			post(s, &s.mail.undialled, undialled{t, serial, why, said})
			return
		}
		c.shard, c.ctr, c.mark = s, ctr.conns, markOf(c.Conn, true)
		c.link = &link{shard: s, trunk: t, conn: c, serial: serial, home: hm.Index}
		h.calls.add(c.mark)
		s.enterLater(c)
	})
	return true
}

// connect makes a connection to a home.
func (h *Hub) connect(ctx context.Context, hm *home.Home, kind home.Kind) (*conn, error) {
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
		return nil, err
	}
	return c, nil
}

// insecure is a handshake that failed.
type insecure struct{ error }

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
		return insecure{errors.New("nothing says whose certificate is believed")}
	}
	conf := hm.TLS.Clone()
	conf.VerifyConnection = func(cs tls.ConnectionState) (err error) {
		c.identity, err = hm.Verify(&cs, time.Now())
		h.refusals.note(outgoing, err)
		return err
	}
	if tcp != nil {
		c.Conn, err = stream.Client(ctx, tcp, conf)
	} else {
		c.Conn, err = dtls.Client(ctx, raw.(*net.UDPConn), conf)
	}
	if err != nil {
		return insecure{err}
	}
	state := c.TLS()
	if c.clear, err = hm.Version(state); err != nil {
		return insecure{err}
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
