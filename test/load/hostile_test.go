package load

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/test/peer"
)

// Realms that nobody has an agreement with, ever new ones.
func TestRandomRealms(t *testing.T) {
	h := start(t, 2, startHomes(t, 1, play.Script{}), nil)
	const lasting = 2 * time.Second
	strange := make([]play.Realm, 4000)
	for i := range strange {
		strange[i] = play.Realm{Name: fmt.Sprintf("x%08x.example", rand.Uint32())}
	}
	f := h.visits(0, func(c *play.NASConfig) { c.Window, c.Duration, c.Realms, c.Devices = 256, lasting, strange, 1<<40 })
	c := h.visits(1, func(c *play.NASConfig) { c.Duration, c.Retries = lasting, 0 }).wait()
	refused := f.wait()
	series, err := h.get("/metrics")
	require.NoError(t, err)
	t.Logf("%.0f/s for unknown realms, all rejected; real ones: %d answered, %d lost, p99 %v; %d lines of metrics, %d MiB more",
		rate(refused.Sent.All(), lasting), c.Answered.All(), c.Lost.All(), c.Latency.Quantile(0.99), strings.Count(series, "\n"), h.grown())
	assert.Equal(t, refused.Answered.All(), refused.Rejects)
	assert.Equal(t, refused.Rejects, refused.RejectsBy["no roaming agreement for this realm"]+refused.RejectsBy["no agreement"])
	assert.Equal(t, c.Sent.All(), c.Accepts)
	assert.NotContains(t, series, "x0", "a realm of a stranger makes no series")
	h.quiet()
	h.servesAll(1, 0)
}

// Devices that no store knows, ever new ones, and a store that then goes
// away: the real ones have stayed in memory.
func TestRandomDevices(t *testing.T) {
	redis := peer.StartRedis(t, false)
	homes := startHomes(t, 1, play.Script{})
	h := start(t, 2, homes, func(f *play.HubFiles) {
		f.Redis = redis.Addr.String()
		f.More += "policy: {budget: 1s}\n"
		f.Realms[0].Policy, f.Realms[0].UnknownDevice = true, "reject"
	})
	const known, lasting = 200, 3 * time.Second
	h.importDevices(known)
	real := func(edit func(*play.NASConfig)) play.NASCounts {
		return h.visits(1, func(c *play.NASConfig) {
			c.Devices, c.Retries = known, 0
			edit(c)
		}).wait()
	}
	peer.Eventually(t, limit, "every real device is known", func() bool {
		return real(func(c *play.NASConfig) { c.Total = known }).Accepts == known
	})
	f := h.visits(0, func(c *play.NASConfig) { c.Window, c.Duration, c.First, c.Devices = 256, lasting, 1000000, 1<<40 })
	c := real(func(c *play.NASConfig) { c.Duration = lasting })
	refused := f.wait()
	redis.Stop()
	away := real(func(c *play.NASConfig) { c.Total = known })
	t.Logf("%.0f/s for unknown devices, %v; real ones: %d answered, %d lost, p99 %v, and %d of %d without the store; %d MiB more",
		rate(refused.Sent.All(), lasting), refused.RejectsBy, c.Answered.All(), c.Lost.All(), c.Latency.Quantile(0.99), away.Accepts, known, h.grown())
	assert.Zero(t, refused.Accepts)
	assert.Equal(t, c.Sent.All(), c.Accepts)
	assert.EqualValues(t, known, away.Accepts, "real devices stay in memory")
	h.quiet()
}

// importDevices writes the first devices of a NAS into the store.
func (h *hub) importDevices(n uint64) {
	h.t.Helper()
	var b strings.Builder
	b.WriteString("profiles:\n  - {name: meter}\ndevices:\n")
	nas, err := play.NewNAS(play.NASConfig{Auth: h.auth, Secret: []byte("x"), Devices: n, Realms: toRealm(0), Sockets: 1, Total: 1})
	require.NoError(h.t, err)
	for i := range n {
		fmt.Fprintf(&b, "  - {mac: %q, profile: meter}\n", nas.Device(i).MAC)
	}
	nas.Stop()
	require.NoError(h.t, nas.Run(h.t.Context()))
	file := filepath.Join(h.t.TempDir(), "policies.yaml")
	require.NoError(h.t, os.WriteFile(file, []byte(b.String()), 0o600))
	out, err := exec.Command(peer.Roamgate(h.t), "policy", "import", file, "--config", filepath.Join(h.dir, "roamgate.yaml")).CombinedOutput()
	require.NoError(h.t, err, "%s", out)
}

// Datagrams that are no packets, from a client, from a stranger, and to the
// other port, in full batches of every size up to what UDP carries.
func TestMalformedFlood(t *testing.T) {
	h := start(t, 3, startHomes(t, 1, play.Script{}), nil)
	const lasting = 2 * time.Second
	junk := malformed(clientSecret(0))
	floods := []*flood{
		startFlood(t, clientAddr(0), h.auth, 0, [][][]byte{junk}),
		startFlood(t, clientAddr(99), h.auth, 0, [][][]byte{junk}),
		startFlood(t, clientAddr(1), h.acct, 0, [][][]byte{junk}),
	}
	c := h.visits(2, func(c *play.NASConfig) {
		c.Rate, c.Duration, c.Retries = scaled(400), lasting, 3
		c.Timeout = time.Second
	}).wait()
	sent := uint64(0)
	for _, f := range floods {
		sent += f.end()
	}
	dropped := h.metric("roamgate_dropped_total") + h.metric("roamgate_unknown_client_packets_total")
	t.Logf("%.0f/s that are no packets, %.0f of them read; a real client: %d answered, %d repeated, %d lost, p99 %v; %d MiB more",
		rate(sent, lasting), dropped, c.Answered.All(), c.Retransmitted.All(), c.Lost.All(), c.Latency.Quantile(0.99), h.grown())
	assert.NotZero(t, dropped)
	assert.Zero(t, c.Rejects)
	lost := float64(c.Lost.All()) / float64(c.Sent.All())
	assert.Less(t, lost, 0.2)
	h.quiet()
	h.servesAll(2, 0)
}

// malformed makes datagrams that look more or less like requests.
func malformed(secret string) (out [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	good := requests(1, 64, secret, realmOf(0))[0]
	for i, b := range good {
		cut := append([]byte(nil), b[:20+r.IntN(len(b)-20)]...)
		long := append(append([]byte(nil), b...), noise(r.IntN(3000))...)
		lies := append([]byte(nil), b...)
		lies[2], lies[3] = 0xff, 0xff
		attr := append([]byte(nil), b...)
		attr[21] = byte(i) // the length of the first attribute
		forged := append([]byte(nil), b...)
		forged[len(forged)-1] ^= 1
		full := append([]byte(nil), noise(4096)...)
		full[0], full[2], full[3] = 1, 0x10, 0
		out = append(out, cut, long, lies, attr, forged, full, noise(r.IntN(4096)), noise(1), nil)
	}
	return out
}
