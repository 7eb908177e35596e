package stream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/pkg/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what comes over loopback.
const patience = time.Minute

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

func serverConfig(version uint16) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{credential}, ClientAuth: tls.RequireAnyClientCert,
		MinVersion: version, MaxVersion: version,
	}
}

func clientConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{credential}, InsecureSkipVerify: true}
}

// kinds is what every test of behaviour runs over: our end is a Conn, the
// other a net.Conn of the standard library.
var kinds = []struct {
	name    string
	version uint16 // of TLS, 0: none
	poller  func() (*udp.Poller, error)
}{
	{"tcp", 0, udp.NewPoller},
	{"tls1.3", tls.VersionTLS13, udp.NewPoller},
	{"tls1.2", tls.VersionTLS12, udp.NewPoller},
	{"tcp/portable", 0, udp.NewPortablePoller},
	{"tls1.3/portable", tls.VersionTLS13, udp.NewPortablePoller},
}

// end is our end in its event loop, with the peer's.
type end struct {
	t    testing.TB
	loop *udp.Poller
	conn *Conn
	peer net.Conn // a *tls.Conn where there is TLS
	tcp  *net.TCPConn
}

const tag = 5

func each(t *testing.T, f func(t *testing.T, e *end)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { f(t, open(t, k.version, k.poller)) })
	}
}

// sockets gives two ends of a TCP connection.
func sockets(t testing.TB) (ours, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	c, err := net.Dial("tcp4", l.Addr().String())
	require.NoError(t, err)
	a, err := l.Accept()
	require.NoError(t, err)
	return a.(*net.TCPConn), c.(*net.TCPConn)
}

func open(t testing.TB, version uint16, poller func() (*udp.Poller, error)) *end {
	t.Helper()
	ours, theirs := sockets(t)
	e := &end{t: t, peer: theirs, tcp: theirs}
	var err error
	if version == 0 {
		e.conn, err = Plain(ours)
	} else {
		client := tls.Client(theirs, clientConfig())
		done := make(chan error, 1)
		go func() { done <- client.Handshake() }()
		e.conn, err = Server(context.Background(), ours, serverConfig(version))
		require.NoError(t, <-done)
		e.peer = client
	}
	require.NoError(t, err)
	e.attach(poller)
	return e
}

func (e *end) attach(poller func() (*udp.Poller, error)) {
	var err error
	e.loop, err = poller()
	require.NoError(e.t, err)
	require.NoError(e.t, e.conn.Attach(e.loop, tag))
	e.t.Cleanup(func() {
		e.conn.Close()
		_ = e.peer.Close()
		e.loop.Close()
	})
}

// turn waits for the poller and receives; it returns copies of the packets.
func (e *end) turn() (packets [][]byte, err error) {
	e.t.Helper()
	tags, _, werr := e.loop.Wait(patience)
	require.NoError(e.t, werr)
	if len(tags) == 0 {
		return nil, nil
	}
	return e.drain()
}

func (e *end) drain() (packets [][]byte, err error) {
	_, err = e.conn.Recv()
	for {
		b, e2 := e.conn.Next()
		if e2 != nil {
			return packets, e2
		}
		if b == nil {
			break
		}
		packets = append(packets, append([]byte{}, b...))
	}
	e.conn.Done()
	if err == nil {
		err = e.conn.Flush()
	}
	return packets, err
}

// receive gives n packets.
func (e *end) receive(n int) (packets [][]byte) {
	e.t.Helper()
	for stop := time.Now().Add(patience); len(packets) < n && time.Now().Before(stop); {
		p, err := e.turn()
		require.NoError(e.t, err)
		packets = append(packets, p...)
	}
	require.Len(e.t, packets, n)
	return packets
}

// fails gives the error that ends the connection, and what came before.
func (e *end) fails() (packets [][]byte, err error) {
	e.t.Helper()
	for stop := time.Now().Add(patience); err == nil && time.Now().Before(stop); {
		var p [][]byte
		p, err = e.turn()
		packets = append(packets, p...)
	}
	require.Error(e.t, err)
	return packets, err
}

func (e *end) write(b []byte) {
	e.t.Helper()
	_, err := e.peer.Write(b)
	require.NoError(e.t, err)
}

// commit adds a packet to what is to be sent.
func (e *end) commit(b []byte) {
	e.t.Helper()
	room := e.conn.Room()
	require.NotNil(e.t, room)
	e.conn.Commit(copy(room, b))
}

// read gives n octets that the peer got.
func (e *end) read(n int) []byte {
	e.t.Helper()
	b := make([]byte, n)
	require.NoError(e.t, e.peer.SetReadDeadline(time.Now().Add(patience)))
	_, err := io.ReadFull(e.peer, b)
	require.NoError(e.t, err)
	return b
}

// packet is one of n octets that says its number.
func packet(id byte, n int) []byte {
	b := make([]byte, n)
	b[0], b[1] = 1, id
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	for i := 4; i < n; i++ {
		b[i] = id + byte(i)
	}
	return b
}
