package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const freediameterVectors = "../../test/vectors/migrate/freediameter/"

// What is imported is a configuration that check has no error in, and the route of a
// request is that of the rules.
func TestImportFreediameter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etc")
	r := command("import", "freediameter", freediameterVectors+"dra/freeDiameter.conf", "--from", "10.50.0.0/16,10.51.0.1", "--to", dir)
	require.Zero(t, r.code, r.errs)
	assert.Contains(t, r.out, "rt_default.conf:11: unmapped: rt_default or=\"visited.test\"")
	main := filepath.Join(dir, "roamgate.yaml")
	r = command("check", "--config", main)
	assert.Zero(t, r.code, r.out+r.errs)
	r = command("explain", "--diameter", "ULR", "--imsi", "262970000000001", "--from", "mme1", "--realm", "epc.mnc097.mcc262.3gppnetwork.org", "--config", main)
	assert.Zero(t, r.code, r.errs)
	assert.Regexp(t, `(?s)1\. +hss1 .*2\. +hss2 .*3\. +backup `, r.out)
	r = command("import", "freediameter", freediameterVectors+"dra/freeDiameter.conf")
	assert.Contains(t, r.out, "acl_wl.conf:2: unmapped: acl_wl mme1.visited.test: who says over TCP that he is it would be: import again with --from")
}

func TestImportFreediameterMistakes(t *testing.T) {
	bad, nameless := filepath.Join(t.TempDir(), "bad.conf"), filepath.Join(t.TempDir(), "nameless.conf")
	require.NoError(t, os.WriteFile(bad, []byte("Identity = \"a.b\";\nPort = 1\n"), 0o600))
	require.NoError(t, os.WriteFile(nameless, []byte("Port = 1;\n"), 0o600))
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"refused", []string{bad}, exitProblem, "bad.conf:3: ; is expected, not \"the end of the file\"\nfreeDiameter would not start with it either"},
		{"no identity", []string{nameless}, exitProblem, "nameless.conf: there is no Identity"},
		{"no file", []string{bad + "x"}, exitProblem, "no such file"},
		{"everybody", []string{bad, "--from", "0.0.0.0/0"}, exitUsage, "--from: 0.0.0.0/0 is everybody"},
		{"no range", []string{bad, "--from", "lan"}, exitUsage, `--from: "lan" is no address`},
		{"nothing", nil, exitUsage, "FILE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := command(append([]string{"import", "freediameter"}, tt.args...)...)
			assert.Equal(t, tt.code, r.code)
			assert.Contains(t, r.errs, tt.want)
		})
	}
}
