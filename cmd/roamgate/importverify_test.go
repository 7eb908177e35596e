package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// original files of one small proxy, as both programs write them.
const (
	raddb = `home_server acme {
	type = auth
	ipaddr = 192.0.2.1
	secret = acme-acme-acme-acme
}
home_server_pool acme {
	home_server = acme
}
realm acme.example {
	auth_pool = acme
}
realm LOCAL {
}
client nas {
	ipaddr = 192.0.2.128/25
	secret = nas-nas-nas-nas-nas
}
`
	rsp = `ListenUDP *:1812
client nas {
	host 192.0.2.128/25
	type udp
	secret nas-nas-nas-nas-nas
}
server acme {
	host 192.0.2.1
	port 1812
	type udp
	secret acme-acme-acme-acme
}
realm acme.example {
	server acme
}
`
)

func TestImportVerify(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"raddb/proxy.conf": raddb, "radsecproxy.conf": rsp,
		"names": "# no name\nalice@acme.example\r\n\n\"bob@\\x41CME.example\"\ncarol\ndave@other.example\nerin@acme..example\n"})
	at := func(name string) string { return filepath.Join(dir, name) }
	ok(t, "import", "freeradius", at("raddb"), "--to", at("a"))
	ok(t, "import", "radsecproxy", at("radsecproxy.conf"), "--to", at("b"))

	out := ok(t, "import", "verify", "-c", at("a/roamgate.yaml"), "--against", "freeradius:"+at("raddb"), "--identities", at("names"))
	assert.Equal(t, "2 of 5 equal, 3 otherwise by intent\n  3 local-answer: the original answers by itself; the hub rejects, and records without billing\n", out)
	out = ok(t, "import", "verify", "-c", at("a/roamgate.yaml"), "--against", "freeradius:"+at("raddb"), "--identities", at("names"), "--from", "nas", "--accounting")
	assert.Contains(t, out, "2 of 5 equal, 3 otherwise by intent\n") // both store those that have a rule
	out = ok(t, "import", "verify", "-c", at("b/roamgate.yaml"), "--against", "radsecproxy:"+at("radsecproxy.conf"), "--identities", at("names"))
	assert.Contains(t, out, "2 of 5 equal, 3 otherwise by intent\n  3 silence-to-reject: ")

	// Another pool, and the realm is no longer stripped.
	path := at("a/realms/20-homes.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), "192.0.2.1 ", "192.0.2.2 ", 1)), 0o600))
	r := command("import", "verify", "-c", at("a/roamgate.yaml"), "--against", "freeradius:"+at("raddb"), "--identities", at("names"))
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.out, `"alice@acme.example": the original: forward "alice" to 192.0.2.1:1812 (realm acme.example, `+at("raddb/proxy.conf")+
		`:9); the hub: forward "alice" to 192.0.2.2:1812 (rule acme.example, `)
	assert.Contains(t, r.out, "0 of 5 equal, 3 otherwise by intent, 2 different\n")
}

func TestImportVerifyMistakes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"raddb/proxy.conf": raddb, "bad/proxy.conf": "realm a {\n\tauth_pool = x\n}\n",
		"names": "a\n\"open\n", "long": strings.Repeat("a", 5000), "good": "a\n"})
	at := func(name string) string { return filepath.Join(dir, name) }
	ok(t, "import", "freeradius", at("raddb"), "--to", at("hub"))
	conf, against := at("hub/roamgate.yaml"), "freeradius:"+at("raddb")
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no original":      {[]string{"--identities", at("good")}, exitUsage, "--against is missing"},
		"no names":         {[]string{"--against", against}, exitUsage, "--identities is missing"},
		"unknown original": {[]string{"--against", "radiator:x", "--identities", at("good")}, exitUsage, `--against "radiator:x" is not understood`},
		"of Diameter":      {[]string{"--against", "freediameter:x", "--identities", at("good")}, exitUsage, "names of RADIUS are compared here; roamgate explain --diameter says"},
		"refused original": {[]string{"--against", "freeradius:" + at("bad"), "--identities", at("good")}, exitProblem, `:1: failed to find home_server_pool "x"`},
		"no file":          {[]string{"--against", against, "--identities", at("nothing")}, exitProblem, "no such file"},
		"bad quotes":       {[]string{"--against", against, "--identities", at("names")}, exitProblem, "line 2 of the identities: the quotes are not closed"},
		"long line":        {[]string{"--against", against, "--identities", at("long")}, exitProblem, "reading the identities: "},
		"stranger":         {[]string{"--against", against, "--identities", at("good"), "--from", "198.51.100.1"}, exitProblem, "the original has no client 198.51.100.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := command(append([]string{"import", "verify", "-c", conf}, c.args...)...)
			assert.Equal(t, c.code, r.code)
			assert.Contains(t, r.errs, c.want)
		})
	}
}

func TestImportFreeRADIUS(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"raddb/proxy.conf": raddb, "bad/proxy.conf": "realm a { nostrip }\n"})
	out := ok(t, "import", "freeradius", filepath.Join(dir, "raddb"), "--to", filepath.Join(dir, "hub"))
	assert.Contains(t, out, "12 of 12 directives mapped (100 %)\n")
	ok(t, "check", "--config", filepath.Join(dir, "hub/roamgate.yaml"))
	ok(t, "fmt", "--check", filepath.Join(dir, "hub/roamgate.yaml"), filepath.Join(dir, "hub/realms"))
	r := command("import", "freeradius", filepath.Join(dir, "bad"))
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, `bad/proxy.conf:1: parse error after "nostrip": unexpected token "}"`)
	assert.Contains(t, r.errs, "FreeRADIUS would not start with it either")
}

func TestImportCSV(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"good.csv": "realm;pool\na.example;p\n", "bad.csv": "realm;pool\na..example;p\n;p\n"})
	at := func(name string) string { return filepath.Join(dir, name) }
	assert.Contains(t, ok(t, "import", "csv", at("good.csv")), "  - realm: a.example # from "+at("good.csv")+":2\n    auth: p\n")
	assert.Equal(t, "1 route written to "+at("r.yaml")+"\n", ok(t, "import", "csv", at("good.csv"), "--to", at("r.yaml")))
	r := command("import", "csv", at("good.csv"), "--to", at("r.yaml"))
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "file exists")
	r = command("import", "csv", at("bad.csv"), "--to", at("s.yaml"))
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, at("bad.csv")+":2:1: \"a..example\" is no realm: bad realm\n")
	assert.Contains(t, r.errs, at("bad.csv")+":3:1: the row does not say what is routed")
	assert.NoFileExists(t, at("s.yaml"))
}
