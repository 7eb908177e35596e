package aaa

import (
	"context"
	"crypto/aes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/admit"
	"github.com/roamgate/roamgate/aaa/dedup"
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/aaa/fticks"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/aaa/loop"
	"github.com/roamgate/roamgate/aaa/traffic"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/realm/resolve"
)

const (
	// A conversation is a few rounds: what began ten minutes ago is over.
	stickyConversations = 1 << 20
	stickyTTL           = 10 * time.Minute
)

// Config is what a Hub is built with. The zero value of a field means its
// default.
type Config struct {
	Listen       []listen.Address
	Source4      netip.Addr       // local address of the home-side sockets, default any
	Source6      netip.Addr       //
	Shards       int              // event loops, default GOMAXPROCS, and no more than processors
	InFlight     int              // Exchanges of a shard, default 65536
	HomeSockets  int              // home-side source ports of a shard, default 256
	RecvBuffer   int              // octets of a socket's receive buffer, default 4 MiB
	RejectDelay  time.Duration    // how long an Access-Reject of our own is held back at least, and half as long more at most; 0: not
	DuplicateTTL time.Duration    // how long an answer is kept for repetitions, default 10 s
	DuplicateMem int              // octets of kept answers of a shard, default 64 MiB
	ReverseCoA   bool             // CoA and Disconnect also go by connections that peers have opened
	DynAuthMem   int              // octets in which live sessions are remembered where CoA is listened to, default 64 MiB
	RealmSeries  int              // realms with counters of their own, default 1000; the others share `other`
	DNS          []netip.AddrPort // servers that know the names of homes, default those of the host
	Seed         uint64           // turns the choice among equal homes; each hub in a row has its own
	Connections  Connections      // that are accepted
}

// Connections bounds what is accepted over TCP, TLS and DTLS.
type Connections struct {
	Handshake time.Duration // what a handshake may take, default 10 s
	HalfOpen  int           // handshakes at a time, default 4096
	PerSource int           // of them from one /24 or /56, default 256
	PerClient int           // connections of one client, default 256
	Most      int           // connections in all, default 16384
	Idle      time.Duration // ends one that carried nothing for so long, default 10 min
	Stalled   time.Duration // ends one whose peer takes nothing of what waits for it, default 30 s
}

func (c *Config) defaults() {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	def(&c.Shards, min(runtime.GOMAXPROCS(0), runtime.NumCPU()))
	def(&c.InFlight, 65536)
	def(&c.HomeSockets, 256)
	def(&c.RecvBuffer, 4<<20)
	def(&c.DuplicateMem, 64<<20)
	def(&c.DynAuthMem, 64<<20)
	def(&c.RealmSeries, 1000)
	def(&c.Connections.HalfOpen, 4096)
	def(&c.Connections.PerSource, 256)
	def(&c.Connections.PerClient, 256)
	def(&c.Connections.Most, 16384)
	for _, d := range []struct {
		p *time.Duration
		v time.Duration
	}{
		{&c.DuplicateTTL, 10 * time.Second}, {&c.Connections.Handshake, 10 * time.Second},
		{&c.Connections.Idle, 10 * time.Minute}, {&c.Connections.Stalled, 30 * time.Second},
	} {
		if *d.p == 0 {
			*d.p = d.v
		}
	}
}

// doors are the addresses of UDP of the shards, or those of dynamic authorisation.
func (c *Config) doors(dynAuth bool) (as []listen.Address) {
	for _, a := range c.Listen {
		if a.Transport == realm.UDP && (a.Service == listen.DynAuth) == dynAuth {
			as = append(as, a)
		}
	}
	return as
}

// Rooms are the parts a Hub works with but does not own: they are opened
// before it and closed after it.
type Rooms struct {
	Log    *zap.Logger
	Stats  *stat.Registry
	Spool  *spool.Spool
	Events *accounting.Events
	// Identity keys the hashes of identities and events; it must outlive
	// the process.
	Identity []byte
	Policy   *device.Table  // nil: no route may enable the device policy
	FTicks   *fticks.Ticker // nil: none are written; Run runs it
	Gateway  Gateway        // nil: there is no Diameter
}

// Hub is the running proxy: its shards, the health of homes and the present
// configuration.
type Hub struct {
	conf     Config
	log      *zap.Logger
	stats    *stat.Registry
	ctr      *hubStats
	spool    *spool.Spool
	events   *accounting.Events
	identity []byte
	seed     maphash.Seed
	policy   *device.Table
	gateway  Gateway

	start   time.Time
	shards  []*Shard
	homes   *home.Registry
	sticky  *home.Sticky
	notes   chan note
	later   *later
	carrier Carrier // of records of Diameter, nil: there is none
	fticks  *fticks.Ticker
	loops   *loop.Table
	// connections are those of clients and of homes.
	connections *connections
	calls       calls
	within      atomic.Uint64 // the last connection with the gateway
	guests      guests
	reception   reception
	rejudge     chan struct{} // the connections, by the present files
	refusals    refusals
	dialling    *dialling
	// dynauth carries CoA back, nil: the hub listens to none.
	dynauth *dynAuth
	sealer  *dynauth.Sealer // for marks; guarded by applying

	names      *resolve.Resolver
	peers      *peers       // of realms that are discovered
	selfQuiet  atomic.Int64 // until when it is not logged again that a realm is our own, monotonic ns
	written    *realm.Set   // as the files have it; guarded by applying
	snap       atomic.Pointer[Snapshot]
	applying   sync.Mutex // guards generation and the order of snapshots
	generation uint64
}

// New binds the sockets and compiles the configuration; nothing is read
// before Run.
func New(conf Config, set *realm.Set, rooms Rooms) (*Hub, error) {
	conf.defaults()
	h := &Hub{
		conf: conf, log: rooms.Log, stats: rooms.Stats, spool: rooms.Spool,
		events: rooms.Events, identity: rooms.Identity, policy: rooms.Policy, fticks: rooms.FTicks, gateway: rooms.Gateway,
		start: time.Now(), seed: maphash.MakeSeed(),
		homes: home.NewRegistry(conf.Seed), sticky: home.NewSticky(stickyConversations, stickyTTL),
		notes: make(chan note, 1024), later: newLater(rooms.Spool, conf.Shards*conf.InFlight), loops: loop.New(knownLoops),
		connections: newConnections(), rejudge: make(chan struct{}, 1),
		dialling: newDialling(), guests: guests{all: make(map[string]*guest)},
	}
	h.refusals = newRefusals(h.stats)
	h.homes.Share(conf.Shards)
	h.names = h.newNames()
	h.peers = h.newPeers()
	h.ctr = newHubStats(h)
	h.sealer, h.dynauth = dynauth.NewSealer(h.identity), h.newDynAuth()
	if err := h.Apply(set); err != nil {
		return nil, err
	}
	fronts, err := listen.UDP(conf.doors(false), conf.Shards, conf.RecvBuffer)
	if err != nil {
		return nil, err
	}
	var key [16]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("making the Proxy-State key: %w", err)
	}
	for i := range conf.Shards {
		s, err := h.newShard(i, fronts[i], key[:])
		if err != nil {
			for _, made := range h.shards {
				made.poller.Close()
			}
			listen.Close(fronts)
			return nil, err
		}
		h.shards = append(h.shards, s)
	}
	if h.dynauth != nil {
		if err := h.dynauth.open(); err != nil {
			for _, s := range h.shards {
				s.close()
			}
			return nil, err
		}
	}
	if err := h.receive(); err != nil {
		if h.dynauth != nil {
			h.dynauth.close()
		}
		for _, s := range h.shards {
			s.close()
		}
		return nil, err
	}
	h.socketSeries()
	h.levelSeries()
	h.homesSeries()
	h.nameSeries()
	h.peerSeries()
	h.tickSeries()
	return h, nil
}

func (h *Hub) newShard(i int, fronts []*listen.Front, key []byte) (*Shard, error) {
	poller, err := udp.NewPoller()
	if err != nil {
		return nil, fmt.Errorf("opening a poller: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("keying the Proxy-State: %w", err)
	}
	s := &Shard{
		hub: h, index: i, poller: poller, fronts: fronts, ctr: h.ctr,
		batch: udp.NewBatch(batchSize, udp.Wide),
		slab:  slab{max: h.conf.InFlight},
		dups:  dedup.New(dedup.Config{TTL: h.conf.DuplicateTTL, MaxEntries: 4 * h.conf.InFlight, ReplyBytes: h.conf.DuplicateMem}),
		wheel: home.NewWheel(h.conf.InFlight, h.monotonic()), hasher: accounting.NewHasher(h.identity), issuer: newIssuer(h.identity), bond: newBond(h.identity),
		crypt: radius.NewCrypt(), tag: block, stats: h.stats.Shard(), circles: map[between]stat.ID{},
		backlog: backlog{buffer: h.conf.RecvBuffer}, share: admit.NewShare(), pace: home.NewPace(h.conf.InFlight),
		proofs: radius.NewProofs(batchSize), signatures: radius.NewSignatures(2 * batchSize),
	}
	s.traffic = traffic.New(traffic.NewKey(h.seed), max(rememberedRows/h.conf.Shards, leastRows))
	s.sealer = dynauth.NewSealer(h.identity)
	s.ids = home.NewIDs(home.IDsConfig{NeedSocket: s.openHomeSocket, MaxSockets: h.conf.HomeSockets, Seed: binary.BigEndian.Uint64(key[8:]) + uint64(i)})
	s.loud.init()
	for t, f := range fronts {
		if err := poller.Add(f.Conn, uint32(t)); err != nil {
			poller.Close()
			return nil, fmt.Errorf("polling %s: %w", f.Addr, err)
		}
	}
	return s, nil
}

// Run carries traffic until ctx ends, then stops the shards and waits for
// them. Requests in flight are dropped: their clients repeat them to another
// hub or to this one's successor.
func (h *Hub) Run(ctx context.Context) error {
	var shards, others sync.WaitGroup
	background, stop := context.WithCancel(context.Background())
	defer stop()
	others.Go(func() { h.writeNotes(background) })
	others.Go(func() { h.forwardLater(background) })
	others.Go(func() { h.collectHands(background) })
	others.Go(func() { h.governHomes(background) })
	others.Go(func() { h.judgeConnections(background) })
	others.Go(func() { _ = h.names.Run(background) })
	others.Go(func() { h.peers.Run(background) })
	if h.fticks != nil {
		others.Go(func() { h.fticks.Run(background) })
	}
	mon := home.NewMonitor(home.MonitorConfig{
		View: func() *home.View { return h.Snapshot().Homes }, Now: h.monotonic,
		OnChange: h.homeChanged, Seed: h.conf.Seed, Listen: h.probeSocket,
	})
	others.Go(func() { _ = mon.Run(background) })
	failed := make(chan error, len(h.shards)+1)
	if h.dynauth != nil {
		defer h.dynauth.close()
		others.Go(func() {
			if err := h.dynauth.run(background); err != nil {
				failed <- err
			}
		})
	}
	for _, s := range h.shards {
		shards.Go(func() {
			if err := s.run(); err != nil {
				failed <- err
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed: // without it a part of every client would get no answer
	}
	h.reception.close()
	for _, s := range h.shards {
		s.stop()
	}
	shards.Wait()
	stop()
	h.dialling.stop()
	others.Wait()
	h.dialling.running.Wait()
	for _, s := range h.shards {
		s.close()
	}
	return err
}

// Apply makes set the configuration of every packet read from now on.
// Requests in flight end with the one they began with.
func (h *Hub) Apply(set *realm.Set) error {
	h.applying.Lock()
	defer h.applying.Unlock()
	if err := h.apply(set); err != nil {
		return err
	}
	h.written = set
	h.watchNames(set)
	return nil
}

// apply makes set the present configuration, with the addresses that are known
// of its homes' names. The caller holds applying.
func (h *Hub) apply(set *realm.Set) error {
	set = h.withAddresses(set)
	snap, err := h.compile(set)
	if err != nil {
		return err
	}
	old := h.snap.Swap(snap)
	h.peers.Adopt(set.Discoveries, home.SameDiscovery)
	h.healthSeries(set, snap.Homes)
	if old != nil {
		h.retire(old.Set, set)
	}
	for _, s := range h.shards {
		s.poller.Wake()
	}
	h.Rejudge()
	return nil
}

// Snapshot is the present configuration.
func (h *Hub) Snapshot() *Snapshot { return h.snap.Load() }

// Fronts are the addresses listened on, ports resolved, in the order of
// Config.Listen; those of connections come behind those of UDP, and those of
// dynamic authorisation last.
func (h *Hub) Fronts() []listen.Address {
	var as []listen.Address
	for _, f := range h.shards[0].fronts {
		as = append(as, listen.Address{Service: f.Service, Addr: f.Addr})
	}
	as = append(as, h.reception.addrs()...)
	if h.dynauth != nil {
		for _, f := range h.dynauth.fronts {
			as = append(as, listen.Address{Service: f.Service, Addr: f.Addr})
		}
	}
	return as
}

// monotonic is nanoseconds since the hub was made.
func (h *Hub) monotonic() int64 { return int64(time.Since(h.start)) }

// probeSocket sends probes from where requests are sent: a home knows us by
// that address.
func (h *Hub) probeSocket(v4 bool) (home.Socket, error) {
	network := "udp6"
	if v4 {
		network = "udp4"
	}
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(h.source(v4)))
	if err != nil {
		return nil, fmt.Errorf("opening a socket for probes: %w", err)
	}
	return c, nil
}

func (h *Hub) source(v4 bool) netip.AddrPort {
	a := h.conf.Source6
	if v4 {
		a = h.conf.Source4
	}
	if !a.IsValid() {
		a = netip.IPv6Unspecified()
		if v4 {
			a = netip.IPv4Unspecified()
		}
	}
	return netip.AddrPortFrom(a, 0)
}
