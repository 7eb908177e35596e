package realm

import (
	"fmt"
	"net/netip"
	"time"
)

// Pos is where an object stands in the operator's files, for messages.
type Pos struct {
	File string
	Line int
	Col  int
}

// String gives file:line:col, or "built in" for an object of no file.
func (p Pos) String() string {
	if p.File == "" {
		return "built in"
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Secret is a shared secret. It never prints itself.
type Secret []byte

// String hides the secret from every formatter.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[secret]" }

// MarshalText hides the secret from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Client is a RADIUS client: an address range that may send us requests
// under one shared secret (RFC 2865 section 3).
type Client struct {
	Name     string
	Prefixes []netip.Prefix // masked; longest wins over all clients
	Secret   Secret
	// RequireMessageAuthenticator drops an Access-Request without a
	// Message-Authenticator before any of its attributes is used.
	RequireMessageAuthenticator bool
	// LimitProxyState drops an Access-Request that has a Proxy-State but no
	// Message-Authenticator, where the former switch is off.
	LimitProxyState bool
	Operator        string // RFC 5580 Operator-Name with its namespace digit, "" unknown
	Country         string // ISO 3166-1 alpha-2, upper case, "" unknown
	Pos             Pos
}

// Home is a home server: where a realm's requests go.
type Home struct {
	Name   string
	Auth   netip.AddrPort // invalid: does no authentication
	Acct   netip.AddrPort // invalid: does no accounting
	Secret Secret
	// RequireMessageAuthenticator drops replies to Access-Request that have
	// no Message-Authenticator.
	RequireMessageAuthenticator bool
	// StatusServer probes the home with Status-Server (RFC 5997).
	StatusServer bool
	Disabled     bool
	Pos          Pos
}

// Retransmit says who repeats an unanswered request toward a home.
type Retransmit uint8

const (
	RetransmitProxy  Retransmit = iota // we do, by RFC 5080 section 2.2.1
	RetransmitClient                   // only the client's own repetitions are passed on
)

// Timers are the retransmission variables of RFC 5080 section 2.2.1.
type Timers struct {
	IRT time.Duration // initial retransmission time, 2 s
	MRT time.Duration // maximum retransmission time, 16 s
	MRD time.Duration // maximum retransmission duration, 30 s: then the request is answered without the home
	MRC int           // maximum retransmission count, 5
}

// Member is one home of a pool.
type Member struct {
	Home     int32 // index into Set.Homes
	Priority int   // lower is tried first
	Weight   int   // share among equals, at least 1
}

// Pool is an ordered choice of homes.
type Pool struct {
	Name       string
	Members    []Member // sorted by priority, then by name
	Retransmit Retransmit
	Timers     Timers
	Pos        Pos
}

// Acknowledge says when a client's Accounting-Request is answered.
type Acknowledge uint8

const (
	// AcknowledgeHome answers when the record is durable here and the home
	// has answered.
	AcknowledgeHome Acknowledge = iota
	// AcknowledgeDurable answers when the record is durable here.
	AcknowledgeDurable
)

// String gives the word of the routing files.
func (a Acknowledge) String() string {
	if a == AcknowledgeDurable {
		return "durable"
	}
	return "home"
}

// Policy says what the device policy decides for a route.
type Policy struct {
	Enabled bool
	// AllowUnknown lets a device pass that the policy does not know.
	AllowUnknown bool
	// FailOpen lets an unknown device pass while the policy store is away.
	FailOpen bool
}

// Route is where the requests of a realm go. Routes are immutable.
type Route struct {
	Realm       string // as the operator wrote it, folded: "a.example", "*.iot.example", "none", "default"
	Index       int32  // dense in this Set, for counters
	Auth        int32  // index into Set.Pools, -1: refused
	Acct        int32  // index into Set.Pools, -1: ends here (durable) or is refused
	Acknowledge Acknowledge
	Policy      Policy
	Reject      string // not empty: Access-Reject with this Reply-Message
	Pos         Pos
}

// Set is one whole configuration of peers and routes. It is immutable.
type Set struct {
	Clients []Client
	Homes   []Home
	Pools   []Pool
	Routes  []Route
	Table   *Table
	Hash    [32]byte // of the files' content
}
