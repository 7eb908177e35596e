// Package listen is the hub's front doors, one file per transport.
//
// It stands first in the packet walk: a Front is one bound socket of one
// shard with the service it offers and the queue its answers leave by. A
// Front belongs to its shard's goroutine; opening and closing are done by
// the hub before the shard starts and after it has ended. Received bytes
// live in the shard's batch until the next Recv.
//
// UDP follows RFC 2865 section 2.4 and RFC 2866 section 2: authentication
// and accounting are separate ports, the same socket answers; so is dynamic
// authorisation (RFC 5176 section 2.3), where homes send. What it does not do: it reads no packet, knows no client and speaks neither TCP nor
// TLS.
package listen

import (
	"net/netip"

	"github.com/roamgate/roamgate/realm"
)

// Service is what a front door offers.
type Service uint8

// The services of RFC 2865, RFC 2866 and RFC 5176.
const (
	Auth Service = iota
	Acct
	DynAuth
	Every // authentication and accounting on one port, as over TCP, TLS and DTLS
)

// String gives the word used in metrics and logs.
func (s Service) String() string {
	return [...]string{Auth: "auth", Acct: "acct", DynAuth: "dynauth", Every: "every"}[s]
}

// Address is one place to listen on.
type Address struct {
	Service   Service
	Addr      netip.AddrPort
	Transport realm.Transport
}
