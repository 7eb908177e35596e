package stream

import (
	"encoding/binary"
	"net"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// maxUnsent bounds what is kept for a peer, unless Diameter says otherwise.
const maxUnsent = 1 << 20

// block is a piece of what is to be sent: whole packets, but for what the
// system has taken already.
type block struct {
	start, end int
	b          []byte
}

// lendBlock gives one with room for n octets.
func lendBlock(n int) *block {
	size, from := blockSize, &blocks
	if n > blockSize {
		size, from = maxMessage, &longBlocks
	}
	b := from.lend()
	if b.b == nil {
		b.b = make([]byte, size)
	}
	return b
}

func (b *block) back() {
	b.start, b.end = 0, 0
	if len(b.b) > blockSize {
		longBlocks.back(b)
	} else {
		blocks.back(b)
	}
}

// outbox holds what was committed and neither sent nor encrypted.
type outbox struct {
	most    int  // octets that are kept
	single  bool // a write has one message
	blocks  []*block
	queued  int
	waiting bool // the poller tells when there is room
}

func (o *outbox) last() *block {
	if len(o.blocks) == 0 {
		return nil
	}
	return o.blocks[len(o.blocks)-1]
}

// drop gives the first n blocks back.
func (o *outbox) drop(n int) {
	for _, b := range o.blocks[:n] {
		b.back()
	}
	rest := copy(o.blocks, o.blocks[n:])
	clear(o.blocks[rest:])
	o.blocks = o.blocks[:rest]
}

func (o *outbox) free() {
	o.drop(len(o.blocks))
	o.queued = 0
}

// Room lends 4096 octets to build a packet in, nil: the peer takes too little
// and the packet is not to be sent. Until Commit it lends the same again. What
// was committed stays where it is until Flush.
// hot: 0 allocs
func (c *Conn) Room() []byte {
	return c.RoomFor(maxPacket)
}

// RoomFor is Room for a message of n octets, 64 KiB at most.
// hot: 0 allocs
func (c *Conn) RoomFor(n int) []byte {
	if c.failed != nil || c.closed || c.Queued() > c.out.most-n || n > maxMessage {
		return nil
	}
	b := c.out.last()
	if b == nil || b.end > len(b.b)-n {
		b = lendBlock(n)
		c.out.blocks = append(c.out.blocks, b)
	}
	return b.b[b.end : b.end+n : b.end+n]
}

// Commit adds the first n octets of what Room lent to what is to be sent.
func (c *Conn) Commit(n int) {
	c.out.last().end += n
	c.out.queued += n
}

// Flush sends what was committed, as far as the peer takes it; the rest goes
// when it takes more. An error ends the connection.
// hot: 0 allocs
func (c *Conn) Flush() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.failed == nil && c.link != nil:
		c.failed = c.flush()
	}
	return c.failed
}

func (c *Conn) flush() error {
	for {
		if err := c.push(); err != nil {
			return err
		}
		if c.pending() > 0 || c.out.queued == 0 {
			break
		}
		if c.sec != nil {
			if err := c.encrypt(); err != nil {
				return err
			}
		} else if full, err := c.pushPlain(); full || err != nil {
			if err != nil {
				return err
			}
			break
		}
	}
	if c.out.queued == 0 && len(c.out.blocks) > 0 {
		c.out.free()
	}
	return c.await(c.Queued() > 0)
}

// await asks the poller to tell when there is room, as long as that is needed.
func (c *Conn) await(room bool) error {
	if c.out.waiting == room {
		return nil
	}
	c.out.waiting = room
	return c.link.writable(room)
}

// pending is what is encrypted and not sent.
func (c *Conn) pending() int {
	if c.wire == nil {
		return 0
	}
	return len(c.wire.out) - c.wire.sent
}

// push sends what is encrypted.
func (c *Conn) push() error {
	w := c.wire
	if w == nil || len(w.out) == 0 {
		return nil
	}
	n, err := c.link.write(w.out[w.sent:])
	w.sent += n
	c.sent += uint64(n)
	if err != nil {
		return err
	}
	if w.sent == len(w.out) {
		w.free()
		return nil
	}
	return c.await(true)
}

// encrypt makes records of the first packets, as many as go by one system call.
// Each of RADIUS has one of its own: FreeRADIUS 3.2 takes no packet of a record that has
// more than one (draft-ietf-radext-radiusdtls-bis section 4.1 writes them one by
// one).
func (c *Conn) encrypt() error {
	for done, b := range c.out.blocks {
		for b.start < b.end {
			n := min(maxPlain, b.end-b.start)
			if !c.in.diameter {
				n = min(max(int(binary.BigEndian.Uint16(b.b[b.start+2:])), minPacket), n)
			}
			if len(c.wire.out)+n+maxRecord-maxPlain > cipherSize {
				c.out.drop(done)
				return nil
			}
			if _, err := c.sec.Write(b.b[b.start : b.start+n]); err != nil {
				return err
			}
			b.start += n
			c.out.queued -= n
		}
	}
	c.out.drop(len(c.out.blocks))
	return nil
}

// pushPlain sends the first block, or the first message of it.
func (c *Conn) pushPlain() (full bool, err error) {
	b := c.out.blocks[0]
	end := b.end
	if c.out.single {
		n, _ := diameter.Frame(b.b[b.start:b.end])
		if end = b.start + n; n == 0 || end > b.end { // what is left of a message
			end = b.end
		}
	}
	n, err := c.link.write(b.b[b.start:end])
	b.start += n
	c.out.queued -= n
	c.sent += uint64(n)
	if err != nil || b.start < end {
		return true, err
	}
	if b.start == b.end {
		c.out.drop(1)
	}
	return false, nil
}
