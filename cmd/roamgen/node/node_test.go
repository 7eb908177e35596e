package node_test

import (
	"context"
	"crypto/tls"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	dia "github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/test/judge"
)

// Everything that nodes say to each other is judged at the end.
func TestMain(m *testing.M) { goleak.VerifyTestMain(judge.Main{M: m}) }

const home = "home.example"

func start(t *testing.T, c node.Config) *node.Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c.Heard = judge.Collect
	n, err := node.Start(ctx, c)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, n.Close()) })
	return n
}

func pair(t *testing.T, script node.Script) (visited, hss *node.Node) {
	hss = start(t, node.Config{
		Identity: "hss.home.example", Realm: home, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Track: true, Script: script,
	})
	return start(t, node.Config{
		Identity: "mme.visited.example", Realm: "visited.example", Connect: []netip.AddrPort{hss.Addr()}, Connections: 2,
	}), hss
}

// D47: Every conversation is had between two nodes that are connected directly.
func TestRoles(t *testing.T) {
	for _, role := range node.RoleNames() {
		t.Run(role, func(t *testing.T) {
			visited, server := pair(t, node.Script{Rounds: 2})
			steps := node.Roles[role]
			const total = 200
			require.NoError(t, visited.Play(t.Context(), node.Work{Steps: steps, Realm: home, Window: 20, Total: total, Octets: 1 << 33}))
			asked, answered := visited.Snapshot(), server.Snapshot()
			assert.EqualValues(t, total, asked.Finished)
			rounds := 0
			for _, s := range steps {
				if s == node.DER {
					rounds = 2
				}
			}
			assert.EqualValues(t, total*(len(steps)+rounds), asked.Success)
			assert.True(t, asked.AddsUp())
			assert.Equal(t, asked.Sent, answered.Unique)
			assert.Equal(t, asked.Sent, answered.Answered)
			assert.Zero(t, asked.Flaws+answered.Strangers+answered.Malformed+asked.Malformed)
			for _, r := range server.Records() {
				assert.Equal(t, 1, r.Times)
				if r.Type == 4 {
					assert.Greater(t, r.Input, uint64(1<<33)-1)
				}
			}
		})
	}
}

func TestScripts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script node.Script
		want   func(t *testing.T, c *node.Counts)
	}{
		{name: "result", script: node.Script{Result: dia.ResultUnableToDeliver}, want: func(t *testing.T, c *node.Counts) {
			assert.EqualValues(t, 10, c.Results[dia.ResultUnableToDeliver])
		}},
		{name: "experimental", script: node.Script{Result: 5004, Vendor: dia.Vendor3GPP}, want: func(t *testing.T, c *node.Counts) {
			assert.EqualValues(t, 10, c.Results[5004])
		}},
		{name: "silent", script: node.Script{Silent: true}, want: func(t *testing.T, c *node.Counts) {
			assert.EqualValues(t, 10, c.Lost)
			assert.EqualValues(t, 10, c.Repeated)
		}},
		{name: "twice", script: node.Script{Late: time.Millisecond}, want: func(t *testing.T, c *node.Counts) {
			assert.EqualValues(t, 10, c.Success)
		}},
		{name: "delayed", script: node.Script{Delay: 20 * time.Millisecond}, want: func(t *testing.T, c *node.Counts) {
			assert.EqualValues(t, 10, c.Success)
			assert.Greater(t, c.Latency.Quantile(0), 15*time.Millisecond)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			visited, _ := pair(t, tt.script)
			require.NoError(t, visited.Play(t.Context(), node.Work{
				Steps: []node.Step{node.ULR}, Realm: home, Total: 10, Timeout: 100 * time.Millisecond, Retries: 1,
			}))
			c := visited.Snapshot()
			assert.True(t, c.AddsUp())
			tt.want(t, &c)
		})
	}
}

// Nodes that never sleep do the same work, also beside one that does, and end.
func TestSpin(t *testing.T) {
	for _, tt := range []struct {
		name      string
		asks, has bool
		work      node.Work
		total     uint64
	}{
		{name: "closed loop", asks: true, has: true, work: node.Work{Window: 20, Total: 2000}, total: 2000},
		{name: "asks alone", asks: true, work: node.Work{Window: 20, Total: 2000}, total: 2000},
		{name: "answers alone", has: true, work: node.Work{Window: 20, Total: 2000}, total: 2000},
		{name: "open loop", asks: true, has: true, work: node.Work{Rate: 5000, Duration: 100 * time.Millisecond}, total: 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hss := start(t, node.Config{
				Identity: "hss.home.example", Realm: home, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Track: true, Spin: tt.has,
			})
			mme := start(t, node.Config{
				Identity: "mme.visited.example", Realm: "visited.example", Connect: []netip.AddrPort{hss.Addr()}, Connections: 2, Spin: tt.asks,
			})
			tt.work.Steps, tt.work.Realm = []node.Step{node.ULR}, home
			require.NoError(t, mme.Play(t.Context(), tt.work))
			asked, answered := mme.Snapshot(), hss.Snapshot()
			assert.InDelta(t, tt.total, asked.Success, float64(tt.total)/4, "by chance")
			assert.True(t, asked.AddsUp())
			assert.Equal(t, asked.Sent, asked.Success)
			assert.Equal(t, asked.Sent, answered.Unique)
			assert.Zero(t, asked.Flaws+answered.Strangers+answered.Malformed)
		})
	}
	_, err := node.Start(t.Context(), node.Config{TLS: &tls.Config{}, Spin: true})
	require.Error(t, err)
}

// Latency counts from when a request was due, however late it was begun.
func TestLatencyFromDue(t *testing.T) {
	hss := start(t, node.Config{Identity: "hss.home.example", Realm: home, Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	mme := start(t, node.Config{
		Identity: "mme.visited.example", Realm: "visited.example", Connect: []netip.AddrPort{hss.Addr()}, Spin: true,
	})
	release := mme.Stall() // it begins nothing either
	done := make(chan error, 1)
	begun := time.Now()
	go func() {
		done <- mme.Play(t.Context(), node.Work{Steps: []node.Step{node.ULR}, Realm: home, Rate: 1e5, Duration: 10 * time.Millisecond})
	}()
	require.Eventually(t, func() bool { return time.Since(begun) > 50*time.Millisecond }, time.Minute, time.Millisecond)
	release()
	require.NoError(t, <-done)
	c := mme.Snapshot()
	assert.InDelta(t, 1000, c.Success, 250)
	assert.Greater(t, c.Latency.Quantile(0), 30*time.Millisecond)
}

// What a lost connection has carried goes over another with the T bit, and each is
// answered.
func TestLostConnections(t *testing.T) {
	visited, hss := pair(t, node.Script{Delay: 20 * time.Millisecond})
	done := make(chan error, 1)
	go func() {
		done <- visited.Play(t.Context(), node.Work{Steps: []node.Step{node.ULR}, Realm: home, Window: 50})
	}()
	for range 5 {
		before := hss.Snapshot().Requests
		require.Eventually(t, func() bool { return hss.Snapshot().Requests > before+100 }, time.Minute, time.Millisecond)
		hss.Disconnect()
	}
	visited.EndWork()
	require.NoError(t, <-done)
	c, s := visited.Snapshot(), hss.Snapshot()
	assert.Equal(t, c.Conversations, c.Success)
	assert.NotZero(t, c.Success)
	assert.NotZero(t, c.Repeated)
	assert.LessOrEqual(t, s.Flagged, c.Repeated, "some were never read")
	assert.NotZero(t, s.Flagged)
	assert.Equal(t, c.Success, s.Unique)
}

func TestPeerMessages(t *testing.T) {
	visited, hss := pair(t, node.Script{})
	assert.Equal(t, []string{"hss.home.example", "hss.home.example"}, visited.Peers())
	visited.Watch()
	require.Eventually(t, func() bool { return hss.Snapshot().Watchdogs == 2 }, time.Minute, time.Millisecond)
	opened := hss.Snapshot().Opened
	hss.Leave(0)
	require.Eventually(t, func() bool { return visited.Snapshot().Disconnects == 2 }, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return hss.Snapshot().Opened == opened+2 }, time.Minute, time.Millisecond, "it comes back")
}

func TestAsk(t *testing.T) {
	visited, hss := pair(t, node.Script{})
	room := make([]byte, 1024)
	var w dia.Writer
	w.Begin(room, &dia.Header{Flags: dia.FlagRequest, Command: dia.CancelLocation, Application: dia.AppS6a})
	w.String(dia.SessionID, 0, dia.AVPMandatory, "hss;1;2")
	w.String(dia.OriginHost, 0, dia.AVPMandatory, "hss.home.example")
	w.String(dia.OriginRealm, 0, dia.AVPMandatory, home)
	w.String(dia.DestinationRealm, 0, dia.AVPMandatory, "visited.example")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer, err := hss.Ask(ctx, w.Finish())
	require.NoError(t, err)
	assert.EqualValues(t, dia.ResultSuccess, node.Result(answer))
	assert.EqualValues(t, 1, visited.Snapshot().ByCommand[dia.CancelLocation])
	visited.SetScript(node.Script{Silent: true})
	short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	_, err = hss.Ask(short, w.Finish())
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestParseSteps(t *testing.T) {
	got, err := node.ParseSteps("air,ulr,ccr-t")
	require.NoError(t, err)
	assert.Equal(t, []node.Step{node.AIR, node.ULR, node.CCRTerminate}, got)
	_, err = node.ParseSteps("air,xyz")
	require.ErrorContains(t, err, `step "xyz"`)
}

func BenchmarkDirect(b *testing.B) {
	ctx := context.Background()
	hss, err := node.Start(ctx, node.Config{Identity: "hss.home.example", Realm: home, Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	require.NoError(b, err)
	mme, err := node.Start(ctx, node.Config{Identity: "mme.visited.example", Realm: "visited.example", Connect: []netip.AddrPort{hss.Addr()}})
	require.NoError(b, err)
	require.NoError(b, mme.Play(ctx, node.Work{Steps: []node.Step{node.ULR}, Realm: home, Window: 256, Total: uint64(b.N)}))
	c := mme.Snapshot()
	require.EqualValues(b, b.N, c.Success)
	require.NoError(b, mme.Close())
	require.NoError(b, hss.Close())
}
