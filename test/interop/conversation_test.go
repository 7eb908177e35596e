package interop

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

const (
	clientSecret = "client-secret-of-32-octets-or-more"
	homeSecret   = "home-secret-of-at-least-32-octets-1"
)

// TestConversations runs every conversation of the control group through the
// hub: visited side x method x kind of home. Keys, attributes and records
// must come out as they do without it: foreign Proxy-State, State and Class
// pass (C2), User-Password is hidden anew (C5), CHAP stays verifiable (C6), so
// do the MPPE keys (C12), and EAP-Message is neither split nor merged (C23).
// FreeRADIUS puts Message-Authenticator and State where it likes (C51).
func TestConversations(t *testing.T) {
	t.Parallel()
	certificates := peer.NewCertificates(t, "radius.home.example", peer.Subscriber.Name)
	homes := []struct {
		name string
		home peer.HomeConfig
	}{
		// FreeRADIUS 3.2.1 puts no Message-Authenticator beside PAP and CHAP.
		{"home as packaged", peer.HomeConfig{}},
		{"home with message authenticator", peer.HomeConfig{MessageAuthenticator: true, RequireMessageAuthenticator: true}},
	}
	for _, tt := range homes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.home.Name, tt.home.Secret, tt.home.Certificates = "home", homeSecret, certificates
			tt.home.Users = []peer.User{peer.Subscriber}
			home := peer.StartHome(t, tt.home)
			hub := peer.StartHub(t, peer.HubConfig{
				Secret: clientSecret, Acknowledge: "home",
				Homes: []peer.HubHome{{Name: "a", Server: home.Server, RequireMessageAuthenticator: tt.home.MessageAuthenticator}},
			})
			for _, v := range peer.AllVisited {
				t.Run(v.String(), func(t *testing.T) {
					path := peer.Path{Front: v.Before(t, hub.Server), Home: home, Certificates: certificates}
					for _, c := range peer.Conversations() {
						t.Run(c.Name, func(t *testing.T) { c.Run(t, path) })
					}
				})
			}
		})
	}
}

// TestMessageAuthenticatorRequired: a client that must send one and does not
// gets no answer (C48); the exception for old equipment is per client and ends
// at Proxy-State (C49). Every reply carries one, as its first attribute (C47).
func TestMessageAuthenticatorRequired(t *testing.T) {
	t.Parallel()
	for _, relaxed := range []bool{false, true} {
		name := "required"
		if relaxed {
			name = "relaxed"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}})
			hub := peer.StartHub(t, peer.HubConfig{
				Secret: clientSecret, RelaxClients: relaxed, Homes: []peer.HubHome{{Name: "a", Server: home.Server}},
			})
			request := []string{`User-Name = "` + peer.Subscriber.Name + `"`, `User-Password = "` + peer.Subscriber.Password + `"`}
			want := ""
			if relaxed {
				want = "Access-Accept"
			}
			// For an answer that is not to come it does not wait long.
			ask := func(want string, front peer.Server, extra ...string) *peer.Reply {
				r := peer.Radclient{Server: front.Auth, Secret: front.Secret, Command: "auth", Retries: 1, Attributes: append(request[:2:2], extra...)}
				if want == "" {
					r.Timeout = time.Second
				}
				return r.Run(t)
			}
			with := ask("Access-Accept", hub.Server, "Message-Authenticator = 0x00")
			require.Equal(t, "Access-Accept", with.Code, with.Output)
			assert.Equal(t, "Message-Authenticator", with.Names[0], "the first attribute of every reply")
			assert.Len(t, with.Attributes["Message-Authenticator"], 1)

			without := ask(want, hub.Server)
			assert.Equal(t, want, without.Code, without.Output)
			assert.Empty(t, ask("", hub.Server, "Proxy-State = 0x61").Code, "limit_proxy_state holds for relaxed clients")
			// radsecproxy 1.9.2 adds none to what its NAS sent.
			proxied := ask(want, peer.RadsecproxyProxy.Before(t, hub.Server))
			assert.Equal(t, want, proxied.Code, proxied.Output)
			// FreeRADIUS 3.2.1 adds one to whatever it proxies.
			added := ask("Access-Accept", peer.FreeRADIUSProxy.Before(t, hub.Server))
			assert.Equal(t, "Access-Accept", added.Code, added.Output)
		})
	}
}

// TestHomeWithoutMessageAuthenticator: a home that must send one and does not
// is not believed (C50).
func TestHomeWithoutMessageAuthenticator(t *testing.T) {
	t.Parallel()
	home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}})
	hub := peer.StartHub(t, peer.HubConfig{Secret: clientSecret, Timers: "{irt: 1s, mrd: 3s}", Homes: []peer.HubHome{
		{Name: "a", Server: home.Server, RequireMessageAuthenticator: true},
	}})
	r := pap(t, hub, peer.Subscriber)
	assert.NotEqual(t, "Access-Accept", r.Code, r.Output)
	assert.NotEmpty(t, home.Accepts(), "the home did accept")
}

// TestStatusServer: the hub answers for itself and asks no home (C41), and
// only who knows the secret (C42; RFC 5997).
func TestStatusServer(t *testing.T) {
	t.Parallel()
	home := peer.ListenHome(t, homeSecret)
	hub := peer.StartHub(t, peer.HubConfig{Secret: clientSecret, Homes: []peer.HubHome{{
		Name: "a", Server: peer.Server{Auth: home.Addr, Acct: peer.Port(t), Secret: homeSecret}, RequireMessageAuthenticator: true,
	}}})
	status := func(patience time.Duration, acct bool, secret string) string {
		at := hub.Auth
		if acct {
			at = hub.Acct
		}
		return peer.Radclient{Server: at, Secret: secret, Command: "status", Timeout: patience, Retries: 1,
			Attributes: []string{"Message-Authenticator = 0x00"}}.Run(t).Code
	}
	assert.Equal(t, "Access-Accept", status(time.Minute, false, clientSecret))
	assert.Equal(t, "Accounting-Response", status(time.Minute, true, clientSecret))
	assert.Empty(t, status(time.Second, false, "another-secret-of-32-octets-or-more"))
	assert.Empty(t, home.Received(), "nothing was forwarded")
}

// TestUnknownRealm: an Access-Reject says so, never silence, which would make
// the visited proxy believe that the hub is dead.
func TestUnknownRealm(t *testing.T) {
	t.Parallel()
	home := peer.ListenHome(t, homeSecret)
	hub := peer.StartHub(t, peer.HubConfig{Secret: clientSecret, Homes: []peer.HubHome{{
		Name: "a", Server: peer.Server{Auth: home.Addr, Acct: peer.Port(t), Secret: homeSecret},
	}}})
	for _, user := range []string{"bob@nowhere.example", "bob", "bob@", "bob@a@home.example"} {
		r := peer.Radclient{Server: hub.Auth, Secret: clientSecret, Command: "auth", Attributes: []string{
			`User-Name = "` + user + `"`, `User-Password = "x"`, "Message-Authenticator = 0x00",
		}}.Run(t)
		assert.Equal(t, "Access-Reject", r.Code, "%s\n%s", user, r.Output)
		assert.Len(t, r.Attributes["Message-Authenticator"], 1, user)
	}
	assert.Empty(t, home.Received())
}
