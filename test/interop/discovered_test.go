package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/test/peer"
	"github.com/roamgate/roamgate/test/zone"
)

const secondHost = "second.hub.example"

// publish has the zone name a door as that of the realm, for both services.
func publish(t *testing.T, z *zone.Zone, realm, host string, port uint16) {
	t.Helper()
	for _, rr := range []string{
		fmt.Sprintf(`%s. 600 IN NAPTR 10 10 "s" "aaa+auth:radius.tls.tcp" "" _radiustls._tcp.%[1]s.`, realm),
		fmt.Sprintf(`%s. 600 IN NAPTR 10 20 "s" "aaa+acct:radius.tls.tcp" "" _radiustls._tcp.%[1]s.`, realm),
		fmt.Sprintf("_radiustls._tcp.%s. 600 IN SRV 1 10 %d %s.", realm, port, host),
	} {
		require.NoError(t, z.Add(rr))
	}
}

// TestDiscoveredHub: radsecproxy and FreeRADIUS as visited networks over TLS, a
// hub that finds the next one by DNS, and FreeRADIUS as the home: every
// conversation comes out as without them, over RADIUS/1.1 and over RADIUS/TLS
// between the hubs. A target that takes no connection is passed over (C94), and
// a peer whose certificate does not name the realm gets nothing, and the client
// is told.
//
// FreeRADIUS 3.2.1 reads its TLS socket, which blocks, under the lock that its
// writers need. In four of six runs it stalled here for good, with its first
// request unsent: the session ticket that TLS 1.3 sends after the handshake had
// woken its reader, which then waited for the answer. Our tickets leave with the
// first answer therefore (pkg/stream).
func TestDiscoveredHub(t *testing.T) {
	t.Parallel()
	for _, versions := range []string{"radius/1.1", "radius/1.0"} {
		t.Run(strings.ReplaceAll(versions, "/", " "), func(t *testing.T) {
			t.Parallel()
			discoveredHub(t, versions)
		})
	}
}

func discoveredHub(t *testing.T, versions string) {
	pki := peer.NewLab(t, "federation")
	certificates := peer.NewCertificates(t, "radius.home.example", peer.Subscriber.Name)
	home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}, Certificates: certificates})
	second := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, RadSec: true, Homes: []peer.HubHome{{Name: "a", Server: home.Server}},
		Routes: routing("tls:\n", trust("roaming", pki.Keys("second", lab.Leaf{Realms: []string{peer.Realm}, Hosts: []string{secondHost}}), "versions: "+versions),
			"clients:\n", tlsClient("first", "roaming", firstHost), udpHome("a", home.Server), route("a")),
	})
	z := zone.New()
	publish(t, z, peer.Realm, secondHost, second.RadSec.Port())
	publish(t, z, "other.example", secondHost, second.RadSec.Port())
	require.NoError(t, z.Add(secondHost+". 600 IN A 127.0.0.1"))
	// The target that comes first takes no connection.
	require.NoError(t, z.Add(fmt.Sprintf("_radiustls._tcp.%s. 600 IN SRV 0 10 %d %s.", peer.Realm, peer.Port(t).Port(), secondHost)))
	at, stop, err := z.Serve()
	require.NoError(t, err)
	defer stop()
	first := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, RadSec: true, DNS: at,
		Routes: routing("tls:\n", trust("roaming", pki.Keys("first", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})),
			"clients:\n", tlsClient("visited", "roaming", visitedHost),
			"discoveries:\n  - {name: found, profile: openroaming, tls: roaming, private: 127.0.0.0/8}\n",
			"realms:\n  - {realm: default, discover: found}\n"),
	})
	visited := pki.Keys("visited", lab.Leaf{Hosts: []string{visitedHost}})
	var front peer.Server
	for _, v := range []peer.Visited{peer.FreeRADIUSProxy, peer.RadsecproxyProxy} {
		front = v.BeforeTLS(t, peer.Next{TLS: first.RadSec, Keys: visited})
		path := peer.Path{Front: front, Home: home, Certificates: certificates}
		for _, c := range peer.Conversations() {
			t.Run(v.String()+"/"+c.Name, func(t *testing.T) { c.Run(t, path) })
		}
	}
	assert.Equal(t, 2, z.Asked("_radiustls._tcp."+peer.Realm+". SRV"), "once for each service: %v", z.Questions())

	r := peer.Radclient{Server: front.Auth, Secret: front.Secret, Command: "auth", Attributes: []string{
		`User-Name = "bob@other.example"`, `User-Password = "whatever"`, "Message-Authenticator = 0x00",
	}}.Run(t)
	assert.Equal(t, "Access-Reject", r.Code, "the peer does not speak for the realm: %s", r.Output)
}
