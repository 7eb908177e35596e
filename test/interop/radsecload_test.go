package interop

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/test/peer"
)

// world is a hub with two homes over TLS, each for a realm of its own, and
// clients over TLS.
type world struct {
	t     *testing.T
	pki   *peer.Lab
	own   *peer.Keys // the hub's
	hub   *peer.Hub
	homes [2]*play.Home
	// entries are those of the homes in the routing file.
	entries string
}

// The realms of the two homes.
var realms = [2]string{"one.example", "two.example"}

// newWorld has three clients over TLS; more are lines of its entry of `tls:`.
func newWorld(t *testing.T, more ...string) *world {
	w := &world{t: t, pki: peer.NewLab(t, "federation")}
	w.own = w.pki.Keys("hub", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})
	w.entries = w.homesOverUDP()
	w.hub = peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, RadSec: true, Routes: w.routes(w.entries, more...),
		Homes: []peer.HubHome{{Name: "home", Server: peer.Server{Secret: homeSecret}}}, More: "connections: {stalled: 3s}\n",
	})
	return w
}

// homesOverUDP starts the homes and gives their entries.
func (w *world) homesOverUDP() string {
	var text string
	for i := range w.homes {
		h := w.home(i, play.HomeConfig{Acct: netip.MustParseAddrPort("127.0.0.1:0"), Secret: []byte(homeSecret)})
		text += fmt.Sprintf("  - {name: home-%d, auth: %q, acct: %q, secret_file: ../home.secret, status_server: true}\n", i, h.Auth(), h.Acct())
	}
	return text
}

// home starts a home.
func (w *world) home(i int, c play.HomeConfig) *play.Home {
	w.t.Helper()
	c.Name, c.Auth, c.Password = realms[i], netip.MustParseAddrPort("127.0.0.1:0"), password
	h, err := play.StartHome(c)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, h.Close()) })
	w.homes[i] = h
	return h
}

// routes is the routing file.
func (w *world) routes(homes string, more ...string) string {
	text := "homes:\n" + homes + "pools:\n"
	for i := range realms {
		text += fmt.Sprintf("  - name: home-%d\n    homes: [home-%d]\n", i, i)
	}
	text += "realms:\n"
	for i, name := range realms {
		text += fmt.Sprintf("  - realm: %s\n    auth: home-%d\n    accounting: home-%d\n", name, i, i)
	}
	clients := "clients:\n"
	for i := range 3 {
		clients += tlsClient(fmt.Sprint("visited-", i), "roaming", fmt.Sprintf("%d.%s", i, visitedHost))
	}
	return routing("tls:\n", trust("roaming", w.own, more...), clients, text)
}

const password = "correct-horse-1"

// config is that of either end of a connection.
func (w *world) config(k *peer.Keys, versions ...string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{k.TLS}, RootCAs: lab.Pool(w.pki.CA), ClientCAs: lab.Pool(w.pki.CA), ServerName: firstHost,
		ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: versions, MinVersion: tls.VersionTLS12,
	}
}

// client is the certificate of a client.
func (w *world) client(i int) *peer.Keys {
	return w.pki.Keys(fmt.Sprint("visited-", i), lab.Leaf{Hosts: []string{fmt.Sprintf("%d.%s", i, visitedHost)}})
}

// visit is a visited network of client i with a load for realm that is as fast as
// its answers come: what a slow machine does not manage is not asked of it.
func (w *world) visit(i, realm int, version string) *visit {
	w.t.Helper()
	n, err := play.NewNAS(play.NASConfig{
		Name: fmt.Sprint("nas-", i), Auth: w.hub.RadSec, Password: password, Window: 32, Sockets: 4, Timeout: 8 * time.Second, Retries: 3,
		Realms: []play.Realm{{Name: realms[realm]}}, Devices: 500,
		Stream: &play.Stream{TLS: w.config(w.client(i), version)},
	})
	require.NoError(w.t, err)
	v := &visit{t: w.t, NAS: n, done: make(chan error, 1)}
	go func() { v.done <- n.Run(w.t.Context()) }()
	w.t.Cleanup(func() { v.end() })
	return v
}

// visit is a visited network at work.
type visit struct {
	*play.NAS
	t     *testing.T
	done  chan error
	ended bool
}

// answered waits until n more answers have come.
func (v *visit) answered(n uint64) {
	v.t.Helper()
	s := v.Snapshot()
	from := s.Answered.All()
	peer.Eventually(v.t, 2*time.Minute, fmt.Sprintf("%d more answers after %d", n, from), func() bool {
		s := v.Snapshot()
		return s.Answered.All() >= from+n
	})
}

func (v *visit) end() play.NASCounts {
	if !v.ended {
		v.ended = true
		v.Stop()
		if err := <-v.done; err != nil && v.t.Context().Err() == nil {
			v.t.Error(err)
		}
	}
	return v.Snapshot()
}

// untouched ends the visit and wants it to have met nothing.
func (v *visit) untouched(what string) {
	v.t.Helper()
	c := v.end()
	assert.True(v.t, c.AddsUp(), what)
	assert.Zero(v.t, c.Lost.All(), "%s: lost", what)
	assert.Zero(v.t, c.Rejects, "%s: %v", what, c.RejectsBy)
	assert.Zero(v.t, c.Flaws.All(), "%s: %v", what, c.Flaws)
	assert.Zero(v.t, c.Disconnects, "%s: disconnects", what)
}

// TestRadSecStalledClient: a client that asks and reads no answer is let go;
// all others are served as before.
func TestRadSecStalledClient(t *testing.T) {
	w := newWorld(t)
	b := w.visit(1, 1, play.Version10)
	b.answered(200)
	plain, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(w.hub.RadSec))
	require.NoError(t, err)
	require.NoError(t, plain.SetReadBuffer(4096))
	c := tls.Client(plain, w.config(w.client(0), play.Version11))
	defer func() { _ = c.Close() }()
	// Each is answered by the home, and the answers pile up.
	request := append([]byte{1, 0, 0, 0}, make([]byte, 16)...)
	for typ, value := range map[byte]string{1: "device@" + realms[0], 2: password, 32: "stalled"} {
		request = append(append(request, typ, byte(2+len(value))), value...)
	}
	request[3] = byte(len(request))
	batch := make([]byte, 0, 100*len(request))
	require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Minute)))
	token := uint32(0)
	for {
		batch = batch[:0]
		for range 100 {
			token++
			binary.BigEndian.PutUint32(request[4:], token)
			batch = append(batch, request...)
		}
		if _, err = c.Write(batch); err != nil {
			break
		}
	}
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is not let go")
	peer.Eventually(t, time.Minute, "it is counted as stalled", func() bool {
		return w.hub.Metric("roamgate_connections_closed_total", `reason="stalled"`, `peer="visited-0"`) > 0
	})
	b.answered(1000)
	b.untouched("another client")
}

// TestRadSecSlowHandshakes: thousands that begin a handshake and do not go on
// harm neither who is there nor who comes from elsewhere.
func TestRadSecSlowHandshakes(t *testing.T) {
	w := newWorld(t)
	b := w.visit(1, 1, play.Version10)
	b.answered(200)
	const many = 2000
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for i := range many {
		d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, byte(i/250), byte(1+i%250))}}
		c, err := d.Dial("tcp", w.hub.RadSec.String())
		if err != nil {
			continue // it has enough of them
		}
		open = append(open, c)
		_, _ = c.Write([]byte{22, 3, 1, 0, 200, 1}) // the beginning of a ClientHello
	}
	a := w.visit(0, 0, play.Version10) // connects while they hang
	a.answered(500)
	b.answered(500)
	a.untouched("who came then")
	b.untouched("who was there")
}

// TestRadSecRotation: a new certificate of the hub is shown to whoever connects
// from then on, and nobody's connection ends for it.
func TestRadSecRotation(t *testing.T) {
	w := newWorld(t)
	shown := func() string {
		c, err := tls.Dial("tcp", w.hub.RadSec.String(), w.config(w.client(2), play.Version10))
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	a := w.visit(0, 0, play.Version11)
	a.answered(500)
	before := shown()
	for range 3 {
		next := w.pki.Keys("hub", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})
		want := next.TLS.Leaf.SerialNumber.String()
		peer.Eventually(t, time.Minute, "the new certificate is shown", func() bool { return shown() == want })
		require.NotEqual(t, before, want)
		a.answered(500)
	}
	a.untouched("who was there")
}

// TestRadSecRevoked: a live peer whose certificate is revoked is let go, and
// does not come back; the others stay.
func TestRadSecRevoked(t *testing.T) {
	w := newWorld(t)
	list := w.pki.Revoke(1)
	w.hub.Route(w.routes(w.entries, "crls: ["+list+"]"))
	peer.Eventually(t, time.Minute, "the list is in force", func() bool { return w.hub.Metric("roamgate_config_generation") >= 2 })
	gone := w.client(0)
	n, err := play.NewNAS(play.NASConfig{
		Auth: w.hub.RadSec, Password: password, Rate: 200, Sockets: 2, Timeout: time.Second, Retries: 1,
		Realms: []play.Realm{{Name: realms[0]}}, Stream: &play.Stream{TLS: w.config(gone, play.Version10)},
	})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- n.Run(t.Context()) }()
	b := w.visit(1, 0, play.Version10)
	b.answered(200)
	w.pki.Revoke(2, gone)
	peer.Eventually(t, time.Minute, "both connections are let go", func() bool {
		c := n.Snapshot()
		return c.Disconnects >= 2
	})
	_, err = tls.Dial("tcp", w.hub.RadSec.String(), w.config(gone, play.Version10))
	if err == nil { // TLS 1.3 says so after the handshake
		got := peer.OpenSSL(t, w.hub.RadSec, gone)
		assert.Contains(t, []int{certificateRevoked, badCertificate}, got.Alert, got.Output)
	}
	before := n.Snapshot()
	b.answered(500)
	after := n.Snapshot()
	assert.Equal(t, before.Answered.All(), after.Answered.All(), "nothing is answered any more")
	b.untouched("the other client")
	n.Stop()
	require.NoError(t, <-done)
}
