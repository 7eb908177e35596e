package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"layeh.com/radius"

	"github.com/roamgate/roamgate/test/peer"
)

// load is a client that asks on and on; every request is sent once.
type load struct {
	answered, refused, lost atomic.Int64
	end                     chan struct{}
	all                     sync.WaitGroup
}

func (h *rig) load(workers int, user func(i int) string) *load {
	l := &load{end: make(chan struct{})}
	nas := peer.NAS{Server: h.auth, Secret: clientSecret, Timeout: limit, Tries: 1}
	for w := range workers {
		l.all.Go(func() {
			for i := w; ; i += workers {
				select {
				case <-l.end:
					return
				default:
				}
				reply, _, err := nas.Authenticate(user(i), userPassword)
				switch {
				case err != nil:
					l.lost.Add(1)
				case reply.Code != radius.CodeAccessAccept:
					l.refused.Add(1)
				}
				l.answered.Add(1)
			}
		})
	}
	return l
}

func (l *load) stop() {
	close(l.end)
	l.all.Wait()
}

func (h *rig) more(l *load, n int64) {
	h.t.Helper()
	was := l.answered.Load()
	h.eventually("traffic goes on", func() bool { return l.answered.Load() > was+n })
}

func (h *rig) has(user string) bool { return h.ask("explain "+user).code == 0 }

// TestChange is the life of an edit on a loaded hub: it waits, is applied,
// confirmed, taken back, forgotten, over a restart too; and no request is
// lost.
func TestChange(t *testing.T) {
	h := prepare(t, "")
	h.edit(t, "routing: {", "routing: {apply: manual, ")
	h.serve()
	l := h.load(2, func(int) string { return "alice@acme.example" })
	first := h.ask("history --json")
	h.more(l, 20)

	h.route(h.routing("acme.example") + "  - {realm: new.example, auth: acme}\n")
	h.eventually("the files wait", func() bool {
		return strings.Contains(h.page(200, "/readyz?verbose"), "wait for roamgate apply")
	})
	assert.Contains(t, h.page(200, "/metrics"), `roamgate_config_pending{what="files"} 1`)
	assert.Contains(t, h.page(200, "/metrics"), `roamgate_config_reloads_total{result="held"} 1`)
	assert.False(t, h.has("bob@new.example"))
	r := h.ask("status")
	assert.Equal(t, exitProblem, r.code)
	assert.Regexp(t, `routing files +warn +version [0-9a-f]{12} is in use: the files on disk \([0-9a-f]{12}\) wait for roamgate apply`, r.out)
	h.more(l, 20)

	r = h.ask("apply --confirm 10m --comment four")
	require.Zero(t, r.code, r.errs)
	assert.Regexp(t, `^applied [0-9a-f]{12} in the place of [0-9a-f]{12}: .*realms \+1 -0 ~0\nroamgate confirm keeps it; else the hub goes back to [0-9a-f]{12} at \d\d:\d\d:\d\d\n$`, r.out)
	assert.True(t, h.has("bob@new.example"))
	assert.Contains(t, h.page(200, "/metrics"), `roamgate_config_pending{what="confirmation"} 1`)
	assert.Contains(t, h.page(200, "/readyz?verbose"), "unless it is confirmed")
	h.more(l, 20)
	r = h.ask("apply --confirm 11m")
	assert.Regexp(t, `^still to be confirmed: `, r.out)
	r = h.ask("confirm")
	assert.Regexp(t, `^confirmed: [0-9a-f]{12} stays\n$`, r.out)
	assert.Equal(t, exitProblem, h.ask("confirm").code)
	assert.Regexp(t, `^nothing to do: `, h.ask("apply").out)
	assert.Zero(t, h.ask("status").code)
	h.more(l, 20)

	r = h.ask("rollback")
	require.Zero(t, r.code, r.errs)
	assert.Regexp(t, `^rolled back to [0-9a-f]{12} in the place of [0-9a-f]{12}: .*realms \+0 -1 ~0\n$`, r.out)
	assert.False(t, h.has("bob@new.example"))
	assert.Contains(t, h.page(200, "/metrics"), `roamgate_config_rollbacks_total{reason="command"} 1`)
	assert.Contains(t, h.page(200, "/readyz?verbose"), "were left")
	r = h.ask("rollback 1")
	require.Zero(t, r.code, r.errs)
	assert.True(t, h.has("bob@new.example"))
	h.more(l, 20)

	h.route("clients: [")
	r = h.ask("apply")
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.out, "peers.yaml:1:")
	assert.Contains(t, r.errs, "the files are refused, what runs stays")
	assert.True(t, h.has("bob@new.example"))
	h.more(l, 20)
	l.stop()
	assert.Zero(t, l.lost.Load()+l.refused.Load(), "of %d requests", l.answered.Load())

	var before, after versionsInUse
	require.NoError(t, json.Unmarshal([]byte(first.out), &before))
	r = h.ask("history --json")
	require.NoError(t, json.Unmarshal([]byte(r.out), &after))
	require.Len(t, before.Steps, 1)
	require.Len(t, after.Steps, 4)
	assert.Equal(t, before.Steps[0].Entry, after.Steps[3].Entry)
	assert.Equal(t, "four", after.Steps[2].Comment)
	assert.NotEmpty(t, after.Steps[2].Who)
	r = h.ask("history")
	assert.Regexp(t, `(?m)^0 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +[0-9a-f]{12} +rollback +`, r.out)
	assert.Regexp(t, `(?m)^2 .* apply, confirmed +`, r.out)

	t.Run("restart with files that cannot be used", func(t *testing.T) {
		h.Stop()
		assert.Regexp(t, `(?m)^0 .* rollback +`, ok(t, "history", "--config", h.path("roamgate.yaml")))
		h.serve()
		assert.Contains(t, h.Output(), "the routing files are not used as they are")
		assert.True(t, h.has("bob@new.example"))
		h.eventually("the files are looked at", func() bool { return strings.Contains(h.page(200, "/readyz?verbose"), "refused at") })
	})
	t.Run("nobody confirms, over a restart", func(t *testing.T) {
		h.route(h.routing("acme.example") + "  - {realm: third.example, auth: acme}\n")
		require.Zero(t, h.ask("apply --confirm 10s").code)
		assert.True(t, h.has("bob@third.example"))
		h.Kill()
		h.serve()
		h.eventually("the hub goes back", func() bool { return !h.has("bob@third.example") && h.has("bob@new.example") })
		assert.Contains(t, h.ask("history").out, "nobody confirmed ")
		assert.Contains(t, h.page(200, "/metrics"), `roamgate_config_rollbacks_total{reason="unconfirmed"} 1`)
	})
}

// TestChangeByItself: in automatic mode what was left is not found again,
// until it changes or somebody asks for it.
func TestChangeByItself(t *testing.T) {
	h := start(t, "")
	h.route(h.routing("acme.example") + "  - {realm: new.example, auth: acme}\n")
	h.eventually("the files are taken", func() bool { return h.has("bob@new.example") })
	require.Zero(t, h.ask("rollback").code)
	looks := func() int { return strings.Count(h.Output(), "routing files wait") }
	require.NoError(t, os.Chtimes(h.path("realms/peers.yaml"), time.Time{}, time.Now()))
	assert.False(t, h.has("bob@new.example"))
	assert.Contains(t, h.page(200, "/readyz?verbose"), "were left")
	write(t, h.dir, map[string]string{"home.secret": "Zq7-home-secret-Zq7-changed-32-o\n"})
	h.eventually("they are found again", func() bool { return looks() > 0 })
	assert.False(t, h.has("bob@new.example"), "a new secret does not bring them back")
	h.Stop()
	h.serve()
	assert.False(t, h.has("bob@new.example"), "nor does a restart")
	h.Signal(syscall.SIGHUP)
	h.eventually("a signal does", func() bool { return h.has("bob@new.example") })
	assert.NotContains(t, h.Output(), "Zq7")
}

// TestGuardedChange: a change that drops the accept rate goes back by itself.
func TestGuardedChange(t *testing.T) {
	h := prepare(t, "")
	h.edit(t, "routing: {", "routing: {apply: manual, ")
	h.serve()
	l := h.load(4, func(int) string { return "alice@acme.example" })
	h.more(l, 200)
	h.eventually("there is something to hold against", func() bool {
		h.route(strings.Replace(h.routing("acme.example"), "realm: acme.example, auth: acme", "realm: acme.example, reject: gone", 1))
		r := h.ask("apply --guard accepts=20% --comment mistake")
		if r.code != 0 {
			assert.Contains(t, r.errs, "the guard has nothing to hold the change against")
		}
		return r.code == 0
	})
	h.eventually("the hub goes back", func() bool {
		return strings.Contains(h.page(200, "/metrics"), `roamgate_config_rollbacks_total{reason="accepts"} 1`)
	})
	refused := l.refused.Load()
	h.more(l, 200)
	l.stop()
	assert.Zero(t, l.lost.Load(), "of %d requests", l.answered.Load())
	assert.GreaterOrEqual(t, refused, int64(100), "it takes so many to tell")
	assert.LessOrEqual(t, l.refused.Load(), refused+4, "and then they are accepted again")
	why := `\d+\.\d % of \d+ requests were accepted since the change, 100.0 % of those of the same clients before`
	assert.Regexp(t, why, h.Output())
	assert.Regexp(t, "guard .*"+why, h.ask("history").out)
	assert.Regexp(t, why, h.ask("status").out)
	t.Logf("%d requests were refused until the hub went back, none of %d was lost", l.refused.Load(), l.answered.Load())
}

// TestChangeRefusesBrowsers: the same rules as for every other command.
func TestChangeRefusesBrowsers(t *testing.T) {
	h := start(t, "")
	post := func(path, header, media, body string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("http://%s%s", h.admin, path), bytes.NewReader([]byte(body)))
		require.NoError(t, err)
		req.Header.Set(commandHeader, header)
		req.Header.Set("Content-Type", media)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	defer http.DefaultClient.CloseIdleConnections()
	for _, path := range []string{"/plan", "/apply", "/confirm", "/rollback"} {
		assert.Equal(t, http.StatusForbidden, post(path, "", "application/json", "{}"), path)
		assert.Equal(t, http.StatusUnsupportedMediaType, post(path, "1", "text/plain", "{}"), path)
		assert.Equal(t, http.StatusBadRequest, post(path, "1", "application/json", `{"whom": "x"}`), path)
		code, _, err := h.get(path)
		require.NoError(t, err)
		assert.Equal(t, http.StatusMethodNotAllowed, code, path)
	}
	assert.Equal(t, http.StatusBadRequest, post("/apply", "1", "application/json", `{"confirm": "soon"}`))
	assert.Equal(t, http.StatusConflict, post("/apply", "1", "application/json", `{"confirm": "1s"}`))
	assert.Equal(t, http.StatusConflict, post("/rollback", "1", "application/json", `{"to": "../../etc"}`))
	assert.Equal(t, http.StatusOK, post("/apply", "1", "application/json", `{}`))
}

func TestGuardOf(t *testing.T) {
	for text, want := range map[string]int{"": 0, "accepts=20%": 20, "accepts=5": 5, "accepts=100%": 100} {
		n, err := guardOf(text)
		assert.NoError(t, err)
		assert.Equal(t, want, n)
	}
	for _, text := range []string{"20%", "accepts=", "accepts=0", "accepts=101%", "accepts=-1", "rejects=5%", "accepts=2.5%"} {
		_, err := guardOf(text)
		assert.Error(t, err, text)
	}
}

// TestHistoryInUse: two hubs do not keep their versions in one place.
func TestHistoryInUse(t *testing.T) {
	h := start(t, "")
	other := prepare(t, "")
	other.edit(t, "routing: {", fmt.Sprintf("routing: {history: %q, ", h.path("history")))
	other.launch()
	require.Error(t, other.Wait(limit))
	assert.Contains(t, other.Output(), "it is the history of another hub that runs (routing.history must be ")
}
