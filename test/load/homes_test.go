package load

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// F02: one of ten homes dies under load; the others lose nothing.
func TestDeadHome(t *testing.T) {
	homes := startHomes(t, 10, play.Script{})
	h := start(t, 2, homes, nil)
	living := make([]play.Realm, 9)
	for i := range living {
		living[i] = play.Realm{Name: realmOf(i + 1)}
	}
	toLiving := func(d time.Duration) *visit {
		return h.visits(0, func(c *play.NASConfig) {
			c.Rate, c.Duration, c.Realms, c.Retries, c.Sockets = scaled(4000), d, living, 0, 32
		})
	}
	toDead := func(d time.Duration) *visit {
		return h.visits(1, func(c *play.NASConfig) {
			c.Rate, c.Duration, c.Retries, c.Sockets, c.Timeout = scaled(2000), d, 0, 64, time.Second
		})
	}
	other := toDead(time.Second)
	before := toLiving(time.Second).wait()
	other.wait()
	homes[0].SetScript(play.Script{Silent: true})
	other = toDead(2500 * time.Millisecond)
	c := toLiving(2500 * time.Millisecond).wait()
	dead := other.wait()
	t.Logf("nine living homes: %d answered and %d lost, p99 %v (before %v); the dead one's: %d rejected, %d without answer; turned away %.0f, %d MiB more",
		c.Answered.All(), c.Lost.All(), c.Latency.Quantile(0.99), before.Latency.Quantile(0.99), dead.Rejects, dead.Lost.All(),
		h.metric("roamgate_local_answers_total", `reason="home_busy"`), h.grown())
	assert.Zero(t, c.Lost.All())
	assert.Equal(t, c.Sent.All(), c.Accepts)
	assert.Zero(t, dead.Accepts)
	homes[0].SetScript(play.Script{})
	h.servesAll(0, 1, 9)
}

// A home that answers after 500 ms loses nothing, from the first second on.
func TestSlowHome(t *testing.T) {
	h := start(t, 1, startHomes(t, 1, play.Script{Delay: play.Delay{Min: 500 * time.Millisecond}}), nil)
	c := h.visits(0, func(c *play.NASConfig) {
		c.Rate, c.Duration, c.Sockets, c.Retries, c.Devices = scaled(8000), 3*time.Second, 64, 0, 50000
	})
	h.pause(2 * time.Second)
	inFlight, grown := h.metric("roamgate_inflight"), h.grown()
	counts := c.wait()
	t.Logf("%.0f/s with answers after 500 ms: %d answered, %d lost, p99 %v, %.0f in flight, %d MiB more",
		rate(counts.Sent.All(), 3*time.Second), counts.Answered.All(), counts.Lost.All(), counts.Latency.Quantile(0.99), inFlight, grown)
	assert.Zero(t, counts.Lost.All())
	assert.Equal(t, counts.Sent.All(), counts.Accepts)
	h.quiet()
}

// F04, F30: a home is asked for ten times what it does, beside one that is
// well. The clients repeat what is not answered.
func TestBusyHome(t *testing.T) {
	const does, under = 200, 3500 * time.Millisecond
	homes, slow := startHomes(t, 2, play.Script{}), startBusyHome(t, does)
	h := start(t, 2, homes, func(f *play.HubFiles) { f.Homes[0].Auth = slow.conn.LocalAddr() })
	could, served := slow.could.Load(), slow.served.Load()
	busy := h.visits(0, func(c *play.NASConfig) {
		c.Rate, c.Duration, c.Sockets, c.Devices, c.Timeout, c.Retries = 10*does, under, 128, 100000, 1500*time.Millisecond, 1
	})
	c := h.visits(1, func(c *play.NASConfig) { c.Window, c.Duration, c.Realms, c.Retries = 8, under, toRealm(1), 0 }).wait()
	could, served = slow.could.Load()-could, slow.served.Load()-served
	meanwhile := busy.nas.Snapshot()
	answered := meanwhile.Answered.All()
	b := busy.wait()
	t.Logf("a home that could do %d in %v was asked for %d and did %d, %d of them in time; paced %.0f times, %.0f waited; the other home: %d answered, %d lost, p99 %v; %d MiB more",
		could, under, b.Sent.All(), served, answered, h.metric("roamgate_home_paced_total"), h.metric("roamgate_home_turns_waited_total"),
		c.Answered.All(), c.Lost.All(), c.Latency.Quantile(0.99), h.grown())
	assert.Zero(t, c.Lost.All())
	assert.Equal(t, c.Sent.All(), c.Accepts)
	assert.NotZero(t, answered)
	h.servesAll(1, 1)
}

// A home that answers everything badly, as fast as it is asked: nothing of it is delivered, and the other home
// does not notice.
func TestGarbageFromAHome(t *testing.T) {
	homes := startHomes(t, 2, play.Script{})
	bad := []play.Misbehaviour{
		{Bad: play.BadAuthenticator, Share: 0.3}, {Bad: play.BadMessageAuthenticator, Share: 0.2}, {Bad: play.BadTruncated, Share: 0.2},
		{Bad: play.BadIdentifier, Share: 0.1}, {Bad: play.BadCode, Share: 0.1}, {Bad: play.BadOtherPort, Share: 0.1},
	}
	h := start(t, 2, homes, nil)
	const lasting = 2 * time.Second
	good := func() *visit {
		return h.visits(0, func(c *play.NASConfig) { c.Window, c.Duration, c.Realms, c.Retries = 16, lasting, toRealm(1), 0 })
	}
	homes[0].SetScript(play.Script{Misbehave: bad})
	garbage := h.visits(1, func(c *play.NASConfig) {
		c.Window, c.Duration, c.Timeout, c.Sockets = 512, lasting, 200*time.Millisecond, 16
	})
	c := good().wait()
	g := garbage.wait()
	require.NotZero(t, homes[0].Snapshot().BadAnswers)
	t.Logf("%d bad answers of one home, %d of its requests rejected here and %d without answer; the other home: %d answered, %d lost, p99 %v; %d MiB more",
		homes[0].Snapshot().BadAnswers, g.Rejects, g.Lost.All(), c.Answered.All(), c.Lost.All(), c.Latency.Quantile(0.99), h.grown())
	assert.Zero(t, c.Lost.All())
	assert.Equal(t, c.Sent.All(), c.Accepts)
	assert.Zero(t, g.Accepts, "nothing that does not verify is delivered")
	homes[0].SetScript(play.Script{})
	h.servesAll(0, 1)
}

// A home that answers garbage at line rate, whether it is asked or not.
func TestShoutingHome(t *testing.T) {
	homes := startHomes(t, 2, play.Script{})
	// Under the race detector reading is the bound: less is as much there.
	mad := startShout(t, map[bool]float64{true: 10000}[raced])
	h := start(t, 2, homes, func(f *play.HubFiles) { f.Homes[0].Auth = mad.addr })
	const lasting = 2 * time.Second
	other := func() *visit {
		return h.visits(0, func(c *play.NASConfig) {
			c.Window, c.Duration, c.Realms, c.Sockets, c.Timeout = 16, lasting, toRealm(1), 16, 3*time.Second
		})
	}
	asked := h.visits(1, func(c *play.NASConfig) { c.Window, c.Duration, c.Timeout, c.Retries = 16, lasting, time.Second, 0 })
	c := other().wait()
	a := asked.wait()
	sent := mad.sent.Load()
	bad := h.metric("roamgate_home_bad_responses_total", `home="`+homeName(0)+`"`)
	require.NotZero(t, bad)
	t.Logf("%.0f/s of garbage, %.0f of it read; %d of the requests to that home rejected, %d without answer; the other home: %d answered, %d repeated, %d lost, p99 %v; %d MiB more",
		rate(sent, lasting), bad, a.Rejects, a.Lost.All(), c.Answered.All(), c.Retransmitted.All(), c.Lost.All(), c.Latency.Quantile(0.99), h.grown())
	assert.Zero(t, a.Accepts, "nothing that does not verify is delivered")
	assert.Zero(t, c.Rejects, "%v", c.RejectsBy)
	assert.Less(t, float64(c.Lost.All())/float64(c.Sent.All()), 0.2)
}
