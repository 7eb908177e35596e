package main

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNothingLeaks sends distinctive values through everything and looks for
// them wherever operators and their tools look: log at its most talkative,
// metrics, status, explanations, records (X12 of the acceptance figures).
func TestNothingLeaks(t *testing.T) {
	h := start(t, "log: {level: debug}\npolicy: {file: devices.yaml}\n", map[string]string{
		"devices.yaml":  "profiles:\n  - {name: meter}\ndevices:\n  - {imsi: \"" + userIMSI + "\", profile: meter}\n",
		"secret.wrong":  "Zq7-wrong-secret-Zq7-of-32-octet",
		"password.long": strings.Repeat(userPassword, 8),
	})
	user := []string{"Calling-Station-Id=" + userMAC, "3GPP-IMSI=" + userIMSI, "Chargeable-User-Identity=" + userName + "-cui"}
	auth := func(name string, more ...string) {
		args := append([]string{"--user", name, "--password-file", h.path("password"), "--tries", "1"}, more...)
		h.send("auth", append(args, user...)...)
	}
	auth(userName + "@acme.example")
	auth(userName+"@acme.example", "--chap")
	auth(userName + "@policy.example")
	auth(userName + "@nowhere.example")
	auth(userName + "@bad@realm")
	auth(userName + "@" + strings.Repeat("x", 70) + ".example")
	acct := append([]string{"User-Name=" + userName + "@acme.example", "Acct-Status-Type=Stop", "Acct-Session-Id=s1", "NAS-Identifier=nas-1"}, user...)
	require.Zero(t, h.send("acct", acct...).code)
	require.Zero(t, h.send("acct", acct...).code)
	require.Zero(t, h.send("acct", append(user, "Acct-Status-Type=Stop")...).code, "quarantined")
	// One that nobody can verify.
	command("send", "acct", "--to", h.acct.String(), "--secret-file", h.path("secret.wrong"), "--tries", "1", "--timeout", "100ms",
		"User-Name="+userName+"@acme.example", "Acct-Status-Type=Stop")
	// The home is told to be silent: the request times out and is logged.
	h.home.Mute(1)
	auth(userName+"@acme.example", "--timeout", "200ms")
	// A reload that fails on a secret.
	h.route(h.routing("acme.example") + "  - {realm: more.example, auth: none}\n")
	h.eventually("the files are refused", func() bool { return strings.Contains(h.Output(), "routing files refused") })
	h.eventually("all is recorded", func() bool { return strings.Count(h.page(200, "/records"), "\n") >= 2 })
	h.eventually("and cleared", func() bool { return strings.Count(h.ask("records list").out, "\n") >= 2 })

	seen := map[string]string{
		"metrics": h.page(200, "/metrics"), "status": h.page(200, "/status"), "readyz": h.page(200, "/readyz?verbose"),
		"explain": h.ask("explain somebody@acme.example --json").out,
		"list":    h.ask("records list").out, "received": h.page(200, "/records"), "export": h.ask("records export").out,
		"csv": h.ask("records export --format csv").out, "explained": h.ask("records explain s1").out, "sums": h.ask("records sums").out,
		"status command": h.ask("status").out,
	}
	h.Stop()
	seen["log"] = h.Output()
	seen["identity key"] = "" // compared below
	key, err := os.ReadFile(h.path("spool/identity.key"))
	require.NoError(t, err)
	assert.Contains(t, seen["log"], "routing files", "there is a log")
	assert.Contains(t, seen["received"], `"user_hash":"`)
	assert.Contains(t, seen["received"], `"device_hash":"`)
	assert.Contains(t, seen["export"], `"user":"`)
	assert.Contains(t, seen["export"], `"device":"`)
	plainMAC := strings.ReplaceAll(strings.ToLower(userMAC), "-", "")
	for where, text := range seen {
		text := strings.ToLower(text)
		for _, secret := range []string{
			clientSecret, homeSecret, "zq7-wrong-secret", userPassword, userName, userIMSI, userMAC, plainMAC,
			strings.ReplaceAll(userMAC, "-", ":"), hex.EncodeToString([]byte(userName)), hex.EncodeToString([]byte(userIMSI)),
			hex.EncodeToString([]byte(userPassword)), hex.EncodeToString(key), string(key),
		} {
			assert.NotContains(t, text, strings.ToLower(secret), "in %s", where)
		}
	}
	t.Run("modes of what is kept", func(t *testing.T) {
		st, err := os.Stat(h.path("spool/identity.key"))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), st.Mode().Perm())
		st, err = os.Stat(filepath.Dir(h.path("spool/identity.key")))
		require.NoError(t, err)
		assert.Zero(t, st.Mode().Perm()&0o007, "nobody else reads the spool")
	})
}

// TestPlainIdentities: who needs identities in records says so.
func TestPlainIdentities(t *testing.T) {
	h := start(t, "privacy: {plain: true}\n")
	require.Zero(t, h.stop(userName+"@acme.example", "s1").code)
	assert.Contains(t, h.page(200, "/records"), `"user":"`+userName+`@acme.example"`)
	h.eventually("it is cleared, plainly", func() bool {
		return strings.Contains(h.ask("records export").out, `"plain_user":"`+userName+`@acme.example"`)
	})
	assert.NotContains(t, h.page(200, "/metrics"), userName)
	h.Stop()
	assert.NotContains(t, h.Output(), userName)
}
