package usage

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/accounting"
)

func compile(t testing.TB) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("record.json", doc))
	s, err := c.Compile("record.json")
	require.NoError(t, err)
	return s
}

func valid(t testing.TB, s *jsonschema.Schema, b []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err)
	return s.Validate(v)
}

func TestSchemaTakesEveryRecord(t *testing.T) {
	s := compile(t)
	rs, b := export(t, JSONLines, 200)
	lines := bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	seen := map[Status]bool{}
	for i, line := range lines {
		require.NoError(t, valid(t, s, line), "%s", line)
		seen[rs[i].Status] = true
	}
	assert.Len(t, seen, 4, "a record of every status")
	r, p := sound(t)
	r.Judge(p, &Validators{WRIX: []string{"*"}})
	line, err := json.Marshal(r)
	require.NoError(t, err)
	assert.NoError(t, valid(t, s, line))
}

func TestSchemaRefuses(t *testing.T) {
	s := compile(t)
	r, _ := sound(t)
	line, err := json.Marshal(r)
	require.NoError(t, err)
	for _, tt := range []struct{ name, from, to string }{
		{"another schema", `"schema":1`, `"schema":2`},
		{"another status", `"status":"final"`, `"status":"done"`},
		{"a final record that corrects", `"billable"`, `"corrects":"00000000000000000000000000000001","billable"`},
		{"a correction of nothing", `"status":"final"`, `"status":"correction"`},
		{"a local time", `:40Z"`, `:40+01:00"`},
		{"half a key", `"session":"02`, `"session":"`},
		{"octets as a text", `"input_octets":4294967296`, `"input_octets":"4294967296"`},
		{"no evidence", `"evidence":`, `"e":`},
		{"a country of three letters", `"country":"CH"`, `"country":"CHE"`},
		{"degrees as a number", `"latitude":"46.9480000"`, `"latitude":46.948`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := strings.Replace(string(line), tt.from, tt.to, 1)
			require.NotEqual(t, string(line), changed)
			assert.Error(t, valid(t, s, []byte(changed)))
		})
	}
}

// TestSchemaHasEveryField compares the schema with the types, both ways.
func TestSchemaHasEveryField(t *testing.T) {
	var root node
	require.NoError(t, json.Unmarshal(Schema(), &root))
	root.compare(t, &root, "record", reflect.TypeFor[Record]())
}

type node struct {
	Ref         string           `json:"$ref"`
	Description string           `json:"description"`
	Properties  map[string]*node `json:"properties"`
	Required    []string         `json:"required"`
	Defs        map[string]*node `json:"$defs"`
}

func (n *node) compare(t *testing.T, root *node, path string, typ reflect.Type) {
	if name, ok := strings.CutPrefix(n.Ref, "#/$defs/"); ok {
		n = root.Defs[name]
	}
	known := map[string]bool{}
	for f := range typ.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[name] = true
		p, at := n.Properties[name], path+"."+name
		if !assert.NotNil(t, p, "%s is not in the schema", at) {
			continue
		}
		assert.Greater(t, len(p.Description), 2, "%s is not described", at)
		assert.Equal(t, !strings.Contains(options, "omit"), contains(n.Required, name), "%s: what may be left out is not required", at)
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner.PkgPath() == typ.PkgPath() {
			p.compare(t, root, at, inner)
		}
	}
	for name := range n.Properties {
		assert.True(t, known[name], "%s.%s is in the schema, but no field", path, name)
	}
}

func contains(in []string, s string) bool {
	for _, x := range in {
		if x == s {
			return true
		}
	}
	return false
}

var update = flag.Bool("update", false, "write the golden record of a new schema")

const golden = "testdata/schema1.jsonl"

// TestGoldenRecords: records that were written under schema 1 stay readable,
// and say what they said. The file is never changed once it is released.
func TestGoldenRecords(t *testing.T) {
	if *update {
		_, b := export(t, JSONLines, 12)
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, b, 0o644))
	}
	b, err := os.ReadFile(golden)
	require.NoError(t, err)
	s := compile(t)
	lines := bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	require.Len(t, lines, 12)
	for _, line := range lines {
		r, err := ReadRecord(line)
		require.NoError(t, err)
		assert.NoError(t, valid(t, s, line))
		var out bytes.Buffer
		w, err := NewWriter(JSONLines, &out, false)
		require.NoError(t, err)
		require.NoError(t, w.Write(r))
		require.NoError(t, w.Close())
		assert.JSONEq(t, string(line), out.String(), "nothing of it is lost")
	}
}

func TestReadRecordRefuses(t *testing.T) {
	r, _ := sound(t)
	good, err := json.Marshal(r)
	require.NoError(t, err)
	for _, tt := range []struct{ name, line, want string }{
		{"nothing", "", "no JSON"},
		{"a list", "[1]", "another type"},
		{"null", "null", "schema 0"},
		{"no schema", "{}", "schema 0"},
		{"schema zero", `{"schema":0}`, "schema 0"},
		{"schema as a text", `{"schema":"1"}`, "another type"},
		{"half a record", string(good[:len(good)/2]), "no JSON"},
		{"two records", string(good) + string(good), "no JSON"},
		{"no id", strings.Replace(string(good), `"id":"01`, `"id":"00`, 1), "no id"},
		{"a bad id", strings.Replace(string(good), `"id":"01`, `"id":"x1`, 1), "the form of its field"},
		{"octets as a text", strings.Replace(string(good), `"input_octets":`, `"input_octets":"1","x":`, 1), "input_octets is of another type"},
		{"another status", strings.Replace(string(good), `"final"`, `"done"`, 1), "a status"},
		{"no start", strings.Replace(string(good), `"start":`, `"begin":`, 1), "no start"},
		{"too long", string(good) + strings.Repeat(" ", MaxLine), "octets in a line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadRecord([]byte(tt.line))
			require.ErrorIs(t, err, ErrRecord)
			assert.ErrorContains(t, err, tt.want)
			assert.NotContains(t, err.Error(), "hotspots")
		})
	}
	_, err = ReadRecord([]byte(`{"schema":2,"id":[]}`))
	require.ErrorIs(t, err, ErrNewer)
	later := strings.Replace(string(good), `"id"`, `"later":{"a":1},"id"`, 1)
	got, err := ReadRecord([]byte(later))
	require.NoError(t, err)
	assert.Equal(t, r, got, "a field that was added later is left out")
}

func FuzzReadRecord(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 4 {
		line, err := json.Marshal(anyRecord(rng))
		require.NoError(f, err)
		f.Add(line)
	}
	f.Add([]byte(`{"schema":2}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ReadRecord(line)
		if err != nil {
			return
		}
		require.NotEqual(t, accounting.Key{}, r.ID)
		var w row
		w.set(r)
		again, err := json.Marshal(r)
		if err != nil {
			return // a year that JSON cannot say
		}
		if len(again) > MaxLine {
			return
		}
		same, err := ReadRecord(again)
		require.NoError(t, err)
		require.Equal(t, r.ID, same.ID)
		require.Equal(t, r.InputOctets, same.InputOctets)
		require.Equal(t, r.SessionID, same.SessionID)
	})
}
