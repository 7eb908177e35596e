package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roamgate/roamgate/aaa"
	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/history"
)

// TestPlan: a hub with traffic says what an edit would do to it, and does
// nothing.
func TestPlan(t *testing.T) {
	h := prepare(t, "")
	h.edit(t, "routing: {", "routing: {apply: manual, ")
	h.serve()
	for i := range 20 {
		user := fmt.Sprintf("device%d@acme.example", i)
		require.Zero(t, h.send("auth", "--user", user, "--password-file", h.path("password")).code)
	}
	for range 5 {
		h.send("auth", "--user", "zq7@nowhere.example", "--password-file", h.path("password"))
	}
	require.Zero(t, h.stop("device1@acme.example", "s1").code)
	running := h.ask("history").out

	r := h.ask("plan")
	require.Zero(t, r.code, r.errs)
	assert.Regexp(t, `^nothing changes: [0-9a-f]{12} is in use\n$`, r.out)

	next := strings.NewReplacer(
		"pools:\n", "pools:\n  - {name: second, homes: [acme-1]}\n",
		"{realm: acme.example, auth: acme,", "{realm: acme.example, auth: second,",
	).Replace(h.routing("acme.example")) + "  - {realm: nowhere.example, auth: acme}\n"
	h.route(next)
	r = h.ask("plan")
	require.Zero(t, r.code, r.errs)
	assert.Regexp(t, `(?s)^[0-9a-f]{12} in the place of [0-9a-f]{12}
pools      \+1 -0 ~0
  \+ second
realms     \+1 -0 ~1
  \+ nowhere.example
  ~ acme.example: auth: acme -> second
the last hour: about 25 logins and 1 accounting requests of 21 devices
  moves 80.0 % of authentication \(about 20 devices\) from acme to second, such as by acme.example
  moves 20.0 % of authentication \(about 1 device\) from rejected \(route_rejects\) to acme, such as by nowhere.example
roamgate apply --expect [0-9a-f]{12} takes it into use
$`, r.out)
	assert.NotContains(t, r.out+h.Output(), "zq7", "nobody is named")
	assert.True(t, strings.HasPrefix(h.ask("history").out, running), "nothing is taken into use")

	r = h.ask("plan --json")
	var p plan
	require.NoError(t, json.Unmarshal([]byte(r.out), &p))
	assert.Equal(t, planned, p.Result)
	assert.Equal(t, []kindChange{{Kind: "pools", Numbers: "+1 -0 ~0", Added: []string{"second"}},
		{Kind: "realms", Numbers: "+1 -0 ~1", Added: []string{"nowhere.example"}, Changed: []string{"acme.example"}}}, p.Kinds)
	require.Len(t, p.Traffic.Moves, 2)
	assert.InDelta(t, 0.8, p.Traffic.Moves[0].Share, 0.001)

	assert.Regexp(t, `(?m)^  ~ acme.example: auth: acme -> second$`, h.ask("diff").out)
	text := h.ask("diff --text").out
	assert.Regexp(t, `(?m)^--- [0-9a-f]{12}/peers.yaml\n\+\+\+ [0-9a-f]{12}/peers.yaml\n@@ -\d+,\d+ \+\d+,\d+ @@$`, text)
	assert.Contains(t, text, "\n+  - {realm: nowhere.example, auth: acme}\n")
	local := ok(t, "plan", "--config", h.path("roamgate.yaml"))
	assert.Contains(t, local, "  ~ acme.example: auth: acme -> second\n")
	assert.NotContains(t, local, "the last hour")
	assert.Equal(t, text, ok(t, "diff", "0", "files", "--text", "--config", h.path("roamgate.yaml")))

	r = h.ask("apply --expect " + p.From.String())
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "plan again")
	require.Zero(t, h.ask("apply --expect "+p.To.String()).code)
	assert.Contains(t, h.ask("plan").out, "nothing changes: ")
	assert.Regexp(t, `(?m)^  - nowhere.example$`, h.ask("diff 0 1").out)
	assert.Regexp(t, `(?m)^  \+ nowhere.example$`, h.ask("diff 1").out)
	assert.Regexp(t, `^nothing differs: both are [0-9a-f]{12}\n$`, h.ask("diff").out)

	h.route(strings.Replace(next, "auth: second", "auth: secnod", 1))
	r = h.ask("plan")
	assert.Equal(t, exitProblem, r.code)
	assert.Regexp(t, `^\S+/realms/peers.yaml:\d+:\d+: error: .*secnod`, r.out)
	assert.Equal(t, "roamgate: the files would be refused\n", r.errs)
	for _, args := range []string{"diff", "diff 7", "diff nonsense", "diff 0 abcdef"} {
		assert.Equal(t, exitProblem, h.ask(args).code, args)
	}
	assert.Zero(t, h.ask("diff --text").code, "text has no mistakes")
}

// TestPlanOfTheFirst: without a history everything is new.
func TestPlanOfTheFirst(t *testing.T) {
	_, path := configuration(t, nil)
	assert.Regexp(t, `^[0-9a-f]{12}, all of it new\n`, ok(t, "plan", "--config", path))
}

func TestImpactInWords(t *testing.T) {
	for _, tc := range []struct {
		name string
		x    aaa.Impact
		want string
	}{
		{"no traffic", aaa.Impact{}, "the last hour had no traffic to hold it against\n"},
		{"no move", aaa.Impact{Requests: map[string]uint64{"auth": 7}, Devices: 3, OneIn: 1},
			"the last hour: about 7 logins and 0 accounting requests of 3 devices\n  all of it goes where it went\n"},
		{"sampled", aaa.Impact{Requests: map[string]uint64{"auth": 1_000_000, "acct": 5}, Devices: 400_000, OneIn: 32,
			Moves: []aaa.Move{{Kind: "auth", From: "acme", To: "newpool", Requests: 31_000, Devices: 12_400, Share: 0.031}}},
			"the last hour: about 1000000 logins and 5 accounting requests of 400000 devices, by one device in 32\n" +
				"  moves 3.1 % of authentication (about 12400 devices) from acme to newpool\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b strings.Builder
			writeImpact(&b, &tc.x)
			assert.Equal(t, tc.want, b.String())
		})
	}
}

// TestEdits: what is kept and added is the new text, what is kept and removed
// the old one, and there is no shorter way.
func TestEdits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "d"}), 0, 12)
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		var was, is []string
		changed := 0
		for _, e := range edits(a, b) {
			if e.mark != '+' {
				was = append(was, e.line)
			}
			if e.mark != '-' {
				is = append(is, e.line)
			}
			if e.mark != ' ' {
				changed++
			}
		}
		require.Equal(t, strings.Join(a, "|"), strings.Join(was, "|"))
		require.Equal(t, strings.Join(b, "|"), strings.Join(is, "|"))
		require.Equal(t, len(a)+len(b)-2*common(a, b), changed)
	})
}

// common is the length of the longest common subsequence, by its definition.
func common(a, b []string) int {
	switch {
	case len(a) == 0 || len(b) == 0:
		return 0
	case a[0] == b[0]:
		return 1 + common(a[1:], b[1:])
	}
	return max(common(a[1:], b), common(a, b[1:]))
}

// TestUnifiedTexts lets patch(1) turn the old files into the new ones.
func TestUnifiedTexts(t *testing.T) {
	many := func(n, but int) string {
		var b strings.Builder
		for i := range n {
			if i%but == but/2 {
				fmt.Fprintf(&b, "changed %d\n", but)
			} else {
				fmt.Fprintf(&b, "line %d\n", i)
			}
		}
		return b.String()
	}
	text := func(names ...string) (ts file.Texts) {
		for i := 0; i < len(names); i += 2 {
			ts = append(ts, file.Text{Name: names[i], Data: []byte(names[i+1])})
		}
		return ts
	}
	for _, tc := range []struct {
		name     string
		old, new file.Texts
		want     string
	}{
		{"equal", text("a.yaml", "x\n"), text("a.yaml", "x\n"), ""},
		{"one line", text("a.yaml", "x\ny\nz\n"), text("a.yaml", "x\nY\nz\n"), "--- 010000000000/a.yaml\n+++ 020000000000/a.yaml\n@@ -1,3 +1,3 @@\n x\n-y\n+Y\n z\n"},
		{"no end", text("a.yaml", "x"), text("a.yaml", "x\n"), "--- 010000000000/a.yaml\n+++ 020000000000/a.yaml\n@@ -1,1 +1,1 @@\n-x\n\\ No newline at end of file\n+x\n"},
		{"new", nil, text("a.yaml", "x\n"), "--- /dev/null\n+++ 020000000000/a.yaml\n@@ -0,0 +1,1 @@\n+x\n"},
		{"gone", text("a.yaml", "x\n"), nil, "--- 010000000000/a.yaml\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n"},
		{"far apart", text("a.yaml", many(100, 1000)), text("a.yaml", many(100, 33)), ""},
		{"near", text("a.yaml", many(50, 1000)), text("a.yaml", many(50, 7)), ""},
		{"all", text("a.yaml", many(3000, 1000)), text("a.yaml", many(3000, 2)), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := unifiedTexts(versionOf{tc.old, history.Hash{1}}, versionOf{tc.new, history.Hash{2}})
			if tc.want != "" || len(got) == 0 {
				assert.Equal(t, tc.want, got)
			}
			patch, err := exec.LookPath("patch")
			if err != nil || len(tc.old) == 0 || len(tc.new) == 0 || got == "" {
				return
			}
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), tc.old[0].Data, 0o600))
			cmd := exec.Command(patch, "-p1", "--fuzz=0")
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(got)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s\n%s", out, got)
			patched, err := os.ReadFile(filepath.Join(dir, "a.yaml"))
			require.NoError(t, err)
			assert.Equal(t, string(tc.new[0].Data), string(patched))
		})
	}
}
