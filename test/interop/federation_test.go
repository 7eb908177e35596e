package interop

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"layeh.com/radius"

	"github.com/roamgate/roamgate/test/peer"
)

// federations is a hub between two federations and a network under contract.
// The clients are told apart by their loopback address.
const federations = `groups:
  - {name: campus, kind: federation}
  - {name: openair, kind: federation}
contracts: []
clients:
  - {name: campus-proxy, address: 127.0.0.2, secret_file: ../client.secret, group: campus}
  - {name: openair-proxy, address: 127.0.0.3, secret_file: ../client.secret, group: openair}
  - {name: airport, address: 127.0.0.4, secret_file: ../client.secret}
homes:
  - {name: campus-top, auth: HOME, secret_file: ../campus-top.secret, group: campus}
pools:
  - {name: campus, homes: [campus-top]}
realms:
  - realm: "*.edu.example"
    auth: campus
`

// TestTransitBetweenFederations: what comes from one federation does not go to
// another, nor back into its own, until a contract names the two; a network
// under contract is no transit. explain shows each.
func TestTransitBetweenFederations(t *testing.T) {
	t.Parallel()
	home := peer.ListenHome(t, homeSecret)
	hub := peer.StartHub(t, peer.HubConfig{Secret: clientSecret, Homes: []peer.HubHome{
		{Name: "campus-top", Server: peer.Server{Auth: home.Addr, Acct: peer.Port(t), Secret: homeSecret}},
	}})
	denied := strings.Replace(federations, "HOME", home.Addr.String(), 1)
	allowed := strings.Replace(denied, "contracts: []", "contracts:\n  - {from: openair, to: campus}", 1)
	ask := func(from string) (radius.Code, string) {
		nas := peer.NAS{Server: hub.Auth, Secret: clientSecret, Timeout: 30 * time.Second, Tries: 1, From: netip.MustParseAddr(from)}
		reply, _, err := nas.Authenticate("alice@uni.edu.example", "a password")
		if err != nil {
			return 0, err.Error()
		}
		text, _ := reply.Lookup(18) // Reply-Message
		return reply.Code, string(text)
	}
	explain := func(from string) string {
		r := hub.Command("explain", "alice@uni.edu.example", "--from", from, "--admin", hub.Admin.String())
		return r.Stdout + r.Stderr
	}
	expect := func(name string, want map[string]radius.Code) {
		t.Helper()
		for from, code := range want {
			got, text := ask(from)
			assert.Equal(t, code, got, "%s: from %s: %s", name, from, text)
		}
	}

	hub.Route(denied)
	peer.Eventually(t, takesEffect, "the groups are in use", func() bool { code, _ := ask("127.0.0.4"); return code == radius.CodeAccessAccept })
	expect("without a contract", map[string]radius.Code{
		"127.0.0.2": radius.CodeAccessReject, "127.0.0.3": radius.CodeAccessReject, "127.0.0.4": radius.CodeAccessAccept,
	})
	said := explain("openair-proxy")
	assert.Contains(t, said, "transit_denied")
	assert.Contains(t, said, "reject")
	peer.Eventually(t, takesEffect, "both refusals are counted", func() bool {
		return hub.Metric("roamgate_local_answers_total", `reason="transit_denied"`) == 2
	})

	hub.Route(allowed)
	peer.Eventually(t, takesEffect, "the contract is in use", func() bool { code, _ := ask("127.0.0.3"); return code == radius.CodeAccessAccept })
	expect("with a contract", map[string]radius.Code{
		"127.0.0.2": radius.CodeAccessReject, "127.0.0.3": radius.CodeAccessAccept, "127.0.0.4": radius.CodeAccessAccept,
	})
	said = explain("openair-proxy")
	assert.Contains(t, said, "forward")
	assert.Contains(t, said, "contract")
	assert.Contains(t, said, "peers.yaml:5:", "where the contract stands")
}
