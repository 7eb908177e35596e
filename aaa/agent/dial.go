package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/aaa/peer"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/realm"
)

// mostDials bounds the attempts at one time. Others wait for a place, as long as an
// attempt may take.
const mostDials = 1024

// dialling is the attempts to connect to peers: each in a goroutine, as names and slow
// peers must not stop the loop.
type dialling struct {
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	free    chan struct{}
	// begin makes a connection beside the loop, which is told; tests have their own.
	begin func(ln *lane, serial uint32, p *realm.Peer)
}

func newDialling(a *Agent) *dialling {
	d := &dialling{free: make(chan struct{}, mostDials), begin: a.dial}
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d
}

// undialled is an attempt that failed.
type undialled struct {
	lane   *lane
	serial uint32
	text   string
}

// connect begins an attempt.
func (lp *loop) connect(ln *lane) {
	ln.dialed++
	lp.stats.Add(ln.node.ctr.attempts, 1)
	lp.agent.calls.begin(ln, ln.dialed, ln.node.peer)
}

// dial makes a connection in a goroutine of its own.
func (a *Agent) dial(ln *lane, serial uint32, p *realm.Peer) {
	d, lp := a.calls, a.loop
	d.running.Go(func() {
		ctx, cancel := context.WithTimeout(d.ctx, a.conf.Handshake)
		defer cancel()
		select {
		case d.free <- struct{}{}:
			defer func() { <-d.free }()
		case <-ctx.Done():
			post(lp, &lp.mail.failed, undialled{ln, serial, "too many attempts at a time"})
			return
		}
		l, err := a.reach(ctx, p)
		if err != nil {
			post(lp, &lp.mail.failed, undialled{ln, serial, plainWords(err)})
			return
		}
		lp.called(ln, serial, l)
	})
}

// called gives the loop a connection that we have made. It is safe for concurrent use.
func (lp *loop) called(ln *lane, serial uint32, l *link) {
	l.ours, l.lane, l.dialed = true, ln, serial
	post(lp, &lp.mail.links, l)
}

// dialled is that our connection stands.
func (lp *loop) dialled(l *link) {
	ln := l.lane
	if ln.dialed != l.dialed || ln.i != nil {
		l.lane = nil
		lp.closeLink(l, closedElection)
		return
	}
	ln.i = l
	l.belongs(ln.node)
	lp.event(ln, peer.ConnAck, l)
}

func (lp *loop) undialled(u undialled) {
	if u.lane.dialed != u.serial {
		return
	}
	u.lane.node.lastErr = u.text
	lp.noteUndialled(u)
	lp.event(u.lane, peer.ConnNack, nil)
}

var (
	errNoAddress = errors.New("its name has no address")
	errHolder    = errors.New("the certificate is valid, but it has none of the names that this peer must have")
	errUnsecured = errors.New("nothing says whose certificate is believed")
)

// reach connects to a peer, trying its addresses in their order.
func (a *Agent) reach(ctx context.Context, p *realm.Peer) (l *link, err error) {
	addrs := p.Addresses
	if p.Host != "" {
		known := a.names.Answer(p.Host)
		addrs = nil
		for _, at := range known.Addrs {
			addrs = append(addrs, netip.AddrPortFrom(at, p.Port))
		}
		if len(addrs) == 0 && known.Why != "" {
			return nil, fmt.Errorf("its name has no address: %s", known.Why)
		}
	}
	err = errNoAddress
	for i, to := range addrs {
		// What is left is shared among the addresses that are left.
		part, cancel := ctx, context.CancelFunc(func() {})
		if end, ok := ctx.Deadline(); ok && i+1 < len(addrs) {
			part, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(len(addrs)-i))
		}
		l, err = a.reachAt(part, p, to)
		cancel()
		if err == nil {
			return l, nil
		}
	}
	return nil, err
}

func (a *Agent) reachAt(ctx context.Context, p *realm.Peer, to netip.AddrPort) (*link, error) {
	l := &link{transport: p.Transport}
	if p.Transport == realm.SCTP {
		raw, err := stream.DialSCTP(ctx, to)
		if err != nil {
			return nil, err
		}
		if l.conn, err = stream.SCTP(raw); err != nil {
			_ = raw.Close()
			return nil, err
		}
		return l, nil
	}
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	tcp := raw.(*net.TCPConn)
	if p.Transport == realm.TCP {
		c, err := stream.Plain(tcp)
		if err != nil {
			_ = raw.Close()
			return nil, err
		}
		l.conn = diameterConn(c)
		return l, nil
	}
	c, err := a.secure(ctx, l, p, tcp)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	l.conn = diameterConn(c)
	return l, nil
}

// secure does the handshake with a peer that we have connected to.
func (a *Agent) secure(ctx context.Context, l *link, p *realm.Peer, tcp *net.TCPConn) (*stream.Conn, error) {
	sec := p.Security
	if sec == nil || sec.Trust == nil {
		return nil, errUnsecured
	}
	conf := &tls.Config{
		MinVersion: max(tls.VersionTLS12, sec.MinVersion), ServerName: p.Identity,
		// VerifyConnection judges the certificate, also where a session is resumed.
		InsecureSkipVerify: true, //nolint:gosec // see VerifyConnection
		VerifyConnection: func(cs tls.ConnectionState) error {
			id, why := sec.Trust.VerifyConnection(&cs, pki.Server, time.Now())
			if err := why.Err(); err != nil {
				return err
			}
			if !holderOf(p).Accepts(id) {
				return errHolder
			}
			l.vouched = []vouched{{sec.Name, id, cs.Version}}
			l.identity = id
			return nil
		},
	}
	if sec.Credential != nil {
		conf.Certificates = []tls.Certificate{sec.Credential.TLS}
	}
	c, err := stream.Client(ctx, tcp, conf)
	result := listen.Accepted
	switch {
	case err == nil:
	case errors.Is(err, errHolder):
		result = listen.Distrusted
	default:
		result = listen.ResultOf(err)
	}
	a.ctr.handshakes[result].Add(1)
	return c, err
}

// diameterConn has a connection carry Diameter.
func diameterConn(c *stream.Conn) conn {
	c.Diameter()
	return c
}

// plainWords is an error as a short line; it may hold text of a peer.
func plainWords(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return quoted(err.Error())
}

// quoted keeps what a peer may have written from being more than a short line.
func quoted(s string) string {
	q := strconv.QuoteToASCII(s[:min(len(s), 200)])
	return q[1 : len(q)-1]
}
