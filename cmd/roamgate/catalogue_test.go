package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm/catalogue"
)

// The running hub and its files say the same, as text and as JSON.
func TestCatalogue(t *testing.T) {
	h := start(t, "")
	text := h.ask("catalogue")
	require.Zero(t, text.code, text.errs)
	assert.Contains(t, text.out, "\nnai_realm=0,acme.example;policy.example,13[5:6],21[2:4][5:7]\n")
	assert.Equal(t, text.out, command("catalogue", "--config", h.path("roamgate.yaml")).out)
	assert.Contains(t, h.ask("catalogue --eap peap,tls").out, ";policy.example,25[3:26][5:7],13[5:6]\n")

	var c catalogue.Catalogue
	require.NoError(t, json.Unmarshal([]byte(h.ask("catalogue --format json").out), &c))
	assert.EqualValues(t, 1, c.Generation)
	assert.Contains(t, text.out, "catalogue "+c.Hash)

	h.route(h.routing("other.example"))
	h.eventually("the files are taken", func() bool { return strings.Contains(h.ask("catalogue").out, "other.example") })
}

// A file is replaced where its text has changed, and only there.
func TestCatalogueTo(t *testing.T) {
	h := prepare(t, "")
	to := filepath.Join(t.TempDir(), "passpoint.conf")
	write := func() result { return command("catalogue", "--config", h.path("roamgate.yaml"), "--to", to) }
	assert.Equal(t, to+": written\n", write().out)
	assert.Equal(t, to+": unchanged\n", write().out)
	h.route(h.routing("other.example"))
	assert.Equal(t, to+": written\n", write().out)
	got, err := os.ReadFile(to)
	require.NoError(t, err)
	assert.Contains(t, string(got), "other.example")
	gone := command("catalogue", "--config", h.path("roamgate.yaml"), "--to", filepath.Join(to, "x"))
	assert.Equal(t, exitProblem, gone.code)
	assert.Contains(t, gone.errs, "writing "+to)
}

func TestCatalogueRefusals(t *testing.T) {
	dir := reference(t)
	conf := filepath.Join(dir, "roamgate.yaml")
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"another format", []string{"--format", "yaml"}, exitUsage, "write hostapd or json"},
		{"client and group", []string{"--client", "a", "--group", "b"}, exitUsage, "name one of them"},
		{"no such method", []string{"--eap", "tls,md5"}, exitUsage, `no method "md5"`},
		{"no such client", []string{"--client", "nobody", "--config", conf}, exitProblem, "there is no client nobody"},
		{"no such group", []string{"--group", "nobody", "--config", conf}, exitProblem, "there is no client of a group nobody"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := command(append([]string{"catalogue"}, tt.args...)...)
			assert.Equal(t, tt.code, got.code)
			assert.Contains(t, got.errs, tt.says)
		})
	}
	got := command("catalogue", "--group", "airports", "--config", conf)
	require.Zero(t, got.code, got.errs)
	assert.Contains(t, got.out, "domain_name=airport.example,lounge.airport.example\n")
	assert.Regexp(t, `left out: \S+: ANQP has no wildcards`, got.errs)

	h := start(t, "")
	nobody := h.ask("catalogue --client nobody")
	assert.NotZero(t, nobody.code)
	assert.Contains(t, nobody.errs, "there is no client nobody")
}
