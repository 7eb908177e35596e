package issue_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
)

var year = issue.Profile{Names: issue.Names{Common: "ca"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1e9, 0)}

// TestIssue: what is issued is judged like anybody's, also by an authority that
// was opened again.
func TestIssue(t *testing.T) {
	first, err := issue.NewAuthority(year)
	require.NoError(t, err)
	chain, key, err := first.PEM()
	require.NoError(t, err)
	opened, err := issue.Open(der(t, chain), der(t, key))
	require.NoError(t, err)
	leaf := year
	leaf.Names = issue.Names{Realms: []string{"example.org"}, Operator: "EXAMPLE:US"}
	pair, err := opened.Issue(leaf)
	require.NoError(t, err)
	trust, wrong := pki.NewTrust(pki.Base{Authorities: []pki.File{{Data: chain}}}, time.Unix(1e8, 0))
	require.NotNil(t, trust, "%v", wrong)
	id, why := trust.Verify(pair.Chain(), pki.Server, time.Unix(1e8, 0))
	require.Equal(t, pki.None, why)
	assert.True(t, id.HasRealm("example.org") && id.HasOperator("EXAMPLE:US"))

	otherChain, otherKey, err := pair.PEM()
	require.NoError(t, err)
	_, err = issue.Open(der(t, chain), der(t, otherKey))
	assert.ErrorContains(t, err, "not that of the authority")
	_, err = issue.Open(der(t, otherChain), der(t, otherKey))
	assert.ErrorContains(t, err, "not that of an authority")
	_, err = issue.Open([]byte("x"), nil)
	assert.Error(t, err)
	_, err = issue.Open(der(t, chain), []byte("x"))
	assert.Error(t, err)
}

// TestOpenssl: another reader finds the names where the RFCs put them.
func TestOpenssl(t *testing.T) {
	ca, err := issue.NewAuthority(year)
	require.NoError(t, err)
	below, err := ca.Authority(year)
	require.NoError(t, err)
	leaf := year
	leaf.Names = issue.Names{
		Common: "peer", Operator: "ACME:DE", Realms: []string{"*.acme.example"}, Hosts: []string{"radsec.acme.example"},
		Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
	}
	leaf.Policies = []string{"1.3.6.1.4.1.14122.1.1.1"}
	pair, err := below.Issue(leaf)
	require.NoError(t, err)
	chain, _, err := pair.PEM()
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(chain), "BEGIN CERTIFICATE"))
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("openssl is not here to read it")
		return
	}
	read := exec.Command(openssl, "x509", "-noout", "-text")
	read.Stdin = bytes.NewReader(chain)
	text, err := read.CombinedOutput()
	require.NoError(t, err)
	for _, want := range []string{
		"UID = ACME:DE", "othername:", "*.acme.example", "DNS:radsec.acme.example", "IP Address:127.0.0.1",
		"Policy: 1.3.6.1.4.1.14122.1.1.1",
	} {
		assert.Contains(t, string(text), want)
	}
}

func der(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	return block.Bytes
}

func TestMistakes(t *testing.T) {
	ca, err := issue.NewAuthority(year)
	require.NoError(t, err)
	for _, realm := range []string{"", "a\xff", strings.Repeat("a", 300)} {
		p := year
		p.Realms = []string{realm}
		_, err := ca.Issue(p)
		assert.ErrorContains(t, err, "is no realm")
		_, _, err = issue.Request(p.Names)
		assert.ErrorContains(t, err, "is no realm")
	}
	p := year
	p.Policies = []string{"gold"}
	_, err = ca.Issue(p)
	assert.ErrorContains(t, err, `policy "gold"`)
}

// TestRequest: a request is signed with its key and has the names.
func TestRequest(t *testing.T) {
	text, key, err := issue.Request(issue.Names{Common: "x", Hosts: []string{"a.example"}})
	require.NoError(t, err)
	request, err := x509.ParseCertificateRequest(der(t, text))
	require.NoError(t, err)
	require.NoError(t, request.CheckSignature())
	assert.Equal(t, []string{"a.example"}, request.DNSNames)
	private, err := x509.ParsePKCS8PrivateKey(der(t, key))
	require.NoError(t, err)
	assert.NotNil(t, private)
}
