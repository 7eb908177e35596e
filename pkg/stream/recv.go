package stream

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// inbox holds what came in. The borrowed buffer is full of packets between Recv
// and Done; what is left of one that is not whole waits in rest.
type inbox struct {
	diameter   bool
	buf        []byte // of short or of long, nil: none is borrowed
	short      *[inSize]byte
	long       *[longSize]byte
	start, end int
	rest       []byte // of shortRest or of longRest
	shortRest  *[maxPacket]byte
	longRest   *[maxMessage]byte
	skip       int // octets of a packet that is too long
	err        error
}

// borrow readies a buffer with what is left at its front.
func (in *inbox) borrow() {
	switch {
	case in.buf != nil:
		if in.start > 0 {
			in.end = copy(in.buf, in.buf[in.start:in.end])
			in.start = 0
		}
		return
	case in.diameter:
		in.long = longBuffers.lend()
		in.buf = in.long[:]
	default:
		in.short = inBuffers.lend()
		in.buf = in.short[:]
	}
	in.start, in.end = 0, copy(in.buf, in.rest)
	in.dropRest()
}

// done gives the buffer back. What is left is less than a packet.
func (in *inbox) done() {
	if in.buf == nil {
		return
	}
	if in.start < in.end {
		in.keep(in.buf[in.start:in.end])
	}
	if in.long != nil {
		longBuffers.back(in.long)
	} else {
		inBuffers.back(in.short)
	}
	in.buf, in.short, in.long, in.start, in.end = nil, nil, nil, 0, 0
}

// keep copies the begin of a packet aside.
func (in *inbox) keep(b []byte) {
	if len(b) > maxPacket {
		in.longRest = longRests.lend()
		in.rest = in.longRest[:copy(in.longRest[:], b)]
		return
	}
	in.shortRest = rests.lend()
	in.rest = in.shortRest[:copy(in.shortRest[:], b)]
}

func (in *inbox) dropRest() {
	switch {
	case in.longRest != nil:
		longRests.back(in.longRest)
	case in.shortRest != nil:
		rests.back(in.shortRest)
	}
	in.rest, in.shortRest, in.longRest = nil, nil, nil
}

// partial reports whether the last packet is not whole.
func (in *inbox) partial() bool {
	if in.rest != nil || in.skip > 0 {
		return true
	}
	b := in.unread()
	if in.diameter {
		for {
			n, bad := diameter.Frame(b)
			if n == 0 || bad != diameter.NoFault || n > len(b) {
				return len(b) > 0
			}
			b = b[n:]
		}
	}
	for len(b) >= minPacket {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < minPacket || n > len(b) {
			return true
		}
		b = b[n:]
	}
	return len(b) > 0
}

// whole reports whether Next has something to tell.
func (in *inbox) whole() bool {
	b := in.unread()
	if len(b) < 4 {
		return false
	}
	if in.diameter {
		n, bad := diameter.Frame(b)
		return bad != diameter.NoFault || n <= len(b)
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n > maxPacket {
		return len(b) >= minPacket
	}
	return n < minPacket || len(b) >= n
}

// unread is what has been read and not been given by Next.
func (in *inbox) unread() []byte {
	if in.buf == nil {
		return nil
	}
	if in.skip > 0 {
		n := min(in.skip, in.end-in.start)
		in.start += n
		in.skip -= n
	}
	return in.buf[in.start:in.end]
}

// Recv takes what has arrived, a buffer full at most, and reports whether there
// may be more. io.EOF says that the peer has ended the connection,
// io.ErrUnexpectedEOF that it did so within a packet; any other error ends it
// too. Packets that came whole before are still given by Next. While Next has
// some, nothing is taken.
// hot: 0 allocs
func (c *Conn) Recv() (more bool, err error) {
	if c.in.whole() {
		return true, nil
	}
	if c.in.err == nil {
		more, c.in.err = c.receive()
		if c.in.err != nil && errors.Is(c.in.err, io.EOF) && c.Partial() {
			c.in.err = io.ErrUnexpectedEOF
		}
		if c.failed == nil && c.in.err != nil && !errors.Is(c.in.err, io.EOF) {
			c.failed = c.in.err
		}
	}
	return more, c.in.err
}

func (c *Conn) receive() (more bool, err error) {
	if c.sec != nil {
		return c.decrypt()
	}
	c.in.borrow()
	n, err := c.link.read(c.in.buf[c.in.end : c.in.end+readSize])
	c.in.end += n
	c.received += uint64(n)
	if n == 0 {
		c.in.done()
	}
	if err == errNothing {
		return false, nil
	}
	return n == readSize, err
}

// decrypt reads once and gives all of it to crypto/tls, which keeps the begin
// of a record that is not whole yet.
func (c *Conn) decrypt() (more bool, err error) {
	buf := readBuffers.lend()
	defer readBuffers.back(buf)
	n, err := c.link.read(buf[:])
	if err == errNothing {
		return false, nil
	}
	c.received += uint64(n)
	c.in.borrow()
	c.wire.in, c.wire.end = buf[:n], err
	end := err != nil
	for err = nil; err == nil && (len(c.wire.in) > 0 || end); {
		n, err = c.sec.Read(c.in.buf[c.in.end:])
		c.in.end += n
		if n > 0 {
			c.wire.advanced()
		}
	}
	c.wire.in = nil
	if c.in.start == c.in.end {
		c.in.done()
	}
	if err == errNothing {
		err = nil
	}
	if len(c.wire.out) > 0 && c.failed == nil { // an answer to a KeyUpdate, or an alert
		if e := c.push(); e != nil && err == nil {
			err = e
		}
	}
	return n == readSize && err == nil, err
}

// Next gives the next whole packet, nil: there is none now. It is good until
// the next Recv or Done, and may be changed. ErrFraming ends the connection.
// With ErrTooLong comes the header of the packet, and the next one can follow.
// hot: 0 allocs
func (c *Conn) Next() ([]byte, error) {
	b := c.in.unread()
	if len(b) < 4 {
		return nil, nil
	}
	if c.in.diameter {
		return c.in.message(b)
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case n < minPacket:
		return nil, ErrFraming
	case n > maxPacket && len(b) < minPacket, n <= maxPacket && len(b) < n:
		return nil, nil
	case n > maxPacket:
		c.in.start += minPacket
		c.in.skip = n - minPacket
		return b[:minPacket:minPacket], ErrTooLong
	}
	c.in.start += n
	return b[:n:n], nil
}

// message gives the first of b where it is whole.
func (in *inbox) message(b []byte) ([]byte, error) {
	n, bad := diameter.Frame(b)
	switch {
	case bad != diameter.NoFault:
		return nil, ErrFraming
	case n > len(b):
		return nil, nil
	}
	in.start += n
	return b[:n:n], nil
}

// Done says that nothing of what Next gave is needed any more. It is called
// when Next has nothing; without it the connection keeps its buffer.
// hot: 0 allocs
func (c *Conn) Done() {
	if !c.in.whole() {
		c.in.done()
	}
}
