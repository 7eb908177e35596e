package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/test/peer"
)

// policies is a policy file in which profile holds for the subscriber.
func policies(profile string) string {
	return fmt.Sprintf("profiles:\n  - %s\ndevices:\n  - nai: %s\n    profile: meter\n", profile, peer.Subscriber.Name)
}

// importPolicies writes the policies into Redis with the hub's own command.
func importPolicies(t *testing.T, hub *peer.Hub, profile string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policies.yaml")
	require.NoError(t, os.WriteFile(file, []byte(policies(profile)), 0o600))
	r := hub.Command("policy", "import", file, "--config", "roamgate.yaml")
	require.Zero(t, r.Code, r.Stdout+r.Stderr)
}

func pap(t *testing.T, hub *peer.Hub, u peer.User) *peer.Reply {
	t.Helper()
	return peer.Radclient{Server: hub.Auth, Secret: hub.Secret, Command: "auth", Attributes: []string{
		`User-Name = "` + u.Name + `"`, `User-Password = "` + u.Password + `"`, "Message-Authenticator = 0x00",
	}}.Run(t)
}

// told bounds the time from a change in Redis to the answer that it changes. The
// hub believes what it has for five minutes unless it is told; on an idle machine
// that takes some milliseconds.
const told = time.Minute

// TestPolicyChangesAndRedisAway: a policy changed in Redis changes the answer at
// once, not when what the hub knows has become old. With Redis stopped known
// devices go on and unknown ones follow the realm's choice.
func TestPolicyChangesAndRedisAway(t *testing.T) {
	t.Parallel()
	const allow, deny = "{name: meter, filter_ids: [limited]}", "{name: meter, deny: true}"
	stranger := peer.User{Name: "stranger@" + peer.Realm, Password: peer.Subscriber.Password}
	for storeAway, whileAway := range map[string]string{"reject": "Access-Reject", "allow": "Access-Accept"} {
		t.Run("store_away "+storeAway, func(t *testing.T) {
			t.Parallel()
			redis := peer.StartRedis(t, true)
			home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, MessageAuthenticator: true,
				Users: []peer.User{peer.Subscriber, stranger, {Name: "late@" + peer.Realm, Password: stranger.Password}}})
			hub := peer.StartHub(t, peer.HubConfig{
				Secret: clientSecret, Redis: redis,
				Homes:  []peer.HubHome{{Name: "a", Server: home.Server, RequireMessageAuthenticator: true}},
				Policy: "{enabled: true, unknown_device: reject, store_away: " + storeAway + "}",
			})
			importPolicies(t, hub, allow)
			peer.Eventually(t, time.Minute, "the device is known", func() bool {
				r := pap(t, hub, peer.Subscriber)
				return r.Code == "Access-Accept" && len(r.Attributes["Filter-Id"]) == 1
			})
			assert.Equal(t, []string{"limited"}, pap(t, hub, peer.Subscriber).Attributes["Filter-Id"])
			assert.Equal(t, "Access-Reject", pap(t, hub, stranger).Code, "the store says that it does not know it")

			for range 3 {
				importPolicies(t, hub, deny)
				peer.Eventually(t, told, "the denial holds", func() bool { return pap(t, hub, peer.Subscriber).Code == "Access-Reject" })
				importPolicies(t, hub, allow)
				peer.Eventually(t, told, "the permission holds", func() bool { return pap(t, hub, peer.Subscriber).Code == "Access-Accept" })
			}

			redis.Stop()
			for range 5 {
				assert.Equal(t, "Access-Accept", pap(t, hub, peer.Subscriber).Code, "a known device goes on")
				late := peer.User{Name: "late@" + peer.Realm, Password: stranger.Password}
				assert.Equal(t, whileAway, pap(t, hub, late).Code, "an unknown one follows the realm's choice")
			}
			redis.Restart()
			peer.Eventually(t, time.Minute, "the store decides again", func() bool {
				return pap(t, hub, stranger).Code == "Access-Reject"
			})
		})
	}
}

// TestPolicyFile: without Redis the policies of a file hold.
func TestPolicyFile(t *testing.T) {
	t.Parallel()
	home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}, MessageAuthenticator: true})
	for profile, want := range map[string]string{
		"{name: meter, filter_ids: [limited]}": "Access-Accept",
		"{name: meter, deny: true}":            "Access-Reject",
	} {
		t.Run(want, func(t *testing.T) {
			hub := peer.StartHub(t, peer.HubConfig{
				Secret: clientSecret, Devices: policies(profile), Policy: "{enabled: true}",
				Homes: []peer.HubHome{{Name: "a", Server: home.Server, RequireMessageAuthenticator: true}},
			})
			r := pap(t, hub, peer.Subscriber)
			assert.Equal(t, want, r.Code, r.Output)
		})
	}
}
