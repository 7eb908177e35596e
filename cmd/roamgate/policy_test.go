package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// locked is a buffer that a running command writes to.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestPolicy manages the policy of a running hub in a real Redis.
func TestPolicy(t *testing.T) {
	store := peer.StartRedis(t, false)
	h := start(t, fmt.Sprintf("redis: {address: %q}\n", store.Addr))
	write(t, h.dir, map[string]string{"devices.yaml": `profiles:
  - {name: meter, countries: [DE], session_timeout: 4h}
  - {name: guest, deny: true, deny_reason: not abroad}
devices:
  - {nai: bob@policy.example, profile: meter}
  - {imsi: "262011234567890", profile: meter}
`, "more.yaml": "profiles:\n  - {name: night, valid_from: \"2020-01-01T00:00:00Z\"}\n"})
	policy := func(args string) result {
		all := strings.Fields(args)
		return command(append(append([]string{"policy"}, all...), "--config", h.path("roamgate.yaml"))...)
	}
	must := func(args string) string {
		t.Helper()
		r := policy(args)
		require.Zero(t, r.code, r.errs)
		return r.out
	}
	nas := peer.NAS{Server: h.auth, Secret: clientSecret, Timeout: limit, Tries: 1}
	answer := func() string {
		reply, _, err := nas.Authenticate("bob@policy.example", userPassword)
		require.NoError(t, err)
		return reply.Code.String()
	}
	// follows waits until a change has reached the hub: at once, not after the five
	// minutes for which the hub believes what it knows.
	var took []time.Duration
	follows := func(want string) {
		t.Helper()
		began := time.Now()
		h.eventually(want, func() bool { return answer() == want })
		took = append(took, time.Since(began))
	}
	// The hub is ready before it has read Redis for the first time.
	h.eventually("the hub follows Redis", func() bool { return h.ask("status").code == 0 })

	ctx, stop := context.WithCancel(t.Context())
	var watched locked
	var watch sync.WaitGroup
	watch.Go(func() {
		code := run(ctx, []string{"policy", "watch", "--config", h.path("roamgate.yaml")}, &watched, &watched)
		assert.Zero(t, code, "interrupted is no failure")
	})
	h.eventually("the watch has begun", func() bool {
		must("set profile " + h.path("more.yaml"))
		return strings.Contains(watched.String(), " profile night\n")
	})

	assert.Equal(t, "Access-Reject", answer(), "unknown devices are refused by default")
	assert.Equal(t, "2 profiles and 2 devices written\n", must("import "+h.path("devices.yaml")))
	follows("Access-Accept")
	assert.Equal(t, "2 profiles and 2 devices written\n", must("import "+h.path("devices.yaml")+" --resume monday"))

	assert.JSONEq(t, `["guest", "meter", "night"]`, sorted(must("get profile")))
	assert.JSONEq(t, `{"name": "meter", "countries": ["DE"], "session_timeout": "4h"}`, must("get profile meter"))
	assert.Regexp(t, `^\{\n  "nai": "bob@policy.example",\n  "profile": "meter",\n  "version": \d+\n\}\n$`, must("get device nai:bob@policy.example"))

	must("set device nai:bob@policy.example --profile meter --block")
	follows("Access-Reject")
	must("set device nai:bob@policy.example --profile meter")
	follows("Access-Accept")
	must("set device nai:bob@policy.example --profile guest")
	follows("Access-Reject")
	must("set device nai:bob@policy.example --profile meter")
	follows("Access-Accept")
	must("set device nai:bob@policy.example --delete")
	follows("Access-Reject")
	must("set profile --delete night")
	slices.Sort(took)
	assert.Less(t, took[len(took)/2], time.Minute, "of %v", took)

	h.eventually("the watch saw all", func() bool { return strings.Contains(watched.String(), " profile-delete night\n") })
	stop()
	watch.Wait()
	for _, want := range []string{" profile meter\n", " device nai:bob@policy.example\n", " device imsi:262011234567890\n", " device-delete nai:bob@policy.example\n"} {
		assert.Contains(t, watched.String(), want)
	}

	for args, want := range map[string]string{
		"get profile nobody":                 `there is no profile "nobody"`,
		"get device mac:00-11-22-33-44-55":   "the device is not known",
		"import " + h.path("password"):       "1 error in the configuration",
		"set profile " + h.path("none.yaml"): "1 error in the configuration",
	} {
		r := policy(args)
		assert.Equal(t, exitProblem, r.code, args)
		assert.Contains(t, r.errs, "roamgate: "+want, args)
	}

	t.Run("redis away", func(t *testing.T) {
		must("import " + h.path("devices.yaml"))
		follows("Access-Accept")
		store.Stop()
		r := policy("get profile meter")
		assert.Equal(t, exitUnreachable, r.code)
		assert.Contains(t, r.errs, "roamgate: the policy store does not answer: ")
		h.eventually("the hub sees it", func() bool {
			r := h.ask("status")
			return r.code == exitProblem && strings.Contains(r.out, "away: known devices go on")
		})
		assert.Contains(t, h.page(200, "/readyz?verbose"), "warn redis: away: ")
		assert.Equal(t, "Access-Accept", answer(), "known devices go on")
		require.Zero(t, h.stop("bob@acme.example", "while-away").code, "and records are taken")
		h.eventually("they wait", func() bool { return strings.Contains(h.ask("status").out, "away: 1 record behind, kept in the spool") })
	})
}

// sorted orders a JSON list of names.
func sorted(list string) string {
	words := strings.Fields(strings.NewReplacer("[", "", "]", "", ",", " ").Replace(list))
	slices.Sort(words)
	return "[" + strings.Join(words, ", ") + "]"
}

func TestPolicyWithoutRedis(t *testing.T) {
	dir, path := configuration(t, nil)
	for _, args := range []string{"get profile", "import " + filepath.Join(dir, "devices.yaml"), "watch", "set device nai:a@b.example --delete"} {
		r := command(append(append([]string{"policy"}, strings.Fields(args)...), "--config", path)...)
		assert.Equal(t, exitProblem, r.code)
		assert.Equal(t, "roamgate: "+path+" names no Redis: its policy is the file of policy.file\n", r.errs)
	}
}
