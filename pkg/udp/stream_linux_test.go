package udp

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pair gives the two ends of a connection, both non-blocking.
func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

func TestStreams(t *testing.T) {
	p, err := NewPoller()
	require.NoError(t, err)
	defer p.Close()
	a, b := pair(t)
	require.NoError(t, p.AddStream(a, 9))
	look := func() []uint32 {
		tags, _, err := p.Wait(0)
		require.NoError(t, err)
		return tags
	}
	assert.Empty(t, look(), "room to write is not told unless asked for")
	_, err = unix.Write(b, []byte("xy"))
	require.NoError(t, err)
	assert.Equal(t, []uint32{9}, look())
	assert.Equal(t, []uint32{9}, look(), "what is not read is told again")
	var buf [8]byte
	_, err = unix.Read(a, buf[:])
	require.NoError(t, err)
	assert.Empty(t, look())

	require.NoError(t, p.SetWritable(a, 9, true))
	assert.Equal(t, []uint32{9}, look())
	require.NoError(t, p.SetWritable(a, 9, false))
	assert.Empty(t, look())

	require.NoError(t, unix.Shutdown(b, unix.SHUT_WR))
	assert.Equal(t, []uint32{9}, look(), "its end is told")
	p.RemoveStream(a)
	p.RemoveStream(a)
	assert.Empty(t, look())
}

func TestStreamsOfAClosedPoller(t *testing.T) {
	p, err := NewPoller()
	require.NoError(t, err)
	a, _ := pair(t)
	p.Close()
	require.Error(t, p.AddStream(a, 1))
	require.Error(t, p.SetWritable(a, 1, true))
	p.RemoveStream(a)
	p.Post(1)
}

func TestAllocsStreams(t *testing.T) {
	p, err := NewPoller()
	require.NoError(t, err)
	defer p.Close()
	a, _ := pair(t)
	require.NoError(t, p.AddStream(a, 9))
	p.Post(1)
	_, _, _ = p.Wait(0)
	require.Zero(t, testing.AllocsPerRun(50, func() {
		p.Post(7)
		_ = p.SetWritable(a, 9, true)
		_, _, _ = p.Wait(-1)
		_ = p.SetWritable(a, 9, false)
	}))
}
