package radsecproxy_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/migrate/radsecproxy"
)

const vectors = "../../../test/vectors/migrate/radsecproxy"

// names is a name server that knows one name.
func names(_ context.Context, name string) ([]netip.Addr, error) {
	if name == "localhost" {
		return []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1")}, nil
	}
	return nil, os.ErrNotExist
}

// Each example imports: at least 95 % of its directives are mapped, the rest is
// named in report.txt, and what is written loads.
func TestExamples(t *testing.T) {
	dirs, err := filepath.Glob(vectors + "/*/radsecproxy.conf")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(dirs), 4)
	for _, path := range dirs {
		name := filepath.Base(filepath.Dir(path))
		t.Run(name, func(t *testing.T) {
			c, err := radsecproxy.Parse(radsecproxy.Disk{}, path)
			require.NoError(t, err)
			out, report := radsecproxy.Import(t.Context(), c, names)
			assert.GreaterOrEqual(t, report.Percent(), 95)
			var text strings.Builder
			require.NoError(t, report.WriteText(&text, false))
			got := strings.ReplaceAll(text.String(), filepath.Dir(path)+"/", "")
			golden := filepath.Join(filepath.Dir(path), "report.txt")
			if os.Getenv("UPDATE") != "" {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), got)

			dir := t.TempDir()
			require.NoError(t, out.Write(dir))
			set, ps := file.Load(filepath.Join(dir, "realms"), os.LookupEnv)
			require.NotNil(t, set, "%v", ps)
			assert.Zero(t, ps.Count(file.Error))
			if keep := os.Getenv("KEEP"); keep != "" {
				require.NoError(t, os.CopyFS(filepath.Join(keep, name), os.DirFS(dir)))
				t.Log(ps)
			}
		})
	}
}
