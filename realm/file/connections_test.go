package file

import (
	"crypto/tls"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/pki/issue"
	"github.com/roamgate/roamgate/realm"
)

const connected = `tls:
  - {name: fed, certificate: hub.pem, key: hub.key, authorities: [ca.pem, other-ca.pem], policies: [1.2.3], crls: ca.crl, min_version: "1.3", versions: radius/1.0}
  - {name: lab, certificate: hub.pem, key_env: HUB_KEY, authorities: other-ca.pem, revocation: off}
groups:
  - {name: line, protected: true}
clients:
  - {name: udp, address: 192.0.2.1, secret_file: s, group: line}
  - {name: tcp, transport: tcp, address: 192.0.2.1, secret_file: s, dynauth: connection}
  - {name: tls, tls: fed, address: 192.0.2.1, group: line, certificate: {realms: [A.example, "*.b.example"], hosts: Hub.A.example., addresses: "::ffff:192.0.2.1", operators: "OP:US"}, dynauth: connection}
  - {name: dtls, transport: dtls, tls: fed, certificate: {anyone: true}}
homes:
  - {name: named, tls: lab, host: Radsec.A.example., dynauth: connection}
  - {name: placed, transport: tls, tls: fed, address: [198.51.100.1, "2001:db8::1"], port: 2084, connections: 3}
  - {name: auth-only, transport: dtls, tls: fed, address: 198.51.100.2, acct_port: none, certificate: {realms: a.example}}
  - {name: plain, transport: tcp, address: 198.51.100.3, secret_file: s2, protected: true}
  - {name: one-port, transport: tcp, address: 198.51.100.4, port: 1812, secret_file: s3}
  - {name: pair, tls: fed, auth: "198.51.100.5:2083", acct: "198.51.100.5:2083"}
pools:
  - {name: p, homes: [named, placed, plain, one-port, pair]}
  - {name: q, homes: [auth-only]}
discoveries:
  - {name: open, profile: openroaming, tls: fed, certificate: host, private: 10.0.0.0/8, ports: [2083, 2084], peers: 8, rate: 2, idle: 1m, timers: {mrd: 9s}}
  - {name: edu, profile: eduroam, tls: lab, srv: true, breaker: false, realms: "*.edu.example"}
  - {name: own, auth: [X-Own:radius.tls, "aaa+auth:radius.tls.tcp"], accounting: [], tls: lab}
realms:
  - {realm: a.example, auth: q, accounting: p}
  - {realm: b.example, discover: open}
  - {realm: c.edu.example, discover: edu}
  - {realm: d.example, discover: own, accounting: p}
  - {realm: default, discover: open, auth: q, acknowledge: durable}
`

func connectedFiles(t testing.TB) map[string]string {
	files := problemFiles(t)
	files["a.yaml"] = connected
	for _, s := range []string{"s", "s2", "s3"} {
		files[s] = "hunter2-hunter2-hunter2-" + s
	}
	return files
}

func connectedSet(t *testing.T, files map[string]string) *realm.Set {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, files)
	set, ps := Load(dir, func(name string) (string, bool) { return files["hub.key"], name == "HUB_KEY" })
	require.NoError(t, ps.Err())
	return set
}

func TestLoadConnections(t *testing.T) {
	set := connectedSet(t, connectedFiles(t))
	fed, lab := set.Securities[0], set.Securities[1]
	require.NotNil(t, fed.Credential)
	assert.Equal(t, []string{"hub.example"}, fed.Credential.TLS.Leaf.DNSNames)
	assert.Equal(t, fed.Credential.Hash, lab.Credential.Hash, "the key of the environment")
	assert.Len(t, fed.Trust.Authorities, 2)
	assert.Equal(t, []string{"1.2.3"}, fed.Trust.Policies)
	assert.EqualValues(t, tls.VersionTLS13, fed.MinVersion)
	assert.EqualValues(t, tls.VersionTLS12, lab.MinVersion)

	addr := netip.MustParseAddr("192.0.2.1")
	type client struct {
		by     realm.Transport
		secret string
		sec    *realm.Security
		holder *realm.Holder
		signed bool // must its requests be
		safe   bool // is its path said to be
		back   bool // CoA by its connection
	}
	for i, want := range []client{
		{realm.UDP, "hunter2-hunter2-hunter2-s", nil, nil, true, true, false},
		{realm.TCP, "hunter2-hunter2-hunter2-s", nil, nil, true, false, true},
		{realm.TLS, "radsec", fed, &realm.Holder{Realms: []string{"a.example", "*.b.example"}, Hosts: []string{"hub.a.example"}, Addrs: []netip.Addr{addr}, Operator: []string{"OP:US"}}, false, false, true},
		{realm.DTLS, "radius/dtls", fed, &realm.Holder{Anyone: true}, false, false, false},
	} {
		c := &set.Clients[i]
		if want.holder != nil {
			assert.NotZero(t, c.Holder.Pos.Line, c.Name)
			want.holder.Pos = c.Holder.Pos
		}
		assert.Equal(t, want, client{c.Transport, string(c.Secret), c.Security, c.Holder, c.RequireMessageAuthenticator, c.Protected, c.ReverseCoA}, c.Name)
	}
	assert.Empty(t, set.Clients[3].Prefixes, "from anywhere")

	type home struct {
		auth, acct string
		by         realm.Transport
		secret     string
		hosts      []string
		addrs      []netip.Addr
		realms     []string
	}
	first, second := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::1")
	for i, want := range []home{
		{":2083", ":2083", realm.TLS, "radsec", []string{"radsec.a.example"}, nil, nil},
		{"198.51.100.1:2084", "198.51.100.1:2084", realm.TLS, "radsec", nil, []netip.Addr{first, second}, nil},
		{"198.51.100.2:2083", "", realm.DTLS, "radius/dtls", nil, nil, []string{"a.example"}},
		{"198.51.100.3:1812", "198.51.100.3:1813", realm.TCP, "hunter2-hunter2-hunter2-s2", nil, nil, nil},
		{"198.51.100.4:1812", "198.51.100.4:1812", realm.TCP, "hunter2-hunter2-hunter2-s3", nil, nil, nil},
		{"198.51.100.5:2083", "198.51.100.5:2083", realm.TLS, "radsec", nil, []netip.Addr{netip.MustParseAddr("198.51.100.5")}, nil},
	} {
		h := &set.Homes[i]
		got := home{addrText(h.Auth), addrText(h.Acct), h.Transport, string(h.Secret), nil, nil, nil}
		if h.Host != "" {
			got.auth, got.acct = ":"+numberText(int(h.AuthPort)), ":"+numberText(int(h.AcctPort))
		}
		if h.Holder != nil {
			got.hosts, got.addrs, got.realms = h.Holder.Hosts, h.Holder.Addrs, h.Holder.Realms
		}
		assert.Equal(t, want, got, h.Name)
		assert.Equal(t, !h.Transport.Secured(), h.RequireMessageAuthenticator, h.Name)
		assert.Equal(t, h.Transport.Secured(), h.Security != nil, h.Name)
	}
	assert.Same(t, lab, set.Homes[0].Security)
	assert.True(t, set.Homes[0].ReverseCoA && !set.Homes[1].ReverseCoA)
	assert.Equal(t, 3, set.Homes[1].Connections)
	assert.Equal(t, []netip.Addr{first, second}, set.Homes[1].Found)
	assert.True(t, set.Homes[3].Protected)

	usual := realm.Timers{IRT: 2 * time.Second, MRT: 16 * time.Second, MRD: 30 * time.Second, MRC: 5}
	short := usual
	short.MRD = 9 * time.Second
	open, edu, own := set.Discoveries[0], set.Discoveries[1], set.Discoveries[2]
	assert.Equal(t, &realm.Discovery{
		Name: "open", Auth: []string{"aaa+auth:radius.tls.tcp"}, Acct: []string{"aaa+acct:radius.tls.tcp"}, Security: fed, Hosts: true, Public: true,
		Private: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Ports: []uint16{2083, 2084}, Timers: short, Breaker: true,
		Peers: 8, Rate: 2, Idle: time.Minute, Pos: open.Pos,
	}, open)
	realms := edu.Realms
	assert.Equal(t, []string{"*.edu.example"}, realms.List())
	assert.Equal(t, &realm.Discovery{
		Name: "edu", Auth: []string{"x-eduroam:radius.tls"}, SRV: true, Security: lab, Realms: realms, Timers: usual,
		Peers: 256, Rate: 10, Idle: 10 * time.Minute, Pos: edu.Pos,
	}, edu)
	assert.Equal(t, []string{"x-own:radius.tls", "aaa+auth:radius.tls.tcp"}, own.Auth)
	assert.Empty(t, own.Acct)

	type route struct {
		by         *realm.Discovery
		auth, acct int32
		ack        realm.Acknowledge
	}
	for i, want := range []route{
		{nil, 1, 0, realm.AcknowledgeHome},
		{open, -1, -1, realm.AcknowledgeHome},
		{edu, -1, -1, realm.AcknowledgeDurable},
		{own, -1, 0, realm.AcknowledgeHome},
		{open, 1, -1, realm.AcknowledgeDurable},
	} {
		r := &set.Routes[i]
		assert.Equal(t, want, route{r.Discover, r.Auth, r.Acct, r.Acknowledge}, r.Realm)
	}
}

// TestC67Versions (C67): both versions of RADIUS are offered by ALPN unless the files
// say otherwise.
func TestC67Versions(t *testing.T) {
	set := connectedSet(t, connectedFiles(t))
	assert.Equal(t, []string{"radius/1.0"}, set.Securities[0].Versions)
	assert.Equal(t, []string{"radius/1.1", "radius/1.0"}, set.Securities[1].Versions)
}

// TestDetailsOfConnections changes one thing after the other.
func TestDetailsOfConnections(t *testing.T) {
	files := connectedFiles(t)
	old := connectedSet(t, files)
	for _, tc := range []struct{ name, from, to, want string }{
		{"version of TLS", `min_version: "1.3"`, `min_version: "1.2"`, "tls fed: min_version: 1.3 -> 1.2"},
		{"versions of RADIUS", "versions: radius/1.0", "versions: [radius/1.1, radius/1.0]", "tls fed: versions: radius/1.0 -> radius/1.1, radius/1.0"},
		{"transport", "transport: dtls, tls: fed, certificate", "transport: tls, tls: fed, certificate", "client dtls: secret: one -> another\nclient dtls: transport: dtls -> tls"},
		{"trust base", "tls: fed, address: 192.0.2.1", "tls: lab, address: 192.0.2.1", "client tls: tls: fed -> lab"},
		{"holder", "operators: \"OP:US\"", "operators: \"OP:DE\"", "client tls: certificate: realms a.example, *.b.example; hosts hub.a.example; addresses 192.0.2.1; operators OP:US -> realms a.example, *.b.example; hosts hub.a.example; addresses 192.0.2.1; operators OP:DE"},
		{"reverse path", ", dynauth: connection}\n  - {name: placed", "}\n  - {name: placed", "home named: dynauth: connection -> none"},
		{"protected", "protected: true}\nclients", "protected: false}\nclients", "client udp: protected: true -> false"},
		{"connections", "connections: 3", "connections: 4", "home placed: connections: 3 -> 4"},
		{"name", "host: Radsec", "host: other", "home named: host: radsec.a.example. -> other.a.example.\nhome named: certificate: hosts radsec.a.example -> hosts other.a.example"},
		{"tags", "profile: eduroam", "profile: openroaming", "discovery edu: auth: x-eduroam:radius.tls -> aaa+auth:radius.tls.tcp\ndiscovery edu: accounting: none -> aaa+acct:radius.tls.tcp\ndiscovery edu: public_3gpp: false -> true\nrealm c.edu.example: acknowledge: durable -> home"},
		{"ports", "ports: [2083, 2084]", "ports: 2083", "discovery open: ports: 2083, 2084 -> 2083"},
		{"patience", "mrd: 9s", "mrd: 8s", "discovery open: timers: irt 2s, mrt 16s, mrd 9s, mrc 5 -> irt 2s, mrt 16s, mrd 8s, mrc 5"},
		{"route", "realm: b.example, discover: open", "realm: b.example, discover: own", "realm b.example: discover: open -> own\nrealm b.example: acknowledge: home -> durable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Contains(t, connected, tc.from)
			files["a.yaml"] = strings.Replace(connected, tc.from, tc.to, 1)
			set := connectedSet(t, files)
			var lines []string
			for _, d := range Details(old, set, 100) {
				lines = append(lines, d.String())
			}
			assert.Equal(t, tc.want, strings.Join(lines, "\n"))
			assert.False(t, Diff(old, set).Empty())
		})
	}
}

// TestWatcherRotates: a certificate, a list or an authority that is renewed is
// a new version although no routing file has changed; a certificate without its
// key is not.
func TestWatcherRotates(t *testing.T) {
	bubble(t, func(w *watched) {
		ca := newLab(t, "Lab Root")
		names := lasting(issue.Names{Hosts: []string{"hub.example"}})
		chain, key := ca.pair(names)
		put(t, w.dir, map[string]string{"hub.pem": chain, "hub.key": key, "ca.pem": ca.root(), "ca.crl": ca.list(1)})
		w.put("b.yaml", "tls:\n  - {name: t, certificate: hub.pem, key: hub.key, authorities: ca.pem, crls: ca.crl}\n"+
			"clients:\n  - {name: t, tls: t, certificate: {hosts: a.example}}\n")
		w.after(time.Minute)
		require.Len(t, w.heard().sets, 1, w.heard().reports)
		hash := w.heard().sets[0].Hash

		fresh, freshKey := ca.pair(names)
		w.put("hub.pem", fresh)
		w.after(time.Minute)
		assert.Equal(t, Failed, w.Status().Result, "half of the rotation")
		assert.Len(t, w.heard().sets, 1)
		w.put("hub.key", freshKey)
		w.after(time.Minute)
		require.Len(t, w.heard().sets, 2)
		was, is := w.heard().sets[0].Securities[0], w.heard().sets[1].Securities[0]
		assert.NotEqual(t, was.Credential.Hash, is.Credential.Hash)
		assert.Equal(t, was.Trust.Hash, is.Trust.Hash)
		assert.Equal(t, Delta{Changed: []string{"t"}}, w.heard().changes[1].TLS)
		assert.Equal(t, hash, w.heard().sets[1].Hash, "the hash is that of the routing files")

		w.put("ca.crl", ca.list(2))
		w.after(time.Minute)
		require.Len(t, w.heard().sets, 3)
		assert.NotEqual(t, is.Trust.Hash, w.heard().sets[2].Securities[0].Trust.Hash)
		w.put("ca.pem", ca.root()+newLab(t, "Next Root").root())
		w.after(time.Minute)
		require.Len(t, w.heard().sets, 4)
		assert.Len(t, w.heard().sets[3].Securities[0].Trust.Authorities, 2)
		w.after(time.Hour)
		assert.Len(t, w.heard().sets, 4, "nothing new, nothing applied")
	})
}

// TestListsEndAnywhere: a list in DER may end in the octets of a line's end.
func TestListsEndAnywhere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "list")
	put(t, filepath.Dir(name), map[string]string{"list": "der\r\n"})
	assert.Equal(t, "der\r\n", string(readWhole(name, maxMaterial).secret))
	assert.Equal(t, "der", string(readSecret(name).secret))
}

// TestC53Secrets (C53): secrets of 32 octets and more are good, short ones are warned
// of, and none is refused.
func TestC53Secrets(t *testing.T) {
	for n, want := range map[int]string{
		0: "error: the secret file is empty", 1: "has at most 12 octets", 12: "has at most 12 octets", 13: "fewer than 16 octets", 15: "fewer than 16 octets",
		16: "", 32: "", 64: "", 253: "", 4096: "", 4097: "error: reading the secret file: it is too large",
	} {
		dir := write(t, map[string]string{
			"a.yaml": "clients:\n  - {name: c, address: 192.0.2.1, secret_file: s}\nrealms:\n  - {realm: default, reject: no}\n",
			"s":      strings.Repeat("x", n),
		})
		set, ps := Load(dir, noEnv)
		assert.Contains(t, ps.Error(), want, "%d octets", n)
		if want == "" {
			assert.Empty(t, ps, "%d octets", n)
			assert.Len(t, set.Clients[0].Secret, n)
		}
	}
}

// TestC55Protected (C55, C56): who is reached over the internet without protection is
// said, unless it is declared to be protected. It starts nevertheless: hubs
// that are updated go on.
func TestC55Protected(t *testing.T) {
	for prefix, want := range map[string]bool{
		"8.8.8.8/32": true, "0.0.0.0/0": true, "::/0": true, "2600::/32": true, "10.0.0.0/7": true, "172.0.0.0/8": true,
		"10.1.2.3/32": false, "172.31.0.0/16": false, "192.168.0.0/16": false, "fd12::/16": false, "127.0.0.1/32": false, "::1/128": false,
		"169.254.1.1/32": false, "fe80::/64": false, "100.64.0.0/10": false, "192.0.2.0/24": false, "2001:db8::/32": false,
	} {
		assert.Equal(t, want, public(netip.MustParsePrefix(prefix)), prefix)
	}
	const client = "clients:\n  - {name: c, address: 8.8.8.8, secret_file: s%s}\nrealms:\n  - {realm: default, reject: no}\n"
	for more, warned := range map[string]int{"": 1, ", transport: tcp": 1, ", protected: true": 0, ", transport: tcp, protected: true": 0} {
		set, ps := Load(write(t, map[string]string{"a.yaml": strings.Replace(client, "%s", more, 1), "s": "hunter2-hunter2-hunter2"}), noEnv)
		require.NotNil(t, set)
		assert.Equal(t, warned, ps.Count(Warning), more)
	}
}
