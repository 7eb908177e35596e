package freeradius

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite what the vectors want")

const vectors = "../../../test/vectors/migrate/freeradius"

// sections splits "-- name --" parts.
func sections(text string) (names []string, parts map[string]string) {
	parts = make(map[string]string)
	name := ""
	for line := range strings.Lines(text) {
		if title, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(title, " --\n") {
			name = strings.TrimSuffix(title, " --\n")
			names = append(names, name)
			parts[name] = ""
			continue
		}
		parts[name] += line
	}
	return names, parts
}

// unpack writes the parts of a vector into a directory of its own.
func unpack(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	names, parts := sections(text)
	for _, name := range names {
		if name == "want" {
			continue
		}
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(parts[name]), 0o600))
	}
	return dir
}

func testEnv(name string) (string, bool) {
	v, ok := map[string]string{"HOST": "192.0.2.7"}[name]
	return v, ok
}

func dump(b *strings.Builder, s *Section, indent string) {
	for _, i := range s.Items {
		switch {
		case i.Section != nil && i.Section.Named:
			fmt.Fprintf(b, "%s%s %q { %d\n", indent, i.Section.Name, i.Section.Second, i.Section.Pos.Line)
		case i.Section != nil:
			fmt.Fprintf(b, "%s%s { %d\n", indent, i.Section.Name, i.Section.Pos.Line)
		case i.Pair.Bare:
			fmt.Fprintf(b, "%s%s\n", indent, i.Pair.Name)
		default:
			fmt.Fprintf(b, "%s%s %s %q\n", indent, i.Pair.Name, i.Pair.Op, i.Pair.Value)
		}
		if i.Section != nil {
			dump(b, i.Section, indent+"  ")
		}
	}
}

// TestRead reads each vector and compares the tree, or the error.
func TestRead(t *testing.T) {
	paths, err := filepath.Glob(vectors + "/read/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			input, want, _ := strings.Cut(string(raw), "-- want --\n")
			dir := unpack(t, input)
			var b strings.Builder
			tree, err := Read(Source{Dir: dir, Env: testEnv})
			if err != nil {
				fmt.Fprintln(&b, "error:", err)
			} else {
				tree.Root.Items = tree.Root.Items[1:] // confdir
				dump(&b, tree.Root, "")
			}
			got := strings.ReplaceAll(b.String(), dir, "DIR")
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(input+"-- want --\n"+got), 0o600))
				return
			}
			assert.Equal(t, want, got)
		})
	}
}

// Short lines that refer to a long value may be too much together.
func TestExpandedOctetsAreBounded(t *testing.T) {
	dir := t.TempDir()
	text := "long = " + strings.Repeat("x", 8000) + "\n" + strings.Repeat("short = ${long}\n", maxOctets/8000+1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "radiusd.conf"), []byte(text), 0o600))
	_, err := Read(Source{Dir: dir})
	require.ErrorContains(t, err, "more than 67108864 octets in all files and values")
}
