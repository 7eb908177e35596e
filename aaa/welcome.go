package aaa

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// The names of ALPN (RFC 9765 section 3).
const (
	radius10 = "radius/1.0"
	radius11 = "radius/1.1"
)

// reception is where connections of clients come in, before they are a shard's.
type reception struct {
	acceptor *listen.Acceptor // nil: nothing is listened to
	tickets  tickets
	next     atomic.Uint32 // the shard that has the next one
	hands    atomic.Uint32 // handshakes that came to something
	collect  chan struct{} // they have left much behind
	noted    [listen.NumResults]atomic.Int64
}

// verdict is for whom a peer was taken in its handshake.
type verdict struct {
	client   *client.Client
	identity *pki.Identity
}

var (
	errNobody    = errors.New("no client may come from there")
	errUnarmed   = errors.New("there is no certificate of ours for it")
	errVersion   = errors.New("RADIUS/1.1 is asked of it, which it does not offer")
	errUndecided = errors.New("the version of RADIUS is none that its security offers")
	errTooOld    = errors.New("the version of TLS is older than its security takes")
)

// receive opens the doors for connections.
func (h *Hub) receive() (err error) {
	h.reception.collect = make(chan struct{}, 1)
	if _, err := rand.Read(h.reception.tickets.now[:]); err != nil {
		return err
	}
	var doors []listen.Address
	for _, a := range h.conf.Listen {
		if a.Transport != realm.UDP {
			doors = append(doors, a)
		}
	}
	if len(doors) == 0 {
		return nil
	}
	c := &h.conf.Connections
	h.reception.acceptor, err = listen.Accept(doors,
		listen.Hub{Allow: h.allows, Config: h.greeting, Established: h.established, Failed: h.turnedAway},
		listen.Limits{HalfOpen: c.HalfOpen, HalfOpenEach: c.PerSource, Handshake: c.Handshake})
	if err != nil {
		return err
	}
	h.handshakeSeries(h.reception.acceptor)
	return nil
}

// A handshake leaves some 70 KiB behind, and the tables of a hub are so large that
// the collector would wait for thousands of them.
const handsAtOnce = 256

// shaken counts a handshake.
func (r *reception) shaken() {
	if r.hands.Add(1)%handsAtOnce == 0 {
		select {
		case r.collect <- struct{}{}:
		default: // it is asked for already
		}
	}
}

// collectHands gives back what handshakes have left behind.
func (h *Hub) collectHands(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.reception.collect:
			runtime.GC()
		}
	}
}

// close ends what comes in; what has come in stays.
func (r *reception) close() {
	if r.acceptor != nil {
		r.acceptor.Close()
	}
}

// addrs are the doors, nil: there are none.
func (r *reception) addrs() []listen.Address {
	if r.acceptor == nil {
		return nil
	}
	return r.acceptor.Addrs()
}

// allows reports whether anybody may come from an address at all.
func (h *Hub) allows(door listen.Address, from netip.Addr) bool {
	clients := h.Snapshot().Clients
	if door.Transport == realm.TCP {
		return clients.TCP(from) != nil
	}
	return clients.Candidates(door.Transport, from) != nil
}

// greeting says how a handshake goes on once the peer has said hello. Which
// certificate of ours is shown goes by the name that it asks for, else by the
// first client that it may be, else by the files' first.
func (h *Hub) greeting(v *listen.Visitor, hello *tls.ClientHelloInfo) (*tls.Config, error) {
	snap := h.Snapshot()
	all := snap.Clients.Candidates(v.Door.Transport, v.Remote.Addr())
	if all == nil {
		return nil, errNobody
	}
	own := snap.shown(all, hello.ServerName)
	if own == nil {
		return nil, errUnarmed
	}
	versions, err := offered(own, hello)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{
		MinVersion:   oldest(all),
		Certificates: []tls.Certificate{own.Credential.TLS},
		ClientAuth:   tls.RequireAnyClientCert, ClientCAs: believed(all), NextProtos: versions,
		VerifyConnection: func(cs tls.ConnectionState) error {
			who, err := h.recognise(v, &cs)
			v.Verdict = who
			return err
		},
	}
	if slices.Contains(versions, radius11) {
		conf.MinVersion = tls.VersionTLS13
	}
	// With a session comes the version of RADIUS that it had (RFC 9765 section
	// 3.4), and no session is carried to where others are believed.
	hash := all.Hash()
	conf.SetSessionTicketKeys(h.reception.tickets.keys(time.Now(), hash[:], own.Credential.Hash[:], []byte(v.Door.Transport.String()), []byte(strings.Join(versions, " "))))
	return conf, nil
}

// recognise says who a peer is, in each handshake, also in one that resumes a
// session.
func (h *Hub) recognise(v *listen.Visitor, cs *tls.ConnectionState) (who verdict, err error) {
	var why pki.Cause
	who.client, who.identity, why = h.Snapshot().Clients.Candidates(v.Door.Transport, v.Remote.Addr()).Identify(cs, time.Now())
	switch {
	case why != pki.None:
		h.refusals.note(incoming, why.Err())
		return verdict{}, why.Err()
	case !speaks(who.client.Spec.Security, cs.NegotiatedProtocol):
		return verdict{}, errUndecided
	case outdated(who.client.Spec.Security, v.Door.Transport, cs):
		return verdict{}, errTooOld
	}
	return who, nil
}

// oldest is the oldest version of TLS that anybody who may come from there can
// have. Who it is, and which one that takes, is not known yet.
func oldest(all *client.Candidates) uint16 {
	version := uint16(tls.VersionTLS13)
	for c := range all.All() {
		version = min(version, c.Spec.Security.MinVersion)
	}
	return version
}

// outdated reports whether a security wants a newer version of TLS. Of DTLS
// there is one.
func outdated(s *realm.Security, by realm.Transport, cs *tls.ConnectionState) bool {
	return by == realm.TLS && cs != nil && cs.Version < s.MinVersion
}

// shown picks a certificate of ours.
func (s *Snapshot) shown(all *client.Candidates, asked string) (first *realm.Security) {
	for c := range all.All() {
		own := c.Spec.Security
		if own.Credential == nil {
			continue
		}
		if first == nil {
			first = own
		}
		if asked != "" && own.Credential.TLS.Leaf.VerifyHostname(asked) == nil {
			return own
		}
	}
	if first == nil {
		for _, own := range s.Set.Securities {
			if own.Credential != nil {
				return own
			}
		}
	}
	return first
}

// offered picks the version of RADIUS. A peer that knows no ALPN has 1.0; one
// that shares none with us gets all of ours, so that crypto/tls refuses it by
// the right alert (RFC 9765 section 3.2).
func offered(own *realm.Security, hello *tls.ClientHelloInfo) ([]string, error) {
	all := own.Versions
	if len(all) == 0 {
		all = []string{radius10}
	}
	if len(hello.SupportedProtos) == 0 {
		if !slices.Contains(all, radius10) {
			return nil, errVersion
		}
		return nil, nil
	}
	usable := all
	if i := slices.Index(all, radius11); i >= 0 && len(all) > 1 && !slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		usable = slices.Delete(slices.Clone(all), i, i+1)
	}
	for _, v := range usable {
		if slices.Contains(hello.SupportedProtos, v) {
			return []string{v}, nil
		}
	}
	return usable, nil
}

// speaks reports whether a security offers a version of RADIUS.
func speaks(s *realm.Security, version string) bool {
	if version == "" {
		version = radius10
	}
	return slices.Contains(s.Versions, version) || len(s.Versions) == 0 && version == radius10
}

// maxNamed bounds the authorities whose names a peer is told, from which it may
// choose among its certificates. One that is told none takes its first.
const maxNamed = 64

func believed(all *client.Candidates) *x509.CertPool {
	pool, named := x509.NewCertPool(), map[*pki.Trust]bool{}
	n := 0
	for c := range all.All() {
		t := c.Spec.Security.Trust
		if t == nil || named[t] {
			continue
		}
		named[t] = true
		for _, a := range t.Authorities {
			if n++; n > maxNamed {
				return nil
			}
			pool.AddCert(a)
		}
	}
	return pool
}

// tickets are the keys of TLS sessions. They are made anew twice a day, each of
// the one before, which is forgotten after its successor.
type tickets struct {
	mu        sync.Mutex // guards all below
	now, past [32]byte
	since     time.Time
}

// ticketsLive is how long they are the newest.
const ticketsLive = 12 * time.Hour

// keys gives those of one group of sessions, the newest first.
func (t *tickets) keys(now time.Time, group ...[]byte) [][32]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		t.since, t.past = now, t.now
	}
	for ; now.Sub(t.since) >= ticketsLive; t.since = t.since.Add(ticketsLive) {
		t.past, t.now = t.now, sha256.Sum256(t.now[:])
	}
	keys := make([][32]byte, 0, 2)
	for _, from := range [][32]byte{t.now, t.past} {
		m := hmac.New(sha256.New, from[:])
		for _, part := range group {
			m.Write(part)
			m.Write([]byte{0})
		}
		keys = append(keys, [32]byte(m.Sum(nil)))
	}
	return keys
}

// established gives a connection to a shard.
func (h *Hub) established(v *listen.Visitor, sc *stream.Conn) {
	c := &conn{Conn: sc, transport: v.Door.Transport, from: udp.AddrFrom(v.Remote), mark: markOf(sc, false)}
	snap := h.Snapshot()
	if v.Door.Transport == realm.TCP {
		c.client = snap.Clients.TCP(v.Remote.Addr())
	} else if who, ok := v.Verdict.(verdict); ok {
		c.client, c.identity = who.client, who.identity
	}
	if c.client == nil { // it was, a moment ago
		sc.Close()
		return
	}
	c.operator = operatorOf(c.identity)
	c.peer, c.ctr = c.client.Spec.Name, h.connections.statsOf(c.client.Spec.Name, incoming, c.transport)
	h.reception.shaken()
	if cs := sc.TLS(); cs != nil {
		c.clear = cs.NegotiatedProtocol == radius11
	}
	c.security, c.secret = securityName(c.client.Spec), c.client.Secret
	if c.clear {
		c.secret = radius.Clear
	}
	c.shard = h.shards[h.reception.next.Add(1)%uint32(len(h.shards))]
	c.shard.enterLater(c)
}

// turnedAway notes a visitor that was not let in, one a second for each reason.
// The Acceptor counts them.
func (h *Hub) turnedAway(v *listen.Visitor, why listen.Result, err error) {
	at, now := &h.reception.noted[why], h.monotonic()
	if last := at.Load(); last != 0 && now-last < noteEvery || !at.CompareAndSwap(last, now) {
		return
	}
	fields := []zap.Field{zap.Stringer("transport", v.Door.Transport), zap.Stringer("from", v.Remote), zap.Stringer("reason", why)}
	if err != nil {
		text := err.Error()
		fields = append(fields, zap.String("error", strconv.QuoteToASCII(text[:min(len(text), maxText)])))
	}
	h.log.Info("connection refused", fields...)
}
