package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/test/judge"
)

const aRealm = "epc.mnc001.mcc262.3gppnetwork.org"

// answerer is a peer that answers.
func answerer(t *testing.T, c node.Config) *node.Node {
	t.Helper()
	c.Identity, c.Realm, c.Listen = "hss."+aRealm, aRealm, netip.MustParseAddrPort("127.0.0.1:0")
	c.Heard = judge.Collect
	n, err := node.Start(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func sendDiameter(n *node.Node, more ...string) result {
	return command(append([]string{"send", "diameter", "--to", n.Addr().String(), "--identity", "mme.visited.example"}, more...)...)
}

func TestSendDiameter(t *testing.T) {
	n := answerer(t, node.Config{Applications: []uint32{diameter.AppS6a, diameter.AppNASREQ, diameter.AppAccounting}})
	r := sendDiameter(n, "--command", "ulr", "--imsi", "262011234567890", "--destination-realm", aRealm, "--destination-host", "hss."+aRealm,
		"Visited-PLMN-Id=0x62f210", "RAT-Type=1004", "ULR-Flags=34")
	require.Zero(t, r.code, r.errs)
	assert.Regexp(t, `^ULA in \S+s: 2001 SUCCESS\nULA app=S6a `, r.out)
	assert.Contains(t, r.out, "\nOrigin-Host: hss."+aRealm+"\n")

	dir := t.TempDir()
	write(t, dir, map[string]string{"acr.txt": "ACR app=Accounting\nSession-Id: a;1;1\nOrigin-Host: mme.visited.example\nOrigin-Realm: visited.example\nDestination-Realm: " + aRealm +
		"\nAccounting-Record-Type: EVENT_RECORD\nAccounting-Record-Number: 0\nAcct-Application-Id: 3\n"})
	r = sendDiameter(n, "--file", filepath.Join(dir, "acr.txt"))
	require.Zero(t, r.code, r.errs)
	assert.Contains(t, r.out, "ACA in ")

	r = sendDiameter(n, "--command", "AAR", "--user", "bob@"+aRealm, "User-Password=correct horse", `Class="quoted"`, "State=0x0102", "Login-LAT-Node[M]=x")
	require.Zero(t, r.code, r.errs)

	n.SetScript(node.Script{Result: 5004, Vendor: diameter.Vendor3GPP})
	r = sendDiameter(n, "--command", "ULR", "--imsi", "262011234567890", "--destination-realm", aRealm)
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.out, "5004 ERROR_ROAMING_NOT_ALLOWED")
	assert.Empty(t, r.errs)

	n.SetScript(node.Script{Silent: true})
	r = sendDiameter(n, "--command", "AAR", "--user", "bob@a.example", "--timeout", "200ms")
	assert.Equal(t, exitUnreachable, r.code)
	assert.Contains(t, r.errs, "does not answer the request in 200ms")
}

func TestSendDiameterTLS(t *testing.T) {
	profile := issue.Profile{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	ca, err := issue.NewAuthority(profile)
	require.NoError(t, err)
	root, _, err := ca.PEM()
	require.NoError(t, err)
	files, pairs := map[string]string{"ca.pem": string(root)}, map[string]tls.Certificate{}
	for _, host := range []string{"hss." + aRealm, "mme.visited.example"} {
		profile.Hosts = []string{host}
		pair, err := ca.Issue(profile)
		require.NoError(t, err)
		chain, key, err := pair.PEM()
		require.NoError(t, err)
		files[host+".pem"], files[host+".key"] = string(chain), string(key)
		pairs[host], err = tls.X509KeyPair(chain, key)
		require.NoError(t, err)
	}
	dir := t.TempDir()
	write(t, dir, files)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(root))
	n := answerer(t, node.Config{TLS: &tls.Config{Certificates: []tls.Certificate{pairs["hss."+aRealm]}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}})
	ask := func(more ...string) result {
		return sendDiameter(n, append([]string{"--command", "AIR", "--imsi", "262011234567890", "--destination-realm", aRealm, "--tls", "--ca", filepath.Join(dir, "ca.pem")}, more...)...)
	}
	mine := []string{"--cert", filepath.Join(dir, "mme.visited.example.pem"), "--key", filepath.Join(dir, "mme.visited.example.key")}
	r := ask(append(mine, "--server-name", "hss."+aRealm)...)
	require.Zero(t, r.code, r.errs)
	assert.Contains(t, r.out, "AIA in ")
	r = ask(mine...)
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "TLS with ", "the certificate has another name")
	r = ask("--server-name", "hss."+aRealm)
	assert.Equal(t, exitProblem, r.code, "no certificate is shown")
}

func TestSendDiameterMistakes(t *testing.T) {
	closing, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = closing.Close() }()
	go func() {
		for {
			c, err := closing.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	to, dir := closing.Addr().String(), t.TempDir()
	write(t, dir, map[string]string{"bad.txt": "NOPE\n", "short.txt": "0x01\n", "ca.pem": "none"})
	file := func(name string) string { return filepath.Join(dir, name) }
	base := []string{"--to", to, "--identity", "a.example"}
	ulr := append(base, "--command", "ULR", "--destination-realm", "b.example")
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no peer", []string{"--identity", "a.example"}, exitUsage, "--to host:port is missing"},
		{"nobody", []string{"--to", to}, exitUsage, "--identity is missing"},
		{"no host", []string{"--to", to, "--identity", "a", "--command", "ULR"}, exitUsage, "no name of a host"},
		{"nothing to send", base, exitUsage, "write --command or --file"},
		{"both", append(ulr, "--file", "x"), exitUsage, "write --command or --file"},
		{"AVPs beside a file", append(base, "--file", "x", "User-Name=x"), exitUsage, "all AVPs stand in the file"},
		{"certificate without a key", append(ulr, "--tls", "--cert", "x"), exitUsage, "--cert and --key go together"},
		{"certificate without TLS", append(ulr, "--ca", "x"), exitUsage, "are of --tls"},
		{"no command", append(base, "--command", "XYZ", "--destination-realm", "b.example"), exitUsage, "is no request"},
		{"an answer", append(base, "--command", "ULA", "--destination-realm", "b.example"), exitUsage, "is no request"},
		{"no application", append(ulr, "--application", "s7"), exitUsage, "is not known"},
		{"no realm", append(base, "--command", "ULR"), exitUsage, "--destination-realm is missing"},
		{"no AVP", append(ulr, "Nothing=1"), exitProblem, `no AVP "Nothing"`},
		{"no value", append(ulr, "RAT-Type"), exitUsage, "is not NAME=VALUE"},
		{"no file", append(base, "--file", file("gone")), exitProblem, "reading the request"},
		{"no message", append(base, "--file", file("bad.txt")), exitProblem, `no command "NOPE"`},
		{"too short", append(base, "--file", file("short.txt")), exitProblem, "has 1 octets"},
		{"no authorities", append(ulr, "--tls", "--ca", file("ca.pem")), exitProblem, "holds no certificate"},
		{"it closes", ulr, exitProblem, "has closed the connection during the exchange of capabilities: does it know a.example?"},
		{"nobody there", []string{"--to", "127.0.0.1:1", "--identity", "a.example", "--command", "ULR", "--destination-realm", "b.example"}, exitUnreachable, "127.0.0.1:1 does not answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := command(append([]string{"send", "diameter"}, tc.args...)...)
			assert.Equal(t, tc.code, r.code)
			assert.Contains(t, r.errs, tc.want)
		})
	}
}

func TestPrivate(t *testing.T) {
	assert.Equal(t, "A: 1\nEAP-Master-Session-Key: [secret]\n  EAP-Master-Session-Key[M]: [secret]\nB: 2\n",
		private("A: 1\nEAP-Master-Session-Key: 0x0102\n  EAP-Master-Session-Key[M]: 0x03\nB: 2\n"))
}

// Octets are written as text, as quoted text or in hex, whatever the shell leaves of it.
func TestSendDiameterOctets(t *testing.T) {
	a := asking{command: "AAR", identity: "nas.example", realm: "example", user: "bob@a.example"}
	text, err := a.text([]string{"User-Password=correct horse", `Class="quoted"`, "State=0x0102", "CHAP-Challenge[M] = a\"b", "NAS-Identifier=ap"})
	require.NoError(t, err)
	for _, want := range []string{`User-Password: "correct horse"`, `Class: "quoted"`, "State: 0x0102", `CHAP-Challenge[M]: "a\"b"`, "NAS-Identifier: ap"} {
		assert.Contains(t, text, "\n"+want+"\n")
	}
	_, err = a.request([]string{"User-Password=correct horse"})
	require.NoError(t, err)
}
