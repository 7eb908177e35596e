package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFormat(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"in its form", "# a\n\nrealms:\n  # b\n  - realm: a.example # c\n    auth: p\n\n  - {realm: b.example, auth: p}\n", ""},
		{"indentation", "realms:\n- realm:\n  - a.example\n  - b.example\n  auth: p\nx:\n     y:\n        z: 1\n",
			"realms:\n  - realm:\n      - a.example\n      - b.example\n    auth: p\nx:\n  y:\n    z: 1\n"},
		{"dash", "a:\n    -   b: c\n        d: e\n    -   f\n", "a:\n  - b: c\n    d: e\n  - f\n"},
		{"blanks", "a:   b   \nc: [ d ,e,  f ]\ng: { h: i,  j: [k]  }\nl: [ ]\nm: {  }\nn:\n", ""},
		{"quotes", "a: \"b\"\nc: 'd e'\ne: \"1\"\nf: '*.g'\nh: ['i', \"j k\", \"no\", '\\d', '\"', \"22:00\"]\nk: ''\n",
			"a: b\nc: d e\ne: \"1\"\nf: \"*.g\"\nh: [i, \"j k\", \"no\", '\\d', '\"', \"22:00\"]\nk: \"\"\n"},
		{"empty lines", "\n\n# a\n\n\n\nb: c\n\n\n", "# a\n\nb: c\n"},
		{"ends", "\xef\xbb\xbfa: b \r\nc: d", "a: b\nc: d\n"},
		{"comments", "   # first\na:\n      # of b\n      b: 1   # trailing\n             # goes on\n      # of c\n      c: 2\n      # end of a\n# of d\nd: 3\n    # end\n",
			"# first\na:\n  # of b\n  b: 1       # trailing\n             # goes on\n  # of c\n  c: 2\n  # end of a\n# of d\nd: 3\n# end\n"},
		{"comment behind a dash", "a:\n- b: 1\n  # of c\n  c: 2\n- d: 1\n  # end of d\n- e\n", "a:\n  - b: 1\n    # of c\n    c: 2\n  - d: 1\n    # end of d\n  - e\n"},
		{"nothing but comments", "a:\n    # b: 1\nc: 2\n", "a:\n  # b: 1\nc: 2\n"},
		{"comment beside", "a:\n    # b: 1       # of b\n                  # goes on\n    c: 2\n", "a:\n  # b: 1       # of b\n                  # goes on\n  c: 2\n"},
		{"comment in the way", "a:\n- b: 1 # x\n", "a:\n  - b: 1 # x\n"},
		{"hash in quotes", "a: \"b # c\"  # d\n", ""},
		{"not plain", "a: |\n   b  \n   c\n\n\n\nd: \"e\\n\"   \nf: [g,\n  h]\n", ""},
		{"umlaut", "a:   b\u00fc   \n\n\n\nc: d\n", "a:   b\u00fc\n\nc: d\n"},
		{"nothing", "\n\n", ""},
		{"comments alone", "  # a\n", "# a\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ps := Format("f", []byte(tc.text))
			require.Empty(t, ps)
			if tc.want != "" {
				assert.Equal(t, tc.want, string(got))
			}
			formats(t, []byte(tc.text))
		})
	}
	got, ps := Format("f", []byte("a: [\n"))
	assert.Nil(t, got)
	assert.True(t, ps.Failed())
	same, _ := Format("f", []byte("# a\n\nrealms:\n  # b\n  - realm: a.example # c\n"))
	assert.Equal(t, "# a\n\nrealms:\n  # b\n  - realm: a.example # c\n", string(same))
}

// formats holds what may never go wrong: the meaning and the comments stay, and
// the form of the form is the form.
func formats(t *testing.T, data []byte) {
	t.Helper()
	before := parse(&report{}, "f", data)
	once, ps := Format("f", data)
	if before == nil {
		if once != nil || !ps.Failed() {
			t.Fatalf("%q is no file and becomes %q", data, once)
		}
		return
	}
	after := parse(&report{}, "f", once)
	if after == nil || !sameMeaning(before.tree, after.tree) {
		t.Fatalf("%q becomes %q, which is something else", data, once)
	}
	if had, has := hashes(data), hashes(once); had != has {
		t.Fatalf("%q becomes %q, with other comments", data, once)
	}
	if twice, _ := Format("f", once); string(twice) != string(once) {
		t.Fatalf("%q becomes %q, that becomes %q", data, once, twice)
	}
}

// hashes is all text behind the first # of each line, without blanks.
func hashes(data []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(even(data))) {
		if _, comment, ok := strings.Cut(line, "#"); ok {
			b.WriteString("#" + strings.TrimFunc(comment, func(c rune) bool { return c <= ' ' }))
		}
	}
	return b.String()
}

// TestFormatReference: what operators copy is in its form.
func TestFormatReference(t *testing.T) {
	var found []string
	for _, pattern := range []string{"../../configs/*.yaml", "../../configs/realms/*.yaml", "profiles/*.yaml"} {
		some, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, some)
		found = append(found, some...)
	}
	for _, name := range found {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		got, ps := Format(name, text)
		require.Empty(t, ps)
		assert.Equal(t, string(text), string(got), name)
	}
}

func FuzzFormat(f *testing.F) {
	f.Add([]byte(wholeFile))
	f.Add([]byte(fullFile))
	for _, tc := range plainCases {
		f.Add([]byte(tc.text))
	}
	f.Add([]byte("a: # b\n  - c #d\n      # e\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) <= 4096 {
			formats(t, data)
		}
	})
}
