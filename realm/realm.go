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
	// Group is whom the client belongs to, nil: a visited network by itself.
	Group *Group
	// Realms are those that the client may send, nil: all.
	Realms *Names
	// OperatorName says what to do with the Operator-Name of its requests.
	OperatorName OperatorMode
	In, Out      *Filter // of what comes from it and of what goes to it, nil: none
	// HideNAS replaces what names the NAS by an Operator-NAS-Identifier (RFC
	// 8559 section 3.4). It is for the edge of a visited network: a client
	// that is a NAS.
	HideNAS bool
	// DynAuth is where its CoA and Disconnect requests are sent, invalid: it
	// takes none.
	DynAuth netip.AddrPort
	// ReverseCoA sends them by the connections that it has opened itself
	// (draft-ietf-radext-reverse-coa).
	ReverseCoA bool
	// Operators are further Operator-Names that are reached through it: exact,
	// or "1*.suffix". Its own Operator counts without being named.
	Operators []string
	// Institution is VISINST of its F-Ticks, "": its name.
	Institution string
	// Transport is what it comes by. One that is not UDP or TCP has a Security,
	// and its certificate says who it is; its Secret is that of the transport.
	Transport Transport
	Security  *Security
	Holder    *Holder
	// Protected declares that the path to it is kept from others by other means
	// where its transport does not do so.
	Protected bool
	Pos       Pos
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
	// Drain lets conversations end that began here, and begins none.
	Drain bool
	// Maintenance are times in which the home is drained.
	Maintenance []Window
	// Host is the name whose addresses Auth and Acct have, "": they were
	// written. Until it is resolved they have a port and no address, which is
	// not valid. Found are the addresses it has now, in the order of trial.
	Host               string
	AuthPort, AcctPort uint16 // of Host; 0: does not serve that
	Found              []netip.Addr
	Unfound            string // why it has none, for people; "": it has not been asked for
	// Group is whom the home belongs to, nil: it stands for itself.
	Group *Group
	// Operator is whose home it is, as an Operator-Name with its namespace
	// digit, "": not known.
	Operator string
	// Realms are those that may be sent to it, nil: all.
	Realms  *Names
	In, Out *Filter // of what comes from it and of what goes to it, nil: none
	// DynAuth are the addresses that its CoA and Disconnect requests come
	// from, none: it may send none. They are signed with its Secret.
	DynAuth []netip.Prefix
	// ReverseCoA lets it send them by the connections that we open to it.
	ReverseCoA bool
	// Transport is what it is reached by. Over TLS and DTLS it has a Security
	// and shows a certificate of its Holder; Auth and Acct may be one address
	// where the transport is not UDP.
	Transport Transport
	Security  *Security
	Holder    *Holder
	// Gateway is the application of Diameter that its requests become (NASREQ, STa,
	// SWm), where its Transport is Diameter: it is no server by itself, and what it
	// is sent goes where the Diameter routes of the realm say. Auth and Acct are
	// Nowhere then, which is valid, and it has no Secret.
	Gateway uint32
	// Connections are what one event loop opens at most to it for each of
	// authentication and accounting, 0: 8.
	Connections int
	// Protected declares that the path to it is kept from others by other means
	// where its transport does not do so.
	Protected bool
	Pos       Pos
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

// Balance says how the homes of one priority share the requests of a pool.
type Balance uint8

const (
	BalanceDevice     Balance = iota // by a consistent hash of the device
	BalanceRoundRobin                // in turn, by weight
	BalanceLeast                     // the one with the fewest requests in flight for its weight
	BalanceFirst                     // the first that is well: pure fail-over
)

// String gives the word of the routing files.
func (b Balance) String() string {
	return [...]string{BalanceDevice: "device", BalanceRoundRobin: "round_robin", BalanceLeast: "least_outstanding", BalanceFirst: "first"}[b]
}

// Pool is an ordered choice of homes.
type Pool struct {
	Name       string
	Members    []Member // sorted by priority, then by name
	Diameter   bool     // they are indexes into Set.Peers, not Set.Homes
	Retransmit Retransmit
	Timers     Timers
	Balance    Balance
	// Panic is the share of members, in percent, below which health is
	// ignored because most likely it is wrong; 0: never.
	Panic int
	// Breaker keeps requests of one realm from a home that leaves that realm
	// unanswered while it answers others.
	Breaker bool
	// Group is that of its homes, which have the same one.
	Group *Group
	Pos   Pos
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

// Route is where requests go that it matches. Routes are immutable.
type Route struct {
	// Realm is what the route matches, its subject, folded, as the Table
	// reads it: "a.example", "*.iot.example", "none", "default",
	// "imsi:26201", "imsi:262011230000000-262011239999999", "plmn:262-01",
	// "plmn:262", "realm~EXPRESSION" or "name~EXPRESSION". See Tier.
	Realm string
	// Name tells routes apart that have one subject, "": it is called like
	// its subject.
	Name  string
	Index int32 // dense in this Set, for counters
	Auth  int32 // index into Set.Pools, -1: refused
	Acct  int32 // index into Set.Pools, -1: ends here (durable) or is refused
	// Diameter is what becomes of Diameter requests, nil: the route is passed over
	// for them, as it is for RADIUS where nothing else is said. See Route.RADIUS.
	Diameter    *DiameterRoute
	Steering    *Steering  // of devices into networks, nil: none
	Discover    *Discovery // finds the homes by DNS where Auth or Acct is -1, nil: none does
	Rank        int32      // order among routes of one subject, and among expressions: the lower first
	rivals      int32      // 1 + number of the Table's row of all routes of the subject; 0: the only one
	Acknowledge Acknowledge
	Policy      Policy
	// IssueCUI: the home has left it to the hub to issue the
	// Chargeable-User-Identity that a visited network asks for (RFC 4372).
	IssueCUI bool
	Reject   string     // not empty: Access-Reject with this Reply-Message
	When     *Condition // nil: always
	For      *Scope     // whose clients may use it, nil: all
	Rewrite  *Rewrite   // of the User-Name toward the home, nil: none
	Pos      Pos
}

// Label is the name of the route in metrics, records and commands. It is
// unique in a Set.
func (r *Route) Label() string {
	if r.Name != "" {
		return r.Name
	}
	return r.Realm
}

// Set is one whole configuration of peers and routes. It is immutable.
type Set struct {
	Groups      []*Group
	Contracts   []Contract
	Filters     []*Filter
	Securities  []*Security
	Discoveries []*Discovery
	Clients     []Client
	Homes       []Home
	Pools       []Pool
	Peers       []Peer
	Screenings  []*Screening
	Steerings   []*Steering
	Routes      []Route
	Table       *Table
	Identity    Identity
	Loops       Loops
	Hash        [32]byte // of the files' content
}
