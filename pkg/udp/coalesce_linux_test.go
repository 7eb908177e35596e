package udp

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// joinedPair is a sender with segmentation and a receiver that takes what
// belongs together in one piece.
func joinedPair(t *testing.T, bind string, o Options, batch *Batch) (server, client *end) {
	open := func(o Options) *end {
		c, err := Listen(netip.MustParseAddrPort(bind), o)
		require.NoError(t, err)
		p, err := NewPoller()
		require.NoError(t, err)
		return newEnd(t, c, p)
	}
	o.Coalesce = true
	server, client = open(o), open(Options{Segment: true})
	server.batch = batch
	return server, client
}

// Whatever came together, each datagram is given out once, whole, with its
// source, also where more came than the batch lists.
func TestCoalesce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		bind    string
		listed  int // datagrams the batch lists
		size    int // of its buffers
		lengths []int
		joined  bool
	}{
		{"v4", "127.0.0.1:0", 64, Wide, same(60, 200), true},
		{"v6", "[::1]:0", 64, Wide, same(60, 200), true},
		{"a shorter last one", "127.0.0.1:0", 64, Wide, append(same(10, 300), 20), true},
		{"more than the batch lists", "127.0.0.1:0", 8, Wide, same(60, 100), true},
		{"one by one", "127.0.0.1:0", 1, Wide, same(5, 100), true},
		{"one alone", "127.0.0.1:0", 64, Wide, []int{100}, false},
		{"empty ones", "127.0.0.1:0", 64, Wide, []int{0, 0, 50}, false},
		{"a batch that is not wide", "127.0.0.1:0", 64, MaxPacket + 1, same(20, 100), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, client := joinedPair(t, tt.bind, Options{}, NewBatch(tt.listed, tt.size))
			if tt.size < Wide {
				n, err := server.conn.Recv(server.batch) // sees the batch before anything has come
				require.NoError(t, err)
				require.Zero(t, n)
			}
			want := map[string]int{}
			for i, n := range tt.lengths {
				b := make([]byte, n)
				if n >= 4 {
					copy(b, fmt.Sprintf("%04d", i))
				}
				want[string(b)]++
				client.queue.Send(b, server.addr(), LocalInfo{})
			}
			client.queue.Flush()
			require.Zero(t, client.queue.Errors())
			pending := false
			for got := 0; got < len(tt.lengths); {
				n, err := server.conn.Recv(server.batch)
				require.NoError(t, err)
				require.NotZero(t, n, "all of them: loopback delivers before the send returns")
				for i := range n {
					want[string(server.batch.Data(i))]--
					assert.Equal(t, client.addr(), server.batch.Addr(i))
					assert.False(t, server.batch.Truncated(i))
				}
				pending = pending || server.batch.Pending()
				got += n
			}
			for b, n := range want {
				assert.Zero(t, n, "%q", b)
			}
			assert.False(t, server.batch.Pending())
			n, err := server.conn.Recv(server.batch)
			require.NoError(t, err)
			assert.Zero(t, n)
			messages := server.batch.headers
			if tt.joined {
				assert.Less(t, int(server.batch.rest.end), len(tt.lengths), "in fewer pieces: %v", messages.dirty)
			}
			assert.Equal(t, tt.joined && tt.listed < len(tt.lengths), pending)
		})
	}
}

// Where another socket uses the batch meanwhile, what was pending is lost, and
// nothing waits for it for ever.
func TestCoalescePendingBelongsToItsSocket(t *testing.T) {
	server, client := joinedPair(t, "127.0.0.1:0", Options{}, NewBatch(4, Wide))
	for range 10 {
		client.queue.Send([]byte("together"), server.addr(), LocalInfo{})
	}
	client.queue.Flush()
	n, err := server.conn.Recv(server.batch)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.True(t, server.batch.Pending())
	n, err = client.conn.Recv(server.batch)
	require.NoError(t, err)
	assert.Zero(t, n)
	assert.False(t, server.batch.Pending())
	n, err = server.conn.Recv(server.batch)
	require.NoError(t, err)
	assert.Zero(t, n)
}

// The size that the kernel reports is not trusted.
func TestCoalescedSize(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int32
		want []int32
	}{
		{"none", 0, []int32{100}}, {"negative", -5, []int32{100}}, {"larger than all", 1000, []int32{100}},
		{"parts", 40, []int32{40, 40, 20}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBatch(8, Wide)
			r := &rawConn{conn: &Conn{v4: true}}
			data, end := b.headers.ctrls[0].putHeader(0, unix.IPPROTO_UDP, unix.UDP_GRO, 4)
			for i := range data {
				data[i] = byte(uint32(tt.size) >> (8 * i))
			}
			b.headers.msgs[0].Len = 100
			b.headers.msgs[0].Hdr.SetControllen(end)
			b.rest = rest{conn: r.conn, end: 1}
			n := r.give(b)
			assert.Equal(t, tt.want, b.lens[:n])
			at := int32(0)
			for i := range n {
				assert.Equal(t, at, b.starts[i])
				at += b.lens[i]
			}
		})
	}
}

// Whether more may wait at the kernel is not told by the number of datagrams.
func TestCoalescedFull(t *testing.T) {
	server, client := joinedPair(t, "127.0.0.1:0", Options{}, NewBatch(4, Wide))
	for i, together := range []int{3, 3, 3, 1, 2} {
		for range together {
			client.queue.Send([]byte{byte(i)}, server.addr(), LocalInfo{})
		}
		client.queue.Flush()
	}
	var got []int
	var full []bool
	for n := -1; n != 0; {
		var err error
		n, err = server.conn.Recv(server.batch)
		require.NoError(t, err)
		got, full = append(got, n), append(full, server.batch.Full())
	}
	assert.Equal(t, []int{4, 4, 2, 2, 0}, got)
	assert.Equal(t, []bool{true, true, true, false, false}, full)
}
