// Package pki says who holds a certificate, and whether that is to be believed.
//
// A Trust is one trust base: its authorities, the certificate policies that it
// asks for and what has been revoked. It is asked in each handshake, also in
// those that resume a session, and again for live peers when it or a CRL has
// changed. An Identity is what a certificate says of its holder, by its
// subjectAltName alone (NAIRealm, dNSName, iPAddress) and, for operators of the
// WBA, by the UID of its subject; never by a common name. A Credential is our
// own chain and key, Lists are the CRLs that are fetched from where the files or
// certificates say.
//
// A chain is judged in this order, the cheap before the costly: its length and
// size, the sizes of its keys and the number of its names; its signatures, times
// and usages by crypto/x509, which bounds its search; the policies that hold all
// the way; the syntax of the names; revocation. Nothing of it asks the network:
// what is missing is asked for and judged when it has come.
//
// It stands before the packet walk: in the goroutine of a handshake, or of a
// reload. Identities, Credentials and Trusts are immutable but for the CRLs that
// a Trust is given by Lists, and all are safe for concurrent use. Nothing that
// was passed in is changed.
//
// Sections: RFC 7585 section 2.2, RFC 9525, RFC 5280, RFC 6960, RFC 7633, and
// draft-ietf-radext-radiusdtls-bis section 3.3.
//
// It does not ask OCSP responders, reads neither delta nor indirect CRLs, maps
// no policies of one authority to those of another, and makes no A-labels of
// U-labels: a name matches in the form in which both sides have it. Name
// constraints are those of dNSName, iPAddress and the others that crypto/x509
// knows: there are none for a NAIRealm.
package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"time"
)

// Bounds on what a peer shows.
const (
	MaxChain      = 10       // certificates
	MaxChainBytes = 64 << 10 // of all of them
	MaxNames      = 1000     // in the subjectAltName of one
	MaxFile       = 8 << 20  // octets of a file of certificates or of a CRL
)

// Credential is a certificate chain with its key. It is immutable.
type Credential struct {
	TLS  tls.Certificate // with Leaf, and with what is stapled
	Hash [32]byte        // of the chain and what is stapled: the same hash is the same credential
	// NotAfter is when the first certificate of the chain expires.
	NotAfter time.Time
}

// Identity is what a certificate says of its holder. It is immutable.
type Identity struct {
	ID       string       // serial number and hash of the issuer: which certificate
	Realms   []string     // NAIRealm, folded, as the certificate has them
	Hosts    []string     // dNSName, folded
	Addrs    []netip.Addr // iPAddress
	Operator string       // UID of the subject, the WBAID
	Policies []string     // those that hold for the whole chain
	NotAfter time.Time    // of the whole chain
	Leaf     *x509.Certificate

	shown  []*x509.Certificate
	staple []byte
	as     Role
}

// Role is what a peer is to us in a handshake.
type Role uint8

// The roles.
const (
	Client Role = iota // it has connected to us
	Server             // we have connected to it
)

// File is a file that has been read; its name is for messages.
type File struct {
	Name string
	Data []byte
}

// Mistake is what is wrong with a file, and what can be done about it.
type Mistake struct {
	File    string // "": it is no file's
	Text    string // without the name of the file
	Hint    string
	Warning bool // it can be used as it is
}

// Error gives the file, what is wrong, and what to do.
func (m Mistake) Error() string {
	text := m.Text
	if m.File != "" {
		text = m.File + ": " + text
	}
	if m.Hint != "" {
		text += " (" + m.Hint + ")"
	}
	return text
}

// mistakes collects what is wrong with files.
type mistakes []Mistake

func (m *mistakes) wrong(file, text, hint string) { *m = append(*m, Mistake{file, text, hint, false}) }
func (m *mistakes) warn(file, text, hint string)  { *m = append(*m, Mistake{file, text, hint, true}) }

func (m mistakes) fatal() bool {
	for i := range m {
		if !m[i].Warning {
			return true
		}
	}
	return false
}
