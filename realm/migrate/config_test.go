package migrate_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/migrate"
)

func TestWritten(t *testing.T) {
	c := migrate.NewConfig()
	root := c.Realm("10-peers.yaml").Comment("From old.conf.\n\nKeep.")
	clients := root.List("clients").Comment("who may send")
	item := clients.Item().Comment("client block, old.conf:3\nname: forged")
	item.Set("name", "airport", "from old.conf:3")
	item.List("address").Value("2001:db8::/32", "from old.conf:4")
	item.Map("timers").Set("irt", 90*time.Second, "")
	item.Set("require_message_authenticator", false, "")
	root.List("homes")
	root.List("realms").Item().Set("rank", 7, "a\nb: c")
	assert.Equal(t, `# From old.conf.
#
# Keep.

# who may send
clients:
  # client block, old.conf:3
  # name: forged
  - name: airport # from old.conf:3
    address:
      - "2001:db8::/32" # from old.conf:4
    timers:
      irt: 90s
    require_message_authenticator: false

homes: []

realms:
  - rank: 7 # a?b: c
`, string(c.Realms[0].Root.Bytes()))
}

func TestDuration(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "90s", 10 * time.Minute: "10m", 2 * time.Hour: "2h", 1500 * time.Millisecond: "1500ms",
	} {
		n := new(migrate.Node)
		n.Set("v", in, "")
		assert.Equal(t, "v: "+want+"\n", string(n.Bytes()))
	}
}

// What is quoted must be read back as it was by the reader of our files.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", "a b", " a", "it's", "a\nb", "\x00", "\x7f", "\u0085", "\u2028", "null", "1.5", "# no", "a: b", "é", "\"\\", "~", "-", "\ufeff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range s {
			if c == 0xfffd || c == 0 {
				return // no YAML holds it
			}
		}
		var got struct {
			V string `yaml:"v"`
		}
		n := new(migrate.Node)
		n.Set("v", s, "comment")
		doc, ps := file.Parse("f.yaml", n.Bytes())
		require.Empty(t, ps, "%q", n.Bytes())
		require.Empty(t, doc.Decode(&got))
		assert.Equal(t, s, got.V)
	})
}

func TestSecret(t *testing.T) {
	c := migrate.NewConfig()
	path, err := c.Secret("airport", []byte("s3cret"))
	require.NoError(t, err)
	assert.Equal(t, "../secrets/airport", path)
	_, err = c.Secret("airport", []byte("other"))
	require.EqualError(t, err, "two secrets are called airport")
	_, err = c.Secret("empty", nil)
	require.EqualError(t, err, "the secret is empty")
	_, err = c.Secret("odd", []byte("a\r"))
	require.Error(t, err)

	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, c.Write(dir))
	info, err := os.Stat(filepath.Join(dir, "secrets", "airport"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(dir, "secrets"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	got, err := os.ReadFile(filepath.Join(dir, "secrets", "airport"))
	require.NoError(t, err)
	assert.Equal(t, "s3cret\n", string(got))
	require.ErrorContains(t, c.Write(dir), "not empty")
}

func TestNames(t *testing.T) {
	var n migrate.Names
	for _, c := range []struct{ in, want string }{
		{"airport", "airport"}, {"Airport", "Airport-2"}, {"airport", "airport-3"}, {"2001:db8::/32", "2001-db8---32"},
		{"[::1]", "1"}, {"", "unnamed"}, {"é", "unnamed-2"}, {"a/b c", "a-b-c"},
	} {
		assert.Equal(t, c.want, n.Make(c.in), c.in)
	}
}

func TestReport(t *testing.T) {
	at := func(line int) realm.Pos { return realm.Pos{File: "old.conf", Line: line} }
	r := migrate.Report{Source: "old.conf"}
	assert.Equal(t, "0 of 0 directives mapped (100 %)", r.Summary())
	r.Leave(at(9), "client a/ttl", "hops are not counted there")
	r.Map(at(2), "client a/host", "clients.address")
	r.Map(at(3), "client a/secret", "a file of its own")
	r.Note(at(1), "silence-to-reject", "answers\x1b[2J")
	assert.Equal(t, 66, r.Percent())
	want := func(all bool, text string) {
		t.Helper()
		var b writer
		require.NoError(t, r.WriteText(&b, all))
		assert.Equal(t, text, string(b))
	}
	want(false, "old.conf:9: unmapped: client a/ttl: hops are not counted there\nold.conf:1: note: silence-to-reject: answers?[2J\nold.conf: 2 of 3 directives mapped (66 %)\n")
	want(true, "old.conf:2: mapped: client a/host: clients.address\nold.conf:3: mapped: client a/secret: a file of its own\nold.conf:9: unmapped: client a/ttl: hops are not counted there\nold.conf:1: note: silence-to-reject: answers?[2J\nold.conf: 2 of 3 directives mapped (66 %)\n")
	var b writer
	require.NoError(t, r.WriteJSON(&b))
	assert.JSONEq(t, `{"source":"old.conf","mapped":2,"directives_total":3,"percent":66,"directives":[
		{"file":"old.conf","line":2,"directive":"client a/host","fate":"mapped","text":"clients.address"},
		{"file":"old.conf","line":3,"directive":"client a/secret","fate":"mapped","text":"a file of its own"},
		{"file":"old.conf","line":9,"directive":"client a/ttl","fate":"unmapped","text":"hops are not counted there"}],
		"notes":[{"file":"old.conf","line":1,"rule":"silence-to-reject","text":"answers\u001b[2J"}]}`, string(b))
}

type writer []byte

func (w *writer) Write(p []byte) (int, error) { *w = append(*w, p...); return len(p), nil }
