package load

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/test/peer"
)

const (
	homeSecret = "load-home-secret-0123456789"
	password   = "correct-horse-1"
	limit      = time.Minute // of every wait for an event
	// patience is how long a request waits that nothing may lose: how fast its answer
	// comes is the machine's, and is told, not judged.
	patience  = 20 * time.Second
	realmName = "home.example"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// scaled is a rate that suits the race detector too.
func scaled(n float64) float64 {
	if raced {
		return n / 8
	}
	return n
}

// hub is a running roamgate.
type hub struct {
	*peer.Process
	t                 testing.TB
	auth, acct, admin netip.AddrPort
	dir               string
	base              int64 // octets resident once it was ready
}

// client is the i-th visited network; each has an address of its own.
func client(i int) play.HubClient {
	return play.HubClient{Name: fmt.Sprintf("visited-%d", i), Address: clientAddr(i).String(), Secret: clientSecret(i)}
}

func clientAddr(i int) netip.Addr   { return netip.AddrFrom4([4]byte{127, 0, 1, byte(1 + i)}) }
func clientSecret(i int) string     { return fmt.Sprintf("load-visited-secret-%02d", i) }
func realmOf(home int) string       { return fmt.Sprintf("r%d.%s", home, realmName) }
func homeName(i int) string         { return fmt.Sprintf("home-%d", i) }
func toRealm(home int) []play.Realm { return []play.Realm{{Name: realmOf(home)}} }

// start starts a hub with that many clients and a pool and a realm for each
// home.
func start(t testing.TB, clients int, homes []*play.Home, edit func(*play.HubFiles)) *hub {
	t.Helper()
	h := &hub{t: t, auth: peer.Port(t), acct: peer.Port(t), admin: peer.Port(t), dir: t.TempDir()}
	files := play.HubFiles{Auth: h.auth, Acct: h.acct, Admin: h.admin, LogLevel: "warn", More: "shards: 2\n"}
	for i := range clients {
		files.Clients = append(files.Clients, client(i))
	}
	for i, home := range homes {
		name := homeName(i)
		files.Homes = append(files.Homes, play.HubHome{Name: name, Auth: home.Auth(), Acct: home.Acct(), Secret: homeSecret, StatusServer: true})
		files.Pools = append(files.Pools, play.HubPool{Name: name, Homes: []string{name}})
		files.Realms = append(files.Realms, play.HubRealm{Realm: []string{realmOf(i)}, Auth: name, Accounting: name})
	}
	files.Realms = append(files.Realms, play.HubRealm{Realm: []string{"default"}, Reject: "no agreement"})
	if edit != nil {
		edit(&files)
	}
	config, err := files.Write(h.dir)
	require.NoError(t, err)
	h.Process = peer.Start(t, "roamgate", exec.Command(peer.Roamgate(t), "serve", "--config", config))
	peer.Eventually(t, limit, "the hub is ready", func() bool {
		require.False(t, h.Ended(), "the hub ended:\n%s", h.Output())
		_, err := h.get("/readyz")
		return err == nil
	})
	h.base = h.resident()
	return h
}

// startHomes plays n homes that behave alike.
func startHomes(t testing.TB, n int, s play.Script) []*play.Home {
	t.Helper()
	homes := make([]*play.Home, n)
	for i := range homes {
		h, err := play.StartHome(play.HomeConfig{
			Name: homeName(i), Auth: loopback, Acct: loopback, Secret: []byte(homeSecret), Password: password, Seed: uint64(i + 1), Script: s,
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, h.Close()) })
		homes[i] = h
	}
	return homes
}

// visit is a visited network at work.
type visit struct {
	t    testing.TB
	nas  *play.NAS
	done chan error
}

// visits begins the work of client i. Unless edit says otherwise it is a
// gentle closed loop without end, and each request is sent once more only if
// it was lost on its way.
func (h *hub) visits(i int, edit func(*play.NASConfig)) *visit {
	h.t.Helper()
	c := play.NASConfig{
		Name: fmt.Sprintf("nas-%d", i), Auth: h.auth, Bind: clientAddr(i), Secret: []byte(clientSecret(i)),
		Window: 8, Devices: 1000, Realms: toRealm(0), Password: password, Operator: "1visited.example", ProxyState: true,
		Timeout: patience, Retries: 2, Seed: uint64(i + 1),
	}
	if edit != nil {
		edit(&c)
	}
	n, err := play.NewNAS(c)
	require.NoError(h.t, err)
	v := &visit{t: h.t, nas: n, done: make(chan error, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), 2*limit)
	h.t.Cleanup(cancel)
	go func() { v.done <- n.Run(ctx) }()
	return v
}

// wait waits for the end of the work: every request has one outcome, and no
// answer was wrong. An answer that comes after its request was given up is
// late, not wrong; it looks like one to somebody else's request.
func (v *visit) wait() play.NASCounts {
	v.t.Helper()
	require.NoError(v.t, <-v.done)
	c := v.nas.Snapshot()
	require.True(v.t, c.AddsUp(), "sent %v, answered %v, lost %v", c.Sent, c.Answered, c.Lost)
	wrong := c.Flaws
	late := wrong[play.FlawUnexpected] + wrong[play.FlawAuthenticator]
	wrong[play.FlawUnexpected], wrong[play.FlawAuthenticator] = 0, 0
	assert.Zero(v.t, wrong.All(), "wrong answers: %v", wrong)
	assert.LessOrEqual(v.t, late, c.Lost.All()+c.Retransmitted.All(), "answers that nobody asked for")
	return c
}

// pause lets that much time go by under load.
func (h *hub) pause(d time.Duration) {
	h.t.Helper()
	select {
	case <-time.After(d):
	case <-h.t.Context().Done():
	}
	require.False(h.t, h.Ended(), "the hub ended")
}

// servesAll says that nothing of what was is left: a gentle closed loop to
// each home is accepted to the last request.
func (h *hub) servesAll(from int, homes ...int) {
	h.t.Helper()
	for _, home := range homes {
		c := h.visits(from, func(c *play.NASConfig) { c.Total, c.Realms, c.Seed = 100, toRealm(home), 99 }).wait()
		assert.EqualValues(h.t, 100, c.Accepts, "home %d afterwards: lost %d, rejected %v", home, c.Lost.All(), c.RejectsBy)
	}
}

func (h *hub) get(path string) (string, error) { return peer.Good(h.admin, path) }

// metric sums the series of a metric that have all of the labels, each
// written as name="value".
func (h *hub) metric(name string, labels ...string) (sum float64) {
	h.t.Helper()
	text, err := h.get("/metrics")
	require.NoError(h.t, err)
lines:
	for _, line := range strings.Split(text, "\n") {
		series, value, ok := strings.Cut(line, " ")
		if metric, _, _ := strings.Cut(series, "{"); !ok || metric != name {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(series, l) {
				continue lines
			}
		}
		v := 0.0
		_, err := fmt.Sscan(value, &v)
		require.NoError(h.t, err, line)
		sum += v
	}
	return sum
}

// resident is the memory of the hub's process in octets, 0 where the system
// does not tell.
func (h *hub) resident() (octets int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.PID()))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscan(rest, &octets)
		}
	}
	return octets << 10
}

// cpu is the processor time of the hub's process, 0 where the system does not
// tell.
func (h *hub) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.PID()))
	if err != nil {
		return 0
	}
	// The name before it is in brackets and may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// grown is by how much the hub has grown since it was ready, in MiB; it is
// bounded by what the shards may ever hold: duplicates, requests in flight
// and their buffers.
func (h *hub) grown() int64 {
	h.t.Helper()
	grown := (h.resident() - h.base) >> 20
	most := int64(256)
	if raced {
		most *= 2
	}
	assert.LessOrEqual(h.t, grown, most, "MiB")
	return grown
}

// quiet waits until no request is in flight any more.
func (h *hub) quiet() {
	h.t.Helper()
	peer.Eventually(h.t, limit, "no request is in flight", func() bool { return h.metric("roamgate_inflight") == 0 })
	assert.Zero(h.t, h.metric("roamgate_panics_recovered_total"))
}
