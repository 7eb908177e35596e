package freeradius

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzRead holds the reader to its bounds: no panic, and every error says
// where. Files include each other under the names of a vector.
func FuzzRead(f *testing.F) {
	paths, err := filepath.Glob(vectors + "/*/*.txt")
	require.NoError(f, err)
	require.NotEmpty(f, paths)
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		require.NoError(f, err)
		names, parts := sections(string(raw))
		f.Add(parts[names[0]], parts[names[min(1, len(names)-1)]])
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "radiusd.conf"), []byte(first), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte(second), 0o600))
		tree, err := Read(Source{Dir: dir})
		if err != nil {
			require.Contains(t, err.Error(), dir)
			require.Nil(t, tree)
			return
		}
		lines := strings.Count(first, "\n") + strings.Count(second, "\n") + 2
		placed(t, tree.Root, lines)
	})
}

// placed asks every entry for its line.
func placed(t *testing.T, s *Section, lines int) {
	t.Helper()
	for _, i := range s.Items {
		switch {
		case i.Section != nil:
			require.Positive(t, i.Section.Pos.Line)
			require.LessOrEqual(t, i.Section.Pos.Line, lines)
			placed(t, i.Section, lines)
		case i.Pair.Name != "confdir":
			require.Positive(t, i.Pair.Pos.Line)
			require.LessOrEqual(t, i.Pair.Pos.Line, lines)
		}
	}
}
