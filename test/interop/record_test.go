package interop

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"layeh.com/radius"
	"layeh.com/radius/rfc2866"

	"github.com/roamgate/roamgate/test/peer"
)

// arrives bounds the way of an acknowledged record to the clearing side.
const arrives = time.Minute

func radclientStop(t *testing.T, hub *peer.Hub, session string) *peer.Reply {
	t.Helper()
	return peer.Radclient{Server: hub.Acct, Secret: hub.Secret, Command: "acct", Attributes: []string{
		`User-Name = "` + peer.Subscriber.Name + `"`, "Acct-Status-Type = Stop", `Acct-Session-Id = "` + session + `"`,
		`NAS-Identifier = "nas.test"`, "Acct-Session-Time = 60", "Acct-Input-Octets = 1000", "Acct-Output-Octets = 2000",
	}}.Run(t)
}

// TestStopReachesClearing: a stop sent with radclient is acknowledged, listed,
// and read from the Redis Stream by a plain XREADGROUP. With Redis stopped it
// is still acknowledged, and arrives when Redis is back.
func TestStopReachesClearing(t *testing.T) {
	t.Parallel()
	for _, acknowledge := range []string{"durable", "home"} {
		t.Run(acknowledge, func(t *testing.T) {
			t.Parallel()
			redis := peer.StartRedis(t, true)
			home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}})
			hub := peer.StartHub(t, peer.HubConfig{
				Secret: clientSecret, Acknowledge: acknowledge, Redis: redis,
				Homes: []peer.HubHome{{Name: "a", Server: home.Server}},
			})
			c := newClearing(t, redis)
			stop := func(n int) string {
				s := sessionName(0, n)
				r := radclientStop(t, hub, s)
				require.Equal(t, "Accounting-Response", r.Code, r.Output)
				return s
			}

			first := stop(1)
			assert.Equal(t, 1, exported(t, hub)[first], "roamgate spool dump shows it")
			list := hub.Command("spool", "dump", "--table", "--admin", hub.Admin.String())
			assert.Contains(t, list.Stdout, first)
			peer.Eventually(t, arrives, "the stop is in the stream", func() bool { return c.has(first) })

			redis.Stop()
			second, third := stop(2), stop(3)
			redis.Restart()
			peer.Eventually(t, arrives, "the stops arrive after Redis is back", func() bool { return c.has(second, third) })
			assert.Equal(t, map[string]int{first: 1, second: 1, third: 1}, c.seen)

			peer.Eventually(t, arrives, "the home has every record", func() bool { return len(home.Records()) == 3 })
		})
	}
}

// TestDurableWithoutHome: in durable mode a home that is away costs the NAS
// nothing; it gets the record when it is back.
func TestDurableWithoutHome(t *testing.T) {
	t.Parallel()
	home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}})
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, Acknowledge: "durable", Homes: []peer.HubHome{{Name: "a", Server: home.Server}},
	})
	home.Kill()
	session := sessionName(0, 1)
	r := radclientStop(t, hub, session)
	require.Equal(t, "Accounting-Response", r.Code, r.Output)
	home.Restart()
	peer.Eventually(t, comesBack, "the home has the record", func() bool { return len(home.Records()) > 0 })
	assert.Equal(t, peer.Record{Session: session, Status: "Stop", User: peer.Subscriber.Name}, home.Records()[0])
}

// TestKilledUnderLoad (acceptance row 3): after kill -9 every stop that was
// acknowledged (C14) reaches the clearing side exactly once, also those that
// their NAS repeated because the answer was lost with the process.
func TestKilledUnderLoad(t *testing.T) {
	redis := peer.StartRedis(t, true)
	home := peer.StartHome(t, peer.HomeConfig{Name: "home", Secret: homeSecret, Users: []peer.User{peer.Subscriber}})
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, Acknowledge: "durable", Redis: redis, Homes: []peer.HubHome{{Name: "a", Server: home.Server}},
	})
	c := newClearing(t, redis)

	var mu sync.Mutex
	acknowledged := map[string]int{}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	nas := peer.NAS{Server: hub.Acct, Secret: clientSecret, Timeout: time.Second, Tries: 60}
	load := peer.StartLoad(t, 8, func(worker, n int) error {
		session := sessionName(worker, n)
		reply, tries, err := nas.Account(peer.Subscriber.Name, session, rfc2866.AcctStatusType_Value_Stop)
		if err != nil {
			return fmt.Errorf("%s after %d tries: %w", session, tries, err)
		}
		if reply.Code != radius.CodeAccountingResponse {
			return fmt.Errorf("%s got %s", session, reply.Code)
		}
		mu.Lock()
		defer mu.Unlock()
		acknowledged[session] = 1
		return nil
	})
	for range 3 {
		want := count() + 200
		peer.Eventually(t, 2*time.Minute, "200 more acknowledged", func() bool { return count() >= want })
		hub.Kill()
		hub.Restart()
	}
	want := count() + 200
	peer.Eventually(t, 2*time.Minute, "200 more after the last kill", func() bool { return count() >= want })
	load.Stop()

	sessions := make([]string, 0, len(acknowledged))
	for s := range maps.Keys(acknowledged) {
		sessions = append(sessions, s)
	}
	peer.Eventually(t, 2*time.Minute, "every acknowledged stop is in the stream", func() bool { return c.has(sessions...) })
	assert.Equal(t, acknowledged, c.seen, "exactly once each")
	assert.Equal(t, acknowledged, exported(t, hub), "exactly once in the spool as well")
	t.Logf("%d stops acknowledged over 3 kills", len(sessions))
}
