package peer

import (
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
)

// Certificates are the files of one small public key infrastructure for the
// TLS-based EAP methods, all in PEM.
type Certificates struct {
	CA                    string
	ServerCert, ServerKey string
	ClientCert, ClientKey string
}

// NewCertificates makes a root, a server certificate for server and a client
// certificate for client (the device's identity).
func NewCertificates(t testing.TB, server, client string) *Certificates {
	t.Helper()
	dir := t.TempDir()
	root, err := lab.NewCA("roamgate test root")
	require.NoError(t, err)
	c := &Certificates{}
	c.CA, err = root.Write(dir, "ca")
	require.NoError(t, err)
	write := func(name string, leaf lab.Leaf) (cert, key string) {
		p, err := root.Issue(leaf)
		require.NoError(t, err)
		cert, key, err = p.Write(dir, name)
		require.NoError(t, err)
		return cert, key
	}
	c.ServerCert, c.ServerKey = write("server", lab.Leaf{Name: server, Hosts: []string{server}, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	c.ClientCert, c.ClientKey = write("client", lab.Leaf{Name: client, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return c
}
