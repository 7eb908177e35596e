package file

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

var plainCases = []struct {
	name, text string
	plain      bool // the plain reader takes it
}{
	{"empty", "", true},
	{"comments", "# a\n\n   # b\n", true},
	{"mapping", "a: b\nc: 1\n", true},
	{"no last newline", "a: b", true},
	{"comment behind", "a: b # c\nd: # e\n  f: g\n", true},
	{"hash inside", "a: b#c\n", false},
	{"nothing", "a:\nb: c\n", true},
	{"nothing last", "a: b\nc:", true},
	{"list", "a:\n  - b\n  - c d\n", true},
	{"list at the key's column", "a:\n- b\n- c: d\n  e: f\ng: h\n", true},
	{"list of mappings", "realms:\n  - realm: a.example\n    auth: p\n  - realm: b.example\n    auth: p\n", true},
	{"nested", "a:\n  b:\n    c: d\n    e:\n      - f: g\n        h: i\n  j: k\nl: m\n", true},
	{"share", "a: 2.5%\nb: [m-*, 1%]\nc: {d: 5%}\ne: x*\n", true},
	{"share first", "a: %5\n", false},
	{"backslash in single quotes", "a: '^b\\.c$'\nb: ['\\d', \"e\"]\n", true},
	{"wide dash", "a:\n  -   b: c\n      d: e\n", true},
	{"quotes", "a: \"*.iot.example\"\nb: '1 2'\nc: \"\" # d\n", true},
	{"quote in quotes", "a: '\"'\nb: \"'\"\n", true},
	{"flow", "a: [b, \"c\", 192.0.2.0/24]\nd: {e: 1, f: [g]}\nh: []\ni: {}\n", true},
	{"flow blanks", "a: [ b , c ]\nd: { e: f }\n", true},
	{"flow v6", "a: [2001:db8::/48, ::1]\n", false},
	{"entry flow", "- {a: b, c: d}\n- [e]\n", true},
	{"address", "a: 2001:db8::1\nb: 192.0.2.1:1812\n", true},
	{"colon last", "a: b:\n", false},
	{"colon blank", "a: b: c\n", false},
	{"continued", "a: b\n  c\n", false},
	{"continued entry", "- a\n  b\n", false},
	{"value below", "a:\n  b\n", false},
	{"tab", "a:\n\t- b\n", false},
	{"literal", "a: |\n  b\n", false},
	{"alias", "a: *b\n", false},
	{"anchor", "a: &b c\n", false},
	{"null word", "a: null\n", false},
	{"tilde", "a: ~\n", false},
	{"escape", "a: \"b\\n\"\n", false},
	{"two quotes", "a: 'b''c'\n", false},
	{"document", "---\na: b\n", false},
	{"umlaut", "a: b\u00fc\n", false},
	{"comment umlaut", "# \u00fc\na: b\n", true},
	{"dedent to nowhere", "a:\n    b: c\n  d: e\n", false},
	{"list then key", "- a\nb: c\n", false},
	{"numbers", "a: 0x1f\nb: 1e3\nc: 1_000\nd: 010\ne: .5\nf: true\ng: .inf\nh: 0o7\n", true},
}

// describe writes a tree as text to compare. Columns are left out: the general
// reader is off by the blanks behind a scalar.
func describe(t tree) string {
	var b strings.Builder
	for _, n := range t {
		fmt.Fprintf(&b, "%s line %d end %d %q quoted %t\n", n.kind, n.line, n.end, n.text, n.quoted)
	}
	return b.String()
}

// agree holds the plain reader against the general one; it reports whether the
// plain one took the text.
func agree(t *testing.T, text string) bool {
	t.Helper()
	got, _, _, ok := readPlain(text)
	if !ok {
		return false
	}
	r := &report{}
	want, ok := readGeneral(r, "f", text, realm.Pos{File: "f"})
	if !ok {
		t.Fatalf("only the plain reader takes %q: %v", text, r.problems())
	}
	if g, w := describe(got), describe(want); g != w {
		t.Fatalf("readers differ on %q\nplain:\n%sgeneral:\n%s", text, g, w)
	}
	lines := strings.Split(text, "\n")
	for _, n := range got {
		if n.kind == kindNull {
			continue
		}
		there := lines[n.line-1][n.col-1:]
		if n.quoted {
			there = there[1:]
		}
		if n.kind == kindScalar && !strings.HasPrefix(there, n.text) {
			t.Fatalf("%q does not stand at %d:%d of %q", n.text, n.line, n.col, text)
		}
	}
	return true
}

func TestPlainAgreesWithGeneral(t *testing.T) {
	for _, tc := range plainCases {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, tc.plain, agree(t, tc.text))
		})
	}
}

func FuzzPlain(f *testing.F) {
	for _, tc := range plainCases {
		f.Add([]byte(tc.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		r := &report{}
		if text, ok := clean(r, "f", data); ok {
			agree(t, text)
		}
	})
}

func TestDocumentPos(t *testing.T) {
	d, ps := Parse("f.yaml", []byte("listen:\n  - address: a\n  - address: b\nlog: {level: info}\nempty:\n"))
	require.Empty(t, ps)
	for path, want := range map[string]string{
		"listen.1.address": "f.yaml:3:14",
		"listen.7":         "f.yaml:2:3",
		"listen.x":         "f.yaml:2:3",
		"log.level":        "f.yaml:4:14",
		"log.missing":      "f.yaml:4:6",
		"empty":            "f.yaml:5:1",
		"nowhere":          "f.yaml:1:1",
	} {
		assert.Equal(t, want, d.Pos(path).String(), path)
	}
	d, _ = Parse("f.yaml", nil)
	assert.True(t, d.Empty())
	assert.Equal(t, "f.yaml:1:1", d.Pos("a.b").String())
}
