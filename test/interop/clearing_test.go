package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"

	"github.com/roamgate/roamgate/test/peer"
)

// sums is what `roamgate records sums --json` says.
type sums struct {
	Reports int64            `json:"reports"`
	Classes map[string]int64 `json:"classes"`
	Records map[string]int64 `json:"records"`
	Open    int64            `json:"open_sessions"`
	Dead    int64            `json:"dead_letters"`
	Missing uint64           `json:"missing"`
}

// classes is what all reports come to where none is in doubt.
func classes(cleared, duplicate int64) map[string]int64 {
	return map[string]int64{"cleared": cleared, "duplicate": duplicate, "conflict": 0, "rejected": 0, "provisional": 0}
}

func sumsOf(t *testing.T, hub *peer.Hub, c *peer.Consumer) (s sums) {
	t.Helper()
	r := hub.Command("records", "sums", "--json", "--admin", c.Admin.String())
	require.Zero(t, r.Code, r.Stderr)
	require.NoError(t, json.Unmarshal([]byte(r.Stdout), &s), r.Stdout)
	return s
}

// usageRecords counts the usage records of each session.
func usageRecords(t *testing.T, hub *peer.Hub, c *peer.Consumer) map[string]int {
	t.Helper()
	r := hub.Command("records", "export", "--admin", c.Admin.String())
	require.Zero(t, r.Code, r.Stderr)
	count := map[string]int{}
	for line := range strings.Lines(r.Stdout) {
		var record struct {
			Session string `json:"session_id"`
			In      int64  `json:"input_octets"`
			Status  string `json:"status"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		assert.Equal(t, "final", record.Status, line)
		assert.EqualValues(t, stopOctets, record.In, line)
		count[record.Session]++
	}
	return count
}

const stopOctets = 1000

// stopPacket is a stop that ended delay seconds ago, as its NAS says; a NAS
// without a clock leaves the time out.
func stopPacket(t *testing.T, session string, clock bool, delay uint32) *radius.Packet {
	t.Helper()
	p := radius.New(radius.CodeAccountingRequest, []byte(clientSecret))
	p.Identifier = byte(rand.N(256))
	err := errors.Join(
		rfc2865.UserName_SetString(p, peer.Subscriber.Name),
		rfc2866.AcctStatusType_Set(p, rfc2866.AcctStatusType_Value_Stop),
		rfc2866.AcctSessionID_SetString(p, session),
		rfc2865.NASIdentifier_SetString(p, "nas.test"),
		rfc2866.AcctSessionTime_Set(p, 60),
		rfc2866.AcctInputOctets_Set(p, stopOctets),
		rfc2866.AcctOutputOctets_Set(p, 2*stopOctets),
		rfc2866.AcctDelayTime_Set(p, rfc2866.AcctDelayTime(delay)),
	)
	if clock {
		err = errors.Join(err, rfc2869.EventTimestamp_Set(p, stopped))
	}
	require.NoError(t, err)
	return p
}

// plainHome is a home in this process that takes what it is given.
func plainHome(t *testing.T) peer.HubHome {
	auth, acct := peer.ListenHome(t, homeSecret), peer.ListenHome(t, homeSecret)
	return peer.HubHome{Name: "a", Server: peer.Server{Auth: auth.Addr, Acct: acct.Addr, Secret: homeSecret}}
}

// stopped is when the sessions of NASes with a clock ended.
var stopped = time.Now().Add(-time.Minute).Truncate(time.Second)

// TestRepetitionsThroughTwoHubs (acceptance row 7): a NAS sends 30 % of its
// stops again, as the same packet, with another Acct-Delay-Time and Identifier,
// and through another hub. Every packet is acknowledged. Each session is
// cleared once and has one usage record, and of the repetitions only those of
// the other hub come as far as the store, which calls them duplicates.
func TestRepetitionsThroughTwoHubs(t *testing.T) {
	t.Parallel()
	redis := peer.StartRedis(t, true)
	home := plainHome(t)
	var hubs [2]*peer.Hub
	for i := range hubs {
		hubs[i] = peer.StartHub(t, peer.HubConfig{
			Secret: clientSecret, Acknowledge: "durable", Redis: redis, Name: fmt.Sprintf("hub-%d", i+1),
			IdentityKey: "the identity key of both hubs",
			Homes:       []peer.HubHome{home},
		})
	}
	consumer := peer.StartConsumer(t, redis)

	const sessions = 200
	var again struct{ same, aged, other int64 }
	send := func(to *peer.Hub, p *radius.Packet) {
		t.Helper()
		nas := peer.NAS{Server: to.Acct, Secret: clientSecret, Timeout: time.Minute, Tries: 3}
		reply, _, err := nas.Send(p)
		require.NoError(t, err)
		require.Equal(t, radius.CodeAccountingResponse, reply.Code)
	}
	r := rand.New(rand.NewPCG(7, 30))
	for n := range sessions {
		session, clock, to := sessionName(0, n), n%2 == 0, r.IntN(2)
		first := stopPacket(t, session, clock, 0)
		send(hubs[to], first)
		if r.IntN(10) >= 3 {
			continue
		}
		switch r.IntN(3) {
		case 0:
			again.same++
			send(hubs[to], first)
		case 1:
			again.aged++
			send(hubs[to], stopPacket(t, session, clock, 1))
		default:
			again.other++
			send(hubs[1-to], stopPacket(t, session, clock, 1))
		}
	}
	require.Positive(t, min(again.same, again.aged, again.other))

	reports := sessions + again.other
	peer.Eventually(t, arrives, "all is cleared", func() bool { return sumsOf(t, hubs[0], consumer).Reports >= reports })
	got := sumsOf(t, hubs[0], consumer)
	assert.Equal(t, reports, got.Reports, "the hubs store no repetition of their own")
	assert.Equal(t, classes(sessions, again.other), got.Classes)
	assert.Zero(t, got.Open)
	assert.Zero(t, got.Dead)
	assert.Zero(t, got.Missing)
	want := map[string]int{}
	for n := range sessions {
		want[sessionName(0, n)] = 1
	}
	assert.Equal(t, want, usageRecords(t, hubs[0], consumer), "one usage record of each session")
	peer.Eventually(t, arrives, "the others are found by the hub that has the original", func() bool {
		duplicates := 0.0
		for _, h := range hubs {
			duplicates += h.Metric("roamgate_acct_packets_total", `result="duplicate"`)
		}
		return duplicates == float64(again.same+again.aged)
	})
	t.Logf("%d sessions; sent again: %d as they were, %d aged, %d to the other hub", sessions, again.same, again.aged, again.other)
}

// TestRepetitionsAfterRestart: a hub that was killed knows from its spool what
// it had acknowledged. A repetition is answered and not stored again, however
// it looks, and whoever clears hears nothing of it (acceptance row 7).
func TestRepetitionsAfterRestart(t *testing.T) {
	t.Parallel()
	redis := peer.StartRedis(t, true)
	home := plainHome(t)
	hub := peer.StartHub(t, peer.HubConfig{
		Secret: clientSecret, Acknowledge: "durable", Redis: redis,
		Homes: []peer.HubHome{home},
	})
	consumer := peer.StartConsumer(t, redis)
	nas := peer.NAS{Server: hub.Acct, Secret: clientSecret, Timeout: time.Minute, Tries: 3}
	send := func(p *radius.Packet) {
		t.Helper()
		reply, _, err := nas.Send(p)
		require.NoError(t, err)
		require.Equal(t, radius.CodeAccountingResponse, reply.Code)
	}

	const sessions = 40
	var sent [sessions]*radius.Packet
	want := map[string]int{}
	for n := range sent {
		sent[n] = stopPacket(t, sessionName(0, n), n%2 == 0, 0)
		send(sent[n])
		want[sessionName(0, n)] = 1
	}
	for range 2 {
		hub.Kill()
		hub.Restart()
		for n, p := range sent {
			if n%4 < 2 { // with a clock and without
				p = stopPacket(t, sessionName(0, n), n%2 == 0, 2)
			}
			send(p)
		}
		// A loop adds up what it counted when it has a moment.
		peer.Eventually(t, arrives, "all are found to be repetitions", func() bool {
			return hub.Metric("roamgate_acct_packets_total", `result="duplicate"`) == sessions
		})
		assert.Equal(t, want, exported(t, hub), "once in the spool")
	}
	peer.Eventually(t, arrives, "all is cleared", func() bool { return sumsOf(t, hub, consumer).Reports >= sessions })
	assert.Equal(t, classes(sessions, 0), sumsOf(t, hub, consumer).Classes)
	assert.Equal(t, want, usageRecords(t, hub, consumer))
}
