package file

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
)

// noEnv is a process without variables.
func noEnv(string) (string, bool) { return "", false }

// write puts files into a new directory.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

// manyRealms is a file as a large hub's operators generate it.
func manyRealms(n int, flow bool) string {
	var b strings.Builder
	b.WriteString("homes:\n  - {name: h, address: 192.0.2.1, secret_file: secret}\npools:\n")
	for i := range 50 {
		fmt.Fprintf(&b, "  - name: p%d\n    homes: [h]\n", i)
	}
	b.WriteString("realms:\n")
	for i := range n {
		if flow {
			fmt.Fprintf(&b, "  - {realm: wlan%d.partner.example, auth: p%d, accounting: p%d}\n", i, i%50, i%50)
			continue
		}
		fmt.Fprintf(&b, "  - realm: wlan%d.partner.example\n    auth: p%d\n    accounting: p%d\n    policy:\n      enabled: true\n", i, i%50, i%50)
	}
	return b.String()
}

func BenchmarkLoad(b *testing.B) {
	for _, bc := range []struct {
		name string
		n    int
		flow bool
	}{{"block100k", 100_000, false}, {"flow100k", 100_000, true}, {"block1M", 1_000_000, false}} {
		b.Run(bc.name, func(b *testing.B) {
			dir := write(b, map[string]string{"a.yaml": manyRealms(bc.n, bc.flow), "secret": "0123456789abcdef"})
			b.ReportAllocs()
			for b.Loop() {
				set, ps := Load(dir, noEnv)
				if set == nil || len(set.Routes) != bc.n {
					b.Fatal(ps)
				}
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys>>20), "MB-sys")
		})
	}
}

// BenchmarkDiff compares a million routes with what an operator made of them.
func BenchmarkDiff(b *testing.B) {
	load := func(text string) *realm.Set {
		set, ps := Load(write(b, map[string]string{"a.yaml": text, "secret": "0123456789abcdef"}), noEnv)
		if set == nil {
			b.Fatal(ps)
		}
		return set
	}
	text := manyRealms(1_000_000, false)
	old := load(text)
	for _, bc := range []struct {
		name string
		set  *realm.Set
	}{
		{"oneEdited", load(strings.Replace(text, "wlan500000.partner", "wlan-500000.partner", 1))},
		{"allReplaced", load(strings.ReplaceAll(text, ".partner", ".other"))},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if Diff(old, bc.set).Realms.Empty() {
					b.Fatal("nothing has changed")
				}
			}
		})
	}
}
