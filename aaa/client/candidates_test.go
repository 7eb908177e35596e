package client

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/realm"
)

// lab is an authority and a security that believes it.
type lab struct {
	t    *testing.T
	root *issue.Authority
	sec  *realm.Security
}

func newLab(t *testing.T, name string) *lab {
	t.Helper()
	root, err := issue.NewAuthority(issue.Profile{Names: issue.Names{Common: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	chain, _, err := root.PEM()
	require.NoError(t, err)
	trust, wrong := pki.NewTrust(pki.Base{Authorities: []pki.File{{Name: "root", Data: chain}}}, time.Now())
	require.NotNil(t, trust, wrong)
	return &lab{t: t, root: root, sec: &realm.Security{Name: name, Trust: trust}}
}

func (l *lab) shows(hosts ...string) *tls.ConnectionState {
	l.t.Helper()
	p, err := l.root.Issue(issue.Profile{Names: issue.Names{Hosts: hosts}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	require.NoError(l.t, err)
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{p.Cert}}
}

func (l *lab) client(name, host string, prefixes ...string) realm.Client {
	c := spec(name, prefixes...)
	c.Secret, c.Transport, c.Security = nil, realm.TLS, l.sec
	c.Holder = &realm.Holder{Hosts: []string{host}}
	return c
}

func namesOf(c *Candidates) (names []string) {
	for one := range c.All() {
		names = append(names, one.Spec.Name)
	}
	return names
}

// C65: the clients of the most specific prefix come first, and behind them those
// around it, in the order of the files.
func TestC65Candidates(t *testing.T) {
	a, b := newLab(t, "a"), newLab(t, "b")
	dtls := a.client("dtls", "x")
	dtls.Transport = realm.DTLS
	tcp := spec("tcp", "192.0.2.0/24")
	tcp.Transport = realm.TCP
	tb, err := New([]realm.Client{
		a.client("anywhere", "any.example"),
		a.client("net", "net.example", "192.0.2.0/24", "2001:db8::/32"),
		b.client("same net", "net.example", "192.0.2.0/24"),
		a.client("host", "host.example", "192.0.2.7/32", "192.0.2.0/24"),
		a.client("mapped", "mapped.example", "::ffff:198.51.100.0/120"),
		dtls, tcp, spec("udp", "192.0.2.0/24"),
	})
	require.NoError(t, err)
	for addr, want := range map[string][]string{
		"192.0.2.7":     {"host", "net", "same net", "host", "anywhere"},
		"192.0.2.8":     {"net", "same net", "host", "anywhere"},
		"2001:db8::1":   {"net", "anywhere"},
		"2001:dead::1":  {"anywhere"},
		"203.0.113.1":   {"anywhere"},
		"198.51.100.20": {"mapped", "anywhere"},
	} {
		assert.Equal(t, want, namesOf(tb.Candidates(realm.TLS, netip.MustParseAddr(addr))), addr)
	}
	assert.Equal(t, []string{"dtls"}, namesOf(tb.Candidates(realm.DTLS, netip.MustParseAddr("192.0.2.7"))))
	assert.Equal(t, "tcp", tb.TCP(netip.MustParseAddr("::ffff:192.0.2.7")).Spec.Name)
	assert.Equal(t, "udp", tb.Lookup(netip.MustParseAddr("192.0.2.7")).Spec.Name)
	assert.Nil(t, tb.TCP(netip.MustParseAddr("198.51.100.1")))
	assert.Equal(t, "udp", tb.Everybody(netip.MustParseAddr("192.0.2.8"))[0].Spec.Name)
	assert.Len(t, tb.Everybody(netip.MustParseAddr("192.0.2.8")), 7)

	at := tb.Candidates(realm.TLS, netip.MustParseAddr("192.0.2.7"))
	for _, tt := range []struct {
		name  string
		shown *tls.ConnectionState
		want  string
		why   pki.Cause
	}{
		{"one of the first authority", a.shows("net.example"), "net", pki.None},
		{"one of the other", b.shows("net.example"), "same net", pki.None},
		{"the most specific", a.shows("net.example", "host.example"), "host", pki.None},
		{"from anywhere", a.shows("any.example"), "anywhere", pki.None},
		{"the name of another authority's", b.shows("host.example"), "", pki.WrongName},
		{"no name of ours", a.shows("x.example"), "", pki.WrongName},
		{"nobody's authority", newLab(t, "a").shows("net.example"), "", pki.UnknownIssuer},
		{"nothing", &tls.ConnectionState{}, "", pki.NoCertificate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, id, why := at.Identify(tt.shown, time.Now())
			assert.Equal(t, tt.why, why)
			if tt.want == "" {
				assert.Nil(t, c)
				assert.Nil(t, id)
				return
			}
			require.NotNil(t, c)
			assert.Equal(t, tt.want, c.Spec.Name)
			same, _, why := at.Again(id, time.Now())
			assert.Equal(t, pki.None, why)
			assert.Same(t, c, same)
			_, _, why = at.Again(id, time.Now().Add(2*time.Hour))
			assert.Equal(t, pki.Expired, why)
		})
	}
	var nobody *Candidates
	_, _, why := nobody.Identify(a.shows("net.example"), time.Now())
	assert.Equal(t, pki.WrongName, why)
	assert.Empty(t, slices.Collect(nobody.All()))
}

// The hash is the same where the same are believed for the same clients.
func TestCandidatesHash(t *testing.T) {
	a, b := newLab(t, "a"), newLab(t, "b")
	hash := func(addr string, cs ...realm.Client) [32]byte {
		tb, err := New(cs)
		require.NoError(t, err)
		return tb.Candidates(realm.TLS, netip.MustParseAddr(addr)).Hash()
	}
	one := hash("192.0.2.1", a.client("one", "x"))
	assert.Equal(t, one, hash("192.0.2.1", a.client("one", "y")), "a holder is judged each time")
	assert.Equal(t, one, hash("192.0.2.1", a.client("one", "x"), a.client("elsewhere", "x", "203.0.113.0/24")))
	assert.NotEqual(t, one, hash("192.0.2.1", b.client("one", "x")))
	assert.NotEqual(t, one, hash("192.0.2.1", a.client("two", "x")))
	assert.NotEqual(t, one, hash("192.0.2.1", a.client("one", "x"), a.client("here", "x", "192.0.2.0/24")))
}

func TestNewRefusesSecured(t *testing.T) {
	l := newLab(t, "a")
	for _, tt := range []struct {
		name, want string
		edit       func(*realm.Client)
	}{
		{"no security", "no security", func(c *realm.Client) { c.Security = nil }},
		{"no holder", "whose certificate", func(c *realm.Client) { c.Holder = nil }},
		{"invalid prefix", "invalid prefix", func(c *realm.Client) { c.Prefixes = make([]netip.Prefix, 1) }},
	} {
		c := l.client("a", "x")
		tt.edit(&c)
		_, err := New([]realm.Client{c})
		require.ErrorContains(t, err, tt.want, tt.name)
	}
}
