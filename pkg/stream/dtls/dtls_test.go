package dtls

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/pkg/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func config() *tls.Config {
	return &tls.Config{
		Certificates:     []tls.Certificate{credential},
		VerifyConnection: func(tls.ConnectionState) error { return nil },
	}
}

var errFull = errors.New("the door is full")

// result is what became of a handshake at the door.
type result struct {
	c   *stream.Conn
	err error
}

// door serves with conf, and gives each result.
func door(t *testing.T, most int, conf *tls.Config, patience time.Duration) (*Door, chan result) {
	d, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), most)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan result, 16)
	served := make(chan struct{})
	go func() {
		defer close(served)
		d.Serve(func(netip.AddrPort) bool { return true }, func(_ netip.AddrPort, p *Peer) {
			if p == nil {
				results <- result{err: errFull}
				return
			}
			go func() {
				ctx, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				c, err := Server(ctx, p, conf)
				results <- result{c, err}
			}()
		})
	}()
	t.Cleanup(func() {
		cancel()
		_ = d.Close()
		<-served
	})
	return d, results
}

func dial(t *testing.T, d *Door) *net.UDPConn {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(d.Addr()))
	require.NoError(t, err)
	return c
}

func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func wait(t *testing.T, results chan result) result {
	t.Helper()
	select {
	case r := <-results:
		return r
	case <-time.After(patience):
		t.Fatal("no handshake ended")
		return result{}
	}
}

// loop is one event loop with one connection.
type loop struct {
	t *testing.T
	p *udp.Poller
	c *stream.Conn
}

func attach(t *testing.T, c *stream.Conn) *loop {
	p, err := udp.NewPoller()
	require.NoError(t, err)
	require.NoError(t, c.Attach(p, 1))
	t.Cleanup(func() {
		c.Close()
		p.Close()
	})
	return &loop{t, p, c}
}

func (l *loop) receive(n int) (packets [][]byte, err error) {
	l.t.Helper()
	for end := time.Now().Add(patience); len(packets) < n && err == nil && time.Now().Before(end); {
		_, _, werr := l.p.Wait(patience)
		require.NoError(l.t, werr)
		_, err = l.c.Recv()
		for {
			b, wrong := l.c.Next()
			require.NoError(l.t, wrong)
			if b == nil {
				break
			}
			packets = append(packets, append([]byte{}, b...))
		}
		l.c.Done()
		require.NoError(l.t, l.c.Flush())
	}
	return packets, err
}

func (l *loop) send(p []byte) {
	l.c.Commit(copy(l.c.Room(), p))
	require.NoError(l.t, l.c.Flush())
}

func packet(id byte, n int) []byte {
	b := make([]byte, n)
	b[0], b[1] = 1, id
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	return b
}

// C76: the largest packet fits.
func TestThereAndBack(t *testing.T) {
	conf := config()
	var seen tls.ConnectionState
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		seen = s
		return nil
	}
	d, results := door(t, 4, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		assert.Equal(t, "hub.example", h.ServerName)
		return conf, nil
	}}, patience)
	own := config()
	own.ServerName = "hub.example"
	client, err := Client(shortly(t), dial(t, d), own)
	require.NoError(t, err)
	r := wait(t, results)
	require.NoError(t, r.err)
	assert.Len(t, seen.PeerCertificates, 1)
	assert.EqualValues(t, Version12, r.c.TLS().Version)
	assert.Equal(t, radius10, r.c.TLS().NegotiatedProtocol)
	assert.Equal(t, d.Addr(), client.Remote())
	assert.Equal(t, client.Local(), r.c.Remote())
	a, err := client.Export("EXPORTER-test", 32)
	require.NoError(t, err)
	b, err := r.c.Export("EXPORTER-test", 32)
	require.NoError(t, err)
	assert.Equal(t, a, b)

	ours, theirs := attach(t, r.c), attach(t, client)
	assert.Equal(t, 1, d.Peers())
	for _, n := range []int{20, 4096} {
		theirs.send(packet(1, n))
		got, err := ours.receive(1)
		require.NoError(t, err)
		assert.Equal(t, [][]byte{packet(1, n)}, got)
		ours.send(packet(2, n))
		got, err = theirs.receive(1)
		require.NoError(t, err)
		assert.Equal(t, [][]byte{packet(2, n)}, got)
	}
	client.Close()
	_, err = ours.receive(1)
	assert.ErrorIs(t, err, io.EOF)
	r.c.Close()
	assert.Eventually(t, func() bool { return d.Peers() == 0 }, patience, time.Millisecond)
}

// foreign is a peer by pion alone.
func foreign(t *testing.T, d *Door, opts ...dtls.ClientOption) (*dtls.Conn, error) {
	conn := connected{dial(t, d)}
	opts = append(opts, dtls.WithInsecureSkipVerify(true), dtls.WithLoggerFactory(quiet))
	c, err := dtls.ClientWithOptions(conn, conn.RemoteAddr(), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c, c.HandshakeContext(shortly(t))
}

// C76: a record is one packet: what follows it is padding, and what is none is
// dropped alone.
func TestC76OnePacketARecord(t *testing.T) {
	d, results := door(t, 4, config(), patience)
	c, err := foreign(t, d, dtls.WithCertificates(credential))
	require.NoError(t, err)
	r := wait(t, results)
	require.NoError(t, r.err)
	ours := attach(t, r.c)
	short := packet(9, 20)
	short[3] = 19
	long := packet(9, 4000)
	binary.BigEndian.PutUint16(long[2:], 4001)
	huge := packet(9, 4097)
	for _, record := range [][]byte{
		append(packet(1, 30), 0, 0, 0),
		append(packet(2, 40), packet(9, 50)...),
		{1}, short, long, huge, packet(9, 20)[:10],
		packet(3, 4096),
	} {
		_, err := c.Write(record)
		require.NoError(t, err)
	}
	got, err := ours.receive(3)
	require.NoError(t, err)
	assert.Equal(t, [][]byte{packet(1, 30), packet(2, 40), packet(3, 4096)}, got)

	// Two that are sent together leave in two records.
	for i := range 2 {
		r.c.Commit(copy(r.c.Room(), packet(byte(i), 100)))
	}
	require.NoError(t, r.c.Flush())
	b := make([]byte, 8192)
	for i := range 2 {
		n, err := c.Read(b)
		require.NoError(t, err)
		assert.Equal(t, packet(byte(i), 100), b[:n])
	}
}

// C64: a pre-shared key is among what is refused.
func TestRefused(t *testing.T) {
	wrong := errors.New("not one of ours")
	for name, c := range map[string]struct {
		change func(*tls.Config)
		client []dtls.ClientOption
		want   error
	}{
		"no certificate": {want: stream.ErrNoCertificate},
		"distrusted": {change: func(c *tls.Config) { c.VerifyConnection = func(tls.ConnectionState) error { return wrong } },
			client: []dtls.ClientOption{dtls.WithCertificates(credential)}, want: wrong},
		"nobody judges": {change: func(c *tls.Config) { c.VerifyConnection = nil },
			client: []dtls.ClientOption{dtls.WithCertificates(credential)}, want: ErrNoVerify},
		"unwelcome": {change: func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, wrong }
		}, client: []dtls.ClientOption{dtls.WithCertificates(credential)}, want: wrong},
		"nothing of ours": {change: func(c *tls.Config) { c.Certificates = nil },
			client: []dtls.ClientOption{dtls.WithCertificates(credential)}, want: errNoCert},
		"another protocol": {client: []dtls.ClientOption{dtls.WithCertificates(credential),
			dtls.WithSupportedProtocols("radius/1.1")}},
		"pre-shared key": {client: []dtls.ClientOption{dtls.WithPSK(func([]byte) ([]byte, error) { return []byte("0123456789abcdef"), nil }),
			dtls.WithPSKIdentityHint([]byte("peer")), dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_GCM_SHA256)}},
	} {
		t.Run(name, func(t *testing.T) {
			conf := config()
			if c.change != nil {
				c.change(conf)
			}
			d, results := door(t, 4, conf, patience)
			_, err := foreign(t, d, c.client...)
			require.Error(t, err)
			r := wait(t, results)
			require.Error(t, r.err)
			if c.want != nil {
				assert.ErrorIs(t, r.err, c.want)
			}
			assert.Eventually(t, func() bool { return d.Peers() == 0 }, patience, time.Millisecond)
		})
	}
}

func TestClientRefuses(t *testing.T) {
	wrong := errors.New("another server")
	d, _ := door(t, 4, config(), patience)
	conf := config()
	conf.VerifyConnection = func(tls.ConnectionState) error { return wrong }
	_, err := Client(shortly(t), dial(t, d), conf)
	assert.ErrorIs(t, err, wrong)
	_, err = Client(shortly(t), dial(t, d), &tls.Config{})
	assert.ErrorIs(t, err, ErrNoVerify)
}

// What cannot begin a handshake makes no peer, nor does anybody when the door
// is full; who says nothing more goes.
func TestStrangers(t *testing.T) {
	d, results := door(t, 1, config(), 300*time.Millisecond)
	c := dial(t, d)
	defer func() { _ = c.Close() }()
	first := make([]byte, 100)
	copy(first, []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 87, 1})
	for _, b := range [][]byte{nil, {22}, packet(1, 200), append([]byte{23}, first[1:]...), first[:13]} {
		require.False(t, hello(b), "%x", b)
	}
	require.True(t, hello(first))
	_, err := c.Write(first)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return d.Peers() == 1 }, patience, time.Millisecond)
	other := dial(t, d)
	defer func() { _ = other.Close() }()
	_, err = other.Write(first)
	require.NoError(t, err)
	assert.ErrorIs(t, wait(t, results).err, errFull)
	assert.ErrorIs(t, wait(t, results).err, context.DeadlineExceeded)
	assert.Eventually(t, func() bool { return d.Peers() == 0 }, patience, time.Millisecond)
	assert.Empty(t, results)
}

func TestDoorClosesAll(t *testing.T) {
	d, results := door(t, 4, config(), patience)
	c, err := foreign(t, d, dtls.WithCertificates(credential))
	require.NoError(t, err)
	r := wait(t, results)
	require.NoError(t, r.err)
	ours := attach(t, r.c)
	require.NoError(t, d.Close())
	assert.ErrorIs(t, d.Close(), net.ErrClosed)
	_, err = ours.receive(1)
	assert.Error(t, err)
	_ = c.Close()
}

// FuzzStrangers: whatever comes, the door goes on and lets real peers in.
func FuzzStrangers(f *testing.F) {
	f.Add([]byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 87, 1})
	f.Add([]byte{22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 8, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(packet(1, 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), 2)
		require.NoError(t, err)
		from := netip.MustParseAddrPort("127.0.0.1:9")
		ctx, cancel := context.WithCancel(context.Background())
		if hello(b) {
			p := d.add(from)
			_, _ = p.in.Write(b, nil)
			time.AfterFunc(5*time.Millisecond, cancel)
			_, err = Server(ctx, p, config())
			require.Error(t, err)
		}
		cancel()
		require.Zero(t, d.Peers())
		require.NoError(t, d.Close())
	})
}
