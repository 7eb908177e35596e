package main

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

func TestSend(t *testing.T) {
	h := start(t, "")
	t.Setenv("TEST_PW", userPassword)
	r := h.send("status")
	require.Zero(t, r.code, r.errs)
	assert.Regexp(t, `^Access-Accept in \S+s\n  Message-Authenticator = `, r.out)

	for _, more := range [][]string{nil, {"--chap"}} {
		r = h.send("auth", append([]string{"--user", "alice@acme.example", "--password-env", "TEST_PW"}, more...)...)
		assert.Zero(t, r.code, r.errs)
		assert.Contains(t, r.out, "Access-Accept in ")
	}
	r = h.send("auth", "--user", "alice@acme.example", "--password-file", h.path("password"), "NAS-Identifier=nas-1", "Calling-Station-Id="+userMAC)
	assert.Zero(t, r.code, r.errs)

	r = h.send("auth", "--user", "alice@nowhere.example", "--password-env", "TEST_PW")
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.out, "Access-Reject in ")
	assert.Contains(t, r.out, `Reply-Message = "no agreement"`)
	assert.Empty(t, r.errs)

	r = h.stop("alice@acme.example", "s1")
	assert.Zero(t, r.code, r.errs)
	assert.Contains(t, r.out, "Accounting-Response in ")
}

func TestSendMistakes(t *testing.T) {
	home := peer.ListenHome(t, homeSecret)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = silent.Close() }()
	dir := t.TempDir()
	write(t, dir, map[string]string{"secret": homeSecret + "\n", "wrong": "another-secret-of-its-own-size", "empty": "\n"})
	file := func(name string) string { return filepath.Join(dir, name) }
	to := home.Addr.String()
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no server", []string{"status"}, 2, "--to host:port is missing; roamgate send status --help says more"},
		{"no secret", []string{"status", "--to", to}, 2, "a shared secret is needed: --secret-file or --secret-env"},
		{"empty secret", []string{"status", "--to", to, "--secret-file", file("empty")}, 2, "a shared secret is needed: --secret-file or --secret-env"},
		{"secret file missing", []string{"status", "--to", to, "--secret-file", file("gone")}, 1, "reading the secret: open " + file("gone") + ": no such file or directory"},
		{"two secrets", []string{"status", "--to", to, "--secret-file", file("secret"), "--secret-env", "X"}, 2, "--secret-file and --secret-env exclude each other"},
		{"no such variable", []string{"status", "--to", to, "--secret-env", "NO_SUCH_VARIABLE"}, 2, "the environment has no NO_SUCH_VARIABLE"},
		{"no pair", []string{"acct", "--to", to, "--secret-file", file("secret"), "Acct-Status-Type"}, 2, `"Acct-Status-Type" is not NAME=VALUE`},
		{"no address", []string{"status", "--to", "127.0.0.1", "--secret-file", file("secret")}, 1, "sending to 127.0.0.1: dial udp: address 127.0.0.1: missing port in address"},
		{"silence", []string{"status", "--to", silent.LocalAddr().String(), "--secret-file", file("secret"), "--tries", "2", "--timeout", "20ms"}, 3,
			silent.LocalAddr().String() + " does not answer: is the address right, and does it know this host as a client?"},
		{"closed port", []string{"status", "--to", "127.0.0.1:1", "--secret-file", file("secret"), "--tries", "1", "--timeout", "1s"}, 3,
			"127.0.0.1:1 does not answer: is the address right, and does it know this host as a client?"},
		// The home answers whatever it can parse, with its own secret.
		{"wrong secret", []string{"acct", "--to", to, "--secret-file", file("wrong"), "--tries", "1", "--timeout", "300ms", "Acct-Status-Type=Stop"}, 1,
			to + " answered, but its authenticator is wrong: do both sides have the same secret?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := command(append([]string{"send"}, tc.args...)...)
			assert.Equal(t, tc.code, r.code)
			assert.Equal(t, "roamgate: "+tc.want+"\n", r.errs)
		})
	}
}

// TestSendWrongSecret: the hub stays silent to what it cannot verify, so the
// sender hears what to look at.
func TestSendWrongSecret(t *testing.T) {
	h := start(t, "")
	write(t, h.dir, map[string]string{"client.secret.wrong": "another-secret-of-its-own-size"})
	for _, kind := range []string{"auth", "acct", "status"} {
		to := h.auth
		if kind == "acct" {
			to = h.acct
		}
		r := command("send", kind, "--to", to.String(), "--secret-file", h.path("client.secret.wrong"), "--tries", "1", "--timeout", "200ms")
		assert.Equal(t, exitUnreachable, r.code, kind)
		assert.Equal(t, "roamgate: "+to.String()+" does not answer: is the address right, and does it know this host as a client?\n", r.errs)
	}
}
