package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Certificates are the files of one small public key infrastructure for the
// TLS-based EAP methods, all in PEM.
type Certificates struct {
	CA                    string
	ServerCert, ServerKey string
	ClientCert, ClientKey string
}

// NewCertificates makes a root, a server certificate for server and a client
// certificate for client (the device's identity), ECDSA on P-256.
func NewCertificates(t testing.TB, server, client string) *Certificates {
	t.Helper()
	dir := t.TempDir()
	rootKey := newKey(t)
	root := certificate(1, "roamgate test root")
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign

	c := &Certificates{CA: filepath.Join(dir, "ca.pem")}
	writePEM(t, c.CA, "CERTIFICATE", sign(t, root, root, &rootKey.PublicKey, rootKey))

	s := certificate(2, server)
	s.DNSNames, s.ExtKeyUsage = []string{server}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	c.ServerCert, c.ServerKey = leaf(t, filepath.Join(dir, "server"), s, root, rootKey)

	d := certificate(3, client)
	d.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	c.ClientCert, c.ClientKey = leaf(t, filepath.Join(dir, "client"), d, root, rootKey)
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func certificate(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"roamgate test"}},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func sign(t testing.TB, c, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, key)
	require.NoError(t, err)
	return der
}

func leaf(t testing.TB, base string, c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (cert, key string) {
	t.Helper()
	k := newKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	cert, key = base+".pem", base+".key"
	writePEM(t, cert, "CERTIFICATE", sign(t, c, parent, &k.PublicKey, parentKey))
	writePEM(t, key, "PRIVATE KEY", der)
	return cert, key
}

func writePEM(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
