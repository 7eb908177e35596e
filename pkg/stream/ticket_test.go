package stream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/udp"
)

// counted counts the octets that a peer has read.
type counted struct {
	net.Conn
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// secured does a handshake with a server of ours, which is attached then.
func secured(t *testing.T, server, client *tls.Config) (*end, *counted) {
	ours, theirs := sockets(t)
	wire := &counted{Conn: theirs}
	peer := tls.Client(wire, client)
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	c, err := Server(context.Background(), ours, server)
	require.NoError(t, err)
	require.NoError(t, <-done)
	e := &end{t: t, conn: c, peer: peer, tcp: theirs}
	e.attach(udp.NewPoller)
	return e, wire
}

// A client that has done its part of the handshake hears nothing before its
// first answer: FreeRADIUS 3.2.1 stalls where it does. The ticket comes with
// that answer in one write, and is good.
func TestTicketsLeaveWithTheFirstAnswer(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version uint16
		late    bool // the ticket comes after the client's Finished
	}{{"TLS 1.3", tls.VersionTLS13, true}, {"TLS 1.2", tls.VersionTLS12, false}} {
		t.Run(tt.name, func(t *testing.T) {
			server, client := serverConfig(tt.version), clientConfig()
			client.ClientSessionCache, client.ServerName = tls.NewLRUClientSessionCache(1), "peer"
			server.SetSessionTicketKeys([][32]byte{{1}})
			kept := func() bool { _, ok := client.ClientSessionCache.Get("peer"); return ok }

			e, wire := secured(t, server, client)
			assert.Equal(t, !tt.late, kept())
			shaken := wire.n.Load()
			assert.Zero(t, e.conn.Queued(), "nothing counts as not taken by the peer")
			e.write(packet(1, 20))
			e.receive(1)
			require.NoError(t, e.conn.Flush())
			assert.Zero(t, e.conn.Sent())
			e.commit(packet(2, 20))
			require.NoError(t, e.conn.Flush())
			assert.Equal(t, packet(2, 20), e.read(20))
			assert.EqualValues(t, e.conn.Sent(), wire.n.Load()-shaken, "not an octet before it")
			assert.True(t, kept())
			e.commit(packet(3, 20))
			require.NoError(t, e.conn.Flush())
			assert.Equal(t, packet(3, 20), e.read(20))

			again, _ := secured(t, server, client)
			assert.True(t, again.peer.(*tls.Conn).ConnectionState().DidResume)
			again.commit(packet(4, 20))
			require.NoError(t, again.conn.Flush())
			assert.Equal(t, packet(4, 20), again.read(20))
		})
	}
}

// A ticket waits no longer than the connection does, whose end is in order.
func TestTicketsBeforeTheEnd(t *testing.T) {
	client := clientConfig()
	client.ClientSessionCache, client.ServerName = tls.NewLRUClientSessionCache(1), "peer"
	e, _ := secured(t, serverConfig(tls.VersionTLS13), client)
	e.conn.Close()
	_, err := e.peer.Read(make([]byte, 1))
	require.EqualError(t, err, "EOF", "close_notify, decrypted")
	_, ok := client.ClientSessionCache.Get("peer")
	assert.True(t, ok)
}

// What is held leaves before whatever the handshake still has to say, and more
// than maxHeld is not held.
func TestHeldInHandshake(t *testing.T) {
	record := func(n int) []byte {
		b := make([]byte, 5+n)
		b[0], b[1], b[2] = recordData, 3, 3
		binary.BigEndian.PutUint16(b[3:], uint16(n))
		for i := 5; i < len(b); i++ {
			b[i] = byte(n)
		}
		return b
	}
	text := func(records ...[]byte) string {
		var all strings.Builder
		for _, r := range records {
			all.Write(r)
		}
		return all.String()
	}
	flight := append([]byte{recordHandshake, 3, 3, 0, 1, 2}, record(700)...)
	alert, small, large := record(19), record(600), record(maxHeld-900)
	for _, tt := range []struct {
		name   string
		server bool
		writes [][]byte
		sent   string
	}{
		{"the flight and a ticket", true, [][]byte{flight, small}, text(flight)},
		{"an alert", true, [][]byte{flight, alert}, text(flight, alert)},
		{"an alert after a ticket", true, [][]byte{flight, small, alert}, text(flight, small, alert)},
		{"two pieces", true, [][]byte{small, large, alert}, text(small, large, alert)},
		{"two pieces that are too much", true, [][]byte{large, large}, text(large, large)},
		{"a client's flight", false, [][]byte{small}, text(small)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to := &written{}
			w := &wire{Conn: to, server: tt.server}
			for _, b := range tt.writes {
				n, err := w.Write(b)
				require.NoError(t, err)
				assert.Equal(t, len(b), n)
			}
			assert.Equal(t, tt.sent, to.String())
		})
	}
}

// written is where a wire writes to.
type written struct {
	net.Conn
	strings.Builder
}

func (w *written) Write(p []byte) (int, error) { return w.Builder.Write(p) }

// corked sends nothing before it has to wait for an answer.
type corked struct {
	net.Conn
	kept []byte
}

func (c *corked) Write(p []byte) (int, error) {
	c.kept = append(c.kept, p...)
	return len(p), nil
}

func (c *corked) Read(p []byte) (int, error) {
	if err := c.send(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *corked) send() error {
	_, err := c.Conn.Write(c.kept)
	c.kept = nil
	return err
}

// The first request may be in one segment with the end of the handshake, which
// in TLS 1.2 is a client's where a session is resumed.
func TestRequestWithFinished(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			server, client := serverConfig(version), clientConfig()
			client.ClientSessionCache, client.ServerName = tls.NewLRUClientSessionCache(1), "peer"
			server.SetSessionTicketKeys([][32]byte{{1}})
			first, _ := secured(t, server, client)
			first.commit(packet(1, 20))
			require.NoError(t, first.conn.Flush())
			first.read(20)

			ours, theirs := sockets(t)
			wire := &corked{Conn: theirs}
			peer := tls.Client(wire, client)
			done := make(chan error, 1)
			go func() {
				_, err := peer.Write(packet(2, 20)) // the handshake before it
				done <- errors.Join(err, wire.send())
			}()
			c, err := Server(context.Background(), ours, server)
			require.NoError(t, err)
			require.NoError(t, <-done)
			require.True(t, peer.ConnectionState().DidResume)
			e := &end{t: t, conn: c, peer: peer, tcp: theirs}
			e.attach(udp.NewPoller)
			assert.Equal(t, [][]byte{packet(2, 20)}, e.receive(1))
		})
	}
}
