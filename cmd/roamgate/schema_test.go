package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	yaml "github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// compiled is the schema that roamgate schema prints.
func compiled(t *testing.T, kind string) (*jsonschema.Schema, string) {
	t.Helper()
	text := ok(t, "schema", kind)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	require.NoError(t, c.AddResource(kind+".json", doc))
	s, err := c.Compile(kind + ".json")
	require.NoError(t, err)
	return s, text
}

// instance reads YAML as an editor does.
func instance(t *testing.T, text []byte) any {
	t.Helper()
	js, err := yaml.YAMLToJSON(text)
	require.NoError(t, err)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(js))
	require.NoError(t, err)
	return v
}

// TestSchemas holds the schemas against the reference files, whole and with one
// key that is wrong.
func TestSchemas(t *testing.T) {
	found, err := filepath.Glob(configs + "/realms/*.yaml")
	require.NoError(t, err)
	for kind, files := range map[string][]string{
		"routing": found, "hub": {configs + "/roamgate.yaml"}, "policy": {configs + "/devices.yaml"},
	} {
		s, text := compiled(t, kind)
		assert.True(t, strings.Contains(text, `"description"`), kind)
		for _, name := range files {
			data, err := os.ReadFile(name)
			require.NoError(t, err)
			assert.NoError(t, s.Validate(instance(t, data)), name)
			if kind == "hub" {
				all := commentedOut.ReplaceAll(data, []byte("$1$2"))
				assert.NoError(t, s.Validate(instance(t, all)), "with what is commented out")
			}
		}
		assert.Error(t, s.Validate(instance(t, []byte("relams: []\n"))), kind)
	}
}

func TestRoutingSchema(t *testing.T) {
	s, text := compiled(t, "routing")
	for _, tc := range []struct {
		name, text string
		good       bool
	}{
		{"empty sections", "clients:\nrealms:\nidentity:\n", true},
		{"one value for a list", "clients: [{name: a, address: 192.0.2.1, secret_file: s}]\n", true},
		{"a number where text is wanted", "realms: [{imsi: 26201, auth: p}]\n", true},
		{"a port that is none", "homes: [{name: h, address: 192.0.2.1, acct_port: none}]\n", true},
		{"a home by its name", "pools: [{name: p, homes: [a, {home: b, weight: 2}]}]\n", true},
		{"unknown key", "clients: [{name: a, adress: 192.0.2.1}]\n", false},
		{"unknown key deep inside", "realms: [{realm: a.example, when: {ssids: x}}]\n", false},
		{"required", "clients: [{address: 192.0.2.1}]\n", false},
		{"word", "groups: [{name: g, kind: federaton}]\n", false},
		{"word of a list", "identity: {allow: [backslahs]}\n", false},
		{"no list", "realms: {realm: a.example}\n", false},
		{"duration", "pools: [{name: p, homes: h, timers: {irt: 2}}]\n", false},
		{"boolean", "homes: [{name: h, drain: maybe}]\n", false},
		{"port", "homes: [{name: h, auth_port: 65536}]\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := s.Validate(instance(t, []byte(tc.text)))
			assert.Equal(t, tc.good, err == nil, "%v", err)
		})
	}
	assert.True(t, strings.Contains(text, "default; own: networks of the hub's operator"), "comments of the reference are descriptions")
}

func TestSchemaOfTests(t *testing.T) {
	s, _ := compiled(t, "tests")
	assert.NoError(t, s.Validate(instance(t, []byte("tests:\n  - {nai: bob@a.example, from: wifi, imsi: 262011234567890, expect: {result: forward, pool: a}}\n"))))
	assert.Error(t, s.Validate(instance(t, []byte("tests:\n  - {nai: bob@a.example}\n"))), "nothing is expected")
	assert.Error(t, s.Validate(instance(t, []byte("tests:\n  - {nai: bob@a.example, expect: {result: forward}, form: x}\n"))))
}

// TestSchemaOfREADME: what the README shows of our files is what they are.
func TestSchemaOfREADME(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	n := 0
	for _, m := range regexp.MustCompile("(?s)```yaml ([^\n]*)\n(.*?)```").FindAllSubmatch(text, -1) {
		for part, kind := range map[string]string{"realms/": "routing", "roamgate.yaml": "hub", "devices.yaml": "policy"} {
			if strings.HasPrefix(string(m[1]), part) {
				n++
				s, _ := compiled(t, kind)
				assert.NoError(t, s.Validate(instance(t, m[2])), "%s", m[1])
			}
		}
	}
	assert.Positive(t, n)
}

func TestSchemaMisuse(t *testing.T) {
	r := command("schema", "clients")
	assert.Equal(t, exitUsage, r.code)
	assert.Contains(t, r.errs, `there is no schema "clients": hub, policy, routing, tests`)
}
