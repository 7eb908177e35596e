package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const importVectors = "../../test/vectors/migrate/radsecproxy/"

// Every example comes out as a configuration that check has no error in.
func TestImportRadsecproxy(t *testing.T) {
	for _, name := range []string{"institution", "national", "openroaming", "mvno"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "etc")
			r := command("import", "radsecproxy", importVectors+name+"/radsecproxy.conf", "--to", dir, "--resolve=false")
			require.Zero(t, r.code, r.errs)
			assert.Contains(t, r.out, "directives mapped (")
			if name == "national" || name == "openroaming" {
				r = command("check", "--config", filepath.Join(dir, "roamgate.yaml"))
				assert.NotZero(t, r.code)
				assert.Contains(t, r.out, "05-tls.yaml:6:18: error: certificate: reading the file: no such file or directory")
				haveCertificates(t, dir)
			}
			r = command("check", "--config", filepath.Join(dir, "roamgate.yaml"))
			assert.Zero(t, r.code, r.out+r.errs)

			r = command("import", "radsecproxy", importVectors+name+"/radsecproxy.conf", "--to", dir)
			assert.Equal(t, exitProblem, r.code)
			assert.Contains(t, r.errs, "is not empty")

			// No secret is anywhere but in secrets/.
			secrets, err := filepath.Glob(filepath.Join(dir, "secrets", "*"))
			require.NoError(t, err)
			require.NotEmpty(t, secrets)
			files, err := filepath.Glob(filepath.Join(dir, "realms", "*"))
			require.NoError(t, err)
			for _, s := range secrets {
				secret, err := os.ReadFile(s)
				require.NoError(t, err)
				for _, f := range append(files, filepath.Join(dir, "roamgate.yaml")) {
					text, err := os.ReadFile(f)
					require.NoError(t, err)
					assert.NotContains(t, string(text), strings.TrimSpace(string(secret)), f)
				}
			}
		})
	}
}

// haveCertificates makes the files that an imported configuration names.
func haveCertificates(t *testing.T, dir string) {
	t.Helper()
	write(t, dir, material(t))
	name := filepath.Join(dir, "realms", "05-tls.yaml")
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	out := string(text)
	for expr, file := range map[string]string{`certificate: \S+`: "certificate: ../pki/hub.pem", `key: \S+`: "key: ../pki/hub.key", `- /\S+`: "- ../pki/roaming-ca.pem"} {
		out = regexp.MustCompile(expr).ReplaceAllString(out, file)
	}
	require.NoError(t, os.WriteFile(name, []byte(out), 0o600))
}

func TestImportReports(t *testing.T) {
	r := command("import", "radsecproxy", importVectors+"mvno/radsecproxy.conf", "--report", "json")
	require.Zero(t, r.code, r.errs)
	var report struct {
		Mapped, Percent int
		Directives      []struct{ Fate, Text string }
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	assert.GreaterOrEqual(t, report.Percent, 95)
	assert.Greater(t, report.Mapped, 50)
	r = command("import", "radsecproxy", importVectors+"mvno/radsecproxy.conf", "--all")
	assert.Contains(t, r.out, ": mapped: client campus/secret: a file of its own\n")

	bad := filepath.Join(t.TempDir(), "bad.conf")
	require.NoError(t, os.WriteFile(bad, []byte("client a {\n\ttype udp\n\tsecrett abc\n}\n"), 0o600))
	r = command("import", "radsecproxy", bad)
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "bad.conf:3: configuration error in block client a, unknown option secrett\nradsecproxy would not start with it either")
	r = command("import", "radsecproxy", bad, "--report", "xml")
	assert.NotZero(t, r.code)
	r = command("import", "radsecproxi")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.errs, "did you mean radsecproxy?")
}
