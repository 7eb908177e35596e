package freeradius

import (
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm/migrate"
)

// What carries packets, by the words of routing files.
const (
	overUDP = "udp"
	overTCP = "tcp"
	overTLS = "tls"
)

// protocolSecret is the only one over TLS
// (draft-ietf-radext-radiusdtls-bis section 3.1).
const protocolSecret = "radsec"

const (
	withPSK  = "the hub knows peers by certificates, not by a shared key (TLS-PSK)"
	ownNames = "certificate-names"
)

// listener is a listen section, of the top or of a virtual server that hears
// requests.
type listener struct {
	*Section
	host *Section // nil: at the top
}

func (w *writer) listeners() (all []listener) {
	for _, s := range w.Tree.Root.Subs("listen") {
		all = append(all, listener{s, nil})
	}
	for _, h := range w.Hosts {
		if h.Section != nil {
			for _, s := range h.Section.Subs("listen") {
				all = append(all, listener{s, h.Section})
			}
		}
	}
	return all
}

// over says what carries the packets of a listener or home.
func over(s *Section) string {
	proto, _ := s.Text("proto")
	switch {
	case !strings.EqualFold(proto, "tcp"):
		return overUDP
	case s.Sub("tls") != nil:
		return overTLS
	}
	return overTCP
}

// list names the clients that a listener takes, as Client.List does.
func (l listener) list() string {
	if name, ok := l.Text("clients"); ok {
		return name
	}
	if l.host != nil && l.host.Sub("client") != nil {
		return "server " + l.host.Second
	}
	return ""
}

// door finds how a client connects: the transport, and over TLS the entry of
// its listener. Over "" nothing takes it.
func (w *writer) door(c *Client) (by, trust string) {
	if family(c.Proto) == overUDP {
		return overUDP, ""
	}
	for _, l := range w.listeners() {
		if l.list() != c.List {
			continue
		}
		switch over(l.Section) {
		case overTCP:
			if c.Proto == overTCP {
				return overTCP, ""
			}
		case overTLS:
			if name := w.trusts[l.Sub("tls")]; by == "" && name != "" {
				by, trust = overTLS, name
			}
		}
	}
	return by, trust
}

// unshown says why a tls section cannot be an entry of tls, "" where it can.
func unshown(s *Section) string {
	for _, key := range []string{"psk_identity", "psk_hexphrase", "psk_query"} {
		if s.Pair(key) != nil {
			return withPSK
		}
	}
	return ""
}

// trustKeys are what two sections have in common that become one entry.
var trustKeys = []string{"certificate_file", "private_key_file", "ca_file", "check_crl", "check_all_crl", "tls_min_version", "disable_tlsv1_2", "radiusv1_1"}

func (w *writer) tlsFile() *migrate.Node {
	if n := w.config.Realm(tlsFile); len(n.Items()) > 0 {
		return n
	}
	return w.config.Realm(tlsFile).Comment("What is shown to peers over TLS, and who is believed: from the tls sections.\nImported from FreeRADIUS; each line says where it comes from.")
}

// trust writes a tls section and returns the name of its entry.
func (w *writer) trust(name, path string, s *Section) string {
	key := ""
	for _, k := range trustKeys {
		v, _ := s.Text(k)
		key += v + "\n"
	}
	n := &migrate.Node{}
	entry, had := w.entries[key]
	if !had {
		entry = w.trustNames.Make(name)
		w.entries[key] = entry
		w.tlsFile().List("tls").Take(n)
	}
	w.trusts[s] = entry
	w.said[s] = true
	w.report.Map(s.Pos, path+"/tls", "tls: %s", entry)
	n.Set("name", entry, from(s.Pos))
	if p := s.Pair("certificate_file"); p != nil {
		n.Set("certificate", p.Value, at(p))
		n.Set("key", p.Value, "of the same file")
	}
	if p := s.Pair("private_key_file"); p != nil {
		n.Set("key", p.Value, at(p))
	}
	n.List("authorities")
	w.each(s, "", func(p *Pair) { w.trustPair(n, s, path, p) })
	for _, i := range s.Items {
		if i.Section != nil {
			w.trustSection(path+"/tls", i.Section)
		}
	}
	return entry
}

// trustPair maps one directive of a tls section.
func (w *writer) trustPair(n *migrate.Node, s *Section, path string, p *Pair) {
	name := path + "/tls/" + p.Name
	mapped := func(how string) { w.report.Map(p.Pos, name, "%s", how) }
	left := func(why string) { w.report.Leave(p.Pos, name, "%s", why) }
	on, err := boolean(s, p.Name, false)
	on = on && err == nil
	switch p.Name {
	case "certificate_file":
		mapped("tls.certificate")
	case "private_key_file":
		mapped("tls.key")
	case "private_key_password":
		left("the hub reads no keys with a password: openssl pkey -in KEY -out PLAIN, where KEY has one")
	case "ca_file":
		n.List("authorities").Value(p.Value, at(p))
		mapped("tls.authorities")
	case "ca_path":
		left("the hub reads files: name those of the directory under tls.authorities and tls.crls")
	case "check_crl", "check_all_crl":
		if on {
			n.Set("revocation", "require", at(p))
			n.Set("fetch_crls", true, "lists come from where the certificates say; or name files with crls")
		}
		mapped("tls.revocation, tls.fetch_crls")
	case "tls_min_version", "disable_tlsv1_2":
		if p.Value == "1.3" || p.Name == "disable_tlsv1_2" && on {
			n.Set("min_version", "1.3", at(p))
		}
		mapped("tls.min_version: 1.2 or later")
	case "tls_max_version":
		if p.Value == "1.3" {
			mapped("TLS 1.3 is spoken")
			return
		}
		left("TLS 1.3 is spoken too")
	case "disable_tlsv1_3":
		if on {
			left("TLS 1.3 is spoken too")
			return
		}
		mapped("TLS 1.3 is spoken")
	case "radiusv1_1":
		for word, version := range map[string]string{"forbid": "radius/1.0", "require": "radius/1.1"} {
			if p.Value == word {
				n.List("versions").Value(version, at(p))
			}
		}
		mapped("tls.versions")
	case "check_cert_cn":
		left("a common name proves nothing (RFC 9525): write a name of the subjectAltName under certificate")
	case "check_cert_issuer":
		left("issuers are those of tls.authorities: name only theirs there")
	case "cipher_list", "ecdh_curve", "sigalgs_list":
		if p.Value == "DEFAULT" {
			mapped("the hub's own choice (RFC 9325)")
			return
		}
		left("the suites are those of RFC 9325, in an order of the hub's own")
	case "require_client_cert":
		if on {
			mapped("peers show a certificate")
			return
		}
		left("peers show a certificate: it says who they are")
	case "hostname":
		left("a home is told the name that it is reached by: write host")
	case "disable_tlsv1", "disable_tlsv1_1", "cipher_server_preference", "fragment_size", "include_length", "dh_file", "random_file",
		"auto_chain", "ca_path_reload_interval", "connect_timeout", "verify_depth", "fix_cert_order", "pem_file_type":
		mapped("the hub finds it out, or has no need of it")
	default:
		left("not known")
	}
}

// trustSection maps a section inside of a tls section.
func (w *writer) trustSection(path string, s *Section) {
	path += "/" + s.Title()
	on, err := boolean(s, "enable", false)
	used := slices.ContainsFunc(s.Items, func(i Item) bool { return i.Pair == nil || i.Pair.Name == "client" })
	switch {
	case s.Name == "cache":
		w.accept(path, s, "sessions are resumed as TLS does it, and their certificates judged again")
	case s.Name == "ocsp" && !on && err == nil, s.Name == "verify" && !used:
		w.accept(path, s, "the hub does not ask either")
	case s.Name == "ocsp":
		w.deny(path, s, "the hub asks no OCSP server: it goes by lists (tls.revocation) and by what a peer staples")
	case s.Name == "verify":
		w.deny(path, s, "no command judges certificates: see tls.authorities, tls.policies and certificate")
	default:
		w.deny(path, s, "not known")
	}
}

// limits reports the limit section of a peer or listener.
func (w *writer) limits(path string, s *Section, by string) {
	if by == overUDP {
		w.accept(path, s, onlyTCP)
		return
	}
	w.said[s] = true
	w.report.Map(s.Pos, path, "connections")
	w.each(s, "", func(p *Pair) {
		n, _ := integer(s, p.Name, 0)
		switch {
		case p.Name == "idle_timeout":
			w.report.Leave(p.Pos, path+"/"+p.Name, "one time counts for all connections: connections.idle in roamgate.yaml")
		case p.Name == "lifetime" && n == 0:
			w.report.Map(p.Pos, path+"/"+p.Name, "a connection lives as long as it is used")
		case p.Name == "lifetime":
			w.report.Leave(p.Pos, path+"/"+p.Name, "a connection lives as long as it is used")
		default:
			w.report.Leave(p.Pos, path+"/"+p.Name, "the hub has bounds of its own: connections in roamgate.yaml, and connections of homes")
		}
	})
}
