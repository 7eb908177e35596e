package load

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// F28: three times what went through at the best, from eight clients alike
// and never the same request twice, beside one that looks at every answer.
// The load, the home and the hub share the machine, so the hub gets less of
// it then: what it does with a second of processor time is told as well.
func TestOverload(t *testing.T) {
	t.Run("proxied", func(t *testing.T) { overload(t, realmOf(0), "accept") })
	t.Run("refused by the hub", func(t *testing.T) { overload(t, "nowhere.example", "reject") })
}

func overload(t *testing.T, realm, result string) {
	const clients, sockets, measured, under = 8, 48, time.Second, time.Second
	h := start(t, clients+2, startHomes(t, 1, play.Script{}), func(f *play.HubFiles) {
		f.More += "reject_delay: 0s\n" // what is held back for a second is no measure of what goes through
	})
	gentle := func(c *play.NASConfig) { c.Realms = []play.Realm{{Name: realm}} }
	idle := h.cpu()
	peak := h.visits(8, func(c *play.NASConfig) { gentle(c); c.Window, c.Duration, c.Sockets = 256, measured, 16 }).wait()
	require.Zero(t, peak.Lost.All())
	most := rate(peak.Answered.All(), measured)
	each := (h.cpu() - idle) / time.Duration(peak.Answered.All())

	packets := make([][][][]byte, clients)
	var signing sync.WaitGroup
	for i := range packets {
		signing.Go(func() { packets[i] = requests(sockets, int(scaled(1600)), clientSecret(i), realm) })
	}
	signing.Wait()
	answered := func() float64 { return h.metric("roamgate_responses_total", `result="`+result+`"`) }
	before, busy, began := answered(), h.cpu(), time.Now()
	v := h.visits(8, func(c *play.NASConfig) { gentle(c); c.Duration, c.Timeout, c.Retries = under, time.Second, 3 })
	floods := make([]*flood, clients)
	for i := range floods {
		floods[i] = startFlood(t, clientAddr(i), h.auth, 3*most/clients, packets[i])
	}
	h.pause(under)
	goodput, lasted, sent := answered()-before, time.Since(began), uint64(0)
	for _, f := range floods {
		sent += f.end()
	}
	cost := (h.cpu() - busy) / time.Duration(max(goodput, 1))
	goodput /= lasted.Seconds()
	c := v.wait()
	t.Logf("peak %.0f/s, offered %.0f/s = %.1f of it, goodput %.0f/s = %.2f of it, %v of processor each (%v at the peak); one client in a closed loop: %d answered, %d repeated, %d lost; in flight %.0f, %d MiB more",
		most, rate(sent, lasted), rate(sent, lasted)/most, goodput, goodput/most, cost, each,
		c.Answered.All(), c.Retransmitted.All(), c.Lost.All(), h.metric("roamgate_inflight"), h.grown())
	assert.NotZero(t, goodput)
	if result == "accept" {
		assert.Zero(t, c.Rejects, "%v", c.RejectsBy)
	} else {
		assert.Zero(t, c.Accepts)
	}
	h.quiet()
	h.servesAll(9, 0)
}

// F38: one client sends all that the machine can send, beside nine that send
// little.
func TestScreamingClient(t *testing.T) {
	h := start(t, 10, startHomes(t, 1, play.Script{}), nil)
	others := func(d, patience time.Duration) (sum play.NASCounts) {
		var vs []*visit
		for i := range 9 {
			vs = append(vs, h.visits(i+1, func(c *play.NASConfig) {
				c.Rate, c.Duration, c.Sockets, c.Timeout, c.Retries = scaled(200), d, 4, patience, 0
			}))
		}
		for _, v := range vs {
			c := v.wait()
			sum.Add(&c)
		}
		return sum
	}
	before := others(time.Second, patience)
	require.Zero(t, before.Lost.All())
	f := startFlood(t, clientAddr(0), h.auth, screams(), requests(4, 4096, clientSecret(0), realmOf(0)))
	const under = 2 * time.Second
	c := others(under, 5*time.Second)
	screamed := f.end()
	lost := float64(c.Lost.All()) / float64(c.Sent.All())
	t.Logf("screamed %.0f/s at nine who send %.0f/s together: they lose %.2f %%, p99 %v (alone %v), shed of the one %.0f, %d MiB more",
		rate(screamed, under), rate(c.Sent.All(), under), 100*lost, c.Latency.Quantile(0.99), before.Latency.Quantile(0.99),
		h.metric("roamgate_dropped_total", `client="visited-0"`, `reason="client_share"`), h.grown())
	assert.Zero(t, c.Rejects, "%v", c.RejectsBy)
	for i := range 9 {
		assert.Zero(t, h.metric("roamgate_dropped_total", `client="`+client(i+1).Name+`"`, `reason="client_share"`))
	}
	assert.Less(t, lost, 0.2)
	h.quiet()
	h.servesAll(1, 0)
}

// screams is the rate of the one: no bound, but not so much for the race
// detector that reading it is more than the hub can do.
func screams() float64 {
	if raced {
		return 20000
	}
	return 0
}
