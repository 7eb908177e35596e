package stream

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// C75: framing is by Length only: packets come out whole however the peer cuts
// what it writes.
func TestC75FramingByLength(t *testing.T) {
	var all []byte
	var want [][]byte
	for i, n := range []int{20, 21, 4096, 300, 20, 4095} {
		p := packet(byte(i), n)
		want = append(want, p)
		all = append(all, p...)
	}
	for _, step := range []int{1, 7, 4096, len(all)} {
		each(t, func(t *testing.T, e *end) {
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for b := all; len(b) > 0; b = b[min(step, len(b)):] {
					_, _ = e.peer.Write(b[:min(step, len(b))])
				}
			}()
			assert.Equal(t, want, e.receive(len(want)))
			<-sent
			assert.False(t, e.conn.Partial())
			assert.Nil(t, e.conn.in.buf, "a connection at rest holds no buffer")
			assert.Nil(t, e.conn.in.rest)
		})
	}
}

func TestTwoAndAHalf(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		a, b, c := packet(1, 100), packet(2, 200), packet(3, 4000)
		e.write(bytes.Join([][]byte{a, b, c[:2000]}, nil))
		assert.Equal(t, [][]byte{a, b}, e.receive(2))
		for !e.conn.Partial() { // the rest may be read in another turn
			_, err := e.turn()
			require.NoError(t, err)
		}
		assert.Nil(t, e.conn.in.buf)
		e.write(c[2000:])
		assert.Equal(t, [][]byte{c}, e.receive(1))
		assert.False(t, e.conn.Partial())
	})
}

func TestBadLengths(t *testing.T) {
	for name, c := range map[string]struct {
		length int
		want   error
	}{
		"0": {0, ErrFraming}, "19": {19, ErrFraming}, "4097": {4097, ErrTooLong}, "65535": {65535, ErrTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, e *end) {
				good, bad := packet(1, 30), packet(2, max(c.length, 20))
				bad[2], bad[3] = byte(c.length>>8), byte(c.length)
				go func() { _, _ = e.peer.Write(append(append([]byte{}, good...), append(bad, good...)...)) }()
				packets, err := e.fails()
				assert.Equal(t, [][]byte{good}, packets)
				assert.ErrorIs(t, err, c.want)
				if c.want == ErrTooLong {
					packets, err := e.drain()
					for stop := time.Now().Add(patience); err == nil && len(packets) == 0 && time.Now().Before(stop); {
						packets, err = e.turn()
					}
					require.NoError(t, err)
					assert.Equal(t, [][]byte{good}, packets, "the next one comes all the same")
				}
			})
		})
	}
}

func TestEnds(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		e.write(packet(1, 50))
		require.NoError(t, e.peer.Close())
		packets, err := e.fails()
		assert.Len(t, packets, 1)
		assert.Equal(t, io.EOF, err)
		_, err = e.conn.Recv()
		assert.Equal(t, io.EOF, err, "again")
	})
}

func TestEndsWithinAPacket(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		e.write(append(packet(1, 50), packet(2, 60)[:59]...))
		require.NoError(t, e.peer.Close())
		packets, err := e.fails()
		assert.Len(t, packets, 1)
		assert.Equal(t, io.ErrUnexpectedEOF, err)
	})
}

// A peer that has said all it will say is at its end, also without TLS's word.
func TestHalfClose(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		e.write(packet(1, 50))
		require.NoError(t, e.tcp.CloseWrite())
		packets, err := e.fails()
		assert.Len(t, packets, 1)
		assert.Equal(t, io.EOF, err)
	})
}

func TestReset(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		require.NoError(t, e.tcp.SetLinger(0))
		require.NoError(t, e.tcp.Close())
		_, err := e.fails()
		assert.NotErrorIs(t, err, io.EOF)
		assert.Equal(t, err, e.conn.Flush())
		assert.Nil(t, e.conn.Room())
	})
}

// C75: all that was committed since the last Flush arrives, in order and without
// padding, and what the system takes at once needs no second turn.
func TestSends(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		var want []byte
		for i := range 300 {
			p := packet(byte(i), 20+13*i)
			e.commit(p)
			want = append(want, p...)
		}
		got := make(chan []byte)
		go func() { got <- e.read(len(want)) }()
		assert.Equal(t, len(want), e.conn.Queued())
		require.NoError(t, e.conn.Flush())
		for e.conn.Queued() > 0 {
			_, err := e.turn()
			require.NoError(t, err)
		}
		assert.Equal(t, want, <-got)
		assert.Empty(t, e.conn.out.blocks)
		assert.GreaterOrEqual(t, e.conn.Sent(), uint64(len(want)))
	})
}

// C75: each packet has a TLS record of its own, however many go together, also
// where there is more than one system call takes.
func TestC75OnePacketInARecord(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		if e.conn.TLS() == nil {
			return // there are no records
		}
		const packets, n = 6000, 20
		for i := range packets {
			e.commit(packet(byte(i), n))
		}
		got := make(chan int)
		go func() {
			buf := make([]byte, maxPlain)
			records := 0
			for left := packets * n; left > 0; records++ {
				m, err := e.peer.Read(buf) // gives one record at most
				if err != nil {
					break
				}
				left -= m
			}
			got <- records
		}()
		require.NoError(t, e.conn.Flush())
		for e.conn.Queued() > 0 {
			_, err := e.turn()
			require.NoError(t, err)
		}
		assert.Equal(t, packets, <-got)
	})
}

// A peer that takes nothing costs a bound, and nobody else anything; when it
// goes on, everything comes.
func TestStalledPeer(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		var want int
		for id := byte(0); ; id++ {
			room := e.conn.Room()
			if room == nil {
				break
			}
			e.conn.Commit(copy(room, packet(id, 4096)))
			want += 4096
			require.NoError(t, e.conn.Flush())
			require.Less(t, want, 64<<20)
		}
		assert.LessOrEqual(t, e.conn.Queued(), maxUnsent+cipherSize)
		assert.LessOrEqual(t, len(e.conn.out.blocks), maxUnsent/(blockSize-maxPacket)+1)
		sent := e.conn.Sent()
		_, err := e.drain()
		require.NoError(t, err)
		got := make(chan []byte)
		go func() { got <- e.read(want) }()
		for e.conn.Queued() > 0 {
			_, err := e.turn()
			require.NoError(t, err)
		}
		assert.Greater(t, e.conn.Sent(), sent)
		b := <-got
		for i := 0; i < len(b); i += 4096 {
			require.Equal(t, packet(byte(i/4096), 4096), b[i:i+4096])
		}
		assert.NotNil(t, e.conn.Room())
	})
}

// What Next has not given yet is not lost by another Recv, nor by Done.
func TestLeftForLater(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		var want [][]byte
		for i := range 100 {
			want = append(want, packet(byte(i), 400))
		}
		e.write(bytes.Join(want, nil))
		var got [][]byte
		for stop := time.Now().Add(patience); len(got) < len(want) && time.Now().Before(stop); {
			more, err := e.conn.Recv()
			require.NoError(t, err)
			b, err := e.conn.Next()
			require.NoError(t, err)
			if b != nil {
				got = append(got, append([]byte{}, b...))
			}
			e.conn.Done()
			if b == nil && !more {
				_, _, _ = e.loop.Wait(patience)
			}
		}
		assert.Equal(t, want, got)
	})
}

func TestCloseTwice(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		e.commit(packet(1, 30))
		require.NoError(t, e.conn.Flush())
		e.conn.Close()
		e.conn.Close()
		assert.Nil(t, e.conn.Room())
		b, err := e.conn.Next()
		assert.NoError(t, err)
		assert.Nil(t, b)
		_, err = e.conn.Recv()
		assert.ErrorIs(t, err, net.ErrClosed)
		assert.ErrorIs(t, e.conn.Flush(), net.ErrClosed)
		assert.Zero(t, e.conn.Queued())
		assert.False(t, e.conn.Partial())
		e.conn.Done()
		assert.Equal(t, packet(1, 30), e.read(30))
		_, err = e.peer.Read(make([]byte, 1))
		assert.Equal(t, io.EOF, err, "the peer is told")
		assert.ErrorIs(t, e.conn.Attach(e.loop, 1), net.ErrClosed)
	})
}

// A connection that no loop took is closed all the same.
func TestCloseUnattached(t *testing.T) {
	ours, theirs := sockets(t)
	c, err := Plain(ours)
	require.NoError(t, err)
	require.NoError(t, c.Flush())
	assert.Equal(t, theirs.LocalAddr().String(), c.Remote().String())
	assert.Equal(t, theirs.RemoteAddr().String(), c.Local().String())
	assert.Nil(t, c.TLS())
	c.Close()
	_, err = theirs.Read(make([]byte, 1))
	assert.Equal(t, io.EOF, err)
	_ = theirs.Close()
}

// Who is in the middle of a packet when the connection is closed keeps it.
func TestPacketOutlivesClose(t *testing.T) {
	each(t, func(t *testing.T, e *end) {
		e.write(packet(1, 50))
		var b []byte
		for stop := time.Now().Add(patience); b == nil && time.Now().Before(stop); {
			_, _, err := e.loop.Wait(patience)
			require.NoError(t, err)
			_, err = e.conn.Recv()
			require.NoError(t, err)
			b, err = e.conn.Next()
			require.NoError(t, err)
		}
		buf := e.conn.in.short
		e.conn.Close()
		for range 8 {
			assert.NotSame(t, buf, inBuffers.lend())
		}
		assert.Equal(t, packet(1, 50), b)
	})
}
