package file

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

var update = flag.Bool("update", false, "rewrite the wanted lines of testdata/problems")

// testEnv is the environment of the cases in testdata.
func testEnv(name string) (string, bool) {
	v, ok := map[string]string{"GOOD_SECRET": "hunter2-of-the-environment", "EMPTY_SECRET": "", "NO_KEY": "hunter2-is-no-key"}[name]
	return v, ok
}

// sections splits "-- name --" parts.
func sections(text string) (names []string, parts map[string]string) {
	parts = make(map[string]string)
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "-- "); ok {
			names = append(names, strings.TrimSuffix(name, " --\n"))
			continue
		}
		parts[names[len(names)-1]] += line
	}
	return names, parts
}

// TestProblems loads each case of testdata/problems and compares all that is
// said about it. Files s1 to s19 hold good secrets, those of problemFiles
// certificates.
func TestProblems(t *testing.T) {
	cases, err := filepath.Glob("testdata/problems/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	certificates := problemFiles(t)
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			input, want, _ := strings.Cut(string(raw), "-- want --\n")
			_, files := sections(input)
			for i := range 19 {
				files[fmt.Sprintf("s%d", i+1)] = fmt.Sprintf("hunter2-good-secret-%02d\n", i)
			}
			dir := write(t, files)
			put(t, dir, certificates)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "open.key"), []byte(certificates["hub.key"]), 0o600))
			require.NoError(t, os.Chmod(filepath.Join(dir, "open.key"), 0o644))
			world := filepath.Join(dir, "world")
			require.NoError(t, os.WriteFile(world, []byte("hunter2hunter2-world"), 0o600))
			require.NoError(t, os.Chmod(world, 0o644))

			set, ps := Load(dir, testEnv)
			assert.Equal(t, ps.Failed(), set == nil)
			got := strings.ReplaceAll(ps.Error(), dir+"/", "")
			got = strings.ReplaceAll(got, dir+":", "DIR:")
			if got != "" {
				got += "\n"
			}
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(input+"-- want --\n"+got), 0o600))
				return
			}
			assert.Equal(t, want, got)
			assert.NotContains(t, got, "hunter2", "a secret is shown")
			assert.NotContains(t, got, "other.key", "the file of a key is shown")
		})
	}
}
