package agent

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/realm"
)

var (
	errNobody  = errors.New("no peer may come from there")
	errUnarmed = errors.New("there is no certificate of ours for it")
)

// reception is where connections of peers come in, before they are the loop's.
type reception struct {
	acceptor *listen.Acceptor // nil: nothing is listened to
	noted    [listen.NumResults]atomic.Int64
}

// open opens the doors.
func (a *Agent) open() (err error) {
	if len(a.conf.Listen) == 0 {
		return nil
	}
	a.reception.acceptor, err = listen.Accept(a.conf.Listen,
		listen.Hub{Allow: a.allows, Config: a.greeting, Established: a.established, Failed: a.turnedAway},
		listen.Limits{HalfOpen: a.conf.HalfOpen, HalfOpenEach: a.conf.PerSource, Handshake: a.conf.Handshake})
	if err == nil {
		a.doorSeries()
	}
	return err
}

// Addrs are the doors, with the ports that the system chose.
func (a *Agent) Addrs() []listen.Address {
	if a.reception.acceptor == nil {
		return nil
	}
	return a.reception.acceptor.Addrs()
}

// candidates are the peers that may come from an address by a transport, in the order
// of the files.
func (a *Agent) candidates(by realm.Transport, from netip.Addr) (all []*realm.Peer) {
	set := a.snap.Load().set
	for i := range set.Peers {
		p := &set.Peers[i]
		if a.mayCome(p, by, from) {
			all = append(all, p)
		}
	}
	return all
}

func (a *Agent) mayCome(p *realm.Peer, by realm.Transport, from netip.Addr) bool {
	return !p.Disabled && p.Transport == by && a.mayComeFrom(p, from)
}

// allows reports whether anybody may come from an address at all.
func (a *Agent) allows(door listen.Address, from netip.Addr) bool {
	set := a.snap.Load().set
	for i := range set.Peers {
		if a.mayCome(&set.Peers[i], door.Transport, from) {
			return true
		}
	}
	return false
}

// greeting says how a handshake goes on once the peer has said hello. Our certificate
// is the one whose name it asks for, else that of the first peer that it may be.
// Sessions are not resumed: connections stay, and each is judged by its whole chain.
func (a *Agent) greeting(v *listen.Visitor, hello *tls.ClientHelloInfo) (*tls.Config, error) {
	all := a.candidates(v.Door.Transport, v.Remote.Addr())
	if len(all) == 0 {
		return nil, errNobody
	}
	var own *realm.Security
	version := uint16(tls.VersionTLS13)
	for _, p := range all {
		if p.Security == nil {
			continue
		}
		version = min(version, p.Security.MinVersion)
		switch c := p.Security.Credential; {
		case c == nil:
		case own == nil, hello.ServerName != "" && own.Credential.TLS.Leaf.VerifyHostname(hello.ServerName) != nil &&
			c.TLS.Leaf.VerifyHostname(hello.ServerName) == nil:
			own = p.Security
		}
	}
	if own == nil {
		return nil, errUnarmed
	}
	return &tls.Config{
		MinVersion: version, Certificates: []tls.Certificate{own.Credential.TLS}, ClientAuth: tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			taken, err := recognise(all, &cs)
			v.Verdict = taken
			return err
		},
	}, nil
}

// recognise judges a certificate by each trust base of those that it may be of. Which
// peer it is, its capabilities say: it must have the certificate of one at least.
func recognise(all []*realm.Peer, cs *tls.ConnectionState) (taken []vouched, err error) {
	type verdict struct {
		id  *pki.Identity
		why pki.Cause
	}
	verdicts := make(map[*realm.Security]verdict)
	first := pki.None
	for _, p := range all {
		if p.Security == nil {
			continue
		}
		v, known := verdicts[p.Security]
		if !known {
			v.id, v.why = p.Security.Trust.VerifyConnection(cs, pki.Client, time.Now())
			verdicts[p.Security] = v
		}
		switch {
		case v.why == pki.None && holderOf(p).Accepts(v.id):
			if one := (vouched{p.Security.Name, v.id, cs.Version}); len(taken) == 0 || taken[len(taken)-1] != one {
				taken = append(taken, one)
			}
		case v.why == pki.None:
			first = pki.WrongName
		case first == pki.None:
			first = v.why
		}
	}
	if len(taken) == 0 {
		return nil, first.Err()
	}
	return taken, nil
}

// established gives a connection to the loop.
func (a *Agent) established(v *listen.Visitor, c *stream.Conn) {
	l := &link{transport: v.Door.Transport}
	l.vouched, _ = v.Verdict.([]vouched)
	c.Diameter()
	l.conn = c
	post(a.loop, &a.loop.mail.links, l)
}

// turnedAway notes a visitor that was not let in, one a second for each reason. The
// Acceptor counts them.
func (a *Agent) turnedAway(v *listen.Visitor, why listen.Result, err error) {
	at, now := &a.reception.noted[why], a.monotonic()
	if last := at.Load(); last != 0 && now-last < noteEvery || !at.CompareAndSwap(last, now) {
		return
	}
	fields := []zap.Field{zap.Stringer("transport", v.Door.Transport), zap.Stringer("from", v.Remote), zap.Stringer("reason", why)}
	if err != nil {
		fields = append(fields, zap.String("error", quoted(err.Error())))
	}
	a.log.Info("diameter connection refused", fields...)
}

// Inside gives the Agent the connection of the gateway to RADIUS: a peer without
// capabilities and watchdog that has our identity. It is safe for concurrent use.
func (a *Agent) Inside(c Conn) {
	post(a.loop, &a.loop.mail.links, &link{conn: c, inside: true, transport: realm.Diameter})
}

// shut ends what is beside the loop, after it.
func (a *Agent) shut() {
	if a.reception.acceptor != nil {
		a.reception.acceptor.Close()
	}
	a.calls.stop()
	a.calls.running.Wait()
	a.loop.closeMail()
	a.loop.poller.Close()
}

// closeMail closes connections that came when the loop had ended.
func (lp *loop) closeMail() {
	m := &lp.mail
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.links.All() {
		l.Close()
	}
}
