package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// radsecproxy has a server block for each home and kind, and a realm block
// for each realm, which it walks from the first to the last.
func (st *stage) radsecproxy(p *proxy, dir string) ([]string, error) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("ListenUDP %s", p.auth)
	line("ListenUDP %s", p.acct)
	line("LogLevel 5")
	if st.in != "" || st.out != "" {
		line("tls default {\n\tCACertificateFile %s\n\tCertificateFile %s\n\tCertificateKeyFile %s\n}",
			filepath.Join(st.pki, caFile), filepath.Join(st.pki, proxyName+".pem"), filepath.Join(st.pki, proxyName+".key"))
	}
	if st.in != "" {
		line("ListenTLS %s", p.radsec)
		line("client 127.0.0.0/8 {\n\ttype tls\n\tsecret radsec\n\tcertificateNameCheck off\n}")
	} else {
		line("client 127.0.0.0/8 {\n\ttype udp\n\tsecret %s\n}", visitedSecret)
	}
	for i, h := range st.load.homes {
		if st.out != "" {
			for _, kind := range []string{"auth", "acct"} {
				line("server %s%d {\n\ttype tls\n\thost 127.0.0.1\n\tport %d\n\tsecret radsec\n\tcertificateNameCheck off\n\tstatusserver off\n}",
					kind, i, h.Auth.Port())
			}
			continue
		}
		line("server auth%d {\n\ttype udp\n\thost 127.0.0.1\n\tport %d\n\tsecret %s\n}", i, h.Auth.Port(), homeSecret)
		line("server acct%d {\n\ttype udp\n\thost 127.0.0.1\n\tport %d\n\tsecret %s\n}", i, h.Acct.Port(), homeSecret)
	}
	for i, name := range st.realmsOf(p, "*") {
		home := i % len(st.load.homes)
		line("realm %s {\n\tserver auth%d\n\taccountingServer acct%d\n}", name, home, home)
	}
	program := st.program(p.kind)
	p.version = firstLine(program, "-v")
	return writeConfig(dir, "radsecproxy.conf", b.String(), program, "-f", "-c")
}

// realmsOf lists the names that the proxy is configured with.
func (st *stage) realmsOf(p *proxy, all string) []string {
	if p.wildcard {
		return []string{all}
	}
	names := make([]string, st.realms)
	for i := range names {
		names[i] = realmName(i)
	}
	return names
}

// freeradius has the realm module and, where the case asks for it, the detail
// writer, which stores each record before it is proxied.
func (st *stage) freeradius(p *proxy, dir string) ([]string, error) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	fmt.Fprintf(&b, freeradiusHead, dir, visitedSecret)
	for i, h := range st.load.homes {
		for kind, port := range map[string]uint16{"auth": h.Auth.Port(), "acct": h.Acct.Port()} {
			line("home_server %s%d {\n\ttype = %s\n\tipaddr = 127.0.0.1\n\tport = %d\n\tsecret = %s\n\tstatus_check = none\n}",
				kind, i, kind, port, homeSecret)
			line("home_server_pool %ss%d {\n\thome_server = %s%d\n}", kind, i, kind, i)
		}
	}
	for i, name := range st.realmsOf(p, "DEFAULT") {
		home := i % len(st.load.homes)
		line("realm %s {\n\tauth_pool = auths%d\n\tacct_pool = accts%d\n\tnostrip\n}", name, home, home)
	}
	detail := ""
	if st.detail {
		detail = "detail"
	}
	fmt.Fprintf(&b, freeradiusServer, p.auth.Port(), p.acct.Port(), detail)
	p.version = firstLine(freeradius, "-v")
	return writeConfig(dir, "radiusd.conf", b.String(), freeradius, "-f", "-l", "stdout", "-n", "radiusd", "-d", dir)
}

const freeradiusHead = `prefix = /usr
name = bench
logdir = %[1]s
run_dir = %[1]s
libdir = /usr/lib/freeradius
max_requests = 65536
log {
	destination = stdout
}
security {
	status_server = no
}
thread pool {
	start_servers = 4
	max_servers = 32
	min_spare_servers = 3
	max_spare_servers = 10
	max_requests_per_server = 0
	auto_limit_acct = no
}
proxy_requests = yes
modules {
	realm suffix {
		format = suffix
		delimiter = "@"
	}
	detail {
		filename = %[1]s/detail
		permissions = 0600
	}
}
client loopback {
	ipaddr = 127.0.0.0/8
	secret = %[2]s
}
`

const freeradiusServer = `server default {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = %d
	}
	listen {
		type = acct
		ipaddr = 127.0.0.1
		port = %d
	}
	authorize {
		suffix
	}
	preacct {
		suffix
	}
	accounting {
		%s
	}
}
`
