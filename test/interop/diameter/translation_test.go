package diameter

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/roamgate/roamgate/test/peer"
)

// TestTranslatedBothWays: C123. A device over RADIUS reaches a home of Diameter, and a
// NAS of Diameter reaches FreeRADIUS: one hub turns RADIUS into Diameter, freeDiameter
// relays it, and the next hub turns it back. Every conversation of the control group comes
// out as it does without them: eapol_test finds equal keys, attributes and records arrive.
func TestTranslatedBothWays(t *testing.T) {
	certificates := peer.NewCertificates(t, "radius.home.example", peer.Subscriber.Name)
	home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}, Certificates: certificates})
	second := peer.StartHub(t, peer.HubConfig{
		Diameter: &peer.HubDiameter{Identity: "hub.second.test", Realm: "second.test"}, Name: "second",
		Homes: []peer.HubHome{{Name: "a", Server: home.Server}},
		Routes: fmt.Sprintf(`peers:
  - {name: relay, identity: dra.relay.test, realm: relay.test, from: 127.0.0.0/8, origins: [relay.test, first.test]}
homes:
  - {name: a, auth: %q, acct: %q, secret_file: ../a.secret, require_message_authenticator: false}
pools:
  - {name: pool, homes: [a]}
realms:
  - {realm: home.example, auth: pool, accounting: pool, diameter: {action: radius}}
`, home.Auth, home.Acct),
	})
	relay := peer.StartFreeDiameter(t, peer.FreeDiameterConfig{
		Identity: "dra.relay.test", Realm: "relay.test", Allow: []string{"*.first.test", "*.second.test"},
		Peers:  []peer.FreeDiameterPeer{{Identity: "hub.second.test", Addr: before(t, second.Diameter, theHub)}},
		Routes: []string{`dr="home.example" : "hub.second.test" += REALM ;`},
	})
	toRelay := before(t, relay.TCP, thePeer)
	first := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, Diameter: &peer.HubDiameter{Identity: "hub.first.test", Realm: "first.test"}, Name: "first",
		Routes: fmt.Sprintf(`clients:
  - {name: loopback, address: [127.0.0.0/8], secret_file: ../client.secret}
peers:
  - {name: relay, identity: dra.relay.test, realm: relay.test, address: %s, port: %d, retry: 1s}
homes:
  - {name: gate, transport: diameter, application: nasreq}
pools:
  - {name: gate, homes: [gate]}
  - {name: relay, peers: [relay]}
realms:
  - {realm: home.example, auth: gate, accounting: gate, diameter: {pool: relay}}
`, toRelay.Addr(), toRelay.Port()),
	})
	for _, hub := range []*peer.Hub{first, second} {
		peer.Eventually(t, soon, "the relay is connected", func() bool {
			return hub.Metric("roamgate_diameter_peer_state", "peer", "relay", "state", "open") == 1
		})
	}
	path := peer.Path{Front: first.Server, Home: home, Certificates: certificates}
	for _, c := range peer.Conversations() {
		if c.Name != "PAP" && c.Name != "CHAP" { // their Class is not alone, see below
			t.Run(c.Name, func(t *testing.T) { c.Run(t, path) })
		}
	}
	t.Run("Class", func(t *testing.T) {
		for _, password := range []string{"User-Password", "CHAP-Password"} {
			r := peer.Radclient{Server: first.Auth, Secret: clientSecret, Command: "auth", Attributes: []string{
				fmt.Sprintf("User-Name = %q", peer.Subscriber.Name), fmt.Sprintf("%s = %q", password, peer.Subscriber.Password), "Message-Authenticator = 0x00",
			}}.Run(t)
			assert.Equal(t, "Access-Accept", r.Code, r.Output)
			assert.Equal(t, []string{"600"}, r.Attributes["Session-Timeout"])
			if class := r.Attributes["Class"]; assert.Len(t, class, 2, "the home's, and what the hub knows the session by") {
				assert.Equal(t, "0x636c617373", class[0])
			}
		}
	})
	for _, hub := range []*peer.Hub{first, second} {
		assert.Zero(t, hub.Metric("roamgate_gateway_refused_total"))
		assert.Zero(t, hub.Metric("roamgate_gateway_late_total"))
	}
}
