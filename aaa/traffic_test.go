package aaa

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/traffic"
	"github.com/roamgate/roamgate/realm"
)

// other is the configuration of a rig with a second pool, edited.
func (r *rig) other(edit func(*realm.Set)) *realm.Set {
	next := *r.set
	next.Clients = append([]realm.Client(nil), next.Clients...)
	next.Pools = append([]realm.Pool(nil), next.Pools...)
	next.Routes = append([]realm.Route(nil), next.Routes...)
	second := next.Pools[0]
	second.Name = "second"
	next.Pools = append(next.Pools, second)
	edit(&next)
	next.Table = realm.NewTable(next.Routes)
	return &next
}

// against holds a configuration against what the rig remembers.
func (r *rig) against(set *realm.Set) *Impact {
	r.t.Helper()
	next, err := sketch(set)
	require.NoError(r.t, err)
	all := &traffic.Sample{}
	all.Add(r.shard.traffic.Copy(r.now))
	x, err := impact(context.Background(), all, r.hub.Snapshot(), next)
	require.NoError(r.t, err)
	return x
}

// TestImpact asks of each kind of edit what it would do to an hour in which
// ten devices came.
func TestImpact(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*realm.Set)
		want []Move
	}{
		{"nothing", func(*realm.Set) {}, []Move{}},
		{"another pool", func(s *realm.Set) { s.Routes[0].Auth = 1 }, []Move{
			{Kind: "auth", From: "pool", To: "second", Requests: 12, Devices: 6, Share: 12.0 / 18, Rule: "home.example"},
		}},
		{"another pool for accounting", func(s *realm.Set) { s.Routes[0].Acct = 1 }, []Move{
			{Kind: "acct", From: "pool", To: "second", Requests: 1, Devices: 1, Share: 1, Rule: "home.example"},
		}},
		{"refused", func(s *realm.Set) { s.Routes[0].Reject = "gone" }, []Move{
			{Kind: "auth", From: "pool", To: "rejected (route_rejects)", Requests: 12, Devices: 6, Share: 12.0 / 18, Rule: "home.example"},
			{Kind: "acct", From: "pool", To: "quarantined (route_rejects)", Requests: 1, Devices: 1, Share: 1, Rule: "home.example"},
		}},
		{"accounting ends here", func(s *realm.Set) { s.Routes[0].Acct = -1 }, []Move{
			{Kind: "acct", From: "pool", To: "recorded here", Requests: 1, Devices: 1, Share: 1, Rule: "home.example"},
		}},
		{"a realm more", func(s *realm.Set) {
			s.Routes = append(s.Routes, realm.Route{Realm: "nowhere.example", Index: 4, Auth: 1, Acct: 1})
		}, []Move{
			{Kind: "auth", From: "rejected (no_route)", To: "second", Requests: 3, Devices: 3, Share: 3.0 / 18, Rule: "nowhere.example"},
		}},
		{"a realm less", func(s *realm.Set) { s.Routes = s.Routes[:1] }, []Move{
			{Kind: "auth", From: "pool", To: "rejected (no_route)", Requests: 3, Devices: 1, Share: 3.0 / 18, Rule: "*.iot.example"},
		}},
		{"one device by its name", func(s *realm.Set) {
			s.Routes = append(s.Routes, realm.Route{Realm: "home.example", Name: "one", Index: 4, Auth: 1, Acct: 1, Rank: 1,
				When: &realm.Condition{Users: []realm.UserRange{{First: "device3", Last: "device3"}}}})
		}, []Move{
			{Kind: "auth", From: "pool", To: "second", Requests: 2, Devices: 1, Share: 2.0 / 18, Rule: "one"},
		}},
		{"no client", func(s *realm.Set) { s.Clients = nil }, []Move{
			{Kind: "auth", From: "pool", To: "dropped (unknown_client)", Requests: 15, Devices: 7, Share: 15.0 / 18, Rule: "home.example"},
			{Kind: "auth", From: "rejected (no_route)", To: "dropped (unknown_client)", Requests: 3, Devices: 3, Share: 3.0 / 18},
			{Kind: "acct", From: "pool", To: "dropped (unknown_client)", Requests: 1, Devices: 1, Share: 1, Rule: "home.example"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, 1, nil)
			login := func(user string, more ...func(*layeh.Packet)) {
				sent := r.ask(access(user, more...))
				r.atHome(0).answer(layeh.CodeAccessAccept)
				r.got(sent)
			}
			for i := range 6 {
				login(fmt.Sprintf("device%d@home.example", i))
				login(fmt.Sprintf("device%d@home.example", i))
				login(fmt.Sprintf("device%d@home.example", i), with(rfc2865.State_Type, "goes on"))
			}
			for range 3 {
				login("meter@north.iot.example")
			}
			for i := range 3 {
				r.rejected(r.ask(access(fmt.Sprintf("device%d@nowhere.example", i))))
			}
			stop := r.report(acctStop("device0@home.example", "s"))
			r.recorded(1)
			r.atAcct(0).answer(layeh.CodeAccountingResponse)
			r.got(stop)

			x := r.against(r.other(tc.edit))
			assert.Equal(t, map[string]uint64{"auth": 18, "acct": 1}, x.Requests)
			assert.EqualValues(t, 10, x.Devices)
			assert.EqualValues(t, 1, x.OneIn)
			assert.Equal(t, tc.want, x.Moves)
			r.pass(70 * time.Minute)
			assert.Empty(t, r.against(r.other(tc.edit)).Requests, "an hour later it is forgotten")
		})
	}
}

// A configuration that does not compile has no impact but an error.
func TestImpactRefused(t *testing.T) {
	r := newRig(t, 1, nil)
	_, err := r.hub.Impact(t.Context(), r.other(func(s *realm.Set) { s.Clients[0].Secret = nil }))
	assert.ErrorContains(t, err, "compiling clients: ")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err = r.hub.Impact(ctx, r.other(func(*realm.Set) {}))
	assert.ErrorContains(t, err, "asking the shards for their traffic: ")
	r.turn(0) // the question that nobody waits for any more
	r.clean()
}

// The shards of a hub that runs answer.
func TestImpactOfShards(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, runs: true, conf: func(c *Config) { c.Shards = 3 }})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.hub.Run(ctx) }()
	defer func() { stop(); require.NoError(t, <-done) }()
	r.ask2(t)
	require.Eventually(t, func() bool {
		x, err := r.hub.Impact(t.Context(), r.other(func(s *realm.Set) { s.Routes[0].Auth = 1 }))
		require.NoError(t, err)
		return len(x.Moves) == 1 && x.Moves[0].To == "second"
	}, patience, time.Millisecond)
}

// ask2 sends a request without turning the loop.
func (r *rig) ask2(t *testing.T) {
	t.Helper()
	_, err := r.nas.WriteToUDP(encode(t, access("bob@home.example"), true), r.front(0))
	require.NoError(t, err)
}
