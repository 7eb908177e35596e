package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/roamgate/roamgate/pkg/udp"
)

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// Where the kernel has no SCTP it is said in as many words; where it has, a connection
// stands. D29.
func TestSCTPOfThisKernel(t *testing.T) {
	l, err := ListenSCTP(anyPort)
	if errors.Is(err, ErrNoSCTP) {
		t.Log("this kernel has no SCTP")
		_, err = DialSCTP(context.Background(), netip.MustParseAddrPort("127.0.0.1:3868"))
		assert.ErrorIs(t, err, ErrNoSCTP)
		assert.EqualError(t, err, "this system has no SCTP")
		return
	}
	require.NoError(t, err)
	meetSCTP(t, l)
}

// The same calls with sockets that every kernel has. D29.
func TestSCTPCalls(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		readied := 0
		was := sctpSockets
		sctpSockets.protocol, sctpSockets.ready = unix.IPPROTO_TCP, func(int) error { readied++; return nil }
		t.Cleanup(func() { sctpSockets = was })
		l, err := ListenSCTP(netip.MustParseAddrPort(at))
		require.NoError(t, err)
		meetSCTP(t, l)
		assert.Equal(t, 2, readied)
		_, err = DialSCTP(context.Background(), addrPort(l.Addr()))
		assert.ErrorIs(t, err, unix.ECONNREFUSED)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = DialSCTP(ctx, addrPort(l.Addr()))
		assert.Error(t, err)
		sctpSockets = was
	}
}

func TestSCTPOptionsRefused(t *testing.T) {
	was := sctpSockets
	t.Cleanup(func() { sctpSockets = was })
	sctpSockets.protocol = unix.IPPROTO_TCP // which has none of these options
	_, err := DialSCTP(context.Background(), netip.MustParseAddrPort("127.0.0.1:1"))
	assert.ErrorContains(t, err, "setsockopt")
	_, err = ListenSCTP(anyPort)
	assert.ErrorContains(t, err, "setsockopt")
}

// meetSCTP connects, and sees each message leave by a call of its own.
func meetSCTP(t *testing.T, l net.Listener) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := DialSCTP(ctx, addrPort(l.Addr()))
	require.NoError(t, err)
	theirs, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	conn, err := SCTP(c)
	require.NoError(t, err)
	e := &end{t: t, conn: conn, peer: theirs}
	e.attach(udp.NewPoller)
	calls := &writes{link: conn.link}
	conn.link = calls
	var want []byte
	for i := range byte(5) {
		b := message(i, 100+4*int(i))
		conn.Commit(copy(conn.RoomFor(len(b)), b))
		want = append(want, b...)
	}
	require.NoError(t, conn.Flush())
	assert.Equal(t, 5, calls.n)
	got := make([]byte, len(want))
	require.NoError(t, theirs.SetReadDeadline(time.Now().Add(patience)))
	_, err = io.ReadFull(theirs, got)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	e.write(message(9, 500))
	assert.Equal(t, [][]byte{message(9, 500)}, e.receive(1))
}

// writes counts the writes of a link.
type writes struct {
	link
	n int
}

func (c *writes) write(p []byte) (int, error) {
	c.n++
	return c.link.write(p)
}
