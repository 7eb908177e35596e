package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/test/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// command runs roamgen in this process.
func command(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

func TestNASAgainstHome(t *testing.T) {
	auth, acct := peer.Port(t), peer.Port(t)
	ctx, stop := context.WithCancel(t.Context())
	var home string
	var homeErr error
	var wait sync.WaitGroup
	wait.Go(func() {
		home, homeErr = command(ctx, "home", "--auth", auth.String(), "--acct", acct.String(), "--rounds", "1", "--keys",
			"--delay", "1ms..3ms", "--reject", "0.2:barred", "--bad", "authenticator:0.05", "--json")
	})
	out, err := command(t.Context(), "nas", "--auth", auth.String(), "--acct", acct.String(), "--total", "200", "--devices", "200",
		"--mix", "pap=1,chap=1,eap=2", "--accounting", "after", "--realm", "a.example=2", "--realm", "b.example",
		"--identity", "mac", "--want-keys", "--timeout", "100ms", "--retries", "50", "--json")
	stop()
	wait.Wait()
	require.NoError(t, err, out)
	require.NoError(t, homeErr)
	var s summary
	var h play.HomeCounts
	// The counts by name have no reader; the plain ones are enough here.
	require.NoError(t, json.Unmarshal([]byte(plainOnly(t, out)), &s))
	require.NoError(t, json.Unmarshal([]byte(plainOnly(t, home)), &h))
	assert.True(t, s.AddsUp)
	assert.EqualValues(t, 200, s.Finished)
	assert.NotZero(t, s.Rejects)
	assert.Equal(t, h.Rejects, s.Rejects)
	assert.NotZero(t, h.BadAnswers)
}

// plainOnly drops the members that are objects.
func plainOnly(t *testing.T, text string) string {
	m := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(text), &m), text)
	for k, v := range m {
		if _, object := v.(map[string]any); object {
			delete(m, k)
		}
	}
	b, err := json.Marshal(m)
	require.NoError(t, err)
	return string(b)
}

func TestSummaryText(t *testing.T) {
	s := newSummary(play.NASCounts{
		Sent: play.PerKind{4, 1}, Answered: play.PerKind{3, 1}, Lost: play.PerKind{1},
		Accepts: 2, Rejects: 1, RejectsBy: map[string]uint64{"barred": 1},
	}, 2*time.Second, 8*time.Microsecond)
	assert.True(t, s.AddsUp)
	var b bytes.Buffer
	s.print(&b)
	assert.Contains(t, b.String(), "sent 5 = answered 4 + lost 1")
	assert.Contains(t, b.String(), `rejected 1: "barred"`)
	assert.Contains(t, b.String(), "2.00 µs of generator CPU each")
}

func TestCommandLineMistakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"address", []string{"nas", "--auth", "nowhere"}, "--auth"},
		{"mix", []string{"nas", "--mix", "tls=1"}, `method "tls"`},
		{"mix weight", []string{"nas", "--mix", "pap=much"}, "--mix"},
		{"identity", []string{"nas", "--identity", "name"}, "identity form"},
		{"accounting", []string{"nas", "--accounting", "always"}, "accounting"},
		{"realm weight", []string{"nas", "--realm", "a=b"}, "--realm"},
		{"delay", []string{"home", "--delay", "soon"}, "delay"},
		{"reject", []string{"home", "--reject", "often:no"}, "--reject"},
		{"bad kind", []string{"home", "--bad", "rude:1"}, "--bad"},
		{"bad share", []string{"home", "--bad", "late:much"}, "--bad"},
		{"no hub", []string{"demo", "--roamgate", "/nonexistent/roamgate"}, "starting /nonexistent/roamgate"},
		{"a hub that ends", []string{"demo", "--roamgate", "false"}, "ended by itself"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := command(t.Context(), tt.args...)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

func TestBalance(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*balance)
		want string
		ok   bool
	}{
		{"sum holds", func(b *balance) { b.sum("x", count{"all", 3}, count{"a", 1}, count{"b", 2}) }, "  ✓ x: all 3 = a 1 + b 2\n", true},
		{"sum fails", func(b *balance) { b.sum("x", count{"all", 4}, count{"a", 1}) }, "  ✗ x: all 4 = a 1\n", false},
		{"equal holds", func(b *balance) { b.equal("x", count{"a", 1}, count{"b", 1}) }, "  ✓ x: a 1 = b 1\n", true},
		{"equal fails", func(b *balance) { b.equal("x", count{"a", 1}, count{"b", 2}) }, "  ✗ x: a 1 = b 2\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			b := balance{out: &out, ok: true}
			tt.do(&b)
			assert.Equal(t, tt.want, out.String())
			assert.Equal(t, tt.ok, b.ok)
			b.sum("later", count{"all", 0})
			assert.Equal(t, tt.ok, b.ok, "a balance once wrong stays wrong")
		})
	}
}

func TestScreenFitsATerminal(t *testing.T) {
	d := demo{files: play.HubFiles{Homes: []play.HubHome{{Name: "alpha-1"}}}, out: &bytes.Buffer{}}
	now := picture{
		at: time.Second, nets: make([]play.NASCounts, 2), home: make([]play.HomeCounts, 1),
		hub: hubStatus{Local: map[string]uint64{strings.Repeat("a_long_reason", 20): 1}}, err: fmt.Errorf("the hub %s", strings.Repeat("x", 100)),
	}
	text := d.screen(&now, &picture{})
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, len([]rune(line)), 80, line)
	}
	assert.Contains(t, text, "airport-wifi")
	assert.Contains(t, now.line(&picture{}), "records durable 0 drained 0")
	assert.False(t, isTerminal(d.out))
}

func TestHubFilesKeepSecretsApart(t *testing.T) {
	dir := t.TempDir()
	h := play.HubFiles{
		Auth: netip.MustParseAddrPort("127.0.0.1:1812"), Acct: netip.MustParseAddrPort("127.0.0.1:1813"),
		Admin:   netip.MustParseAddrPort("127.0.0.1:9812"),
		Clients: []play.HubClient{{Name: "visited", Address: "127.0.0.1", Secret: "a-very-secret-word"}},
	}
	main, err := h.Write(dir)
	require.NoError(t, err)
	for _, path := range []string{main, dir + "/realms/clients.yaml"} {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.NotContains(t, string(b), "a-very-secret-word")
	}
	info, err := os.Stat(dir + "/realms/secrets/visited")
	require.NoError(t, err)
	assert.EqualValues(t, 0o600, info.Mode().Perm())
}
