package peer_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/test/peer"
)

// The control group of the Diameter tests of test/interop: the same programs without
// roamgate between them.

func startNode(t *testing.T, c node.Config) *node.Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	n, err := node.Start(ctx, c)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, n.Close()) })
	return n
}

// TestFreeDiameterRelays holds that freeDiameter carries what our nodes say, over TCP
// and over TLS.
func TestFreeDiameterRelays(t *testing.T) {
	for _, secure := range []bool{false, true} {
		name := map[bool]string{false: "TCP", true: "TLS"}[secure]
		t.Run(name, func(t *testing.T) {
			home := node.Config{Identity: "hss.home.test", Realm: "home.test", Listen: netip.MustParseAddrPort("127.0.0.1:0"), Track: true}
			visited := node.Config{Identity: "mme.visited.test", Realm: "visited.test"}
			config := peer.FreeDiameterConfig{Identity: "relay.test", Realm: "test", Allow: []string{"*.visited.test"}}
			if secure {
				l := peer.NewLab(t, "diameter")
				keys := func(name string) *peer.Keys { return l.Keys(name, lab.Leaf{Hosts: []string{name}}) }
				config.Keys = keys(config.Identity)
				home.TLS, visited.TLS = keys(home.Identity).Diameter(t, ""), keys(visited.Identity).Diameter(t, config.Identity)
			}
			hss := startNode(t, home)
			config.Peers = []peer.FreeDiameterPeer{{Identity: home.Identity, Addr: hss.Addr(), TLS: secure}}
			relay := peer.StartFreeDiameter(t, config)
			peer.Eventually(t, 20*time.Second, "the relay reaches the HSS", func() bool { return len(hss.Peers()) > 0 })
			visited.Connect = []netip.AddrPort{relay.TCP}
			if secure {
				visited.Connect[0] = relay.TLS
			}
			mme := startNode(t, visited)
			require.NoError(t, mme.Play(t.Context(), node.Work{Steps: node.Roles["mme"], Realm: "home.test", Window: 8, Total: 100}))
			asked, answered := mme.Snapshot(), hss.Snapshot()
			assert.EqualValues(t, 300, asked.Success, relay.Output())
			assert.EqualValues(t, 300, answered.Unique)
			assert.EqualValues(t, 300, answered.RouteSteps)
		})
	}
}

// TestErlangAgrees holds that OTP's client and server understand our nodes.
func TestErlangAgrees(t *testing.T) {
	_, at := peer.StartErlang(t, "aaa.home.test", "home.test")
	nas := startNode(t, node.Config{Identity: "nas.visited.test", Realm: "visited.test", Applications: []uint32{3}, Connect: []netip.AddrPort{at}})
	require.NoError(t, nas.Play(t.Context(), node.Work{Steps: []node.Step{node.RecordStart, node.RecordStop}, Realm: "home.test", Window: 4, Total: 20}))
	c := nas.Snapshot()
	assert.EqualValues(t, 40, c.Success)

	home := startNode(t, node.Config{Identity: "aaa.home.test", Realm: "home.test", Applications: []uint32{3}, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Track: true})
	success, output := peer.AskErlang(t, "nas.visited.test", "visited.test", home.Addr(), "home.test", 20)
	assert.Equal(t, 20, success, output)
	assert.EqualValues(t, 20, home.Snapshot().Unique)
}

// TestGoDiameterAgrees holds the same of go-diameter.
func TestGoDiameterAgrees(t *testing.T) {
	const s6a = 16777251
	hss := &peer.GoDiameter{Identity: "hss.home.test", Realm: "home.test"}
	mme := startNode(t, node.Config{Identity: "mme.visited.test", Realm: "visited.test", Applications: []uint32{s6a}, Connect: []netip.AddrPort{hss.Listen(t)}})
	require.NoError(t, mme.Play(t.Context(), node.Work{Steps: []node.Step{node.ULR}, Realm: "home.test", Window: 4, Total: 20}))
	c := mme.Snapshot()
	assert.EqualValues(t, 20, c.Success)
	assert.Equal(t, 20, hss.Requests())

	home := startNode(t, node.Config{Identity: "hss.home.test", Realm: "home.test", Applications: []uint32{s6a}, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Track: true})
	asking := &peer.GoDiameter{Identity: "mme.visited.test", Realm: "visited.test"}
	assert.Equal(t, map[uint32]int{2001: 20}, asking.Ask(t, home.Addr(), "home.test", 20))
	assert.EqualValues(t, 20, home.Snapshot().Unique)
}
