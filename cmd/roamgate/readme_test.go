package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/test/peer"
)

const repository = "../.."

// block is one fenced block of README.md.
type block struct {
	line       int
	kind, args string
	text       string
}

func readme(t *testing.T) (text string, blocks []block) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, "README.md"))
	require.NoError(t, err)
	fence := regexp.MustCompile("(?ms)^```([a-z]+) ?([^\n]*)\n(.*?)^```$")
	for _, m := range fence.FindAllSubmatchIndex(b, -1) {
		blocks = append(blocks, block{
			line: strings.Count(string(b[:m[0]]), "\n") + 1,
			kind: string(b[m[2]:m[3]]), args: string(b[m[4]:m[5]]), text: string(b[m[6]:m[7]]),
		})
	}
	require.Equal(t, strings.Count("\n"+string(b), "\n```"), 2*len(blocks), "every block has a kind")
	return string(b), blocks
}

// guide is somebody who does what README.md says; its comment has the rules.
type guide struct {
	t     *testing.T
	dir   string
	path  string         // with roamgate in it
	admin netip.AddrPort // of the hub
	other netip.AddrPort // of the consumer
	swap  *strings.Replacer
	hub   *peer.Process
}

func TestReadme(t *testing.T) {
	peer.Need(t, "redis-server")
	_, blocks := readme(t)
	home, acctHome, store := peer.ListenHome(t, homeSecret), peer.ListenHome(t, homeSecret), peer.StartRedis(t, false)
	west, acctWest := peer.ListenHome(t, homeSecret), peer.ListenHome(t, homeSecret)
	hss, err := node.Start(t.Context(), node.Config{
		Identity: "hss.epc.mnc001.mcc262.3gppnetwork.org", Realm: "epc.mnc001.mcc262.3gppnetwork.org",
		Applications: []uint32{diameter.AppS6a}, Listen: netip.MustParseAddrPort("127.0.0.1:0"),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, hss.Close()) })
	g := &guide{t: t, dir: t.TempDir(), path: filepath.Dir(program(t)), admin: peer.Port(t), other: peer.Port(t)}
	port := func() string { return fmt.Sprint(peer.Port(t).Port()) }
	g.swap = strings.NewReplacer(
		"address: 198.51.100.10\n", fmt.Sprintf("auth: %q\n    acct: %q\n", home.Addr, acctHome.Addr),
		"address: 198.51.100.40\n", fmt.Sprintf("address: 127.0.0.1\n    port: %d\n", hss.Addr().Port()),
		"address: 198.51.100.20\n", fmt.Sprintf("auth: %q\n    acct: %q\n", west.Addr, acctWest.Addr),
		":1812", ":"+port(), ":1813", ":"+port(), ":2083", ":"+port(), ":3868", ":"+port(), ":9812", fmt.Sprintf(":%d", g.admin.Port()), ":9813", fmt.Sprintf(":%d", g.other.Port()),
		":6379", fmt.Sprintf(":%d", store.Addr.Port()), "redis-cli ", fmt.Sprintf("redis-cli -p %d ", store.Addr.Port()),
		"make ", "make -n VERSION=test -C "+g.root()+" ",
	)
	all := ""
	for _, b := range blocks {
		switch b.kind {
		case "yaml":
			g.file(b)
		case "sh":
			all += g.shell(b)
			// The home of this test has a secret of its own.
			if strings.Contains(b.text, "secrets/$peer") {
				write(t, g.dir, map[string]string{"secrets/acme": homeSecret + "\n"})
			}
		case "text":
		default:
			t.Errorf("README.md:%d: a block of kind %q is not run", b.line, b.kind)
		}
	}
	for _, want := range []string{
		"rule         acme.example, exact match", "policy       allow, profile staff", "Access-Accept in ", "Accounting-Response in ", `"session_id":"1"`,
		`"profile": "staff"`, `"countries"`, "hub            ok", "1 record: 60 s", "acme.example  2 ",
		"+ acme-trial", "acme-trial", "a tenth of acme to its new home", "the new home is slow", "3 of 3 equal", "directives mapped (100 %)", "radius/1.1",
	} {
		assert.True(t, strings.Contains(all, want), "the blocks print %q", want)
	}
	assert.FileExists(t, filepath.Join(g.dir, "records.csv"))
	assert.FileExists(t, filepath.Join(g.dir, "man", "roamgate-serve.8"))
	require.NotNil(t, g.hub)
	assert.False(t, g.hub.Ended())
}

func (g *guide) root() string {
	root, err := filepath.Abs(repository)
	require.NoError(g.t, err)
	return root
}

// file writes a yaml block.
func (g *guide) file(b block) {
	g.t.Helper()
	name, more, _ := strings.Cut(b.args, " ")
	require.NotEmpty(g.t, name, "README.md:%d: a yaml block names its file", b.line)
	text := g.swap.Replace(b.text)
	if more == "more" {
		old, err := os.ReadFile(filepath.Join(g.dir, name))
		require.NoError(g.t, err)
		text = string(old) + text
	}
	write(g.t, g.dir, map[string]string{name: text})
}

// shell runs a block; a last line that serves or consumes is left running.
func (g *guide) shell(b block) string {
	g.t.Helper()
	text, serve := strings.CutSuffix(b.text, "roamgate serve --config roamgate.yaml\n")
	text, consume := strings.CutSuffix(text, "roamgate records consume --config clearing.yaml\n")
	for _, word := range []string{"roamgate serve", "roamgate records consume"} {
		require.NotContains(g.t, text, word, "README.md:%d: what does not end is the last line of a block", b.line)
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", g.swap.Replace(text))
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "PATH="+g.path+":"+os.Getenv("PATH"), adminVariable+"="+g.admin.String())
	out, err := cmd.CombinedOutput()
	require.NoError(g.t, err, "README.md:%d: %s\n%s", b.line, text, out)
	if serve {
		g.serve()
	}
	if consume {
		g.consume()
	}
	return string(out)
}

func (g *guide) consume() {
	g.t.Helper()
	cmd := exec.Command(filepath.Join(g.path, "roamgate"), "records", "consume", "--config", "clearing.yaml")
	cmd.Dir = g.dir
	p := peer.Start(g.t, "roamgate", cmd)
	peer.Eventually(g.t, limit, "the record is cleared", func() bool {
		require.False(g.t, p.Ended(), p.Output())
		return strings.Contains(command("records", "list", "--admin", g.other.String()).out, "acme.example")
	})
}

func (g *guide) serve() {
	g.t.Helper()
	if g.hub != nil {
		g.hub.Stop()
	}
	cmd := exec.Command(filepath.Join(g.path, "roamgate"), "serve", "--config", "roamgate.yaml")
	cmd.Dir = g.dir
	g.hub = peer.Start(g.t, "roamgate", cmd)
	peer.Eventually(g.t, limit, "the hub works", func() bool {
		require.False(g.t, g.hub.Ended(), g.hub.Output())
		return command("status", "--admin", g.admin.String()).code == 0
	})
}

// TestReadmeNames holds what README.md names against the tree: links, tests,
// commands, flags, metrics, keys and variables in running text.
func TestReadmeNames(t *testing.T) {
	text, _ := readme(t)
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(text, -1) {
		_, err := os.Stat(filepath.Join(repository, m[1]))
		assert.NoError(t, err, "a link")
	}
	_, standards, _ := strings.Cut(text, "## Standards")
	tests := regexp.MustCompile("`([a-z/]+)\\.(Test\\w+)`").FindAllStringSubmatch(standards, -1)
	require.NotEmpty(t, tests)
	for _, m := range tests {
		found, err := filepath.Glob(filepath.Join(repository, m[1], "*_test.go"))
		require.NoError(t, err)
		assert.True(t, slices.ContainsFunc(found, func(f string) bool {
			b, err := os.ReadFile(f)
			return err == nil && strings.Contains(string(b), "\nfunc "+m[2]+"(t *testing.T)")
		}), "%s.%s does not exist", m[1], m[2])
	}
	metrics, err := os.ReadFile(configs + "/metrics.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("`(roamgate_\\w+)`").FindAllStringSubmatch(text, -1) {
		assert.Contains(t, string(metrics), "`"+m[1]+"`")
	}
	for _, m := range regexp.MustCompile("`(?:roamgate|roamgate\\s+)((?: [a-z]+)+)`").FindAllStringSubmatch(text, -1) {
		found, rest, err := root().Find(strings.Fields(m[1]))
		assert.NoError(t, err)
		assert.Empty(t, rest, "roamgate%s is not a command", m[1])
		assert.NotEqual(t, "roamgate", found.Name())
	}
	reference, err := os.ReadFile(configs + "/roamgate.yaml")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("`(routing|spool|queue|policy|privacy|redis|clearing|listen)\\.(\\w+)`").FindAllStringSubmatch(text, -1) {
		assert.Regexp(t, `(?ms)^`+m[1]+`:.*^  (# )?`+m[2]+`:`, string(reference), "%s.%s is no key", m[1], m[2])
	}
}
