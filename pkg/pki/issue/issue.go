// Package issue makes authorities, certificates and requests for them, for labs,
// first steps and tests: with NAIRealm, dNSName and iPAddress names, certificate
// policies and the WBAID of an operator.
//
// It stands outside the packet walk, behind the command roamgate cert and the
// tests of everything that shows certificates. Keys are ECDSA P-256. An
// Authority is safe for concurrent use; nothing is kept on disk here, and no
// record of what was issued: that is the difference to a real authority.
//
// Sections: RFC 5280 section 4.2.1.6, RFC 7585 section 2.2, RFC 2986.
package issue

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
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// Names are what a certificate says of its holder.
type Names struct {
	Common   string // for people; no peer goes by it
	Realms   []string
	Hosts    []string
	Addrs    []netip.Addr
	Operator string // WBAID: the UID of the subject
}

// Profile is what is issued.
type Profile struct {
	Names
	Policies  []string // object identifiers in dotted form
	NotBefore time.Time
	NotAfter  time.Time
	Usages    []x509.ExtKeyUsage // none: client and server
	Points    []string           // addresses of the CRL of the issuer
	Extra     []pkix.Extension
	Key       crypto.Signer // nil: a new one
	// Edit may change what is about to be signed, nil: nothing.
	Edit func(*x509.Certificate)
}

// Pair is a certificate with what leads to its authority, and its key.
type Pair struct {
	Cert  *x509.Certificate
	Key   crypto.Signer
	Above []*x509.Certificate // its issuers, without the root
}

// Authority signs certificates.
type Authority struct {
	Pair
	root bool
}

// NewAuthority makes a root.
func NewAuthority(p Profile) (*Authority, error) {
	pair, err := sign(p, nil, true)
	if err != nil {
		return nil, err
	}
	return &Authority{Pair: *pair, root: true}, nil
}

// Open makes an authority of its certificate and its key (PKCS #8), in DER.
func Open(cert, key []byte) (*Authority, error) {
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	signer, ok := private.(crypto.Signer)
	public, known := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !known || !public.Equal(signer.Public()) {
		return nil, errors.New("the key is not that of the authority")
	}
	if !c.IsCA {
		return nil, errors.New("the certificate is not that of an authority")
	}
	return &Authority{Pair: Pair{Cert: c, Key: signer}, root: true}, nil
}

// Authority makes an intermediate authority.
func (a *Authority) Authority(p Profile) (*Authority, error) {
	pair, err := sign(p, a, true)
	if err != nil {
		return nil, err
	}
	return &Authority{Pair: *pair}, nil
}

// Issue makes a certificate and its key.
func (a *Authority) Issue(p Profile) (*Pair, error) { return sign(p, a, false) }

// Revoke makes a CRL of this authority, in DER.
func (a *Authority) Revoke(number int64, from, until time.Time, serials ...*big.Int) ([]byte, error) {
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: from, NextUpdate: until}
	for _, s := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: s, RevocationTime: from})
	}
	return x509.CreateRevocationList(rand.Reader, list, a.Cert, a.Key)
}

func sign(p Profile, by *Authority, authority bool) (*Pair, error) {
	key := p.Key
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: Subject(p.Names),
		NotBefore: p.NotBefore, NotAfter: p.NotAfter, BasicConstraintsValid: true,
		CRLDistributionPoints: p.Points, ExtKeyUsage: p.Usages, ExtraExtensions: p.Extra,
	}
	for _, text := range p.Policies {
		oid, err := x509.ParseOID(text)
		if err != nil {
			return nil, fmt.Errorf("policy %q: %w", text, err)
		}
		t.Policies = append(t.Policies, oid)
	}
	if authority {
		t.IsCA, t.KeyUsage, t.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign|x509.KeyUsageDigitalSignature, p.Usages
	} else {
		t.KeyUsage = x509.KeyUsageDigitalSignature
		if len(p.Usages) == 0 {
			t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
		}
		alt, err := AltName(p.Names)
		if err != nil {
			return nil, err
		}
		if alt.Value != nil {
			t.ExtraExtensions = append(t.ExtraExtensions, alt)
		}
	}
	if p.Edit != nil {
		p.Edit(t)
	}
	parent, signer, above := t, key, []*x509.Certificate(nil)
	if by != nil {
		parent, signer = by.Cert, by.Key
		if !by.root {
			above = append([]*x509.Certificate{by.Cert}, by.Above...)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Pair{Cert: cert, Key: key, Above: above}, nil
}

// Request makes a key and a certificate request (PKCS #10) for names, in PEM text.
func Request(n Names) (request, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.CertificateRequest{Subject: Subject(n)}
	alt, err := AltName(n)
	if err != nil {
		return nil, nil, err
	}
	if alt.Value != nil {
		t.ExtraExtensions = []pkix.Extension{alt}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, t, private)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyPEM(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), key, err
}

// Subject is the distinguished name: a common name for people, and the UID.
func Subject(n Names) pkix.Name {
	subject := pkix.Name{CommonName: n.Common}
	if n.Operator != "" {
		subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: n.Operator}}
	}
	return subject
}

// AltName is the subjectAltName of names, with a nil Value where there are none.
func AltName(n Names) (pkix.Extension, error) {
	e := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}}
	if len(n.Realms)+len(n.Hosts)+len(n.Addrs) == 0 {
		return e, nil
	}
	for _, realm := range n.Realms {
		if realm == "" || len(realm) > 253 || !utf8.ValidString(realm) {
			return e, fmt.Errorf("%q is no realm", realm)
		}
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddASN1(tag.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, realm := range n.Realms {
			b.AddASN1(tag.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 8})
				b.AddASN1(tag.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					b.AddASN1(tag.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(realm)) })
				})
			})
		}
		for _, host := range n.Hosts {
			b.AddASN1(tag.Tag(2).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(host)) })
		}
		for _, addr := range n.Addrs {
			b.AddASN1(tag.Tag(7).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(addr.AsSlice()) })
		}
	})
	var err error
	e.Value, err = b.Bytes()
	return e, err
}

// PEM is the certificate and its intermediates, and the key, as files have them.
func (p *Pair) PEM() (chain, key []byte, err error) {
	for _, c := range append([]*x509.Certificate{p.Cert}, p.Above...) {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	key, err = keyPEM(p.Key)
	return chain, key, err
}

// TLS is the pair as crypto/tls takes it.
func (p *Pair) TLS() tls.Certificate {
	t := tls.Certificate{Certificate: [][]byte{p.Cert.Raw}, PrivateKey: p.Key, Leaf: p.Cert}
	for _, c := range p.Above {
		t.Certificate = append(t.Certificate, c.Raw)
	}
	return t
}

// Chain is what a peer shows of it.
func (p *Pair) Chain() []*x509.Certificate { return append([]*x509.Certificate{p.Cert}, p.Above...) }

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
