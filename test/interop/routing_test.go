package interop

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// takesEffect bounds the time from a saved file to the new routes; the hubs
// here look every 100 ms.
const takesEffect = time.Minute

// TestRoutingEditedUnderLoad: a new realm works soon after its file is saved,
// and no request of the others is lost meanwhile. A broken file changes
// nothing, says where it is broken, and check refuses it.
func TestRoutingEditedUnderLoad(t *testing.T) {
	users := subscribers(16)
	late := peer.User{Name: "bob@late.example", Password: peer.Subscriber.Password}
	home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: append(users, late), MessageAuthenticator: true})
	hub := peer.StartHub(t, peer.HubConfig{Secret: clientSecret, Homes: []peer.HubHome{
		{Name: "a", Server: home.Server, RequireMessageAuthenticator: true},
	}})
	routing := hub.Config.Routing()
	withLate := routing + "  - realm: late.example\n    auth: pool\n    accounting: pool\n"
	ask := func() string {
		return peer.Radclient{Server: hub.Auth, Secret: clientSecret, Command: "auth", Attributes: []string{
			`User-Name = "` + late.Name + `"`, `User-Password = "` + late.Password + `"`, "Message-Authenticator = 0x00",
		}}.Run(t).Code
	}

	// One try only: nothing may be lost, not even for a moment.
	nas := peer.NAS{Server: hub.Auth, Secret: clientSecret, Timeout: 30 * time.Second, Tries: 1}
	load := peer.StartLoad(t, 8, authenticate(nas, users))
	require.Equal(t, "Access-Reject", ask(), "the realm is not known yet")
	for range 5 {
		hub.Route(withLate)
		peer.Eventually(t, takesEffect, "the new realm works", func() bool { return ask() == "Access-Accept" })
		hub.Route(routing)
		peer.Eventually(t, takesEffect, "the realm is gone again", func() bool { return ask() == "Access-Reject" })
	}
	hub.Route(withLate)
	peer.Eventually(t, takesEffect, "the new realm works", func() bool { return ask() == "Access-Accept" })

	broken := strings.Replace(withLate, "realm: late.example\n    auth: pool", "realm: late.example\n    auth: pol", 1)
	line := lineOf(t, broken, "auth: pol\n")
	hub.Route(broken)
	peer.Eventually(t, takesEffect, "the log names the line of the mistake", func() bool {
		return strings.Contains(hub.Output(), "peers.yaml:"+line+":")
	})
	assert.Equal(t, "Access-Accept", ask(), "the routes of before stay")
	check := hub.Command("check", "--config", "roamgate.yaml")
	assert.Equal(t, 1, check.Code)
	assert.Contains(t, check.Stdout+check.Stderr, "peers.yaml:"+line+":")

	hub.Route(withLate)
	peer.Eventually(t, takesEffect, "check is content again", func() bool {
		return hub.Command("check", "--config", "roamgate.yaml").Code == 0
	})
	assert.Greater(t, load.Stop(), 100)
}

// lineOf is the number of the line that holds text.
func lineOf(t *testing.T, file, text string) string {
	t.Helper()
	before, _, ok := strings.Cut(file, text)
	require.True(t, ok, "no %q in the file", text)
	return strconv.Itoa(strings.Count(before, "\n") + 1)
}
