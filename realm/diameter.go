package realm

import (
	"net/netip"
	"time"
)

// Peer is a Diameter node with which the hub has connections (RFC 6733 section 2.1). It
// is a client and a home server in one: requests go both ways.
type Peer struct {
	Name string
	// Identity is its Origin-Host, folded: who it says it is in the exchange of
	// capabilities.
	Identity string
	// Realm is its Origin-Realm, folded.
	Realm string
	// Origins are the Origin-Realms of requests that it may pass on, its own among
	// them, nil: any (RFC 6733 section 13: who is an agent for others).
	Origins *Names
	// Client is what the routes, the policy and the records call the visited network
	// that its requests come from: an index into Set.Clients, of one whose
	// Transport is Diameter and that has no address and no secret.
	Client int32
	// Group is whom it belongs to as a home, nil: it stands for itself.
	Group *Group
	// Realms are those that may be sent to it, nil: all.
	Realms *Names
	// Applications are what is spoken with it, nil: it is an agent, and anything.
	Applications []uint32
	// Transport is TCP, TLS or SCTP. Over TLS its certificate must be its Holder's.
	Transport Transport
	Security  *Security
	Holder    *Holder
	// Addresses are where the hub connects to, tried in order; none: it waits for the
	// peer. Host is the name that has them, "": they were written.
	Addresses []netip.AddrPort
	Host      string
	Port      uint16
	// From are the addresses that it may come from, none: those of Addresses, and over
	// TLS any.
	From []netip.Prefix
	// Connections are what is kept with it at a time, 0: 1.
	Connections int
	Watchdog    time.Duration // Tw of RFC 3539 section 3.4.1, 0: 30 s; at least 6 s
	Retry       time.Duration // Tc of RFC 6733 section 12, 0: 30 s
	// Rate bounds the requests a second that are taken from it, 0: none. Burst is how
	// many may come at once, 0: a second's.
	Rate, Burst int
	// Queue bounds the octets that wait to be sent to it, 0: 1 MiB. InFlight bounds the
	// requests that it has not answered, 0: 8192.
	Queue, InFlight int
	// HideTopology replaces the names of other nodes in what goes to it by pseudonyms.
	HideTopology bool
	// Screening is what is checked of its requests, nil: that of all peers.
	Screening *Screening
	Disabled  bool
	// Drain lets what is under way end and begins nothing.
	Drain bool
	Pos   Pos
}

// DiameterAction is what becomes of Diameter requests of a Route.
type DiameterAction uint8

// The actions.
const (
	DiameterProxy    DiameterAction = iota // policy is applied, and a peer of the pool has it
	DiameterRelay                          // a peer of the pool has it as it is
	DiameterRedirect                       // the answer says where to ask (RFC 6733 section 6.1.7)
	DiameterRADIUS                         // it becomes a RADIUS request, which the same table routes
	DiameterReject                         // the answer is Result
)

// DiameterRoute is what a Route does with Diameter requests.
type DiameterRoute struct {
	Action DiameterAction
	Pool   int32 // of proxy and relay: index into Set.Pools, whose Members are Peers
	// Deadline is how long an answer is waited for, 0: that of the application.
	Deadline time.Duration
	// Hosts are the DiameterURIs of a redirection; Usage and Cache are its
	// Redirect-Host-Usage and Redirect-Max-Cache-Time in seconds.
	Hosts  []string
	Usage  uint32
	Cache  uint32
	Result uint32 // of a rejection: Result-Code
}

// RADIUS reports whether the route does anything with RADIUS requests, be it a
// refusal. One that names nothing but Diameter is passed over for them, as one
// without Diameter is for messages: a realm that is served by one protocol alone is
// no answer to the other.
//
// hot: 0 allocs
func (r *Route) RADIUS() bool {
	return r.Diameter == nil || r.Auth >= 0 || r.Acct >= 0 || r.Discover != nil || r.Reject != ""
}

// Forwards reports whether a peer of the pool gets the requests.
func (d *DiameterRoute) Forwards() bool {
	return d != nil && (d.Action == DiameterProxy || d.Action == DiameterRelay)
}

// String gives the word of the routing files.
func (a DiameterAction) String() string {
	return [...]string{DiameterProxy: "proxy", DiameterRelay: "relay", DiameterRedirect: "redirect", DiameterRADIUS: "radius", DiameterReject: "reject"}[a]
}
