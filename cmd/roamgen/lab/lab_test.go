package lab

import (
	"crypto/x509"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIssue(t *testing.T) {
	root, err := NewCA("lab root")
	require.NoError(t, err)
	below, err := root.Below("lab issuer", "1.3.6.1.4.1.14122.1.1.1")
	require.NoError(t, err)
	p, err := below.Issue(Leaf{
		Name: "peer", Operator: "ACME:DE", Realms: []string{"*.acme.example", "acme.example"}, Hosts: []string{"radsec.acme.example"},
		Addrs: []net.IP{net.ParseIP("127.0.0.1")}, Policies: []string{"1.3.6.1.4.1.14122.1.1.1"},
	})
	require.NoError(t, err)

	roots, between := Pool(root), Pool(below)
	_, err = p.TLS.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: "radsec.acme.example"})
	require.NoError(t, err)
	require.NoError(t, p.TLS.Leaf.VerifyHostname("127.0.0.1"))
	require.Len(t, p.TLS.Certificate, 2)
	require.Len(t, p.TLS.Leaf.Policies, 1)

	dir := t.TempDir()
	cert, key, err := p.Write(dir, "peer")
	require.NoError(t, err)
	assert.FileExists(t, key)
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("openssl is not here to read it")
		return
	}
	text, err := exec.Command(openssl, "x509", "-in", cert, "-noout", "-text").CombinedOutput()
	require.NoError(t, err)
	for _, want := range []string{
		"UID = ACME:DE", "othername:", "*.acme.example", "DNS:radsec.acme.example", "IP Address:127.0.0.1",
		"Policy: 1.3.6.1.4.1.14122.1.1.1",
	} {
		assert.Contains(t, string(text), want)
	}
}

func TestValidity(t *testing.T) {
	root, err := NewCA("lab root")
	require.NoError(t, err)
	for _, tt := range []struct {
		name string
		leaf Leaf
		ok   bool
	}{
		{"by default", Leaf{}, true},
		{"expired", Leaf{To: time.Now().Add(-time.Minute)}, false},
		{"not yet", Leaf{From: time.Now().Add(time.Minute)}, false},
		{"another use", Leaf{Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := root.Issue(tt.leaf)
			require.NoError(t, err)
			_, err = p.TLS.Leaf.Verify(x509.VerifyOptions{Roots: Pool(root)})
			assert.Equal(t, tt.ok, err == nil, err)
		})
	}
}

func TestRevoke(t *testing.T) {
	root, err := NewCA("lab root")
	require.NoError(t, err)
	good, err := root.Issue(Leaf{Name: "good"})
	require.NoError(t, err)
	gone, err := root.Issue(Leaf{Name: "gone"})
	require.NoError(t, err)
	b, err := root.Revoke(1, gone)
	require.NoError(t, err)
	assert.Contains(t, string(b), "X509 CRL")
	assert.NotEqual(t, good.TLS.Leaf.SerialNumber, gone.TLS.Leaf.SerialNumber)
}
