package interop

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/test/peer"
)

// bill is a usage record, as far as these tests read it.
type bill struct {
	Session string `json:"session_id"`
	Status  string `json:"status"`
	Input   uint64 `json:"input_octets"`
	Output  uint64 `json:"output_octets"`
}

// bills are the usage records of the hub's own clearing store, by session.
func bills(t *testing.T, hub *peer.Hub) map[string][]bill {
	t.Helper()
	r := hub.Command("records", "export", "--admin", hub.Admin.String())
	require.Zero(t, r.Code, r.Stderr)
	all := map[string][]bill{}
	for line := range strings.Lines(r.Stdout) {
		var b bill
		require.NoError(t, json.Unmarshal([]byte(line), &b), line)
		all[b.Session] = append(all[b.Session], b)
	}
	return all
}

// stored counts the records of each session and number in the spool, without those that
// it marks as repetitions.
func stored(t *testing.T, hub *peer.Hub) map[node.Record]int {
	t.Helper()
	r := hub.Command("spool", "dump", "--admin", hub.Admin.String())
	require.Zero(t, r.Code, r.Stderr)
	all := map[node.Record]int{}
	for line := range strings.Lines(r.Stdout) {
		var record struct {
			Session string `json:"session_id"`
			Number  uint32 `json:"record_number"`
			Of      uint64 `json:"duplicate_of"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		if record.Of == 0 {
			all[node.Record{Session: record.Session, Number: record.Number}]++
		}
	}
	return all
}

// came counts how often a home had each record.
func came(home *node.Node) map[node.Record]int {
	all := map[node.Record]int{}
	for _, v := range home.Records() {
		all[node.Record{Session: v.Session, Number: v.Number}] = v.Times
	}
	return all
}

// once holds each of the records one time.
func once(all []node.Record) map[node.Record]int {
	one := map[node.Record]int{}
	for _, r := range all {
		one[r]++
	}
	return one
}

// TestDiameterRecordsKilled: D11. The hub is killed (SIGKILL) under a load of accounting
// that it acknowledges when it is durable. What was acknowledged is stored once, though
// the NAS sends again with the T bit what it has no answer for; each session has one
// usage record; and the home has each record. Records that wait for a home which is away
// reach it once each, by the process after the killed one.
func TestDiameterRecordsKilled(t *testing.T) {
	const octets = 1 << 32
	at := peer.Port(t)
	start := func() *node.Node {
		return serverOf(t, "aaa", func(c *node.Config) { c.Listen, c.Script.Delay = at, 20*time.Millisecond })
	}
	home := start()
	hub := agent(t, "peers:\n"+peerEntry("nas", visitedRealm, netip.AddrPort{}, "")+peerEntry("aaa", homeRealm, at, "")+toHome("", "aaa")+"    acknowledge: durable\n")
	connected(t, home)
	nas := startNode(t, node.Config{Identity: identity("nas", visitedRealm), Realm: visitedRealm, Connect: []netip.AddrPort{hub.Diameter}, Track: true})
	work := node.Work{Steps: []node.Step{node.RecordStart, node.RecordInterim, node.RecordStop}, Realm: homeRealm, Window: 16, Timeout: soon, Octets: octets}
	load := func(total uint64) <-chan error {
		w := work
		w.Total = total
		done := make(chan error, 1)
		go func() { done <- nas.Play(t.Context(), w) }()
		return done
	}

	done := load(400)
	for range 2 {
		want := len(nas.Acknowledged()) + 300
		peer.Eventually(t, soon, "300 more acknowledged", func() bool { return len(nas.Acknowledged()) >= want })
		hub.Kill()
		hub.Restart()
	}
	require.NoError(t, <-done)
	c := nas.Snapshot()
	require.EqualValues(t, 400, c.Finished, "failed %v, lost %d", c.Results, c.Lost)
	assert.NotZero(t, c.Repeated)
	taken := once(nas.Acknowledged())
	require.Len(t, taken, 1200)
	assert.Equal(t, taken, stored(t, hub), "durable exactly once")
	peer.Eventually(t, soon, "the home has every record", func() bool { return len(came(home)) == len(taken) })

	// The home is away: everything is owed when the hub dies.
	before := came(home)
	require.NoError(t, home.Close())
	peer.Eventually(t, soon, "the home is away", func() bool {
		return hub.Metric("roamgate_diameter_peer_connections", `peer="aaa"`) == 0
	})
	require.NoError(t, <-load(100))
	require.EqualValues(t, 500, nas.Snapshot().Finished)
	hub.Kill()
	hub.Restart()
	owed := once(nas.Acknowledged())
	for r := range before {
		delete(owed, r)
	}
	require.Len(t, owed, 300)
	home = start()
	peer.Eventually(t, 15*time.Second, "what was owed is at home", func() bool { return len(came(home)) >= len(owed) })
	assert.Equal(t, owed, came(home), "once each")

	taken = once(nas.Acknowledged())
	assert.Equal(t, taken, stored(t, hub))
	peer.Eventually(t, soon, "all sessions are cleared", func() bool { return len(bills(t, hub)) == 500 })
	for session, all := range bills(t, hub) {
		if assert.Len(t, all, 1, session) {
			assert.Equal(t, "final", all[0].Status, session)
			assert.GreaterOrEqual(t, all[0].Input, uint64(octets))
			assert.Equal(t, uint64(2*octets+2), all[0].Output)
		}
		assert.True(t, slices.ContainsFunc(nas.Acknowledged(), func(r node.Record) bool { return r.Session == session }), session)
	}
}
