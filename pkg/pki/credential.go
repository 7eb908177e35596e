package pki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// NewCredential makes one of a file with our certificate and its intermediates,
// in the order in which they are shown, and of a file with its key. A staple
// with data is an OCSP response in DER for the first of them. What is wrong is
// told all at once; the Credential is nil if any of that is more than a warning.
func NewCredential(cert, key, staple File, now time.Time) (*Credential, []Mistake) {
	chain, wrong := inspect(cert, now)
	signer, more := privateKey(key)
	all := append(mistakes(wrong), more...)
	if len(chain) == 0 || signer == nil {
		return nil, all
	}
	all.keyOf(chain, cert.Name, signer, key.Name)

	c := &Credential{TLS: tls.Certificate{PrivateKey: signer, Leaf: chain[0]}, NotAfter: chain[0].NotAfter}
	h := sha256.New()
	for _, one := range chain {
		c.TLS.Certificate = append(c.TLS.Certificate, one.Raw)
		h.Write(one.Raw)
		if one.NotAfter.Before(c.NotAfter) {
			c.NotAfter = one.NotAfter
		}
	}
	if len(staple.Data) > 0 {
		all.staple(chain, staple, now)
		c.TLS.OCSPStaple = staple.Data
		h.Write(staple.Data)
	}
	h.Sum(c.Hash[:0])
	if all.fatal() {
		return nil, all
	}
	return c, all
}

// Inspect reads a file with a chain and says what is wrong with showing it,
// whoever is to judge it.
func Inspect(f File, now time.Time) ([]*x509.Certificate, []Mistake) {
	chain, all := inspect(f, now)
	if len(chain) > 0 {
		all.oneSided(chain[0], f.Name)
	}
	return chain, all
}

func inspect(f File, now time.Time) ([]*x509.Certificate, mistakes) {
	chain, wrong := Certificates(f)
	if len(chain) == 0 {
		return nil, wrong
	}
	all := mistakes(wrong)
	all.order(chain, f.Name)
	all.shown(chain, f.Name, now)
	return chain, all
}

// oneSided says for what a certificate is no good. Whether that matters, who uses
// it knows: see Credential.Usable.
func (m *mistakes) oneSided(leaf *x509.Certificate, file string) {
	client, server := uses(leaf, x509.ExtKeyUsageClientAuth), uses(leaf, x509.ExtKeyUsageServerAuth)
	switch {
	case server && !client:
		m.warn(file, "the extended key usage of our certificate lacks clientAuth", "homes that we connect to will refuse it")
	case client && !server:
		m.warn(file, "the extended key usage of our certificate lacks serverAuth", "clients that connect to us will refuse it")
	}
}

// Usable reports whether peers that are what role says accept the certificate, as
// far as its extended key usage goes.
func (c *Credential) Usable(peer Role) bool {
	if peer == Client {
		return uses(c.TLS.Leaf, x509.ExtKeyUsageServerAuth)
	}
	return uses(c.TLS.Leaf, x509.ExtKeyUsageClientAuth)
}

func (m *mistakes) keyOf(chain []*x509.Certificate, file string, key crypto.Signer, keyFile string) {
	at := slices.IndexFunc(chain, func(c *x509.Certificate) bool {
		public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		return ok && public.Equal(key.Public())
	})
	switch {
	case at > 0:
		m.wrong(file, fmt.Sprintf("the key in %s is that of certificate %d", keyFile, at+1), "our own certificate comes first, then its issuer, and so on")
	case at < 0:
		m.wrong(keyFile, "the key is not that of the certificate in "+file, "openssl x509 -pubkey -noout -in "+file+" and openssl pkey -pubout -in "+keyFile+" must print the same")
	}
}

// order wants each certificate to be issued by the next.
func (m *mistakes) order(chain []*x509.Certificate, file string) {
	if len(chain) > MaxChain {
		m.wrong(file, fmt.Sprintf("has %d certificates", len(chain)), fmt.Sprintf("our own and its intermediates are expected, %d at most", MaxChain))
		return
	}
	for i, c := range chain {
		if selfIssued(c) && i > 0 {
			m.warn(file, fmt.Sprintf("certificate %d is the root authority itself", i+1), "peers have it; it need not be sent")
		}
		if i+1 < len(chain) && c.CheckSignatureFrom(chain[i+1]) != nil {
			m.wrong(file, fmt.Sprintf("certificate %d is not issued by certificate %d", i+1, i+2), "our own certificate comes first, then its issuer, and so on")
			return
		}
	}
}

// shown finds what peers would not accept.
func (m *mistakes) shown(chain []*x509.Certificate, file string, now time.Time) {
	for i, c := range chain {
		which := fmt.Sprintf("certificate %d ", i+1)
		switch {
		case now.After(c.NotAfter):
			m.warn(file, which+"expired at "+c.NotAfter.UTC().Format(time.RFC3339), "peers will refuse it: have it renewed")
		case now.Before(c.NotBefore):
			m.warn(file, which+"is not valid before "+c.NotBefore.UTC().Format(time.RFC3339), "peers will refuse it until then; is the clock right?")
		}
		if why := strength(c, selfIssued(c)); why != None {
			m.wrong(file, which+"will be refused: "+why.Text(), "a key of RSA 2048 to 4096, ECDSA P-256 or Ed25519 does")
		}
	}
	leaf := chain[0]
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		m.wrong(file, "the key usage of our certificate lacks digitalSignature", "without it TLS cannot use the certificate")
	}
	if !uses(leaf, x509.ExtKeyUsageClientAuth) && !uses(leaf, x509.ExtKeyUsageServerAuth) {
		m.wrong(file, "the extended key usage of our certificate has neither clientAuth nor serverAuth", "TLS cannot use the certificate")
	}
	names, why := readNames(leaf)
	switch {
	case why != None:
		m.wrong(file, "our certificate: "+why.Text(), "openssl x509 -noout -ext subjectAltName -in "+file)
	case names.empty():
		m.warn(file, "our certificate has no NAIRealm, dNSName or iPAddress", "peers go by these names, never by the common name; roamgate cert csr asks for them")
	}
}

// uses reports whether the extended key usage allows it; none allows all.
func uses(c *x509.Certificate, usage x509.ExtKeyUsage) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, usage) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// strength judges key and hash. The signature of a root proves nothing, and may
// be of any kind.
func strength(c *x509.Certificate, root bool) Cause {
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok {
		switch bits := key.N.BitLen(); {
		case bits < 2048:
			return WeakKey
		case bits > 8192:
			return HugeKey
		}
	}
	switch c.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		if !root {
			return WeakKey
		}
	}
	return None
}
