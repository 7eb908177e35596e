package udp

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// UDP generic segmentation offload: datagrams for one destination that are
// all of one length, the last of them maybe shorter, go through the stack as
// one and are cut apart behind it.
const (
	maxSegments = 64
	maxTogether = 65_000 // octets, below the largest datagram of either family
	// maxSegment fits the smallest path of IPv6 (RFC 8200 §5): the kernel
	// refuses segments that would have to be fragmented.
	maxSegment = 1280 - 40 - 8
)

// The sort key: a hash of the destination, then the length downwards, then
// the place in the queue.
const (
	placeBits  = 8
	lengthBits = 13
)

// bySegment sorts order so that together finds long runs.
func (q *Queue) bySegment(order []int) {
	keys := q.headers.keys[:0]
	for _, i := range order {
		k := q.to[i].mix() >> (placeBits + lengthBits) << lengthBits
		k |= uint64(MaxPacket - q.lens[i])
		keys = append(keys, k<<placeBits|uint64(i))
	}
	slices.Sort(keys)
	for j, k := range keys {
		order[j] = int(k & (1<<placeBits - 1))
	}
}

// together returns how many datagrams at the head of order one message takes.
func (q *Queue) together(order []int) int {
	first := order[0]
	size := q.lens[first]
	if size == 0 || size > maxSegment {
		return 1
	}
	most := min(maxSegments, maxTogether/int(size))
	for n, i := range order[1:] {
		short := q.lens[i] < size
		switch {
		case n+1 == most, q.lens[i] == 0, q.lens[i] > size,
			q.to[i] != q.to[first], q.locals[i] != q.locals[first]:
			return n + 1
		case short:
			return n + 2
		}
	}
	return len(order)
}

// mix spreads a; equal addresses are all that matters.
func (a *Addr) mix() uint64 {
	const odd = 0x9e3779b97f4a7c15
	h := binary.NativeEndian.Uint64(a.IP[:8])*odd ^ binary.NativeEndian.Uint64(a.IP[8:])
	h = (h^h>>32)*odd + uint64(a.Port)<<32 + uint64(a.Zone)
	return (h ^ h>>29) * odd
}

// putSegment adds the segment size behind off and returns the new end.
func putSegment(c *control, off int, size int32) int {
	data, end := c.putHeader(off, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
	binary.NativeEndian.PutUint16(data, uint16(size))
	return end
}
