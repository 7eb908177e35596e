// Package listen is the hub's front doors.
//
// It stands first in the packet walk: a Front is one bound socket of one
// shard with the service it offers and the queue its answers leave by. A
// Front belongs to its shard's goroutine; opening and closing are done by
// the hub before the shard starts and after it has ended. Received bytes
// live in the shard's batch until the next Recv.
//
// An Acceptor has the doors that connections come to, over TCP, TLS and DTLS: who is
// known at no address is dropped before any handshake, handshakes are bounded
// in number and time (draft-ietf-radext-radiusdtls-bis sections 3.10 and 7.4),
// and what stands is handed over. Its goroutines end with Close; a connection
// that was handed over has none here.
//
// UDP follows RFC 2865 section 2.4 and RFC 2866 section 2: authentication
// and accounting are separate ports, the same socket answers; so is dynamic
// authorisation (RFC 5176 section 2.3), where homes send. What it does not do:
// it reads no packet and knows no client; whose certificate is good is asked
// from the hub.
package listen

import (
	"net/netip"

	"github.com/roamgate/roamgate/realm"
)

// Service is what a front door offers.
type Service uint8

// The services of RFC 2865, RFC 2866, RFC 5176 and RFC 6733.
const (
	Auth Service = iota
	Acct
	DynAuth
	Every    // authentication and accounting on one port, as over TCP, TLS and DTLS
	Diameter // RFC 6733 section 2.1, of connections alone
)

// String gives the word used in metrics and logs.
func (s Service) String() string {
	return [...]string{Auth: "auth", Acct: "acct", DynAuth: "dynauth", Every: "every", Diameter: "diameter"}[s]
}

// Address is one place to listen on.
type Address struct {
	Service   Service
	Addr      netip.AddrPort
	Transport realm.Transport
}
