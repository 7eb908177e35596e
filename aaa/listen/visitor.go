package listen

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/roamgate/roamgate/pkg/stream"
	"github.com/roamgate/roamgate/realm"
)

// Visitor is one connection that came to a door.
type Visitor struct {
	Door          Address
	Index         int // of the door among those that were opened
	Remote, Local netip.AddrPort
	// Verdict is the hub's own: for whom it took the peer in the handshake. It
	// is written by Config, by the VerifyConnection that Config gave, and read
	// by Established, one after the other.
	Verdict any
}

// Hub is what an Acceptor asks. The functions are called from many goroutines.
type Hub struct {
	// Allow reports whether anybody is known at an address. Who is not there
	// costs no handshake.
	Allow func(door Address, from netip.Addr) bool
	// Config says what the handshake of a visitor is done with, once it has
	// said hello. A certificate of the peer is asked for in any case, what is
	// weak is not offered (stream.Harden), and the keys of session tickets are
	// the Acceptor's own unless it sets some. An error refuses the visitor with
	// the alert access_denied.
	Config func(v *Visitor, hello *tls.ClientHelloInfo) (*tls.Config, error)
	// Established takes a connection over. It returns soon.
	Established func(v *Visitor, c *stream.Conn)
	// Failed, where it is given, is told of visitors that were not let in. err
	// may hold text of the peer.
	Failed func(v *Visitor, why Result, err error)
}

// Limits of an Acceptor; 0 takes the default.
type Limits struct {
	HalfOpen     int           // handshakes at a time, 4096
	HalfOpenEach int           // of one /24 or /48, 256
	Handshake    time.Duration // for one, 10 s
	Peers        int           // of each door for DTLS, 4096
}

func (l Limits) complete() Limits {
	if l.HalfOpen == 0 {
		l.HalfOpen = 4096
	}
	if l.HalfOpenEach == 0 {
		l.HalfOpenEach = 256
	}
	if l.Peers == 0 {
		l.Peers = 4096
	}
	if l.Handshake == 0 {
		l.Handshake = 10 * time.Second
	}
	return l
}

// Result is what became of a visitor.
type Result uint8

// The results.
const (
	Accepted      Result = iota
	UnknownSource        // nobody is known at the address
	TooMany              // half open, in all
	TooManyThere         // half open, of its network
	TimedOut             // the handshake took too long
	Gone                 // the peer went away during it
	NotTLS               // what came is no TLS
	Alerted              // the peer refused us
	NoAgreement          // on version, cipher or application protocol
	NoCertificate        // of the peer
	Distrusted           // its certificate, or it is not of this client
	Unwelcome            // Config refused it
	Broken               // another error of TLS
	NumResults           // their number
)

var resultNames = [NumResults]string{
	"ok", "unknown_source", "too_many", "too_many_there", "timeout", "gone", "not_tls", "alerted",
	"no_agreement", "no_certificate", "distrusted", "unwelcome", "broken",
}

// String is the value for a metric label.
func (r Result) String() string { return resultNames[r] }

// Refused reports that there was no handshake.
func (r Result) Refused() bool { return r == UnknownSource || r == TooMany || r == TooManyThere }

const numTransports = int(realm.SCTP) + 1
