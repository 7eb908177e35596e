package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

func TestStatus(t *testing.T) {
	h := start(t, "")
	require.Zero(t, h.stop("alice@acme.example", "s1").code)
	r := h.ask("status")
	require.Zero(t, r.code, r.errs+r.out)
	for _, want := range []string{
		`roamgate \S+ ready since \S+, configuration 1 \([0-9a-f]{16}\), 1 client, 3 realms`,
		`listens +auth ` + h.auth.String(), `listens +acct ` + h.acct.String(),
		`hub +ok +carrying traffic`, `spool +ok +ready`, `routing files +ok +as on disk`, `homes +ok +none is down`,
		`queue +ok +\d records? behind`, `home acme-1 +auth +` + h.home.Addr.String() + ` +up`,
		`records +durable up to 1, delivered up to \d`,
	} {
		assert.Regexp(t, `(?m)^`+want+`$`, r.out)
	}
	var st status
	require.NoError(t, json.Unmarshal([]byte(h.ask("status --json").out), &st))
	assert.True(t, st.Ready)
	assert.Equal(t, uint64(1), st.Records.Last)
	assert.Len(t, st.Homes, 2)

	assert.Equal(t, "ok\n", h.page(200, "/livez"))
	assert.Equal(t, "OK\n", h.page(200, "/readyz"))
	assert.Contains(t, h.page(200, "/readyz?verbose"), "ok   spool: ready\n")
	h.page(404, "/")
}

// TestStatusOfFullDisk (acceptance row 6): accounting cannot be stored, so the
// hub is not ready and says why. Authentication goes on.
func TestStatusOfFullDisk(t *testing.T) {
	h := prepare(t, "")
	h.edit(t, "min_free: 1MiB", "min_free: 4096TiB")
	h.launch()
	h.eventually("the hub answers", func() bool { code, _, err := h.get("/livez"); return err == nil && code == 200 })
	assert.Equal(t, "Service Unavailable\n", h.page(503, "/readyz"))
	assert.Contains(t, h.page(503, "/readyz?verbose"), "FAIL spool: no_space\n")
	r := h.ask("status")
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.out, "NOT READY")
	assert.Regexp(t, `(?m)^spool +FAIL +no_space$`, r.out)
	assert.Empty(t, r.errs, "the table says it")

	t.Setenv("TEST_PW", userPassword)
	assert.Zero(t, h.send("auth", "--user", "alice@acme.example", "--password-env", "TEST_PW").code)
	stop := command("send", "acct", "--to", h.acct.String(), "--secret-file", h.path("client.secret"), "--tries", "1", "--timeout", "200ms",
		"User-Name=alice@acme.example", "Acct-Status-Type=Stop", "Acct-Session-Id=s1")
	assert.Equal(t, exitUnreachable, stop.code, "never acknowledged without a record")
}

// TestStatusOfHomeDown: a home that answers nobody is shown, and the hub is
// as ready as before.
func TestStatusOfHomeDown(t *testing.T) {
	t.Parallel() // it takes five seconds of silence
	h := prepare(t, "")
	h.route(strings.NewReplacer(h.home.Addr.String(), peer.Port(t).String(), "acme-1, auth", "acme-1, status_server: true, auth").
		Replace(h.routing("acme.example")))
	h.serve()
	h.eventually("the silence is noticed", func() bool {
		_ = h.send("auth", "--user", "alice@acme.example", "--tries", "1", "--timeout", "50ms")
		r := h.ask("status")
		return r.code == exitProblem && strings.Contains(r.out, "down: acme-1 (auth)")
	})
	assert.Equal(t, "OK\n", h.page(200, "/readyz"))
	assert.Contains(t, h.page(200, "/readyz?verbose"), "warn homes: down: acme-1 (auth)\n")
}

// TestMetrics holds what a scrape says against what Prometheus asks of names.
func TestMetrics(t *testing.T) {
	h := start(t, "")
	t.Setenv("TEST_PW", userPassword)
	require.Zero(t, h.send("auth", "--user", "alice@acme.example", "--password-env", "TEST_PW").code)
	require.Zero(t, h.stop("alice@acme.example", "s1").code)
	series := func(line string) {
		t.Helper()
		h.eventually(line, func() bool { return strings.Contains(h.page(200, "/metrics"), "\n"+line+"\n") })
	}
	series(`roamgate_requests_total{client="airport",kind="auth"} 1`)
	series(`roamgate_acct_records_total{kind="stop"} 1`)
	series(`roamgate_home_state{home="acme-1",kind="auth",state="up"} 1`)
	series(`roamgate_spool_state{state="ready"} 1`)
	series(`roamgate_config_objects{kind="realm"} 3`)
	text := h.page(200, "/metrics")
	assert.Contains(t, text, "go_goroutines ")
	assert.Contains(t, text, "process_open_fds ")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		assert.Fail(t, "promlint", fmt.Sprintf("%s: %s", p.Metric, p.Text))
	}
}
