package agent

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/resolve"
)

const (
	rounds   = 4 // times that one connection is read before the others get their turn
	publish  = 100e6
	idleWait = 100 * time.Millisecond
)

// Agent is the Diameter side of the hub.
type Agent struct {
	conf      Config
	log       *zap.Logger
	rooms     Rooms
	start     time.Time
	ctr       *agentStats
	snap      atomic.Pointer[snapshot]
	loop      *loop
	reception reception
	calls     *dialling
	names     *resolve.Resolver
	again     chan struct{} // live certificates are to be judged once more
	done      chan struct{} // the loop has ended

	seriesMu sync.Mutex // guards series
	series   map[string]*nodeStats
}

// snapshot is one configuration.
type snapshot struct {
	set  *realm.Set
	ways []way // by Route.Index
}

func (c *Config) defaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.Drain, 5*time.Second)
	def(&c.Handshake, 10*time.Second)
	num := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	num(&c.InFlight, 1<<16)
	num(&c.HalfOpen, 1024)
	num(&c.PerSource, 64)
	num(&c.Most, 1<<14)
	if c.StateID == 0 {
		c.StateID = uint32(time.Now().Unix())
	}
}

// New makes an Agent and opens its doors. Nothing is served before Run.
func New(conf Config, set *realm.Set, rooms Rooms) (*Agent, error) {
	a, err := newAgent(conf, set, rooms)
	if err != nil {
		return nil, err
	}
	if err := a.open(); err != nil {
		a.loop.poller.Close()
		return nil, err
	}
	return a, nil
}

// newAgent makes an Agent without doors.
func newAgent(conf Config, set *realm.Set, rooms Rooms) (*Agent, error) {
	conf.defaults()
	if conf.Identity == "" || conf.Realm == "" {
		return nil, fmt.Errorf("diameter: an identity and a realm are needed")
	}
	if err := conf.takes(set); err != nil {
		return nil, err
	}
	a := &Agent{conf: conf, log: rooms.Log, rooms: rooms, start: time.Now(), done: make(chan struct{}), again: make(chan struct{}, 1), series: make(map[string]*nodeStats)}
	if a.log == nil {
		a.log = zap.NewNop()
	}
	a.ctr = newAgentStats(rooms.Stats)
	a.calls = newDialling(a)
	a.names = resolve.New(resolve.Config{Servers: conf.DNS, Changed: a.renamed})
	a.watch(set)
	lp, err := newLoop(a)
	if err != nil {
		return nil, err
	}
	a.loop = lp
	a.snap.Store(newSnapshot(set, a.rooms.Stats))
	return a, nil
}

// Check says why the Agent cannot go on by a configuration. It is safe for concurrent
// use.
func (a *Agent) Check(set *realm.Set) error { return a.conf.takes(set) }

// takes refuses a peer that is ourselves: what it sends would be our own.
func (c *Config) takes(set *realm.Set) error {
	for i := range set.Peers {
		if p := &set.Peers[i]; strings.EqualFold(p.Identity, c.Identity) {
			return fmt.Errorf("%s: peer %s has the identity of the hub, %s", p.Pos, p.Name, c.Identity)
		}
	}
	return nil
}

// Apply has the Agent go on by another configuration, or refuses it.
func (a *Agent) Apply(set *realm.Set) error {
	if err := a.Check(set); err != nil {
		return err
	}
	a.watch(set)
	a.snap.Store(newSnapshot(set, a.rooms.Stats))
	a.loop.poller.Wake()
	a.Rejudge()
	return nil
}

func (a *Agent) monotonic() int64 { return int64(time.Since(a.start)) + int64(time.Hour) }

// loop is the goroutine that has all of it. Its methods are called by nobody else, but
// for those of mail.
type loop struct {
	agent  *Agent
	conf   *Config
	poller *udp.Poller
	snap   *snapshot
	conns  conns
	nodes  []*node          // of the files, by index of Set.Peers; nil: it is disabled
	old    []*node          // that take leave
	names  map[string]*node // by identity
	inside *node            // the gateway to RADIUS, nil: there is none

	wheel  *home.Wheel // of transactions
	timers *home.Wheel // of lanes
	lanes  []*lane     // by the slot of their timer
	spare  []uint32

	stats     *stat.Shard
	ctr       *agentStats
	now       int64 // monotonic ns
	wall      int64 // unix ns
	published int64
	swept     int64
	noted     [numResults]int64 // when a refusal was logged
	ends      uint32            // the last End-to-End Identifier of our own requests
	hops      uint32
	w         diameter.Writer
	control   diameter.Message // of the peer machine
	stopping  int64            // since when, 0: it does not
	mail      mail

	walk
}

func newLoop(a *Agent) (*loop, error) {
	p, err := udp.NewPoller()
	if err != nil {
		return nil, err
	}
	now := a.monotonic()
	lp := &loop{
		agent: a, conf: &a.conf, poller: p, names: make(map[string]*node),
		wheel: home.NewWheel(0, now), timers: home.NewWheel(0, now),
		stats: a.rooms.Stats.Shard(), ctr: a.ctr, now: now, wall: time.Now().UnixNano(),
	}
	// RFC 6733 section 3: the time in the high 12 bits, the rest by chance.
	lp.ends = uint32(lp.wall/1e9)<<20 | uint32(lp.wall)&(1<<20-1)
	lp.hops = uint32(lp.wall >> 10)
	return lp, nil
}

// Run serves until ctx ends, takes leave of all peers, and returns when that is done.
func (a *Agent) Run(ctx context.Context) error {
	defer close(a.done)
	beside, end := context.WithCancel(context.WithoutCancel(ctx))
	var others sync.WaitGroup
	others.Go(func() { _ = a.names.Run(beside) })
	others.Go(func() { a.judgeLinks(beside) })
	stop := context.AfterFunc(ctx, a.loop.stop)
	defer stop()
	err := a.loop.run()
	end()
	a.shut()
	others.Wait()
	return err
}

func (lp *loop) run() error {
	for {
		tags, _, err := lp.poller.Wait(lp.patience())
		if err != nil {
			return fmt.Errorf("polling the connections of Diameter: %w", err)
		}
		lp.clock(lp.agent.monotonic(), time.Now().UnixNano())
		if !lp.guarded(tags) {
			return nil
		}
		lp.poller.Share(lp.now)
	}
}

// guarded is step with a net under it.
func (lp *loop) guarded(tags []uint32) (more bool) {
	defer func() {
		if r := recover(); r != nil {
			lp.stats.Add(lp.ctr.panics, 1)
			lp.agent.log.Error("recovered from a panic", zap.Any("panic", r), zap.Stack("stack"))
			more = true
		}
	}()
	return lp.step(tags)
}

// patience is how long the poller may sleep.
func (lp *loop) patience() time.Duration {
	if len(lp.conns.unread) > 0 {
		return 0
	}
	wait := idleWait
	for _, w := range []*home.Wheel{lp.wheel, lp.timers} {
		if next, ok := w.Next(); ok {
			wait = min(wait, max(time.Duration(next-lp.agent.monotonic()), 0))
		}
	}
	return wait
}

func (lp *loop) clock(now, wall int64) { lp.now, lp.wall = now, wall }

// step does one round; false means the end.
func (lp *loop) step(tags []uint32) bool {
	lp.adopt()
	for _, t := range tags {
		lp.ready(t)
	}
	lp.readMail()
	lp.readLinks()
	lp.timers.Advance(lp.now, lp.due)
	lp.wheel.Advance(lp.now, lp.expired)
	lp.tick()
	lp.sweep()
	lp.flush()
	return !lp.ended()
}

// flush sends what was built.
func (lp *loop) flush() {
	lp.ledger.flush()
	lp.flushLinks()
	if lp.now-lp.published >= publish {
		lp.published = lp.now
		lp.stats.Publish()
	}
}
