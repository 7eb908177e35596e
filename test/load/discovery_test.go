package load

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/test/peer"
	"github.com/roamgate/roamgate/test/zone"
)

// TestDiscoveryFlood: ten visited networks ask for a thousand unknown realms a
// second in all. Each request is answered or given up by its own network, the hub
// grows by no more than 64 MiB, and a network with a realm of the files does not
// feel it; whether DNS says at once that there is nothing, or nothing at all.
func TestDiscoveryFlood(t *testing.T) {
	for _, dns := range []struct {
		name  string
		start func(t *testing.T) netip.AddrPort
	}{
		{"nothing there", emptyZone},
		{"silent", silentServer},
	} {
		t.Run(dns.name, func(t *testing.T) { floodRealms(t, dns.start(t)) })
	}
}

func emptyZone(t *testing.T) netip.AddrPort {
	at, stop, err := zone.New().Serve()
	require.NoError(t, err)
	t.Cleanup(stop)
	return at
}

// silentServer takes questions and never answers.
func silentServer(t *testing.T) netip.AddrPort {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func floodRealms(t *testing.T, dns netip.AddrPort) {
	const networks, lasts = 10, 8 * time.Second
	lab := filepath.Join(t.TempDir(), "lab")
	for _, args := range [][]string{{"cert", "new-ca", lab}, {"cert", "issue", lab, "hub", "--host", "hub.example"}} {
		out, err := exec.Command(peer.Roamgate(t), args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	homes := startHomes(t, 1, play.Script{})
	h := start(t, 1+networks, homes, func(f *play.HubFiles) {
		f.More += fmt.Sprintf("dns: {servers: [%q]}\n", dns)
		f.TLS = []play.HubTLS{{Name: "lab", Certificate: filepath.Join(lab, "hub.pem"), Key: filepath.Join(lab, "hub.key"), Authority: filepath.Join(lab, "ca.pem")}}
		f.Routes = "discoveries:\n  - {name: found, profile: openroaming, tls: lab, rate: 100}\nrealms:\n  - {realm: \"*.unknown.example\", discover: found}\n"
	})
	steady := func(seed uint64, lasts time.Duration) play.NASCounts {
		return h.visits(0, func(c *play.NASConfig) { c.Rate, c.Duration, c.Seed = scaled(500), lasts, seed }).wait()
	}
	steady(1, 2*time.Second) // what grows once has grown
	base := h.resident()
	before := steady(2, 2*time.Second)

	var floods []*visit
	for n := range networks {
		var realms []play.Realm
		for i := range 1000 {
			realms = append(realms, play.Realm{Name: fmt.Sprintf("r%d.n%d.unknown.example", i, n)})
		}
		floods = append(floods, h.visits(1+n, func(c *play.NASConfig) {
			c.Rate, c.Duration, c.Devices, c.Realms, c.Timeout, c.Retries = scaled(1000)/networks, lasts+time.Second, 100_000, realms, patience, 0
		}))
	}
	during := steady(3, lasts)
	grown := (h.resident() - base) >> 20
	var asked, answered, lost uint64
	for _, f := range floods {
		c := f.wait()
		asked, answered, lost = asked+c.Sent.All(), answered+c.Answered.All(), lost+c.Lost.All()
		assert.Zero(t, c.Accepts, "of what DNS does not know")
	}
	t.Logf("%d requests for unknown realms: %d rejected, %d lost; looked up %v, refused for too many %v, known %v; p99 of a static realm %v before, %v during; %d MiB more",
		asked, answered, lost, h.metric("roamgate_discovery_lookups_total"),
		h.metric("roamgate_discovery_lookups_total", `result="busy"`)+h.metric("roamgate_discovery_lookups_total", `result="over_quota"`),
		h.metric("roamgate_discovery_cache_entries"), before.Latency.Quantile(0.99), during.Latency.Quantile(0.99), grown)
	most := int64(64)
	if raced {
		most *= 5 // each octet has a shadow of four, and nothing is collected in time
	}
	assert.LessOrEqual(t, grown, most, "MiB")
	assert.Zero(t, before.Lost.All()+during.Lost.All(), "the static realm loses nothing")
	assert.Empty(t, during.RejectsBy)
	assert.Zero(t, lost, "each is told")
	h.quiet()
	h.servesAll(0, 0)
}
