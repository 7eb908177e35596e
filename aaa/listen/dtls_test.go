package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/pkg/stream/dtls"
	"github.com/roamgate/roamgate/realm"
)

func yes(tls.ConnectionState) error { return nil }

// datagrams is a socket that faces the door for DTLS.
func (h *house) datagrams() *net.UDPConn {
	h.t.Helper()
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(h.a.Addrs()[2].Addr))
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (h *house) overDTLS() (*stream.Conn, error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conf := client()
	conf.VerifyConnection = yes
	c, err := dtls.Client(ctx, h.datagrams(), conf)
	if err == nil {
		h.t.Cleanup(c.Close)
	}
	return c, err
}

// knockUDP sends what begins a handshake, and no more.
func (h *house) knockUDP() {
	h.t.Helper()
	b := make([]byte, 100)
	copy(b, []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 87, 1})
	_, err := h.datagrams().Write(b)
	require.NoError(h.t, err)
}

func TestDTLS(t *testing.T) {
	h := open(t, Limits{}, func(h *house, _ *Hub) { h.conf.VerifyConnection = yes })
	c, err := h.overDTLS()
	require.NoError(t, err)
	g := h.guest()
	assert.Equal(t, c.Local(), g.v.Remote)
	assert.Equal(t, realm.DTLS, g.v.Door.Transport)
	assert.Equal(t, 2, g.v.Index)
	assert.Len(t, g.c.TLS().PeerCertificates, 1)
	assert.EqualValues(t, 1, h.a.Count(realm.DTLS, Accepted))
}

// C59: TLS and DTLS are served side by side on one port, usually 2083, each with
// its secret.
func TestC59OnePort(t *testing.T) {
	h := open(t, Limits{}, func(h *house, _ *Hub) { h.conf.VerifyConnection = yes })
	at := h.a.Addrs()[2].Addr
	both, err := Accept([]Address{{Service: Every, Addr: at, Transport: realm.TLS}}, h.a.hub, Limits{})
	if err != nil { // somebody else has that port of TCP
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		both, err = Accept([]Address{{Service: Every, Addr: h.a.Addrs()[1].Addr, Transport: realm.DTLS}}, h.a.hub, Limits{})
		at = h.a.Addrs()[1].Addr
	}
	require.NoError(t, err)
	defer both.Close()

	c, err := net.Dial("tcp4", at.String())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, tls.Client(c, client()).Handshake())
	assert.Equal(t, at, h.guest().v.Local)
	u, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	require.NoError(t, err)
	conf := client()
	conf.VerifyConnection = yes
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d, err := dtls.Client(ctx, u, conf)
	require.NoError(t, err)
	defer d.Close()
	g := h.guest()
	assert.Equal(t, at, g.v.Local)
	assert.Equal(t, realm.DTLS, g.v.Door.Transport)
	assert.Equal(t, "radsec", string(realm.TLS.Secret()))
	assert.Equal(t, "radius/dtls", string(realm.DTLS.Secret()))
}

func TestDTLSDistrusted(t *testing.T) {
	h := open(t, Limits{}, func(h *house, _ *Hub) {
		h.conf.VerifyConnection = func(tls.ConnectionState) error { return errors.New("not one of ours") }
	})
	_, err := h.overDTLS()
	require.Error(t, err)
	assert.Equal(t, Distrusted, h.failed().why)
}

func TestDTLSUnwelcome(t *testing.T) {
	h := open(t, Limits{}, func(_ *house, hub *Hub) {
		hub.Config = func(*Visitor, *tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("nobody") }
	})
	_, err := h.overDTLS()
	require.Error(t, err)
	assert.Equal(t, Unwelcome, h.failed().why)
}

// C72: a stranger's datagram makes no peer.
func TestC72DTLSUnknownSource(t *testing.T) {
	h := open(t, Limits{}, func(_ *house, hub *Hub) {
		hub.Allow = func(Address, netip.Addr) bool { return false }
	})
	h.knockUDP()
	assert.Equal(t, UnknownSource, h.failed().why)
	assert.Zero(t, h.a.doors[2].dtls.Peers())
}

// C72: handshakes of datagrams have the bounds of all.
func TestC72DTLSHalfOpen(t *testing.T) {
	for name, c := range map[string]struct {
		limits Limits
		want   Result
	}{
		"each":   {Limits{HalfOpenEach: 2, Handshake: 300 * time.Millisecond}, TooManyThere},
		"in all": {Limits{HalfOpen: 2, Handshake: 300 * time.Millisecond}, TooMany},
		"peers":  {Limits{Peers: 2, Handshake: 300 * time.Millisecond}, TooMany},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, c.limits, func(h *house, _ *Hub) { h.conf.VerifyConnection = yes })
			for range 3 {
				h.knockUDP()
			}
			seen := map[Result]int{}
			for range 3 {
				seen[h.failed().why]++
			}
			assert.Equal(t, map[Result]int{c.want: 1, TimedOut: 2}, seen)
			assert.Eventually(t, func() bool { return h.a.HalfOpen() == 0 }, patience, time.Millisecond)
			_, err := h.overDTLS()
			require.NoError(t, err)
			h.guest()
		})
	}
}
