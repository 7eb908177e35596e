package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Revocation says how much has to be known of what was revoked.
type Revocation uint8

// The words of the routing files.
const (
	RevocationCheck   Revocation = iota // what is known to be revoked is refused
	RevocationRequire                   // what is not known to be good is refused too
	RevocationOff                       // nothing is looked at
)

// String gives the word of the routing files.
func (r Revocation) String() string {
	return [...]string{RevocationCheck: "check", RevocationRequire: "require", RevocationOff: "off"}[r]
}

// Base is what a Trust is made of.
type Base struct {
	Authorities []File // certificates in PEM text; none: nobody is believed
	// Policies are object identifiers in dotted form, one of which must hold for
	// a whole chain; none: any chain will do.
	Policies   []string
	Revocation Revocation
	CRLs       []File // in PEM text or DER, each of one authority
	// Points are http or https addresses of further CRLs.
	Points []string
	// Follow fetches CRLs from where accepted certificates say they are (http,
	// public addresses).
	Follow bool
	// Private are addresses that are not public, and that Points and Follow may
	// nevertheless lead to.
	Private []netip.Prefix
}

// Trust is a trust base. It is safe for concurrent use.
type Trust struct {
	Authorities []*x509.Certificate
	Policies    []string // object identifiers, of which a chain must hold one; none: any chain
	// Hash is of all that the Trust was made of: the same hash judges alike.
	Hash [32]byte

	pool       *x509.CertPool
	revocation Revocation
	crls       []*CRL
	points     []string
	follow     bool
	private    []netip.Prefix
	lists      atomic.Pointer[Lists]
}

// NewTrust makes one. What is wrong with its files is told all at once; the
// Trust is nil if any of that is more than a warning.
func NewTrust(b Base, now time.Time) (*Trust, []Mistake) {
	var all mistakes
	t := &Trust{
		Policies: b.Policies, pool: x509.NewCertPool(),
		revocation: b.Revocation, points: b.Points, follow: b.Follow, private: b.Private,
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %d %q %t %q\n", b.Policies, b.Revocation, b.Points, b.Follow, b.Private)
	for _, f := range b.Authorities {
		certs, wrong := Certificates(f)
		all = append(all, wrong...)
		for _, c := range certs {
			all.authority(c, f.Name, now)
			t.pool.AddCert(c)
			h.Write(c.Raw)
		}
		t.Authorities = append(t.Authorities, certs...)
	}
	if len(t.Authorities) == 0 && !all.fatal() {
		all.wrong("", "no authority is named", "without one no certificate is believed; name the file of your federation's root")
	}
	for _, p := range b.Policies {
		if _, err := x509.ParseOID(p); err != nil {
			all.wrong("", fmt.Sprintf("%q is no object identifier", p), "a policy is written as numbers and dots, 1.3.6.1.4.1.25178.3.1.1")
		}
	}
	for _, p := range b.Points {
		if !fetchable(p, true) {
			all.wrong("", fmt.Sprintf("%q is no address of a CRL", p), "http://host/path or https://host/path is expected")
		}
	}
	for _, f := range b.CRLs {
		crl, wrong := NewCRL(f)
		all = append(all, wrong...)
		if crl != nil {
			all.crl(crl, f.Name, t.Authorities, now)
			t.crls = append(t.crls, crl)
			h.Write(crl.Hash[:])
		}
	}
	if all.fatal() {
		return nil, all
	}
	h.Sum(t.Hash[:0])
	return t, all
}

func (m *mistakes) authority(c *x509.Certificate, file string, now time.Time) {
	who := clean(c.Subject.String())
	switch {
	case now.After(c.NotAfter):
		m.warn(file, fmt.Sprintf("the authority %q expired at %s", who, c.NotAfter.UTC().Format(time.RFC3339)), "what it issued is refused: ask for its successor")
	case now.Before(c.NotBefore):
		m.warn(file, fmt.Sprintf("the authority %q is not valid before %s", who, c.NotBefore.UTC().Format(time.RFC3339)), "is the clock right?")
	}
	if !c.IsCA {
		m.warn(file, fmt.Sprintf("%q is not an authority", who), "it is believed itself, and nothing that it signed")
	}
	if why := strength(c, selfIssued(c)); why != None {
		m.wrong(file, fmt.Sprintf("the authority %q cannot be trusted: %s", who, why.Text()), "ask for its successor")
	}
}

func (m *mistakes) crl(crl *CRL, file string, authorities []*x509.Certificate, now time.Time) {
	at := slices.IndexFunc(authorities, func(c *x509.Certificate) bool { return crl.names(c) })
	switch {
	case at < 0:
		m.warn(file, fmt.Sprintf("the CRL is of %q, which is none of the authorities", clean(crl.Issuer)), "it counts for what an intermediate authority of that name has issued, and else for nothing")
	case !crl.by(authorities[at]):
		m.wrong(file, fmt.Sprintf("the CRL is not signed by the authority %q, or that may not sign lists", clean(crl.Issuer)), "fetch it anew from that authority; its key usage must have cRLSign")
	}
	if crl.Stale(now) {
		m.warn(file, "the CRL was to be renewed at "+crl.NextUpdate.UTC().Format(time.RFC3339), "fetch it anew, or give its address instead of a file")
	}
}

// fetchable reports whether a CRL can be asked for at an address.
func fetchable(address string, secure bool) bool {
	u, err := url.Parse(address)
	return err == nil && len(address) <= 1024 && u.Host != "" && u.User == nil && u.Opaque == "" &&
		(strings.EqualFold(u.Scheme, "http") || secure && strings.EqualFold(u.Scheme, "https"))
}
