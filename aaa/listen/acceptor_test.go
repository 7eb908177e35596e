package listen

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/realm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var credential = newCredential()

func newCredential() tls.Certificate {
	self, err := issue.NewAuthority(issue.Profile{
		Names: issue.Names{Common: "peer"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	})
	if err != nil {
		panic(err)
	}
	return self.TLS()
}

// house is a hub that keeps what it is given.
type house struct {
	t    *testing.T
	a    *Acceptor
	in   chan guest
	out  chan failure
	conf *tls.Config
}

type guest struct {
	v *Visitor
	c *stream.Conn
}

type failure struct {
	v   *Visitor
	why Result
	err error
}

// open opens a door for each transport; change may alter the hub before.
func open(t *testing.T, limits Limits, change func(*house, *Hub)) *house {
	h := &house{t: t, in: make(chan guest, 100), out: make(chan failure, 100)}
	h.conf = &tls.Config{Certificates: []tls.Certificate{credential}}
	hub := Hub{
		Allow:       func(Address, netip.Addr) bool { return true },
		Config:      func(*Visitor, *tls.ClientHelloInfo) (*tls.Config, error) { return h.conf, nil },
		Established: func(v *Visitor, c *stream.Conn) { h.in <- guest{v, c} },
		Failed:      func(v *Visitor, why Result, err error) { h.out <- failure{v, why, err} },
	}
	if change != nil {
		change(h, &hub)
	}
	local := netip.MustParseAddrPort("127.0.0.1:0")
	var err error
	h.a, err = Accept([]Address{
		{Service: Every, Addr: local, Transport: realm.TCP},
		{Service: Every, Addr: local, Transport: realm.TLS},
		{Service: Every, Addr: local, Transport: realm.DTLS},
	}, hub, limits)
	require.NoError(t, err)
	t.Cleanup(func() {
		h.a.Close()
		close(h.in)
		for g := range h.in {
			g.c.Close()
		}
	})
	return h
}

func (h *house) dial(transport realm.Transport) net.Conn {
	h.t.Helper()
	for _, a := range h.a.Addrs() {
		if a.Transport == transport {
			c, err := net.Dial("tcp", a.Addr.String())
			require.NoError(h.t, err)
			require.NoError(h.t, c.SetDeadline(time.Now().Add(patience)))
			h.t.Cleanup(func() { _ = c.Close() })
			return c
		}
	}
	h.t.Fatal("no such door")
	return nil
}

// knock opens a connection that may be closed again before it stands.
func (h *house) knock(transport realm.Transport) {
	h.t.Helper()
	for _, a := range h.a.Addrs() {
		if a.Transport != transport {
			continue
		}
		if c, err := net.Dial("tcp", a.Addr.String()); err == nil {
			h.t.Cleanup(func() { _ = c.Close() })
		}
	}
}

// shake gives what reading after the handshake says: of TLS 1.3 a client does
// not know before.
func (h *house) shake(conf *tls.Config) (*tls.Conn, error) {
	h.t.Helper()
	c := tls.Client(h.dial(realm.TLS), conf)
	if err := c.Handshake(); err != nil {
		return c, err
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, err := c.Read(make([]byte, 1))
	return c, err
}

func (h *house) failed() failure {
	h.t.Helper()
	select {
	case f := <-h.out:
		return f
	case <-time.After(patience):
		h.t.Fatal("nobody failed")
		return failure{}
	}
}

func (h *house) guest() guest {
	h.t.Helper()
	select {
	case g := <-h.in:
		h.t.Cleanup(g.c.Close)
		return g
	case <-time.After(patience):
		h.t.Fatal("nobody came")
		return guest{}
	}
}

func client() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{credential}, InsecureSkipVerify: true}
}

func TestAccepts(t *testing.T) {
	h := open(t, Limits{}, func(_ *house, hub *Hub) {
		inner := hub.Config
		hub.Config = func(v *Visitor, hello *tls.ClientHelloInfo) (*tls.Config, error) {
			v.Verdict = hello.ServerName
			return inner(v, hello)
		}
	})
	c := h.dial(realm.TCP)
	g := h.guest()
	assert.Equal(t, c.LocalAddr().String(), g.v.Remote.String())
	assert.Equal(t, c.RemoteAddr().String(), g.v.Local.String())
	assert.Equal(t, h.a.Addrs()[0], g.v.Door)
	assert.Nil(t, g.c.TLS())

	conf := client()
	conf.ServerName = "hub.example"
	s := tls.Client(h.dial(realm.TLS), conf)
	require.NoError(t, s.Handshake())
	g = h.guest()
	assert.Equal(t, 1, g.v.Index)
	assert.Equal(t, "hub.example", g.v.Verdict)
	assert.Len(t, g.c.TLS().PeerCertificates, 1)
	assert.EqualValues(t, 1, h.a.Count(realm.TCP, Accepted))
	assert.EqualValues(t, 1, h.a.Count(realm.TLS, Accepted))
}

// C60: certificates of both sides, versions and ciphers are of the first handshake,
// and each way to fail has its name, for us and for the peer.
func TestC60Handshakes(t *testing.T) {
	wrong := errors.New("not one of ours")
	for name, c := range map[string]struct {
		change func(*house, *Hub)
		client func(*tls.Config)
		want   Result
		alert  uint8
	}{
		"no certificate, 1.3": {client: func(c *tls.Config) { c.Certificates = nil }, want: NoCertificate, alert: 116},
		"no certificate, 1.2": {client: func(c *tls.Config) { c.Certificates, c.MaxVersion = nil, tls.VersionTLS12 },
			want: NoCertificate, alert: 40},
		"TLS 1.1": {client: func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
			want: NoAgreement, alert: 70},
		"CBC": {client: func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, want: NoAgreement, alert: 40},
		"another protocol": {
			change: func(h *house, _ *Hub) { h.conf.NextProtos = []string{"radius/1.0"} },
			client: func(c *tls.Config) { c.NextProtos = []string{"h2"} },
			want:   NoAgreement, alert: 120},
		"distrusted": {
			change: func(h *house, _ *Hub) { h.conf.VerifyConnection = func(tls.ConnectionState) error { return wrong } },
			want:   Distrusted, alert: 42},
		"distrusted, 1.2": {
			change: func(h *house, _ *Hub) { h.conf.VerifyConnection = func(tls.ConnectionState) error { return wrong } },
			client: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
			want:   Distrusted, alert: 42},
		"of another authority": {
			change: func(h *house, _ *Hub) {
				h.conf.ClientAuth, h.conf.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
			},
			want: Distrusted, alert: 48},
		"unwelcome": {
			change: func(_ *house, hub *Hub) {
				hub.Config = func(*Visitor, *tls.ClientHelloInfo) (*tls.Config, error) { return nil, wrong }
			},
			want: Unwelcome, alert: 49},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, Limits{}, c.change)
			conf := client()
			if c.client != nil {
				c.client(conf)
			}
			_, err := h.shake(conf)
			code, ok := stream.Alert(err)
			assert.True(t, ok, "%v", err)
			assert.Equal(t, c.alert, code)
			f := h.failed()
			assert.Equal(t, c.want, f.why, "%v", f.err)
			assert.EqualValues(t, 1, h.a.Count(realm.TLS, c.want))
			assert.Empty(t, h.in)
		})
	}
}

func TestNotTLS(t *testing.T) {
	h := open(t, Limits{}, nil)
	c := h.dial(realm.TLS)
	_, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	require.NoError(t, err)
	assert.Equal(t, NotTLS, h.failed().why)
	_, err = io.ReadAll(c)
	assert.NoError(t, err, "it is closed")
}

func TestPeerRefusesOurCertificate(t *testing.T) {
	h := open(t, Limits{}, nil)
	conf := client()
	conf.InsecureSkipVerify, conf.ServerName = false, "hub.example"
	_, err := h.shake(conf)
	require.Error(t, err)
	assert.Equal(t, Alerted, h.failed().why)
}

func TestPeerGoes(t *testing.T) {
	h := open(t, Limits{}, nil)
	require.NoError(t, h.dial(realm.TLS).Close())
	assert.Equal(t, Gone, h.failed().why)
}

// C72: who is known at no address gets no handshake.
func TestC72UnknownSource(t *testing.T) {
	h := open(t, Limits{}, func(_ *house, hub *Hub) {
		hub.Allow = func(Address, netip.Addr) bool { return false }
	})
	for _, transport := range []realm.Transport{realm.TCP, realm.TLS} {
		h.knock(transport)
		f := h.failed()
		assert.Equal(t, UnknownSource, f.why)
		assert.True(t, f.why.Refused())
		assert.EqualValues(t, 1, h.a.Count(transport, UnknownSource))
	}
}

// C72: half-open connections are bounded for one network and in all, and in time;
// then their places are free again.
func TestC72HalfOpen(t *testing.T) {
	for name, c := range map[string]struct {
		limits Limits
		want   Result
	}{
		"each":   {Limits{HalfOpenEach: 3, Handshake: 300 * time.Millisecond}, TooManyThere},
		"in all": {Limits{HalfOpen: 3, Handshake: 300 * time.Millisecond}, TooMany},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, c.limits, nil)
			for range 4 {
				h.knock(realm.TLS)
			}
			seen := map[Result]int{}
			for range 4 {
				seen[h.failed().why]++
			}
			assert.Equal(t, map[Result]int{c.want: 1, TimedOut: 3}, seen)
			assert.Eventually(t, func() bool { return h.a.HalfOpen() == 0 }, patience, time.Millisecond)
			h.a.open.mu.Lock()
			assert.Empty(t, h.a.open.each)
			h.a.open.mu.Unlock()
			s := tls.Client(h.dial(realm.TLS), client())
			require.NoError(t, s.Handshake())
			h.guest()
		})
	}
}

// Close ends handshakes that hang.
func TestCloseEndsHandshakes(t *testing.T) {
	h := open(t, Limits{Handshake: time.Hour}, nil)
	c := h.dial(realm.TLS)
	require.Eventually(t, func() bool { return h.a.HalfOpen() == 1 }, patience, time.Millisecond)
	h.a.Close()
	assert.Zero(t, h.a.HalfOpen())
	_, err := c.Read(make([]byte, 1))
	assert.Error(t, err)
}

func TestDoorThatCannotBeOpened(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	busy := taken.Addr().(*net.TCPAddr).AddrPort()
	_, err = Accept([]Address{{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Transport: realm.TCP},
		{Service: Every, Addr: busy, Transport: realm.TLS}}, Hub{}, Limits{})
	require.ErrorContains(t, err, "for every over tls")
	_, err = Accept([]Address{{Addr: busy, Transport: realm.UDP}}, Hub{}, Limits{})
	require.ErrorContains(t, err, "no connections over udp")
}

func TestResultNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range NumResults {
		assert.NotEmpty(t, r.String())
		assert.False(t, seen[r.String()], r)
		seen[r.String()] = true
	}
}
