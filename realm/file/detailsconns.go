package file

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/roamgate/roamgate/realm"
)

func securitiesOf(s *realm.Set) []object[*realm.Security] {
	return objectsOf(s.Securities, func(v **realm.Security) (string, realm.Pos) { return (*v).Name, (*v).Pos })
}

func discoveriesOf(s *realm.Set) []object[*realm.Discovery] {
	return objectsOf(s.Discoveries, func(v **realm.Discovery) (string, realm.Pos) { return (*v).Name, (*v).Pos })
}

// securityFields tell versions of certificates and lists apart by the beginning
// of their hashes; keys are only known by their certificates.
var securityFields = []property[*realm.Security]{
	{"certificate", func(_ *realm.Set, s **realm.Security) string {
		if c := (*s).Credential; c != nil {
			return fmt.Sprintf("%x", c.Hash[:6])
		}
		return ""
	}},
	{"authorities", func(_ *realm.Set, s **realm.Security) string {
		if t := (*s).Trust; t != nil {
			return fmt.Sprintf("%x", t.Hash[:6])
		}
		return ""
	}},
	{"versions", func(_ *realm.Set, s **realm.Security) string { return strings.Join((*s).Versions, ", ") }},
	{"min_version", func(_ *realm.Set, s **realm.Security) string {
		return strings.TrimPrefix(tls.VersionName((*s).MinVersion), "TLS ")
	}},
}

var discoveryFields = []property[*realm.Discovery]{
	{"auth", func(_ *realm.Set, d **realm.Discovery) string { return strings.Join((*d).Auth, ", ") }},
	{"accounting", func(_ *realm.Set, d **realm.Discovery) string { return strings.Join((*d).Acct, ", ") }},
	{"srv", func(_ *realm.Set, d **realm.Discovery) string { return strconv.FormatBool((*d).SRV) }},
	{"tls", func(_ *realm.Set, d **realm.Discovery) string { return securityText((*d).Security) }},
	{"certificate", func(_ *realm.Set, d **realm.Discovery) string {
		if (*d).Hosts {
			return "host"
		}
		return "realm"
	}},
	{"public_3gpp", func(_ *realm.Set, d **realm.Discovery) string { return strconv.FormatBool((*d).Public) }},
	{"private", func(_ *realm.Set, d **realm.Discovery) string { return join((*d).Private) }},
	{"ports", func(_ *realm.Set, d **realm.Discovery) string {
		var words []string
		for _, p := range (*d).Ports {
			words = append(words, strconv.Itoa(int(p)))
		}
		return strings.Join(words, ", ")
	}},
	{"group", func(_ *realm.Set, d **realm.Discovery) string { return groupText((*d).Group) }},
	{"realms", func(_ *realm.Set, d **realm.Discovery) string { return namesText((*d).Realms) }},
	{"in", func(_ *realm.Set, d **realm.Discovery) string { return filterText((*d).In) }},
	{"out", func(_ *realm.Set, d **realm.Discovery) string { return filterText((*d).Out) }},
	{"timers", func(_ *realm.Set, d **realm.Discovery) string { return timersText((*d).Timers) }},
	{"breaker", func(_ *realm.Set, d **realm.Discovery) string { return strconv.FormatBool((*d).Breaker) }},
	{"peers", func(_ *realm.Set, d **realm.Discovery) string { return strconv.Itoa((*d).Peers) }},
	{"rate", func(_ *realm.Set, d **realm.Discovery) string { return strconv.Itoa((*d).Rate) }},
	{"idle", func(_ *realm.Set, d **realm.Discovery) string { return (*d).Idle.String() }},
}

func securityText(s *realm.Security) string {
	if s == nil {
		return ""
	}
	return s.Name
}

func discoveryName(d *realm.Discovery) string {
	if d == nil {
		return ""
	}
	return d.Name
}

func timersText(t realm.Timers) string {
	return fmt.Sprintf("irt %s, mrt %s, mrd %s, mrc %d", t.IRT, t.MRT, t.MRD, t.MRC)
}

func holderText(h *realm.Holder) string {
	if h == nil {
		return ""
	}
	var parts []string
	add := func(key string, words []string) {
		if len(words) > 0 {
			parts = append(parts, key+" "+strings.Join(words, ", "))
		}
	}
	add("realms", h.Realms)
	add("hosts", h.Hosts)
	var addrs []string
	for _, a := range h.Addrs {
		addrs = append(addrs, a.String())
	}
	slices.Sort(addrs)
	add("addresses", addrs)
	add("operators", h.Operator)
	if h.Anyone {
		parts = append(parts, "anyone")
	}
	return strings.Join(parts, "; ")
}
