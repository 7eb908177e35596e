package aaa

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/realm"
)

// changes are reloads that take something away from a request in flight.
var changes = []struct {
	name   string
	change func(*realm.Set)
}{
	{"nothing", func(*realm.Set) {}},
	{"client gone", func(s *realm.Set) { s.Clients = nil }},
	{"client's secret", func(s *realm.Set) { s.Clients[0].Secret = realm.Secret("another-secret-0123456789abcdef") }},
	{"route gone", func(s *realm.Set) { s.Routes = nil }},
	{"route refuses", func(s *realm.Set) { s.Routes[0].Reject = "no more" }},
	{"home's secret", func(s *realm.Set) { s.Homes[0].Secret = realm.Secret("another-secret-0123456789abcdef") }},
	{"home disabled", func(s *realm.Set) { s.Homes[0].Disabled = true }},
	{"home renamed", func(s *realm.Set) { s.Homes[0].Name = "renamed" }},
	{"home under a second name", func(s *realm.Set) {
		s.Homes = append(s.Homes, s.Homes[0])
		s.Homes[1].Name = "alias"
	}},
	{"home gone", func(s *realm.Set) { s.Homes, s.Pools, s.Routes = nil, nil, nil }},
	{"pool's order", func(s *realm.Set) { s.Pools[0].Retransmit = realm.RetransmitClient }},
}

// Requests in flight finish under the configuration they began with: they are
// repeated to their home, its answer is verified, delivered and signed as it
// would have been, and then nothing of the old configuration is left.
func TestReloadInFlight(t *testing.T) {
	for _, tt := range changes {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, 1, nil)
			sent := r.ask(access("bob@home.example", withPassword("pw")))
			stop := r.report(acctStop("bob@home.example", "s"))
			h, acct := r.atHome(0), r.atAcct(0)
			r.recorded(1)
			r.apply(tt.change)
			assert.Len(t, r.shard.draining, 1)
			r.pass(2300 * time.Millisecond)
			assert.Equal(t, h.raw, r.atHome(0).raw, "repeated as before")
			assert.Equal(t, acct.raw, r.atAcct(0).raw)
			h.answer(layeh.CodeAccessAccept, with(rfc2865.Class_Type, "c"))
			assert.Equal(t, "c", rfc2865.Class_GetString(r.got(sent)))
			assert.Len(t, r.shard.draining, 1, "one request still runs")
			acct.answer(layeh.CodeAccountingResponse)
			r.got(stop)
			assert.Zero(t, r.value("roamgate_home_bad_responses_total"))
			r.clean()
		})
	}
}

// What comes after a reload meets the new configuration alone.
func TestReloadTakesEffect(t *testing.T) {
	r := newRig(t, 2, nil)
	r.apply(func(s *realm.Set) {
		s.Clients[0].Secret = realm.Secret("another-secret-0123456789abcdef")
		s.Homes[0].Disabled = true
		s.Routes[2].Reject = "new words"
	})
	r.ask(access("bob@home.example"))
	r.silent()
	assert.Equal(t, 1, dropped.count(r, BadMessageAuthenticator))
	r.apply(func(s *realm.Set) { s.Clients[0].Secret = realm.Secret(visitedSecret) })
	sent := r.ask(access("bob@home.example"))
	r.atHome(1).answer(layeh.CodeAccessAccept)
	r.got(sent)
	r.quietHome(0)
	assert.Equal(t, "new words", rfc2865.ReplyMessage_GetString(r.rejected(r.ask(access("bob@closed.example")))))
	assert.Empty(t, r.shard.draining)
	r.clean()
}

// A home that was renamed is the same one to the identifiers: no two requests
// in flight share port and Identifier, and each gets its own answer.
func TestReloadRenamedHome(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 1024 }})
	type pair struct {
		sent []byte
		at   *heard
	}
	var all []pair
	from := r.socket()
	for i := range 200 {
		b := encode(t, access("bob@home.example", withID(byte(i))), true)
		r.inject(listen.Auth, b, addrOf(from))
		r.shard.flush()
		all = append(all, pair{b, r.atHome(0)})
	}
	r.apply(func(s *realm.Set) { s.Homes[0].Name = "renamed" })
	var fresh []pair
	for i := range 200 {
		b := encode(t, access("bob@home.example", withID(byte(i))), true)
		r.inject(listen.Auth, b, addrOf(r.nas))
		r.shard.flush()
		fresh = append(fresh, pair{b, r.atHome(0)})
	}
	seen := map[string]bool{}
	for _, p := range append(fresh, all...) {
		seen[fmt.Sprint(p.at.hub, p.at.Identifier)] = true
	}
	require.Len(t, seen, 400)
	for i := range 200 {
		all[i].at.answer(layeh.CodeAccessAccept)
		b, _ := read(t, from, patience)
		require.True(t, layeh.IsAuthenticResponse(b, all[i].sent, []byte(visitedSecret)))
		fresh[i].at.answer(layeh.CodeAccessAccept)
		r.got(fresh[i].sent)
	}
	assert.Zero(t, r.value("roamgate_home_bad_responses_total"))
	_, cause := r.state(0, home.Auth).Health()
	assert.Equal(t, home.Well, cause)
	r.clean()
}

// The late reply of a home that is gone is still known for what it is.
func TestReloadLateReply(t *testing.T) {
	r := newRig(t, 2, nil)
	sent := r.ask(access("bob@home.example"))
	h := r.atHome(0)
	b := h.reply(layeh.CodeAccessAccept)
	h.say(b)
	r.got(sent)
	r.apply(func(s *realm.Set) {
		s.Homes = s.Homes[1:]
		s.Pools[0].Members = []realm.Member{{Home: 0, Weight: 1}}
	})
	h.say(b)
	r.silent()
	assert.Zero(t, r.value("roamgate_unknown_home_packets_total"))
	r.clean()
}

// A configuration that cannot be compiled changes nothing.
func TestReloadRefused(t *testing.T) {
	r := newRig(t, 2, nil)
	before := r.hub.Snapshot()
	bad := *r.set
	bad.Homes = append([]realm.Home(nil), bad.Homes...)
	bad.Homes[1].Auth, bad.Homes[1].Secret = bad.Homes[0].Auth, realm.Secret("different")
	require.Error(t, r.hub.Apply(&bad))
	bad = *r.set
	bad.Clients = []realm.Client{{Name: "no secret"}}
	require.Error(t, r.hub.Apply(&bad))
	assert.Same(t, before, r.hub.Snapshot())
	r.accepted()
	r.clean()
}

// Many reloads under traffic: each request ends under its own, and the list
// of old ones empties.
func TestReloadOften(t *testing.T) {
	r := newRig(t, 1, nil)
	var sent [][]byte
	var at []*heard
	for i := range 40 {
		sent = append(sent, r.ask(access("bob@home.example")))
		at = append(at, r.atHome(0))
		r.apply(func(s *realm.Set) { s.Homes[0].Name = fmt.Sprint("home", i%3) })
		r.apply(func(*realm.Set) {}) // one that nothing begins under
	}
	assert.Len(t, r.shard.draining, 40)
	for i := len(at) - 1; i >= 0; i-- {
		at[i].answer(layeh.CodeAccessAccept)
		r.got(sent[i])
		assert.Len(t, r.shard.draining, i)
	}
	r.clean()
}

// Realms beyond the limit of series share one.
func TestRealmSeries(t *testing.T) {
	r := newRigOf(t, setup{homes: 1, conf: func(c *Config) { c.RealmSeries = 2 }})
	r.rejected(r.ask(access("bob@closed.example")))
	assert.Equal(t, 1, r.value("roamgate_realm_requests_total", "realm", "other"))
	r.accepted()
	assert.Equal(t, 1, r.value("roamgate_realm_requests_total", "realm", "home.example"))
}
