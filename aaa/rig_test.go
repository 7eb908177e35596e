package aaa

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

// go-redis tries a lost server again once a second in a goroutine that looks
// for the end of its pool only when it wakes.
const redialing = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(redialing)) }

const (
	visitedSecret = "visited-secret-0123456789abcdef"
	homeSecret    = "home-secret-0123456789abcdef012"
	patience      = 5 * time.Second // a bound, never waited for when things work
)

// tester is a test, a benchmark or one run of a property.
type tester interface {
	require.TestingT
	Helper()
	Fatal(args ...any)
	Cleanup(f func())
}

// rig is one shard without its loop: the test is the loop and the clock.
// NAS and homes are real sockets on loopback, spoken to with an independent
// RADIUS library.
type rig struct {
	t     tester
	hub   *Hub
	shard *Shard
	set   *realm.Set
	now   int64
	wall  int64
	clock atomic.Int64 // now, for the Monitor
	nas   *net.UDPConn
	homes []*net.UDPConn // where they are asked to authenticate
	accts []*net.UDPConn // where they take accounting
	logs  *observer.ObservedLogs
}

// setup is what a rig can differ in.
type setup struct {
	homes int
	edit  func(*realm.Set) // before it is compiled
	conf  func(*Config)
	fs    vfs.FS
	queue int  // records that may wait for a commit, 0 as usual
	runs  bool // the test calls start, and the clock is the hub's
	// policyOf makes the device policy.
	policyOf func(t tester) *device.Table
}

// newRig makes a hub with n homes of one pool and lets edit change the
// configuration before it is compiled.
func newRig(t tester, n int, edit func(*realm.Set)) *rig {
	t.Helper()
	return newRigOf(t, setup{homes: n, edit: edit})
}

func newRigOf(t tester, o setup) *rig {
	t.Helper()
	r := &rig{t: t, now: int64(time.Hour), wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano()}
	r.clock.Store(r.now)
	r.nas = r.socket()
	r.set = r.configuration(o.homes)
	if o.edit != nil {
		o.edit(r.set)
	}
	r.set.Table = realm.NewTable(r.set.Routes)
	r.open(o)
	if !o.runs {
		r.turn(0)
	}
	return r
}

// open makes the hub and what it works with.
func (r *rig) open(o setup) {
	t := r.t
	if o.fs == nil {
		o.fs = vfs.NewMem()
	}
	sp, err := spool.Open("spool", spool.Options{FS: o.fs, MinFree: -1, MaxQueued: o.queue})
	require.NoError(t, err)
	var core zapcore.Core
	core, r.logs = observer.New(zapcore.DebugLevel)
	conf := Config{
		Shards: 1, InFlight: 64, RecvBuffer: 1 << 20, DuplicateMem: 1 << 20,
		Listen: []listen.Address{
			{Service: listen.Auth, Addr: netip.MustParseAddrPort("127.0.0.1:0")},
			{Service: listen.Acct, Addr: netip.MustParseAddrPort("127.0.0.1:0")},
		},
	}
	if o.conf != nil {
		o.conf(&conf)
	}
	var policy *device.Table
	if o.policyOf != nil {
		policy = o.policyOf(t)
	}
	r.hub, err = New(conf, r.set, Rooms{
		Log: zap.New(core), Stats: stat.NewRegistry(), Spool: sp, Policy: policy,
		Events: accounting.NewEvents(1000, time.Hour), Identity: []byte("0123456789abcdef"),
	})
	require.NoError(t, err)
	r.shard = r.hub.shards[0]
	t.Cleanup(func() {
		r.hub.reception.close()
		_ = sp.Close() // fails where a test has broken the disk
		r.hub.dialling.stop()
		r.hub.dialling.running.Wait()
		r.shard.close()
	})
}

// configuration is what tests start from: one client, n homes in one pool.
func (r *rig) configuration(n int) *realm.Set {
	set := &realm.Set{
		Clients: []realm.Client{{
			Name: "visited", Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			Secret: realm.Secret(visitedSecret), RequireMessageAuthenticator: true, LimitProxyState: true,
			Operator: "1visited.example", Country: "DE",
		}},
		Routes: []realm.Route{
			{Realm: "home.example", Index: 0, Auth: 0, Acct: 0},
			{Realm: "*.iot.example", Index: 1, Auth: 0, Acct: 0, Acknowledge: realm.AcknowledgeDurable},
			{Realm: "closed.example", Index: 2, Auth: -1, Acct: -1, Reject: "contract ended"},
			{Realm: "local.example", Index: 3, Auth: -1, Acct: -1, Acknowledge: realm.AcknowledgeDurable},
		},
	}
	pool := realm.Pool{Name: "pool", Timers: realm.Timers{IRT: 2 * time.Second, MRT: 16 * time.Second, MRD: 30 * time.Second, MRC: 5}}
	for i := range n {
		auth, acct := r.socket(), r.socket()
		r.homes, r.accts = append(r.homes, auth), append(r.accts, acct)
		set.Homes = append(set.Homes, realm.Home{
			Name: string(rune('a' + i)), Secret: realm.Secret(homeSecret), RequireMessageAuthenticator: true,
			Auth: addrOf(auth), Acct: addrOf(acct),
		})
		pool.Members = append(pool.Members, realm.Member{Home: int32(i), Priority: i, Weight: 1})
	}
	set.Pools = []realm.Pool{pool}
	return set
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func (r *rig) socket() *net.UDPConn {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// pass lets virtual time go by and runs what is due.
func (r *rig) pass(d time.Duration) {
	r.now += int64(d)
	r.wall += int64(d)
	r.clock.Store(r.now)
	r.turn(0)
}

// turn is one round of the event loop.
func (r *rig) turn(wait time.Duration) {
	tags, _, err := r.shard.poller.Wait(wait)
	require.NoError(r.t, err)
	r.shard.clock(r.now, r.wall)
	require.True(r.t, r.shard.step(tags))
	r.shard.stats.Publish()
	for len(r.hub.notes) > 0 {
		r.hub.write(<-r.hub.notes)
	}
}

// until turns the loop until ok.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			r.t.Fatal("never happened: " + what)
		}
		r.turn(10 * time.Millisecond)
	}
}

// settleDown turns the loop until nothing is waiting in it.
func (r *rig) settleDown() {
	for range 3 {
		r.turn(0)
	}
}

func (r *rig) value(name string, labels ...string) int {
	r.shard.stats.Publish()
	return int(r.hub.stats.Value(name, labels...))
}

// apply makes a changed copy of the configuration the present one.
func (r *rig) apply(edit func(*realm.Set)) {
	r.t.Helper()
	next := *r.set
	next.Clients = append([]realm.Client(nil), next.Clients...)
	next.Homes = append([]realm.Home(nil), next.Homes...)
	next.Pools = append([]realm.Pool(nil), next.Pools...)
	next.Routes = append([]realm.Route(nil), next.Routes...)
	edit(&next)
	next.Table = realm.NewTable(next.Routes)
	require.NoError(r.t, r.hub.Apply(&next))
	r.set = &next
	r.turn(0)
}

// watch runs the Monitor of homes on the rig's clock; looked counts its
// rounds.
func (r *rig) watch() (looked func() int64) {
	var rounds atomic.Int64
	m := home.NewMonitor(home.MonitorConfig{
		View: func() *home.View { rounds.Add(1); return r.hub.Snapshot().Homes }, Now: r.clock.Load, OnChange: r.hub.homeChanged,
	})
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { defer close(done); _ = m.Run(ctx) }()
	r.t.Cleanup(func() { cancel(); <-done })
	return rounds.Load
}

func (r *rig) state(i int, k home.Kind) *home.State {
	return r.hub.Snapshot().Homes.Homes()[i].State[k]
}

func (r *rig) health(i int, k home.Kind) home.Health {
	h, _ := r.state(i, k).Health()
	return h
}

// clean asserts that nothing is left of what went through the shard.
func (r *rig) clean() {
	r.t.Helper()
	r.settleDown()
	s := r.shard
	assert.Zero(r.t, s.slab.used, "exchanges")
	assert.Zero(r.t, s.held, "exchanges by kind")
	assert.Zero(r.t, s.ids.InUse(), "identifiers in use")
	assert.Zero(r.t, s.ids.Counters().Misused, "identifiers released twice")
	assert.Zero(r.t, s.wheel.Len(), "timers")
	assert.Empty(r.t, s.draining, "old configurations")
	assert.Zero(r.t, s.snap.uses[0].n, "uses of the configuration")
	r.pass(dedupTTL)
	assert.Zero(r.t, s.dups.Len(), "remembered requests after their time")
}

// each visits the Exchanges in flight.
func (r *rig) each(visit func(ex *Exchange)) {
	for slot := range uint32(len(r.shard.slab.chunks) * slabChunk) {
		if ex := r.shard.slab.at(slot); ex.stage != stageFree {
			visit(ex)
		}
	}
}

// inFlight gives the only Exchange there is.
func (r *rig) inFlight() (only *Exchange) {
	r.t.Helper()
	require.Equal(r.t, 1, r.shard.slab.used, "exchanges in flight")
	r.each(func(ex *Exchange) { only = ex })
	return only
}

// dedupTTL is longer than any answer is kept.
const dedupTTL = 31 * time.Second

// inject gives the shard a datagram as if it had been read from a front.
func (r *rig) inject(s listen.Service, b []byte, from netip.AddrPort) {
	r.shard.clock(r.now, r.wall)
	r.shard.receive(r.shard.fronts[s], b, udp.AddrFrom(from), udp.LocalInfo{})
}

// receive is a batch of one datagram of a front.
func (s *Shard) receive(f *listen.Front, data []byte, from udp.Addr, local udp.LocalInfo) {
	a := &s.arrivals[0]
	s.proofs.Reset()
	s.hear(a, f, data, from, local)
	s.proofs.Run()
	s.take(a)
	s.sign()
}

// reply is a batch of one datagram of a home.
func (s *Shard) reply(sock int, data []byte, from udp.Addr) {
	a := &s.arrivals[0]
	s.proofs.Reset()
	s.hearReply(a, sock, data, from)
	s.proofs.Run()
	s.takeReply(a, sock)
	s.sign()
}
