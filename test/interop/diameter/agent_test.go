package diameter

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/cmd/roamgen/node"
	dia "github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/test/judge"
	"github.com/roamgate/roamgate/test/peer"
)

const (
	homeRealm    = "home.test"
	visitedRealm = "visited.test"
	hubIdentity  = "hub.roamgate.test"
	soon         = time.Minute
)

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// startNode starts a node of ours; what it hears of the hub Wireshark judges.
func startNode(t *testing.T, c node.Config) *node.Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	c.Heard = judge.Collect
	n, err := node.Start(ctx, c)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, n.Close()) })
	return n
}

func identity(name, realm string) string { return name + "." + realm }

// serverOf is an HSS, home AAA and charging server in one.
func serverOf(t *testing.T, name string, edit ...func(*node.Config)) *node.Node {
	t.Helper()
	c := node.Config{Identity: identity(name, homeRealm), Realm: homeRealm, Listen: anyPort, Track: true}
	for _, f := range edit {
		f(&c)
	}
	return startNode(t, c)
}

// visitedAt is an MME and NAS in one, connected to agents.
func visitedAt(t *testing.T, name string, to ...netip.AddrPort) *node.Node {
	t.Helper()
	return startNode(t, node.Config{Identity: identity(name, visitedRealm), Realm: visitedRealm, Connect: to})
}

// peerEntry is a peer that the hub connects to, or waits for where to is not valid.
func peerEntry(name, realm string, to netip.AddrPort, more string) string {
	e := fmt.Sprintf("  - {name: %s, identity: %s, realm: %s, from: 127.0.0.0/8", name, identity(name, realm), realm)
	if to.IsValid() {
		e += fmt.Sprintf(", address: %s, port: %d, retry: 1s", to.Addr(), to.Port())
	}
	return e + more + "}\n"
}

// toHome routes the home's realm to a pool of peers.
func toHome(more string, peers ...string) string {
	return fmt.Sprintf("pools:\n  - {name: home, peers: [%s]}\nrealms:\n  - realm: %s\n    diameter: {pool: home%s}\n",
		strings.Join(peers, ", "), homeRealm, more)
}

func agent(t *testing.T, routes string) *peer.Hub {
	t.Helper()
	return peer.StartHub(t, peer.HubConfig{Diameter: &peer.HubDiameter{Identity: hubIdentity, Realm: "roamgate.test"}, Routes: routes})
}

// connected waits until the hub has a connection with a node.
func connected(t *testing.T, n *node.Node) {
	t.Helper()
	peer.Eventually(t, soon, "a peer connects", func() bool { return len(n.Peers()) > 0 })
}

// between is a hub between an MME and a home.
func between(t *testing.T, home *node.Node, name, more string) (*peer.Hub, *node.Node) {
	t.Helper()
	hub := agent(t, "peers:\n"+peerEntry("mme", visitedRealm, netip.AddrPort{}, "")+peerEntry(name, homeRealm, home.Addr(), "")+toHome(more, name))
	connected(t, home)
	return hub, visitedAt(t, "mme", hub.Diameter)
}

// TestDiameterBetweenRelays: freeDiameter on both sides of the hub, and S6a, NASREQ,
// accounting and charging through the three, over TCP and over TLS; requests of the home
// go back the same way.
func TestDiameterBetweenRelays(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "TCP", true: "TLS"}[secure], func(t *testing.T) {
			var keys func(name string) *peer.Keys
			home := peer.FreeDiameterConfig{Identity: "dra.home.test", Realm: homeRealm, Allow: []string{"*.roamgate.test"},
				Routes: []string{`dr="visited.test" : "` + hubIdentity + `" += REALM ;`}}
			visited := peer.FreeDiameterConfig{Identity: "dra.visited.test", Realm: visitedRealm, Allow: []string{"*.visited.test"},
				Routes: []string{`dr="home.test" : "` + hubIdentity + `" += REALM ;`}, TCP: peer.Port(t)}
			server := node.Config{Identity: "hss.home.test", Realm: homeRealm, Listen: anyPort, Track: true}
			client := node.Config{Identity: "mme.visited.test", Realm: visitedRealm}
			how, security := "", ""
			if secure {
				l := peer.NewLab(t, "diameter")
				keys = func(name string) *peer.Keys { return l.Keys(name, lab.Leaf{Hosts: []string{name}}) }
				home.Keys, visited.Keys = keys(home.Identity), keys(visited.Identity)
				server.TLS, client.TLS = keys(server.Identity).Diameter(t, ""), keys(client.Identity).Diameter(t, visited.Identity)
				own := keys(hubIdentity)
				security = fmt.Sprintf("tls:\n  - {name: lab, certificate: %s, key: %s, authorities: [%s]}\n", own.Cert, own.Key, own.Root)
				how = ", transport: tls, tls: lab"
			}
			hss := startNode(t, server)
			home.Peers = []peer.FreeDiameterPeer{{Identity: server.Identity, Addr: hss.Addr(), TLS: secure}}
			far := peer.StartFreeDiameter(t, home)
			to := far.TLS
			if !secure {
				to = before(t, far.TCP, thePeer)
			}
			hub := peer.StartHub(t, peer.HubConfig{
				Diameter: &peer.HubDiameter{Identity: hubIdentity, Realm: "roamgate.test", TLS: secure},
				Routes: security + "peers:\n" +
					"  - {name: visited, identity: dra.visited.test, from: 127.0.0.0/8" + how + "}\n" +
					fmt.Sprintf("  - {name: home, identity: dra.home.test, address: %s, port: %d, retry: 1s%s}\n", to.Addr(), to.Port(), how) +
					"pools:\n  - {name: home, peers: home}\n  - {name: visited, peers: visited}\n" +
					"realms:\n  - {realm: home.test, diameter: home}\n  - {realm: visited.test, diameter: visited}\n",
			})
			at := hub.DiameterTLS
			if !secure {
				at = before(t, hub.Diameter, theHub)
			}
			visited.Peers = []peer.FreeDiameterPeer{{Identity: hubIdentity, Addr: at, TLS: secure}}
			near := peer.StartFreeDiameter(t, visited)
			client.Connect = []netip.AddrPort{near.TCP}
			if secure {
				client.Connect[0] = near.TLS
			}
			mme := startNode(t, client)
			through(t, mme)
			if secure {
				peer.Eventually(t, soon, "it is told when the certificate of the peer ends", func() bool {
					return hub.Metric("roamgate_tls_cert_expiry_timestamp_seconds", `role="peer"`, `name="visited"`) > float64(time.Now().Unix())
				})
			}
			before, served := mme.Snapshot().Success, hss.Snapshot()
			var sent uint64
			for _, role := range []string{"mme", "nas", "charging"} {
				require.NoError(t, mme.Play(t.Context(), node.Work{Steps: node.Roles[role], Realm: homeRealm, Window: 8, Total: 20, Octets: 1 << 33}))
				sent += 20 * uint64(len(node.Roles[role]))
			}
			asked, answered := mme.Snapshot(), hss.Snapshot()
			assert.Equal(t, sent, asked.Success-before)
			assert.Zero(t, asked.Flaws)
			assert.Equal(t, sent, answered.Unique-served.Unique)
			assert.Equal(t, 3*sent, answered.RouteSteps-served.RouteSteps, "three agents")
			for _, r := range hss.Records() {
				assert.Equal(t, 1, r.Times)
				assert.True(t, r.Input == 0 || r.Input >= 1<<33, "%d", r.Input)
			}
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			answer, err := hss.Ask(ctx, cancelLocation("hss.home.test", homeRealm, "mme.visited.test", visitedRealm, ""))
			require.NoError(t, err)
			assert.EqualValues(t, dia.ResultSuccess, node.Result(answer))
			assert.EqualValues(t, 1, mme.Snapshot().ByCommand[dia.CancelLocation])
		})
	}
}

// through waits until a first request finds its way: agents connect by themselves.
func through(t *testing.T, visited *node.Node) {
	t.Helper()
	peer.Eventually(t, soon, "the way stands", func() bool {
		before := visited.Snapshot().Success
		require.NoError(t, visited.Play(t.Context(), node.Work{Steps: []node.Step{node.PUR}, Realm: homeRealm, Total: 1}))
		return visited.Snapshot().Success > before
	})
}

func cancelLocation(host, realm, toHost, toRealm, route string) []byte {
	var w dia.Writer
	w.Begin(make([]byte, 1024), &dia.Header{Flags: dia.FlagRequest | dia.FlagProxiable, Command: dia.CancelLocation, Application: dia.AppS6a})
	w.String(dia.SessionID, 0, dia.AVPMandatory, host+";1;2")
	w.Uint32(dia.AuthSessionState, 0, dia.AVPMandatory, 1)
	w.String(dia.OriginHost, 0, dia.AVPMandatory, host)
	w.String(dia.OriginRealm, 0, dia.AVPMandatory, realm)
	w.String(dia.DestinationRealm, 0, dia.AVPMandatory, toRealm)
	if toHost != "" {
		w.String(dia.DestinationHost, 0, dia.AVPMandatory, toHost)
	}
	w.String(dia.UserName, 0, dia.AVPMandatory, "001010000000001")
	w.Uint32(1420, dia.Vendor3GPP, dia.AVPMandatory, 2) // Cancellation-Type SUBSCRIPTION_WITHDRAWAL
	if route != "" {
		w.String(dia.RouteRecord, 0, dia.AVPMandatory, route)
	}
	return w.Finish()
}

// TestDiameterImplementations: go-diameter and OTP's diameter as clients and as servers.
func TestDiameterImplementations(t *testing.T) {
	t.Run("go-diameter", func(t *testing.T) {
		hss := &peer.GoDiameter{Identity: "hss.home.test", Realm: homeRealm}
		at := before(t, hss.Listen(t), thePeer)
		hub := agent(t, "peers:\n"+peerEntry("mme", visitedRealm, netip.AddrPort{}, "")+peerEntry("hss", homeRealm, at, ", applications: [s6a]")+toHome("", "hss"))
		mme := visitedAt(t, "mme", hub.Diameter)
		peer.Eventually(t, soon, "the way stands", func() bool {
			before := mme.Snapshot().Success
			require.NoError(t, mme.Play(t.Context(), node.Work{Steps: []node.Step{node.ULR}, Realm: homeRealm, Total: 1}))
			return mme.Snapshot().Success > before
		})
		require.NoError(t, mme.Close())
		asking := &peer.GoDiameter{Identity: "mme.visited.test", Realm: visitedRealm}
		assert.Equal(t, map[uint32]int{dia.ResultSuccess: 50}, asking.Ask(t, before(t, hub.Diameter, theHub), homeRealm, 50))
		assert.Equal(t, 51, hss.Requests())
	})
	t.Run("erlang", func(t *testing.T) {
		_, at := peer.StartErlang(t, "aaa.home.test", homeRealm)
		hub := agent(t, "peers:\n"+peerEntry("nas", visitedRealm, netip.AddrPort{}, ", applications: [accounting]")+
			peerEntry("aaa", homeRealm, before(t, at, thePeer), ", applications: [accounting]")+toHome("", "aaa"))
		peer.Eventually(t, soon, "the home is connected", func() bool {
			return hub.Metric("roamgate_diameter_peer_connections", `peer="aaa"`) == 1
		})
		success, output := peer.AskErlang(t, "nas.visited.test", visitedRealm, before(t, hub.Diameter, theHub), homeRealm, 50)
		assert.Equal(t, 50, success, output)
	})
}

// TestDiameterLoop: a request that has been here is answered with
// DIAMETER_LOOP_DETECTED, also where the one who sends it back is freeDiameter.
func TestDiameterLoop(t *testing.T) {
	home := serverOf(t, "hss")
	hub, mme := between(t, home, "hss", "")
	_ = hub
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	ask := func(route string) uint32 {
		answer, err := mme.Ask(ctx, cancelLocation("mme.visited.test", visitedRealm, "", homeRealm, route))
		require.NoError(t, err)
		return node.Result(answer)
	}
	assert.EqualValues(t, dia.ResultSuccess, ask("other.test"))
	assert.EqualValues(t, dia.ResultLoopDetected, ask(hubIdentity))
	assert.EqualValues(t, dia.ResultLoopDetected, ask(strings.ToUpper(hubIdentity)))
	assert.EqualValues(t, dia.ResultUnableToDeliver, ask("hss.home.test"), "its only peer has had it")
	assert.EqualValues(t, 1, home.Snapshot().Requests)
}

// TestDiameterRelayKilled: one of two relays is killed under load, and every request is
// answered: those that were on their way to it go to the other, with the T bit.
func TestDiameterRelayKilled(t *testing.T) {
	hss := serverOf(t, "hss", func(c *node.Config) { c.Script.Delay = 20 * time.Millisecond })
	relay := func(name string) *peer.FreeDiameter {
		return peer.StartFreeDiameter(t, peer.FreeDiameterConfig{Identity: identity(name, homeRealm), Realm: homeRealm, Allow: []string{"*.roamgate.test"},
			Peers: []peer.FreeDiameterPeer{{Identity: "hss.home.test", Addr: hss.Addr()}}})
	}
	one, two := relay("dra-1"), relay("dra-2")
	peer.Eventually(t, soon, "both relays reach the HSS", func() bool { return len(hss.Peers()) == 2 })
	hub := agent(t, "peers:\n"+peerEntry("mme", visitedRealm, netip.AddrPort{}, "")+
		peerEntry("dra-1", homeRealm, one.TCP, "")+peerEntry("dra-2", homeRealm, two.TCP, "")+toHome("", "dra-1", "dra-2"))
	mme := visitedAt(t, "mme", hub.Diameter)
	through(t, mme)
	done := make(chan error, 1)
	before, failed := hss.Snapshot(), mme.Snapshot().Failed
	go func() {
		done <- mme.Play(t.Context(), node.Work{Steps: []node.Step{node.ULR}, Realm: homeRealm, Window: 64, Total: 4000})
	}()
	peer.Eventually(t, soon, "it runs", func() bool { return hss.Snapshot().Requests > before.Requests+500 })
	one.Kill()
	require.NoError(t, <-done)
	asked, answered := mme.Snapshot(), hss.Snapshot()
	assert.Equal(t, failed, asked.Failed+asked.Lost, "%v by %v", asked.Results, asked.Reporters)
	assert.NotZero(t, answered.Flagged)
	one.Restart()
	peer.Eventually(t, soon, "it is used again", func() bool {
		return hub.Metric("roamgate_diameter_peer_connections", `peer="dra-1"`) == 1
	})
}

// TestDiameterStalledPeer: a peer that is stopped (SIGSTOP) takes nothing and says
// nothing; its requests go to the other one before the watchdog has closed it.
func TestDiameterStalledPeer(t *testing.T) {
	hss := serverOf(t, "hss")
	relay := func(name string) *peer.FreeDiameter {
		return peer.StartFreeDiameter(t, peer.FreeDiameterConfig{Identity: identity(name, homeRealm), Realm: homeRealm, Allow: []string{"*.roamgate.test"},
			Peers: []peer.FreeDiameterPeer{{Identity: "hss.home.test", Addr: hss.Addr()}}})
	}
	one, two := relay("dra-1"), relay("dra-2")
	peer.Eventually(t, soon, "both relays reach the HSS", func() bool { return len(hss.Peers()) == 2 })
	hub := agent(t, "peers:\n"+peerEntry("mme", visitedRealm, netip.AddrPort{}, "")+
		peerEntry("dra-1", homeRealm, one.TCP, ", watchdog: 6s")+peerEntry("dra-2", homeRealm, two.TCP, ", watchdog: 6s")+toHome("", "dra-1", "dra-2"))
	mme := visitedAt(t, "mme", hub.Diameter)
	through(t, mme)
	peer.Eventually(t, soon, "both relays are connected", func() bool { return hub.Metric("roamgate_diameter_peer_connections") == 3 })
	open := func() float64 { return hub.Metric("roamgate_diameter_peer_state", `peer="dra-1"`, `state="open"`) }
	require.EqualValues(t, 1, open())
	one.Signal(syscall.SIGSTOP)
	defer one.Signal(syscall.SIGCONT)
	// Two expiries of the watchdog are at most 16 s; the deadline of what waits is
	// longer than what a client here waits.
	require.NoError(t, mme.Play(t.Context(), node.Work{Steps: []node.Step{node.ULR}, Realm: homeRealm, Rate: 50, Duration: 4 * time.Second, Timeout: 40 * time.Second}))
	c := mme.Snapshot()
	assert.True(t, c.AddsUp())
	assert.Zero(t, c.Lost, "each is answered by somebody")
	peer.Eventually(t, soon, "the watchdog notices", func() bool { return open() == 0 })
	failed := c.Failed
	require.NoError(t, mme.Play(t.Context(), node.Work{Steps: []node.Step{node.ULR}, Realm: homeRealm, Window: 8, Total: 200}))
	c = mme.Snapshot()
	assert.Equal(t, failed, c.Failed, "nothing is sent to it any more: %v by %v", c.Results, c.Reporters)
}

// TestDiameterIdentities: who is not known, who shows the certificate of another and who
// is connected already.
func TestDiameterIdentities(t *testing.T) {
	l := peer.NewLab(t, "diameter")
	keys := func(name string) *peer.Keys { return l.Keys(name, lab.Leaf{Hosts: []string{name}}) }
	own := keys(hubIdentity)
	hss := serverOf(t, "hss")
	hub := peer.StartHub(t, peer.HubConfig{
		Diameter: &peer.HubDiameter{Identity: hubIdentity, Realm: "roamgate.test", TLS: true},
		Routes: fmt.Sprintf("tls:\n  - {name: lab, certificate: %s, key: %s, authorities: [%s]}\n", own.Cert, own.Key, own.Root) +
			"peers:\n" + peerEntry("mme", visitedRealm, netip.AddrPort{}, ", transport: tls, tls: lab") +
			peerEntry("plain", visitedRealm, netip.AddrPort{}, "") +
			peerEntry("hss", homeRealm, hss.Addr(), "") + toHome("", "hss"),
	})
	connected(t, hss)
	start := func(patience time.Duration, name string, at netip.AddrPort, shown *peer.Keys) (*node.Node, error) {
		c := node.Config{Identity: identity(name, visitedRealm), Realm: visitedRealm, Connect: []netip.AddrPort{at}, Heard: judge.Collect}
		if shown != nil {
			c.TLS = shown.Diameter(t, hubIdentity)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return node.Start(ctx, c)
	}
	right := keys("mme.visited.test")
	for _, tt := range []struct {
		name, who string
		at        netip.AddrPort
		shown     *peer.Keys
		works     bool
	}{
		{name: "the right certificate", who: "mme", at: hub.DiameterTLS, shown: right, works: true},
		{name: "the certificate of another", who: "mme", at: hub.DiameterTLS, shown: keys("other.visited.test")},
		{name: "one of another authority", who: "mme", at: hub.DiameterTLS, shown: func() *peer.Keys {
			k := peer.NewLab(t, "elsewhere").Keys("mme", lab.Leaf{Hosts: []string{"mme.visited.test"}})
			foreign := *k
			foreign.Root = l.Root
			return &foreign
		}()},
		{name: "TLS is due and it comes without", who: "mme", at: hub.Diameter},
		{name: "nobody knows it", who: "stranger", at: hub.Diameter},
		{name: "over TCP as agreed", who: "plain", at: hub.Diameter, works: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			patience := time.Second
			if tt.works {
				patience = soon
			}
			n, err := start(patience, tt.who, tt.at, tt.shown)
			if !tt.works {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			defer func() { assert.NoError(t, n.Close()) }()
			require.NoError(t, n.Play(t.Context(), node.Work{Steps: node.Roles["mme"], Realm: homeRealm, Window: 4, Total: 10}))
			c := n.Snapshot()
			assert.EqualValues(t, 30, c.Success, "%v", c.Results)
		})
	}
	t.Run("connected already", func(t *testing.T) {
		first, err := start(soon, "plain", hub.Diameter, nil)
		require.NoError(t, err)
		defer func() { assert.NoError(t, first.Close()) }()
		done := make(chan error, 1)
		go func() {
			done <- first.Play(t.Context(), node.Work{Steps: []node.Step{node.ULR}, Realm: homeRealm, Window: 4, Total: 2000})
		}()
		second, err := start(time.Second, "plain", hub.Diameter, nil)
		if err == nil {
			require.NoError(t, second.Close())
		}
		require.NoError(t, <-done)
		c := first.Snapshot()
		assert.EqualValues(t, 2000, c.Success, "the first goes on: %v", c.Results)
	})
}

// TestDiameterDisconnect: who says that it leaves (DPR) loses nothing, and the hub says
// so itself when it ends.
func TestDiameterDisconnect(t *testing.T) {
	slow := func(c *node.Config) { c.Script.Delay = 10 * time.Millisecond }
	one, two := serverOf(t, "hss-1", slow), serverOf(t, "hss-2", slow)
	hub := agent(t, "peers:\n"+peerEntry("mme", visitedRealm, netip.AddrPort{}, "")+
		peerEntry("hss-1", homeRealm, one.Addr(), "")+peerEntry("hss-2", homeRealm, two.Addr(), "")+toHome("", "hss-1", "hss-2"))
	connected(t, one)
	connected(t, two)
	mme := visitedAt(t, "mme", hub.Diameter)
	done := make(chan error, 1)
	go func() {
		done <- mme.Play(t.Context(), node.Work{Steps: []node.Step{node.ULR}, Realm: homeRealm, Window: 32, Total: 3000})
	}()
	peer.Eventually(t, soon, "it runs", func() bool { return one.Snapshot().Requests > 200 })
	one.Leave(0) // REBOOTING
	require.NoError(t, <-done)
	c := mme.Snapshot()
	assert.EqualValues(t, 3000, c.Success, "%v", c.Results)
	peer.Eventually(t, soon, "who reboots is connected with again", func() bool { return len(one.Peers()) > 0 })
	hub.Stop()
	assert.EqualValues(t, 1, mme.Snapshot().Disconnects)
	assert.EqualValues(t, 1, one.Snapshot().Disconnects)
	assert.EqualValues(t, 1, two.Snapshot().Disconnects)
}

// TestDiameterHubKilled: a hub that is killed (SIGKILL) in mid-flight and starts again
// loses no record: the NAS sends again with the T bit what was not answered.
func TestDiameterHubKilled(t *testing.T) {
	home := serverOf(t, "aaa")
	hub, nas := between(t, home, "aaa", "")
	done := make(chan error, 1)
	go func() {
		done <- nas.Play(t.Context(), node.Work{
			Steps: []node.Step{node.RecordStart, node.RecordStop}, Realm: homeRealm, Window: 32, Total: 3000, Timeout: soon, Octets: 1 << 31,
		})
	}()
	peer.Eventually(t, soon, "it runs", func() bool { return home.Snapshot().Requests > 500 })
	hub.Kill()
	hub.Restart()
	require.NoError(t, <-done)
	c := nas.Snapshot()
	assert.Zero(t, c.Lost)
	records := map[string]int{}
	for _, r := range home.Records() {
		records[r.Session]++
		if r.Type == 4 {
			assert.GreaterOrEqual(t, r.Input, uint64(1<<31))
		}
	}
	both := 0
	for _, n := range records {
		if n == 2 {
			both++
		}
	}
	assert.GreaterOrEqual(t, both, int(c.Finished), "of every finished session both records are at home; refused %v", c.Results)
}
