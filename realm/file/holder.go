package file

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

// holderEntry says whose certificate a peer shows.
type holderEntry struct {
	Pos       realm.Pos        `yaml:",pos"`
	Realms    []at[string]     `yaml:"realms"`
	Hosts     []at[string]     `yaml:"hosts"`
	Addresses []at[netip.Addr] `yaml:"addresses"`
	Operators []at[string]     `yaml:"operators"`
	Anyone    at[bool]         `yaml:"anyone"`
}

func (holderEntry) KeyHint(key string) (text, hint string) {
	switch key {
	case "cn", "common_name", "commonname", "subject":
		return "a common name proves nothing (RFC 9525)", "write realms, hosts, addresses or operators, as the subjectAltName has them"
	}
	return "", ""
}

func (e *holderEntry) set() bool { return e.Pos.Line > 0 }

// holder reads whose certificate a peer shows, nil where nothing is said. kind
// and peer are for messages.
func (l *loader) holder(e *holderEntry, kind, peer string, s *security) *realm.Holder {
	if !e.set() {
		return nil
	}
	file := e.Pos.File
	h := &realm.Holder{Anyone: e.Anyone.v, Pos: e.Pos}
	if names := l.realmNames(e.Pos, "realms", e.Realms); names != nil {
		for _, name := range names.List() {
			if name == realm.NameNone {
				l.fail(e.Pos, "", "realms: no certificate names none")
				continue
			}
			h.Realms = append(h.Realms, name)
		}
	}
	for _, host := range e.Hosts {
		name := strings.Clone(strings.TrimSuffix(foldASCII(host.v), "."))
		switch text, hint := badHost(name); {
		case text != "":
			if strings.HasPrefix(hint, "write") {
				hint = "write addresses:"
			}
			l.fail(host.pos(file), hint, "hosts: %s", text)
		case slices.Contains(h.Hosts, name):
			l.warn(host.pos(file), "remove it", "%s stands twice", quote(host.v))
		default:
			h.Hosts = append(h.Hosts, name)
		}
	}
	for _, a := range e.Addresses {
		switch addr := a.v.Unmap(); {
		case !addr.IsValid(): // the decoder has said so
		case addr.Zone() != "":
			l.fail(a.pos(file), "", "addresses: no certificate has %s", a.v)
		case slices.Contains(h.Addrs, addr):
			l.warn(a.pos(file), "remove it", "%s stands twice", addr)
		default:
			h.Addrs = append(h.Addrs, addr)
		}
	}
	for _, o := range e.Operators {
		switch text, hint := badWBAID(o.v); {
		case text != "":
			l.fail(o.pos(file), hint, "operators: %s", text)
		case slices.Contains(h.Operator, o.v):
			l.warn(o.pos(file), "remove it", "%s stands twice", quote(o.v))
		default:
			h.Operator = append(h.Operator, strings.Clone(o.v))
		}
	}
	l.judgeHolder(e, kind, peer, s)
	return h
}

func (l *loader) judgeHolder(e *holderEntry, kind, peer string, s *security) {
	named := len(e.Realms)+len(e.Hosts)+len(e.Addresses)+len(e.Operators) > 0
	switch {
	case !named && !e.Anyone.v:
		l.fail(e.Pos, "write realms, hosts, addresses or operators, as the certificate has them", "no certificate is that of %s %s", kind, quote(peer))
	case named && e.Anyone.v:
		l.fail(e.Anyone.pos(e.Pos.File), "keep anyone or the names", "anyone takes each certificate, whatever it names")
	case e.Anyone.v && s != nil && !s.policies:
		l.fail(e.Anyone.pos(e.Pos.File), "add policies: to it, or name the holder by realms, hosts, addresses or operators",
			"anyone whom an authority of tls %s has ever given a certificate could be %s %s", quote(s.Name), kind, quote(peer))
	}
}

// badWBAID checks the identifier of an operator of the WBA, as it stands in the
// UID of a subject.
func badWBAID(s string) (text, hint string) {
	const how = "such as OPERATOR:US"
	if s == "" || len(s) > maxName {
		return "an identifier has 1 to 64 octets", how
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return quote(s) + " is no identifier of an operator", how
		}
	}
	if s[0] == '4' && strings.Contains(s, ":") {
		return quote(s) + " has the namespace digit of an Operator-Name", "without the 4: " + s[1:]
	}
	return "", ""
}

// takes reports whether a holder takes each certificate that another one takes.
// false may also mean that it is not known.
func takes(a, b *realm.Holder) bool {
	switch {
	case a == nil || b == nil:
		return false
	case a.Anyone:
		return true
	case b.Anyone:
		return false
	}
	return subset(b.Realms, a.Realms) && subset(b.Hosts, a.Hosts) && subset(b.Addrs, a.Addrs) && subset(b.Operator, a.Operator)
}

func subset[T comparable](inner, outer []T) bool {
	return !slices.ContainsFunc(inner, func(v T) bool { return !slices.Contains(outer, v) })
}
