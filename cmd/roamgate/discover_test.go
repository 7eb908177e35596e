package main

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/zone"
)

// zoneOf serves records on loopback.
func zoneOf(t *testing.T, records ...string) (server string) {
	t.Helper()
	z := zone.New()
	for _, rr := range records {
		require.NoError(t, z.Add(rr))
	}
	at, stop, err := z.Serve()
	require.NoError(t, err)
	t.Cleanup(stop)
	return at.String()
}

var published = []string{
	`example.org. 600 IN NAPTR 10 10 "s" "aaa+auth:radius.tls.tcp" "" _radiustls._tcp.example.org.`,
	`example.org. 600 IN NAPTR 10 10 "s" "x-eduroam:radius.tls" "" _edu._tcp.example.org.`,
	"_radiustls._tcp.example.org. 300 IN SRV 0 5 2083 radius.example.org.",
	"_radiustls._tcp.example.org. 300 IN SRV 1 5 22 radius.example.org.",
	"_edu._tcp.example.org. 300 IN SRV 0 5 2084 radius.example.org.",
	"radius.example.org. 120 IN A 9.9.8.1",
	"radius.example.org. 120 IN A 10.0.0.1",
}

// The command shows each question, what was made of the answer, and the targets.
func TestDiscover(t *testing.T) {
	server := zoneOf(t, published...)
	text := ok(t, "discover", "example.org", "--server", server)
	for _, want := range []string{
		"NAPTR example.org", "SRV _radiustls._tcp.example.org", "A radius.example.org", "AAAA radius.example.org",
		"not used: a port that the profile does not allow", "not used: a private address", "not used: another service",
		"result   found, for 2m0s: 1 target", "9.9.8.1:2083 radius.example.org priority 0 weight 5, radius.tls.tcp for 2m0s",
	} {
		assert.Contains(t, text, want)
	}
	assert.Contains(t, ok(t, "discover", "example.org", "--server", server, "--profile", "eduroam"), "9.9.8.1:2084")
	assert.Contains(t, ok(t, "discover", "example.org", "--server", server, "--tag", "x-eduroam:radius.tls", "--port", "2084"), "9.9.8.1:2084")
	assert.Contains(t, ok(t, "discover", "example.org", "--server", server, "--private", "10.0.0.0/8"), "10.0.0.1:2083")

	var x shownDiscovery
	require.NoError(t, json.Unmarshal([]byte(ok(t, "discover", "example.org", "--server", server, "--json")), &x))
	assert.Equal(t, "found", x.Result)
	require.Len(t, x.Targets, 1)
	assert.Equal(t, shownTarget{"9.9.8.1:2083", "radius.example.org", "radius.tls.tcp", 0, 5, 120}, x.Targets[0])
	assert.Equal(t, "NAPTR example.org", x.Steps[0].Question)
	assert.Equal(t, "port", x.Steps[1].Records[1].Refused)

	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no such service": {[]string{"example.org", "--server", server, "--acct"}, exitProblem, "no_peer"},
		"no such realm":   {[]string{"elsewhere.example", "--server", server}, exitProblem, "the name does not exist"},
		"no realm":        {[]string{"$(reboot)\x1b", "--server", server}, exitProblem, "$(reboot)."},
		"a bad server":    {[]string{"example.org", "--server", "nonsense"}, exitUsage, "no address"},
		"a bad profile":   {[]string{"example.org", "--profile", "nonsense"}, exitUsage, "openroaming or eduroam"},
		"a bad prefix":    {[]string{"example.org", "--private", "nonsense"}, exitUsage, "no prefix"},
		"a bad port":      {[]string{"example.org", "--port", "0"}, exitUsage, "no port"},
		"no trust":        {[]string{"example.org", "--connect"}, exitUsage, "--trust"},
		"no key":          {[]string{"example.org", "--cert", "x"}, exitUsage, "--key"},
	} {
		t.Run(name, func(t *testing.T) {
			r := command(append([]string{"discover"}, tt.args...)...)
			assert.Equal(t, tt.code, r.code)
			assert.Contains(t, r.out+r.errs, tt.want)
			assert.NotContains(t, r.out+r.errs, "\x1b")
		})
	}
}

// --connect judges what each target shows: the realm must be in its certificate.
func TestDiscoverConnects(t *testing.T) {
	dir := labCA(t)
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "radius.pem"), filepath.Join(dir, "radius.key"))
	require.NoError(t, err)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"radius/1.1"}})
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_ = c.(*tls.Conn).Handshake()
			_, _ = c.Read(make([]byte, 1)) // until the command leaves
			_ = c.Close()
		}
	}()
	at := netip.MustParseAddrPort(l.Addr().String())
	records := func(realm string) []string {
		return []string{
			realm + `. 600 IN NAPTR 10 10 "s" "aaa+auth:radius.tls.tcp" "" _r.` + realm + `.`,
			"_r." + realm + ". 300 IN SRV 0 5 " + port(at) + " radius.example.org.",
		}
	}
	server := zoneOf(t, append(append(records("example.org"), records("other.example")...), "radius.example.org. 120 IN A 127.0.0.1")...)
	args := func(realm string) []string {
		return []string{"discover", realm, "--server", server, "--private", "127.0.0.0/8", "--connect", "--trust", filepath.Join(dir, "ca.pem"),
			"--cert", filepath.Join(dir, "radius.pem"), "--key", filepath.Join(dir, "radius.key")}
	}
	text := ok(t, args("example.org")...)
	assert.Contains(t, text, "ALPN radius/1.1")
	assert.Contains(t, text, "as a server: accepted")
	assert.Contains(t, text, "realm example.org: the certificate names it")
	r := command(args("other.example")...)
	assert.Equal(t, exitProblem, r.code, r.out)
	assert.Contains(t, r.errs, "1 of 1 target cannot be used")
}

func port(a netip.AddrPort) string {
	_, p, _ := net.SplitHostPort(a.String())
	return p
}
