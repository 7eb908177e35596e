package play

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// HomeConfig is what a Home is from its start to its end; its behaviour is a
// Script and may change.
type HomeConfig struct {
	Name string // told apart by it: a State of another home is a flaw
	// Auth and Acct are the addresses to listen on; port 0 takes a free one,
	// an invalid address leaves that role out.
	Auth, Acct netip.AddrPort
	Secret     []byte
	// Stream has both roles at Auth over connections, nil: UDP.
	Stream *Stream
	// Password is what every device must know; "" accepts any.
	Password string
	// Shards is the number of event loops; 0 is one.
	Shards int
	// AllowUnsigned serves an Access-Request without Message-Authenticator.
	AllowUnsigned bool
	// Spin has it wait without sleeping: what a sleep and its end take is no part of
	// what is measured, and the processor is taken whole. It is for UDP.
	Spin bool
	// Track counts per User-Name and per accounting event. It allocates.
	Track  bool
	Seed   uint64
	Script Script
}

// Home is a home server in this process. Its methods are safe for concurrent
// use.
type Home struct {
	config HomeConfig
	secret *radius.Secret
	script atomic.Pointer[Script]
	shards []*homeShard
	loops  []*homeLoop
	door   *homeDoor // of connections, nil over UDP
	closed atomic.Bool
}

// StartHome opens the sockets and answers until Close.
func StartHome(c HomeConfig) (*Home, error) {
	h := newHome(c)
	for range max(c.Shards, 1) {
		l, err := newHomeLoop(h)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("starting home %s: %w", c.Name, err), h.Close())
		}
		h.loops = append(h.loops, l)
	}
	if err := h.open(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	for _, l := range h.loops {
		l.start()
	}
	return h, nil
}

func newHome(c HomeConfig) *Home {
	c.Secret = c.Stream.secret(c.Secret)
	h := &Home{config: c, secret: radius.NewSecret(c.Secret)}
	h.SetScript(c.Script)
	return h
}

// Name is the home's name.
func (h *Home) Name() string { return h.config.Name }

// Auth is the address that answers Access-Requests.
func (h *Home) Auth() netip.AddrPort { return h.config.Auth }

// Acct is the address that answers Accounting-Requests.
func (h *Home) Acct() netip.AddrPort { return h.config.Acct }

// SetScript changes the behaviour from the next batch of requests on.
func (h *Home) SetScript(s Script) { h.script.Store(&s) }

// Script is the behaviour now.
func (h *Home) Script() Script { return *h.script.Load() }

// Snapshot gives all counts up to now.
func (h *Home) Snapshot() HomeCounts {
	var sum HomeCounts
	for _, s := range h.shards {
		s.mu.Lock()
		c := s.counts.clone()
		s.mu.Unlock()
		sum.add(&c)
	}
	return sum
}

// Close stops the loops, waits for them and closes the sockets: from then on
// the kernel refuses what is sent here. Snapshot works on. A Home of Homes is
// closed with all the others only.
func (h *Home) Close() error {
	if h.closed.Swap(true) {
		return nil
	}
	err := h.door.close()
	for _, l := range h.loops {
		err = errors.Join(err, l.close())
	}
	return err
}

// A door is one of a shard's sockets.
const (
	doorAuth uint8 = iota
	doorAcct
	doorOther // a port nobody asked, for BadOtherPort
	doors
)

// homeShard is a Home's part in one event loop.
type homeShard struct {
	home   *Home
	conns  [doors]*udp.Conn
	queues [doors]*udp.Queue
	poller *udp.Poller // of the loop
	ready  []uint32    // doors that have something
	batch  *udp.Batch
	hold   *hold
	tag    uint32 // names this home in a State

	// Scratch of the batch at hand: of a socket, or of a connection.
	link       *link
	packets    [][]byte
	secret     *radius.Secret
	requests   [batchSize]request
	proofs     *radius.Proofs
	signatures *radius.Signatures
	answers    []answer
	buf        [batchSize * radius.MaxLen]byte // answers one behind the other
	used       int

	// Scratch of the request at hand.
	request *radius.Packet
	writer  radius.Writer
	crypt   *radius.Crypt
	plain   [256]byte
	script  *Script
	random  random
	now     int64
	recent  map[source]*[256]remembered
	outcome *uint64 // the count of the Access-Request at hand

	mu     sync.Mutex // guards counts; held by the loop while it works a batch
	counts HomeCounts
}

// source is where a client sends from and to: the space of its identifiers.
type source struct {
	from udp.Addr
	door uint8
}

// remembered is the last request of a source with an identifier.
type remembered struct {
	auth     [16]byte
	code     radius.Code
	answered bool
}

const maxSources = 1 << 16

// newHomeShard gives the home one more shard, whose sockets the poller tags
// from base on.
func newHomeShard(h *Home, poller *udp.Poller, base uint32) (*homeShard, error) {
	i := uint64(len(h.shards))
	s := &homeShard{
		home:   h,
		poller: poller,
		ready:  make([]uint32, 0, doors),
		batch:  udp.NewBatch(batchSize, radius.MaxLen+1),
		hold:   newHold(clock()),
		tag:    uint32(hash([]byte(h.config.Name))),
		crypt:  radius.NewCrypt(),
		random: random(h.config.Seed + i<<32 + 1),
		recent: map[source]*[256]remembered{},

		proofs:     radius.NewProofs(batchSize),
		signatures: radius.NewSignatures(batchSize),
		secret:     h.secret,
		answers:    make([]answer, 0, batchSize),
	}
	if h.config.Track {
		s.counts.NAI, s.counts.Events = map[string]uint64{}, map[string]uint64{}
	}
	other := netip.AddrPortFrom(h.config.Acct.Addr(), 0)
	if h.config.Auth.Addr().IsValid() {
		other = netip.AddrPortFrom(h.config.Auth.Addr(), 0)
	}
	for door, at := range [doors]netip.AddrPort{h.config.Auth, h.config.Acct, other} {
		if !at.Addr().IsValid() || h.config.Stream != nil {
			continue
		}
		if err := s.open(uint8(door), base, at, i == 0); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	h.shards = append(h.shards, s)
	if h.config.Stream == nil {
		// The next shards join the ports the first one got.
		h.config.Auth, h.config.Acct = s.address(doorAuth), s.address(doorAcct)
	}
	return s, nil
}

func (s *homeShard) open(door uint8, base uint32, at netip.AddrPort, first bool) error {
	shared := door != doorOther && s.home.config.Shards > 1
	conn, err := udp.Listen(at, udp.Options{Share: shared && first, ReusePort: shared && !first, RecvBuffer: socketBuffer, SendBuffer: socketBuffer, Segment: true})
	if err != nil {
		return fmt.Errorf("listening on %s: %w", at, err)
	}
	s.conns[door] = conn
	s.queues[door] = udp.NewQueue(conn, batchSize)
	return s.poller.Add(conn, base+uint32(door))
}

const socketBuffer = 4 << 20

func (s *homeShard) close() error {
	var err error
	for _, c := range s.conns {
		if c != nil {
			s.poller.Remove(c)
			err = errors.Join(err, c.Close())
		}
	}
	return err
}

func (s *homeShard) address(door uint8) netip.AddrPort {
	if s.conns[door] == nil {
		return netip.AddrPort{}
	}
	return s.conns[door].LocalAddr()
}

// turn works one batch of every socket that has one.
func (s *homeShard) turn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = clock()
	for _, door := range s.ready {
		n, err := s.conns[door].Recv(s.batch)
		if err != nil {
			continue
		}
		s.script = s.home.script.Load() // behind Recv: what comes after a change is under it
		s.receive(uint8(door), n)
	}
	s.hold.release(s.now, s.sendHeld)
	for _, q := range s.queues {
		if q != nil {
			q.Flush()
		}
	}
}

func (s *homeShard) sendHeld(e *held) {
	if e.link != nil {
		e.link.send(e.b)
		e.link.flush()
		return
	}
	s.queues[e.door].Send(e.b, e.to, e.local)
}
