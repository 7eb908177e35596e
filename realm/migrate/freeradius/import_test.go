package freeradius

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/realm/file"
	"github.com/roamgate/roamgate/realm/migrate"
)

// importVectors gives the text of each realistic example.
func importVectors(t testing.TB) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(vectors + "/import/*.txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(paths), 3)
	all := map[string]string{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		all[path] = string(raw)
	}
	return all
}

// written is a report and a configuration as text.
func written(t testing.TB, c *migrate.Config, r *migrate.Report, dir string) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, r.WriteText(&b, false))
	b.WriteString("== roamgate.yaml\n" + string(c.Main.Bytes()))
	for _, f := range c.Realms {
		b.WriteString("== " + f.Name + "\n" + string(f.Root.Bytes()))
	}
	return strings.ReplaceAll(b.String(), dir, "DIR")
}

// certificates makes the files that vectors name below certs.
func certificates(t testing.TB, dir string) {
	t.Helper()
	to := filepath.Join(dir, "certs")
	require.NoError(t, os.MkdirAll(to, 0o700))
	ca, err := lab.NewCA("ca")
	require.NoError(t, err)
	_, err = ca.Write(to, "ca")
	require.NoError(t, err)
	pair, err := ca.Issue(lab.Leaf{Hosts: []string{"hub.example"}})
	require.NoError(t, err)
	cert, key, err := pair.Write(to, "hub")
	require.NoError(t, err)
	var both []byte
	for _, path := range []string{cert, key} {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		both = append(both, b...)
	}
	require.NoError(t, os.WriteFile(filepath.Join(to, "both.pem"), both, 0o600))
}

// loads asks the reader of our files whether it takes what was written.
func loads(t testing.TB, c *migrate.Config) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "new")
	require.NoError(t, c.Write(to))
	_, ps := file.Load(filepath.Join(to, "realms"), os.LookupEnv)
	for _, p := range ps {
		assert.NotEqual(t, file.Error, p.Severity, "%v", p)
	}
}

// TestImport compares the report and the configuration of each example, and
// holds them to the share that must be mapped.
func TestImport(t *testing.T) {
	for path, raw := range importVectors(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			input, want, _ := strings.Cut(raw, "-- want --\n")
			dir := unpack(t, input)
			certificates(t, dir)
			c, r, err := Import(Source{Dir: dir, Env: testEnv})
			require.NoError(t, err)
			loads(t, c)
			assert.GreaterOrEqual(t, r.Percent(), 95)
			got := written(t, c, r, dir)
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(input+"-- want --\n"+got), 0o600))
				return
			}
			assert.Equal(t, want, got)
			assert.NotContains(t, got, "-secret-", "a secret is shown")
		})
	}
}

// TestRefused: what the original does not start with is refused, with its
// reason at its line.
func TestRefused(t *testing.T) {
	const home = "home_server h {\n\ttype = auth\n\tipaddr = 192.0.2.1\n\tsecret = s\n}\n"
	const pool = home + "home_server_pool p {\n\thome_server = h\n}\n"
	for name, c := range map[string]struct{ text, want string }{
		"no address":         {"home_server h {\n\tsecret = s\n}\n", ":1: no ipaddr, ipv4addr, ipv6addr, or virtual_server defined for home server"},
		"any address":        {"home_server h {\n\tipaddr = *\n\tsecret = s\n}\n", ":2: wildcard '*' addresses are not permitted for home servers"},
		"network":            {"home_server h {\n\tipaddr = 192.0.2.0/24\n\tsecret = s\n}\n", ":2: invalid mask length: a home server is one host"},
		"family":             {"home_server h {\n\tipv6addr = 192.0.2.1\n\tsecret = s\n}\n", `:2: failed parsing configuration item "ipv6addr": "192.0.2.1" is no address`},
		"no secret":          {"home_server h {\n\tipaddr = 192.0.2.1\n}\n", ":1: no shared secret defined for home server h"},
		"type":               {"home_server h {\n\tipaddr = 192.0.2.1\n\tsecret = s\n\ttype = both\n}\n", `:4: invalid type "both" for home server h`},
		"port":               {"home_server h {\n\tipaddr = 192.0.2.1\n\tsecret = s\n\tport = 70000\n}\n", ":4: invalid value for variable port, must be between 0-65535"},
		"proto":              {"home_server h {\n\tipaddr = 192.0.2.1\n\tsecret = s\n\tproto = sctp\n}\n", `:4: unknown proto "sctp"`},
		"tls over udp":       {"home_server h {\n\tipaddr = 192.0.2.1\n\tsecret = s\n\ttls {\n\t}\n}\n", ":1: TLS transport is not available for UDP sockets"},
		"status":             {"home_server h {\n\tipaddr = 192.0.2.1\n\tsecret = s\n\tstatus_check = ping\n}\n", `:1: invalid status_check "ping" for home server h`},
		"status request":     {"home_server h {\n\tipaddr = 192.0.2.1\n\tsecret = s\n\tstatus_check = request\n}\n", ":1: you must supply a 'username' to enable status_check=request"},
		"virtual":            {"home_server h {\n\tvirtual_server = x\n}\n", ":2: no such server x"},
		"server twice":       {home + "home_server H {\n\ttype = auth\n\tipaddr = 192.0.2.2\n\tsecret = s\n}\n", ":6: duplicate home server name H"},
		"address twice":      {home + "home_server i {\n\ttype = auth\n\tipaddr = 192.0.2.1\n\tsecret = s\n}\n", ":6: duplicate home server address 192.0.2.1:1812 (already in use by h)"},
		"pool of nothing":    {"home_server_pool p {\n}\nrealm a {\n\tauth_pool = p\n}\n", ":1: no home servers defined in pool p"},
		"pool server":        {"home_server_pool p {\n\thome_server = x\n}\nrealm a {\n\tauth_pool = p\n}\n", `:2: unknown home_server "x"`},
		"pool type":          {home + "home_server_pool p {\n\ttype = best\n\thome_server = h\n}\nrealm a {\n\tauth_pool = p\n}\n", `:7: unknown type "best"`},
		"fallback":           {home + "home_server_pool p {\n\tfallback = h\n\thome_server = h\n}\nrealm a {\n\tauth_pool = p\n}\n", ":7: fallback home_server h does NOT contain a virtual_server directive"},
		"no pool":            {"realm a {\n\tauth_pool = p\n}\n", `:1: failed to find home_server_pool "p"`},
		"kind":               {pool + "realm a {\n\tacct_pool = p\n}\n", `:7: unknown home_server "h"`},
		"pools":              {pool + "realm a {\n\tauth_pool = p\n}\nrealm a {\n\tauth_pool = p\n}\n", `:12: duplicate realm "a"`},
		"letters":            {pool + "realm a {\n\tauth_pool = p\n}\nrealm A {\n\tauth_pool = p\n}\n", `:12: realm "A" is there in other letters: the original ends`},
		"loose pool":         {"home_server h {\n\tipaddr = 192.0.2.1\n\tsecret = s\n}\nhome_server_pool p {\n\thome_server = h\n}\n", `:1: home_server h does not contain a "type" entry`},
		"old realm":          {"realm a {\n\tauthhost = 192.0.2.1\n}\n", ":1: no shared secret supplied for realm: a"},
		"old flag":           {"realm a {\n\tldflag = best\n}\n", `:2: unknown value "best" for ldflag`},
		"old port":           {"realm a {\n\tauthhost = 192.0.2.1:0\n\tsecret = s\n}\n", ":2: invalid host 192.0.2.1:0"},
		"client":             {"client c {\n\tipaddr = 192.0.2.1\n}\n", ":1: secret must be at least 1 character long"},
		"client address":     {"client \"a b\" {\n\tsecret = s\n}\n", `:1: failed parsing client name "a b" as ip address or hostname`},
		"client mask":        {"client c {\n\tipaddr = 192.0.2.0/24\n\tnetmask = 16\n\tsecret = s\n}\n", ":3: clients cannot use 'ipaddr/mask' and 'netmask' at the same time"},
		"client proto":       {"client c {\n\tipaddr = 192.0.2.1\n\tproto = x\n\tsecret = s\n}\n", `:3: unknown proto "x"`},
		"client twice":       {"client c {\n\tipaddr = 192.0.2.1\n\tsecret = s\n}\nclient d {\n\tipaddr = 192.0.2.1\n\tsecret = s\n}\n", ":5: failed to add duplicate client d"},
		"client boolean":     {"client c {\n\tipaddr = 192.0.2.1\n\trequire_message_authenticator = perhaps\n\tsecret = s\n}\n", `:3: invalid value "perhaps" for boolean variable require_message_authenticator`},
		"client coa":         {"client c {\n\tipaddr = 192.0.2.1\n\tcoa_server = x\n\tsecret = s\n}\n", `:3: no such home_server or home_server_pool "x"`},
		"dynamic client":     {"client c {\n\tipaddr = 192.0.2.1\n\tdynamic_clients = x\n}\n", ":1: dynamic clients MUST be a network, not a single IP address"},
		"realm module":       {"modules {\n\trealm x {\n\t\tformat = infix\n\t}\n}\n", `:3: invalid value "infix" for format`},
		"realm delimiter":    {"modules {\n\trealm x {\n\t\tdelimiter = ab\n\t}\n}\n", `:3: invalid value "ab" for delimiter`},
		"realm with no name": {"realm {\n}\n", ":1: realm section is missing the realm name"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := unpack(t, "-- radiusd.conf --\n"+c.text)
			_, _, err := Import(Source{Dir: dir})
			require.Error(t, err)
			assert.Equal(t, c.want, strings.TrimPrefix(err.Error(), filepath.Join(dir, "radiusd.conf")))
		})
	}
}

// TestDecide asks the model of one configuration about names, in the order of
// the original's rules.
func TestDecide(t *testing.T) {
	dir := unpack(t, `-- radiusd.conf --
home_server a {
	ipaddr = 192.0.2.1
	secret = s
}
home_server b {
	ipaddr = home.example
	type = auth
	port = 1645
	secret = s
}
home_server c {
	virtual_server = x
}
home_server_pool a {
	home_server = a
}
home_server_pool b {
	type = load-balance
	home_server = b
	home_server = a
}
home_server_pool c {
	home_server = c
}
realm exact.example {
	pool = a
}
realm "~example$" {
	auth_pool = b
	nostrip
}
realm "~^exact" {
	auth_pool = a
}
realm virtual.test {
	pool = c
}
realm nothing.test {
}
realm NULL {
	pool = a
}
client local {
	ipaddr = 192.0.2.128/25
	secret = s
}
client other {
	ipaddr = 192.0.2.129
	secret = s
	virtual_server = y
}
client lost {
	ipaddr = 192.0.2.130
	secret = s
	virtual_server = nowhere
}
modules {
	realm suffix {
	}
	realm percent {
		delimiter = "%"
		ignore_null = yes
	}
}
server x {
	listen {
		type = auth
	}
	authorize {
		suffix
		percent
	}
	preacct {
		suffix
	}
}
server y {
	authorize {
		filter_username
	}
}
`)
	tree, err := Read(Source{Dir: dir})
	require.NoError(t, err)
	m, err := Understand(tree)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		q    migrate.Request
		want migrate.Decision
	}{
		"exact, stripped":        {migrate.Request{Name: "u@EXACT.example"}, forwarded("u", true, "realm exact.example", "192.0.2.1:1812")},
		"accounting a port on":   {migrate.Request{Name: "u@exact.example", Accounting: true}, forwarded("u", true, "realm exact.example", "192.0.2.1:1813")},
		"the last @":             {migrate.Request{Name: "u@x@exact.example"}, forwarded("u@x", true, "realm exact.example", "192.0.2.1:1812")},
		"expression":             {migrate.Request{Name: "u@an.EXAMPLE"}, forwarded("u@an.EXAMPLE", false, "realm ~example$", "home.example:1645", "192.0.2.1:1812")},
		"second expression":      {migrate.Request{Name: "u@exact.test"}, forwarded("u", true, "realm ~^exact", "192.0.2.1:1812")},
		"no accounting pool":     {migrate.Request{Name: "u@an.example", Accounting: true}, migrate.Decision{Outcome: migrate.Local, Why: "realm ~example$"}},
		"no realm":               {migrate.Request{Name: "u"}, forwarded("u", true, "realm NULL", "192.0.2.1:1812")},
		"named like it":          {migrate.Request{Name: "u@null"}, forwarded("u", true, "realm NULL", "192.0.2.1:1812")},
		"the other delimiter":    {migrate.Request{Name: "u@x%exact.test"}, forwarded("u@x", true, "realm ~^exact", "192.0.2.1:1812")},
		"virtual":                {migrate.Request{Name: "u@virtual.test"}, migrate.Decision{Outcome: migrate.Local, Homes: []string{"virtual server x"}, Why: "realm virtual.test"}},
		"local":                  {migrate.Request{Name: "u@nothing.test"}, migrate.Decision{Outcome: migrate.Local, Why: "realm nothing.test"}},
		"unknown":                {migrate.Request{Name: "u@unknown.test"}, migrate.Decision{Outcome: migrate.Local, Why: "no realm"}},
		"empty realm":            {migrate.Request{Name: "u@"}, migrate.Decision{Outcome: migrate.Local, Why: "no realm"}},
		"client by address":      {migrate.Request{Name: "u@exact.example", Client: "192.0.2.200"}, forwarded("u", true, "realm exact.example", "192.0.2.1:1812")},
		"client of another host": {migrate.Request{Name: "u@exact.example", Client: "192.0.2.129"}, migrate.Decision{Outcome: migrate.Local, Why: "no realm"}},
		"no such host":           {migrate.Request{Name: "u@exact.example", Client: "lost"}, migrate.Decision{Outcome: migrate.Local, Why: "no realm"}},
		"filter":                 {migrate.Request{Name: "u@one", Client: "other"}, migrate.Decision{Outcome: migrate.Rejected, Why: "filter_username: no dot behind the @"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := m.Decide(c.q)
			require.NoError(t, err)
			c.want.Pos = got.Pos
			assert.Equal(t, c.want, got)
		})
	}
	_, err = m.Decide(migrate.Request{Name: "u", Client: "198.51.100.1"})
	require.EqualError(t, err, "the original has no client 198.51.100.1")
}

func forwarded(user string, ordered bool, why string, homes ...string) migrate.Decision {
	return migrate.Decision{Outcome: migrate.Forwarded, Homes: homes, Ordered: ordered, User: user, Why: why}
}

func TestFiltered(t *testing.T) {
	for name, want := range map[string]string{
		"a@b.example": "", "a": "", "": "", "a b@c.example": "whitespace", "a@b@c.example": "several @", "a..b@c.example": "several dots",
		"a@b": "no dot behind the @", "a@b.": "no dot behind the @", "a@.b": "no dot behind the @", "a.": "a dot at the end",
		"a@b.c.": "a dot at the end", "a@.b.c": "a dot behind the @", "@b.c": "",
	} {
		assert.Equal(t, want, filtered(name), name)
	}
}

// An expression of the original's library that ours does not have is no reason
// to give up, but nothing is said of what it would match.
func TestOddExpression(t *testing.T) {
	dir := unpack(t, `-- proxy.conf --
home_server a {
	ipaddr = 192.0.2.1
	secret = s
}
home_server_pool a {
	home_server = a
}
realm "~^(?!bad).*example$" {
	pool = a
}
realm good.test {
	pool = a
}
`)
	c, r, err := Import(Source{Dir: dir})
	require.NoError(t, err)
	loads(t, c)
	var b strings.Builder
	require.NoError(t, r.WriteText(&b, false))
	assert.Contains(t, b.String(), "proxy.conf:8: unmapped: realm ~^(?!bad).*example$: the expression is not one of RE2")
	tree, err := Read(Source{Dir: dir})
	require.NoError(t, err)
	m, err := Understand(tree)
	require.NoError(t, err)
	_, err = m.Decide(migrate.Request{Name: "u@a.example"})
	require.ErrorContains(t, err, "is not understood")
	d, err := m.Decide(migrate.Request{Name: "u@good.test"})
	require.NoError(t, err)
	assert.Equal(t, migrate.Forwarded, d.Outcome)
}

// TestImportOdd: what cannot be mapped is named, and what is written loads all
// the same.
func TestImportOdd(t *testing.T) {
	dir := unpack(t, `-- radiusd.conf --
proxy server {
	default_fallback = yes
	dynamic = yes
	colour = red
}
home_server tls {
	ipaddr = radius.home.example
	type = auth
	proto = tcp
	tls {
		ca_file = ${confdir}/certs/ca.pem
		private_key_password = secret-of-a-key
	}
}
home_server psk {
	ipaddr = 192.0.2.77
	type = auth
	proto = tcp
	tls {
		psk_identity = hub
		psk_hexphrase = 0123456789abcdef
	}
}
home_server named {
	ipaddr = radius.home.example
	type = auth
	secret = "named named named"
	src_ipaddr = 192.0.2.1
	status_check = request
	username = probe
	password = probe-probe
}
home_server here {
	virtual_server = inner
}
home_server nas-coa {
	type = coa
	ipaddr = 198.51.100.7
	secret = nas-secret-nas-secret
}
home_server stranger-coa {
	type = coa
	ipaddr = 203.0.113.7
	secret = other
}
home_server_pool tls {
	home_server = tls
}
home_server_pool named {
	type = client-balance
	home_server = named
	home_server = tls
	fallback = here
	virtual_server = inner
}
home_server_pool here {
	home_server = here
}
home_server_pool nas {
	home_server = nas-coa
}
home_server_pool stranger {
	home_server = stranger-coa
}
realm tls.example {
	auth_pool = tls
	nostrip
}
realm named.example {
	auth_pool = named
	acct_pool = here
	nostrip = yes
}
realm here.example {
	virtual_server = inner
}
realm visited.example {
	coa_pool = nas
}
realm strange.example {
	coa_pool = stranger
}
realm under_score.example {
	auth_pool = named
}
realm none {
	auth_pool = named
}
client nas {
	ipaddr = 198.51.100.7
	secret = nas-secret-nas-secret
	Operator-Name = visited.example
	add_cui = yes
}
client "odd name" {
	ipaddr = 198.51.100.8
	secret = 'quo"ted # secret'
	coa_server {
		port = 1700
	}
	colour = red
}
client dynamic {
	ipaddr = 10/8
	dynamic_clients = inner
}
client host.example {
	ipaddr = host.example
	secret = s
}
client radsec {
	ipaddr = *
	proto = tls
}
clients inside {
	client everybody {
		ipaddr = 198.51.100.0/24
		proto = tls
	}
	client told {
		ipaddr = 198.51.100.9
		proto = tcp
		secret = "not the one of RadSec"
		coa_server = nas-coa
		coa_server {
			port = 1700
		}
		limit {
			max_connections = 4
			lifetime = 60
			idle_timeout = 30
		}
	}
}
server inner {
}
server outer {
	listen {
		type = auth
		ipaddr = 192.0.2.1
		interface = eth0
	}
	listen {
		type = detail
		filename = x
	}
	listen {
		type = acct
		proto = tcp
		clients = inside
		tls {
			certificate_file = ${confdir}/certs/both.pem
			ca_file = ${confdir}/certs/ca.pem
			ca_path = ${confdir}/certs
			check_cert_cn = nas
			require_client_cert = no
			tls_max_version = 1.2
			cipher_list = HIGH
			colour = red
			ocsp {
				enable = yes
			}
			verify {
				client = /usr/bin/true
			}
		}
	}
	listen {
		type = auth
		proto = tcp
		tls {
			psk_query = x
		}
	}
	listen {
		type = auth
		tls {
		}
	}
	listen {
		type = auth
		proto = tcp
		tls {
		}
	}
	authorize {
		rewrite_all
		suffix
		if (&Realm == "x") {
			update control {
				&Proxy-To-Realm := "named.example"
			}
		}
	}
}
modules {
	realm suffix {
		format = suffix
		delimiter = "@"
		ignore_null = yes
	}
	realm unused {
		delimiter = "%"
	}
}
`)
	certificates(t, dir)
	c, r, err := Import(Source{Dir: dir})
	require.NoError(t, err)
	loads(t, c)
	text := written(t, c, r, dir)
	for _, want := range []string{
		"unmapped: proxy server/default_fallback: ", "unmapped: proxy server/dynamic: ", "unmapped: proxy server/colour: not known",
		"unmapped: home_server tls/tls/private_key_password: ", "unmapped: home_server psk: the hub knows peers by certificates, not by a shared key", "unmapped: home_server named/src_ipaddr: ", "unmapped: home_server named/username: ",
		"unmapped: home_server here: a virtual server answers by itself", "unmapped: home_server_pool named/fallback: ", "unmapped: home_server_pool named/virtual_server: ",
		"unmapped: home_server stranger-coa: no client with this address", "unmapped: realm strange.example/coa_pool: ", "unmapped: realm here.example/virtual_server: ",
		"unmapped: client nas/Operator-Name: this is no Operator-Name", "unmapped: client nas/add_cui: ", "unmapped: client odd name/colour: not known",
		"unmapped: client dynamic: clients are not added at run time", "unmapped: client host.example: a client is known by its address", "unmapped: client radsec/proto: no listener that takes it speaks tls",
		"unmapped: client everybody: any certificate of the authorities would be this client's", "unmapped: client told/secret: over TLS the secret is radsec",
		"unmapped: client told/coa_server: to a peer over TLS", "unmapped: coa_server/port: to a peer over TLS", "unmapped: client told/limit/idle_timeout: one time",
		"unmapped: client told/limit/lifetime: ", "unmapped: listen/tls/ca_path: ", "unmapped: listen/tls/check_cert_cn: a common name proves nothing",
		"unmapped: listen/tls/require_client_cert: ", "unmapped: listen/tls/tls_max_version: ", "unmapped: listen/tls/cipher_list: ", "unmapped: listen/tls/colour: not known",
		"unmapped: listen/tls/ocsp/enable: the hub asks no OCSP server", "unmapped: listen/tls/verify/client: no command judges", "unmapped: listen/tls/psk_query",
		"unmapped: listen: TLS transport is not available for UDP", "unmapped: listen: a listener over TLS shows a certificate",
		"  radsec:\n    - \"[::]:2083\"", "    key: DIR/certs/both.pem # of the same file", "    tls: inside # of its listener\n    certificate:\n      addresses:\n        - 198.51.100.9",
		"unmapped: listen/interface: ", "unmapped: listen/filename: records wait in the spool",
		`note: policy: server outer/authorize: if (&Realm == "x") is not carried out`, "note: policy: server outer/authorize: rewrite_all is not carried out",
		"note: malformed-realm: realm under_score.example is not written",
		"  - realm_regexp: \"^none$\"",
		"    dynauth: \"198.51.100.7:3799\" # from DIR/radiusd.conf:36\n    operators:\n      - 1visited.example # from DIR/radiusd.conf:77\n",
		"    dynauth: \"198.51.100.8:1700\"", "    host: radius.home.example",
	} {
		assert.Contains(t, text, want)
	}
	for _, secret := range []string{"named named", "quo\"ted", "nas-secret", "probe-probe", "secret-of-a-key", "0123456789abcdef"} {
		assert.NotContains(t, text, secret)
	}
	assert.NotContains(t, text, "realm: none\n")
}
