package file

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
)

const wholeFile = `clients:
  - name: airport
    address: [192.0.2.9/24, "2001:db8:1::/48", "::ffff:198.51.100.0/120"]
    secret_file: secrets/one
    limit_proxy_state: false
    operator: 1airport.example
    country: de
homes:
  - {name: z, address: 198.51.100.10, secret_file: secrets/two}
  - {name: a, auth: "198.51.100.11:11812", secret_env: GOOD_SECRET, status_server: true}
  - {name: b, address: "2001:db8::12", auth_port: none, acct_port: 1646, secret_file: secrets/two, disabled: true}
pools:
  - name: both
    homes: [z, {home: a, priority: 1, weight: 10}, {home: b, weight: 0}]
  - name: slow
    homes: [{home: z, priority: 2}]
    retransmit: client
    timers: {mrd: 10s}
realms:
  - realm: [Acme.Example, "*.IoT.example", "b\u00fccher.example"]
    auth: both
    accounting: slow
    policy: {enabled: true, unknown_device: allow, store_away: allow}
  - {realm: durable.example, auth: both, acknowledge: durable}
  - {realm: ended.example, reject: contract ended}
  - {realm: default, auth: slow}
  - {realm: none, reject: no realm}
`

func loadWhole(t *testing.T, text string) (*realm.Set, string) {
	t.Helper()
	dir := write(t, map[string]string{"a.yaml": text, "secrets/one": "hunter2-one-one-one\r\n", "secrets/two": "hunter2-two-two-two"})
	set, ps := Load(dir, testEnv)
	require.NoError(t, ps.Err())
	return set, filepath.Join(dir, "a.yaml")
}

func TestLoad(t *testing.T) {
	set, name := loadWhole(t, wholeFile)
	at := func(line, col int) realm.Pos { return realm.Pos{File: name, Line: line, Col: col} }
	assert.Equal(t, []realm.Client{{
		Name: "airport",
		Prefixes: []netip.Prefix{
			netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:1::/48"), netip.MustParsePrefix("198.51.100.0/24"),
		},
		Secret: realm.Secret("hunter2-one-one-one"), RequireMessageAuthenticator: true,
		Operator: "1airport.example", Country: "DE", Pos: at(2, 5),
	}}, set.Clients)
	two := realm.Secret("hunter2-two-two-two")
	assert.Equal(t, []realm.Home{
		{Name: "z", Auth: netip.MustParseAddrPort("198.51.100.10:1812"), Acct: netip.MustParseAddrPort("198.51.100.10:1813"),
			Secret: two, RequireMessageAuthenticator: true, Pos: at(9, 5)},
		{Name: "a", Auth: netip.MustParseAddrPort("198.51.100.11:11812"),
			Secret: realm.Secret("hunter2-of-the-environment"), RequireMessageAuthenticator: true, StatusServer: true, Pos: at(10, 5)},
		{Name: "b", Acct: netip.MustParseAddrPort("[2001:db8::12]:1646"),
			Secret: two, RequireMessageAuthenticator: true, Disabled: true, Pos: at(11, 5)},
	}, set.Homes)
	usual := realm.Timers{IRT: 2 * time.Second, MRT: 16 * time.Second, MRD: 30 * time.Second, MRC: 5}
	slow := usual
	slow.MRD = 10 * time.Second
	assert.Equal(t, []realm.Pool{
		{Name: "both", Members: []realm.Member{{Home: 1, Priority: 1, Weight: 10}, {Home: 0, Priority: 1, Weight: 1}}, Timers: usual, Breaker: true, Pos: at(13, 5)},
		{Name: "slow", Members: []realm.Member{{Home: 0, Priority: 2, Weight: 1}}, Retransmit: realm.RetransmitClient, Timers: slow, Breaker: true, Pos: at(15, 5)},
	}, set.Pools)
	policy := realm.Policy{Enabled: true, AllowUnknown: true, FailOpen: true}
	assert.Equal(t, []realm.Route{
		{Realm: "acme.example", Index: 0, Auth: 0, Acct: 1, Acknowledge: realm.AcknowledgeHome, Policy: policy, Pos: at(20, 13)},
		{Realm: "*.iot.example", Index: 1, Auth: 0, Acct: 1, Acknowledge: realm.AcknowledgeHome, Policy: policy, Pos: at(20, 27)},
		{Realm: "b\u00fccher.example", Index: 2, Auth: 0, Acct: 1, Acknowledge: realm.AcknowledgeHome, Policy: policy, Pos: at(20, 44)},
		{Realm: "durable.example", Index: 3, Auth: 0, Acct: -1, Acknowledge: realm.AcknowledgeDurable, Pos: at(24, 13)},
		{Realm: "ended.example", Index: 4, Auth: -1, Acct: -1, Reject: "contract ended", Acknowledge: realm.AcknowledgeDurable, Pos: at(25, 13)},
		{Realm: "default", Index: 5, Auth: 1, Acct: -1, Acknowledge: realm.AcknowledgeDurable, Pos: at(26, 13)},
		{Realm: "none", Index: 6, Auth: -1, Acct: -1, Reject: "no realm", Acknowledge: realm.AcknowledgeDurable, Pos: at(27, 13)},
	}, set.Routes)
	assert.Equal(t, "*.iot.example", set.Table.Lookup([]byte("m.iot.example")).Realm)
	assert.Equal(t, "none", set.Table.None().Realm)
}

func TestHash(t *testing.T) {
	a, _ := loadWhole(t, wholeFile)
	b, _ := loadWhole(t, wholeFile)
	c, _ := loadWhole(t, wholeFile+"# more\n")
	assert.Equal(t, a.Hash, b.Hash, "the place of the directory does not count")
	assert.NotEqual(t, a.Hash, c.Hash)
	assert.True(t, Diff(a, c).Empty())
}

func TestDiff(t *testing.T) {
	old, _ := loadWhole(t, wholeFile)
	for _, tc := range []struct {
		name, from, to string
		want           Change
	}{
		{name: "nothing", from: "country: de", to: "country: DE"},
		{"client", "country: de", "country: at", Change{Clients: Delta{Changed: []string{"airport"}}}},
		{"client renamed", "name: airport", "name: port", Change{Clients: Delta{Added: []string{"port"}, Removed: []string{"airport"}}}},
		{"address", "192.0.2.9/24", "192.0.3.9/24", Change{Clients: Delta{Changed: []string{"airport"}}}},
		{"secret", "secret_file: secrets/one", "secret_file: secrets/two", Change{Clients: Delta{Changed: []string{"airport"}}}},
		{"home", "address: 198.51.100.10", "address: 198.51.100.12", Change{Homes: Delta{Changed: []string{"z"}}}},
		{"weight", "weight: 10", "weight: 11", Change{Pools: Delta{Changed: []string{"both"}}}},
		{"timer", "mrd: 10s", "mrd: 11s", Change{Pools: Delta{Changed: []string{"slow"}}}},
		{"order of homes alone", "  - name: slow\n", "  - {name: y, homes: [z]}\n  - name: slow\n", Change{Pools: Delta{Added: []string{"y"}}}},
		{"route", "auth: slow", "auth: both", Change{Realms: Delta{Changed: []string{"default"}}}},
		{"reject", "contract ended", "over", Change{Realms: Delta{Changed: []string{"ended.example"}}}},
		{"policy", "store_away: allow", "store_away: reject", Change{Realms: Delta{Changed: []string{"*.iot.example", "acme.example", "b\u00fccher.example"}}}},
		{"realm", "durable.example", "later.example", Change{Realms: Delta{Added: []string{"later.example"}, Removed: []string{"durable.example"}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Contains(t, wholeFile, tc.from)
			set, _ := loadWhole(t, strings.Replace(wholeFile, tc.from, tc.to, 1))
			assert.Equal(t, tc.want, Diff(old, set))
			assert.Equal(t, tc.want.Realms.Added, Diff(set, old).Realms.Removed)
		})
	}
	all := Diff(nil, old)
	assert.Equal(t, "clients +1 -0 ~0, homes +3 -0 ~0, pools +2 -0 ~0, realms +7 -0 ~0", all.String())
	assert.Equal(t, "clients +0 -1 ~0, homes +0 -3 ~0, pools +0 -2 ~0, realms +0 -7 ~0", Diff(old, nil).String())
	assert.Equal(t, "*.iot.example, acme.example and 5 more", Names(all.Realms.Added, 2))
	assert.Equal(t, "airport", Names(all.Clients.Added, 2))
}

// TestReference loads the directory that operators copy.
func TestReference(t *testing.T) {
	const from = "../../configs/realms"
	dir := t.TempDir()
	found, err := filepath.Glob(from + "/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	for _, f := range found {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(f)), text, 0o600))
		for line := range strings.Lines(string(text)) {
			_, path, ok := strings.Cut(line, "secret_file: ")
			if !ok || strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			path = filepath.Join(dir, strings.TrimRight(strings.Fields(path)[0], ",}"))
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, []byte("reference secret of "+filepath.Base(path)), 0o600))
		}
	}
	put(t, dir, referenceFiles(t))
	set, ps := Load(dir, func(string) (string, bool) { return "reference of the environment", true })
	require.Empty(t, ps, "the reference has nothing to complain of")
	assert.NotEmpty(t, set.Clients)
	require.NotNil(t, set.Table.None())
	require.NotNil(t, set.Table.Default())
}

// reachable holds the names of a set against the packet path: each must be
// found under a User-Name that can occur.
func reachable(t *testing.T, set *realm.Set) {
	t.Helper()
	if set.Table.Len() != len(set.Routes) {
		t.Fatalf("%d routes, table of %d", len(set.Routes), set.Table.Len())
	}
	for i := range set.Routes {
		r := &set.Routes[i]
		if set.Table.Labelled(r.Label()) != r {
			t.Fatalf("%s is not the route of its label", r.Label())
		}
		if tier := r.Tier(); tier != realm.TierExact && tier != realm.TierSuffix {
			continue
		}
		name := r.Realm
		if suffix, ok := strings.CutPrefix(name, "*"); ok && len(name) < maxRealm {
			name = "a" + suffix
		}
		_, found, why := nai.Split([]byte("@" + name))
		if why != nai.OK {
			t.Fatalf("no User-Name can have realm %q: %s", name, why)
		}
		var buf [253]byte
		if got := set.Table.Lookup(nai.Fold(&buf, found)); got == nil || got.Realm != r.Realm && !strings.HasPrefix(r.Realm, "*") {
			t.Fatalf("realm %q finds %v", name, got)
		}
	}
}

// FuzzLoad puts octets into two files. Loading never panics, says at most what
// people can read, and gives a set exactly when there is no error.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(wholeFile), []byte(onlyDefault))
	inEnv := strings.NewReplacer("secret_file: secrets/one", "secret_env: GOOD_SECRET", "secret_file: secrets/two", "secret_env: GOOD_SECRET")
	f.Add([]byte(inEnv.Replace(wholeFile)), []byte("realms: []\n"))
	f.Add([]byte(inEnv.Replace(fullFile)), []byte("realms: []\n"))
	f.Add([]byte(inEnv.Replace(diameterFile)), []byte("realms: []\n"))
	for _, tc := range plainCases {
		f.Add([]byte(tc.text), []byte("pools:\n  - name: p\n    homes: [h]\n"))
	}
	cases, err := filepath.Glob("testdata/problems/*.txt")
	require.NoError(f, err)
	for _, path := range cases {
		raw, err := os.ReadFile(path)
		require.NoError(f, err)
		input, _, _ := strings.Cut(string(raw), "-- want --\n")
		_, files := sections(input)
		f.Add([]byte(files["a.yaml"]), []byte(files["b.yaml"]))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a)+len(b) > 1<<14 {
			return
		}
		files := []content{{name: "dir/a.yaml", data: a}, {name: "dir/b.yaml", data: b}}
		set, ps := sameCut(t, files)
		if (set == nil) != ps.Failed() {
			t.Fatalf("set %v with problems %v", set, ps)
		}
		if len(ps) > maxProblems+1 {
			t.Fatalf("%d problems", len(ps))
		}
		for _, p := range ps {
			if p.Text == "" || strings.ContainsAny(p.Text+p.Hint, "\x00\n\x1b") {
				t.Fatalf("bad message %q (%q)", p.Text, p.Hint)
			}
		}
		if set != nil {
			reachable(t, set)
		}
	})
}

// TestReferenceIsComplete holds the keys of the reference files against what
// the loader reads.
func TestReferenceIsComplete(t *testing.T) {
	found, err := filepath.Glob("../../configs/realms/*.yaml")
	require.NoError(t, err)
	var all strings.Builder
	for _, f := range found {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		all.Write(text)
	}
	var walk func(p *plan)
	seen := make(map[*plan]bool)
	walk = func(p *plan) {
		if p == nil || seen[p] {
			return
		}
		seen[p] = true
		walk(p.elem)
		for _, f := range p.fields {
			assert.Regexp(t, `(?m)^[\s-]*(# )?([{].*[ {])?`+f.name+`:`, all.String(), "the reference explains %s", f.name)
			walk(f.plan)
		}
	}
	walk(planOf(reflect.TypeFor[entries]()))
	walk(planOf(reflect.TypeFor[memberKeys]()))
	walk(planOf(reflect.TypeFor[peerKeys]()))
	walk(planOf(reflect.TypeFor[diameterKeys]()))
}
