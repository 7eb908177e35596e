package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const onlyDefault = "realms:\n  - {realm: default, reject: no}\n"

func TestLoadOctets(t *testing.T) {
	plainYAML := strings.Repeat("realms: []\n", 1)
	for _, tc := range []struct{ name, text, want string }{
		{"byte order mark", "\xef\xbb\xbf" + onlyDefault, ""},
		{"CRLF", strings.ReplaceAll(onlyDefault, "\n", "\r\n"), ""},
		{"no octets", "", "warning: the file is empty"},
		{"NUL", "realms:\n - \x00", "a.yaml:2:4: error: NUL octet"},
		{"all NUL", strings.Repeat("\x00", 4096), "a.yaml:1:1: error: NUL octet"},
		{"NUL behind", onlyDefault + "\x00\x00", "a.yaml:3:1: error: NUL octet"},
		{"control", plainYAML + "# \x1b[2J", "a.yaml:2:3: error: control character"},
		{"lone CR", plainYAML + "\r", "a.yaml:2:1: error: control character"},
		{"not UTF-8", plainYAML + "# \xff", "a.yaml:2:3: error: octets that are not UTF-8"},
		{"column counts characters", plainYAML + "# \u00fc\u00fc\x01", "a.yaml:2:5: error: control character"},
		{"UTF-16", "\xff\xfer\x00", "a.yaml: error: the file is UTF-16"},
		{"large and not plain", onlyDefault + strings.Repeat("# comment\n", 500_000) + "pools: &a\n",
			"a.yaml:500003:1: error: not plain YAML, which a file over 4 MB must be"},
		{"empty entries", "realms: # \n" + strings.Repeat("  - \n", 1100) + "x: ~\n", "a.yaml:1002:3: error: there are more than 1000 empty entries"},
		{"many keys", "x: ~\n" + strings.Repeat("x: y\n", 1100), "a.yaml:1000:1: error: more than 1000 keys in one place"},
		{"brackets without end", "a: " + strings.Repeat("[", maxGeneralMarks+1), "a.yaml:1:1: error: not plain YAML"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := write(t, map[string]string{"a.yaml": tc.text})
			set, ps := Load(dir, nil)
			got := strings.ReplaceAll(ps.Error(), dir+"/", "")
			assert.Contains(t, got, tc.want)
			assert.Equal(t, strings.Contains(tc.want, "error"), set == nil, got)
		})
	}
}

func TestLoadDirectory(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		then  func(dir string) error
		want  string // of the errors; "" for none
	}{
		{name: "no directory", then: os.RemoveAll, want: "DIR: error: reading the directory: no such file or directory"},
		{name: "no files", files: map[string]string{"README": "x", "a.yaml~": "x"}, want: "DIR: error: there is no *.yaml or *.yml file in the directory"},
		{name: "not ours", files: map[string]string{
			"a.yml": onlyDefault, ".b.yaml": "bad", ".a.yaml.swp": "bad", "#a.yaml": "bad", "#a.yaml#": "bad",
			"a.yaml.bak": "bad", "a.yaml~": "bad", "a.yaml.orig": "bad", "sub/c.yaml": "bad", "..data/d.yaml": "bad",
		}},
		{name: "link", files: map[string]string{".real": onlyDefault}, then: func(dir string) error {
			return os.Symlink(".real", filepath.Join(dir, "a.yaml"))
		}},
		{name: "link circle", files: map[string]string{"b.yaml": onlyDefault}, then: func(dir string) error {
			return os.Symlink("a.yaml", filepath.Join(dir, "a.yaml"))
		}, want: "DIR/a.yaml: error: reading the file: symbolic links go in a circle"},
		{name: "link to nowhere", files: map[string]string{"b.yaml": onlyDefault}, then: func(dir string) error {
			return os.Symlink("gone", filepath.Join(dir, "a.yaml"))
		}, want: "DIR/a.yaml: error: reading the file: no such file or directory"},
		{name: "directory", files: map[string]string{"a.yaml/x": "", "b.yaml": onlyDefault}, want: "DIR/a.yaml: error: reading the file: it is no regular file"},
		{name: "pipe", files: map[string]string{"b.yaml": onlyDefault}, then: func(dir string) error {
			return syscall.Mkfifo(filepath.Join(dir, "a.yaml"), 0o600)
		}, want: "DIR/a.yaml: error: reading the file: it is no regular file"},
		{name: "large file", files: map[string]string{"a.yaml": ""}, then: func(dir string) error {
			return os.Truncate(filepath.Join(dir, "a.yaml"), maxFile+1)
		}, want: "DIR/a.yaml: error: reading the file: it is too large (split it)"},
		{name: "both wrong", files: map[string]string{"a.yaml": "x: 1", "b.yaml": "y: 1"},
			want: `DIR/a.yaml:1:1: error: unknown key "x" (known keys: identity, loops, groups, contracts, tls, filters, clients, homes, peers, screenings, steerings, pools, discoveries, realms)` + "\n" +
				`DIR/b.yaml:1:1: error: unknown key "y" (known keys: identity, loops, groups, contracts, tls, filters, clients, homes, peers, screenings, steerings, pools, discoveries, realms)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := write(t, tc.files)
			if tc.then != nil {
				require.NoError(t, tc.then(dir))
			}
			set, ps := Load(dir, nil)
			var errors Problems
			for _, p := range ps {
				if p.Severity == Error {
					errors = append(errors, p)
				}
			}
			got := strings.ReplaceAll(errors.Error(), dir, "DIR")
			if i := strings.Index(got, " (an empty file"); i >= 0 {
				got = got[:i]
			}
			assert.Equal(t, tc.want, strings.TrimSuffix(got, " (directories, pipes and devices are not read)"))
			assert.Equal(t, tc.want == "", set != nil)
		})
	}
}

func TestLoadLimits(t *testing.T) {
	defer func(n int64) { maxDir = n }(maxDir)
	maxDir = int64(len(onlyDefault))
	_, ps := Load(write(t, map[string]string{"a.yaml": onlyDefault}), nil)
	require.NoError(t, ps.Err())
	_, ps = Load(write(t, map[string]string{"a.yaml": onlyDefault, "b.yaml": "#"}), nil)
	require.ErrorContains(t, ps.Err(), "the files are larger than")

	dir := t.TempDir()
	for i := range maxFiles + 1 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), nil, 0o600))
	}
	_, ps = Load(dir, nil)
	require.ErrorContains(t, ps.Err(), "there are more than 10000 files")
}

func TestReadRegularWhileTheFileGrows(t *testing.T) {
	_, err := readAll(make([]byte, 0, 1), strings.NewReader("grown"), 3)
	require.ErrorIs(t, err, errTooLarge)
	data, err := readAll(make([]byte, 0, 1), strings.NewReader("grown"), 5)
	require.NoError(t, err)
	assert.Equal(t, "grown", string(data))
}

func TestReadHints(t *testing.T) {
	err := &os.PathError{Op: "open", Path: "hunter2", Err: syscall.EACCES}
	assert.Equal(t, "permission denied", cause(err))
	assert.Equal(t, "let the hub's user read it", readHint(err))
}
