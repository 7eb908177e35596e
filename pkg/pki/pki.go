// Package pki says who holds a certificate, and whether that is to be believed.
//
// A Trust is one trust base: its authorities, the certificate policies that it
// asks for and what has been revoked. It is asked in each handshake, also in
// those that resume a session, and again for live peers when it has changed. An
// Identity is what a certificate says of its holder, by its subjectAltName alone
// (NAIRealm, dNSName, iPAddress) and, for operators of the WBA, by the UID of
// its subject; never by a common name.
//
// Sections: RFC 7585 section 2.2, RFC 9525, RFC 5280, and
// draft-ietf-radext-radiusdtls-bis section 3.3.
package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"time"
)

// Credential is a certificate chain with its key. It is immutable.
type Credential struct {
	TLS  tls.Certificate // with Leaf
	Hash [32]byte        // of the chain: the same hash is the same credential
}

// Identity is what a certificate says of its holder. It is immutable.
type Identity struct {
	ID       string       // issuer and serial number: which certificate
	Realms   []string     // NAIRealm, folded, as the certificate has them
	Hosts    []string     // dNSName, folded
	Addrs    []netip.Addr // iPAddress
	Operator string       // UID of the subject, the WBAID
	Policies []string     // those that hold for the whole chain
	NotAfter time.Time    // of the whole chain
	Leaf     *x509.Certificate
}

// Role is what a peer is to us in a handshake.
type Role uint8

// The roles.
const (
	Client Role = iota // it has connected to us
	Server             // we have connected to it
)
