package file

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki/issue"
)

// lab is an authority with what is shown and believed.
type lab struct {
	*issue.Authority
	t testing.TB
}

func newLab(t testing.TB, name string) *lab {
	t.Helper()
	p := lasting(issue.Names{Common: name})
	a, err := issue.NewAuthority(p)
	require.NoError(t, err)
	return &lab{a, t}
}

// lasting is valid before, now and for years.
func lasting(n issue.Names) issue.Profile {
	return issue.Profile{Names: n, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(3, 0, 0)}
}

// root is the certificate of the authority.
func (l *lab) root() string {
	l.t.Helper()
	chain, _, err := l.PEM()
	require.NoError(l.t, err)
	return string(chain)
}

func (l *lab) pair(p issue.Profile) (chain, key string) {
	l.t.Helper()
	pair, err := l.Issue(p)
	require.NoError(l.t, err)
	c, k, err := pair.PEM()
	require.NoError(l.t, err)
	return string(c), string(k)
}

// list is one that names nothing.
func (l *lab) list(number int64) string {
	l.t.Helper()
	der, err := l.Revoke(number, time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0))
	require.NoError(l.t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

// put writes files that others name, readable for their owner.
func put(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

// referenceFiles are those that the files of configs/realms name.
func referenceFiles(t testing.TB) map[string]string {
	l := newLab(t, "reference")
	files := map[string]string{"pki/roaming.crl": l.list(1)}
	for _, ca := range []string{"roaming-ca", "wba-root0", "wba-root1"} {
		files["pki/"+ca+".pem"] = l.root()
	}
	for _, name := range []string{"hub", "openroaming"} {
		files["pki/"+name+".pem"], files["pki/"+name+".key"] = l.pair(lasting(issue.Names{Hosts: []string{name + ".example"}, Realms: []string{name + ".example"}}))
	}
	return files
}

// problemFiles are for what is said of certificates: nothing in them changes a
// message from one run to the next.
func problemFiles(t testing.TB) map[string]string {
	ca, other := newLab(t, "Lab Root"), newLab(t, "Other Root")
	files := map[string]string{
		"ca.pem": ca.root(), "other-ca.pem": other.root(), "ca.crl": ca.list(1), "other.crl": other.list(1),
		"broken.pem": "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "empty.pem": "",
	}
	good := lasting(issue.Names{Hosts: []string{"hub.example"}})
	files["hub.pem"], files["hub.key"] = ca.pair(good)
	_, files["other.key"] = other.pair(good)
	old := good
	old.NotBefore, old.NotAfter = time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	files["expired.pem"], files["expired.key"] = ca.pair(old)
	for name, usage := range map[string]x509.ExtKeyUsage{"outward": x509.ExtKeyUsageClientAuth, "inward": x509.ExtKeyUsageServerAuth} {
		one := lasting(issue.Names{Hosts: []string{name + ".example"}})
		one.Usages = []x509.ExtKeyUsage{usage}
		files[name+".pem"], files[name+".key"] = ca.pair(one)
	}
	files["nameless.pem"], files["nameless.key"] = ca.pair(lasting(issue.Names{Common: "nobody"}))
	return files
}
