package diameter

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/cmd/roamgen/node"
	dia "github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/test/peer"
)

// byTLS is of a peer that is met over TLS.
const byTLS = ", transport: tls, tls: lab"

// authority gives the keys of names, and what the hub shows in its routing file.
func authority(t *testing.T) (keys func(name string) *peer.Keys, routes string) {
	t.Helper()
	l := peer.NewLab(t, "diameter")
	keys = func(name string) *peer.Keys { return l.Keys(name, lab.Leaf{Hosts: []string{name}}) }
	own := keys(hubIdentity)
	return keys, fmt.Sprintf("tls:\n  - {name: lab, certificate: %s, key: %s, authorities: [%s]}\n", own.Cert, own.Key, own.Root)
}

// agentByTLS is a hub that peers also meet over TLS.
func agentByTLS(t *testing.T, routes string) *peer.Hub {
	t.Helper()
	return peer.StartHub(t, peer.HubConfig{Diameter: &peer.HubDiameter{Identity: hubIdentity, Realm: "roamgate.test", TLS: true}, Routes: routes})
}

// TestDiameterHomeKilled: D5, D11. Homes over TLS are killed (SIGKILL) with requests under
// way. Where there is another, that one gets them with the T bit and whoever asked
// notices nothing; each record is stored once and each session billed once, though two
// homes may have seen it. Where there is no other, all that was under way and all that
// follows is answered with DIAMETER_UNABLE_TO_DELIVER.
func TestDiameterHomeKilled(t *testing.T) {
	const delay, alone = 10 * time.Millisecond, "alone.test"
	keys, security := authority(t)
	home := func(name string) *peer.DiameterHome {
		return peer.StartDiameterHome(t, identity(name, homeRealm), homeRealm, keys(identity(name, homeRealm)), delay)
	}
	one, three := home("aaa-1"), home("aaa-3")
	two := serverOf(t, "aaa-2", func(c *node.Config) { c.Script.Delay, c.TLS = delay, keys("aaa-2.home.test").Diameter(t, "") })
	hub := agentByTLS(t, security+"peers:\n"+peerEntry("nas", visitedRealm, netip.AddrPort{}, byTLS)+
		peerEntry("aaa-1", homeRealm, one.Addr, byTLS)+peerEntry("aaa-2", homeRealm, two.Addr(), byTLS)+peerEntry("aaa-3", homeRealm, three.Addr, byTLS)+
		"pools:\n  - {name: home, balance: first, peers: [aaa-1, aaa-2]}\n  - {name: alone, peers: [aaa-3]}\n"+
		"realms:\n  - {realm: "+homeRealm+", diameter: home}\n  - {realm: "+alone+", diameter: alone}\n")
	nas := startNode(t, node.Config{Identity: identity("nas", visitedRealm), Realm: visitedRealm, Connect: []netip.AddrPort{hub.DiameterTLS}, Track: true,
		TLS: keys("nas.visited.test").Diameter(t, hubIdentity)})
	peer.Eventually(t, soon, "all are connected", func() bool { return hub.Metric("roamgate_diameter_peer_state", `state="open"`) == 4 })
	// killed kills a home when 200 more have been answered.
	killed := func(p *peer.DiameterHome, w node.Work) node.Counts {
		done := make(chan error, 1)
		enough := nas.Snapshot().Success + 200
		w.Window = 32
		go func() { done <- nas.Play(t.Context(), w) }()
		peer.Eventually(t, soon, "it runs", func() bool { return nas.Snapshot().Success >= enough })
		p.Kill()
		require.NoError(t, <-done)
		return nas.Snapshot()
	}

	const sessions = 400
	c := killed(one, node.Work{Steps: []node.Step{node.ULR, node.RecordStart, node.RecordInterim, node.RecordStop}, Realm: homeRealm, Total: sessions, Octets: 1 << 32})
	require.EqualValues(t, sessions, c.Finished, "failed %v by %v, lost %d", c.Results, c.Reporters, c.Lost)
	assert.Zero(t, c.Repeated, "the hub sends again, and not whoever asked")
	second := two.Snapshot()
	assert.NotZero(t, second.Flagged, "what was under way came with the T bit")
	assert.Less(t, second.Flagged, second.Requests)
	taken := once(nas.Acknowledged())
	require.Len(t, taken, 3*sessions)
	assert.Equal(t, taken, stored(t, hub), "stored exactly once")
	for r, times := range came(two) {
		assert.Equal(t, 1, times, "%v at the second home", r)
	}
	peer.Eventually(t, soon, "all sessions are cleared", func() bool { return len(bills(t, hub)) == sessions })
	for session, all := range bills(t, hub) {
		if assert.Len(t, all, 1, session) {
			assert.Equal(t, "final", all[0].Status, session)
			assert.Equal(t, uint64(2<<32+2), all[0].Output, session)
		}
	}

	before := c.Success
	c = killed(three, node.Work{Steps: []node.Step{node.ULR}, Realm: alone, Total: 1000})
	assert.Zero(t, c.Lost, "each is answered")
	assert.Equal(t, map[uint32]uint64{dia.ResultUnableToDeliver: before + 1000 - c.Success}, c.Results)
	assert.Equal(t, map[string]uint64{hubIdentity: c.Failed}, c.Reporters)
}
