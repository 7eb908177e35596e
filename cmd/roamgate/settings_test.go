package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// TestSourceAddress: homes see the address that source names.
func TestSourceAddress(t *testing.T) {
	h := start(t, "source: {ipv4: 127.0.0.2}\n")
	require.Zero(t, h.send("auth", "--user", "alice@acme.example", "--password-file", h.path("password")).code)
	require.Zero(t, h.stop("alice@acme.example", "s1").code)
	h.eventually("both homes were asked", func() bool { return len(h.home.Received()) > 0 && len(h.acctHome.Received()) > 0 })
	for _, home := range []*peer.Home{h.home, h.acctHome} {
		assert.Equal(t, "127.0.0.2", home.Received()[0].From.Addr().String())
	}
}

func TestLogFormat(t *testing.T) {
	for format, json := range map[string]bool{"json": true, "console": false} {
		t.Run(format, func(t *testing.T) {
			h := start(t, "log: {format: "+format+"}\n")
			h.Stop()
			for line := range strings.Lines(h.Output()) {
				assert.Equal(t, json, strings.HasPrefix(line, "{"), line)
			}
		})
	}
	quiet := start(t, "log: {level: error}\n")
	quiet.Stop()
	assert.Empty(t, quiet.Output())
}

// TestIdentityKey: two hubs with one key give one device one hash, and two
// hubs that make their own do not.
func TestIdentityKey(t *testing.T) {
	hash := func(more string, files map[string]string) string {
		h := start(t, more, files)
		require.Zero(t, h.stop("alice@acme.example", "s1").code)
		var rec struct {
			Hash string `json:"user_hash"`
		}
		require.NoError(t, json.Unmarshal([]byte(h.page(200, "/records")), &rec))
		require.Len(t, rec.Hash, 32)
		_, err := os.Stat(h.path("spool/identity.key"))
		assert.Equal(t, more != "", os.IsNotExist(err), "a key is made where none is given")
		return rec.Hash
	}
	given := map[string]string{"key": strings.Repeat("0123456789abcdef", 2)}
	first := hash("privacy: {key_file: key}\n", given)
	assert.Equal(t, first, hash("privacy: {key_file: key}\n", given))
	assert.NotEqual(t, hash("", nil), hash("", nil))
}

// TestRedisAccount: user, password, database and space are used; a wrong
// password is told apart from a server that is away, and never shown.
func TestRedisAccount(t *testing.T) {
	store := peer.StartRedis(t, false)
	store.Do("ACL", "SETUSER", "hub", "on", ">Zq7-redis-password", "~*", "&*", "+@all")
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"good": "Zq7-redis-password\n", "bad": "Zq7-other-password\n",
		"p.yaml": "profiles:\n  - {name: meter}\n",
	})
	config := func(password string) []string {
		name := password + ".yaml"
		write(t, dir, map[string]string{name: fmt.Sprintf(
			"redis: {address: %q, username: hub, password_file: %s, database: 3}\npolicy: {space: fleet}\n", store.Addr, password)})
		return []string{"--config", dir + "/" + name}
	}
	ok(t, append([]string{"policy", "set", "profile", dir + "/p.yaml"}, config("good")...)...)
	assert.Equal(t, int64(1), store.Do("EVAL", "redis.call('SELECT', 3) return redis.call('EXISTS', '{fleet}:profiles')", "0"))
	assert.Contains(t, ok(t, append([]string{"policy", "get", "profile"}, config("good")...)...), "meter")

	r := command(append([]string{"policy", "get", "profile"}, config("bad")...)...)
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "WRONGPASS")
	assert.NotContains(t, r.errs, "Zq7")
	assert.Equal(t, 1, strings.Count(r.errs, "\n"), "one line")
}
