package play_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
	"github.com/roamgate/roamgate/pkg/radius"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	loopback = netip.MustParseAddrPort("127.0.0.1:0")
	secret   = []byte("a secret of some length")
)

const password = "correct-horse-1"

func startHome(t testing.TB, s play.Script, edit func(*play.HomeConfig)) *play.Home {
	t.Helper()
	c := play.HomeConfig{
		Name: "home-1", Auth: loopback, Acct: loopback, Secret: secret,
		Password: password, Script: s, Seed: 1,
	}
	if edit != nil {
		edit(&c)
	}
	h, err := play.StartHome(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

// visit runs a NAS against the home until it ends.
func visit(t testing.TB, h *play.Home, edit func(*play.NASConfig)) play.NASCounts {
	t.Helper()
	c := play.NASConfig{
		Auth: h.Auth(), Acct: h.Acct(), Secret: secret, Password: password,
		Total: 400, Devices: 200, Window: 32, Sockets: 2, Seed: 7,
		Timeout: 100 * time.Millisecond, Retries: 5,
		Realms: []play.Realm{
			{Name: "wlan.mnc001.mcc001.3gppnetwork.org", Weight: 3, Identity: play.IdentityIMSI},
			{Name: "iot.example", Identity: play.IdentityMAC},
		},
		Operator: "1airport.example",
	}
	if edit != nil {
		edit(&c)
	}
	n, err := play.NewNAS(c)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, n.Run(ctx))
	got := n.Snapshot()
	require.True(t, got.AddsUp(), "%+v", got.Sent)
	require.Zero(t, got.Open())
	return got
}

// Homes that share a loop have ports, scripts and counts of their own.
func TestHomesOfOneLoop(t *testing.T) {
	config := play.HomeConfig{Auth: loopback, Acct: loopback, Secret: secret, Password: password}
	homes, err := play.StartHomes(config, config, config)
	require.NoError(t, err)
	homes.All[1].SetScript(play.Script{Silent: true})
	homes.All[2].SetScript(play.Script{Delay: play.Delay{Min: 3 * time.Millisecond}})
	for i, h := range homes.All {
		got := visit(t, h, func(c *play.NASConfig) { c.Total, c.Retries = 32, 0 })
		assert.Equal(t, i == 1, got.Answered.All() == 0)
		assert.Equal(t, i == 1, got.Lost.All() > 0)
		assert.EqualValues(t, 32, h.Snapshot().Unique[play.KindAuth])
	}
	require.NoError(t, homes.Close())
	require.NoError(t, homes.Close())
}

func TestConversations(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script play.Script
		edit   func(*play.NASConfig)
		check  func(*testing.T, play.NASCounts, play.HomeCounts)
	}{
		{"pap", play.Script{SessionTimeout: 3600}, nil, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 400, n.Accepts)
			assert.EqualValues(t, 400, h.Unique[play.KindAuth])
			assert.EqualValues(t, 400, n.Latency.Len())
			assert.EqualValues(t, 32, n.MostOpen, "the window")
		}},
		{"chap", play.Script{}, func(c *play.NASConfig) { c.Mix = play.Mix{CHAP: 1} }, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 400, n.Accepts)
		}},
		{"eap with keys", play.Script{Rounds: 3, Keys: true}, func(c *play.NASConfig) {
			c.Mix, c.WantKeys, c.ProxyState = play.Mix{EAP: 1}, true, true
		}, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 400, n.Accepts)
			assert.EqualValues(t, 1200, n.Challenges)
			assert.EqualValues(t, 1600, h.Unique[play.KindAuth])
		}},
		{"status", play.Script{StatusOnly: true}, func(c *play.NASConfig) { c.Mix = play.Mix{Status: 1} }, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 400, n.Answered[play.KindStatus])
		}},
		{"sessions", play.Script{}, func(c *play.NASConfig) {
			c.Accounting, c.Interims = play.AccountingAfter, 2
		}, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.Equal(t, play.PerKind{400, 400, 800, 400}, n.Answered)
			assert.Equal(t, play.PerKind{400, 400, 800, 400}, h.Unique)
		}},
		{"sessions that dwell", play.Script{}, func(c *play.NASConfig) {
			c.Accounting, c.Total, c.Dwell = play.AccountingOnly, 40, 20*time.Millisecond
		}, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 40, n.Answered[play.KindStop])
			assert.Zero(t, n.Sent[play.KindAuth])
		}},
		{"stops alone", play.Script{}, func(c *play.NASConfig) { c.Accounting = play.AccountingStop }, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 400, n.Answered.All())
			assert.EqualValues(t, 400, h.Unique[play.KindStop])
		}},
		{"rejects", play.Script{Rejects: []play.Rejection{{0.25, "barred"}, {0.25, "roaming not allowed"}}}, nil, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 400, n.Accepts+n.Rejects)
			assert.InDelta(t, 100, n.RejectsBy["barred"], 40)
			assert.Equal(t, n.Rejects, n.RejectsBy["barred"]+n.RejectsBy["roaming not allowed"])
			assert.Equal(t, h.Rejects, n.Rejects)
		}},
		{"wrong passwords", play.Script{}, func(c *play.NASConfig) { c.WrongPassword = 0.1 }, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.NotZero(t, n.Rejects)
			assert.Equal(t, n.Rejects, h.Flaws[play.FlawPassword])
			assert.Equal(t, n.Rejects, n.RejectsBy["wrong password"])
		}},
		{"open loop for a time", play.Script{}, func(c *play.NASConfig) {
			c.Rate, c.Total, c.Duration = 2000, 0, 100*time.Millisecond
		}, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 200, n.Conversations+n.Skipped, "neither more nor fewer than asked for")
		}},
		{"open loop", play.Script{Delay: play.Delay{Min: time.Millisecond, Max: 20 * time.Millisecond}}, func(c *play.NASConfig) {
			c.Rate, c.Total = 4000, 400
		}, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 400, n.Accepts)
			assert.GreaterOrEqual(t, n.Latency.Quantile(0.5), 5*time.Millisecond)
		}},
		{"loss", play.Script{Loss: 0.2}, func(c *play.NASConfig) { c.Retries = 20; c.Timeout = 20 * time.Millisecond }, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 400, n.Accepts)
			assert.EqualValues(t, 400, h.Unique[play.KindAuth])
			assert.NotZero(t, n.Retransmitted[play.KindAuth])
			assert.LessOrEqual(t, h.Duplicates[play.KindAuth], n.Retransmitted[play.KindAuth])
		}},
		{"silent", play.Script{Silent: true}, func(c *play.NASConfig) {
			c.Total, c.Timeout, c.Retries = 40, 10*time.Millisecond, 2
		}, func(t *testing.T, n play.NASCounts, h play.HomeCounts) {
			assert.EqualValues(t, 40, n.Lost[play.KindAuth])
			assert.EqualValues(t, 80, h.Duplicates[play.KindAuth])
			assert.Zero(t, n.Finished)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := startHome(t, tt.script, nil)
			n := visit(t, h, tt.edit)
			home := h.Snapshot()
			if tt.script.Rejects == nil && tt.name != "wrong passwords" {
				assert.Zero(t, home.Flaws.All(), "%v", home.Flaws)
			}
			tt.check(t, n, home)
		})
	}
}

// A network and a home that never sleep do the same work, and end.
func TestSpin(t *testing.T) {
	h := startHome(t, play.Script{}, func(c *play.HomeConfig) { c.Spin = true })
	n := visit(t, h, func(c *play.NASConfig) {
		c.Rate, c.Total, c.Duration, c.Spin, c.Sockets = 4000, 0, 100*time.Millisecond, true, 16
	})
	assert.InDelta(t, 400, n.Accepts, 100, "by chance")
	assert.EqualValues(t, n.Accepts, n.Conversations)
	assert.Zero(t, n.Skipped)
}

func TestBadAnswers(t *testing.T) {
	for _, tt := range []struct {
		bad  play.Bad
		flaw play.Flaw
	}{
		{play.BadAuthenticator, play.FlawAuthenticator},
		{play.BadMessageAuthenticator, play.FlawMessageAuthenticator},
		{play.BadUnsigned, play.FlawUnsigned},
		{play.BadOtherPort, play.FlawSource},
		{play.BadTruncated, play.FlawMalformed},
		{play.BadCode, play.FlawMalformed},
		{play.BadDuplicate, play.FlawUnexpected},
		{play.BadLate, play.FlawUnexpected},
		{play.BadIdentifier, play.FlawUnexpected},
	} {
		t.Run(tt.bad.String(), func(t *testing.T) {
			h := startHome(t, play.Script{
				Misbehave: []play.Misbehaviour{{tt.bad, 0.3}}, LateBy: 70 * time.Millisecond,
			}, nil)
			n := visit(t, h, func(c *play.NASConfig) {
				c.Timeout, c.Retries, c.Window, c.Sockets = 30*time.Millisecond, 20, 8, 1
			})
			assert.EqualValues(t, 400, n.Accepts)
			assert.NotZero(t, h.Snapshot().BadAnswers)
			assert.NotZero(t, n.Flaws[tt.flaw], "%v", n.Flaws)
		})
	}
}

func TestBadThenProperCostsNothing(t *testing.T) {
	h := startHome(t, play.Script{Misbehave: []play.Misbehaviour{{play.BadAuthenticator, 1}}, ThenProper: true}, nil)
	n := visit(t, h, nil)
	assert.EqualValues(t, 400, n.Accepts)
	assert.Zero(t, n.Retransmitted.All())
	assert.EqualValues(t, 400, n.Flaws[play.FlawAuthenticator])
}

func TestTrackCountsEventsOnce(t *testing.T) {
	h := startHome(t, play.Script{Loss: 0.2}, func(c *play.HomeConfig) { c.Track, c.Shards = true, 2 })
	n := visit(t, h, func(c *play.NASConfig) {
		c.Accounting, c.Timeout, c.Retries = play.AccountingAfter, 20*time.Millisecond, 20
	})
	home := h.Snapshot()
	assert.Len(t, home.NAI, 200)
	assert.Len(t, home.Events, 800)
	for event, times := range home.Events {
		assert.EqualValues(t, 1, times, event)
	}
	assert.EqualValues(t, 400, n.Answered[play.KindStop])
}

func TestStateOfAnotherHomeIsNoticed(t *testing.T) {
	first := startHome(t, play.Script{Rounds: 1}, nil)
	var second *play.Home
	n := visit(t, first, func(c *play.NASConfig) {
		c.Mix, c.Total = play.Mix{EAP: 1}, 1
		c.OnAnswer = func(a *play.Answer) {
			if a.Packet.Code() != radius.AccessChallenge {
				return
			}
			// As behind a proxy that forgets who has challenged.
			assert.NoError(t, first.Close())
			second = startHome(t, play.Script{Rounds: 1}, func(c *play.HomeConfig) {
				c.Name, c.Auth, c.Acct = "home-2", first.Auth(), first.Acct()
			})
		}
	})
	assert.EqualValues(t, 1, n.Challenges)
	assert.EqualValues(t, 1, n.Rejects)
	require.NotNil(t, second)
	assert.EqualValues(t, 1, second.Snapshot().Flaws[play.FlawState])
}

func TestAbortAndStop(t *testing.T) {
	h := startHome(t, play.Script{Silent: true}, nil)
	n, err := play.NewNAS(play.NASConfig{Auth: h.Auth(), Secret: secret})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, n.Run(ctx), context.DeadlineExceeded)
	got := n.Snapshot()
	assert.EqualValues(t, 256, got.Open())
}

func TestHomeComesBackOnItsPorts(t *testing.T) {
	h := startHome(t, play.Script{}, nil)
	require.NoError(t, h.Close())
	again := startHome(t, play.Script{}, func(c *play.HomeConfig) { c.Auth, c.Acct = h.Auth(), h.Acct() })
	assert.Equal(t, h.Auth(), again.Auth())
	assert.EqualValues(t, 400, visit(t, again, nil).Accepts)
}

func TestConfigurationMistakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    play.NASConfig
	}{
		{"no secret", play.NASConfig{Auth: loopback}},
		{"no authentication port", play.NASConfig{Secret: secret}},
		{"no accounting port", play.NASConfig{Secret: secret, Auth: loopback, Accounting: play.AccountingAfter}},
		{"negative weight", play.NASConfig{Secret: secret, Auth: loopback, Mix: play.Mix{PAP: -1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := play.NewNAS(tt.c)
			assert.Error(t, err)
		})
	}
}
