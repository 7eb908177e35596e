package lanes

import "crypto/md5"

// width is the number of messages that a kernel takes at once.
const width = 16

// group is what a kernel works on, lane by lane. The kernels know the layout
// and use it up.
type group struct {
	sum  [width]uint32 // octets from the first sum; it is read, and written
	off  [width]uint32 // octets from the start of the arena
	left [width]uint32 // blocks; none: the lane is idle, but off is read
}

func (g *group) take(lane int, j *job) {
	g.sum[lane] = j.index * md5.Size
	g.off[lane] = j.off
	g.left[lane] = j.left
}

// kernel hashes the messages of a group side by side.
type kernel struct {
	name   string
	least  int // fewer messages are faster one after the other
	blocks func(sums *[md5.Size]byte, arena *byte, g *group)
}

// single is no kernel: crypto/md5 does all.
var single = kernel{name: "crypto/md5", least: width + 1}

// best is what a Batch has.
var best = append(kernels, single)[0]
