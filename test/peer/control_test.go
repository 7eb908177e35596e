package peer_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// The tests of this file are the control group of test/interop: the same
// programs in the same roles, without roamgate between them. When one of them
// fails the rig is broken, not the hub.

const homeSecret = "home-secret-of-at-least-32-octets-1"

// TestControl holds that the peers agree among themselves, keys included (C12).
func TestControl(t *testing.T) {
	certificates := peer.NewCertificates(t, "radius.home.example", peer.Subscriber.Name)
	home := peer.StartHome(t, peer.HomeConfig{
		Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}, Certificates: certificates,
	})
	for _, v := range peer.AllVisited {
		t.Run(v.String(), func(t *testing.T) {
			path := peer.Path{Front: v.Before(t, home.Server), Home: home, Certificates: certificates}
			for _, c := range peer.Conversations() {
				t.Run(c.Name, func(t *testing.T) { c.Run(t, path) })
			}
		})
	}
}

// TestMessageAuthenticatorOfHomes holds the facts about FreeRADIUS 3.2.1 that
// decide how a home is configured in roamgate.
func TestMessageAuthenticatorOfHomes(t *testing.T) {
	ask := func(t *testing.T, h *peer.FreeRADIUS, password string, extra ...string) *peer.Reply {
		return peer.Radclient{Server: h.Auth, Secret: h.Secret, Command: "auth", Retries: 1, Timeout: 1e9, Attributes: append([]string{
			`User-Name = "` + peer.Subscriber.Name + `"`, `User-Password = "` + password + `"`,
		}, extra...)}.Run(t)
	}
	tests := []struct {
		name string
		home peer.HomeConfig
		// what a reply carries, and whether a request without one is answered
		inReply, answersWithout bool
	}{
		{name: "as packaged", answersWithout: true},
		{name: "told to add one", home: peer.HomeConfig{MessageAuthenticator: true}, inReply: true, answersWithout: true},
		{name: "told to require one", home: peer.HomeConfig{RequireMessageAuthenticator: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.home.Name, tt.home.Secret, tt.home.Users = "home", homeSecret, []peer.User{peer.Subscriber}
			home := peer.StartHome(t, tt.home)
			for _, password := range []string{peer.Subscriber.Password, "wrong"} {
				r := ask(t, home, password, "Message-Authenticator = 0x00")
				require.NotEmpty(t, r.Code, r.Output)
				assert.Equal(t, tt.inReply, len(r.Attributes["Message-Authenticator"]) == 1, r.Output)
			}
			status := peer.Radclient{Server: home.Auth, Secret: home.Secret, Command: "status",
				Attributes: []string{"Message-Authenticator = 0x00"}}.Run(t)
			require.Equal(t, "Access-Accept", status.Code, status.Output)
			assert.Equal(t, tt.inReply, len(status.Attributes["Message-Authenticator"]) == 1, status.Output)
			r := ask(t, home, peer.Subscriber.Password)
			assert.Equal(t, tt.answersWithout, r.Code != "", r.Output)
		})
	}
}

// TestMessageAuthenticatorOfVisited holds what the packaged proxies put into
// an Access-Request toward the next hop, which decides how they are configured
// as clients of roamgate.
func TestMessageAuthenticatorOfVisited(t *testing.T) {
	tests := []struct {
		name    string
		visited peer.Visited
		fromNAS bool // the NAS sent one
		onward  int  // position among the attributes sent on, 1 is first, 0 none
		states  int  // Proxy-States added
	}{
		{name: "freeradius, NAS without", visited: peer.FreeRADIUSProxy, onward: 4, states: 1},
		{name: "freeradius, NAS with", visited: peer.FreeRADIUSProxy, fromNAS: true, onward: 4, states: 1},
		{name: "radsecproxy, NAS without", visited: peer.RadsecproxyProxy},
		{name: "radsecproxy, NAS with", visited: peer.RadsecproxyProxy, fromNAS: true, onward: 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			home := peer.ListenHome(t, homeSecret)
			front := tt.visited.Before(t, peer.Server{Auth: home.Addr, Acct: peer.Port(t), Secret: home.Secret})
			request := []string{`User-Name = "` + peer.Subscriber.Name + `"`, `User-Password = "x"`, `NAS-Identifier = "nas.test"`}
			if tt.fromNAS {
				request = append(request, "Message-Authenticator = 0x00")
			}
			r := peer.Radclient{Server: front.Auth, Secret: front.Secret, Command: "auth", Attributes: request}.Run(t)
			require.Equal(t, "Access-Accept", r.Code, r.Output)

			seen := home.Received()
			require.Len(t, seen, 1)
			types := seen[0].Types()
			at, states := 0, 0
			for i, typ := range types {
				switch typ {
				case 80:
					at = i + 1
				case 33:
					states++
				}
			}
			assert.Equal(t, tt.onward, at, "position of Message-Authenticator in %v", types)
			assert.Equal(t, tt.states, states, "Proxy-States in %v", types)
			t.Logf("sent on: %v; reply to the NAS has %d Message-Authenticators", types, len(r.Attributes["Message-Authenticator"]))
		})
	}
}
