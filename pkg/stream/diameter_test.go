package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/udp"
)

// message is one of Diameter of n octets that says its number.
func message(id byte, n int) []byte {
	b := make([]byte, n)
	b[0], b[1], b[2], b[3], b[19] = 1, byte(n>>16), byte(n>>8), byte(n), id
	for i := 20; i < n; i++ {
		b[i] = id + byte(i)
	}
	return b
}

// eachDiameter is each, with a Conn that carries Diameter.
func eachDiameter(t *testing.T, f func(t *testing.T, e *end)) {
	each(t, func(t *testing.T, e *end) {
		e.conn.Diameter()
		f(t, e)
	})
}

// Messages are cut by their lengths, however they come. D30.
func TestDiameterFraming(t *testing.T) {
	sizes := []int{20, 64<<10 - 4, 400, 64 << 10, 4096, 4100, 24, 20000, 20}
	eachDiameter(t, func(t *testing.T, e *end) {
		var all []byte
		for i, n := range sizes {
			all = append(all, message(byte(i), n)...)
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			r := rand.New(rand.NewPCG(1, 2))
			for len(all) > 0 {
				n := min(1+r.IntN(9000), len(all))
				if _, err := e.peer.Write(all[:n]); !assert.NoError(t, err) {
					return
				}
				all = all[n:]
			}
		}()
		got := e.receive(len(sizes))
		<-sent
		for i, n := range sizes {
			require.True(t, bytes.Equal(message(byte(i), n), got[i]), "message %d of %d octets", i, n)
		}
		assert.False(t, e.conn.Partial())
		assert.Nil(t, e.conn.in.buf, "a connection at rest holds no buffer")
		assert.Nil(t, e.conn.in.rest)
	})
}

// A length that no message has ends the connection; what came before is given. D30.
func TestDiameterFramingLost(t *testing.T) {
	for _, bad := range [][]byte{{1, 0, 0, 19}, {1, 0, 0, 0}, {1, 0, 0, 22}, {1, 1, 0, 4}, {1, 0xff, 0xff, 0xff}} {
		eachDiameter(t, func(t *testing.T, e *end) {
			e.write(append(message(1, 40), bad...))
			got, err := e.fails()
			require.ErrorIs(t, err, ErrFraming)
			assert.Equal(t, [][]byte{message(1, 40)}, got)
		})
	}
}

// The begin of a long message is kept and nothing more.
func TestDiameterPartial(t *testing.T) {
	eachDiameter(t, func(t *testing.T, e *end) {
		b := message(1, 40000)
		for _, part := range [][]byte{b[:3], b[3:21], b[21:5000], b[5000:39999]} {
			e.write(part)
			packets, err := e.turn()
			require.NoError(t, err)
			assert.Empty(t, packets)
		}
		require.Eventually(t, func() bool {
			_, err := e.drain()
			require.NoError(t, err)
			return len(e.conn.in.rest) == 39999
		}, patience, time.Millisecond)
		assert.True(t, e.conn.Partial())
		assert.Nil(t, e.conn.in.buf)
		e.write(b[39999:])
		assert.Equal(t, [][]byte{b}, e.receive(1))
	})
}

// What is sent arrives as it is, long messages among short ones.
func TestDiameterSend(t *testing.T) {
	eachDiameter(t, func(t *testing.T, e *end) {
		var want []byte
		for i, n := range []int{20, 400, 64 << 10, 4096, 30000, 20, 16384, 16388} {
			room := e.conn.RoomFor(n)
			require.Len(t, room, n)
			e.conn.Commit(copy(room, message(byte(i), n)))
			want = append(want, message(byte(i), n)...)
		}
		got := make(chan []byte, 1)
		go func() {
			b := make([]byte, len(want))
			_, _ = io.ReadFull(e.peer, b)
			got <- b
		}()
		require.NoError(t, e.conn.Flush())
		for e.conn.Queued() > 0 {
			_, err := e.turn()
			require.NoError(t, err)
		}
		require.True(t, bytes.Equal(want, <-got))
		assert.Empty(t, e.conn.out.blocks)
	})
}

// Records of TLS hold as many messages as go into one.
func TestDiameterRecords(t *testing.T) {
	ours, theirs := sockets(t)
	client := tls.Client(theirs, clientConfig())
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	conf := serverConfig(tls.VersionTLS13)
	Harden(conf)
	conn, err := Server(context.Background(), ours, conf)
	require.NoError(t, err)
	require.NoError(t, <-done)
	e := &end{t: t, conn: conn, peer: client, tcp: theirs}
	e.attach(udp.NewPoller)
	e.conn.Diameter()
	const n = 40
	for i := range byte(n) {
		e.conn.Commit(copy(e.conn.RoomFor(400), message(i, 400)))
	}
	require.NoError(t, e.conn.Flush())
	_, out := e.conn.Records()
	assert.EqualValues(t, 1, out)
	assert.Len(t, e.read(n*400), n*400)
}

// Octet by octet in, and out to a peer that has a small window and reads a few at a time:
// all comes as it was, and a connection at rest holds nothing. D30.
func TestDiameterOctetByOctet(t *testing.T) {
	eachDiameter(t, func(t *testing.T, e *end) {
		var want [][]byte
		for i, n := range []int{20, 400, 24} {
			want = append(want, message(byte(i), n))
		}
		go func() {
			for _, b := range bytes.Join(want, nil) {
				if _, err := e.peer.Write([]byte{b}); !assert.NoError(t, err) {
					return
				}
			}
		}()
		assert.Equal(t, want, e.receive(len(want)))
		assert.Nil(t, e.conn.in.buf)
		assert.Nil(t, e.conn.in.rest)

		require.NoError(t, e.tcp.SetReadBuffer(8<<10))
		all := message(9, 24000)
		e.conn.Commit(copy(e.conn.RoomFor(len(all)), all))
		got := make(chan []byte, 1)
		go func() {
			b := make([]byte, 0, len(all))
			for part := make([]byte, 61); len(b) < len(all); {
				n, err := e.peer.Read(part)
				if b = append(b, part[:n]...); err != nil {
					break
				}
			}
			got <- b
		}()
		require.NoError(t, e.conn.Flush())
		for e.conn.Queued() > 0 {
			_, err := e.turn()
			require.NoError(t, err)
		}
		require.True(t, bytes.Equal(all, <-got))
		assert.Empty(t, e.conn.out.blocks)
	})
}

// What a peer does not take is bounded as was said.
func TestDiameterKeep(t *testing.T) {
	for _, c := range []struct{ most, want int }{{0, 1 << 20}, {100, 64 << 10}, {300000, 300000}} {
		e := open(t, 0, udp.NewPoller)
		e.conn.Diameter()
		if c.most > 0 {
			e.conn.Keep(c.most)
		}
		for room := e.conn.RoomFor(1000); room != nil; room = e.conn.RoomFor(1000) {
			e.conn.Commit(len(room))
		}
		assert.Greater(t, e.conn.Queued(), c.want-1000)
		assert.LessOrEqual(t, e.conn.Queued(), c.want)
		assert.Nil(t, e.conn.RoomFor(64<<10+1))
	}
}
