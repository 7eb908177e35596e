package aaa

import (
	"crypto/cipher"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/admit"
	"github.com/roamgate/roamgate/aaa/dedup"
	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/aaa/rewrite"
	"github.com/roamgate/roamgate/aaa/traffic"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/spool"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/udp"
)

const (
	batchSize  = 64
	rounds     = 4           // batches taken from one socket before the others get their turn
	mostRounds = 16          // the same where most of a batch is not taken
	publish    = 100e6       // ns between two publications of the counters
	homeTag    = uint32(1e6) // poller tags from here on are home sockets
	idleWait   = 100 * time.Millisecond
	reserve    = 8 // 1/reserve of the slab is kept for running conversations
	statusRate = 100
)

// Shard is one event loop: its sockets, its Exchanges, its counters. All
// methods but those of mail belong to the shard's goroutine.
type Shard struct {
	hub   *Hub
	index int

	poller *udp.Poller
	batch  *udp.Batch
	fronts []*listen.Front
	homes  []homeSocket
	conns  conns
	links  links

	snap     *Snapshot
	draining []*Snapshot // older ones whose Exchanges still run

	slab             slab
	held             [2]int // Exchanges of clients, by home.Kind
	dups             *dedup.Cache
	share            *admit.Share
	loud             loud
	backlog          backlog
	ids              *home.IDs
	pace             *home.Pace
	goOn, spareLines []line // where more may have their turn at once
	wheel            *home.Wheel
	crypt            *radius.Crypt
	hasher           *accounting.Hasher
	sealer           *dynauth.Sealer
	issuer           issuer
	bond             bond
	tag              cipher.Block // keys our Proxy-State

	arrivals   [batchSize]arrival
	proofs     *radius.Proofs
	signatures *radius.Signatures
	unsigned   []unsigned

	again   radius.Packet // the request of an Exchange, parsed once more
	changed radius.Packet // what a draft has become
	w       radius.Writer
	stats   *stat.Shard
	ctr     *hubStats
	scratch
	now       int64
	wall      int64 // unix ns
	published int64

	recs   *spool.Batch
	spare  []*spool.Batch
	probes []probeBudget // by client.Client.Index
	names  names
	// circles are the peers that requests went round between.
	circles map[between]stat.ID

	traffic *traffic.Table

	levels levels
	logged [numReasons]struct{ at, n int64 }

	mail mail
}

// scratch is memory reused from packet to packet.
type scratch struct {
	router    router
	asking    asking
	proxy     [ownProxyState]byte
	tagIn     [16]byte // zero behind mark and nonce
	tagOut    [16]byte
	extra     [2560]byte // eight Filter-Ids and what else a device.Profile sets
	offer     offer
	drops     radius.Drop
	draft     rewrite.Draft
	draftBuf  [radius.MaxLen]byte
	spareBuf  [radius.MaxLen]byte // for a draft of what lies in the other
	nowhere   [radius.MaxLen]byte // for what does not leave
	name      [nai.MaxLen]byte
	session   dynauth.Session
	nasBuf    [2 * (2 + radius.MaxValue)]byte
	varRealm  [nai.MaxLen]byte
	varSource [64]byte
	sentName  []byte // to the home, where it is not the client's own; see recall
	sentBuf   [nai.MaxLen]byte
	states    [radius.MaxLen]byte
	recordBuf []byte
	ended     []ending
	event     accounting.Event
	header    accounting.Header
}

// probeBudget counts a client's Status-Server packets of one second.
type probeBudget struct {
	second int64
	n      int
}

// names keeps the text of realms that came up, so that a record of a known
// one costs no allocation. It starts anew when it is full: who invents realms
// gets no memory for it.
type names map[string]string

const maxNames = 4096

func (n *names) of(b []byte) string {
	if s, ok := (*n)[string(b)]; ok {
		return s
	}
	if *n == nil || len(*n) >= maxNames {
		*n = make(names)
	}
	s := string(b)
	(*n)[s] = s
	return s
}

// unsigned is what remains to be done with a packet once it is signed.
type unsigned struct {
	b     []byte
	entry dedup.Entry // of an answer: keep it for repetitions
	token uint64      // of an accounting request: its authenticator is known then
}

// homeSocket is one source port toward the homes.
type homeSocket struct {
	conn  *udp.Conn
	queue *udp.Queue
	v4    bool
	dirty bool
}

// run is the event loop. It ends after stop, or when its sockets can no
// longer be waited for.
func (s *Shard) run() error {
	for {
		tags, _, err := s.poller.Wait(s.patience())
		if err != nil {
			return fmt.Errorf("polling the sockets of shard %d: %w", s.index, err)
		}
		s.clock(s.hub.monotonic(), time.Now().UnixNano())
		if !s.guarded(tags) {
			return nil
		}
		s.poller.Share(s.now)
	}
}

// guarded is step with a net under it: a mistake of ours that a packet
// finds costs that packet and what it held, not the hub.
func (s *Shard) guarded(tags []uint32) (more bool) {
	defer func() {
		if r := recover(); r != nil {
			s.stats.Add(s.ctr.panics, 1)
			s.hub.log.Error("recovered from a panic", zap.Any("panic", r), zap.Stack("stack"))
			more = true
		}
	}()
	return s.step(tags)
}

// patience is how long the poller may sleep.
func (s *Shard) patience() time.Duration {
	if len(s.goOn) > 0 || len(s.conns.unread[ofHomes]) > 0 || len(s.conns.unread[ofClients]) > 0 {
		return 0
	}
	next, ok := s.wheel.Next()
	if !ok {
		return idleWait
	}
	return min(max(time.Duration(next-s.hub.monotonic()), 0), idleWait)
}

func (s *Shard) clock(now, wall int64) { s.now, s.wall = now, wall }

// step does one round: answers of homes first, since each frees memory
// somewhere and a client already waits for it (RFC 5080 section 2.2.3), then
// what other goroutines left, then requests, then timers.
func (s *Shard) step(tags []uint32) bool {
	s.adopt()
	for _, t := range tags {
		switch {
		case t >= connTag:
			s.connReady(t)
		case t >= homeTag:
			s.readHome(int(t - homeTag))
		}
	}
	s.readConns(ofHomes)
	if !s.readMail() {
		s.flush()
		return false
	}
	waiting := false
	for _, t := range tags {
		if t < homeTag && s.readFront(s.fronts[t]) {
			waiting = true
		}
	}
	s.readConns(ofClients)
	s.share.Turn(s.now, waiting)
	s.thin()
	s.shorten(waiting)
	s.tendLinks()
	s.moreTurns()
	s.wheel.Advance(s.now, s.expire)
	s.dups.Expire(s.now)
	s.sweepConns()
	s.flush()
	return true
}

// adopt takes a newer configuration over.
func (s *Shard) adopt() {
	next := s.hub.snap.Load()
	if next == s.snap {
		return
	}
	if s.snap != nil && s.snap.uses[s.index].n > 0 {
		s.draining = append(s.draining, s.snap)
	}
	s.snap = next
	clear(s.circles) // a series of a home that is gone counts for another some day
	s.probes = make([]probeBudget, len(next.Set.Clients))
	s.share.Resize(len(next.Set.Clients))
	s.adoptConns()
	s.adoptLinks()
}

// readFront reports whether it left something to read. Packets of a client
// that gets no more than its share cost little, so there may be more of them.
func (s *Shard) readFront(f *listen.Front) (more bool) {
	taken := 0
	for round := 1; ; round++ {
		n, err := f.Conn.Recv(s.batch)
		if err != nil {
			s.stats.Add(s.ctr.socketErrors, 1)
		}
		s.backlog.heard += n
		s.proofs.Reset()
		for i := range n {
			s.hear(&s.arrivals[i], f, s.batch.Data(i), s.batch.Addr(i), s.batch.Local(i))
		}
		s.proofs.Run()
		for i := range n {
			if s.arrivals[i].state != arrivalDone {
				taken++
				s.loud.taken++
				s.take(&s.arrivals[i])
			}
		}
		s.sign()
		if s.batch.Pending() {
			s.flush()
			continue
		}
		if !s.batch.Full() {
			return false
		}
		s.flush()
		if taken >= rounds*batchSize || round >= mostRounds {
			return true
		}
	}
}

func (s *Shard) readHome(i int) {
	sock := &s.homes[i]
	for round := 1; ; round++ {
		n, err := sock.conn.Recv(s.batch)
		if err != nil {
			s.stats.Add(s.ctr.socketErrors, 1)
		}
		s.proofs.Reset()
		for j := range n {
			s.hearReply(&s.arrivals[j], i, s.batch.Data(j), s.batch.Addr(j))
		}
		s.proofs.Run()
		for j := range n {
			s.takeReply(&s.arrivals[j], i)
		}
		s.sign()
		if !s.batch.Pending() && (!s.batch.Full() || round >= rounds) {
			return
		}
	}
}

// room lends a buffer of a queue to build a packet in.
func (s *Shard) room(q *udp.Queue) []byte {
	s.ready(q)
	return q.Next()
}

// ready makes room in a queue for a packet and for its signature. A full queue
// sends itself, and must not with packets that are not signed yet.
func (s *Shard) ready(q *udp.Queue) {
	if q.Pending() == batchSize || s.signatures.Room() == 0 {
		s.sign()
	}
}

// sign signs what has been built since the last time.
func (s *Shard) sign() {
	s.signatures.Run()
	for i := range s.unsigned {
		u := &s.unsigned[i]
		if u.entry != dedup.NoEntry {
			s.dups.Answer(u.entry, u.b, s.now)
		} else if _, ex := s.slab.resolve(u.token); ex != nil {
			ex.homeAuth = [16]byte(u.b[4:radius.HeaderLen])
		}
	}
	s.unsigned = s.unsigned[:0]
}

// flush hands records to the committer and sends what has been built.
func (s *Shard) flush() {
	s.sign()
	if b := s.recs; b != nil {
		s.recs = nil
		if !s.hub.spool.Submit(b, s) {
			s.refused(b)
		}
	}
	if len(s.ended) > 0 {
		s.hub.later.report(s.ended)
		s.ended = s.ended[:0]
	}
	s.flushConns()
	for _, f := range s.fronts {
		f.Queue.Flush()
	}
	for i := range s.homes {
		if s.homes[i].dirty {
			s.homes[i].queue.Flush()
			s.homes[i].dirty = false
		}
	}
	if s.now-s.published >= publish {
		s.published = s.now
		s.publishLevels()
		s.stats.Publish()
	}
}

// begin ties a new Exchange to the present configuration.
func (s *Shard) begin(slot uint32) *Exchange {
	ex := s.slab.at(slot)
	ex.snap, ex.began = s.snap, s.now
	s.snap.uses[s.index].n++
	return ex
}

// end frees an Exchange. Its entry in the duplicate cache has been answered or
// forgotten before, unless the connection has ended that it came by.
func (s *Shard) end(slot uint32) {
	ex := s.slab.at(slot)
	s.wheel.Cancel(slot)
	s.leaveHome(slot, ex, false)
	if !ex.replay {
		s.held[ex.kind]--
	}
	if c := ex.door.conn; c != nil && c.closed {
		s.dups.Forget(ex.entry) // nobody else has: its answer is not wanted
	}
	s.untrack(ex)
	use := &ex.snap.uses[s.index]
	if use.n--; use.n == 0 && ex.snap != s.snap {
		s.draining = slices.DeleteFunc(s.draining, func(d *Snapshot) bool { return d == ex.snap })
	}
	s.slab.put(slot)
}

// openHomeSocket gives the identifiers another source port.
func (s *Shard) openHomeSocket(v4 bool) (int, bool) {
	if len(s.homes) >= s.hub.conf.HomeSockets {
		return 0, false
	}
	c, err := udp.Listen(s.hub.source(v4), udp.Options{RecvBuffer: s.hub.conf.RecvBuffer, Segment: true, Coalesce: true})
	if err != nil {
		s.stats.Add(s.ctr.socketErrors, 1)
		return 0, false
	}
	i := len(s.homes)
	if err := s.poller.Add(c, homeTag+uint32(i)); err != nil {
		_ = c.Close()
		return 0, false
	}
	s.homes = append(s.homes, homeSocket{conn: c, queue: udp.NewQueue(c, batchSize), v4: v4})
	return i, true
}

func (s *Shard) close() {
	s.closeConns()
	for _, h := range s.homes {
		_ = h.conn.Close()
	}
	for _, f := range s.fronts {
		_ = f.Conn.Close()
	}
	s.poller.Close()
}
