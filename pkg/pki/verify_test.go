package pki_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
)

const (
	policyIDP = "1.3.6.1.4.1.14122.1.1.2"
	policyANP = "1.3.6.1.4.1.14122.1.1.1"
	anyPolicy = "2.5.29.32.0"
)

var names = issue.Names{Common: "radius", Realms: []string{"Home.Example", "*.sub.example"}, Hosts: []string{"radius.home.example"},
	Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, Operator: "SITE.HOME:US"}

// TestC61PrivateTrustBase proves C61: who is believed is who was named, and nobody
// without that.
func TestC61PrivateTrustBase(t *testing.T) {
	ours, theirs := root(t, "same name"), root(t, "same name")
	chain := leaf(t, ours, issue.Profile{Names: names}).Chain()

	id, why := trust(t, base(ours)).Verify(chain, pki.Client, now)
	require.Equal(t, pki.None, why)
	assert.Equal(t, []string{"home.example", "*.sub.example"}, id.Realms)
	assert.Equal(t, []string{"radius.home.example"}, id.Hosts)
	assert.Equal(t, names.Addrs, id.Addrs)
	assert.Equal(t, "SITE.HOME:US", id.Operator)
	assert.Equal(t, chain[0].NotAfter, id.NotAfter)

	_, why = trust(t, base(theirs)).Verify(chain, pki.Client, now)
	assert.NotEqual(t, pki.None, why, "an authority of the same name is another")
	_, why = (*pki.Trust)(nil).Verify(chain, pki.Client, now)
	assert.Equal(t, pki.UnknownIssuer, why, "no trust base believes nobody")
	made, wrong := pki.NewTrust(pki.Base{}, now)
	assert.Nil(t, made)
	assert.NotEmpty(t, wrong, "an empty trust base is a mistake")
}

// TestC61LivePeers proves C61: a peer is judged again by what it showed, under the trust
// base of after a reload.
func TestC61LivePeers(t *testing.T) {
	ours, theirs := root(t, "ours"), root(t, "theirs")
	chain := leaf(t, ours, issue.Profile{Names: names}).Chain()
	id, why := trust(t, base(ours)).Verify(chain, pki.Client, now)
	require.Equal(t, pki.None, why)

	again, why := trust(t, base(ours)).Again(id, now)
	require.Equal(t, pki.None, why)
	assert.Equal(t, id.ID, again.ID)
	_, why = trust(t, base(theirs)).Again(id, now)
	assert.Equal(t, pki.UnknownIssuer, why)
	_, why = trust(t, base(ours)).Again(id, id.NotAfter.Add(time.Second))
	assert.Equal(t, pki.Expired, why)
	revoked := base(ours)
	revoked.CRLs = []pki.File{crlFile(t, ours, "crl.pem", chain[0].SerialNumber)}
	_, why = trust(t, revoked).Again(id, now)
	assert.Equal(t, pki.Revoked, why)
}

func crlFile(t testing.TB, a *issue.Authority, name string, serials ...*big.Int) pki.File {
	t.Helper()
	der, err := a.Revoke(1, now.Add(-time.Hour), now.Add(time.Hour), serials...)
	require.NoError(t, err)
	return pki.File{Name: name, Data: der}
}

// TestCauses provokes every cause of a chain by itself; those of revocation
// have tests of their own.
func TestCauses(t *testing.T) {
	ca := root(t, "root")
	sub := below(t, ca, issue.Profile{Names: issue.Names{Common: "sub"}})
	good := leaf(t, sub, issue.Profile{Names: names})
	client, server := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	shown := func(p issue.Profile) []*x509.Certificate { return leaf(t, sub, p).Chain() }
	edited := func(edit func(*x509.Certificate)) []*x509.Certificate {
		return shown(issue.Profile{Names: names, Edit: edit})
	}
	extra := func(id asn1.ObjectIdentifier, critical bool, value []byte) []*x509.Certificate {
		return shown(issue.Profile{Extra: []pkix.Extension{{Id: id, Critical: critical, Value: value}}})
	}
	altName := asn1.ObjectIdentifier{2, 5, 29, 17}
	deep := ca
	for i := range pki.MaxChain {
		deep = below(t, deep, issue.Profile{Names: issue.Names{Common: fmt.Sprint("level ", i)}})
	}
	narrow := below(t, ca, issue.Profile{Names: issue.Names{Common: "narrow"}, Edit: func(c *x509.Certificate) { c.MaxPathLenZero = true }})
	narrower := below(t, narrow, issue.Profile{Names: issue.Names{Common: "narrower"}})
	constrained := below(t, ca, issue.Profile{Names: issue.Names{Common: "constrained"}, Edit: func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"other.example"}, true
	}})
	clientsOnly := below(t, ca, issue.Profile{Names: issue.Names{Common: "clients"}, Usages: client})
	expired := below(t, ca, issue.Profile{Names: issue.Names{Common: "expired"}, NotAfter: now.Add(-time.Minute)})
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	onlyRealms, err := issue.AltName(issue.Names{Realms: []string{"a.example"}})
	require.NoError(t, err)
	forged := *good.Cert
	forged.Signature = append([]byte(nil), forged.Signature...)
	forged.Signature[9] ^= 1
	hosts := make([]string, pki.MaxNames+1)
	for i := range hosts {
		hosts[i] = "a"
	}
	huge := *good.Cert
	huge.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 9000), E: 65537}

	for _, c := range []struct {
		name  string
		chain []*x509.Certificate
		as    pki.Role
		want  pki.Cause
	}{
		{"a client", good.Chain(), pki.Client, pki.None},
		{"a server", good.Chain(), pki.Server, pki.None},
		{"nothing shown", nil, pki.Client, pki.NoCertificate},
		{"eleven certificates", leaf(t, deep, issue.Profile{Names: names}).Chain(), pki.Client, pki.TooLong},
		{"an authority below one that allows none", leaf(t, narrower, issue.Profile{Names: names}).Chain(), pki.Client, pki.TooLong},
		{"64 KiB", extra(asn1.ObjectIdentifier{1, 2, 3}, false, make([]byte, pki.MaxChainBytes)), pki.Client, pki.TooBig},
		{"1001 names", shown(issue.Profile{Names: issue.Names{Hosts: hosts}}), pki.Client, pki.TooManyNames},
		{"1001 realms", shown(issue.Profile{Names: issue.Names{Realms: hosts}}), pki.Client, pki.TooManyNames},
		{"RSA 1024", shown(issue.Profile{Names: names, Key: small}), pki.Client, pki.WeakKey},
		{"RSA 9000", []*x509.Certificate{&huge}, pki.Client, pki.HugeKey},
		{"expired", shown(issue.Profile{Names: names, NotAfter: now.Add(-time.Second)}), pki.Client, pki.Expired},
		{"not yet valid", shown(issue.Profile{Names: names, NotBefore: now.Add(time.Second)}), pki.Client, pki.NotYetValid},
		{"an expired issuer", leaf(t, expired, issue.Profile{Names: names}).Chain(), pki.Client, pki.Expired},
		{"no intermediate", good.Chain()[:1], pki.Client, pki.UnknownIssuer},
		{"self-signed", root(t, "root").Chain(), pki.Client, pki.UnknownIssuer},
		{"a forged signature", []*x509.Certificate{&forged, sub.Cert}, pki.Client, pki.UnknownIssuer},
		{"a server's alone shown by a client", shown(issue.Profile{Names: names, Usages: server}), pki.Client, pki.WrongUsage},
		{"a client's alone shown by a server", shown(issue.Profile{Names: names, Usages: client}), pki.Server, pki.WrongUsage},
		{"an authority for clients alone", leaf(t, clientsOnly, issue.Profile{Names: names}).Chain(), pki.Server, pki.WrongUsage},
		{"for encryption alone", edited(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), pki.Client, pki.WrongUsage},
		{"issued by a leaf", []*x509.Certificate{leaf(t, asAuthority(good), issue.Profile{Names: names}).Cert, good.Cert, sub.Cert}, pki.Client, pki.UnknownIssuer},
		{"never parsed", []*x509.Certificate{{}}, pki.Client, pki.Broken},
		{"a name that its authority may not issue", leaf(t, constrained, issue.Profile{Names: names}).Chain(), pki.Client, pki.NotAllowed},
		{"an unknown critical extension", extra(asn1.ObjectIdentifier{1, 2, 3}, true, []byte{5, 0}), pki.Client, pki.UnknownCritical},
		{"a NAIRealm that is no UTF8String", extra(altName, false, badRealm), pki.Client, pki.MalformedName},
		{"a critical subjectAltName of NAIRealms", extra(altName, true, onlyRealms.Value), pki.Client, pki.None},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, why := trust(t, base(ca)).Verify(c.chain, c.as, now)
			assert.Equal(t, c.want.String(), why.String())
			assert.Equal(t, c.want == pki.None, id != nil)
		})
	}
}

// asAuthority signs with a certificate that may not.
func asAuthority(p *issue.Pair) *issue.Authority {
	fake := *p.Cert
	fake.IsCA = true
	return &issue.Authority{Pair: issue.Pair{Cert: &fake, Key: p.Key}}
}

// badRealm is an otherName of the right kind with an INTEGER in it.
var badRealm = []byte{0x30, 0x11, 0xa0, 0x0f, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x08, 0x08, 0xa0, 0x03, 0x02, 0x01, 0x05}

// TestC63Policies proves C63: a policy counts where the whole chain has it.
func TestC63Policies(t *testing.T) {
	ca := root(t, "root")
	named := func(policies ...string) issue.Profile {
		return issue.Profile{Names: issue.Names{Common: fmt.Sprint(policies)}, Policies: policies}
	}
	inhibiting := named(anyPolicy)
	inhibiting.Extra = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 54}, Critical: true, Value: []byte{2, 1, 0}}}
	for _, c := range []struct {
		name   string
		above  []issue.Profile
		leaf   []string
		wanted []string
		held   []string
		want   pki.Cause
	}{
		{"the whole chain", []issue.Profile{named(policyIDP)}, []string{policyIDP}, []string{policyIDP}, []string{policyIDP}, pki.None},
		{"one of two that are asked for", []issue.Profile{named(policyIDP)}, []string{policyIDP}, []string{policyANP, policyIDP}, []string{policyIDP}, pki.None},
		{"none is asked for", []issue.Profile{named()}, nil, nil, nil, pki.None},
		{"directly below the root", nil, []string{policyIDP}, []string{policyIDP}, []string{policyIDP}, pki.None},
		{"the issuer has any", []issue.Profile{named(anyPolicy)}, []string{policyIDP}, []string{policyIDP}, []string{policyIDP}, pki.None},
		{"the leaf alone", []issue.Profile{named()}, []string{policyIDP}, []string{policyIDP}, nil, pki.WrongPolicy},
		{"the issuer has another", []issue.Profile{named(policyANP)}, []string{policyIDP}, []string{policyIDP}, nil, pki.WrongPolicy},
		{"the leaf has another", []issue.Profile{named(policyIDP, policyANP)}, []string{policyANP}, []string{policyIDP}, nil, pki.WrongPolicy},
		{"the leaf has none", []issue.Profile{named(policyIDP)}, nil, []string{policyIDP}, nil, pki.WrongPolicy},
		{"the leaf has any", []issue.Profile{named(policyIDP)}, []string{anyPolicy}, []string{policyIDP}, nil, pki.WrongPolicy},
		{"a gap in the middle", []issue.Profile{named(policyIDP), named(policyANP), named(policyIDP)}, []string{policyIDP}, []string{policyIDP}, nil, pki.WrongPolicy},
		{"any below one that forbids it", []issue.Profile{inhibiting, named(anyPolicy)}, []string{policyIDP}, []string{policyIDP}, nil, pki.WrongPolicy},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := ca
			for _, p := range c.above {
				at = below(t, at, p)
			}
			chain := leaf(t, at, issue.Profile{Names: names, Policies: c.leaf}).Chain()
			open, why := trust(t, base(ca)).Verify(chain, pki.Client, now)
			require.Equal(t, pki.None, why, "without a policy that is asked for")
			if c.want == pki.None {
				assert.Equal(t, c.held, open.Policies)
			}
			asking := base(ca)
			asking.Policies = c.wanted
			_, why = trust(t, asking).Verify(chain, pki.Client, now)
			assert.Equal(t, c.want.String(), why.String())
		})
	}
}

// TestC66ResumedSessions proves C66: what a session ticket kept is judged again, under the
// trust base of the moment.
func TestC66ResumedSessions(t *testing.T) {
	ours, theirs := root(t, "ours"), root(t, "theirs")
	cs := &tls.ConnectionState{DidResume: true, PeerCertificates: leaf(t, ours, issue.Profile{Names: names}).Chain()}
	_, why := trust(t, base(ours)).VerifyConnection(cs, pki.Client, now)
	assert.Equal(t, pki.None, why)
	_, why = trust(t, base(theirs)).VerifyConnection(cs, pki.Client, now)
	assert.Equal(t, pki.UnknownIssuer, why)
}

func TestCauseTexts(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range pki.Causes() {
		assert.Regexp(t, `^[a-z_]+$`, c.String())
		assert.Greater(t, len(c.Text()), 20, "%s", c)
		assert.False(t, seen[c.String()] || seen[c.Text()], "%s: two causes say the same", c)
		seen[c.String()], seen[c.Text()] = true, true
		var refused pki.Refused
		assert.ErrorAs(t, c.Err(), &refused)
		assert.Equal(t, c, pki.Cause(refused))
	}
	assert.NoError(t, pki.None.Err())
	assert.Equal(t, "unknown", pki.Cause(200).String())
	assert.NotEmpty(t, pki.Cause(200).Text())
}
