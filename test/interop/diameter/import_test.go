package diameter

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/test/peer"
)

// A hub with what was imported stands in the place of freeDiameter: who asks and who
// answers stay as they are, and each request goes where it went.
func TestDiameterImported(t *testing.T) {
	first, second := serverOf(t, "hss1"), serverOf(t, "hss2")
	other := startNode(t, node.Config{Identity: "relay.other.test", Realm: "other.test", Listen: anyPort, Track: true})
	homes := []*node.Node{first, second, other}
	conf := peer.FreeDiameterConfig{
		Identity: hubIdentity, Realm: "roamgate.test", Allow: []string{identity("mme", visitedRealm)},
		Routes: []string{
			`dr="home.test" : "hss2.home.test" += DEFAULT ;`,
			`dr=["^meters-[0-9]+[.]test$"] : rlm="home.test" += REALM ;`,
			`dr=["^meters-[0-9]+[.]test$"] : "hss1.home.test" += 1 + 1 - 1 ;`,
			`dr="low.test" : "hss1.home.test" += 1 ;`,
			`dr="closed.test" : ["[.]"] += NO_DELIVERY ;`,
			`un=["^001019.*"] : "relay.other.test" += FINALDEST ;`,
			`* : "relay.other.test" += DEFAULT ;`,
		},
	}
	for i, name := range []string{"hss1", "hss2"} {
		conf.Peers = append(conf.Peers, peer.FreeDiameterPeer{Identity: identity(name, homeRealm), Realm: homeRealm, Addr: homes[i].Addr()})
	}
	conf.Peers = append(conf.Peers, peer.FreeDiameterPeer{Identity: "relay.other.test", Realm: "other.test", Addr: other.Addr()})
	original := peer.StartFreeDiameter(t, conf)
	for _, h := range homes {
		connected(t, h)
	}
	mme := visitedAt(t, "mme", original.TCP)
	before := spread(t, mme, homes)
	assert.Equal(t, []string{
		"home.test: 0 20 0 map[]", "meters-7.test: 20 0 0 map[]", "low.test: 0 0 20 map[]",
		"elsewhere.test: 0 0 20 map[]", "closed.test: 0 0 0 map[3002:20]", "home.test of 001019: 0 0 20 map[]",
	}, before)
	original.Kill()

	program, dir := peer.Roamgate(t), filepath.Join(t.TempDir(), "moved")
	out, err := exec.CommandContext(t.Context(), program, "import", "freediameter", original.Path("freeDiameter.conf"), "--from", "127.0.0.0/8", "--to", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "directives mapped (100 %)")
	main, err := os.OpenFile(filepath.Join(dir, "roamgate.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = fmt.Fprintf(main, "admin: {listen: %q}\n", peer.Port(t))
	require.NoError(t, err)
	require.NoError(t, main.Close())
	serve := exec.Command(program, "serve", "--config", filepath.Join(dir, "roamgate.yaml"))
	serve.Dir = dir
	hub := peer.Start(t, "roamgate", serve)
	for _, n := range append(homes, mme) {
		peer.Eventually(t, soon, "the hub is there", func() bool {
			require.False(t, hub.Ended(), hub.Output())
			return len(n.Peers()) == 1
		})
	}
	assert.Equal(t, before, spread(t, mme, homes))
}

// spread asks for several realms and says who got how many of the requests, and with
// what they were refused.
func spread(t *testing.T, mme *node.Node, homes []*node.Node) (all []string) {
	for _, what := range []struct{ realm, prefix string }{
		{homeRealm, ""}, {"meters-7.test", ""}, {"low.test", ""}, {"elsewhere.test", ""}, {"closed.test", ""}, {homeRealm, "001019"},
	} {
		before, asked := counts(homes), mme.Snapshot()
		require.NoError(t, mme.Play(t.Context(), node.Work{
			Steps: []node.Step{node.ULR}, Realm: what.realm, Prefix: what.prefix, Total: 20, Timeout: soon,
		}))
		line := what.realm
		if what.prefix != "" {
			line += " of " + what.prefix
		}
		after := counts(homes)
		for i := range after {
			after[i] -= before[i]
		}
		refused := mme.Snapshot().Results
		for result, n := range asked.Results {
			if refused[result] -= n; refused[result] == 0 {
				delete(refused, result)
			}
		}
		if refused == nil {
			refused = map[uint32]uint64{}
		}
		all = append(all, fmt.Sprintf("%s: %s %v", line, strings.Trim(fmt.Sprint(after), "[]"), refused))
	}
	return all
}

func counts(homes []*node.Node) (all []uint64) {
	for _, h := range homes {
		c := h.Snapshot()
		all = append(all, c.Requests)
	}
	return all
}
