package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/roamgate/roamgate/pkg/nai"
)

// The object identifiers of names.
var (
	oidAltName  = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidNAIRealm = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 8}
	oidUID      = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
)

// The kinds of GeneralName that are read (RFC 5280 section 4.2.1.6).
var (
	tagOtherName = tag.Tag(0).ContextSpecific().Constructed()
	tagDNSName   = tag.Tag(2).ContextSpecific()
	tagIPAddress = tag.Tag(7).ContextSpecific()
)

// names are those of a subjectAltName.
type names struct {
	realms, hosts []string
	addrs         []netip.Addr
}

func (n *names) empty() bool { return len(n.realms)+len(n.hosts)+len(n.addrs) == 0 }

// readNames reads the subjectAltName of a certificate; crypto/x509 passes over
// every otherName.
func readNames(c *x509.Certificate) (names, Cause) {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidAltName) {
			return parseNames(e.Value)
		}
	}
	return names{}, None
}

// parseNames reads GeneralNames. der is not retained.
func parseNames(der []byte) (n names, why Cause) {
	var all cryptobyte.String
	if in := cryptobyte.String(der); !in.ReadASN1(&all, tag.SEQUENCE) || !in.Empty() {
		return names{}, MalformedName
	}
	for count := 0; !all.Empty(); count++ {
		if count == MaxNames {
			return names{}, TooManyNames
		}
		var (
			value cryptobyte.String
			kind  tag.Tag
		)
		if !all.ReadAnyASN1(&value, &kind) || !n.add(kind, value) {
			return names{}, MalformedName
		}
	}
	return n, None
}

// add takes one GeneralName. Kinds that say nothing about a RADIUS peer are
// passed over; false: it cannot be read.
func (n *names) add(kind tag.Tag, value cryptobyte.String) bool {
	switch kind {
	case tagOtherName:
		realm, ours, ok := naiRealm(value)
		if ours {
			n.realms = append(n.realms, realm)
		}
		return ok
	case tagDNSName:
		if !printable(value) {
			return false
		}
		n.hosts = append(n.hosts, lower(value))
	case tagIPAddress:
		addr, ok := netip.AddrFromSlice(value)
		if !ok {
			return false
		}
		n.addrs = append(n.addrs, addr.Unmap())
	}
	return true
}

// naiRealm reads an otherName; ours is false for one of another kind.
func naiRealm(other cryptobyte.String) (realm string, ours, ok bool) {
	var (
		id              asn1.ObjectIdentifier
		explicit, value cryptobyte.String
	)
	if !other.ReadASN1ObjectIdentifier(&id) ||
		!other.ReadASN1(&explicit, tag.Tag(0).ContextSpecific().Constructed()) || !other.Empty() {
		return "", false, false
	}
	if !id.Equal(oidNAIRealm) {
		return "", false, true
	}
	if !explicit.ReadASN1(&value, tag.UTF8String) || !explicit.Empty() ||
		len(value) == 0 || len(value) > nai.MaxLen || !utf8.Valid(value) {
		return "", false, false
	}
	for _, c := range value {
		if c <= ' ' || c == 0x7f {
			return "", false, false
		}
	}
	return foldRealm(string(value)), true, true
}

// printable keeps out what a name never has, NUL before all.
func printable(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(name) > 0 && len(name) <= nai.MaxLen
}

func lower(name []byte) string { return strings.ToLower(string(name)) }

func foldRealm(realm string) string {
	var buf [nai.MaxLen]byte
	if len(realm) > nai.MaxLen {
		return ""
	}
	return string(nai.Fold(&buf, []byte(realm)))
}

// operator is the UID of the subject, "": there is none, or not one alone.
func operator(c *x509.Certificate) string {
	found := ""
	for _, name := range c.Subject.Names {
		if !name.Type.Equal(oidUID) {
			continue
		}
		uid, ok := name.Value.(string)
		if !ok || found != "" || !printable([]byte(uid)) {
			return ""
		}
		found = uid
	}
	return found
}

// HasRealm reports whether the certificate has the realm as NAIRealm, by the
// rule of RFC 7585 section 2.2.
func (id *Identity) HasRealm(realm string) bool {
	realm = foldRealm(realm)
	for _, pattern := range id.Realms {
		if matches(pattern, realm) {
			return true
		}
	}
	return false
}

// HasHost reports whether the certificate has the name as dNSName, by the rule
// of RFC 9525 section 6.3.
func (id *Identity) HasHost(host string) bool {
	host = strings.TrimSuffix(lower([]byte(host)), ".")
	for _, pattern := range id.Hosts {
		if matches(pattern, host) {
			return true
		}
	}
	return false
}

// HasAddr reports whether the certificate has the address as iPAddress.
func (id *Identity) HasAddr(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, one := range id.Addrs {
		if one == addr {
			return true
		}
	}
	return false
}

// HasOperator reports whether the certificate is that of an operator, by its
// WBAID without sub-identifiers: "OPERATOR:US" has "SITE.OPERATOR:US" too.
func (id *Identity) HasOperator(wbaid string) bool {
	cut := len(id.Operator) - len(wbaid)
	return wbaid != "" && cut >= 0 && strings.EqualFold(id.Operator[cut:], wbaid) &&
		(cut == 0 || id.Operator[cut-1] == '.')
}

// matches compares a name that was expected with one of a certificate, both
// folded. A wildcard stands for one whole label, the left-most, and is alone: a
// star anywhere else matches nothing. One that was expected is compared as it is.
func matches(pattern, name string) bool {
	if name == "" {
		return false
	}
	if pattern == name {
		return true
	}
	rest, wild := strings.CutPrefix(pattern, "*.")
	if !wild || rest == "" || strings.Contains(rest, "*") {
		return false
	}
	first, tail, more := strings.Cut(name, ".")
	return more && first != "" && first != "*" && tail == rest
}
