package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa"
)

func TestExplain(t *testing.T) {
	dir, path := configuration(t, nil)
	for _, tc := range []struct {
		name string
		args []string
		code int
		want []string // regular expressions of lines
	}{
		{"forwarded", []string{"alice@acme.example", "--from", "airport"}, 0, []string{
			`client +airport  \(DIR/realms/hub.yaml:2:5\)`,
			`realm +acme.example`,
			`rule +acme.example, exact match  \(DIR/realms/hub.yaml:9:\d+\)`,
			`pool +acme  \(DIR/realms/hub.yaml:7:5\)`,
			`  1\. +acme-1 198.51.100.10:1812 priority 1 weight 1 up  \(DIR/realms/hub.yaml:4:5\)`,
			`  2\. +acme-2 198.51.100.11:1812 priority 2 weight 1 up  \(DIR/realms/hub.yaml:5:5\)`,
			`policy +allow, profile meter`,
			`result +forward`,
		}},
		{"by address", []string{"alice@acme.example", "--from", "192.0.2.77"}, 0, []string{`client +airport .*`}},
		{"suffix", []string{"bob@a.b.late.example"}, 0, []string{`rule +\*\.late\.example, suffix match .*`, `policy +off`}},
		{"folded", []string{"Alice@ACME.example"}, 1, []string{`realm +acme.example`, `result +reject: .*`}},
		{"accounting, home", []string{"alice@acme.example", "--accounting"}, 0, []string{`  1\. +acme-1 198.51.100.10:1813 .*`, `acknowledge +home`}},
		{"accounting, durable", []string{"bob@x.late.example", "--accounting"}, 0, []string{`acknowledge +durable`}},
		{"accounting ends here", []string{"bob@plain.example", "--accounting"}, 0, []string{`result +record`}},
		{"rejected by the route", []string{"alice@old.example"}, 1, []string{`rule +old.example, exact match .*`, `result +reject: route_rejects`, ` +contract ended`}},
		{"rejected by default", []string{"alice@unknown.example"}, 1, []string{`rule +default, default match .*`, ` +no agreement`}},
		{"no realm", []string{"alice"}, 1, []string{`result +reject: no_route`}},
		{"no name", []string{"a@b@c"}, 1, []string{`result +reject: name_many_at`}},
		{"blocked device", []string{"mallory@acme.example"}, 1, []string{`result +reject: .*`}},
		{"every route that was tried", []string{"a@unknown.example", "--ssid", "Meters", "--operator", "1x.example", "--rcoi", "5A-03-BA", "--at", "2026-03-01T12:00:00Z", "--avp", "NAS-Identifier=ap 1"}, 1, []string{`rule +default, default match .*`}},
		{"a bad time", []string{"alice@acme.example", "--at", "noon"}, exitUsage, nil},
		{"a bad attribute", []string{"alice@acme.example", "--avp", "No-Such-Thing=1"}, exitUsage, nil},
		{"unknown client", []string{"alice@acme.example", "--from", "harbour"}, 1, []string{`result +drop: unknown_client`}},
		{"address of no client", []string{"alice@acme.example", "--from", "203.0.113.9"}, 1, []string{`result +drop: unknown_client`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := command(append(append([]string{"explain"}, tc.args...), "--config", path)...)
			assert.Equal(t, tc.code, r.code, r.out)
			assert.Equal(t, tc.code == exitUsage, r.errs != "", r.errs)
			for _, want := range tc.want {
				assert.Regexp(t, `(?m)^`+strings.ReplaceAll(want, "DIR", dir)+`$`, r.out)
			}
		})
	}
	t.Run("json", func(t *testing.T) {
		r := command("explain", "alice@acme.example", "--from", "airport", "--json", "--config", path)
		require.Zero(t, r.code)
		var x aaa.Explanation
		require.NoError(t, json.Unmarshal([]byte(r.out), &x))
		assert.Equal(t, "acme", x.Pool)
		assert.Equal(t, "meter", x.Profile)
		assert.Equal(t, "forward", x.Result)
		assert.Len(t, x.Order, 2)
	})
	t.Run("broken files", func(t *testing.T) {
		_, path := configuration(t, map[string]string{"devices.yaml": "profles: []\n"})
		r := command("explain", "alice@acme.example", "--config", path)
		assert.Equal(t, exitProblem, r.code)
		assert.Contains(t, r.errs, "roamgate: 1 error in the configuration\n")
		assert.Contains(t, r.errs, "devices.yaml:1:1: error: unknown key \"profles\" (did you mean profiles?)\n")
	})
}

// TestExplainRunning asks a hub: the same answers, with what it knows now.
func TestExplainRunning(t *testing.T) {
	h := start(t, "policy: {file: devices.yaml}\n", map[string]string{"devices.yaml": goodPolicy})
	r := h.ask("explain alice@acme.example --from 127.0.0.1")
	assert.Zero(t, r.code, r.errs)
	assert.Regexp(t, `(?m)^client +airport .*realms/peers.yaml:2:5\)$`, r.out)
	assert.Regexp(t, `(?m)^  1\. +acme-1 `+h.home.Addr.String()+` priority 1 weight 1 up `, r.out)

	r = h.ask("explain bob@nowhere.example --json")
	assert.Equal(t, exitProblem, r.code)
	var x aaa.Explanation
	require.NoError(t, json.Unmarshal([]byte(r.out), &x))
	assert.Equal(t, "route_rejects", x.Reason)
	assert.Equal(t, uint64(1), x.Generation)

	for _, bad := range []string{"nas-port-type", "rat-type"} {
		r = h.ask("explain bob@acme.example --" + bad + " 4294967296")
		assert.Equal(t, exitProblem, r.code)
		assert.Regexp(t, `^roamgate: the hub says: \w+: not a number from 0 to \d+\n$`, r.errs)
	}
	assert.Equal(t, h.page(200, "/explain?nai=alice@acme.example"), h.ask("explain alice@acme.example --json").out)
}
