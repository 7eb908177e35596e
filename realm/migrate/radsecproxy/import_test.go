package radsecproxy_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/migrate"
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
			certificates(t, dir)
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

// certificates makes the files that tls entries name, below the directory.
func certificates(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, "realms", "05-tls.yaml")
	text, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return
	}
	require.NoError(t, err)
	ca, err := lab.NewCA("ca")
	require.NoError(t, err)
	root, err := ca.Write(dir, "ca")
	require.NoError(t, err)
	pair, err := ca.Issue(lab.Leaf{Hosts: []string{"hub.example"}})
	require.NoError(t, err)
	chain, key, err := pair.Write(dir, "hub")
	require.NoError(t, err)
	files := map[string]string{"certificate": chain, "key": key, "authorities": root}
	path := regexp.MustCompile(`(?m)^(    (certificate|key): |      - )/\S+`)
	out := path.ReplaceAllStringFunc(string(text), func(s string) string {
		at := strings.LastIndexByte(s, '/')
		role := strings.Trim(strings.TrimSpace(strings.SplitN(s[:at], "/", 2)[0]), ":-")
		if role == "" {
			role = "authorities"
		}
		return s[:strings.IndexByte(s, '/')] + files[role]
	})
	require.NoError(t, os.WriteFile(name, []byte(out), 0o600))
}

// oneFile is a file that includes nothing.
type oneFile []byte

func (f oneFile) Read(string) ([]byte, error)   { return f, nil }
func (f oneFile) Glob(string) ([]string, error) { return nil, nil }

// Whatever is read is refused or imported without a panic, the importer knows
// each line, and what is written is no worse than a file with mistakes: it
// can be read, and no text of the original becomes a key of it.
func FuzzImport(f *testing.F) {
	paths, err := filepath.Glob(vectors + "/*/*.conf")
	require.NoError(f, err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(text, []byte("bob@uni.example"))
	}
	f.Add([]byte("client a\n{\n"), []byte(""))
	f.Fuzz(func(t *testing.T, text, name []byte) {
		c, err := radsecproxy.Parse(oneFile(text), "f")
		if err != nil {
			return
		}
		_, err = c.Decide(migrate.Request{Name: string(name)})
		require.NoError(t, err)
		out, report := radsecproxy.Import(t.Context(), c, nil)
		for _, d := range report.Directives {
			require.NotEqual(t, "not known to this importer", d.Text, d.Name)
		}
		for _, n := range out.Realms {
			_, ps := file.Parse(n.Name, n.Root.Bytes())
			for _, p := range ps {
				assert.NotEqual(t, file.Error, p.Severity, "%s\n%s", p, n.Root.Bytes())
			}
		}
		_, ps := file.Parse("roamgate.yaml", out.Main.Bytes())
		assert.Zero(t, ps.Count(file.Error), "%s", out.Main.Bytes())
	})
}

const peers = "client c {\ntype udp\nhost 192.0.2.1\nsecret sixteen-octets-or\n}\nserver s {\ntype udp\nhost 192.0.2.2\nsecret sixteen-octets-of\n}\n"

// What is left out of the realms, and why.
func TestRealmsLeftOut(t *testing.T) {
	for _, c := range []struct{ name, realms, want string }{
		{"octets that no expression of ours has", "realm /[\u00e9]$/ {\nserver s\n}\n", "single octets of characters beyond ASCII"},
		{"back reference", "realm /(a)\\1/ {\nserver s\n}\n", "a back reference"},
		{"bad expression", "realm /(/ {\nserver s\n}\n", "invalid regular expression: a ( without )"},
		{"no server of the name", "realm a.example {\nserver nobody\n}\n", "no server named nobody stands before it: radsecproxy leaves the realm out"},
		{"behind the star", "realm * {\nserver s\n}\nrealm a.example {\nserver s\n}\n", "never reached: realm * stands in front, f:11"},
		{"twice", "realm a.example {\nserver s\n}\nrealm A.example {\n}\n", "never reached: realm a.example stands in front, f:11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf, err := radsecproxy.Parse(oneFile(peers+c.realms+"realm b.example {\nserver s\n}\n"), "f")
			require.NoError(t, err)
			out, report := radsecproxy.Import(t.Context(), conf, nil)
			var text strings.Builder
			require.NoError(t, report.WriteText(&text, false))
			assert.Contains(t, text.String(), c.want)
			dir := t.TempDir()
			require.NoError(t, out.Write(dir))
			set, ps := file.Load(filepath.Join(dir, "realms"), os.LookupEnv)
			assert.NotNil(t, set, "%v", ps)
		})
	}
}
