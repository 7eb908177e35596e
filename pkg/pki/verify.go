package pki

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
)

const anyPolicy = "2.5.29.32.0"

// Verify judges the chain that a peer has shown, leaf first. Nothing of it is
// changed. A nil Trust believes nobody.
func (t *Trust) Verify(chain []*x509.Certificate, as Role, now time.Time) (*Identity, Cause) {
	return t.judge(chain, nil, as, now)
}

// VerifyConnection judges what a peer has shown in a handshake, or in that of
// the session that is resumed: its chain and what is stapled to it.
func (t *Trust) VerifyConnection(cs *tls.ConnectionState, as Role, now time.Time) (*Identity, Cause) {
	return t.VerifyStapled(cs.PeerCertificates, cs.OCSPResponse, as, now)
}

// VerifyStapled judges a chain and the OCSP response that is stapled to it. A
// server that promises one must bring it; a client cannot, before TLS 1.3.
func (t *Trust) VerifyStapled(chain []*x509.Certificate, staple []byte, as Role, now time.Time) (*Identity, Cause) {
	if len(chain) > 0 && as == Server && t.revokes() && len(staple) == 0 && mustStaple(chain[0]) {
		return nil, NoStaple
	}
	return t.judge(chain, staple, as, now)
}

// Again judges a live peer anew, by what it showed in its handshake. t may be
// another trust base than the one that accepted it.
func (t *Trust) Again(id *Identity, now time.Time) (*Identity, Cause) {
	return t.judge(id.shown, id.staple, id.as, now)
}

func (t *Trust) revokes() bool { return t != nil && t.revocation != RevocationOff }

func (t *Trust) judge(shown []*x509.Certificate, staple []byte, as Role, now time.Time) (*Identity, Cause) {
	if why := bounded(shown); why != None {
		return nil, why
	}
	if t == nil {
		return nil, UnknownIssuer
	}
	leaf := shown[0]
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, WrongUsage
	}
	chains, why := t.chains(shown, as, now)
	if why != None {
		return nil, why
	}
	id, why := Read(leaf)
	if why != None {
		return nil, why
	}
	first := None
	for _, chain := range chains {
		held, why := t.accepts(chain, staple, now)
		if why != None {
			if first == None || why == Revoked {
				first = why
			}
			continue
		}
		id.Policies, id.NotAfter = held, ends(chain)
		id.shown, id.staple, id.as = shown, staple, as
		return id, None
	}
	return nil, first
}

// Read gives what a certificate says of its holder, whoever issued it: its
// Policies are its own, and its NotAfter too.
func Read(c *x509.Certificate) (*Identity, Cause) {
	n, why := readNames(c)
	if why != None {
		return nil, why
	}
	return &Identity{
		ID: certID(c), Realms: n.realms, Hosts: n.hosts, Addrs: n.addrs, Operator: operator(c),
		Policies: policies([]*x509.Certificate{c}), NotAfter: c.NotAfter, Leaf: c,
	}, None
}

// bounded keeps what follows cheap, whatever was shown.
func bounded(shown []*x509.Certificate) Cause {
	if len(shown) == 0 {
		return NoCertificate
	}
	if len(shown) > MaxChain {
		return TooLong
	}
	size := 0
	for _, c := range shown {
		size += len(c.Raw)
	}
	if size > MaxChainBytes {
		return TooBig
	}
	for i, c := range shown {
		if len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses)+len(c.URIs) > MaxNames {
			return TooManyNames
		}
		if why := strength(c, i > 0 && selfIssued(c)); why != None {
			return why
		}
	}
	return None
}

// chains are those that lead from the leaf to an authority.
func (t *Trust) chains(shown []*x509.Certificate, as Role, now time.Time) ([][]*x509.Certificate, Cause) {
	usage := x509.ExtKeyUsageClientAuth
	if as == Server {
		usage = x509.ExtKeyUsageServerAuth
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	chains, err := namesRead(shown[0]).Verify(x509.VerifyOptions{
		Roots: t.pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return nil, causeOf(err, now)
	}
	return chains, None
}

// namesRead is the certificate without the complaint of crypto/x509 that a
// critical subjectAltName has nothing but NAIRealms: those are read here.
func namesRead(c *x509.Certificate) *x509.Certificate {
	if len(c.UnhandledCriticalExtensions) == 0 {
		return c
	}
	read := *c
	read.UnhandledCriticalExtensions = nil
	for _, id := range c.UnhandledCriticalExtensions {
		if !id.Equal(oidAltName) {
			read.UnhandledCriticalExtensions = append(read.UnhandledCriticalExtensions, id)
		}
	}
	return &read
}

func causeOf(err error, now time.Time) Cause {
	var (
		invalid  x509.CertificateInvalidError
		unknown  x509.UnknownAuthorityError
		critical x509.UnhandledCriticalExtension
	)
	switch {
	case errors.As(err, &unknown):
		return UnknownIssuer
	case errors.As(err, &critical):
		return UnknownCritical
	case !errors.As(err, &invalid):
		return Broken
	}
	switch invalid.Reason {
	case x509.Expired:
		if invalid.Cert != nil && now.Before(invalid.Cert.NotBefore) {
			return NotYetValid
		}
		return Expired
	case x509.TooManyIntermediates:
		return TooLong
	case x509.TooManyConstraints:
		return TooManyNames
	case x509.CANotAuthorizedForThisName, x509.NameConstraintsWithoutSANs, x509.UnconstrainedName:
		return NotAllowed
	case x509.NotAuthorizedToSign, x509.IncompatibleUsage, x509.CANotAuthorizedForExtKeyUsage:
		return WrongUsage
	case x509.NoValidChains:
		return WrongPolicy
	}
	return Broken
}

// accepts judges a chain whose signatures are right: leaf first, authority last.
func (t *Trust) accepts(chain []*x509.Certificate, staple []byte, now time.Time) ([]string, Cause) {
	for i, c := range chain {
		if why := strength(c, i == len(chain)-1); why != None {
			return nil, why
		}
	}
	held := policies(chain)
	if len(t.Policies) > 0 && !slices.ContainsFunc(t.Policies, func(p string) bool { return slices.Contains(held, p) }) {
		return nil, WrongPolicy
	}
	return held, t.revoked(chain, staple, now)
}

// policies are those that the leaf names and every certificate above it, but
// for the authority, has too or leaves open by anyPolicy (RFC 5280 section 6.1).
// A leaf has to name them: anyPolicy of its own names none. Mappings are not
// followed, so that a policy is only ever lost by them.
func policies(chain []*x509.Certificate) []string {
	var held []string
	for _, p := range chain[0].Policies {
		if p.String() != anyPolicy && !slices.Contains(held, p.String()) {
			held = append(held, p.String())
		}
	}
	inhibited := -1 // how many certificates below still count anyPolicy, -1: all
	for i := len(chain) - 2; i > 0; i-- {
		c := chain[i]
		open := false
		named := make([]string, 0, len(c.Policies))
		for _, p := range c.Policies {
			named = append(named, p.String())
			open = open || p.String() == anyPolicy && inhibited != 0
		}
		if !open {
			held = slices.DeleteFunc(held, func(p string) bool { return !slices.Contains(named, p) })
		}
		if inhibited > 0 && !selfIssued(c) {
			inhibited--
		}
		if skip, set := inhibits(c); set && (inhibited < 0 || skip < inhibited) {
			inhibited = skip
		}
	}
	return held
}

func inhibits(c *x509.Certificate) (skip int, set bool) {
	return c.InhibitAnyPolicy, c.InhibitAnyPolicy > 0 || c.InhibitAnyPolicyZero
}

func ends(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// certID names a certificate as RFC 5280 does, by issuer and serial number.
func certID(c *x509.Certificate) string {
	issuer := sha256.Sum256(c.RawIssuer)
	return fmt.Sprintf("%x@%s", c.SerialNumber, hex.EncodeToString(issuer[:16]))
}
