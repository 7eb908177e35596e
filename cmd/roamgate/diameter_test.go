package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/aaa/agent"
	"github.com/roamgate/roamgate/realm"
)

const peered = "peers:\n  - {name: hss, identity: hss.epc.example, address: 192.0.2.9, applications: s6a}\npools:\n  - {name: hss, peers: hss}\nrealms:\n  - {realm: epc.example, diameter: hss}\n"

func TestDiameterConfig(t *testing.T) {
	_, path := configuration(t, map[string]string{"roamgate.yaml": "diameter: {identity: Hub.Roam.example, listen: \"127.0.0.1:0\", tls: \"127.0.0.1:0\", in_flight: 7, signalling: 5m, drain: 2s, handshake: 3s, half_open: 4, per_source: 5, most: 6, hosts: 192.0.2.1}\n"})
	c, ps := loadConfig(path)
	require.Empty(t, ps)
	a := c.agent()
	require.Len(t, a.Listen, 2)
	assert.Equal(t, realm.TCP, a.Listen[0].Transport)
	assert.Equal(t, realm.TLS, a.Listen[1].Transport)
	a.Listen = nil
	assert.Equal(t, agent.Config{Identity: "hub.roam.example", Realm: "roam.example", Hosts: c.Diameter.Hosts, InFlight: 7, Signalling: 5 * time.Minute, Drain: 2 * time.Second,
		Handshake: 3 * time.Second, HalfOpen: 4, PerSource: 5, Most: 6}, a)
	c, ps = loadConfig(configs + "/roamgate.yaml")
	require.Empty(t, ps)
	assert.Equal(t, "roamgate.example", c.agent().Realm)
	dir := t.TempDir()
	write(t, dir, map[string]string{"empty.yaml": "\n"})
	c, ps = loadConfig(dir + "/empty.yaml")
	require.Empty(t, ps)
	assert.Empty(t, c.agent().Identity, "off by default")
}

func TestDiameterMistakes(t *testing.T) {
	for name, tc := range map[string]struct{ main, realms, want string }{
		"no identity":      {"diameter: {listen: \"127.0.0.1:3868\"}\n", "", "diameter says more but has no identity"},
		"no host":          {"diameter: {identity: hub}\n", "", "no name of a host"},
		"an address":       {"diameter: {identity: 192.0.2.1}\n", "", "no name of a host"},
		"no realm":         {"diameter: {identity: a.example, realm: default}\n", "", "no realm that a node is in"},
		"host address":     {"diameter: {identity: a.example, hosts: [\"0.0.0.0\"]}\n", "", "no address of a host"},
		"in flight":        {"diameter: {identity: a.example, in_flight: -1}\n", "", "diameter.in_flight is out of range"},
		"drain":            {"diameter: {identity: a.example, drain: 2h}\n", "", "diameter.drain 2h0m0s is out of range"},
		"handshake":        {"diameter: {identity: a.example, handshake: 1ms}\n", "", "diameter.handshake 1ms is out of range"},
		"twice":            {"listen: {tcp: [\"127.0.0.1:3868\"]}\ndiameter: {identity: a.example, listen: [\"127.0.0.1:3868\"]}\n", "", "is listened on twice"},
		"signalling":       {"diameter: {identity: a.example, signalling: 1s}\n", "", "diameter.signalling 1s is out of range (1m to 24h)"},
		"twice by SCTP":    {"diameter: {identity: a.example, listen: [\"127.0.0.1:3868\"], sctp: [\"127.0.0.1:3868\", \"127.0.0.1:3868\"]}\n", "", "is listened on twice (it stands at"},
		"own identity":     {"diameter: {identity: HSS.epc.example}\n", peered, "has the identity of the hub"},
		"peers and none":   {"\n", peered, "1 peer, and the hub speaks no Diameter"},
		"gateway and none": {"\n", "homes: [{name: g, transport: diameter}]\npools: [{name: g, homes: g}]\nrealms: [{realm: a.example, auth: g}]\n", `home "g" is to speak Diameter, and the hub speaks none`},
		"no door": {"diameter: {identity: a.example}\n", "peers: [{name: p, identity: p.example, from: 192.0.2.1}]\nrealms: [{realm: a.example, diameter: {action: reject}}]\n",
			`peer "p" connects by tcp, and nothing listens for it (add diameter.listen`},
		"nobody": {"diameter: {identity: a.example, tls: [\"127.0.0.1:5868\"]}\n", peered, "no peer comes by tls: nobody may connect"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"roamgate.yaml": tc.main}
			if tc.realms != "" {
				files["realms/d.yaml"] = tc.realms
			}
			_, path := configuration(t, files)
			r := command("check", path)
			assert.Contains(t, r.out+r.errs, tc.want)
		})
	}
}
