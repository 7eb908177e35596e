package udp

import (
	"encoding/binary"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// groups returns the messages that one queue of the given lengths makes, as
// datagrams per message. A negative length is for another destination.
func groups(lengths ...int) (parts []int) {
	q := NewQueue(&Conn{}, 256)
	r := &rawConn{conn: &Conn{v4: true}, segment: true}
	for _, n := range lengths {
		to := Addr{IP: mapped, V4: true, Port: 1}
		if n < 0 {
			n, to.Port = -n, 2
		}
		q.Next()
		q.Commit(n, to, LocalInfo{})
	}
	n := r.fill(q, r.order(q))
	return q.headers.parts[:n]
}

func same(n, size int) (out []int) {
	for range n {
		out = append(out, size)
	}
	return out
}

func TestSegmentGroups(t *testing.T) {
	tests := []struct {
		name    string
		lengths []int
		want    []int
	}{
		{"one", []int{100}, []int{1}},
		{"equal", same(5, 100), []int{5}},
		{"shorter last", []int{50, 100, 100}, []int{3}},
		{"all different", []int{10, 20, 30, 40}, []int{2, 2}},
		{"two destinations", []int{100, -100, 100, -100}, []int{2, 2}},
		{"empty goes alone", []int{0, 100, 100, 0}, []int{2, 1, 1}},
		{"long goes alone", []int{maxSegment + 1, maxSegment + 1, 100, 100}, []int{1, 1, 2}},
		{"segment limit", same(100, 100), []int{64, 36}},
		{"octet limit", same(60, maxSegment), []int{52, 8}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.ElementsMatch(t, tt.want, groups(tt.lengths...))
		})
	}
}

// Whatever the grouping, each datagram arrives once, whole and at its own
// destination; also when the kernel takes no segments on this socket.
func TestSegment(t *testing.T) {
	tests := []struct {
		name    string
		bind    string
		refused bool
	}{
		{"v4", "127.0.0.1:0", false},
		{"v6", "[::1]:0", false},
		{"v4 refused", "127.0.0.1:0", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := open1(t, tt.bind, Options{Segment: true})
			require.True(t, out.raw().segment)
			if tt.refused {
				require.NoError(t, unix.SetsockoptInt(out.raw().fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1))
			}
			const total = 192
			homes := []*end{open1(t, tt.bind, Options{}), open1(t, tt.bind, Options{}), open1(t, tt.bind, Options{})}
			for i := range total {
				b := out.queue.Next()
				binary.BigEndian.PutUint32(b, uint32(i))
				n := 20 + i%5*300 // up to 1220, in five lengths
				b[n-1] = byte(i)
				out.queue.Commit(n, homes[i%3].addr(), LocalInfo{})
			}
			out.queue.Flush()
			assert.Equal(t, !tt.refused, out.raw().segment)
			assert.EqualValues(t, total, out.queue.Sent())
			assert.Zero(t, out.queue.Errors())
			for k, h := range homes {
				seen := map[uint32]bool{}
				for _, b := range h.collect(total / 3) {
					i := binary.BigEndian.Uint32(b)
					assert.False(t, seen[i])
					seen[i] = true
					assert.EqualValues(t, k, i%3)
					assert.Len(t, b, int(20+i%5*300))
					assert.Equal(t, byte(i), b[len(b)-1])
				}
			}
		})
	}
}

// A destination that cannot be reached for a while must not cost a socket its
// segments for ever.
func TestWhatSwitchesSegmentsOff(t *testing.T) {
	for e, off := range map[syscall.Errno]bool{
		unix.EINVAL: true, unix.EIO: true, unix.EMSGSIZE: true, unix.EOPNOTSUPP: true,
		unix.ENETUNREACH: false, unix.EHOSTUNREACH: false, unix.EPERM: false, unix.ENOBUFS: false, unix.EAGAIN: false,
	} {
		assert.Equal(t, off, refusesSegments(e), e.Error())
	}
}
