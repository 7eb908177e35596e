package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/file"
)

// diameterConfig says who the hub is to its Diameter peers, which stand in the
// routing files. Without an identity it speaks no Diameter.
type diameterConfig struct {
	Identity string           `yaml:"identity"`  // Origin-Host, a name of a host
	Realm    string           `yaml:"realm"`     // Origin-Realm; default the identity without its first label
	Listen   []netip.AddrPort `yaml:"listen"`    // over TCP, usually port 3868; default none
	TLS      []netip.AddrPort `yaml:"tls"`       // over TLS, usually port 5868; default none
	SCTP     []netip.AddrPort `yaml:"sctp"`      // where the kernel has it, usually port 3868; default none
	Hosts    []netip.Addr     `yaml:"hosts"`     // Host-IP-Address; default that of the connection
	InFlight int              `yaml:"in_flight"` // requests that wait for an answer, default 65536
	// Signalling is how long signalling and non-IP data of a device are counted for one
	// record, default an hour.
	Signalling time.Duration `yaml:"signalling"`
	Drain      time.Duration `yaml:"drain"`      // how long peers get to answer when the hub stops, default 5s
	Handshake  time.Duration `yaml:"handshake"`  // of TLS and capabilities, default 10s
	HalfOpen   int           `yaml:"half_open"`  // of those at a time, default 1024
	PerSource  int           `yaml:"per_source"` // of them from one /24 or /56, default 64
	Most       int           `yaml:"most"`       // connections in all, default 16384
}

// on reports whether the hub speaks Diameter.
func (d *diameterConfig) on() bool { return d.Identity != "" }

// doors lists where peers connect to.
func (d *diameterConfig) doors() (as []listen.Address) {
	for _, of := range []struct {
		by   realm.Transport
		list []netip.AddrPort
	}{{realm.TCP, d.Listen}, {realm.TLS, d.TLS}, {realm.SCTP, d.SCTP}} {
		for _, a := range of.list {
			as = append(as, listen.Address{Service: listen.Every, Addr: a, Transport: of.by})
		}
	}
	return as
}

// agent is the configuration of the Diameter walk. Its Identity is empty where the
// hub speaks none.
func (c *config) agent() agent.Config {
	d := &c.Diameter
	home := strings.ToLower(d.Realm)
	identity := strings.ToLower(d.Identity)
	if home == "" {
		_, home, _ = strings.Cut(identity, ".")
	}
	return agent.Config{
		Identity: identity, Realm: home, Hosts: d.Hosts, DNS: c.DNS.Servers, Listen: d.doors(), InFlight: d.InFlight, Signalling: d.Signalling, Drain: d.Drain,
		Handshake: d.Handshake, HalfOpen: d.HalfOpen, PerSource: d.PerSource, Most: d.Most,
	}
}

func (c *config) checkDiameter(f *findings) {
	d := &c.Diameter
	if !d.on() {
		if len(d.doors()) > 0 || d.Realm != "" || d.InFlight != 0 || d.Drain != 0 || d.Signalling != 0 {
			f.bad("diameter", "diameter says more but has no identity", "add diameter.identity, a name of this host")
		}
		return
	}
	if text, hint := file.Identity(d.Identity); text != "" {
		f.bad("diameter.identity", "diameter.identity: "+text, hint)
	}
	if d.Realm != "" {
		if text, hint := file.Realm(d.Realm); text != "" {
			f.bad("diameter.realm", fmt.Sprintf("diameter.realm %q: %s", d.Realm, text), hint)
		}
	}
	for i, a := range d.Hosts {
		if a.IsUnspecified() || a.IsMulticast() {
			f.bad(fmt.Sprintf("diameter.hosts.%d", i), fmt.Sprintf("%s is no address of a host", a), "leave it out: peers get that of the connection")
		}
	}
	f.size("diameter.in_flight", d.InFlight, 1<<20)
	f.size("diameter.half_open", d.HalfOpen, 1<<16)
	f.size("diameter.per_source", d.PerSource, 1<<16)
	f.size("diameter.most", d.Most, 1<<20)
	f.between("diameter.drain", d.Drain, 100*time.Millisecond, time.Minute, "100ms to 1m")
	f.between("diameter.signalling", d.Signalling, time.Minute, 24*time.Hour, "1m to 24h")
	f.between("diameter.handshake", d.Handshake, time.Second, 2*time.Minute, "1s to 2m")
}

// unspoken finds peers where the hub speaks no Diameter, those that no door is open
// for, and doors that nobody may come by.
func (c *config) unspoken(set *realm.Set) (ps file.Problems) {
	warn := func(pos realm.Pos, hint, format string, args ...any) {
		ps = append(ps, file.Problem{Pos: pos, Severity: file.Warning, Text: fmt.Sprintf(format, args...), Hint: hint})
	}
	d := &c.Diameter
	if !d.on() {
		if len(set.Peers) > 0 {
			warn(set.Peers[0].Pos, "add diameter: with an identity to the main file", "%s, and the hub speaks no Diameter", count(len(set.Peers), "peer"))
		}
		for i := range set.Homes {
			if h := &set.Homes[i]; h.Transport == realm.Diameter && len(set.Peers) == 0 {
				warn(h.Pos, "add diameter: with an identity to the main file", "home %q is to speak Diameter, and the hub speaks none", h.Name)
			}
		}
		return ps
	}
	doors := d.doors()
	open, come := map[realm.Transport]bool{}, map[realm.Transport]bool{}
	for _, a := range doors {
		open[a.Transport] = true
	}
	for i := range set.Peers {
		p := &set.Peers[i]
		if come[p.Transport] = true; p.Identity == strings.ToLower(d.Identity) {
			ps = append(ps, file.Problem{Pos: p.Pos, Severity: file.Error, Text: fmt.Sprintf("peer %q has the identity of the hub", p.Name),
				Hint: "diameter.identity of the main file is " + p.Identity})
		}
		if !open[p.Transport] && len(p.Addresses) == 0 && p.Host == "" && !p.Disabled {
			key := map[realm.Transport]string{realm.TCP: "listen", realm.TLS: "tls", realm.SCTP: "sctp"}[p.Transport]
			warn(p.Pos, "add diameter."+key+" to the main file, or an address to the peer", "peer %q connects by %s, and nothing listens for it", p.Name, p.Transport)
		}
	}
	for i, a := range doors {
		if !come[a.Transport] && (i == 0 || doors[i-1].Transport != a.Transport) {
			key := map[realm.Transport]string{realm.TCP: "listen", realm.TLS: "tls", realm.SCTP: "sctp"}[a.Transport]
			warn(c.doc.Pos("diameter."+key), "add one with transport: "+a.Transport.String(), "no peer comes by %s: nobody may connect", a.Transport)
		}
	}
	return ps
}
