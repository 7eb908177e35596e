package pki

import (
	"crypto/x509"
	"time"
)

// Trust is a trust base. It is safe for concurrent use.
type Trust struct {
	Authorities []*x509.Certificate
	Policies    []string // object identifiers, of which a chain must hold one; none: any chain
}

// Cause is why a certificate is not accepted. The zero Cause is none.
type Cause uint8

// Verify judges the chain that a peer has shown, leaf first.
func (t *Trust) Verify(chain []*x509.Certificate, as Role, now time.Time) (*Identity, Cause) {
	panic("unfinished")
}
