package pki_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
)

func files(t testing.TB, p *issue.Pair) (cert, key pki.File) {
	t.Helper()
	chain, private, err := p.PEM()
	require.NoError(t, err)
	return pki.File{Name: "cert.pem", Data: chain}, pki.File{Name: "key.pem", Data: private}
}

func TestCredential(t *testing.T) {
	ca := root(t, "root")
	sub := below(t, ca, issue.Profile{Names: issue.Names{Common: "sub"}, NotAfter: now.AddDate(0, 1, 0)})
	pair := leaf(t, sub, issue.Profile{Names: names})
	cert, key := files(t, pair)
	c, wrong := pki.NewCredential(cert, key, pki.File{}, now)
	require.Empty(t, wrong)
	assert.Len(t, c.TLS.Certificate, 2)
	assert.Equal(t, pair.Cert.Raw, c.TLS.Leaf.Raw)
	assert.Equal(t, sub.Cert.NotAfter, c.NotAfter, "the chain ends with the first of its certificates")
	same, _ := pki.NewCredential(cert, key, pki.File{}, now)
	assert.Equal(t, c.Hash, same.Hash)
	otherCert, otherKey := files(t, leaf(t, sub, issue.Profile{Names: names}))
	other, _ := pki.NewCredential(otherCert, otherKey, pki.File{}, now)
	assert.NotEqual(t, c.Hash, other.Hash)
}

// TestOneSided: what a certificate is no good for is said of it alone; of one that
// is in use, by who uses it.
func TestOneSided(t *testing.T) {
	ca := root(t, "root")
	for use, lacks := range map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "clientAuth", x509.ExtKeyUsageClientAuth: "serverAuth"} {
		cert, key := files(t, leaf(t, ca, issue.Profile{Names: names, Usages: []x509.ExtKeyUsage{use}}))
		_, wrong := pki.Inspect(cert, now)
		require.Len(t, wrong, 1)
		assert.Contains(t, wrong[0].Error(), "lacks "+lacks)
		c, wrong := pki.NewCredential(cert, key, pki.File{}, now)
		require.Empty(t, wrong)
		assert.Equal(t, use == x509.ExtKeyUsageServerAuth, c.Usable(pki.Client))
		assert.Equal(t, use == x509.ExtKeyUsageClientAuth, c.Usable(pki.Server))
	}
}

// TestCredentialMistakes: each mistake names its file and what to do.
func TestCredentialMistakes(t *testing.T) {
	ca := root(t, "root")
	sub := below(t, ca, issue.Profile{Names: issue.Names{Common: "sub"}})
	pair := leaf(t, sub, issue.Profile{Names: names})
	cert, key := files(t, pair)
	_, otherKey := files(t, leaf(t, sub, issue.Profile{}))
	_, subKey := files(t, &sub.Pair)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	der := func(name, data string) pki.File { return pki.File{Name: name, Data: []byte(data)} }
	block := func(kind string, data []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
	}
	made := func(p issue.Profile) [2]pki.File {
		cert, key := files(t, leaf(t, sub, p))
		return [2]pki.File{cert, key}
	}
	many := cert
	for range pki.MaxChain {
		many.Data = append(many.Data, block("CERTIFICATE", sub.Cert.Raw)...)
	}
	for _, c := range []struct {
		name    string
		files   [2]pki.File
		file    string
		text    string
		warning bool
	}{
		{"empty", [2]pki.File{der("cert.pem", ""), key}, "cert.pem", "no certificate", false},
		{"exchanged", [2]pki.File{{Name: "cert.pem", Data: key.Data}, {Name: "key.pem", Data: cert.Data}}, "cert.pem", "are certificate and key exchanged", false},
		{"a key that is a certificate", [2]pki.File{cert, {Name: "key.pem", Data: cert.Data}}, "key.pem", "no private key", false},
		{"DER", [2]pki.File{{Name: "cert.pem", Data: pair.Cert.Raw}, key}, "cert.pem", "DER or PKCS #12", false},
		{"something else in PEM", [2]pki.File{{Name: "cert.pem", Data: block("X509 CRL", nil)}, key}, "cert.pem", `"X509 CRL"`, false},
		{"text", [2]pki.File{der("cert.pem", "hello"), key}, "cert.pem", "BEGIN CERTIFICATE", false},
		{"a broken certificate", [2]pki.File{{Name: "cert.pem", Data: block("CERTIFICATE", []byte("x"))}, key}, "cert.pem", "certificate 1 cannot be read", false},
		{"a huge file", [2]pki.File{{Name: "cert.pem", Data: make([]byte, pki.MaxFile+1)}, key}, "cert.pem", "8 MiB", false},
		{"a key in DER", [2]pki.File{cert, {Name: "key.pem", Data: append([]byte{0x30, 0x82, 1, 1}, make([]byte, 257)...)}}, "key.pem", "DER", false},
		{"an encrypted key", [2]pki.File{cert, {Name: "key.pem", Data: block("ENCRYPTED PRIVATE KEY", []byte("x"))}}, "key.pem", "encrypted", false},
		{"a broken key", [2]pki.File{cert, {Name: "key.pem", Data: block("PRIVATE KEY", []byte("x"))}}, "key.pem", "cannot be read", false},
		{"another's key", [2]pki.File{cert, otherKey}, "key.pem", "not that of the certificate", false},
		{"the key of the second", [2]pki.File{cert, subKey}, "cert.pem", "that of certificate 2", false},
		{"a wrong order", [2]pki.File{pemFile("cert.pem", pair, &ca.Pair, &sub.Pair), key}, "cert.pem", "certificate 1 is not issued by certificate 2", false},
		{"too many", [2]pki.File{many, key}, "cert.pem", "12 certificates", false},
		{"with the root", [2]pki.File{pemFile("cert.pem", pair, &sub.Pair, &ca.Pair), key}, "cert.pem", "root authority", true},
		{"expired", made(issue.Profile{Names: names, NotAfter: now.Add(-time.Hour)}), "cert.pem", "expired", true},
		{"not yet valid", made(issue.Profile{Names: names, NotBefore: now.Add(time.Hour)}), "cert.pem", "not valid before", true},
		{"RSA 1024", made(issue.Profile{Names: names, Key: small}), "cert.pem", "2048", false},
		{"no signatures", made(issue.Profile{Names: names, Edit: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }}), "cert.pem", "digitalSignature", false},
		{"for mail", made(issue.Profile{Names: names, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}}), "cert.pem", "neither clientAuth nor serverAuth", false},
		{"no name", made(issue.Profile{Names: issue.Names{Common: "radius.example"}}), "cert.pem", "common name", true},
		{"a broken name", made(issue.Profile{Extra: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: badRealm}}}), "cert.pem", "subjectAltName", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			made, wrong := pki.NewCredential(c.files[0], c.files[1], pki.File{}, now)
			assert.Equal(t, c.warning, made != nil)
			found := false
			for _, m := range wrong {
				assert.NotContains(t, m.Error(), "\n")
				assert.NotEmpty(t, m.Hint, "%s", m)
				found = found || m.File == c.file && m.Warning == c.warning && strings.Contains(m.Error(), c.text)
			}
			assert.True(t, found, "%q is not said of %s by %v", c.text, c.file, wrong)
		})
	}
}

// TestTrustMistakes: the same for a trust base.
func TestTrustMistakes(t *testing.T) {
	ca, other := root(t, "root"), root(t, "other")
	lapsed, err := issue.NewAuthority(issue.Profile{Names: issue.Names{Common: "lapsed"}, NotBefore: now.AddDate(-2, 0, 0), NotAfter: now.AddDate(-1, 0, 0)})
	require.NoError(t, err)
	early, err := issue.NewAuthority(lasting(issue.Profile{Names: issue.Names{Common: "early"}, NotBefore: now.Add(time.Hour)}))
	require.NoError(t, err)
	twin := root(t, "root")
	stale, err := ca.Revoke(1, now.Add(-2*time.Hour), now.Add(-time.Hour))
	require.NoError(t, err)
	of := func(a *issue.Authority, edit func(*pki.Base)) pki.Base {
		b := base(a)
		if edit != nil {
			edit(&b)
		}
		return b
	}
	for _, c := range []struct {
		name    string
		base    pki.Base
		text    string
		warning bool
	}{
		{"nobody", pki.Base{}, "no authority is named", false},
		{"a policy by name", of(ca, func(b *pki.Base) { b.Policies = []string{"openroaming"} }), "no object identifier", false},
		{"an address of another kind", of(ca, func(b *pki.Base) { b.Points = []string{"ldap://x/y"} }), "no address of a CRL", false},
		{"an address with a password", of(ca, func(b *pki.Base) { b.Points = []string{"http://a:b@x/y"} }), "no address of a CRL", false},
		{"an authority that expired", base(lapsed), "expired", true},
		{"an authority of tomorrow", base(early), "not valid before", true},
		{"a leaf", pki.Base{Authorities: []pki.File{pemFile("ca.pem", leaf(t, ca, issue.Profile{Names: names}))}}, "not an authority", true},
		{"a CRL of another", of(ca, func(b *pki.Base) { b.CRLs = []pki.File{crlFile(t, other, "crl.pem")} }), "none of the authorities", true},
		{"a CRL of one who calls itself so", of(ca, func(b *pki.Base) { b.CRLs = []pki.File{crlFile(t, twin, "crl.pem")} }), "CRL is", true},
		{"a CRL of yesterday", of(ca, func(b *pki.Base) { b.CRLs = []pki.File{{Name: "crl.pem", Data: stale}} }), "to be renewed", true},
		{"a certificate as a CRL", of(ca, func(b *pki.Base) { b.CRLs = []pki.File{pemFile("crl.pem", &ca.Pair)} }), "CERTIFICATE", false},
		{"text as a CRL", of(ca, func(b *pki.Base) { b.CRLs = []pki.File{{Name: "crl.pem", Data: []byte("hello")}} }), "neither PEM text nor DER", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			made, wrong := pki.NewTrust(c.base, now)
			assert.Equal(t, c.warning, made != nil)
			found := false
			for _, m := range wrong {
				assert.NotEmpty(t, m.Hint, "%s", m)
				found = found || m.Warning == c.warning && strings.Contains(m.Error(), c.text)
			}
			assert.True(t, found, "%q is not said by %v", c.text, wrong)
		})
	}
}

// TestTrustHash: what judges otherwise has another hash.
func TestTrustHash(t *testing.T) {
	ca := root(t, "root")
	seen := map[[32]byte]string{}
	for name, edit := range map[string]func(*pki.Base){
		"plain":      func(*pki.Base) {},
		"policies":   func(b *pki.Base) { b.Policies = []string{policyIDP} },
		"revocation": func(b *pki.Base) { b.Revocation = pki.RevocationRequire },
		"CRL":        func(b *pki.Base) { b.CRLs = []pki.File{crlFile(t, ca, "crl.pem")} },
		"points":     func(b *pki.Base) { b.Points = []string{"http://crl.example/"} },
		"follow":     func(b *pki.Base) { b.Follow = true },
		"authority":  func(b *pki.Base) { b.Authorities = append(b.Authorities, base(root(t, "root")).Authorities...) },
	} {
		b := base(ca)
		edit(&b)
		hash := trust(t, b).Hash
		assert.Equal(t, hash, trust(t, b).Hash, name)
		assert.Empty(t, seen[hash], name)
		seen[hash] = name
	}
}
