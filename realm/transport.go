package realm

import (
	"net/netip"
	"slices"
	"time"

	"github.com/roamgate/roamgate/pkg/pki"
)

// Transport is what carries the packets of a peer.
type Transport uint8

// The transports: RFC 2865, RFC 6613, and RADIUS over TLS and DTLS
// (draft-ietf-radext-radiusdtls-bis, which takes the place of RFC 6614 and RFC
// 7360).
const (
	UDP Transport = iota
	TCP
	TLS
	DTLS
	SCTP     // RFC 6733 section 2.1, of Diameter alone
	Diameter // what another protocol carries: see Home.Gateway and Peer.Client
)

// String gives the word of the routing files and of metrics.
func (t Transport) String() string {
	return [...]string{UDP: "udp", TCP: "tcp", TLS: "tls", DTLS: "dtls", SCTP: "sctp", Diameter: "diameter"}[t]
}

// Secured reports whether a certificate says who the peer is.
func (t Transport) Secured() bool { return t == TLS || t == DTLS }

// Reliable reports whether what is sent arrives, or the connection ends.
func (t Transport) Reliable() bool { return t == TCP || t == TLS || t == SCTP || t == Diameter }

// Nowhere is the address of a home that is reached inside of the hub.
var Nowhere = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)

// Secret is the shared secret that a transport prescribes, nil: it is agreed
// upon (draft-ietf-radext-radiusdtls-bis section 3.1).
func (t Transport) Secret() Secret {
	switch t {
	case TLS:
		return Secret("radsec")
	case DTLS:
		return Secret("radius/dtls")
	}
	return nil
}

// Security is what we show to peers over TLS and DTLS, and whose word we take:
// one trust base with everything that is checked against it. Peers of two of
// them never mix, whatever their certificates say.
type Security struct {
	Name string
	// Credential is our certificate chain and key, nil: there is none, and only
	// peers that ask for none can be reached.
	Credential *pki.Credential
	// Trust judges certificates of peers.
	Trust *pki.Trust
	// Versions are those of RADIUS that are offered by ALPN, the best first:
	// "radius/1.1", "radius/1.0". Without ALPN it is 1.0.
	Versions []string
	// MinVersion is the oldest version of TLS that is spoken, tls.VersionTLS12
	// or later. DTLS has one version only, whatever it says.
	MinVersion uint16
	Pos        Pos
}

// Holder says whose certificate is accepted beside the trust base: one that has
// any of these names. The zero Holder takes none.
type Holder struct {
	Realms   []string     // NAIRealm (RFC 7585 section 2.2), compared by its wildcard rule
	Hosts    []string     // dNSName
	Addrs    []netip.Addr // iPAddress
	Operator []string     // WBAID, the UID of the subject, without its sub-identifiers' names: "OPERATOR:US"
	// Anyone takes every certificate that the trust base accepts; it must ask
	// for a certificate policy then (draft-ietf-radext-radiusdtls-bis section
	// 3.3.1).
	Anyone bool
	Pos    Pos
}

// Accepts reports whether a certificate that the trust base has accepted is that
// of the holder. A nil Holder takes none.
func (h *Holder) Accepts(id *pki.Identity) bool {
	if h == nil {
		return false
	}
	return h.Anyone || slices.ContainsFunc(h.Realms, id.HasRealm) || slices.ContainsFunc(h.Hosts, id.HasHost) ||
		slices.ContainsFunc(h.Addrs, id.HasAddr) || slices.ContainsFunc(h.Operator, id.HasOperator)
}

// Discovery finds homes by DNS (RFC 7585) for realms that are routed to it.
type Discovery struct {
	Name string
	// Auth and Acct are the S-NAPTR service tags to look for, the best first:
	// "aaa+auth:radius.tls.tcp", "x-eduroam:radius.tls".
	Auth, Acct []string
	// SRV asks for _radiustls._tcp where there is no NAPTR (RFC 7585 section
	// 3.4.3 steps 13 to 17).
	SRV bool
	// Security of the connections to what is found; its certificate must have
	// the realm as NAIRealm, or where Hosts is set the name that the SRV gave.
	Security *Security
	Hosts    bool
	// Public takes the realms of 3GPP networks under pub.3gppnetwork.org.
	Public bool
	// Private lets targets be private, loopback or link-local addresses within
	// these prefixes, none: never.
	Private []netip.Prefix
	Ports   []uint16 // that targets may have, none: 2083 and from 1024 on
	// Group, Realms, In and Out are those of a Home.
	Group   *Group
	Realms  *Names
	In, Out *Filter
	// Timers and Breaker are those of the Pool that is made of what is found.
	Timers  Timers
	Breaker bool
	// Peers bounds how many are connected at a time, 256.
	Peers int
	// Rate bounds the look-ups a second that one client can cause, 10.
	Rate int
	// Idle ends a connection that carried nothing for so long, 10 min.
	Idle time.Duration
	Pos  Pos
}
