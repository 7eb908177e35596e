// Package lab keeps the certificates of small public key infrastructures in
// files, for demos, tests and benchmarks: what package issue makes, with the
// names and times that a lab wants when it says none.
//
// What is wrong on purpose is a field of Leaf: expired, not yet valid, without
// names, for another use. Nothing here is fit for a network that carries
// anybody's traffic: keys are written unencrypted, and nobody keeps a record of
// what was issued.
package lab

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/roamgate/roamgate/pkg/pki/issue"
)

// CA is an authority. Its methods are safe for concurrent use.
type CA struct{ root *issue.Authority }

// NewCA makes a root of trust.
func NewCA(name string) (*CA, error) {
	root, err := issue.NewAuthority(issue.Profile{
		Names: issue.Names{Common: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0),
	})
	if err != nil {
		return nil, fmt.Errorf("making the authority %s: %w", name, err)
	}
	return &CA{root}, nil
}

// Leaf says what a certificate is to hold. The zero Leaf is valid from an hour
// ago for a day, for both sides of a connection, and names nobody.
type Leaf struct {
	Name   string       // common name
	Realms []string     // NAIRealm
	Hosts  []string     // dNSName
	Addrs  []netip.Addr // iPAddress
	// Usages are both of TLS if unset.
	Usages []x509.ExtKeyUsage
	// From and To are when it is valid.
	From, To time.Time
}

// Pair is a certificate with its chain and key.
type Pair struct {
	TLS  tls.Certificate
	made *issue.Pair
}

// Issue makes a certificate.
func (a *CA) Issue(l Leaf) (*Pair, error) {
	p := issue.Profile{
		Names:     issue.Names{Common: l.Name, Realms: l.Realms, Hosts: l.Hosts, Addrs: l.Addrs},
		NotBefore: l.From, NotAfter: l.To, Usages: l.Usages,
	}
	if l.From.IsZero() {
		p.NotBefore = time.Now().Add(-time.Hour)
	}
	if l.To.IsZero() {
		p.NotAfter = time.Now().AddDate(0, 0, 1)
	}
	made, err := a.root.Issue(p)
	if err != nil {
		return nil, fmt.Errorf("making the certificate %s: %w", l.Name, err)
	}
	return &Pair{TLS: made.TLS(), made: made}, nil
}

// Revoke gives the list of what has been revoked, in PEM, good for an hour.
func (a *CA) Revoke(number int64, revoked ...*Pair) ([]byte, error) {
	var serials []*big.Int
	for _, p := range revoked {
		serials = append(serials, p.made.Cert.SerialNumber)
	}
	der, err := a.root.Revoke(number, time.Now().Add(-time.Minute), time.Now().Add(time.Hour), serials...)
	if err != nil {
		return nil, fmt.Errorf("making a revocation list: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), nil
}

// Pool trusts these authorities.
func Pool(of ...*CA) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range of {
		p.AddCert(a.root.Cert)
	}
	return p
}

// Write puts the chain and the key into dir as NAME.pem and NAME.key.
func (p *Pair) Write(dir, name string) (cert, key string, err error) {
	chain, private, err := p.made.PEM()
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	if err := replace(cert, chain); err != nil {
		return "", "", err
	}
	return cert, key, replace(key, private)
}

// Write puts the authority's certificate into dir as NAME.pem.
func (a *CA) Write(dir, name string) (string, error) {
	path := filepath.Join(dir, name+".pem")
	return path, replace(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Cert.Raw}))
}

// replace swaps a file whole, so that whoever watches it never reads a half.
func replace(path string, b []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(next, path)
}
