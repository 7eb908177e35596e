// Package diameter reads, edits and writes Diameter messages in place (RFC 6733
// sections 3 and 4).
//
// In the packet walk it stands first and last: a connection cuts its octets into
// messages by Frame, Message.Parse walks the AVPs of one once, by the lengths that
// stand on the wire and never by what a dictionary says of them, and remembers where
// those are that an agent looks at. What is relayed keeps every octet that is not the
// agent's own to change: padding, order, reserved bits and AVPs that nobody knows.
//
// Memory: a Message, and every AVP and value of it, borrows from the octets that it
// was parsed from. A Writer appends to the caller's slice and never grows it. Nothing
// here allocates.
//
// Concurrency: everything is plain values of one goroutine; package-level tables do
// not change.
//
// Bounds: a message has at most MaxLen octets, MaxAVPs AVPs at its top and MaxDepth
// groups inside of each other. What breaks one is a Fault with the Result-Code that
// is due, and the offending AVP for Failed-AVP where there is one.
//
// It knows no peers, no sessions and no connection.
package diameter

import "encoding/binary"

const (
	HeaderLen = 20
	// MaxLen bounds a message. The field could say 16 MiB.
	MaxLen = 64 << 10
	// MaxAVPs bounds the AVPs of a message, at all depths together.
	MaxAVPs = 1024
	// MaxDepth bounds groups in groups.
	MaxDepth = 16

	version = 1
)

// Flags are the command flags.
type Flags uint8

// The flags of a command (RFC 6733 section 3). What is reserved is neither looked at
// nor changed.
const (
	FlagRequest       Flags = 0x80
	FlagProxiable     Flags = 0x40
	FlagError         Flags = 0x20
	FlagRetransmitted Flags = 0x10
)

// Header is the fixed part of a message.
type Header struct {
	Length      int
	Flags       Flags
	Command     uint32
	Application uint32
	HopByHop    uint32
	EndToEnd    uint32
}

// Request reports whether it is a request's.
func (h *Header) Request() bool { return h.Flags&FlagRequest != 0 }

// Frame gives the length of the message that b begins with, 0: b has too little of it
// to tell. After a Fault the octets that follow cannot be told apart any more, and the
// connection is of no more use.
//
// hot: 0 allocs
func Frame(b []byte) (n int, fault Fault) {
	if len(b) < 4 {
		return 0, NoFault
	}
	n = length24(b[1:])
	switch {
	case n < HeaderLen, n%4 != 0:
		return 0, BadLength
	case n > MaxLen:
		return 0, TooLong
	}
	return n, NoFault
}

// ReadHeader reads the header of a message of at least HeaderLen octets.
//
// hot: 0 allocs
func ReadHeader(b []byte) Header {
	return Header{
		Length: length24(b[1:]), Flags: Flags(b[4]), Command: uint32(length24(b[5:])),
		Application: binary.BigEndian.Uint32(b[8:]),
		HopByHop:    binary.BigEndian.Uint32(b[12:]),
		EndToEnd:    binary.BigEndian.Uint32(b[16:]),
	}
}

// SetFlags, SetHopByHop and SetEndToEnd patch a header in place.
func SetFlags(b []byte, f Flags)      { b[4] = byte(f) }
func SetHopByHop(b []byte, id uint32) { binary.BigEndian.PutUint32(b[12:], id) }
func SetEndToEnd(b []byte, id uint32) { binary.BigEndian.PutUint32(b[16:], id) }
func setLength(b []byte, n int)       { b[1], b[2], b[3] = byte(n>>16), byte(n>>8), byte(n) }
func length24(b []byte) int           { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
func padded(n int) int                { return (n + 3) &^ 3 }
