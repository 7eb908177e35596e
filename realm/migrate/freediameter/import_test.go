package freediameter_test

import (
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/migrate"
	"github.com/roamgate/roamgate/realm/migrate/freediameter"
)

const vectors = "../../../test/vectors/migrate/freediameter"

// memory is a directory of files.
type memory map[string]string

func (m memory) Read(name string) ([]byte, error) {
	text, there := m[name]
	if !there {
		return nil, fmt.Errorf("reading %s: %w", name, os.ErrNotExist)
	}
	return []byte(text), nil
}

func (m memory) Glob(pattern string) (found []string, err error) {
	for name := range m {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			found = append(found, name)
		}
	}
	return found, nil
}

// Each example imports as report.txt and routes.yaml say, and what is written loads.
func TestExamples(t *testing.T) {
	for _, name := range []string{"dra", "secured"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(vectors, name)
			c, err := freediameter.Parse(freediameter.Disk{}, filepath.Join(dir, "freeDiameter.conf"))
			require.NoError(t, err)
			out, report, err := freediameter.Import(c, []netip.Prefix{netip.MustParsePrefix("10.50.0.0/16")})
			require.NoError(t, err)
			var said strings.Builder
			require.NoError(t, report.WriteText(&said, true))
			abs, err := filepath.Abs(dir)
			require.NoError(t, err)
			plain := strings.NewReplacer(dir+"/", "", abs+"/", "/etc/freeDiameter/")
			golden(t, dir+"/report.txt", plain.Replace(said.String()))
			var written strings.Builder
			written.Write(out.Main.Bytes())
			for _, f := range out.Realms {
				fmt.Fprintf(&written, "---\n%s", f.Root.Bytes())
			}
			golden(t, dir+"/written.yaml", plain.Replace(written.String()))
			load(t, out)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(name, []byte(got), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// load reads what is written as a hub does, with certificates of its own.
func load(t *testing.T, out *migrate.Config) *realm.Set {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, out.Write(dir))
	if name := filepath.Join(dir, "realms", "05-tls.yaml"); fileExists(name) {
		ca, err := lab.NewCA("ca")
		require.NoError(t, err)
		root, err := ca.Write(dir, "ca")
		require.NoError(t, err)
		pair, err := ca.Issue(lab.Leaf{Hosts: []string{"dra.hub.test"}})
		require.NoError(t, err)
		cert, key, err := pair.Write(dir, "dra")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, []byte(fmt.Sprintf(
			"tls:\n  - {name: diameter, certificate: %s, key: %s, authorities: [%s]}\n", cert, key, root)), 0o600))
	}
	set, ps := file.Load(filepath.Join(dir, "realms"), os.LookupEnv)
	require.NotNil(t, set, "%v", ps)
	assert.Zero(t, ps.Count(file.Error), "%v", ps)
	return set
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// imported is what comes of a main file and rules.
func imported(t *testing.T, main, rules string) (*realm.Set, *migrate.Report) {
	t.Helper()
	c, err := freediameter.Parse(memory{"/f/main": main, "/f/rt": rules, "/f/acl": "guest.visited.test\n"}, "/f/main")
	require.NoError(t, err)
	out, report, err := freediameter.Import(c, nil)
	require.NoError(t, err)
	return load(t, out), report
}

const threePeers = `Identity = "dra.hub.test";
ConnectPeer = "a.home.test" { No_TLS; ConnectTo = "192.0.2.1"; };
ConnectPeer = "b.home.test" { No_TLS; ConnectTo = "192.0.2.2"; };
ConnectPeer = "c.other.test" { No_TLS; ConnectTo = "192.0.2.3"; };
LoadExtension = "rt_default.fdx" : "rt";
`

// The order of peers is that of freeDiameter's scores.
func TestScores(t *testing.T) {
	for _, tt := range []struct {
		name, rules string
		want        map[string]string // realm: members, with > between priorities
	}{
		{"nothing but realms", "", map[string]string{"home.test": "a b", "other.test": "c"}},
		{"one is preferred", `dr="home.test" : "b.home.test" += DEFAULT;`, map[string]string{"home.test": "b > a"}},
		{"one is shut out", `dr="home.test" : "a.home.test" += NO_DELIVERY;`, map[string]string{"home.test": "b"}},
		{"another stands behind", `dr="HOME.test" : "c.other.test" += DEFAULT;`, map[string]string{"home.test": "a b > c"}},
		{"by the realm of peers", `dr="new.test" : rlm="home.test" += REALM - 1;`, map[string]string{"new.test": "a b"}},
		{"by an expression of peers", `dr="new.test" : ["^[ac][.]"] += REALM;`, map[string]string{"new.test": "a c"}},
		{"scores add up", `dr="new.test" : "a.home.test" += 5; dr="new.test" : "a.home.test" += 6; dr="new.test" : "b.home.test" += 10;`,
			map[string]string{"new.test": "a > b"}},
		{"a score too low", `dr="new.test" : "a.home.test" += 1;`, map[string]string{"new.test": "3002"}},
		{"all others", `* : "c.other.test" += DEFAULT;`, map[string]string{"home.test": "a b > c", "default": "c", "other.test": "c"}},
		{"an expression of realms", `dr=["^x"] : "a.home.test" += REALM; * : "c.other.test" += DEFAULT;`,
			map[string]string{"realm~^x": "a > c", "default": "c"}},
		{"subscribers", `un=["^00101.*"] : "c.other.test" += FINALDEST;`, map[string]string{"imsi:00101": "c", "home.test": "a b"}},
		{"one subscriber", `un="001010000000001" : "c.other.test" += FINALDEST;`, map[string]string{"imsi:001010000000001": "c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, report := imported(t, threePeers, tt.rules)
			got := map[string]string{}
			for i := range set.Routes {
				r := &set.Routes[i]
				got[strings.SplitN(r.Label(), " ", 2)[0]] = members(set, r)
			}
			for name, want := range tt.want {
				assert.Equal(t, want, got[name], "%s: %v", name, got)
			}
			mapped, all := report.Count()
			assert.Equal(t, all, mapped, "%v", report.Directives)
		})
	}
}

func members(set *realm.Set, r *realm.Route) string {
	if r.Diameter.Pool < 0 {
		return fmt.Sprint(r.Diameter.Result)
	}
	var b strings.Builder
	for n, m := range set.Pools[r.Diameter.Pool].Members {
		if n > 0 {
			b.WriteString(map[bool]string{true: " > ", false: " "}[m.Priority > set.Pools[r.Diameter.Pool].Members[n-1].Priority])
		}
		b.WriteString(set.Peers[m.Home].Name)
	}
	return b.String()
}

// What the hub has no like for is left out with its line.
func TestLeft(t *testing.T) {
	for _, tt := range []struct{ name, rules, want string }{
		{"origin", `or="visited.test" : "a.home.test" += REALM;`, "when: {client: ...}"},
		{"session", `si="x" : "a.home.test" += REALM;`, "nothing more"},
		{"name", `un=["@"] : "a.home.test" += FINALDEST;`, "nothing more"},
		{"light subscribers", `un=["^00101"] : "a.home.test" += DEFAULT;`, "does not outweigh"},
		{"host", `dh="x.test" : "a.home.test" += FINALDEST;`, "goes the way of its realm"},
		{"target", `dr="x.test" : "z.test" += REALM;`, "no peer that is written"},
		{"realm", `dr="x_y" : "a.home.test" += REALM;`, "no name of a realm"},
		{"back reference", `dr=["(x)\1"] : "a.home.test" += REALM;`, "no like here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, report := imported(t, threePeers, "\n"+tt.rules)
			var text strings.Builder
			require.NoError(t, report.WriteText(&text, false))
			assert.Contains(t, text.String(), "/f/rt:2: unmapped: rt_default ")
			assert.Contains(t, text.String(), tt.want)
		})
	}
}

// Who is no peer of a hub is left out with the reason, and what is written loads.
func TestPeersLeft(t *testing.T) {
	const cred = "TLS_Cred = \"/f/dra.pem\", \"/f/dra.key\";\n"
	for _, tt := range []struct{ name, main, allowed, want string }{
		{"a guest of one label over TCP", "", "ALLOW_IPSEC localhost", "/f/acl:1: unmapped: acl_wl localhost: its identity is no name of a host"},
		{"a guest of one label over TLS", cred + "TLS_CA = \"/f/ca.pem\";\n", "localhost", "/f/acl:1: unmapped: acl_wl localhost: its identity is no name of a host"},
		{"a peer of one label", "ConnectPeer = \"local\" { No_TLS; };\n", "", "unmapped: ConnectPeer local: its identity is no name of a host"},
		{"no TLS_Cred", "", "guest.visited.test", "unmapped: acl_wl guest.visited.test: TLS is wanted, and there is no TLS_Cred or no TLS_CA"},
		{"no TLS_CA: nobody is believed", cred, "guest.visited.test", "unmapped: acl_wl guest.visited.test: TLS is wanted, and there is no TLS_Cred or no TLS_CA"},
		{"nor is a peer that is called", cred + "ConnectPeer = \"x.home.test\";\n", "", "unmapped: ConnectPeer x.home.test: TLS is wanted"},
		{"nothing is awaited then", cred + "SecPort = 5870;\n", "", "/f/main:3: unmapped: SecPort: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			main := "Identity = \"dra.hub.test\";\n" + tt.main + "LoadExtension = \"acl_wl.fdx\" : \"acl\";\n"
			c, err := freediameter.Parse(memory{"/f/main": main, "/f/acl": tt.allowed}, "/f/main")
			require.NoError(t, err)
			out, report, err := freediameter.Import(c, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
			require.NoError(t, err)
			var text strings.Builder
			require.NoError(t, report.WriteText(&text, false))
			assert.Contains(t, text.String(), tt.want)
			load(t, out)
		})
	}
}

// What freeDiameter refuses is refused with its place.
func TestRefused(t *testing.T) {
	const good = "Identity = \"dra.hub.test\";\n"
	for _, tt := range []struct{ name, main, rules, want string }{
		{"word", good + "Idendity = \"x\";", "", `/f/main:2: unrecognized text "Idendity"`},
		{"no semicolon", good + "Port = 3868\nNo_SCTP;", "", `/f/main:3: ; is expected, not "No_SCTP"`},
		{"no value", good + "Port;", "", `/f/main:2: = is expected`},
		{"text for a number", good + "Port = \"3868\";", "", `a number is expected`},
		{"number for text", "Identity = 5;", "", `text in quotes is expected`},
		{"port", good + "Port = 70000;", "", `Port: 70000 is not between 0 and 65535`},
		{"watchdog", good + "TwTimer = 5;", "", `TwTimer: 5 is not between 6`},
		{"quotes", "Identity = \"dra;\n", "", `/f/main:1: the quotes are not closed`},
		{"both off", good + "No_TCP; No_SCTP;", "", `/f/main:2: No_TCP conflicts with No_SCTP`},
		{"both off of a peer", good + "No_TCP;\nConnectPeer = \"a.b\" { No_SCTP; };", "", `/f/main:3: No_TCP conflicts`},
		{"peer twice", good + "ConnectPeer = \"a.b\";\nConnectPeer = \"A.B\";", "", `/f/main:3: ConnectPeer "A.B" stands twice`},
		{"parameter", good + "ConnectPeer = \"a.b\" { Identity = \"x\"; };", "", `a parameter of the peer or } is expected, not "Identity"`},
		{"peer's end", good + "ConnectPeer = \"a.b\" { No_TLS; ", "", `or } is expected, not "LoadExtension"`},
		{"key file", good + "TLS_Cred = \"a\";", "", `, is expected`},
		{"loop", good + "include \"main\"", "", `files include each other more than 5 deep`},
		{"byte", good + "\x00", "", `unrecognized text`},
		{"criterion", good, `dx="x" : "y" += REALM;`, `/f/rt:1: a criterion`},
		{"score", good, `dr="x" : "y" += MUCH;`, `a score is expected`},
		{"no score", good, `dr="x" : "y" = 5;`, `+ is expected`},
		{"expression", good, `dr=["("] : "y" += 5;`, `/f/rt:1: `},
		{"bracket", good, `dr=["x" : "y" += 5;`, `does not end with "]`},
		{"sum", good, `dr="x" : "y" += 5 -3;`, `; is expected`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			main := tt.main + "\nLoadExtension = \"rt_default.fdx\" : \"rt\";\n"
			_, err := freediameter.Parse(memory{"/f/main": main, "/f/rt": tt.rules}, "/f/main")
			var refusal *migrate.Refusal
			require.ErrorAs(t, err, &refusal)
			assert.ErrorContains(t, err, tt.want)
			assert.Positive(t, refusal.Pos.Col)
		})
	}
	c, err := freediameter.Parse(memory{"/f/main": "Realm = \"x.test\";"}, "/f/main")
	require.NoError(t, err)
	_, _, err = freediameter.Import(c, nil)
	assert.ErrorIs(t, err, freediameter.ErrNoIdentity)
}

// FuzzParse: no panic, every mistake has its line, and what is taken is written so that
// it can be read again.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"dra", "secured"} {
		var parts []string
		for _, part := range []string{"freeDiameter.conf", "rt_default.conf", "acl_wl.conf"} {
			b, err := os.ReadFile(filepath.Join(vectors, name, part))
			if !os.IsNotExist(err) {
				require.NoError(f, err)
			}
			parts = append(parts, string(b))
		}
		f.Add(parts[0], parts[1], parts[2])
	}
	f.Add(strings.ReplaceAll(threePeers, "rt_default.fdx\" : \"rt\"", "acl_wl.fdx\" : \"acl_wl.conf\""), "", "localhost ALLOW_IPSEC mme")
	for _, rules := range []string{`dr="home.test" : "b.home.test" += DEFAULT;`, `dr=["^x"] : rlm="home.test" += REALM - 1;`, `un="001010000000001" : ["."] += 100;`, `* : "c.other.test" += -3;`} {
		f.Add(strings.ReplaceAll(threePeers, `"rt"`, `"rt_default.conf"`), rules, "")
	}
	f.Fuzz(func(t *testing.T, main, rules, allowed string) {
		files := memory{"/f/main": main, "/f/rt_default.conf": rules, "/f/acl_wl.conf": allowed, "/f/peers.conf": rules}
		c, err := freediameter.Parse(files, "/f/main")
		if err != nil {
			require.Contains(t, err.Error(), "/f/")
			return
		}
		out, report, err := freediameter.Import(c, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		if err != nil {
			require.ErrorIs(t, err, freediameter.ErrNoIdentity)
			return
		}
		most := 2 + strings.Count(main, "\n") + strings.Count(rules, "\n") + strings.Count(allowed, "\n")
		for _, d := range report.Directives {
			require.Positive(t, d.Pos.Line)
			require.LessOrEqual(t, d.Pos.Line, most)
		}
		dir := t.TempDir()
		require.NoError(t, out.Write(dir))
		_, ps := file.Load(filepath.Join(dir, "realms"), os.LookupEnv)
		for _, p := range ps {
			if p.Severity == file.Error && filepath.Base(p.Pos.File) != "05-tls.yaml" {
				require.Fail(t, p.String())
			}
		}
	})
}
