package radsecproxy

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm/migrate"
)

// memory is files that a test holds.
type memory map[string]string

func (m memory) Read(name string) ([]byte, error) {
	if s, ok := m[path.Clean(name)]; ok {
		return []byte(s), nil
	}
	return nil, fs.ErrNotExist
}

func (m memory) Glob(pattern string) (out []string, err error) {
	for name := range m {
		if ok, err := path.Match(path.Clean(pattern), name); err != nil {
			return nil, err
		} else if ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// dump writes what was read, one line each.
func dump(blocks []block) string {
	var b strings.Builder
	for _, k := range blocks {
		if k.kind != mainBlock {
			fmt.Fprintf(&b, "%s %s %q\n", migrate.At(k.pos), k.kind, k.name)
		}
		for _, o := range k.opts {
			fmt.Fprintf(&b, "%s %s=%q %v %d\n", migrate.At(o.pos), o.name, o.val, o.on, o.n)
		}
	}
	return b.String()
}

func TestParse(t *testing.T) {
	long := strings.Repeat("x", 1023-len("logkey "))
	for _, c := range []struct {
		name, in, want string
	}{
		{"nothing", "\n  # comment\n\t\n\"# quoted\n", ""},
		{"words", "LOGLEVEL 3\npidfile = /run/x\nFTicksPrefix 'a b'", "f:1 loglevel=\"3\" false 3\nf:2 pidfile=\"/run/x\" false 0\nf:3 fticksprefix=\"a b\" false 0\n"},
		{"more behind the brace", "realm * { what ever\n}\n", "f:1 realm \"*\"\n"},
		{"end with text", "realm * {\n} # end\nLogLevel 0x2\n", "f:1 realm \"*\"\nf:3 loglevel=\"0x2\" false 2\n"},
		{"escapes", "FTicksPrefix %41%4\nLogKey %00%7e\nListenUDP a%62\n", "f:1 fticksprefix=\"A%4\" false 0\nf:2 logkey=\"%00~\" false 0\nf:3 listenudp=\"ab\" false 0\n"},
		{"raw secret", "client a {\nsecret %41\n}", "f:1 client \"a\"\nf:2 secret=\"%41\" false 0\n"},
		{"block that does not end", "realm * {\nreplymessage x", "f:1 realm \"*\"\nf:2 replymessage=\"x\" false 0\n"},
		{"repeated toggle", "realm * {\nAccountingResponse on\naccountingresponse OFF\n}", "f:1 realm \"*\"\nf:2 accountingresponse=\"on\" true 0\nf:3 accountingresponse=\"OFF\" false 0\n"},
		{"NUL ends a line", "loglevel 3\x00 { junk\n", "f:1 loglevel=\"3\" false 3\n"},
		{"a long line is two", "logkey " + long + "loglevel 4\n", fmt.Sprintf("f:1 logkey=%q false 0\nf:1 loglevel=\"4\" false 4\n", long)},
		{"octal", "loglevel 010\n", "f:1 loglevel=\"010\" false 8\n"},
		{"quoted brace", "realm '{' {\n}\n", "f:1 realm \"{\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := c.in
			if c.name == "nothing" {
				in = strings.ReplaceAll(in, "\"# quoted\n", "\"# quoted\"\n")
			}
			got, err := parse(memory{"f": in}, "f")
			require.NoError(t, err)
			assert.Equal(t, c.want, dump(got))
		})
	}
}

func TestParseRefused(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"unknown", "loglevel 1\nLogLevelx 3\n", "f:2: configuration error unknown option LogLevelx"},
		{"unknown in block", "client bad {\nsecretx s3cret\n}\n", "f:2: configuration error in block client bad, unknown option secretx"},
		{"comment behind a value", "loglevel 1 # one\n", "f:1: configuration error, syntax error in line starting with loglevel (a comment has a line of its own)"},
		{"no value", "client\n", "f:1: configuration error, syntax error in line starting with client"},
		{"empty value", "pidfile ''\n", "f:1: configuration error, option pidfile needs a non-empty value"},
		{"brace too many", "}\n", "f:1: configuration error, found } with no matching {"},
		{"brace without a blank", "client a{\n}\n", "f:1: configuration error wrong syntax for option client"},
		{"option as block", "loglevel a {\n}\n", "f:1: configuration error wrong syntax for option loglevel"},
		{"twice", "pidfile a\nPidFile b\n", "f:2: configuration error, option PidFile already set"},
		{"secret twice", "client a {\nsecret s3cret\nsecret s3cret\n}\n", "f:3: configuration error in block client a, option secret already set"},
		{"toggle", "logthreadid yes\n", "f:1: configuration error value for option logthreadid must be on or off, not yes"},
		{"number", "loglevel 3x\n", "f:1: configuration error value for option loglevel must be an integer, not 3x"},
		{"number with underscore", "loglevel 1_0\n", "f:1: configuration error value for option loglevel must be an integer, not 1_0"},
		{"quote", "pidfile \"a\n", "f:1: syntax error: a quote is not closed, or something stands right behind it"},
		{"behind a quote", "pidfile \"a\"b\n", "f:1: syntax error: a quote is not closed, or something stands right behind it"},
		{"no file", "include nothing/*.conf\n", "f:1: failed to include config file nothing/*.conf: no file matches"},
		{"bad glob", "include [\n", "f:1: failed to include config file [: no file matches"},
		{"itself", "include f\n", "f:1: failed to include config file f: f includes itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse(memory{"f": c.in}, "f")
			var r *migrate.Refusal
			require.ErrorAs(t, err, &r)
			assert.Equal(t, c.want, strings.ReplaceAll(err.Error(), "./f", "f"))
			assert.NotContains(t, err.Error(), "s3cret")
		})
	}
	_, err := parse(memory{}, "gone")
	require.EqualError(t, err, "gone:0: could not read config file: file does not exist")
}

func TestInclude(t *testing.T) {
	files := memory{
		"etc/main":     "include conf.d/*\nloglevel 5\nclient a {\ninclude c\n}\n",
		"etc/conf.d/a": "include ../more\nrealm x {\n",
		"etc/conf.d/b": "replymessage b\n}\n", // the block of a ends here
		"etc/more":     "logthreadid on\n",
		"etc/c":        "type udp\n",
	}
	got, err := parse(files, "etc/main")
	require.NoError(t, err)
	assert.Equal(t, `etc/more:1 logthreadid="on" true 0
etc/conf.d/a:2 realm "x"
etc/conf.d/b:1 replymessage="b" false 0
etc/main:2 loglevel="5" false 5
etc/main:3 client "a"
etc/c:1 type="udp" false 0
`, dump(got))
	files["etc/more"] = "include conf.d/b\n"
	_, err = parse(files, "etc/main")
	require.Error(t, err, "b is read twice, which is no cycle, but its brace closes nothing")
	files["etc/more"] = "include main\n"
	_, err = parse(files, "etc/main")
	require.ErrorContains(t, err, "includes itself")
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.conf", "a.conf", ".c.conf", "d.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	got, err := Disk{}.Glob(dir + "/*.conf")
	require.NoError(t, err)
	assert.Equal(t, []string{dir + "/a.conf", dir + "/b.conf"}, got)
	got, err = Disk{}.Glob(dir + "/[!a].conf")
	require.NoError(t, err)
	assert.Equal(t, []string{dir + "/b.conf"}, got)
	data, err := Disk{}.Read(dir)
	require.NoError(t, err)
	assert.Empty(t, data)
	_, err = Disk{}.Read(dir + "/none")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// Files that are each small enough may be too much together.
func TestOctetsOfAllFilesAreBounded(t *testing.T) {
	large := strings.Repeat("# a comment\n", maxFile/12)
	files := memory{"/etc/main.conf": "Include /etc/d/*\n"}
	for n := range maxOctets/len(large) + 1 {
		files[fmt.Sprintf("/etc/d/%d", n)] = large
	}
	_, err := Parse(files, "/etc/main.conf")
	assert.ErrorContains(t, err, "/etc/main.conf:1: failed to include config file /etc/d/*: more than 67108864 octets in all files")
}
