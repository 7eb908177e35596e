package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa"
)

// TestHomes: a home is drained and disabled while the hub runs, over a reload
// of the files, and everybody who looks can see it.
func TestHomes(t *testing.T) {
	h := start(t, "")
	list := h.ask("homes list")
	require.Zero(t, list.code)
	assert.Regexp(t, `(?m)^HOME +KIND +ADDRESS +STATE$`, list.out)
	assert.Regexp(t, `(?m)^acme-1 +auth +127\.0\.0\.1:\d+ +up$`, list.out)
	show := h.ask("homes show acme-1")
	assert.Regexp(t, `(?m)^pools +acme$`, show.out)
	assert.Regexp(t, `(?m)^home +acme-1 +\S+peers.yaml:4:5$`, show.out)
	none := h.ask("homes show acme-7")
	assert.Equal(t, exitProblem, none.code)
	assert.Contains(t, none.errs, "there is no home acme-7")

	require.Zero(t, h.send("auth", "--user", "alice@acme.example", "--password-file", h.path("password")).code)
	drained := h.ask("homes drain acme-1 --for 2h")
	require.Zero(t, drained.code, drained.errs)
	assert.Regexp(t, `(?m)^acme-1 +auth .* up, draining by operator since \S+Z until \S+Z$`, drained.out)
	reject := h.send("auth", "--user", "alice@acme.example", "--password-file", h.path("password"))
	assert.Contains(t, reject.out, "Access-Reject")
	assert.Contains(t, h.ask("explain alice@acme.example").out, "draining (operator)")
	assert.Contains(t, h.ask("status").out, "draining by operator")
	assert.True(t, strings.Contains(h.page(200, "/metrics"), `roamgate_home_use{home="acme-1",state="draining"} 1`))

	h.route(strings.ReplaceAll(h.routing("acme.example"), "no agreement", "none"))
	h.eventually("the files are taken", func() bool { return strings.Contains(h.page(200, "/status"), `"generation": 2`) })
	assert.Contains(t, h.ask("homes list").out, "draining by operator")

	disabled := h.ask("homes disable acme-1")
	assert.Regexp(t, `(?m)^acme-1 +auth .* down \(disabled\), disabled by operator since \S+Z$`, disabled.out)
	assert.Zero(t, h.ask("status").code, "what the operator takes out is no trouble")
	enabled := h.ask("homes enable acme-1")
	require.Zero(t, enabled.code)
	assert.Regexp(t, `(?m)^acme-1 +auth +\S+ +up$`, enabled.out)
	require.Zero(t, h.send("auth", "--user", "alice@acme.example", "--password-file", h.path("password")).code)

	h.route(strings.ReplaceAll(h.routing("acme.example"), "name: acme-1,", "name: acme-1, drain: true,"))
	h.eventually("the files are taken", func() bool { return strings.Contains(h.ask("homes list").out, "draining by files") })
	enabled = h.ask("homes enable acme-1")
	assert.Equal(t, exitProblem, enabled.code)
	assert.Contains(t, enabled.errs, "it is draining by files all the same")

	var all []aaa.HomeReport
	require.NoError(t, json.Unmarshal([]byte(h.ask("homes list --json").out), &all))
	require.Len(t, all, 2)
	assert.Equal(t, "files", all[0].By)
}

func TestHomesRefusals(t *testing.T) {
	h := start(t, "")
	for _, tt := range []struct {
		name, header, body string
		want               int
		says               string
	}{
		{"no header", "", `{"home":"acme-1"}`, 403, commandHeader},
		{"nobody", "1", `{"home":"acme-7"}`, 404, "there is no home acme-7"},
		{"before now", "1", `{"home":"acme-1","seconds":-1}`, 400, "not a time"},
		{"longer than anybody means", "1", `{"home":"acme-1","seconds":99999999999}`, 400, "not a time"},
		{"another word", "1", `{"house":"acme-1"}`, 400, "house"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(http.MethodPost, "http://"+h.admin.String()+"/homes/drain", strings.NewReader(tt.body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set(commandHeader, tt.header)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			var b bytes.Buffer
			_, _ = b.ReadFrom(resp.Body)
			_ = resp.Body.Close()
			assert.Equal(t, tt.want, resp.StatusCode)
			assert.Contains(t, b.String(), tt.says)
		})
	}
	misused := command("homes", "drain", "acme-1", "--for", "10ms")
	assert.Equal(t, exitUsage, misused.code)
	assert.NotContains(t, h.ask("homes list").out, "draining")
}
