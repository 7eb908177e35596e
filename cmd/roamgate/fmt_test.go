package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const untidy = "realms:\n- realm:   default\n  reject: 'no route'   # yet\n\n\n"

const tidy = "realms:\n  - realm: default\n    reject: no route   # yet\n"

func TestFmt(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yml")
	write(t, dir, map[string]string{"a.yaml": untidy, "b.yml": tidy, ".hidden.yaml": untidy})
	require.NoError(t, os.Chmod(a, 0o640))

	r := command("fmt", "--check", dir)
	assert.Equal(t, exitProblem, r.code)
	assert.Equal(t, a+": error: the file is not in its form (roamgate fmt)\n", r.out)
	assert.Equal(t, "roamgate: 1 file not in form: roamgate fmt does it\n", r.errs)

	r = command("fmt", "--diff", a, b)
	assert.Equal(t, exitProblem, r.code)
	assert.Equal(t, "--- "+a+"\n+++ "+a+"\n@@ -2,4 +2,2 @@\n-- realm:   default\n-  reject: 'no route'   # yet\n-\n-\n+  - realm: default\n+    reject: no route   # yet\n", r.out)
	text, err := os.ReadFile(a)
	require.NoError(t, err)
	assert.Equal(t, untidy, string(text), "neither writes")

	assert.Equal(t, a+"\n", ok(t, "fmt", dir))
	text, err = os.ReadFile(a)
	require.NoError(t, err)
	assert.Equal(t, tidy, string(text))
	info, err := os.Stat(a)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	assert.Empty(t, ok(t, "fmt", dir))
	assert.Empty(t, ok(t, "fmt", "--check", dir))
	left, err := filepath.Glob(dir + "/.fmt-*")
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestFmtOfAConfiguration(t *testing.T) {
	_, path := configuration(t, map[string]string{"roamgate.yaml": goodMain + "log:   {level: info}\n"})
	assert.Equal(t, path+"\n", ok(t, "fmt", "--config", path))
	assert.Empty(t, ok(t, "fmt", "--check", "--config", path))
}

func TestFmtRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.yaml": "realms: [\n"})
	for _, tc := range []struct{ name, arg, want string }{
		{"no YAML", dir + "/a.yaml", "a.yaml:1:9: error: invalid YAML"},
		{"no file", dir + "/gone.yaml", "no such file or directory"},
		{"empty directory", t.TempDir(), "there is no *.yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := command("fmt", tc.arg)
			assert.Equal(t, exitProblem, r.code)
			assert.Contains(t, r.errs, tc.want)
			assert.Empty(t, r.out)
		})
	}
	text, err := os.ReadFile(dir + "/a.yaml")
	require.NoError(t, err)
	assert.Equal(t, "realms: [\n", string(text))
}

// TestFmtKeepsALink: what a link leads to is written, and the link stays.
func TestFmtKeepsALink(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"real/a.yaml": untidy})
	require.NoError(t, os.Symlink("real/a.yaml", dir+"/a.yaml"))
	ok(t, "fmt", dir+"/a.yaml")
	info, err := os.Lstat(dir + "/a.yaml")
	require.NoError(t, err)
	assert.Equal(t, os.ModeSymlink, info.Mode().Type())
	text, err := os.ReadFile(dir + "/real/a.yaml")
	require.NoError(t, err)
	assert.Equal(t, tidy, string(text))
}
