package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/test/judge"
)

// TestMain is also roamgate itself: under that name the test program does what
// the product does, so that processes are tested without a second build and
// with the race detector.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "roamgate" {
		main()
	}
	// The race detector lets every process sleep a second before it ends.
	if os.Getenv("GORACE") == "" {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	goleak.VerifyTestMain(judge.Main{M: m})
}

// program gives the path of a program called roamgate.
func program(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := filepath.Join(t.TempDir(), "roamgate")
	require.NoError(t, os.Symlink(self, p))
	return p
}

// result is how a command line ended.
type result struct {
	code      int
	out, errs string
}

func command(args ...string) result {
	return commandUntil(context.Background(), args...)
}

func commandUntil(ctx context.Context, args ...string) result {
	var out, errs bytes.Buffer
	code := run(ctx, args, &out, &errs)
	return result{code, out.String(), errs.String()}
}

// ok runs a command that must succeed and gives what it printed.
func ok(t testing.TB, args ...string) string {
	t.Helper()
	r := command(args...)
	require.Zero(t, r.code, "roamgate %s\n%s%s", strings.Join(args, " "), r.out, r.errs)
	assert.Empty(t, r.errs)
	return r.out
}

// write fills dir; names may have folders.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

// every calls f for each command of the tree.
func every(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		every(sub, f)
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	every(root(), func(c *cobra.Command) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			assert.NotEmpty(t, c.Short)
			assert.NotContains(t, c.Short, "\n")
			assert.False(t, strings.HasSuffix(c.Short, "."), "the short text is no sentence")
			help := ok(t, append(strings.Fields(c.CommandPath())[1:], "--help")...)
			assert.Contains(t, help, "Usage:")
			for line := range strings.Lines(c.Long) {
				assert.LessOrEqual(t, len(line), 81, "fits a terminal: %s", line)
			}
			if c.HasSubCommands() {
				return
			}
			require.NotEmpty(t, c.Example)
			for example := range strings.Lines(c.Example) {
				assert.True(t, strings.HasPrefix(example, "  "+c.CommandPath()), "an example of this command: %s", example)
			}
		})
	})
}

// TestExamples holds the flags of every example against the commands. What
// they do is tested elsewhere.
func TestExamples(t *testing.T) {
	every(root(), func(c *cobra.Command) {
		for example := range strings.Lines(c.Example) {
			line, _, _ := strings.Cut(strings.TrimSpace(example), " >")
			found, args, err := root().Find(strings.Fields(line)[1:])
			require.NoError(t, err, example)
			require.NoError(t, found.ParseFlags(args), example)
			assert.NoError(t, found.ValidateArgs(found.Flags().Args()), example)
		}
	})
}

func TestAloneShowsWhatIsNext(t *testing.T) {
	out := ok(t)
	for _, next := range []string{"roamgate check", "roamgate serve", "roamgate explain", "roamgate status", "roamgate records list"} {
		assert.Contains(t, out, next)
	}
	assert.Contains(t, ok(t, "policy"), "import")
}

func TestUsageMistakes(t *testing.T) {
	for _, tc := range []struct {
		name string
		args string
		want string
	}{
		{"command", "srve", `there is no command "srve" (did you mean serve?); roamgate --help says more`},
		{"command, nothing near", "frobnicate", `there is no command "frobnicate"; roamgate --help says more`},
		{"subcommand", "policy imprt", `there is no command "imprt" (did you mean import?); roamgate policy --help says more`},
		{"third level", "policy set profil", `there is no command "profil" (did you mean profile?); roamgate policy set --help says more`},
		{"flag", "check --confg x", `there is no flag --confg (did you mean --config?); roamgate check --help says more`},
		{"flag, nothing near", "check --frobnicate", `there is no flag --frobnicate; roamgate check --help says more`},
		{"flag of a group", "policy --confg x get", `there is no flag --confg (did you mean --config?); roamgate policy get --help says more`},
		{"flag without its value", "check --config", `flag needs an argument: --config; roamgate check --help says more`},
		{"no number", "send status --tries x", `invalid argument "x" for "--tries" flag: strconv.ParseInt: parsing "x": invalid syntax; roamgate send status --help says more`},
		{"file as an argument", "serve roamgate.yaml", `"roamgate.yaml" is not understood: files are named with --config; roamgate serve --help says more`},
		{"argument of none", "version x", `"x" is not understood; roamgate version --help says more`},
		{"no argument", "explain", `user@realm is missing; roamgate explain --help says more`},
		{"too many", "explain a@b c@d", `one user@realm is wanted, not 2; roamgate explain --help says more`},
		{"too many files", "check a b", `one FILE is wanted, not 2; roamgate check --help says more`},
		{"no format", "records export --format xml", `--format "xml" is none of jsonl, csv, parquet; roamgate records export --help says more`},
		{"resume what", "records export --resume", `--resume needs --out; roamgate records export --help says more`},
		{"parquet where to", "records export --format parquet", `Parquet goes to a directory: --out names it; roamgate records export --help says more`},
		{"which letter", "records dead drop", `NUMBER or --all is wanted; roamgate records dead drop --help says more`},
		{"no profile", "policy set device imsi:262011234567890", `--profile NAME or --delete is needed; roamgate policy set device --help says more`},
		{"nothing to set", "policy set profile", `a FILE or --delete NAME is needed; roamgate policy set profile --help says more`},
		{"format", "check --format xml", `--format "xml" is not known: text, json, github or sarif`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := command(strings.Fields(tc.args)...)
			assert.Equal(t, exitUsage, r.code)
			assert.Equal(t, "roamgate: "+tc.want+"\n", r.errs)
			assert.Empty(t, r.out)
		})
	}
}

func TestNoIdentity(t *testing.T) {
	for _, args := range []string{"policy get device bob", "policy set device imsi:1 --profile meter"} {
		r := command(strings.Fields(args)...)
		assert.Equal(t, exitUsage, r.code)
		assert.Regexp(t, `^roamgate: identity is not imsi:.+ --help says more\n$`, r.errs)
	}
}

func TestCompletion(t *testing.T) {
	for shell, want := range map[string]string{"bash": "__start_roamgate", "zsh": "#compdef roamgate", "fish": "complete -c roamgate"} {
		t.Run(shell, func(t *testing.T) { assert.Contains(t, ok(t, "completion", shell), want) })
	}
	assert.Contains(t, command("__complete", "se").out, "serve\tCarry traffic")
	assert.Contains(t, command("__complete", "policy", "s").out, "set\t")
}

func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	ok(t, "man", dir)
	c := root()
	every(c, func(c *cobra.Command) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".8"
		page, err := os.ReadFile(filepath.Join(dir, name))
		if assert.NoError(t, err) {
			assert.Contains(t, string(page), ".SH NAME")
		}
	})
	page, err := os.ReadFile(filepath.Join(dir, "roamgate-check.8"))
	require.NoError(t, err)
	assert.NotContains(t, string(page), "Auto generated", "the same pages from the same program")

	write(t, dir, map[string]string{"file": ""})
	r := command("man", filepath.Join(dir, "file"))
	assert.Equal(t, exitProblem, r.code)
	assert.Contains(t, r.errs, "making the directory: ")
}

func TestVersion(t *testing.T) {
	assert.Regexp(t, `^roamgate \S+ go\S+ \S+/\S+\n$`, ok(t, "version"))
	defer func(was string) { version = was }(version)
	version = "v1.2.3"
	assert.Contains(t, ok(t, "version"), "roamgate v1.2.3 go")
}

func TestHubNotReached(t *testing.T) {
	for _, args := range []string{"status", "records list", "records explain x", "records search x", "records sums", "records dead", "records export", "explain a@b.example"} {
		t.Run(args, func(t *testing.T) {
			r := command(append(strings.Fields(args), "--admin", "127.0.0.1:1")...)
			assert.Equal(t, exitUnreachable, r.code)
			assert.Equal(t, "roamgate: the hub does not answer: dial tcp 127.0.0.1:1: connect: connection refused "+
				"(is it running, and is 127.0.0.1:1 its admin.listen? --admin names another)\n", r.errs)
		})
	}
	t.Run("from the environment", func(t *testing.T) {
		t.Setenv(adminVariable, "127.0.0.1:2")
		r := command("status")
		assert.Equal(t, exitUnreachable, r.code)
		assert.Contains(t, r.errs, "127.0.0.1:2")
	})
}
