package file

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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

var peerFields = []property[realm.Peer]{
	{"identity", func(_ *realm.Set, p *realm.Peer) string { return p.Identity }},
	{"realm", func(_ *realm.Set, p *realm.Peer) string { return p.Realm }},
	{"origins", func(_ *realm.Set, p *realm.Peer) string { return namesText(p.Origins) }},
	{"takes", func(_ *realm.Set, p *realm.Peer) string { return namesText(p.Realms) }},
	{"applications", func(_ *realm.Set, p *realm.Peer) string {
		return strings.Join(named(p.Applications, ApplicationName), ", ")
	}},
	{"transport", func(_ *realm.Set, p *realm.Peer) string { return p.Transport.String() }},
	{"tls", func(_ *realm.Set, p *realm.Peer) string { return securityText(p.Security) }},
	{"certificate", func(_ *realm.Set, p *realm.Peer) string { return holderText(p.Holder) }},
	{"address", func(_ *realm.Set, p *realm.Peer) string { return join(p.Addresses) }},
	{"host", func(_ *realm.Set, p *realm.Peer) string { return p.Host }},
	{"port", func(_ *realm.Set, p *realm.Peer) string { return numberText(int(p.Port)) }},
	{"from", func(_ *realm.Set, p *realm.Peer) string { return join(p.From) }},
	{"connections", func(_ *realm.Set, p *realm.Peer) string { return numberText(p.Connections) }},
	{"watchdog", func(_ *realm.Set, p *realm.Peer) string { return durationText(p.Watchdog) }},
	{"retry", func(_ *realm.Set, p *realm.Peer) string { return durationText(p.Retry) }},
	{"rate", func(_ *realm.Set, p *realm.Peer) string { return numberText(p.Rate) }},
	{"burst", func(_ *realm.Set, p *realm.Peer) string { return numberText(p.Burst) }},
	{"queue", func(_ *realm.Set, p *realm.Peer) string { return numberText(p.Queue) }},
	{"in_flight", func(_ *realm.Set, p *realm.Peer) string { return numberText(p.InFlight) }},
	{"hide_topology", func(_ *realm.Set, p *realm.Peer) string { return strconv.FormatBool(p.HideTopology) }},
	{"screening", func(_ *realm.Set, p *realm.Peer) string {
		if p.Screening == nil {
			return ""
		}
		return p.Screening.Name
	}},
	{"disabled", func(_ *realm.Set, p *realm.Peer) string { return strconv.FormatBool(p.Disabled) }},
	{"drain", func(_ *realm.Set, p *realm.Peer) string { return strconv.FormatBool(p.Drain) }},
	{"group", func(_ *realm.Set, p *realm.Peer) string { return groupText(p.Group) }},
	{"operator", ofClient(func(c *realm.Client) string { return c.Operator })},
	{"operators", ofClient(func(c *realm.Client) string { return strings.Join(c.Operators, ", ") })},
	{"country", ofClient(func(c *realm.Client) string { return c.Country })},
	{"realms", ofClient(func(c *realm.Client) string { return namesText(c.Realms) })},
	{"protected", ofClient(func(c *realm.Client) string { return strconv.FormatBool(c.Protected) })},
}

// ofClient is a field that stands in the client of a peer.
func ofClient(text func(c *realm.Client) string) func(*realm.Set, *realm.Peer) string {
	return func(s *realm.Set, p *realm.Peer) string { return text(&s.Clients[p.Client]) }
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
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
