package csv

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/migrate"
)

// carried is the transport of a row's home: TLS if it does not say.
func (w *row) carried() string {
	if t := strings.ToLower(w.value["transport"]); t != "" {
		return t
	}
	return realm.TLS.String()
}

// secured reports whether a certificate says who the home is.
func (w *row) secured() bool {
	return w.carried() == realm.TLS.String() || w.carried() == realm.DTLS.String()
}

// checkHome looks at a row's home.
func (r *reader) checkHome(w *row) {
	at := func(column string) realm.Pos { return r.at(w.place[column]) }
	host := w.value["host"]
	if host == "" {
		for _, c := range []string{"port", "transport", "tls", "secret_file"} {
			if w.value[c] != "" {
				r.fail(at(c), "write the host too", "%s without a host", c)
			}
		}
		return
	}
	for _, c := range []string{"pool", "auth", "accounting", "reject"} {
		if w.value[c] != "" {
			r.fail(at(c), "", "a row has a host or %s, not both", c)
		}
	}
	if !isHost(host) {
		r.fail(at("host"), "a name of DNS, or an address", "%q is no host", migrate.Printable(host))
	}
	switch w.carried() {
	case "udp", "tcp", "tls", "dtls":
	default:
		r.fail(at("transport"), "udp, tcp, tls or dtls", "transport: %q is not known", migrate.Printable(w.value["transport"]))
		return
	}
	most := 65535
	if !w.secured() {
		most-- // accounting is one above
	}
	if p := w.value["port"]; p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > most || strconv.Itoa(n) != p {
			r.fail(at("port"), "1 to "+strconv.Itoa(most), "%q is no port", migrate.Printable(p))
		}
	}
	switch tls, secret := w.value["tls"], w.value["secret_file"]; {
	case tls != "" && !w.secured():
		r.fail(at("tls"), "transport tls, or leave it empty", "nobody shows a certificate over %s", w.carried())
	case tls != "" && !isName(tls):
		r.fail(at("tls"), "up to 64 letters, digits, dots, dashes and underscores", "tls: %q is no name", migrate.Printable(tls))
	case secret != "" && w.secured():
		r.fail(at("secret_file"), "leave it empty", "over %s the secret is that of the protocol", w.carried())
	case secret == "" && !w.secured():
		r.fail(at("host"), "the path of a file with the shared secret", "over %s a home needs secret_file", w.carried())
	}
}

// pool writes the home of a row and its pool, once, and gives the pool's name.
func (r *reader) pool(w *row) string {
	host, port := strings.ToLower(w.value["host"]), w.value["port"]
	if a, err := netip.ParseAddr(host); err == nil {
		host = a.Unmap().String()
	}
	key := strings.Join([]string{host, port, w.carried(), w.value["tls"], w.value["secret_file"]}, "\n")
	if name := r.pools[key]; name != "" {
		return name
	}
	name := r.homes.Make(host)
	r.pools[key] = name
	h := r.root.List("homes").Item()
	h.Set("name", name, migrate.From(r.at(w.place["host"])))
	if by := w.carried(); by != realm.UDP.String() {
		h.Set("transport", by, "")
	}
	for _, k := range []string{"tls", "secret_file"} {
		if v := w.value[k]; v != "" {
			h.Set(k, v, "")
		}
	}
	if _, err := netip.ParseAddr(host); err == nil {
		h.Set("address", host, "")
	} else {
		h.Set("host", host, "")
	}
	switch n, _ := strconv.Atoi(port); {
	case n == 0:
	case w.secured():
		h.Set("port", n, "")
	default:
		h.Set("auth_port", n, "")
		h.Set("acct_port", n+1, "one above")
	}
	p := r.root.List("pools").Item()
	p.Set("name", name, "")
	p.List("homes").Value(name, "")
	return name
}

func isHost(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast()
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return false
		}
	}
	return strings.Trim(s, "0123456789.") != ""
}
