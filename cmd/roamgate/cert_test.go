package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// labCA makes an authority with the certificate radius of example.org.
func labCA(t *testing.T, more ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "lab")
	ok(t, "cert", "new-ca", dir)
	ok(t, append([]string{"cert", "issue", dir, "radius", "--realm", "example.org", "--host", "radius.example.org"}, more...)...)
	return dir
}

func openssl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("openssl", args...).CombinedOutput()
	require.NoError(t, err, "openssl %v: %s", args, out)
	return string(out)
}

// TestOpenSSLReadsWhatCertMakes: certificates, requests and lists of the
// commands are what another reads.
func TestOpenSSLReadsWhatCertMakes(t *testing.T) {
	peer.Need(t, "openssl")
	dir := labCA(t, "--realm", "*.example.org", "--address", "192.0.2.1", "--address", "2001:db8::1", "--operator", "SITE.EXAMPLE:US", "--policy", "1.3.6.1.4.1.14122.1.1.2")
	ca, cert := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "radius.pem")
	assert.Contains(t, openssl(t, "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", ca, cert), "OK")
	assert.Contains(t, openssl(t, "verify", "-x509_strict", "-purpose", "sslclient", "-policy_check", "-policy", "1.3.6.1.4.1.14122.1.1.2", "-explicit_policy", "-CAfile", ca, cert), "OK")
	assert.Contains(t, openssl(t, "verify", "-crl_check", "-CRLfile", filepath.Join(dir, "crl.pem"), "-CAfile", ca, cert), "OK")
	text := openssl(t, "x509", "-noout", "-text", "-in", cert)
	for _, want := range []string{
		":example.org,", ":*.example.org,", "NAIRealm:", "DNS:radius.example.org", "IP Address:192.0.2.1", "IP Address:2001:DB8",
		"UID = SITE.EXAMPLE:US", "Policy: 1.3.6.1.4.1.14122.1.1.2", "Digital Signature", "CA:FALSE",
	} {
		assert.Contains(t, text, want)
	}
	assert.Contains(t, openssl(t, "pkey", "-noout", "-check", "-in", filepath.Join(dir, "radius.key")), "valid")

	at := filepath.Join(t.TempDir(), "radius")
	ok(t, "cert", "csr", at, "--realm", "example.org", "--host", "radius.example.org", "--operator", "EXAMPLE:US")
	text = openssl(t, "req", "-verify", "-noout", "-text", "-in", at+".csr")
	for _, want := range []string{"NAIRealm:", ":example.org,", "DNS:radius.example.org", "UID = EXAMPLE:US", "verify OK"} {
		assert.Contains(t, text, want)
	}
}

// TestCertOverwritesNothing: a key is never lost, and never to be read by others.
func TestCertOverwritesNothing(t *testing.T) {
	dir := labCA(t)
	at := filepath.Join(dir, "asked")
	ok(t, "cert", "csr", at, "--realm", "example.org")
	for _, name := range []string{"ca.key", "radius.key", "asked.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.EqualValues(t, 0o600, info.Mode().Perm(), name)
	}
	before, err := os.ReadFile(at + ".key")
	require.NoError(t, err)
	for _, args := range [][]string{
		{"cert", "new-ca", dir},
		{"cert", "issue", dir, "radius", "--realm", "example.org"},
		{"cert", "csr", at, "--realm", "example.org"},
	} {
		r := command(args...)
		assert.Equal(t, exitProblem, r.code)
		assert.Contains(t, r.errs, "is not overwritten")
	}
	after, err := os.ReadFile(at + ".key")
	require.NoError(t, err)
	assert.Equal(t, before, after)

	require.NoError(t, os.Remove(at+".key"))
	assert.Equal(t, exitProblem, command("cert", "csr", at, "--realm", "example.org").code)
	assert.NoFileExists(t, at+".key", "a key without its request is of no use")
}

func TestCertMisuse(t *testing.T) {
	dir := labCA(t)
	for _, c := range []struct {
		args []string
		text string
	}{
		{[]string{"csr"}, "FILE is missing"},
		{[]string{"csr", "x"}, "no peer goes by a common name"},
		{[]string{"csr", "x", "--realm", "not a realm"}, "is no realm"},
		{[]string{"csr", "x", "--host", "a/b"}, "is no host name"},
		{[]string{"csr", "x", "--address", "a"}, "is no IP address"},
		{[]string{"csr", "x", "--realm", "a.example", "--operator", "a b"}, "is no WBAID"},
		{[]string{"new-ca", dir, "--days", "0"}, "--days"},
		{[]string{"issue", dir}, "NAME are wanted"},
		{[]string{"issue", dir, "../x", "--realm", "a.example"}, "no name of a file"},
		{[]string{"issue", dir, "ca", "--realm", "a.example"}, "no name of a file"},
		{[]string{"issue", dir, "x", "--realm", "a.example", "--role", "king"}, "none of client, server, both"},
		{[]string{"check"}, "FILE is missing"},
		{[]string{"check", "x", "--connect", "y:1"}, "takes no files"},
		{[]string{"check", "--connect", "y:1", "--cert", "x"}, "--cert needs --key"},
		{[]string{"check", "--connect", "y"}, "HOST:PORT"},
		{[]string{"check", "x", "--at", "noon"}, "is no time"},
		{[]string{"check", "x", "--address", "y"}, "is no IP address"},
		{[]string{"check", "x", "--role", "king"}, "none of client, server, both"},
	} {
		r := command(append([]string{"cert"}, c.args...)...)
		assert.Equal(t, exitUsage, r.code, c.args)
		assert.Contains(t, r.errs, c.text)
	}
	for _, c := range []struct {
		args []string
		text string
	}{
		{[]string{"issue", t.TempDir(), "x", "--realm", "a.example"}, "cert new-ca"},
		{[]string{"issue", dir, "x", "--realm", "a.example", "--policy", "wba"}, `policy "wba"`},
		{[]string{"check", filepath.Join(dir, "none.pem")}, "no such file"},
		{[]string{"check", filepath.Join(dir, "radius.pem"), "--trust", filepath.Join(dir, "none.pem")}, "no such file"},
	} {
		r := command(append([]string{"cert"}, c.args...)...)
		assert.Equal(t, exitProblem, r.code, c.args)
		assert.Contains(t, r.errs, c.text)
	}
}

func TestCertCheck(t *testing.T) {
	dir := labCA(t, "--days", "40")
	at := func(name string) string { return filepath.Join(dir, name) }
	ok(t, "cert", "issue", dir, "visited", "--host", "ap.example.net", "--role", "client", "--operator", "EXAMPLE:US")
	other := labCA(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"by itself", []string{at("radius.pem")}, 0, []string{
			`certificate 1: "CN=radius.example.org"`, "NAIRealm  example.org", "dNSName   radius.example.org", "days left", "ECDSA P-256, signed with ECDSA-SHA256",
			"client, server", "--trust with its certificate says"}},
		{"with its key", []string{at("radius.pem"), "--key", at("radius.key")}, 0, nil},
		{"with another key", []string{at("radius.pem"), "--key", at("visited.key")}, 1, []string{"error:", "the key is not that of the certificate"}},
		{"in both roles", []string{at("radius.pem"), "--trust", at("ca.pem")}, 0, []string{"as a client: accepted until", "as a server: accepted until"}},
		{"a client as a server", []string{at("visited.pem"), "--trust", at("ca.pem")}, 1, []string{"as a client: accepted", "as a server: refused", "serverAuth", "(wrong_usage)", "operator  EXAMPLE:US"}},
		{"a client as a client", []string{at("visited.pem"), "--trust", at("ca.pem"), "--role", "client", "--operator", "EXAMPLE:US", "--host", "ap.example.net"}, 0, []string{"operator EXAMPLE:US: the certificate names it"}},
		{"with the root", []string{at("radius.pem"), at("ca.pem"), "--trust", at("ca.pem")}, 0, []string{"certificate 2:", "warning:", "root authority itself"}},
		{"another authority", []string{at("radius.pem"), "--trust", filepath.Join(other, "ca.pem")}, 1, []string{"as a server: refused", "(unknown_issuer)"}},
		{"its realm", []string{at("radius.pem"), "--realm", "EXAMPLE.org"}, 0, []string{"realm EXAMPLE.org: the certificate names it"}},
		{"another realm", []string{at("radius.pem"), "--realm", "example.net"}, 1, []string{"realm example.net: the certificate has none of the names"}},
		{"another address", []string{at("radius.pem"), "--address", "192.0.2.1"}, 1, []string{"address 192.0.2.1: the certificate has none"}},
		{"in ten years", []string{at("radius.pem"), "--trust", at("ca.pem"), "--at", "2099-01-01"}, 1, []string{"expired", "(expired)"}},
		{"before its time", []string{at("radius.pem"), "--trust", at("ca.pem"), "--at", "2001-01-01T00:00:00Z"}, 1, []string{"(not_yet_valid)"}},
		{"a policy that it lacks", []string{at("radius.pem"), "--trust", at("ca.pem"), "--policy", "1.2.3"}, 1, []string{"(wrong_policy)"}},
		{"no CRL", []string{at("radius.pem"), "--trust", at("ca.pem"), "--require-crl"}, 1, []string{"(no_crl)"}},
		{"a CRL", []string{at("radius.pem"), "--trust", at("ca.pem"), "--require-crl", "--crl", at("crl.pem")}, 0, nil},
		{"a key for a certificate", []string{at("radius.key")}, 1, []string{"are certificate and key exchanged?"}},
		{"a key for an authority", []string{at("radius.pem"), "--trust", at("radius.key")}, 1, []string{"trust base: ", "has no certificate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := command(append([]string{"cert", "check"}, c.args...)...)
			assert.Equal(t, c.code, r.code, "%s%s", r.out, r.errs)
			for _, want := range c.want {
				assert.Contains(t, r.out, want)
			}
			assert.NotContains(t, r.out, "PRIVATE")
		})
	}
}

// TestCertCheckHostile: the certificates that others would break at are told
// apart, in bounded text.
func TestCertCheckHostile(t *testing.T) {
	paths, err := filepath.Glob("../../test/vectors/pki/*.pem")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		r := command("cert", "check", path)
		assert.Less(t, len(r.out), 32<<10, path)
		assert.NotContains(t, r.out, "\x00", path)
	}
}

// TestCertCheckConnect asks a server that is there.
func TestCertCheckConnect(t *testing.T) {
	dir := labCA(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	pair, err := tls.LoadX509KeyPair(at("radius.pem"), at("radius.key"))
	require.NoError(t, err)
	authority, err := os.ReadFile(at("ca.pem"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(authority))
	mutual := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, NextProtos: []string{"radius/1.1"}}
	open := &tls.Config{Certificates: []tls.Certificate{pair}}
	old := mutual.Clone()
	old.MaxVersion, old.NextProtos = tls.VersionTLS12, nil
	strange := mutual.Clone()
	strange.NextProtos = []string{"h2"}

	ours := []string{"--cert", at("radius.pem"), "--key", at("radius.key")}
	for _, c := range []struct {
		name string
		conf *tls.Config
		args []string
		code int
		want []string
	}{
		{"RADIUS/1.1", mutual, ours, 0, []string{"TLS 1.3", "ALPN radius/1.1", "NAIRealm  example.org", "as a server: accepted until"}},
		{"TLS 1.2 without ALPN", old, ours, 0, []string{"TLS 1.2", "no ALPN"}},
		{"without a certificate", mutual, nil, 1, []string{"the server does not take what we show", "--cert and --key show it"}},
		{"one that asks for none", open, ours, 1, []string{"asks for no certificate of ours"}},
		{"another name", mutual, append([]string{"--host", "other.example"}, ours...), 1, []string{"host other.example: the certificate has none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := command(append([]string{"cert", "check", "--connect", speaks(t, c.conf), "--trust", at("ca.pem")}, c.args...)...)
			assert.Equal(t, c.code, r.code, "%s%s", r.out, r.errs)
			for _, want := range c.want {
				assert.Contains(t, r.out, want)
			}
		})
	}
	r := command("cert", "check", "--connect", speaks(t, strange), "--trust", at("ca.pem"))
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "the handshake with")
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	r = command("cert", "check", "--connect", nobody.Addr().String())
	assert.Equal(t, exitUnreachable, r.code)
}

// speaks takes one connection after the other and says a word to each.
func speaks(t *testing.T, conf *tls.Config) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte{0})
			_, _ = c.Read(make([]byte, 1))
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}
