package aaa

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/discovery"
)

// discovers adds a route whose homes are found by DNS.
func discovers(s *realm.Set) {
	d := &realm.Discovery{
		Name: "federation", Auth: []string{"aaa+auth:radius.tls.tcp"}, Acct: []string{"aaa+acct:radius.tls.tcp"},
		Timers: realm.Timers{IRT: time.Second, MRT: 16 * time.Second, MRD: 30 * time.Second, MRC: 5},
	}
	s.Discoveries = []*realm.Discovery{d}
	at := int32(len(s.Routes))
	s.Routes = append(s.Routes,
		realm.Route{Realm: "*.found.example", Index: at, Auth: -1, Acct: -1, Discover: d},
		realm.Route{Realm: "*.early.example", Index: at + 1, Auth: -1, Acct: -1, Discover: d, Acknowledge: realm.AcknowledgeDurable},
		realm.Route{Realm: "*.auth.example", Index: at + 2, Auth: -1, Acct: -1, Discover: &realm.Discovery{Name: "auth", Auth: d.Auth}},
	)
}

// dnsOf stands for DNS in a rig: what is found is the pool of the rig's homes.
type dnsOf struct {
	asked atomic.Int32
	hold  chan struct{} // not nil: nothing is found before it is closed
	cause atomic.Int32
}

// discover has a rig's realms looked up in the background.
func (r *rig) discover(d *dnsOf) {
	r.hub.peers = discovery.NewTable(discovery.Config[*home.Pool]{
		Now: r.clock.Load,
		Discover: func(ctx context.Context, name string, _ *realm.Discovery, _ discovery.Service) discovery.Result {
			d.asked.Add(1)
			if d.hold != nil {
				select {
				case <-d.hold:
				case <-ctx.Done():
				}
			}
			return discovery.Result{TTL: time.Minute, Cause: discovery.Cause(d.cause.Load())}
		},
		Build: func(_ string, _ *realm.Discovery, s discovery.Service, _ *discovery.Result, _ time.Duration) (*home.Pool, bool) {
			return r.hub.Snapshot().Homes.Pool(0, kindOf(s)), true
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.hub.peers.Run(ctx) }()
	r.t.Cleanup(func() { stop(); <-done })
}

func newDiscovering(t tester, d *dnsOf) *rig {
	r := newRig(t, 1, discovers)
	r.discover(d)
	return r
}

// C96: a request whose realm is not known waits for DNS, and no other
// waits with it; then it goes to what was found, and the next one at once.
func TestC96Parked(t *testing.T) {
	d := &dnsOf{hold: make(chan struct{})}
	r := newDiscovering(t, d)
	first := r.ask(access("bob@a.found.example", withPassword("x")))
	r.until("asked", func() bool { return d.asked.Load() == 1 })
	r.quietHome(0)
	r.silent()
	other := r.ask(access("bob@home.example", withPassword("x")))
	h := r.atHome(0)
	h.answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, r.got(other).Code, "in the meantime")
	r.offer(listen.Auth, first)
	r.settleDown()
	assert.Equal(t, 1, r.shard.slab.used, "its repetition is the same request")
	close(d.hold)
	r.until("resumed", func() bool { return r.value("roamgate_home_requests_total", "home", "a", "kind", "auth") == 2 })
	h = r.atHome(0)
	h.answer(layeh.CodeAccessAccept)
	assert.Equal(t, layeh.CodeAccessAccept, r.got(first).Code)

	next := r.ask(access("eve@a.found.example", withPassword("x")))
	h = r.atHome(0)
	h.answer(layeh.CodeAccessReject)
	assert.Equal(t, layeh.CodeAccessReject, r.got(next).Code)
	assert.Equal(t, int32(1), d.asked.Load(), "what is known is not asked for again")
	r.clean()
}

// A client that begins anew while its request waits for DNS gets no answer to
// the old one, and nothing is left of it.
func TestOrphanWaitingForPeers(t *testing.T) {
	d := &dnsOf{hold: make(chan struct{})}
	r := newDiscovering(t, d)
	old := access("bob@a.found.example", withPassword("x"))
	r.ask(old)
	r.until("asked", func() bool { return d.asked.Load() == 1 })
	anew := access("bob@home.example", withPassword("x"))
	anew.Identifier = old.Identifier
	b := r.ask(anew)
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(b)
	close(d.hold)
	r.until("ended", func() bool { return r.shard.slab.used == 0 })
	r.quietHome(0)
	r.clean()
}

// Where there is no peer the client is told, each time, and DNS asked once.
func TestNoPeerIsRejected(t *testing.T) {
	for _, tt := range []struct {
		cause discovery.Cause
		why   Reason
	}{
		{discovery.NoPeer, NoPeer}, {discovery.Self, NoPeer}, {discovery.Blocked, NoPeer}, {discovery.BadRealm, NoPeer}, {discovery.NoAddress, NoPeer},
		{discovery.Timeout, DiscoveryFailed}, {discovery.Failed, DiscoveryFailed}, {discovery.NoRoom, DiscoveryBusy},
	} {
		t.Run(tt.cause.String(), func(t *testing.T) {
			d := &dnsOf{}
			d.cause.Store(int32(tt.cause))
			r := newDiscovering(t, d)
			for range 3 {
				b := r.ask(access("bob@a.found.example", withPassword("x")))
				r.until("answered", func() bool { return r.shard.slab.used == 0 })
				p := r.rejected(b)
				assert.Equal(t, []string{"\x00\x00\x01\xf6"}, values(p, 101), "Error-Cause 502")
				assert.NotEmpty(t, values(p, 18), "Reply-Message")
			}
			assert.Equal(t, 3, r.value("roamgate_local_answers_total", "reason", tt.why.String()))
			assert.Equal(t, int32(1), d.asked.Load())
			r.quietHome(0)
			r.clean()
		})
	}
}

// C97: a client that asks for ever new realms is told to stop, and what
// waits for it is bounded; another client's realm is looked up as ever.
func TestC97Flood(t *testing.T) {
	d := &dnsOf{hold: make(chan struct{})}
	defer close(d.hold)
	r := newDiscovering(t, d)
	for i := range 40 {
		r.ask(access(fmt.Sprintf("bob@r%d.found.example", i), withPassword("x")))
	}
	r.until("refused", func() bool {
		return r.value("roamgate_local_answers_total", "reason", DiscoveryBusy.String()) == 30
	})
	assert.Equal(t, 10, r.shard.slab.used)
	r.until("asked", func() bool { return d.asked.Load() == 10 })
	r.quietHome(0)
}

// C97: what the client, the routes or the profile do not allow is
// refused before DNS is asked.
func TestC97AllowList(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*realm.Set)
		user string
		why  Reason
	}{
		{"no route", nil, "bob@elsewhere.example", NoRoute},
		{"the client's list", func(s *realm.Set) { s.Clients[0].Realms = realm.NewNames([]string{"*.home.example"}) }, "bob@a.found.example", RealmNotAllowed},
		{"the profile's list", func(s *realm.Set) { s.Discoveries[0].Realms = realm.NewNames([]string{"b.found.example"}) }, "bob@a.found.example", RealmNotAllowed},
		{"no contract", func(s *realm.Set) {
			federations(s)
			s.Discoveries[0].Group = s.Groups[1]
		}, "bob@a.found.example", TransitDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &dnsOf{}
			r := newRig(t, 1, func(s *realm.Set) {
				discovers(s)
				if tt.edit != nil {
					tt.edit(s)
				}
			})
			r.discover(d)
			r.rejected(r.ask(access(tt.user, withPassword("x"))))
			assert.Equal(t, 1, r.value("roamgate_local_answers_total", "reason", tt.why.String()))
			assert.Zero(t, d.asked.Load())
			r.clean()
		})
	}
}

// Accounting is recorded whatever DNS says. Where the route acknowledges it
// first it is owed until a home has it; a realm that takes none ends here.
func TestAccountingDiscovered(t *testing.T) {
	for _, tt := range []struct {
		name, realm string
		cause       discovery.Cause
		early       bool // acknowledged before DNS has said anything
		toHome      bool
		acked       bool
		marked      int
	}{
		{"home: found", "a.found.example", discovery.OK, false, true, true, 0},
		{"home: DNS fails", "a.found.example", discovery.Failed, false, false, false, 0},
		{"home: the realm takes none", "a.found.example", discovery.NoPeer, false, false, true, 0},
		{"durable: found", "a.early.example", discovery.OK, true, true, true, 0},
		{"durable: DNS fails", "a.early.example", discovery.Failed, true, false, true, 1},
		{"durable: the realm takes none", "a.early.example", discovery.NoPeer, true, false, true, 0},
		{"no tag for accounting", "a.auth.example", discovery.OK, true, false, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &dnsOf{hold: make(chan struct{})}
			d.cause.Store(int32(tt.cause))
			r := newDiscovering(t, d)
			b := r.report(acctStop("bob@"+tt.realm, "s1"))
			r.recorded(1)
			if tt.early {
				assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
			} else {
				r.silent()
			}
			close(d.hold)
			if tt.toHome {
				r.until("forwarded", func() bool { return r.value("roamgate_home_requests_total", "kind", "acct") == 1 })
				r.atAcct(0).answer(layeh.CodeAccountingResponse)
			}
			r.until("ended", func() bool { return r.shard.slab.used == 0 })
			if !tt.early && tt.acked {
				assert.Equal(t, layeh.CodeAccountingResponse, r.got(b).Code)
			}
			r.silent()
			r.until("settled", func() bool { r.forwardOwed(); return r.marked() == tt.marked })
			if tt.marked > 0 {
				d.cause.Store(int32(discovery.OK))
				r.pass(2 * time.Minute) // what was found out about the realm is forgotten
				r.until("forwarded later", func() bool {
					r.forwardOwed()
					r.pass(200 * time.Millisecond)
					return r.value("roamgate_home_requests_total", "kind", "acct") == 1
				})
				r.atAcct(0).answer(layeh.CodeAccountingResponse)
				r.until("paid", func() bool { r.forwardOwed(); return r.marked() == 0 })
			}
		})
	}
}

// C94: the pool of what was found is made of the registry's slots: the realm's own
// name is asked of the certificate, or its host's where the profile is content.
func TestC94BuildPeers(t *testing.T) {
	r := newRig(t, 1, discovers)
	by := r.set.Discoveries[0]
	res := &discovery.Result{Targets: []discovery.Target{
		{Addr: netip.MustParseAddrPort("192.0.2.1:2083"), Host: "one.example", Transport: realm.TLS, Weight: 5},
		{Addr: netip.MustParseAddrPort("192.0.2.2:2083"), Host: "two.example", Transport: realm.TLS, Priority: 1},
		{Addr: netip.MustParseAddrPort("192.0.2.3:2083"), Host: "udp.example", Transport: realm.DTLS, Priority: 2},
	}}
	pool, ok := r.hub.buildPeers("bücher.found.example", by, discovery.Auth, res, time.Minute)
	require.True(t, ok)
	require.Equal(t, 2, pool.Len())
	hm := r.hub.Snapshot().Homes.Home(pool.Member(0))
	assert.Equal(t, "192.0.2.1:2083", hm.Spec.Auth.String())
	assert.Equal(t, "one.example", hm.Spec.Host)
	assert.Equal(t, []string{"xn--bcher-kva.found.example"}, hm.Spec.Holder.Realms)
	assert.Same(t, by, hm.By)
	again, _ := r.hub.buildPeers("bücher.found.example", by, discovery.Auth, res, time.Minute)
	assert.Equal(t, pool.Member(0), again.Member(0), "the same target is the same home")
	other, _ := r.hub.buildPeers("other.found.example", by, discovery.Auth, res, time.Minute)
	assert.NotEqual(t, pool.Member(0), other.Member(0), "another realm has to be in the certificate too")

	hosts := *by
	hosts.Hosts = true
	one, _ := r.hub.buildPeers("c.found.example", &hosts, discovery.Auth, res, time.Minute)
	two, _ := r.hub.buildPeers("d.found.example", &hosts, discovery.Auth, res, time.Minute)
	assert.Equal(t, one.Member(0), two.Member(0), "realms share a home where its name is what counts")

	_, ok = r.hub.buildPeers("e.found.example", by, discovery.Auth, &discovery.Result{Targets: res.Targets[2:]}, time.Minute)
	assert.False(t, ok, "nothing that we can reach")
}

// C92: a realm that DNS says is our own is rejected, and an operator is
// told once.
func TestC92Self(t *testing.T) {
	r := newRig(t, 1, discovers)
	for range 5 {
		r.hub.learnedPeers(&discovery.Entry[*home.Pool]{
			Result: discovery.Result{Cause: discovery.Self, Why: "at 192.0.2.1:2083", TTL: discovery.BackoffTime}, Realm: "a.found.example", By: r.set.Discoveries[0],
		}, "visited")
	}
	assert.Equal(t, 1, r.logs.FilterMessageSnippet("served here").Len())
}

// What discovery would do is explained without asking DNS.
func TestExplainDiscovery(t *testing.T) {
	d := &dnsOf{}
	r := newDiscovering(t, d)
	q := Question{NAI: "bob@a.found.example", Client: "visited", NASPortType: -1, RATType: -1}
	x := r.hub.Explain(q)
	assert.Equal(t, "discover", x.Result)
	assert.Equal(t, "federation", x.DiscoveredBy)
	assert.Equal(t, "a.found.example", x.Discovery)
	assert.Zero(t, d.asked.Load())

	b := r.ask(access("bob@a.found.example", withPassword("x")))
	r.until("forwarded", func() bool { return r.value("roamgate_home_requests_total", "kind", "auth") == 1 })
	r.atHome(0).answer(layeh.CodeAccessAccept)
	r.got(b)
	x = r.hub.Explain(q)
	assert.Equal(t, "forward", x.Result)
	require.NotNil(t, x.Known)
	assert.Equal(t, "found", x.Known.Result)
	assert.NotZero(t, x.Known.Seconds)

	d.cause.Store(int32(discovery.NoPeer))
	q.NAI = "bob@b.found.example"
	r.rejectedSoon(access(q.NAI, withPassword("x")))
	x = r.hub.Explain(q)
	assert.Equal(t, "reject", x.Result)
	assert.Equal(t, "no_peer", x.Reason)
	require.NotNil(t, x.Known)
	assert.Equal(t, discovery.NoPeer.Text(), x.Known.Text)

	// No hub runs: nothing is known.
	e := Explainer{Set: r.set, Clients: r.hub.Snapshot().Clients, Homes: r.hub.Snapshot().Homes}
	x = e.Explain(q)
	assert.Equal(t, "discover", x.Result)
	q.Accounting = true
	x = e.Explain(q)
	assert.Equal(t, "discover", x.Result)
}

// rejectedSoon asks and turns the loop until the answer is there.
func (r *rig) rejectedSoon(p *layeh.Packet) {
	r.t.Helper()
	b := r.ask(p)
	r.until("answered", func() bool { return r.shard.slab.used == 0 })
	r.rejected(b)
}

// TestAllocsDiscovered: a realm that was found costs what a configured one does.
func TestAllocsDiscovered(t *testing.T) {
	h := newHotOf(t, setup{homes: 1, conf: func(c *Config) { c.InFlight = 1024 }, edit: discovers})
	d := &dnsOf{}
	h.discover(d)
	request := append(tlv(1, "0262011234567890@wlan.found.example"), papRequest[papRequest[1]:]...)
	h.ask(request)
	h.until("found", func() bool { return h.inFlight().sent > 0 })
	h.answer(radius.AccessAccept, accept)
	round := func() { h.round(request, radius.AccessAccept, accept) }
	h.warm(t, round)
	allocs := testing.AllocsPerRun(repeated(1000), round)
	assert.True(t, raced || allocs == 0, "%v allocations", allocs)
	assert.Equal(t, int32(1), d.asked.Load())
}
