package diameter

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

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
// over TLS that it acknowledges when it is durable. What was acknowledged is stored once, though
// the NAS sends again with the T bit what it has no answer for; each session has one
// usage record; and the home has each record. Records that wait for a home which is away
// reach it once each, by the process after the killed one.
func TestDiameterRecordsKilled(t *testing.T) {
	const octets = 1 << 32
	at := peer.Port(t)
	keys, security := authority(t)
	start := func() *node.Node {
		return serverOf(t, "aaa", func(c *node.Config) {
			c.Listen, c.Script.Delay, c.TLS = at, 20*time.Millisecond, keys("aaa.home.test").Diameter(t, "")
		})
	}
	home := start()
	hub := agentByTLS(t, security+"peers:\n"+peerEntry("nas", visitedRealm, netip.AddrPort{}, byTLS)+peerEntry("aaa", homeRealm, at, byTLS)+toHome("", "aaa")+"    acknowledge: durable\n")
	connected(t, home)
	nas := startNode(t, node.Config{Identity: identity("nas", visitedRealm), Realm: visitedRealm, Connect: []netip.AddrPort{hub.DiameterTLS}, Track: true,
		TLS: keys("nas.visited.test").Diameter(t, hubIdentity)})
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
	peer.Eventually(t, soon, "the hub knows that it has them", func() bool { return hub.Metric("roamgate_acct_owed_oldest_seconds") == 0 })

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
	peer.Eventually(t, time.Minute, "what was owed is at home", func() bool { return len(came(home)) >= len(owed) })
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

// volume is what a session has counted.
type volume struct{ in, out uint64 }

// wideStop is the stop of a session over RADIUS, whose counters have two halves.
func wideStop(t *testing.T, session string, v volume) *radius.Packet {
	t.Helper()
	p := radius.New(radius.CodeAccountingRequest, []byte(clientSecret))
	require.NoError(t, errors.Join(
		rfc2865.UserName_SetString(p, "bob@"+homeRealm),
		rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_Stop),
		rfc2866.AcctSessionID_SetString(p, session),
		rfc2865.NASIdentifier_SetString(p, "nas.test"),
		rfc2866.AcctSessionTime_Set(p, 3600),
		rfc2866.AcctInputOctets_Set(p, rfc2866.AcctInputOctets(uint32(v.in))),
		rfc2869.AcctInputGigawords_Set(p, rfc2869.AcctInputGigawords(v.in>>32)),
		rfc2866.AcctOutputOctets_Set(p, rfc2866.AcctOutputOctets(uint32(v.out))),
		rfc2869.AcctOutputGigawords_Set(p, rfc2869.AcctOutputGigawords(v.out>>32)),
		rfc2869.EventTimestamp_Set(p, time.Now()),
	))
	return p
}

// TestDiameterCounters: C123. Counters around 2^31 and 2^32 and far beyond are exact at
// the home, and once in clearing, whichever of the two protocols the NAS and the home
// speak.
func TestDiameterCounters(t *testing.T) {
	aaa, acct := serverOf(t, "aaa"), peer.ListenHome(t, homeSecret)
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, Diameter: &peer.HubDiameter{Identity: hubIdentity, Realm: "roamgate.test"},
		Homes: []peer.HubHome{{Name: "a", Server: peer.Server{Secret: homeSecret}}},
		Routes: fmt.Sprintf(`clients:
  - {name: loopback, address: [127.0.0.0/8], secret_file: ../client.secret}
homes:
  - {name: gate, transport: diameter, application: nasreq}
  - {name: a, acct: %q, secret_file: ../a.secret}
peers:
`+peerEntry("nas", visitedRealm, netip.AddrPort{}, "")+peerEntry("aaa", homeRealm, aaa.Addr(), "")+`pools:
  - {name: gate, homes: [gate]}
  - {name: aaa, peers: [aaa]}
  - {name: a, homes: [a]}
realms:
  - {realm: %s, accounting: gate, diameter: aaa}
  - {realm: %s, accounting: a, diameter: {action: radius}}
`, acct.Addr, homeRealm, peer.Realm),
	})
	connected(t, aaa)
	visited := visitedAt(t, "nas", hub.Diameter)
	byNAS := peer.NAS{Server: hub.Acct, Secret: clientSecret, Timeout: 5 * time.Second, Tries: 3}

	atDiameter, atRADIUS, cleared := map[volume]int{}, map[volume]int{}, map[volume]int{}
	for i, octets := range []uint64{1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 3<<32 | 0x80000001} {
		// Diameter sessions count one octet more the later they begin.
		over := func(realm string, more uint64) volume {
			require.NoError(t, visited.Play(t.Context(), node.Work{
				Steps: []node.Step{node.RecordStart, node.RecordInterim, node.RecordStop}, Realm: realm, Total: 1, Octets: octets + more,
			}))
			return volume{octets + more, 2*(octets+more) + 2}
		}
		v := volume{octets, 2*octets + 2}
		reply, _, err := byNAS.Send(wideStop(t, fmt.Sprintf("session-%d", i), v))
		require.NoError(t, err)
		require.Equal(t, radius.CodeAccountingResponse, reply.Code)
		far := []volume{v, over(homeRealm, 8), over(peer.Realm, 16)}
		atDiameter[far[0]], atDiameter[far[1]], atRADIUS[far[2]] = 1, 1, 1
		for _, v := range far {
			cleared[v] = 1
		}
	}
	require.EqualValues(t, 10, visited.Snapshot().Finished, "%v", visited.Snapshot().Results)

	got := map[volume]int{}
	for _, r := range aaa.Records() {
		if r.Type == 4 {
			got[volume{r.Input, r.Output}] += r.Times
		}
	}
	assert.Equal(t, atDiameter, got, "at the home of Diameter")
	got = map[volume]int{}
	for _, d := range acct.Received() {
		p, err := radius.Parse(d.Octets, []byte(homeSecret))
		require.NoError(t, err)
		if rfc2866.AcctStatusType_Get(p) == rfc2866.AcctStatusType_Value_Stop {
			got[volume{
				uint64(rfc2869.AcctInputGigawords_Get(p))<<32 | uint64(rfc2866.AcctInputOctets_Get(p)),
				uint64(rfc2869.AcctOutputGigawords_Get(p))<<32 | uint64(rfc2866.AcctOutputOctets_Get(p)),
			}]++
		}
	}
	assert.Equal(t, atRADIUS, got, "at the home of RADIUS")
	peer.Eventually(t, soon, "all is cleared", func() bool { return len(bills(t, hub)) >= len(cleared) })
	got = map[volume]int{}
	for session, all := range bills(t, hub) {
		for _, b := range all {
			assert.Equal(t, "final", b.Status, session)
			got[volume{b.Input, b.Output}]++
		}
	}
	assert.Equal(t, cleared, got, "once in clearing")
}
