package aaa

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/pkg/stream/dtls"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// A client comes by DTLS: its answers can be lost, so they are kept for its
// repetitions as over UDP, as long as the connection stands (C73, C76).
func TestClientOverDTLS(t *testing.T) {
	const secret = "radius/dtls"
	n := newTenant(t, "tenant")
	s := n.overTLS(func(s *realm.Set) { s.Clients[1].Transport = realm.DTLS }, radius11, radius10)
	s.conf = func(c *Config) {
		c.Listen = append(c.Listen, listen.Address{Service: listen.Every, Addr: netip.MustParseAddrPort("127.0.0.1:0"), Transport: realm.DTLS})
	}
	r := newRigOf(t, s)
	at, err := net.ResolveUDPAddr("udp4", r.door(realm.DTLS))
	require.NoError(t, err)
	raw, err := net.DialUDP("udp4", nil, at)
	require.NoError(t, err)
	far, err := dtls.Client(t.Context(), raw, &tls.Config{
		Certificates: []tls.Certificate{n.nas().TLS()}, NextProtos: []string{radius10},
		VerifyConnection: func(tls.ConnectionState) error { return nil },
	})
	require.NoError(t, err)
	poller, err := udp.NewPoller()
	require.NoError(t, err)
	defer poller.Close()
	defer far.Close()
	require.NoError(t, far.Attach(poller, 1))
	r.until("the connection is there", func() bool { return len(r.hub.connections.list()) == 1 })
	assert.Equal(t, "secured", r.theConn().peer)

	send := func(b []byte) {
		copy(far.Room(), b)
		far.Commit(len(b))
		require.NoError(t, far.Flush())
		r.turn(patience)
	}
	receive := func(to []byte) []byte {
		b := receiveBy(r, far)
		require.True(t, layeh.IsAuthenticResponse(b, to, []byte(secret)))
		return b
	}
	b := encode(t, access("bob@home.example", over(secret), withPassword("x")), true)
	send(b)
	h := r.atHome(0)
	send(b)
	r.quietHome(0)
	h.answer(layeh.CodeAccessAccept)
	first := receive(b)
	assert.Equal(t, byte(layeh.CodeAccessAccept), first[0])
	send(b)
	assert.Equal(t, first, receive(b), "the same once more")
	r.quietHome(0)
	assert.Equal(t, 1, r.value("roamgate_duplicates_total", "client", "secured", "action", "replayed"))

	b = encode(t, acctStop("bob@local.example", "s", over(secret)), false)
	send(b)
	r.recorded(1)
	receive(b)
	b = encode(t, statusServer(over(secret), withID(9)), true)
	send(b)
	receive(b)

	b = encode(t, access("bob@home.example", over(secret), withID(7)), true)
	send(b)
	h = r.atHome(0)
	far.Close()
	r.until("the connection is gone", func() bool { return len(r.hub.connections.list()) == 0 })
	h.answer(layeh.CodeAccessAccept)
	r.clean()
}

// receiveBy waits for a packet at the far end of a connection.
func receiveBy(r *rig, far *stream.Conn) (b []byte) {
	r.t.Helper()
	r.until("a packet", func() bool {
		_, _ = far.Recv()
		b, _ = far.Next()
		return b != nil
	})
	return bytes.Clone(b)
}
