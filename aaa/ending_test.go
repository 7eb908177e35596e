package aaa

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	layeh "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/discovery"
)

// posted waits for connections that have been left for the shard, without
// letting it take them.
func (r *rig) posted(n int) (all []*conn) {
	r.t.Helper()
	m := &r.shard.mail
	for end := time.Now().Add(patience); len(all) != n; {
		require.True(r.t, time.Now().Before(end), "there are other connections")
		_, _, err := r.shard.poller.Wait(time.Millisecond)
		require.NoError(r.t, err)
		m.mu.Lock()
		all = m.conns.All()
		m.mu.Unlock()
	}
	return all
}

// A connection that no poller takes is an attempt that failed, and not the last.
func TestConnectionThatCannotBeWatched(t *testing.T) {
	o := openOffice(t, nil)
	r := newRigOf(t, setup{homes: 1, edit: o.reach(nil, 0)})
	for _, c := range r.posted(2) {
		c.Close()
	}
	r.turn(0)
	assert.Zero(t, r.links())
	assert.Empty(t, r.hub.connections.list())
	r.pass(time.Second)
	r.linked(2)
	sent := r.asks(1)
	answerAll(r.arrive(o, 1))
	r.acceptedAll(sent)
	r.clean()
}

// A request whose connection ends while it is written waits for another.
func TestConnectionEndsUnderARequest(t *testing.T) {
	o := openOffice(t, nil)
	r := newRigOf(t, setup{homes: 1, edit: o.reach(nil, 0)})
	r.linked(2)
	sent := r.asks(1)
	r.arrive(o, 1)
	ex := r.inFlight()
	slot, c := r.slotOf(ex), ex.link.conn
	c.Close()
	r.shard.dirtied(c)
	require.Equal(t, OK, r.shard.transmit(slot, ex))
	assert.True(t, c.closed)
	assert.True(t, r.shard.pace.Queued(slot))
	r.pass(time.Second)
	answerAll(r.arrive(o, 1))
	r.acceptedAll(sent)
	r.clean()
}

// byTCP adds a client that comes by TCP, from the addresses of the other.
func byTCP(s *realm.Set) {
	c := s.Clients[0]
	c.Name, c.Transport = "plain", realm.TCP
	s.Clients = append(s.Clients, c)
}

// What waits for a home is not sent to another one when its client has gone.
func TestOrphanIsNotMoved(t *testing.T) {
	n := newTenant(t, "tenant")
	o := openOffice(t, n.conf())
	o.mute.Store(true)
	s := n.overTLS(func(s *realm.Set) {
		byTCP(s)
		o.reach(s.Securities[0], 0)(s)
	})
	s.homes = 2
	r := newRigOf(t, s)
	p := r.visitTCP()
	p.offer(encode(t, access("bob@home.example", with(rfc2865.State_Type, "s")), true))
	require.True(t, r.shard.pace.Queued(r.slotOf(r.inFlight())))
	require.NoError(t, p.Close())
	r.until("it is gone", func() bool { return len(r.hub.connections.list()) == 0 })
	r.state(0, home.Auth).Cut(home.Refused, "refused")
	r.pass(home.Patience + time.Second)
	r.quietHome(1)
	r.clean()
}

// C72: however many come at a time, no more than may come are let in.
func TestC72ManyAtOnce(t *testing.T) {
	n := newTenant(t, "tenant")
	s := n.overTLS(byTCP)
	doors := s.conf
	s.conf = func(c *Config) { doors(c); c.Connections.PerClient = 2 }
	r := newRigOf(t, s)
	for range 5 {
		r.knock()
	}
	r.posted(5)
	r.turn(0)
	assert.Len(t, r.hub.connections.list(), 2)
	assert.Equal(t, 3, r.value("roamgate_connections_closed_total", "peer", "plain", "reason", ClosedMany.String()))
}

// A client that is in the files no longer takes its connections along, also
// from where CoA goes by them.
func TestInsideClientIsGone(t *testing.T) {
	r := newInside(t, radius11, nil)
	require.Len(t, r.hub.dynauth.inners, 1)
	r.apply(func(s *realm.Set) { s.Clients = s.Clients[:1] })
	r.turnBack()
	assert.Empty(t, r.hub.dynauth.inners)
}

// C94: a target that takes no connection within a second gives way to the next;
// it is passed over until DNS is asked again.
func TestC94NextTarget(t *testing.T) {
	n := newTenant(t, "lab")
	first, second := openOffice(t, n.conf()), openOffice(t, n.conf())
	first.mute.Store(true)
	r := newRigOf(t, setup{homes: 1, edit: func(s *realm.Set) {
		discovers(s)
		s.Discoveries[0].Hosts, s.Discoveries[0].Security = true, n.security("lab")
	}})
	res := discovery.Result{TTL: time.Minute, Targets: []discovery.Target{
		{Addr: first.addr(), Host: "radius.home.example", Transport: realm.TLS},
		{Addr: second.addr(), Host: "radius.home.example", Transport: realm.TLS, Priority: 1},
	}}
	r.find(func(context.Context, string) discovery.Result { return res })
	ask := func(within time.Duration) {
		t.Helper()
		sent := r.ask(access("bob@a.found.example"))
		r.until("it is found", func() bool { return r.shard.slab.used == 1 && !r.inFlight().seeks })
		if within > 0 {
			r.pass(within - 100*time.Millisecond)
			assert.Empty(t, second.desks, "it has a second")
			r.pass(200 * time.Millisecond)
		}
		answerAll(r.arrive(second, 1))
		r.until("the answer", func() bool { return r.shard.slab.used == 0 })
		assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
	}
	r.hub.dialling.kinds[1].most = time.Minute
	ask(time.Second)
	ask(0)
	assert.Equal(t, 1, r.value("roamgate_failovers_total"))

	// The attempt fails at last, and no request waits for another.
	first.hangUp()
	r.until("it is down", func() bool { return r.found(first).State[home.Auth].IsCut() })
	first.mute.Store(false)
	for range 3 {
		r.pass(10 * time.Second)
		ask(0)
	}
	r.pass(2 * time.Minute)
	require.True(t, r.found(first).State[home.Auth].IsCut(), "nobody has asked for it")
	ask(0)
	r.until("DNS was asked again, and so is the target", func() bool {
		r.pass(100 * time.Millisecond)
		return r.found(first).State[home.Auth].Links() > 0
	})
	sent := r.ask(access("bob@a.found.example"))
	answerAll(r.arrive(first, 1))
	r.until("the answer", func() bool { return r.shard.slab.used == 0 })
	assert.Equal(t, layeh.CodeAccessAccept, r.got(sent).Code)
	r.clean()
}

// find has realms looked up by f in the background, and the hub make pools of
// what it gives.
func (r *rig) find(f func(ctx context.Context, name string) discovery.Result) {
	r.hub.peers = discovery.NewTable(discovery.Config[*home.Pool]{
		Now: r.clock.Load, Build: r.hub.buildPeers,
		Discover: func(ctx context.Context, name string, _ *realm.Discovery, _ discovery.Service) discovery.Result {
			return f(ctx, name)
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.hub.peers.Run(ctx) }()
	r.t.Cleanup(func() { stop(); <-done })
}

// found is the home that was made of an office.
func (r *rig) found(o *office) *home.Home {
	r.t.Helper()
	for _, hm := range r.hub.Snapshot().Homes.FoundHomes() {
		if hm.Spec.Auth == o.addr() {
			return hm
		}
	}
	r.t.Fatal("no home was made of it")
	return nil
}

// hangUp ends the connections that the office has.
func (o *office) hangUp() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.all {
		_ = c.Close()
	}
}
