package pki_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/pkg/pki/issue"
)

// TestC95NAIRealm proves C95: the rule of RFC 7585 section 2.2, and its neighbours.
func TestC95NAIRealm(t *testing.T) {
	for _, c := range []struct {
		realm, pattern string
		want           bool
	}{
		{"foo.example", "foo.example", true},
		{"foo.example", "*.example", true},
		{"bar.foo.example", "*.example", false},
		{"bar.foo.example", "*ar.foo.example", false},
		{"bar.foo.example", "bar.*.example", false},
		{"bar.foo.example", "*.*.example", false},
		{"sub.bar.foo.example", "*.*.example", false},
		{"sub.bar.foo.example", "*.bar.foo.example", true},

		{"FOO.example", "foo.EXAMPLE", true},
		{"foo.example", "bar.example", false},
		{"example", "*.example", false},
		{"foo.example", "*", false},
		{"foo.example", "*.", false},
		{"foo.example", "**.example", false},
		{"foo.example", "f*.example", false},
		{"foo.example.evil", "foo.example", false},
		{"evil.foo.example", "foo.example", false},
		{".example", "*.example", false},
		{"", "*.example", false},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", true},
		{"xn--bcher-kva.example", "*.example", true},
		{"xn--bcher-kva.example", "xn--*.example", false},
		{"bücher.example", "bücher.example", true},
		{"bu\u0308cher.example", "bücher.example", true},
		{"*.example", "*.example", true},
		{"*.example", "foo.example", false},
	} {
		id := &pki.Identity{Realms: []string{"other.test", fold(t, c.pattern)}}
		assert.Equal(t, c.want, id.HasRealm(c.realm), "%q of a certificate, and %q", c.pattern, c.realm)
	}
}

// fold is a realm as a certificate of a chain that was accepted has it.
func fold(t *testing.T, realm string) string {
	ca := root(t, "root")
	id, why := trust(t, base(ca)).Verify(leaf(t, ca, issue.Profile{Names: issue.Names{Realms: []string{realm}}}).Chain(), pki.Client, now)
	require.Equal(t, pki.None, why)
	return id.Realms[0]
}

// TestC62NamesOfServers proves C62: NAIRealm, dNSName and iPAddress say who it is; a common
// name never does.
func TestC62NamesOfServers(t *testing.T) {
	ca := root(t, "root")
	identity := func(n issue.Names) *pki.Identity {
		id, why := trust(t, base(ca)).Verify(leaf(t, ca, issue.Profile{Names: n}).Chain(), pki.Server, now)
		require.Equal(t, pki.None, why)
		return id
	}
	common := identity(issue.Names{Common: "radius.example"})
	assert.False(t, common.HasHost("radius.example") || common.HasRealm("radius.example"), "a common name is no name")

	id := identity(issue.Names{Common: "cn.example", Realms: []string{"realm.example"}, Hosts: []string{"Host.example", "*.wild.example"},
		Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}})
	for _, c := range []struct {
		name string
		got  bool
		want bool
	}{
		{"a host", id.HasHost("host.EXAMPLE"), true},
		{"a host with the final dot", id.HasHost("host.example."), true},
		{"a wildcard", id.HasHost("a.wild.example"), true},
		{"two labels for a wildcard", id.HasHost("a.b.wild.example"), false},
		{"no label for a wildcard", id.HasHost("wild.example"), false},
		{"a realm is no host", id.HasHost("realm.example"), false},
		{"a host is no realm", id.HasRealm("host.example"), false},
		{"no host", id.HasHost(""), false},
		{"the common name", id.HasHost("cn.example"), false},
		{"an address", id.HasAddr(netip.MustParseAddr("192.0.2.1")), true},
		{"an address of IPv6", id.HasAddr(netip.MustParseAddr("2001:db8::1")), true},
		{"an address mapped into IPv6", id.HasAddr(netip.MustParseAddr("::ffff:192.0.2.1")), true},
		{"another address", id.HasAddr(netip.MustParseAddr("192.0.2.2")), false},
		{"an address as a host", id.HasHost("192.0.2.1"), false},
	} {
		assert.Equal(t, c.want, c.got, c.name)
	}
}

func TestOperators(t *testing.T) {
	for _, c := range []struct {
		uid, wbaid string
		want       bool
	}{
		{"HOME:US", "HOME:US", true},
		{"HOME:US", "home:us", true},
		{"SITE.HOME:US", "HOME:US", true},
		{"A.B.HOME:US", "HOME:US", true},
		{"EVILHOME:US", "HOME:US", false},
		{"HOME:US", "SITE.HOME:US", false},
		{"HOME:US.EVIL:US", "HOME:US", false},
		{"", "HOME:US", false},
		{"HOME:US", "", false},
	} {
		id := &pki.Identity{Operator: c.uid}
		assert.Equal(t, c.want, id.HasOperator(c.wbaid), "%q of a certificate, and %q", c.uid, c.wbaid)
	}
}
