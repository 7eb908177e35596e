package interop

import (
	"fmt"
	"testing"

	"github.com/roamgate/roamgate/cmd/roamgen/lab"
	"github.com/roamgate/roamgate/test/peer"
)

const (
	homeHost = "radsec.home.example"
)

// tlsHome is a home, and its pool of the same name, on loopback.
func tlsHome(name, trust string, port uint16, holder string, more ...string) string {
	text := fmt.Sprintf("homes:\n  - name: %s\n    transport: tls\n    tls: %s\n    address: 127.0.0.1\n    port: %d\n    certificate: {%s}\n    status_server: true\n",
		name, trust, port, holder)
	for _, line := range more {
		text += "    " + line + "\n"
	}
	return text + fmt.Sprintf("pools:\n  - name: %s\n    homes: [%s]\n", name, name)
}

// TestRadSecHomes: FreeRADIUS and radsecproxy as servers over TLS, the NAS over
// UDP.
func TestRadSecHomes(t *testing.T) {
	t.Parallel()
	pki := peer.NewLab(t, "federation")
	certificates := peer.NewCertificates(t, "radius.home.example", peer.Subscriber.Name)
	server := lab.Leaf{Hosts: []string{homeHost}, Addrs: loopback}
	home := peer.StartHome(t, peer.HomeConfig{
		Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}, Certificates: certificates, RadSec: pki.Keys("home", server),
	})
	proxy := peer.StartRadsecproxyTLS(t, "inner", "", pki.Keys("inner", server), peer.Next{Server: home.Server})
	for _, tt := range []struct {
		name string
		port uint16
	}{{"freeradius", home.TLS.Port()}, {"radsecproxy", proxy.TLS.Port()}} {
		t.Run(tt.name, func(t *testing.T) {
			hub := peer.StartHub(t, peer.HubConfig{
				Secret: clientSecret,
				Routes: routing("tls:\n", trust("roaming", pki.Keys("hub", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})),
					"clients:\n  - name: loopback\n    address: [127.0.0.0/8]\n    secret_file: ../client.secret\n",
					tlsHome("a", "roaming", tt.port, "hosts: ["+homeHost+"]"), route("a")),
			})
			path := peer.Path{Front: hub.Server, Home: home, Certificates: certificates}
			for _, c := range peer.Conversations() {
				t.Run(c.Name, func(t *testing.T) { c.Run(t, path) })
			}
		})
	}
}

// TestRadSecChain: NAS, radsecproxy, a hub, the hub that it finds by DNS, and
// FreeRADIUS, with TLS on each hop; between the hubs once RADIUS/1.0 and once
// RADIUS/1.1. Every conversation comes out as without them, keys included.
func TestRadSecChain(t *testing.T) {
	t.Parallel()
	pki := peer.NewLab(t, "federation")
	certificates := peer.NewCertificates(t, "radius.home.example", peer.Subscriber.Name)
	home := peer.StartHome(t, peer.HomeConfig{
		Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}, Certificates: certificates,
		RadSec: pki.Keys("home", lab.Leaf{Hosts: []string{homeHost}, Addrs: loopback}),
	})
	for _, version := range []string{"radius/1.0", "radius/1.1"} {
		t.Run(version, func(t *testing.T) {
			between := "versions: [" + version + "]"
			second := pki.Keys("second", lab.Leaf{Hosts: []string{secondHost}, Realms: []string{peer.Realm}, Addrs: loopback})
			inner := peer.StartHub(t, peer.HubConfig{
				Secret: clientSecret, RadSec: true, Name: "second",
				Routes: routing("tls:\n", trust("federation", second, between), trust("homes", second),
					"clients:\n", tlsClient("first", "federation", firstHost),
					tlsHome("a", "homes", home.TLS.Port(), "hosts: ["+homeHost+"]"), route("a")),
			})
			zones := peer.StartDNS(t, map[string]string{peer.Realm: fmt.Sprintf(
				"@ NAPTR 50 10 \"s\" \"x-eduroam:radius.tls\" \"\" _radsec._tcp.%[1]s.\n_radsec._tcp SRV 0 10 %[2]d hub\nhub A 127.0.0.1",
				peer.Realm, inner.RadSec.Port())})
			first := pki.Keys("first", lab.Leaf{Hosts: []string{firstHost}, Addrs: loopback})
			outer := peer.StartHub(t, peer.HubConfig{
				Secret: clientSecret, RadSec: true, Name: "first", DNS: zones.Resolver,
				Routes: routing("tls:\n", trust("visited", first), trust("federation", first, between),
					"clients:\n", tlsClient("visited", "visited", visitedHost),
					"discoveries:\n  - name: roaming\n    auth: [\"x-eduroam:radius.tls\"]\n    accounting: [\"x-eduroam:radius.tls\"]\n    tls: federation\n    private: [127.0.0.0/8]\n",
					"realms:\n  - realm: "+peer.Realm+"\n    discover: roaming\n    acknowledge: home\n"),
			})
			front := peer.RadsecproxyProxy.BeforeTLS(t, peer.Next{TLS: outer.RadSec, Keys: pki.Keys("visited", lab.Leaf{Hosts: []string{visitedHost}})})
			path := peer.Path{Front: front, Home: home, Certificates: certificates}
			for _, c := range peer.Conversations() {
				t.Run(c.Name, func(t *testing.T) { c.Run(t, path) })
			}
		})
	}
}
