package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/test/peer"
)

// loopback is in the certificate of whoever listens.
var loopback = []netip.Addr{netip.MustParseAddr("127.0.0.1")}

// The names of a chain's members in their certificates.
const (
	visitedHost = "radsec.visited.example"
	firstHost   = "first.hub.example"
)

// trust is an entry of `tls:` in a routing file.
func trust(name string, k *peer.Keys, more ...string) string {
	text := fmt.Sprintf("  - name: %s\n    certificate: %s\n    key: %s\n    authorities: [%s]\n", name, k.Cert, k.Key, k.Root)
	for _, line := range more {
		text += "    " + line + "\n"
	}
	return text
}

// routing puts a routing file together from sections that are written as
// "name:\n" and its entries.
func routing(sections ...string) string { return strings.Join(sections, "") }

// tlsClient is an entry of `clients:`.
func tlsClient(name, trust, host string, more ...string) string {
	text := fmt.Sprintf("  - name: %s\n    transport: tls\n    tls: %s\n    certificate: {hosts: [%s]}\n", name, trust, host)
	for _, line := range more {
		text += "    " + line + "\n"
	}
	return text
}

// udpHome is a home, and its pool of the same name, with the secret of peer.HubConfig.Homes.
func udpHome(name string, s peer.Server) string {
	return fmt.Sprintf("homes:\n  - name: %s\n    auth: %q\n    acct: %q\n    secret_file: ../%s.secret\n    status_server: true\n"+
		"    require_message_authenticator: false\npools:\n  - name: %s\n    homes: [%s]\n", name, s.Auth, s.Acct, name, name, name)
}

// route sends the realm to a pool.
func route(pool string) string {
	return fmt.Sprintf("realms:\n  - realm: %s\n    auth: %s\n    accounting: %s\n    acknowledge: home\n", peer.Realm, pool, pool)
}

// TestRadSecClients: radsecproxy and FreeRADIUS as clients over TLS, the home
// over UDP. Every conversation comes out as without the hub.
func TestRadSecClients(t *testing.T) {
	t.Parallel()
	pki := peer.NewLab(t, "federation")
	certificates := peer.NewCertificates(t, "radius.home.example", peer.Subscriber.Name)
	home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}, Certificates: certificates})
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, RadSec: true, Homes: []peer.HubHome{{Name: "a", Server: home.Server}},
		Routes: routing("tls:\n", trust("roaming", pki.Keys("hub", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})),
			"clients:\n", tlsClient("visited", "roaming", visitedHost), udpHome("a", home.Server), route("a")),
	})
	visited := pki.Keys("visited", lab.Leaf{Hosts: []string{visitedHost}})
	for _, v := range []peer.Visited{peer.RadsecproxyProxy, peer.FreeRADIUSProxy} {
		t.Run(v.String(), func(t *testing.T) {
			front := v.BeforeTLS(t, peer.Next{TLS: hub.RadSec, Keys: visited})
			path := peer.Path{Front: front, Home: home, Certificates: certificates}
			for _, c := range peer.Conversations() {
				t.Run(c.Name, func(t *testing.T) { c.Run(t, path) })
			}
		})
	}
}

// TestRadSecFreeRADIUSAtOnce: many requests at a time to FreeRADIUS and from it,
// which takes one packet of a TLS record and no more.
func TestRadSecFreeRADIUSAtOnce(t *testing.T) {
	pki := peer.NewLab(t, "federation")
	home := peer.StartHome(t, peer.HomeConfig{
		Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber},
		RadSec: pki.Keys("home", lab.Leaf{Hosts: []string{homeHost}, Addrs: loopback}),
	})
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, RadSec: true,
		Routes: routing("tls:\n", trust("roaming", pki.Keys("hub", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})),
			"clients:\n  - name: loopback\n    address: [127.0.0.0/8]\n    secret_file: ../client.secret\n",
			tlsClient("visited", "roaming", visitedHost), tlsHome("a", "roaming", home.TLS.Port(), "hosts: ["+homeHost+"]"), route("a")),
	})
	front := peer.FreeRADIUSProxy.BeforeTLS(t, peer.Next{TLS: hub.RadSec, Keys: pki.Keys("visited", lab.Leaf{Hosts: []string{visitedHost}})})
	for _, tt := range []struct {
		name string
		at   peer.Server
	}{{"as home", hub.Server}, {"as home and visited network", front}} {
		t.Run(tt.name, func(t *testing.T) {
			n, err := play.NewNAS(play.NASConfig{
				Auth: tt.at.Auth, Secret: []byte(tt.at.Secret), Window: 20, Total: 1000, Sockets: 2, AllowUnsigned: true,
				Timeout: time.Minute, Retries: 3, Realms: []play.Realm{{Name: peer.Realm}},
			})
			require.NoError(t, err)
			require.NoError(t, n.Run(t.Context()))
			c := n.Snapshot()
			assert.EqualValues(t, 1000, c.Answered.All())
			assert.Zero(t, c.Retransmitted.All(), "none had to be asked for again")
		})
	}
}

// TestRadSecTenants: two authorities that give the same name to two operators.
// Whose certificate it is decides who asks, never the name in it, and the home
// sees the operator of the one that has asked.
func TestRadSecTenants(t *testing.T) {
	t.Parallel()
	one, two := peer.NewLab(t, "one"), peer.NewLab(t, "two")
	home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}})
	server := lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback}
	// The hub has one certificate, and clients of both know its authority.
	own := one.Keys("hub", server)
	second := *own
	second.Root = two.Root
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, RadSec: true, Homes: []peer.HubHome{{Name: "a", Server: home.Server}},
		Routes: routing("tls:\n", trust("one", own), trust("two", &second),
			"clients:\n", tlsClient("one", "one", visitedHost, "operator: 1one.example", "operator_name: stamp"),
			tlsClient("two", "two", visitedHost, "operator: 1two.example", "operator_name: stamp"), udpHome("a", home.Server), route("a")),
	})
	for _, tt := range []struct {
		name string
		pki  *peer.Lab
	}{{"one", one}, {"two", two}, {"one", one}} {
		keys := tt.pki.Keys("visited", lab.Leaf{Hosts: []string{visitedHost}})
		keys.Root = own.Root // of the hub's own certificate
		front := peer.RadsecproxyProxy.BeforeTLS(t, peer.Next{TLS: hub.RadSec, Keys: keys})
		before := len(home.Accesses())
		r := peer.Radclient{Server: front.Auth, Secret: front.Secret, Command: "auth", Attributes: []string{
			`User-Name = "` + peer.Subscriber.Name + `"`, `User-Password = "` + peer.Subscriber.Password + `"`, "Message-Authenticator = 0x00",
		}}.Run(t)
		require.Equal(t, "Access-Accept", r.Code, r.Output)
		seen := home.Accesses()[before:]
		require.Len(t, seen, 1)
		assert.Equal(t, "1"+tt.name+".example", seen[0].Operator)
	}
}
