package udp

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExchange(t *testing.T) {
	each(t, Options{PacketInfo: true}, func(t *testing.T, server, client *end) {
		client.send(server.addr(), []byte("request"))
		require.Equal(t, 1, server.recv())
		assert.Equal(t, "request", string(server.batch.Data(0)))
		assert.Equal(t, client.addr(), server.batch.Addr(0))
		assert.False(t, server.batch.Truncated(0))
		assert.False(t, server.batch.Local(0).Addr().IsValid(), "learned only on the wildcard")

		buf := server.queue.Next()
		n := copy(buf, "reply")
		server.queue.Commit(n, server.batch.Addr(0), server.batch.Local(0))
		assert.Equal(t, 1, server.queue.Pending())
		server.queue.Flush()
		assert.Zero(t, server.queue.Pending())
		assert.EqualValues(t, 1, server.queue.Sent())
		assert.Zero(t, server.queue.Errors())

		require.Equal(t, 1, client.recv())
		assert.Equal(t, "reply", string(client.batch.Data(0)))
		assert.Equal(t, server.addr(), client.batch.Addr(0))
		n, err := client.conn.Recv(client.batch)
		assert.NoError(t, err)
		assert.Zero(t, n, "nothing waits")
	})
}

// Sizes around every border, the last three past the buffer of a queue and
// therefore from a plain socket.
func TestSizes(t *testing.T) {
	tests := []struct {
		name string
		size int
		seen int
		cut  bool
	}{
		{"empty", 0, 0, false},
		{"one octet", 1, 1, false},
		{"header", 20, 20, false},
		{"largest packet", 4096, 4096, false},
		{"one too long", 4097, 4097, false},
		{"cut by one", 4098, 4097, true},
		{"cut", 5000, 4097, true},
		{"largest datagram", 65000, 4097, true},
	}
	each(t, Options{}, func(t *testing.T, server, _ *end) {
		out, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server.conn.LocalAddr()))
		require.NoError(t, err)
		defer out.Close()
		for _, tt := range tests {
			want := bytes.Repeat([]byte{0xa5}, tt.size)
			_, err := out.Write(want)
			require.NoError(t, err, tt.name)
			require.Equal(t, 1, server.recv(), tt.name)
			assert.Len(t, server.batch.Data(0), tt.seen, tt.name)
			assert.Equal(t, tt.cut, server.batch.Truncated(0), tt.name)
			assert.True(t, bytes.HasPrefix(want, server.batch.Data(0)), tt.name)
		}
	})
}

// A cut datagram must not leave its mark on the next use of its slot.
func TestSlotReuse(t *testing.T) {
	each(t, Options{}, func(t *testing.T, server, client *end) {
		small := NewBatch(4, 8)
		server.batch = small
		client.send(server.addr(), []byte("longer than eight"))
		require.Equal(t, 1, server.recv())
		assert.Equal(t, "longer t", string(small.Data(0)))
		assert.True(t, small.Truncated(0))
		client.send(server.addr(), []byte("short"))
		require.Equal(t, 1, server.recv())
		assert.Equal(t, "short", string(small.Data(0)))
		assert.False(t, small.Truncated(0))
		assert.Equal(t, 5, cap(small.Data(0)), "a datagram does not reach into the next")
	})
}

func TestBatches(t *testing.T) {
	const total = 300 // more than a batch, a queue and a flush
	each(t, Options{RecvBuffer: 1 << 20}, func(t *testing.T, server, client *end) {
		var seen [total]bool
		for i := 0; i < total; i += 100 {
			for j := range 100 {
				b := client.queue.Next()
				binary.BigEndian.PutUint32(b, uint32(i+j))
				client.queue.Commit(20+j, server.addr(), LocalInfo{})
			}
			client.queue.Flush()
			for _, b := range server.collect(100) {
				k := binary.BigEndian.Uint32(b)
				require.Less(t, k, uint32(total))
				assert.False(t, seen[k])
				assert.Len(t, b, 20+int(k)%100)
				seen[k] = true
			}
		}
		assert.NotContains(t, seen, false)
		assert.EqualValues(t, total, client.queue.Sent())
		assert.Zero(t, server.conn.Drops())
	})
}

func TestQueueRefuses(t *testing.T) {
	each(t, Options{}, func(t *testing.T, server, client *end) {
		q := client.queue
		other := AddrFrom(netip.MustParseAddrPort("127.0.0.1:9"))
		if client.conn.v4 {
			other = AddrFrom(netip.MustParseAddrPort("[::1]:9"))
		}
		q.Send(make([]byte, MaxPacket+1), server.addr(), LocalInfo{})
		assert.EqualValues(t, 1, q.ErrorsOf(ClassTooBig))
		q.Send([]byte("one"), other, LocalInfo{})
		q.Send([]byte("two"), server.addr(), LocalInfo{})
		q.Send([]byte("three"), other, LocalInfo{})
		q.Flush()
		assert.EqualValues(t, 2, q.ErrorsOf(ClassFamily))
		assert.EqualValues(t, 3, q.Errors())
		assert.EqualValues(t, 1, q.Sent())
		assert.Equal(t, [][]byte{[]byte("two")}, server.collect(1))
		assert.Panics(t, func() { q.Commit(MaxPacket+1, other, LocalInfo{}) })
		assert.Zero(t, q.ErrorsOf(NumErrorClasses))
	})
}

// One datagram that the kernel refuses must not take the rest of its batch.
func TestRefusedInTheMiddle(t *testing.T) {
	each(t, Options{}, func(t *testing.T, server, client *end) {
		nowhere := server.addr()
		nowhere.Port = 0 // EINVAL
		client.queue.Send([]byte("first"), server.addr(), LocalInfo{})
		client.queue.Send([]byte("lost"), nowhere, LocalInfo{})
		client.queue.Send([]byte("last"), server.addr(), LocalInfo{})
		client.queue.Flush()
		assert.Equal(t, [][]byte{[]byte("first"), []byte("last")}, server.collect(2))
		assert.EqualValues(t, 2, client.queue.Sent())
		assert.EqualValues(t, 1, client.queue.Errors())
	})
}

func TestClose(t *testing.T) {
	each(t, Options{}, func(t *testing.T, server, client *end) {
		client.queue.Send([]byte("late"), server.addr(), LocalInfo{})
		client.poller.Remove(client.conn)
		require.NoError(t, client.conn.Close())
		client.queue.Flush()
		assert.EqualValues(t, 1, client.queue.Errors())
		_, err := client.conn.Recv(client.batch)
		assert.ErrorIs(t, err, net.ErrClosed)
		assert.ErrorIs(t, client.conn.Close(), net.ErrClosed)
		assert.ErrorIs(t, server.poller.Add(client.conn, 1), net.ErrClosed)
		assert.Zero(t, client.conn.QueueRatio())
	})
}

func TestBind(t *testing.T) {
	for _, impl := range implementations {
		t.Run(impl.name, func(t *testing.T) {
			v6, err := impl.listen(netip.MustParseAddrPort("[::]:0"), Options{PacketInfo: true})
			require.NoError(t, err)
			defer v6.Close()
			port := v6.LocalAddr().Port()
			v4, err := impl.listen(netip.AddrPortFrom(netip.IPv4Unspecified(), port), Options{PacketInfo: true})
			require.NoError(t, err, "both families on one port")
			defer v4.Close()

			_, err = impl.listen(v4.LocalAddr(), Options{})
			assert.ErrorIs(t, err, syscall.EADDRINUSE)
			_, err = impl.listen(netip.AddrPort{}, Options{})
			assert.ErrorContains(t, err, "invalid address")
			_, err = impl.listen(netip.MustParseAddrPort("192.0.2.1:0"), Options{})
			assert.ErrorIs(t, err, syscall.EADDRNOTAVAIL)

			m, err := impl.listen(netip.MustParseAddrPort("[::ffff:127.0.0.1]:0"), Options{SendBuffer: 1 << 16})
			require.NoError(t, err)
			defer m.Close()
			assert.True(t, m.LocalAddr().Addr().Is4(), "v4-mapped is IPv4")
		})
	}
}

func TestReusePort(t *testing.T) {
	for _, impl := range implementations {
		t.Run(impl.name, func(t *testing.T) {
			a, err := impl.listen(netip.MustParseAddrPort("127.0.0.1:0"), Options{ReusePort: true})
			require.NoError(t, err)
			defer a.Close()
			b, err := impl.listen(a.LocalAddr(), Options{ReusePort: true})
			require.NoError(t, err)
			defer b.Close()
			assert.Equal(t, a.LocalAddr(), b.LocalAddr())
		})
	}
}

// The buffer is small and nobody reads: the rest is counted, and the count is
// known at the latest with the next datagram that is read.
func TestDrops(t *testing.T) {
	each(t, Options{RecvBuffer: 4096}, func(t *testing.T, server, client *end) {
		junk := make([]byte, 1000)
		for range 40 {
			for range 64 {
				client.queue.Send(junk, server.addr(), LocalInfo{})
			}
			client.queue.Flush()
		}
		for range 100 {
			client.send(server.addr(), junk)
			server.recv()
			if server.conn.Drops() > 0 {
				return
			}
		}
		// The portable reader is fast enough that only its ring can be full.
		_, portable := server.conn.back.(*softConn)
		assert.True(t, portable, "no drop was counted")
	})
}

func TestRingFull(t *testing.T) {
	c, err := ListenPortable(netip.MustParseAddrPort("127.0.0.1:0"), Options{})
	require.NoError(t, err)
	defer c.Close()
	s := c.back.(*softConn)
	for i := range ringSlots + 3 {
		s.push([]byte{byte(i)}, Addr{})
	}
	assert.EqualValues(t, 3, c.Drops())
	assert.EqualValues(t, 1, c.QueueRatio())
	b := NewBatch(64, 64)
	n, err := c.Recv(b)
	require.NoError(t, err)
	assert.Equal(t, 64, n)
	assert.Equal(t, []byte{63}, b.Data(63), "the oldest are kept")
}

func TestErrorClass(t *testing.T) {
	tests := []struct {
		name  string
		errno syscall.Errno
		want  ErrorClass
		label string
	}{
		{"buffer full", syscall.EAGAIN, ClassFull, "full"},
		{"no buffers", syscall.ENOBUFS, ClassFull, "full"},
		{"port closed", syscall.ECONNREFUSED, ClassRefused, "refused"},
		{"no route", syscall.ENETUNREACH, ClassUnreachable, "unreachable"},
		{"too big", syscall.EMSGSIZE, ClassTooBig, "too_big"},
		{"filtered", syscall.EPERM, ClassDenied, "denied"},
		{"family", syscall.EAFNOSUPPORT, ClassFamily, "family"},
		{"else", syscall.EIO, ClassOther, "other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, classOf(tt.errno))
			assert.Equal(t, tt.want, classOfError(&net.OpError{Err: tt.errno}))
			assert.Equal(t, tt.label, tt.want.String())
		})
	}
	assert.Equal(t, ClassOther, classOfError(net.ErrClosed))
	assert.Equal(t, "other", NumErrorClasses.String())
}

// Two processes that share ports of their own must never meet on one, and a
// port of 0 must not find one that others share.
func TestListenShared(t *testing.T) {
	for _, impl := range []struct {
		name   string
		listen opener
	}{{"native", listenNative}, {"portable", listenPortable}} {
		t.Run(impl.name, func(t *testing.T) {
			any := netip.MustParseAddrPort("127.0.0.1:0")
			a, err := share(any, 3, Options{}, impl.listen)
			require.NoError(t, err)
			require.Len(t, a, 3)
			for _, c := range a {
				assert.Equal(t, a[0].LocalAddr(), c.LocalAddr())
				t.Cleanup(func() { require.NoError(t, c.Close()) })
			}
			_, err = share(a[0].LocalAddr(), 2, Options{}, impl.listen)
			require.ErrorIs(t, err, syscall.EADDRINUSE)
			_, err = share(a[0].LocalAddr(), 1, Options{}, impl.listen)
			require.ErrorIs(t, err, syscall.EADDRINUSE)
		})
	}
}

// A buffer can be made smaller and larger while the socket is used.
func TestSetRecvBuffer(t *testing.T) {
	each(t, Options{RecvBuffer: 1 << 20}, func(t *testing.T, server, client *end) {
		require.NoError(t, server.conn.SetRecvBuffer(1<<16))
		client.send(server.addr(), []byte("fits"))
		require.Equal(t, 1, server.recv())
		require.NoError(t, server.conn.SetRecvBuffer(1<<20))
		require.NoError(t, server.conn.Close())
		assert.ErrorIs(t, server.conn.SetRecvBuffer(1), net.ErrClosed)
	})
}
