package lab

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWrite: what is written is what crypto/tls loads, chain and key.
func TestWrite(t *testing.T) {
	root, err := NewCA("lab root")
	require.NoError(t, err)
	p, err := root.Issue(Leaf{Name: "peer", Realms: []string{"acme.example"}, Hosts: []string{"radsec.acme.example"}, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key, err := p.Write(dir, "peer")
	require.NoError(t, err)
	read, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	assert.Equal(t, p.TLS.Certificate, read.Certificate)
	require.NoError(t, p.TLS.Leaf.VerifyHostname("radsec.acme.example"))
	require.NoError(t, p.TLS.Leaf.VerifyHostname("127.0.0.1"))
	path, err := root.Write(dir, "root")
	require.NoError(t, err)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(b))
	_, err = p.TLS.Leaf.Verify(x509.VerifyOptions{Roots: roots})
	require.NoError(t, err)
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
