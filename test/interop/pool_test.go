package interop

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"layeh.com/radius"

	"github.com/roamgate/roamgate/test/peer"
)

// comesBack bounds the time after which a home that answers again is used.
const comesBack = 2 * time.Minute

// subscribers are many users of the realm, so that a pool spreads them.
func subscribers(n int) []peer.User {
	users := make([]peer.User, n)
	for i := range users {
		users[i] = peer.User{Name: fmt.Sprintf("user%03d@%s", i, peer.Realm), Password: peer.Subscriber.Password}
	}
	return users
}

// authenticate is a load of PAP authentications that all must be accepted.
func authenticate(nas peer.NAS, users []peer.User) func(worker, n int) error {
	return func(worker, n int) error {
		u := users[(worker*31+n)%len(users)]
		reply, tries, err := nas.Authenticate(u.Name, u.Password)
		if err != nil {
			return fmt.Errorf("%s after %d tries: %w", u.Name, tries, err)
		}
		if reply.Code != radius.CodeAccessAccept {
			return fmt.Errorf("%s got %s", u.Name, reply.Code)
		}
		return nil
	}
}

// TestHomeKilledUnderLoad: no authentication that its NAS retried once is
// lost, and the home is used again by itself when it is back, also when its
// answers to probes are none that the hub may believe.
func TestHomeKilledUnderLoad(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plain bool // probes are answered without Message-Authenticator
	}{
		{name: "probes believed"},
		{name: "probes not believed", plain: true},
	} {
		t.Run(tt.name, func(t *testing.T) { homeKilledUnderLoad(t, tt.plain) })
	}
}

func homeKilledUnderLoad(t *testing.T, plain bool) {
	users := subscribers(64)
	start := func(name string) *peer.FreeRADIUS {
		return peer.StartHome(t, peer.HomeConfig{Name: name, Secret: homeSecret, Users: users, MessageAuthenticator: true, PlainStatus: plain})
	}
	a, b := start("home-a"), start("home-b")
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, Timers: "{irt: 1s}",
		Homes: []peer.HubHome{
			{Name: "a", Server: a.Server, RequireMessageAuthenticator: true},
			{Name: "b", Server: b.Server, RequireMessageAuthenticator: true},
		},
	})
	nas := peer.NAS{Server: hub.Auth, Secret: clientSecret, Timeout: 10 * time.Second, Tries: 2}
	load := peer.StartLoad(t, 16, authenticate(nas, users))
	reaches := func(n int) func() bool {
		n += load.Done()
		return func() bool { return load.Done() >= n }
	}

	peer.Eventually(t, 2*time.Minute, "500 authentications", reaches(500))
	require.NotEmpty(t, a.Accepts(), "both homes are used")
	require.NotEmpty(t, b.Accepts(), "both homes are used")

	a.Kill()
	before := len(a.Accepts())
	peer.Eventually(t, 2*time.Minute, "500 authentications without home a", reaches(500))
	// A home that was only missed for a moment proves nothing about return.
	peer.Eventually(t, 2*time.Minute, "home a is found dead", func() bool {
		return hub.Metric("roamgate_home_state", `home="a"`, `kind="auth"`, `state="down"`) == 1
	})

	a.Restart()
	peer.Eventually(t, comesBack, "home a is used again", func() bool { return len(a.Accepts()) > before })
	peer.Eventually(t, 2*time.Minute, "500 authentications after that", reaches(500))
	assert.Greater(t, load.Stop(), 1500)
}

// TestEAPStaysWithItsHome: every round of a conversation reaches the home that
// began it with its State intact (C37), else no TLS handshake could finish with
// two homes.
func TestEAPStaysWithItsHome(t *testing.T) {
	t.Parallel()
	certificates := peer.NewCertificates(t, "radius.home.example", peer.Subscriber.Name)
	start := func(name string) *peer.FreeRADIUS {
		return peer.StartHome(t, peer.HomeConfig{Name: name, Secret: homeSecret, Users: []peer.User{peer.Subscriber}, Certificates: certificates})
	}
	a, b := start("home-a"), start("home-b")
	hub := peer.StartHub(t, peer.HubConfig{Secret: clientSecret, Homes: []peer.HubHome{
		{Name: "a", Server: a.Server}, {Name: "b", Server: b.Server},
	}})
	path := peer.Path{Front: hub.Server, Certificates: certificates}
	for i := range 8 {
		got := path.EAP(peer.Methods[i%len(peer.Methods)], peer.Subscriber.Password).Run(t)
		require.True(t, got.Success, got.Output)
		assert.True(t, got.KeysOK)
	}
	assert.Equal(t, 8, len(a.Accepts())+len(b.Accepts()))
}
