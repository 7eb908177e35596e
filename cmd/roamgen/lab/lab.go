// Package lab makes the certificates of small public key infrastructures, for
// demos, tests and benchmarks: authorities, chains, and what roaming peers say
// of themselves in a certificate. It takes nothing from package pki, which reads
// such certificates, so that each is the other's second opinion.
//
// The subjectAltName is written here octet by octet, because crypto/x509 knows
// no otherName: NAIRealm of RFC 7585 section 2.2 beside dNSName and iPAddress
// (RFC 5280 section 4.2.1.6). A WBAID stands in the UID of the subject (RFC 4519
// section 2.39), certificate policies are OIDs (RFC 5280 section 4.2.1.4).
//
// What is wrong on purpose is a field of Leaf as well: expired, not yet valid,
// without names, for another use. Nothing here is fit for a network that
// carries anybody's traffic: keys are written unencrypted, serial numbers count.
package lab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// CA is an authority. Its methods are safe for concurrent use.
type CA struct {
	Cert *x509.Certificate

	key    crypto.Signer
	above  [][]byte // the chain from this authority up, without the root
	serial atomic.Int64
}

// NewCA makes a root of trust.
func NewCA(name string) (*CA, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	cert := authority(name, 1)
	return selfMade(cert, cert, key, key)
}

// Below makes an authority that this one vouches for, with these policies.
func (a *CA) Below(name string, policies ...string) (*CA, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	cert := authority(name, a.serial.Add(1)+1)
	if err := addPolicies(cert, policies); err != nil {
		return nil, err
	}
	below, err := selfMade(cert, a.Cert, key, a.key)
	if err == nil {
		below.above = append([][]byte{below.Cert.Raw}, a.above...)
	}
	return below, err
}

func authority(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name, Organization: []string{"roamgate lab"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func selfMade(cert, parent *x509.Certificate, key, by crypto.Signer) (*CA, error) {
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), by)
	if err != nil {
		return nil, fmt.Errorf("making the authority %s: %w", cert.Subject.CommonName, err)
	}
	parsed, err := x509.ParseCertificate(der)
	return &CA{Cert: parsed, key: key}, err
}

// Leaf says what a certificate is to hold. The zero Leaf is valid for an hour
// each way, for both sides of a connection, and names nobody.
type Leaf struct {
	Name     string   // common name
	Operator string   // WBAID, the UID of the subject
	Realms   []string // NAIRealm
	Hosts    []string // dNSName
	Addrs    []net.IP // iPAddress
	Policies []string // certificate policies, dotted
	// Usages are both of TLS if unset.
	Usages []x509.ExtKeyUsage
	// From and To are when it is valid, an hour before and after now if unset.
	From, To time.Time
	// CRL and OCSP are where to ask for its revocation.
	CRL, OCSP []string
}

// Pair is a certificate with its chain and key.
type Pair struct {
	TLS tls.Certificate
	key []byte // PKCS #8
}

// Issue makes a certificate.
func (a *CA) Issue(l Leaf) (*Pair, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial.Add(1) + 1), Subject: pkix.Name{CommonName: l.Name, Organization: []string{"roamgate lab"}},
		NotBefore: l.From, NotAfter: l.To, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: l.Usages, CRLDistributionPoints: l.CRL, OCSPServer: l.OCSP,
	}
	if l.From.IsZero() {
		cert.NotBefore = time.Now().Add(-time.Hour)
	}
	if l.To.IsZero() {
		cert.NotAfter = time.Now().Add(time.Hour)
	}
	if l.Usages == nil {
		cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	if l.Operator != "" {
		cert.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidUID, Value: l.Operator}}
	}
	if err := addPolicies(cert, l.Policies); err != nil {
		return nil, err
	}
	if names, err := l.names(); err != nil || len(names) > 0 {
		if err != nil {
			return nil, err
		}
		cert.ExtraExtensions = append(cert.ExtraExtensions, pkix.Extension{Id: oidSubjectAltName, Value: names})
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.Cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate %s: %w", l.Name, err)
	}
	p := &Pair{TLS: tls.Certificate{Certificate: append([][]byte{der}, a.above...), PrivateKey: key}}
	if p.TLS.Leaf, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("reading the certificate %s: %w", l.Name, err)
	}
	p.key, err = x509.MarshalPKCS8PrivateKey(key)
	return p, err
}

var (
	oidUID            = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidNAIRealm       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 8}
)

// names is the value of a subjectAltName, empty for none.
func (l *Leaf) names() ([]byte, error) {
	var all []asn1.RawValue
	for _, r := range l.Realms {
		type otherName struct {
			ID    asn1.ObjectIdentifier
			Value string `asn1:"explicit,tag:0,utf8"`
		}
		der, err := asn1.MarshalWithParams(otherName{oidNAIRealm, r}, "tag:0")
		if err != nil {
			return nil, fmt.Errorf("writing the realm %s: %w", r, err)
		}
		all = append(all, asn1.RawValue{FullBytes: der})
	}
	for _, h := range l.Hosts {
		all = append(all, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(h)})
	}
	for _, a := range l.Addrs {
		if short := a.To4(); short != nil {
			a = short
		}
		all = append(all, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 7, Bytes: a})
	}
	if len(all) == 0 {
		return nil, nil
	}
	return asn1.Marshal(all)
}

func addPolicies(c *x509.Certificate, policies []string) error {
	for _, p := range policies {
		oid, err := x509.ParseOID(p)
		if err != nil {
			return fmt.Errorf("policy %q: %w", p, err)
		}
		c.Policies = append(c.Policies, oid)
	}
	return nil
}

// Revoke gives the list of what has been revoked, in PEM, good for an hour.
func (a *CA) Revoke(number int64, revoked ...*Pair) ([]byte, error) {
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, p := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: p.TLS.Leaf.SerialNumber, RevocationTime: time.Now().Add(-time.Minute),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.key)
	if err != nil {
		return nil, fmt.Errorf("making a revocation list: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), nil
}

// PEM is the authority's certificate.
func (a *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Cert.Raw})
}

// Pool trusts these authorities.
func Pool(of ...*CA) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range of {
		p.AddCert(a.Cert)
	}
	return p
}

// PEM is the chain, leaf first, and the key.
func (p *Pair) PEM() (chain, key []byte) {
	for _, der := range p.TLS.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p.key})
}

// Write puts the chain and the key into dir as NAME.pem and NAME.key.
func (p *Pair) Write(dir, name string) (cert, key string, err error) {
	c, k := p.PEM()
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	if err := replace(cert, c); err != nil {
		return "", "", err
	}
	return cert, key, replace(key, k)
}

// Write puts the authority's certificate into dir as NAME.pem.
func (a *CA) Write(dir, name string) (string, error) {
	path := filepath.Join(dir, name+".pem")
	return path, replace(path, a.PEM())
}

// replace swaps a file whole, so that whoever watches it never reads a half.
func replace(path string, b []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(next, path)
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }
