package main

import (
	"encoding/json"
	"encoding/xml"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa"
)

const goodTests = `tests:
  - {name: acme goes to acme, nai: alice@acme.example, from: airport, expect: {result: forward, rule: acme.example, match: exact, pool: acme, home: acme-1, reason: none}}
  - nai: bob@nowhere.example
    station: 02-00-00-00-00-01
    nas_port_type: 19
    expect:
      result: reject
      reason: route_rejects
      rule: default
      pool: none
  - nai: alice@acme.example
    kind: acct
    expect: {acknowledge: durable}
  - {nai: alice@acme.example, from: 192.0.2.99, expect: {result: drop, reason: unknown_client}}
`

// TestRoutes tests the routes of a hub that runs, and those of its files.
func TestRoutes(t *testing.T) {
	h := start(t, "")
	write(t, h.dir, map[string]string{"routes.yaml": goodTests})
	path := h.path("routes.yaml")
	assert.Equal(t, "4 tests: 4 passed, 0 failed\n", ok(t, "test", path, "--config", h.path("roamgate.yaml")))
	assert.Equal(t, "4 tests: 4 passed, 0 failed\n", h.ask("test "+path).out)

	write(t, h.dir, map[string]string{"routes.yaml": strings.NewReplacer("home: acme-1", "home: acme-2", "pool: none", "pool: acme").Replace(goodTests)})
	r := command("test", path, "--config", h.path("roamgate.yaml"))
	assert.Equal(t, exitProblem, r.code)
	assert.Empty(t, r.errs)
	lines := strings.Split(r.out, "\n")
	require.Len(t, lines, 4)
	assert.Regexp(t, `^`+path+`:2:5: FAIL: acme goes to acme: home is acme-1, not acme-2, by the rule at \S+/realms/peers.yaml:\d+:\d+$`, lines[0])
	assert.Regexp(t, `^`+path+`:3:5: FAIL: bob@nowhere.example: pool is none, not acme, by the rule at `, lines[1])
	assert.Equal(t, "4 tests: 2 passed, 2 failed", lines[2])

	r = command("test", path, "--config", h.path("roamgate.yaml"), "--format", "json")
	var all struct {
		Passed, Failed int
		Tests          []verdict
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &all))
	assert.Equal(t, []int{2, 2, 4}, []int{all.Passed, all.Failed, len(all.Tests)})
	r = command("test", path, "--config", h.path("roamgate.yaml"), "--format", "junit")
	assert.Equal(t, exitProblem, r.code)
	var suite struct {
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	require.NoError(t, xml.Unmarshal([]byte(r.out), &suite))
	assert.Equal(t, 2, suite.Failures)
	require.Len(t, suite.Cases, 4)
	assert.Contains(t, suite.Cases[0].Failure.Message, "home is acme-1, not acme-2")
	assert.Nil(t, suite.Cases[2].Failure)

	assert.Equal(t, exitUnreachable, command("test", path, "--admin", "127.0.0.1:1").code)
	assert.Equal(t, exitUsage, command("test", path, "--format", "tap").code)
}

// TestMistakesInTests: each is named where it stands.
func TestMistakesInTests(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key", "tests:\n  - {nai: a@b.example, form: x, expect: {result: forward}}", `t.yaml:2:24: error: unknown key "form" (did you mean from?)`},
		{"unknown key expected", "tests:\n  - {nai: a@b.example, expect: {results: forward}}", `t.yaml:2:33: error: unknown key "results" (did you mean result?)`},
		{"no name", "tests:\n  - {expect: {result: forward}}", `t.yaml:2:5: error: `},
		{"nothing expected", "tests:\n  - {nai: a@b.example, expect: {}}", "t.yaml:2:5: error: nothing is expected: the test cannot fail"},
		{"no expectation", "tests:\n  - {nai: a@b.example}", "t.yaml:2:5: error: "},
		{"kind", "tests:\n  - {nai: a@b.example, kind: coa, expect: {result: forward}}", `t.yaml:2:5: error: kind "coa" is not known (auth or acct)`},
		{"no number", "tests:\n  - {nai: a@b.example, nas_port_type: wifi, expect: {result: forward}}", "t.yaml:2:5: error: nas_port_type: not a number"},
		{"no tests", "tests: []", "t.yaml: error: there are no tests"},
		{"empty", "", "t.yaml: error: there are no tests"},
		{"no YAML", "tests: [", "t.yaml:1:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"t.yaml": tc.text})
			r := command("test", filepath.Join(dir, "t.yaml"), "--config", "nowhere.yaml")
			assert.Equal(t, exitProblem, r.code)
			assert.Contains(t, r.errs, tc.want)
		})
	}
	r := command("test", "nowhere.yaml")
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "reading the tests: no such file or directory")
}

// TestAsTest: what explain prints as a test passes, whatever is in it.
func TestAsTest(t *testing.T) {
	h := start(t, "")
	text := ""
	for _, args := range [][]string{
		{"alice@acme.example", "--from", "airport", "--station", "02-00-00-00-00-01"}, {"bob@nowhere.example", "--nas-port-type", "19"},
		{"carol@acme.example", "--accounting"}, {`x: "y" # \ - {z}<@acme.example`}, {"yes@no.example", "--imsi", "001010000000001"},
	} {
		r := command(append(append([]string{"explain"}, args...), "--as-test", "--config", h.path("roamgate.yaml"))...)
		assert.Empty(t, r.errs)
		text += strings.TrimPrefix(r.out, "tests:\n")
	}
	write(t, h.dir, map[string]string{"routes.yaml": "tests:\n" + text})
	assert.Equal(t, "5 tests: 5 passed, 0 failed\n", ok(t, "test", h.path("routes.yaml"), "--config", h.path("roamgate.yaml")))
}

func FuzzQuoted(f *testing.F) {
	f.Add("a: b")
	f.Add("\x00\"\\\n\u2028é<>&")
	f.Fuzz(func(t *testing.T, s string) {
		var b strings.Builder
		writeAsTest(&b, &aaa.Question{NAI: s, NASPortType: -1, RATType: -1}, &aaa.Explanation{Result: "forward"})
		path := filepath.Join(t.TempDir(), "t.yaml")
		write(t, filepath.Dir(path), map[string]string{"t.yaml": b.String()})
		tests, ps := loadTests(path)
		plain := len(s) > 0 && len(s) <= 253 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
		if plain && (len(tests) != 1 || tests[0].NAI != s) {
			t.Fatalf("%q: %v\n%s", s, ps, b.String())
		}
	})
}

// TestRoutesByMoreThanTheRealm asks by all that a test can name.
func TestRoutesByMoreThanTheRealm(t *testing.T) {
	h := prepare(t, "")
	h.route(`groups:
  - {name: east, kind: federation}
  - {name: west, kind: federation}
contracts:
  - {from: east, to: west, realms: [open.example]}
clients:
  - {name: airport, address: 127.0.0.1, secret_file: ../client.secret}
  - {name: eastern, address: 192.0.2.1, secret_file: ../home.secret, group: east}
homes:
  - {name: acme-1, address: 198.51.100.1, secret_file: ../home.secret}
  - {name: western, address: 198.51.100.2, secret_file: ../home.secret, group: west}
pools:
  - {name: acme, homes: [acme-1]}
  - {name: second, homes: [acme-1]}
  - {name: west, homes: [western]}
realms:
  - {realm: acme.example, auth: acme}
  - {realm: acme.example, name: meters, rank: 1, auth: second, when: {ssid: Meters}}
  - {realm: acme.example, name: night, rank: 2, auth: second, when: {during: [{from: "01:00", to: "02:00"}]}}
  - {realm: acme.example, name: partner, rank: 3, auth: second, when: {operator: 1partner.example}}
  - {realm: acme.example, name: consortium, rank: 4, auth: second, when: {rcoi: 5a03ba}}
  - {realm: acme.example, name: wired, rank: 5, auth: second, when: {nas_port_type: 15}}
  - {realm: renamed.example, auth: acme, rewrite: {realm: inner.example}}
  - {realm: [open.example, closed.example], auth: west}
`)
	write(t, h.dir, map[string]string{"routes.yaml": `tests:
  - {nai: a@acme.example, at: "2026-03-01T12:00:00Z", expect: {rule: acme.example, pool: acme}}
  - {nai: a@acme.example, at: "2026-03-01T01:30:00Z", expect: {rule: night}}
  - {nai: a@acme.example, at: "2026-03-01T12:00:00Z", ssid: Meters, expect: {rule: meters, pool: second}}
  - {nai: a@acme.example, at: "2026-03-01T12:00:00Z", operator: 1partner.example, expect: {rule: partner}}
  - {nai: a@acme.example, at: "2026-03-01T12:00:00Z", rcoi: 5a-03-ba, expect: {rule: consortium}}
  - {nai: a@acme.example, at: "2026-03-01T12:00:00Z", avp: [NAS-Port-Type=15], expect: {rule: wired}}
  - {nai: a@renamed.example, expect: {user_name: a@inner.example, home: acme-1}}
  - {nai: a@open.example, from: eastern, expect: {result: forward, pool: west, contract: east to west}}
  - {nai: a@closed.example, from: eastern, expect: {result: reject, reason: transit_denied, contract: none}}
  - {nai: a@closed.example, from: airport, expect: {result: forward, contract: none}}
`})
	assert.Equal(t, "10 tests: 10 passed, 0 failed\n", ok(t, "test", h.path("routes.yaml"), "--config", h.path("roamgate.yaml")))
}
