package udp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func open1(t *testing.T, at string, o Options) *end {
	c, err := Listen(netip.MustParseAddrPort(at), o)
	require.NoError(t, err)
	p, err := NewPoller()
	require.NoError(t, err)
	return newEnd(t, c, p)
}

func (e *end) raw() *rawConn { return e.conn.back.(*rawConn) }

// A client checks where the answer comes from; a host with many addresses
// must answer from the one that was asked.
func TestReplySource(t *testing.T) {
	tests := []struct{ name, bind, client, ask string }{
		{"v4 second address", "0.0.0.0:0", "127.0.0.1:0", "127.0.0.2"},
		{"v4 first address", "0.0.0.0:0", "127.0.0.1:0", "127.0.0.1"},
		{"v6", "[::]:0", "[::1]:0", "::1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server, client := open1(t, tt.bind, Options{PacketInfo: true}), open1(t, tt.client, Options{})
			asked := netip.AddrPortFrom(netip.MustParseAddr(tt.ask), server.conn.LocalAddr().Port())
			client.send(AddrFrom(asked), []byte("q"), []byte("q"))
			for got := 0; got < 2; {
				n := server.recv()
				got += n
				for i := range n {
					assert.Equal(t, asked.Addr(), server.batch.Local(i).Addr())
					server.queue.Send([]byte("a"), server.batch.Addr(i), server.batch.Local(i))
				}
				server.queue.Flush()
			}
			client.recv()
			assert.Equal(t, asked, client.batch.Addr(0).AddrPort())
		})
	}
}

func TestWildcardWithoutPacketInfo(t *testing.T) {
	server, client := open1(t, "0.0.0.0:0", Options{}), open1(t, "127.0.0.1:0", Options{})
	to := AddrFrom(netip.MustParseAddrPort("127.0.0.2:1"))
	to.Port = server.addr().Port
	client.send(to, []byte("q"))
	server.recv()
	assert.False(t, server.batch.Local(0).Addr().IsValid())
}

// Only a connected socket is told of a closed port. The errors must be read
// off, counted, and stop neither what is received nor what is sent.
func TestClosedPort(t *testing.T) {
	gone := open1(t, "127.0.0.1:0", Options{})
	closed := gone.addr()
	gone.poller.Remove(gone.conn)
	require.NoError(t, gone.conn.Close())

	e, home := open1(t, "127.0.0.1:0", Options{}), open1(t, "127.0.0.1:0", Options{})
	require.NoError(t, unix.Connect(e.raw().fd, sockaddr(closed)))
	e.send(closed, []byte("1"))
	_, err := e.conn.Recv(e.batch)
	require.NoError(t, err)
	assert.EqualValues(t, 1, e.conn.RecvErrors(ClassRefused), "on receive")

	for range 5 {
		e.queue.Send([]byte("to nobody"), closed, LocalInfo{})
		e.queue.Send([]byte("to the home"), home.addr(), LocalInfo{})
	}
	e.queue.Flush()
	for _, b := range home.collect(5) {
		assert.Equal(t, "to the home", string(b))
	}
	assert.EqualValues(t, 11, e.queue.Sent(), "an echo of the last costs no datagram")
	assert.Zero(t, e.queue.Errors())
	e.send(closed, []byte("x"))
	e.send(home.addr(), []byte("y"))
	assert.Len(t, home.collect(1), 1)
	assert.EqualValues(t, 2, e.conn.RecvErrors(ClassRefused), "on send")

	_, err = e.conn.Recv(e.batch)
	require.NoError(t, err)
	tags, _, err := e.poller.Wait(0)
	require.NoError(t, err)
	assert.Empty(t, tags, "nothing is left that would spin the loop")
}

func TestUnconnectedIgnoresClosedPort(t *testing.T) {
	e, home := open1(t, "127.0.0.1:0", Options{}), open1(t, "127.0.0.1:0", Options{})
	closed := e.addr()
	closed.Port = 1
	e.send(closed, []byte("1"), []byte("2"))
	e.send(home.addr(), []byte("3"))
	assert.Len(t, home.collect(1), 1)
	assert.Zero(t, e.queue.Errors())
	assert.Zero(t, e.conn.RecvErrors(ClassRefused))
}

func TestNoDescriptors(t *testing.T) {
	var was unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	low := unix.Rlimit{Cur: 3, Max: was.Max}
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	_, errConn := Listen(netip.MustParseAddrPort("127.0.0.1:0"), Options{})
	_, errPoller := NewPoller()
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was))
	assert.ErrorIs(t, errConn, syscall.EMFILE)
	assert.ErrorIs(t, errPoller, syscall.EMFILE)
}

func TestSocketOptions(t *testing.T) {
	e := open1(t, "[::1]:0", Options{ReusePort: true, RecvBuffer: 1 << 17, SendBuffer: 1 << 16})
	get := func(level, name int) int {
		v, err := unix.GetsockoptInt(e.raw().fd, level, name)
		require.NoError(t, err)
		return v
	}
	assert.Equal(t, 2<<17, get(unix.SOL_SOCKET, unix.SO_RCVBUF), "the kernel doubles it")
	assert.Equal(t, 2<<16, get(unix.SOL_SOCKET, unix.SO_SNDBUF))
	assert.NotZero(t, get(unix.SOL_SOCKET, unix.SO_REUSEPORT))
	assert.NotZero(t, get(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY))
	assert.NotZero(t, get(unix.SOL_SOCKET, unix.SO_RXQ_OVFL))
}

// Nobody reads the eventfd, so its counter is the number of writes.
func TestWakeWritesOncePerSleep(t *testing.T) {
	p, err := NewPoller()
	require.NoError(t, err)
	defer p.Close()
	e := p.back.(*epoll)
	writes := func() uint64 {
		var b [8]byte
		if _, err := unix.Read(e.wakeFD, b[:]); err != nil {
			return 0
		}
		return binary.NativeEndian.Uint64(b[:])
	}
	for range 10 {
		p.Wake()
	}
	assert.Zero(t, writes(), "the owner is awake")
	_, woken, _ := p.Wait(-1)
	assert.True(t, woken)

	require.True(t, e.state.CompareAndSwap(awake, sleeping))
	for range 10 {
		p.Wake()
	}
	e.state.Store(awake)
	assert.EqualValues(t, 1, writes())
}

func TestPollerRefusesForeign(t *testing.T) {
	native := open1(t, "127.0.0.1:0", Options{})
	soft, err := ListenPortable(netip.MustParseAddrPort("127.0.0.1:0"), Options{})
	require.NoError(t, err)
	defer soft.Close()
	p, err := NewPortablePoller()
	require.NoError(t, err)
	defer p.Close()
	assert.ErrorIs(t, p.Add(native.conn, 1), errForeignConn)
	assert.ErrorIs(t, native.poller.Add(soft, 1), errForeignConn)
	p.Remove(native.conn)
	native.poller.Remove(soft)
	assert.ErrorIs(t, native.poller.Add(native.conn, 1), syscall.EEXIST)
}

func TestQueueRatio(t *testing.T) {
	server, client := open1(t, "127.0.0.1:0", Options{}), open1(t, "127.0.0.1:0", Options{})
	assert.Zero(t, server.conn.QueueRatio())
	client.send(server.addr(), make([]byte, 1000))
	assert.Greater(t, server.conn.QueueRatio(), 0.0)
}

// SO_REUSEPORT spreads clients, and keeps each of them with one shard.
func TestReusePortSpreads(t *testing.T) {
	a := open1(t, "127.0.0.1:0", Options{ReusePort: true})
	b := open1(t, a.conn.LocalAddr().String(), Options{ReusePort: true})
	for i := range 32 {
		c := open1(t, "127.0.0.1:0", Options{})
		c.send(a.addr(), fmt.Append(nil, i), fmt.Append(nil, i))
	}
	n, err := a.conn.Recv(a.batch)
	require.NoError(t, err)
	m, err := b.conn.Recv(b.batch)
	require.NoError(t, err)
	assert.Equal(t, 64, n+m)
	assert.NotZero(t, n)
	assert.NotZero(t, m)
	for i := 0; i < n; i += 2 {
		assert.Equal(t, a.batch.Addr(i), a.batch.Addr(i+1))
	}
}

// The kernel's headers come from outside; a length that lies ends the walk.
func TestControlBounds(t *testing.T) {
	tests := []struct {
		name string
		end  int
		make func(c *control)
		set  bool
	}{
		{"none", 0, func(*control) {}, false},
		{"header cut", headerLen - 1, func(c *control) { c.putHeader(0, unix.IPPROTO_IP, unix.IP_PKTINFO, 12) }, false},
		{"whole", 32, func(c *control) { c.putHeader(0, unix.IPPROTO_IP, unix.IP_PKTINFO, 12) }, true},
		{"data short", 32, func(c *control) { c.putHeader(0, unix.IPPROTO_IP, unix.IP_PKTINFO, 8) }, false},
		{"length zero", 32, func(*control) {}, false},
		{"length past the end", 24, func(c *control) { c.putHeader(0, unix.IPPROTO_IP, unix.IP_PKTINFO, 12) }, false},
		{"end past the buffer", controlLen + 8, func(c *control) { c.putHeader(0, unix.IPPROTO_IP, unix.IP_PKTINFO, 12) }, false},
		{"unknown first", 56, func(c *control) {
			_, next := c.putHeader(0, unix.SOL_SOCKET, unix.SO_TIMESTAMP, 8)
			c.putHeader(next, unix.IPPROTO_IP, unix.IP_PKTINFO, 12)
		}, true},
		{"v6 multicast", 40, func(c *control) {
			data, _ := c.putHeader(0, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, 20)
			data[0] = 0xff
		}, false},
		{"v6 link-local", 40, func(c *control) {
			data, _ := c.putHeader(0, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, 20)
			data[0], data[1] = 0xfe, 0x80
			data[16], data[19] = 9, 9
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c control
			tt.make(&c)
			var l LocalInfo
			r := &rawConn{conn: &Conn{}}
			r.control(&c, tt.end, &l)
			assert.Equal(t, tt.set, l.set)
			assert.Equal(t, tt.name == "v6 link-local", l.ifindex != 0)
		})
	}
}

// The walk ends within the buffer whatever it holds.
func FuzzControl(f *testing.F) {
	var c control
	_, next := c.putHeader(0, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 4)
	_, next = c.putHeader(next, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, 20)
	f.Add(c.bytes(), next)
	f.Add([]byte{1}, controlLen)
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 127}, controlLen)
	f.Add([]byte{17, 0, 0, 0, 0, 0, 0, 0}, 17)
	f.Fuzz(func(_ *testing.T, b []byte, end int) {
		var c control
		copy(c.bytes(), b)
		var l LocalInfo
		(&rawConn{conn: &Conn{}}).control(&c, end, &l)
	})
}

func TestDropCounterWraps(t *testing.T) {
	r := &rawConn{conn: &Conn{}}
	for _, total := range []uint32{5, 5, 1<<32 - 1, 4} {
		r.dropped(total)
	}
	assert.EqualValues(t, 5, r.conn.Drops(), "a jump of half the range is no count")
	r = &rawConn{conn: &Conn{}, ovfl: 1<<32 - 2}
	r.dropped(3)
	assert.EqualValues(t, 5, r.conn.Drops())
}

func TestRecvAfterDescriptorIsGone(t *testing.T) {
	e := open1(t, "127.0.0.1:0", Options{})
	r := e.raw()
	fd := r.fd
	r.fd = -1
	_, err := e.conn.Recv(e.batch)
	assert.ErrorIs(t, err, syscall.EBADF)
	e.send(e.addr(), []byte("x"), []byte("y"))
	assert.EqualValues(t, 2, e.queue.ErrorsOf(ClassOther))
	r.fd = fd
}

func TestSetRecvBufferReachesTheKernel(t *testing.T) {
	e := open1(t, "127.0.0.1:0", Options{RecvBuffer: 1 << 20})
	before, err := unix.GetsockoptInt(e.raw().fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	require.NoError(t, err)
	require.NoError(t, e.conn.SetRecvBuffer(1<<16))
	after, err := unix.GetsockoptInt(e.raw().fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	require.NoError(t, err)
	assert.Less(t, after, before)
}
