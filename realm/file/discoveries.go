package file

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/roamgate/roamgate/realm"
)

// discoveryEntry finds homes by DNS (RFC 7585).
type discoveryEntry struct {
	Pos         realm.Pos          `yaml:",pos"`
	Name        at[string]         `yaml:"name,required"`
	Profile     at[string]         `yaml:"profile" words:"openroaming|eduroam"`
	Auth        []at[string]       `yaml:"auth"`
	Accounting  []at[string]       `yaml:"accounting"`
	SRV         at[bool]           `yaml:"srv"`
	TLS         at[string]         `yaml:"tls"`
	Certificate at[string]         `yaml:"certificate" words:"realm|host"`
	Public3GPP  at[bool]           `yaml:"public_3gpp"`
	Private     []at[netip.Prefix] `yaml:"private"`
	Ports       []at[uint16]       `yaml:"ports"`
	Group       at[string]         `yaml:"group"`
	Realms      []at[string]       `yaml:"realms"`
	In          at[string]         `yaml:"in"`
	Out         at[string]         `yaml:"out"`
	Timers      timersEntry        `yaml:"timers"`
	Breaker     at[bool]           `yaml:"breaker"`
	Peers       at[int]            `yaml:"peers"`
	Rate        at[int]            `yaml:"rate"`
	Idle        at[time.Duration]  `yaml:"idle"`
}

func (e *discoveryEntry) SetDefaults() {
	e.Breaker.v = true
	e.Timers = usualTimers()
	e.Peers.v, e.Rate.v, e.Idle.v = 256, 10, 10*time.Minute
}

// tags are the S-NAPTR service tags of federations. eduroam has one for
// everything, and its members take no accounting from each other.
var tags = map[string]struct{ auth, acct []string }{
	"openroaming": {[]string{"aaa+auth:radius.tls.tcp"}, []string{"aaa+acct:radius.tls.tcp"}},
	"eduroam":     {auth: []string{"x-eduroam:radius.tls"}},
}

// Tags are the service tags of a federation that a profile stands for.
func Tags(profile string) (auth, acct []string, ok bool) {
	t, ok := tags[profile]
	return t.auth, t.acct, ok
}

const (
	maxTags  = 8
	maxPeers = 1024
	maxRate  = 10_000
	minIdle  = 10 * time.Second
	maxIdle  = 24 * time.Hour
)

func (l *loader) discovery(e *discoveryEntry) {
	if e.Pos.Line == 0 || !l.name(e.Pos, e.Name) {
		return
	}
	file := e.Pos.File
	d := &realm.Discovery{Name: strings.Clone(e.Name.v), SRV: e.SRV.v, Breaker: e.Breaker.v, Pos: e.Pos}
	if first, twice := l.discoveries[d.Name]; twice {
		l.twice(e.Name.pos(file), first.Pos, "discovery", d.Name)
		return
	}
	l.discoveries[d.Name] = d
	l.set.Discoveries = append(l.set.Discoveries, d)
	l.tagsOf(e, d)
	if s := l.securityOf(e.Pos, "discovery", d.Name, e.TLS); s != nil {
		d.Security = s.Security
		if !s.own {
			l.fail(e.Pos, "add certificate: and key: to it", "discovery %s cannot connect: tls %s has no certificate to show", quote(d.Name), quote(s.Name))
		}
	}
	d.Hosts = choose(l, e.Pos, "certificate", e.Certificate, false, []string{"realm", "host"}, false, true)
	d.Public = e.Public3GPP.v || !e.Public3GPP.set() && e.Profile.v == "openroaming"
	d.Timers = l.timers(e.Pos, &e.Timers)
	l.targets(e, d)
	l.discoveryRules(e, d)
	bound := func(key string, n at[int], most int) int {
		if n.v < 1 || n.v > most {
			l.fail(n.pos(file), "", "%s is not in 1 to %d", key, most)
		}
		return n.v
	}
	d.Peers, d.Rate = bound("peers", e.Peers, maxPeers), bound("rate", e.Rate, maxRate)
	if d.Idle = e.Idle.v; d.Idle < minIdle || d.Idle > maxIdle {
		l.fail(e.Idle.pos(file), "10m is usual", "idle is not in %s to %s", minIdle, maxIdle)
	}
}

// tagsOf reads what is looked for: the tags of a federation, or its own.
func (l *loader) tagsOf(e *discoveryEntry, d *realm.Discovery) {
	preset := choose(l, e.Pos, "profile", e.Profile, tags[""], []string{"openroaming", "eduroam"}, tags["openroaming"], tags["eduroam"])
	d.Auth, d.Acct = preset.auth, preset.acct
	if e.Auth != nil {
		d.Auth = l.tagList(e.Pos.File, "auth", e.Auth)
	}
	if e.Accounting != nil {
		d.Acct = l.tagList(e.Pos.File, "accounting", e.Accounting)
	}
	if !e.Profile.set() && len(e.Auth)+len(e.Accounting) == 0 {
		l.fail(e.Pos, "write profile: openroaming, profile: eduroam, or auth: with the tags of the federation", "discovery %s does not say what to look for", quote(d.Name))
	}
}

func (l *loader) tagList(file, key string, list []at[string]) (tags []string) {
	for _, t := range list {
		pos := t.pos(file)
		switch text, hint := badTag(t.v); {
		case text != "":
			l.fail(pos, hint, "%s: %s", key, text)
		case slices.Contains(tags, t.v):
			l.warn(pos, "remove it", "%s stands twice", quote(t.v))
		case len(tags) == maxTags:
			l.fail(pos, "", "%s has more than %d tags", key, maxTags)
		default:
			tags = append(tags, foldASCII(strings.Clone(t.v)))
		}
	}
	return tags
}

// badTag checks an S-NAPTR service tag (RFC 3958 section 6.5, RFC 7585 section
// 2.1.1) of RADIUS over TLS.
func badTag(s string) (text, hint string) {
	const how = "such as aaa+auth:radius.tls.tcp"
	service, protocol, ok := strings.Cut(foldASCII(s), ":")
	if !ok || service == "" || len(service) > 32 || len(protocol) > 32 {
		return quote(s) + " is no service tag", how
	}
	for i := range len(service) {
		c := service[i]
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return quote(s) + " is no service tag", how
		}
	}
	switch protocol {
	case "radius.tls.tcp", "radius.tls":
		return "", ""
	case "radius.dtls.udp", "radius.dtls", "radius.udp":
		return quote(s) + " is not of RADIUS over TLS, which is what is connected to", how
	}
	return quote(s) + " is no service tag of RADIUS", how
}

// targets reads where homes that were found may be.
func (l *loader) targets(e *discoveryEntry, d *realm.Discovery) {
	file := e.Pos.File
	for _, p := range e.Private {
		if !p.v.IsValid() {
			continue // the decoder has said so
		}
		if p.v.Bits() == 0 {
			l.fail(p.pos(file), "name the ranges", "private: whoever has a realm could have the hub connect to anything inside")
			continue
		}
		if masked := p.v.Masked(); masked != p.v {
			l.warn(p.pos(file), "write "+masked.String(), "%s has bits behind the prefix", p.v)
		}
		if public(p.v) {
			l.warn(p.pos(file), "remove it", "private: %s is public, and allowed without it", p.v)
		}
		d.Private = append(d.Private, p.v.Masked())
	}
	for _, p := range e.Ports {
		switch {
		case p.v == 0:
			l.fail(p.pos(file), "such as 2083", "ports: 0 is no port")
		case slices.Contains(d.Ports, p.v):
			l.warn(p.pos(file), "remove it", "%d stands twice", p.v)
		default:
			d.Ports = append(d.Ports, p.v)
		}
	}
}

// discoveryRules reads what it has of its own or of its group.
func (l *loader) discoveryRules(e *discoveryEntry, d *realm.Discovery) {
	if g := l.groupOf(e.Pos, e.Group); g != nil {
		g.homes++
		d.Group, d.Realms, d.In, d.Out = g.Group, g.realms, g.in, g.out
	}
	if e.Realms != nil {
		d.Realms = l.realmNames(e.Pos, "realms", e.Realms)
	}
	if e.In.set() {
		d.In = l.filter(e.Pos, e.In)
	}
	if e.Out.set() {
		d.Out = l.filter(e.Pos, e.Out)
	}
}

// discover finds the discovery that a route names, nil if there is none.
func (l *loader) discover(e *realmEntry) *realm.Discovery {
	if !e.Discover.set() {
		return nil
	}
	pos := e.Discover.pos(e.Pos.File)
	d, known := l.discoveries[e.Discover.v]
	switch {
	case !known && l.partial:
	case !known:
		l.fail(pos, meant(e.Discover.v, l.discoveries, "add it under discoveries:"), "discovery %s does not exist", quote(e.Discover.v))
	case e.Auth.set() && e.Accounting.set():
		l.fail(pos, "keep discover, or the pools", "the homes are named: there is nothing to discover")
	case e.Auth.set() && len(d.Acct) == 0:
		l.fail(pos, "give it accounting: with a tag, or remove discover", "discovery %s finds no home for accounting", quote(d.Name))
	case !e.Auth.set() && len(d.Auth) == 0:
		l.warn(pos, "give it auth: with a tag", "discovery %s finds no home for authentication: every Access-Request is rejected", quote(d.Name))
	}
	return d
}
