package device

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadFileProblems(t *testing.T) {
	const ok = "devices: []\nprofiles:\n  - name: meter\n"
	for _, tt := range []struct{ name, in, want string }{
		{"unknown key", "profile:\n  - name: a\n", `p.yaml:1:1: error: unknown key "profile" (did you mean profiles?)`},
		{"no name", "profiles:\n  - deny: true\n", "p.yaml:2:5: error: name must be 1 to 64 letters, digits, '.', '_' or '-'"},
		{"country", ok + "    countries: [DE, deu]\n", `p.yaml:4:16: error: countries "deu" is not two capital letters (ISO 3166-1 alpha-2)`},
		{"operator", ok + "    operators: [x]\n", `p.yaml:4:16: error: operators "x" is not an Operator-Name: a namespace digit and a name`},
		{"port type", ok + "    nas_port_types: [wifi]\n", `p.yaml:4:21: error: nas_port_types "wifi" is neither a known name nor a number up to 255`},
		{"radio type", ok + "    rat_types: [300]\n", `p.yaml:4:16: error: rat_types "300" is neither a known name nor a number up to 255`},
		{"time", ok + "    valid_from: tomorrow\n", `p.yaml:4:17: error: valid_from "tomorrow" is not a time such as 2027-01-31T00:00:00Z`},
		{"window", ok + "    valid_from: 2027-01-01T00:00:00Z\n    valid_until: 2026-01-01T00:00:00Z\n", "p.yaml:5:18: error: valid_until must be after valid_from"},
		{"timeout", ok + "    session_timeout: 1.5s\n", `p.yaml:4:22: error: session_timeout "1.5s" is not a duration of whole seconds such as 4h or 600s`},
		{"interim", ok + "    interim_interval: 59s\n", "p.yaml:4:23: error: interim_interval must be at least 60s (RFC 2869 section 5.16)"},
		{"short interim", ok + "    interim_interval: 60s\n", "p.yaml:4:23: warning: interim_interval should be at least 600s (RFC 2869 section 5.16)"},
		{"volume", ok + "    daily_volume: 5 apples\n", `p.yaml:4:19: error: daily_volume "5 apples" is not an amount such as 500MB or 2GiB`},
		{"volume too large", ok + "    daily_volume: 99999999TiB\n", `p.yaml:4:19: error: daily_volume "99999999TiB" is not an amount such as 500MB or 2GiB`},
		{"attempts", ok + "    attempts_per_hour: 3600001\n", "p.yaml:4:24: error: attempts_per_hour must be at most 3600000"},
		{"class", ok + "    class: a b\n", "p.yaml:4:12: error: class must be 1 to 64 letters, digits, '.', '_' or '-'"},
		{"reason", ok + "    deny_reason: x\n", "p.yaml:4:18: error: deny_reason needs deny: true"},
		{"filter", ok + "    filter_ids: [\"a\\tb\"]\n", `p.yaml:4:17: error: filter_ids "a\tb" is not 1 to 253 octets of printable text`},
		{"profile twice", ok + "  - name: meter\n", `p.yaml:4:11: error: profile "meter" is at p.yaml:3:5 already`},
		{"no profile", "devices:\n  - imsi: 001010000000001\n    profile: ghost\n", `p.yaml:3:14: error: there is no profile "ghost"`},
		{"no identity", "profiles: [{name: a}]\ndevices:\n  - profile: a\n", "p.yaml:3:5: error: needs exactly one of imsi, mac, cui and nai"},
		{"imsi", "profiles: [{name: a}]\ndevices:\n  - {imsi: 12a, profile: a}\n", "p.yaml:3:12: error: imsi must be 6 to 15 digits"},
		{"mac", "profiles: [{name: a}]\ndevices:\n  - {mac: 0011, profile: a}\n", "p.yaml:3:11: error: mac must be a MAC address such as 00-11-22-33-44-55"},
		{"device twice", "profiles: [{name: a}]\ndevices:\n  - {mac: 001122334455, profile: a}\n  - {mac: 00-11-22-33-44-55, profile: a}\n", "p.yaml:4:5: error: this device is at p.yaml:3:5 already"},
		{"anchors", "profiles: &a []\n", "p.yaml:1:11: error: YAML anchors are refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, problems := ReadFile("p.yaml", []byte(tt.in))
			require.NotEmpty(t, problems)
			assert.Contains(t, problems.Error(), tt.want)
			assert.Equal(t, problems.Failed(), f == nil)
		})
	}
}

func TestLoadReplacesAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(path, []byte(policyFile), 0o600))
	f, problems := LoadFile(path)
	require.NoError(t, problems.Err())
	tab := New(Config{File: f})
	assert.True(t, tab.Ready())
	few, gone := imsi(4), imsi(1)
	for range 3 {
		require.Equal(t, Allow, tab.Decide(&few).Outcome)
	}
	require.Equal(t, Allow, tab.Decide(&gone).Outcome)

	next, problems := ReadFile("p", []byte("profiles: [{name: few, attempts_per_hour: 3}]\ndevices: [{imsi: 001010000000004, profile: few}]\n"))
	require.NoError(t, problems.Err())
	tab.Load(next)
	assert.Equal(t, 1, tab.Len())
	assert.Equal(t, UnknownDevice, tab.Decide(&gone).Reason)
	assert.Equal(t, TooManyAttempts, tab.Decide(&few).Reason, "attempts outlive a reload")

	_, problems = LoadFile(path + ".none")
	assert.ErrorContains(t, problems.Err(), "no such file")
	assert.NotEmpty(t, tab.Series())
}
