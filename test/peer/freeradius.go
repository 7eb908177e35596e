package peer

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/require"
)

// FreeRADIUS is a running FreeRADIUS server, home or visited.
type FreeRADIUS struct {
	*Process
	Server                // for its clients, all on loopback
	CoA    netip.AddrPort // where a NAS takes requests
	TLS    netip.AddrPort // where a home takes both kinds over TLS
	Dir    string         // its raddb

	t testing.TB
}

// User is one subscriber of a home.
type User struct {
	Name     string // the whole NAI
	Password string
	Reply    []string // attributes of the Access-Accept, such as `Session-Timeout := 600`
}

// HomeConfig describes a FreeRADIUS that authenticates its own users: PAP,
// CHAP, and with Certificates also PEAP-MSCHAPv2, TTLS-PAP and EAP-TLS.
type HomeConfig struct {
	Name   string
	Secret string
	Users  []User
	// Certificates switch EAP on.
	Certificates *Certificates
	// MessageAuthenticator puts one into every reply to an Access-Request and
	// to Status-Server. FreeRADIUS 3.2.1 does so by itself only beside
	// EAP-Message.
	MessageAuthenticator bool
	// PlainStatus leaves it out of the answers to Status-Server, as a post-auth
	// section alone does.
	PlainStatus bool
	// RequireMessageAuthenticator refuses an Access-Request without one.
	RequireMessageAuthenticator bool
	// RadSec takes requests over TLS too, with these keys, at FreeRADIUS.TLS.
	RadSec *Keys
	// DynAuth is where the home sends requests of its own: it disconnects a
	// session at its Interim-Update, and one with a Class gets another
	// Session-Timeout by CoA instead.
	DynAuth netip.AddrPort
}

// StartHome starts a FreeRADIUS home.
func StartHome(t testing.TB, c HomeConfig) *FreeRADIUS {
	t.Helper()
	Need(t, "freeradius")
	f := &FreeRADIUS{t: t, Server: Server{Port(t), Port(t), c.Secret}, Dir: t.TempDir()}
	if c.RadSec != nil {
		f.TLS = Port(t)
	}
	users := new(strings.Builder)
	for _, u := range c.Users {
		users.WriteString("\"" + u.Name + "\" Cleartext-Password := \"" + u.Password + "\"\n")
		if len(u.Reply) > 0 {
			users.WriteString("\t" + strings.Join(u.Reply, ",\n\t") + "\n")
		}
		users.WriteString("\n")
	}
	f.file("users", users.String())
	f.render("home", c)
	f.start(c.Name)
	return f
}

// StartVisited starts a FreeRADIUS that knows no user and proxies every realm
// to next, as a visited network does. secret is its NAS's.
func StartVisited(t testing.TB, name, secret string, next Server) *FreeRADIUS {
	t.Helper()
	return StartVisitedTLS(t, name, secret, Next{Server: next})
}

// StartVisitedTLS is the same with a next hop that may be reached over TLS.
func StartVisitedTLS(t testing.TB, name, secret string, next Next) *FreeRADIUS {
	t.Helper()
	Need(t, "freeradius")
	f := &FreeRADIUS{t: t, Server: Server{Port(t), Port(t), secret}, Dir: t.TempDir()}
	f.render("visited", next)
	f.start(name)
	return f
}

// Restart starts the server again on the same ports after Kill or Stop.
func (f *FreeRADIUS) Restart() {
	f.t.Helper()
	f.start(f.Name)
}

func (f *FreeRADIUS) start(name string) {
	f.t.Helper()
	// -f: stay in the foreground; the account stays the test's own because the
	// configuration names no user.
	f.Process = Start(f.t, name, exec.Command("freeradius", "-f", "-l", "stdout", "-d", f.Dir))
	f.ready(func() error { return Alive(f.Auth, f.Secret) })
	f.ready(func() error { return Alive(f.Acct, f.Secret) })
}

// StartNAS starts a FreeRADIUS that takes CoA and Disconnect requests at CoA as
// a NAS does, and acknowledges those that name a session.
func StartNAS(t testing.TB, name, secret string) *FreeRADIUS {
	t.Helper()
	Need(t, "freeradius")
	f := &FreeRADIUS{t: t, Server: Server{Port(t), Port(t), secret}, CoA: Port(t), Dir: t.TempDir()}
	f.render("nas", f.CoA)
	f.start(name)
	return f
}

// Order is a CoA-Request or Disconnect-Request as a NAS has got it.
type Order struct {
	Kind, User, Session, Address, NAS, Operator, Token string
}

// Orders reads what the NAS was asked to do, in order.
func (f *FreeRADIUS) Orders() []Order {
	var all []Order
	for _, line := range f.lines("orders") {
		v := strings.Split(line, "|")
		require.Len(f.t, v, 7, "line of %s: %q", f.Name, line)
		all = append(all, Order{v[0], v[1], v[2], v[3], v[4], v[5], v[6]})
	}
	return all
}

// Access is where a request came from, as the home was told.
type Access struct {
	Address, NAS, Operator, Token string
}

// Accesses reads where accepted requests came from, in order.
func (f *FreeRADIUS) Accesses() []Access {
	var all []Access
	for _, line := range f.lines("accesses") {
		v := strings.Split(line, "|")
		require.Len(f.t, v, 4, "line of %s: %q", f.Name, line)
		all = append(all, Access{v[0], v[1], v[2], v[3]})
	}
	return all
}

// Answers reads how the requests ended that the home itself has originated.
func (f *FreeRADIUS) Answers() []string { return f.lines("answers") }

// Accept is one Access-Accept as the home sent it. The keys are those it
// derived itself, in lower case hex, before any hop re-encrypted them.
type Accept struct {
	User             string
	SendKey, RecvKey string
}

// Accepts reads what the home accepted, in order.
func (f *FreeRADIUS) Accepts() []Accept {
	var all []Accept
	for _, line := range f.lines("accepts") {
		v := strings.Split(line, "|")
		require.Len(f.t, v, 3, "line of %s: %q", f.Name, line)
		all = append(all, Accept{User: v[0], SendKey: strings.TrimPrefix(v[1], "0x"), RecvKey: strings.TrimPrefix(v[2], "0x")})
	}
	return all
}

// Record is one Accounting-Request as a home stored it.
type Record struct {
	Session, Status, User string
}

// Records reads what accounting the home stored, in order.
func (f *FreeRADIUS) Records() []Record {
	var all []Record
	for _, line := range f.lines("records") {
		v := strings.Split(line, "|")
		require.Len(f.t, v, 3, "line of %s: %q", f.Name, line)
		all = append(all, Record{Session: v[0], Status: v[1], User: v[2]})
	}
	return all
}

func (f *FreeRADIUS) lines(name string) []string {
	b, err := os.ReadFile(filepath.Join(f.Dir, name))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(f.t, err)
	return strings.Split(strings.TrimRight(string(b), "\n"), "\n")
}

func (f *FreeRADIUS) file(name, text string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(filepath.Join(f.Dir, name), []byte(text), 0o600))
}

func (f *FreeRADIUS) render(name string, config any) {
	f.t.Helper()
	var b strings.Builder
	data := map[string]any{"Dir": f.Dir, "Auth": f.Auth, "Acct": f.Acct, "TLS": f.TLS, "Secret": f.Secret, "Config": config}
	require.NoError(f.t, raddb.ExecuteTemplate(&b, name, data))
	f.file("radiusd.conf", b.String())
	f.file("dictionary", "") // the local additions: none
}

// raddb holds a whole raddb in one file for each kind of server.
var raddb = template.Must(template.New("").Parse(`
{{define "base"}}
name = freeradius
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = "{{.Dir}}"
confdir = "{{.Dir}}"
logdir = "{{.Dir}}"
radacctdir = "{{.Dir}}"
localstatedir = "{{.Dir}}"
run_dir = "{{.Dir}}"
db_dir = "{{.Dir}}"
max_request_time = 30
cleanup_delay = 5
max_requests = 16384
hostname_lookups = no
log {
	destination = stdout
	auth = yes
}
security {
	allow_core_dumps = no
	max_attributes = 200
	reject_delay = 0
	status_server = yes
	allow_vulnerable_openssl = yes
}
thread pool {
	start_servers = 2
	max_servers = 8
	min_spare_servers = 1
	max_spare_servers = 4
	max_requests_per_server = 0
}
{{end}}

{{define "listen"}}
	listen {
		type = auth
		ipaddr = {{.Auth.Addr}}
		port = {{.Auth.Port}}
	}
	listen {
		type = acct
		ipaddr = {{.Acct.Addr}}
		port = {{.Acct.Port}}
	}
{{end}}

{{define "home"}}{{template "base" .}}
{{with .Config.DynAuth}}{{if .IsValid}}
proxy_requests = yes
home_server hub_coa {
	type = coa
	ipaddr = {{.Addr}}
	port = {{.Port}}
	secret = "{{$.Secret}}"
	coa {
		irt = 2
		mrt = 16
		mrc = 5
		mrd = 30
	}
}
home_server_pool hub_coa {
	type = fail-over
	home_server = hub_coa
	virtual_server = originate
}
server originate {
	post-proxy {
		answers
		Post-Proxy-Type Fail-CoA {
			answers
		}
		Post-Proxy-Type Fail-Disconnect {
			answers
		}
	}
}
{{else}}
proxy_requests = no
{{end}}{{end}}
client loopback {
	ipaddr = 127.0.0.0/8
	secret = "{{.Secret}}"
{{if .Config.DynAuth.IsValid}}
	coa_server = hub_coa
{{end}}
	require_message_authenticator = {{if .Config.RequireMessageAuthenticator}}yes{{else}}no{{end}}
}
modules {
	always ok {
		rcode = ok
	}
	pap { }
	chap { }
	mschap { }
	files {
		filename = "{{.Dir}}/users"
	}
	linelog accepts {
		filename = "{{.Dir}}/accepts"
		format = "%{User-Name}|%{reply:MS-MPPE-Send-Key}|%{reply:MS-MPPE-Recv-Key}"
	}
	linelog accesses {
		filename = "{{.Dir}}/accesses"
		format = "%{NAS-IP-Address}|%{NAS-Identifier}|%{Operator-Name}|%{Operator-NAS-Identifier}"
	}
	linelog answers {
		filename = "{{.Dir}}/answers"
		format = "%{proxy-reply:Packet-Type} %{proxy-reply:Error-Cause}"
	}
	linelog records {
		filename = "{{.Dir}}/records"
		format = "%{Acct-Session-Id}|%{Acct-Status-Type}|%{User-Name}"
	}
{{with .Config.Certificates}}
	eap {
		default_eap_type = peap
		timer_expire = 60
		max_sessions = 16384
		tls-config tls-common {
			private_key_file = "{{.ServerKey}}"
			certificate_file = "{{.ServerCert}}"
			ca_file = "{{.CA}}"
			cipher_list = "DEFAULT"
			tls_min_version = "1.2"
			tls_max_version = "1.2"
			ecdh_curve = ""
			cache {
				enable = no
			}
		}
		tls {
			tls = tls-common
		}
		ttls {
			tls = tls-common
			default_eap_type = mschapv2
			copy_request_to_tunnel = no
			use_tunneled_reply = no
			virtual_server = "inner"
		}
		peap {
			tls = tls-common
			default_eap_type = mschapv2
			copy_request_to_tunnel = no
			use_tunneled_reply = no
			virtual_server = "inner"
		}
		mschapv2 { }
	}
{{end}}
}
{{with .Config.RadSec}}
clients radsec {
	client loopback_tls {
		ipaddr = 127.0.0.0/8
		proto = tls
		secret = radsec
		limit {
			max_connections = 0
		}
	}
}
{{end}}
server home {
{{template "listen" .}}
{{with .Config.RadSec}}
	listen {
		type = auth+acct
		ipaddr = {{$.TLS.Addr}}
		port = {{$.TLS.Port}}
		proto = tcp
		clients = radsec
		limit {
			max_connections = 0
			idle_timeout = 0
		}
		tls {
			private_key_file = "{{.Key}}"
			certificate_file = "{{.Cert}}"
			ca_file = "{{.Root}}"
			require_client_cert = yes
			fragment_size = 8192
			cipher_list = "DEFAULT"
			tls_min_version = "1.2"
			tls_max_version = "1.3"
			ecdh_curve = ""
			cache {
				enable = no
			}
		}
	}
{{end}}
	authorize {
		chap
{{if .Config.Certificates}}
		eap {
			ok = return
		}
{{end}}
		files
		pap
{{if and .Config.MessageAuthenticator (not .Config.PlainStatus)}}
		Autz-Type Status-Server {
			update reply {
				&Message-Authenticator := 0x00
			}
			ok
		}
{{end}}
	}
	authenticate {
		Auth-Type PAP {
			pap
		}
		Auth-Type CHAP {
			chap
		}
{{if .Config.Certificates}}
		eap
{{end}}
	}
	post-auth {
{{if .Config.MessageAuthenticator}}
		update reply {
			&Message-Authenticator := 0x00
		}
{{end}}
		accepts
		accesses
		Post-Auth-Type REJECT {
{{if .Config.MessageAuthenticator}}
			update reply {
				&Message-Authenticator := 0x00
			}
{{end}}
		}
		Post-Auth-Type Challenge {
		}
	}
	preacct {
	}
	accounting {
		records
{{if .Config.DynAuth.IsValid}}
		if (&Acct-Status-Type == Interim-Update && &Class) {
			update coa {
				&User-Name = "%{User-Name}"
				&Acct-Session-Id = "%{Acct-Session-Id}"
				&Operator-Name = "%{Operator-Name}"
				&NAS-Identifier = "%{NAS-Identifier}"
				&Operator-NAS-Identifier = "%{Operator-NAS-Identifier}"
				&Session-Timeout = 600
			}
		}
		elsif (&Acct-Status-Type == Interim-Update) {
			update disconnect {
				&User-Name = "%{User-Name}"
				&Acct-Session-Id = "%{Acct-Session-Id}"
				&Operator-Name = "%{Operator-Name}"
				&NAS-Identifier = "%{NAS-Identifier}"
				&Operator-NAS-Identifier = "%{Operator-NAS-Identifier}"
			}
		}
{{end}}
	}
}
{{if .Config.Certificates}}
server inner {
	authorize {
		mschap
		eap {
			ok = return
		}
		files
		pap
	}
	authenticate {
		Auth-Type PAP {
			pap
		}
		Auth-Type MS-CHAP {
			mschap
		}
		eap
	}
}
{{end}}
{{end}}

{{define "nas"}}{{template "base" .}}
proxy_requests = no
client loopback {
	ipaddr = 127.0.0.0/8
	secret = "{{.Secret}}"
}
modules {
	always ok {
		rcode = ok
	}
	always reject {
		rcode = reject
	}
	linelog orders {
		filename = "{{.Dir}}/orders"
		format = "%{Packet-Type}|%{User-Name}|%{Acct-Session-Id}|%{NAS-IP-Address}|%{NAS-Identifier}|%{Operator-Name}|%{Operator-NAS-Identifier}"
	}
}
server nas {
{{template "listen" .}}
	listen {
		type = coa
		ipaddr = {{.Config.Addr}}
		port = {{.Config.Port}}
	}
	authorize {
	}
	accounting {
	}
	recv-coa {
		orders
		if (!&Acct-Session-Id) {
			reject
		}
		ok
	}
	send-coa {
		ok
	}
}
{{end}}

{{define "visited"}}{{template "base" .}}
proxy_requests = yes
client loopback {
	ipaddr = 127.0.0.0/8
	secret = "{{.Secret}}"
}
proxy server {
	default_fallback = no
}
{{if .Config.Keys}}
home_server next {
	type = auth+acct
	ipaddr = {{.Config.TLS.Addr}}
	port = {{.Config.TLS.Port}}
	proto = tcp
	secret = radsec
	response_window = 20
	status_check = status-server
	limit {
		connect_timeout = 10
		connect_fail_interval = 1
	}
	tls {
		private_key_file = "{{.Config.Keys.Key}}"
		certificate_file = "{{.Config.Keys.Cert}}"
		ca_file = "{{.Config.Keys.Root}}"
		fragment_size = 8192
		cipher_list = "DEFAULT"
		tls_min_version = "1.2"
		tls_max_version = "1.3"
		ecdh_curve = ""
	}
}
home_server_pool next_auth {
	type = fail-over
	home_server = next
}
home_server_pool next_acct {
	type = fail-over
	home_server = next
}
{{else}}
home_server next_auth {
	type = auth
	ipaddr = {{.Config.Auth.Addr}}
	port = {{.Config.Auth.Port}}
	secret = "{{.Config.Secret}}"
	response_window = 20
	status_check = status-server
}
home_server next_acct {
	type = acct
	ipaddr = {{.Config.Acct.Addr}}
	port = {{.Config.Acct.Port}}
	secret = "{{.Config.Secret}}"
	response_window = 20
	status_check = status-server
}
home_server_pool next_auth {
	type = fail-over
	home_server = next_auth
}
home_server_pool next_acct {
	type = fail-over
	home_server = next_acct
}
{{end}}
realm DEFAULT {
	auth_pool = next_auth
	acct_pool = next_acct
	nostrip
}
modules {
	realm suffix {
		format = suffix
		delimiter = "@"
	}
}
server visited {
{{template "listen" .}}
	authorize {
		suffix
	}
	authenticate {
	}
	preacct {
		suffix
	}
	accounting {
	}
}
{{end}}
`))
