package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/aaa/translate"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// Config is what a Gateway is built with. The zero value of a field means its default.
type Config struct {
	Identity string // our DiameterIdentity
	Realm    string // our realm
	// Boot is the first half of all Session-Ids: no start before had it. Default the
	// Unix time of the start.
	Boot uint32
	// Sessions bounds those that are known, default 131072.
	Sessions int
	// InFlight bounds the requests that wait for an answer, default 65536.
	InFlight int
	// Patience is how long an answer is waited for, default 35 s: both walks give up
	// earlier.
	Patience time.Duration
}

// Hub is the walk of RADIUS.
type Hub interface {
	// Visit takes a connection over that belongs to the client of a name.
	Visit(client string, c net.Conn) error
}

// Rooms are the parts a Gateway works with but does not own.
type Rooms struct {
	Log   *zap.Logger
	Stats *stat.Registry
	// Key makes handles of sessions; it must outlive the process.
	Key []byte
	// Able reports whether the Diameter side has a peer, nil: it always has. It may
	// wait until ctx ends.
	Able func(ctx context.Context) bool
}

// Gateway turns requests of each walk into those of the other.
type Gateway struct {
	conf  Config
	log   *zap.Logger
	start time.Time
	able  func(ctx context.Context) bool
	hub   Hub
	ready atomic.Bool // the Diameter side is able
	bell  chan struct{}
	set   atomic.Pointer[realm.Set]

	wire  *Wire
	inbox []byte

	mu     sync.Mutex // guards dialled and over
	dialed []*line
	over   bool // Run has ended

	// All below belongs to Run.
	lines   map[uint64]*line
	order   []*line
	serial  atomic.Uint64
	visits  map[string]*line // of clients, by their names
	homes   map[string][]*line
	peers   map[string]string // name of the client by folded identity
	present *realm.Set

	tr        *translate.Translator
	sessions  *sessions
	exchanges exchanges
	wheel     *home.Wheel
	now, wall int64
	at        translate.ID // the last session of ours
	end2end   uint32

	m      diameter.Message
	asked  diameter.Message
	packet radius.Packet
	was    radius.Packet
	room   []byte
	small  []byte
	name   []byte
	moved  []byte
	spare  []byte
	w      diameter.Writer

	stats *stat.Shard
	ctr   *counters
	swept int64
	known atomic.Int64
	under atomic.Int64
}

// New makes a Gateway. Nothing is carried before Run.
func New(conf Config, rooms Rooms) (*Gateway, error) {
	if conf.Identity == "" || conf.Realm == "" {
		return nil, errors.New("gateway: an identity and a realm are needed")
	}
	if conf.Sessions == 0 {
		conf.Sessions = 1 << 17
	}
	if conf.InFlight == 0 {
		conf.InFlight = 1 << 16
	}
	conf.InFlight = min(conf.InFlight, mostSlot)
	if conf.Patience == 0 {
		conf.Patience = 35 * time.Second
	}
	g := &Gateway{
		conf: conf, log: rooms.Log, start: time.Now(), able: rooms.Able, bell: make(chan struct{}, 1),
		lines: make(map[uint64]*line), visits: make(map[string]*line), homes: make(map[string][]*line), peers: make(map[string]string),
		tr:       translate.New(translate.NewSessions(conf.Identity, rooms.Key)),
		sessions: newSessions(conf.Sessions), exchanges: exchanges{most: conf.InFlight}, wheel: home.NewWheel(0, 0),
		room: make([]byte, diameter.MaxLen), small: make([]byte, radius.MaxLen), stats: rooms.Stats.Shard(),
	}
	if g.log == nil {
		g.log = zap.NewNop()
	}
	g.wire = &Wire{wake: g.wake}
	g.ctr = newCounters(rooms.Stats, g)
	g.ready.Store(g.able == nil)
	// A Session-Id is never used again (RFC 6733 section 8.8): the number of the start,
	// and a count that begins by chance.
	wall := time.Now()
	if g.conf.Boot == 0 {
		g.conf.Boot = uint32(wall.Unix())
	}
	g.at = translate.ID{High: g.conf.Boot, Low: uint32(wall.Nanosecond())}
	g.end2end = uint32(wall.Unix())<<20 | uint32(wall.Nanosecond())&(1<<20-1)
	return g, nil
}

// Wire is the connection for the agent (agent.Agent.Inside).
func (g *Gateway) Wire() *Wire { return g.wire }

// Apply has the Gateway go on by another configuration.
func (g *Gateway) Apply(set *realm.Set) {
	g.set.Store(set)
	g.wake()
}

// wake has the loop look. It is safe for concurrent use.
func (g *Gateway) wake() {
	select {
	case g.bell <- struct{}{}:
	default:
	}
}

// errOver is a Gateway that has stopped.
var errOver = errors.New("gateway: it has stopped")

// Dial opens a connection to a home of Transport Diameter. It is safe for concurrent
// use.
func (g *Gateway) Dial(h *realm.Home) (net.Conn, error) {
	l := g.newLine()
	l.home, l.application = h.Name, h.Gateway
	if l.application == 0 {
		l.application = diameter.AppNASREQ
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return nil, errOver
	}
	g.dialed = append(g.dialed, l)
	g.wake()
	return l.hub, nil
}

func (g *Gateway) newLine() *line {
	l := &line{gateway: g, number: g.serial.Add(1)}
	l.hub = newPackets(l)
	return l
}

// pause is how often the loop looks at the time.
const pause = 100 * time.Millisecond

// Run carries until ctx ends.
func (g *Gateway) Run(ctx context.Context, hub Hub) error {
	g.hub = hub
	var watching sync.WaitGroup
	if g.able != nil {
		watching.Go(func() { g.watch(ctx) })
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-g.bell:
		case <-tick.C:
		}
		g.guarded(int64(time.Since(g.start)), time.Now().Unix())
	}
	watching.Wait()
	g.close()
	return nil
}

// watch asks whether the Diameter side is able, beside the loop: the answer takes as
// long as the agent's loop.
func (g *Gateway) watch(ctx context.Context) {
	tick := time.NewTicker(5 * pause)
	defer tick.Stop()
	for {
		g.ready.Store(g.able(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// guarded is step with a net under it.
func (g *Gateway) guarded(now, wall int64) {
	defer func() {
		if r := recover(); r != nil {
			g.stats.Add(g.ctr.panics, 1)
			g.stats.Publish()
			g.log.Error("recovered from a panic", zap.Any("panic", r), zap.Stack("stack"))
		}
	}()
	g.step(now, wall)
}

// close ends all connections.
func (g *Gateway) close() {
	g.mu.Lock()
	g.over = true
	dialed := g.dialed
	g.dialed = nil
	g.mu.Unlock()
	for _, l := range dialed {
		_ = l.hub.Close()
	}
	for _, l := range g.lines {
		_ = l.hub.Close()
	}
	g.wire.Close()
	g.stats.Publish()
}

// step does one round.
func (g *Gateway) step(now, wall int64) {
	g.now, g.wall = now, wall
	g.adopt()
	g.enter()
	g.readWire()
	g.readLines()
	g.wheel.Advance(now, g.expired)
	if now-g.swept >= int64(time.Second) {
		g.swept = now
		g.sessions.sweep(now)
	}
	g.known.Store(int64(g.sessions.len()))
	g.under.Store(int64(g.exchanges.used))
	g.stats.Publish()
}

// adopt takes a newer configuration over.
func (g *Gateway) adopt() {
	set := g.set.Load()
	if set == g.present {
		return
	}
	g.present = set
	clear(g.peers)
	for i := range set.Peers {
		p := &set.Peers[i]
		if p.Client >= 0 && int(p.Client) < len(set.Clients) {
			g.peers[p.Identity] = set.Clients[p.Client].Name
		}
	}
}

// enter takes connections over that the hub has opened.
func (g *Gateway) enter() {
	g.mu.Lock()
	dialed := g.dialed
	g.dialed = nil
	g.mu.Unlock()
	for _, l := range dialed {
		g.add(l)
		g.homes[l.home] = append(g.homes[l.home], l)
	}
}

func (g *Gateway) add(l *line) {
	g.lines[l.number] = l
	g.order = append(g.order, l)
}

// leave forgets a connection that has ended. What was under way on it ends by its time.
func (g *Gateway) leave(l *line) {
	delete(g.lines, l.number)
	if l.peer != "" && g.visits[l.peer] == l {
		delete(g.visits, l.peer)
	}
	if l.home != "" {
		left := g.homes[l.home][:0]
		for _, o := range g.homes[l.home] {
			if o != l {
				left = append(left, o)
			}
		}
		g.homes[l.home] = left
	}
	_ = l.hub.Close()
}

// readWire takes the messages of the agent.
func (g *Gateway) readWire() {
	g.inbox = g.wire.take(g.inbox)
	for b := g.inbox; len(b) > 0; {
		n, bad := diameter.Frame(b)
		if bad != diameter.NoFault || n == 0 || n > len(b) {
			g.count(g.ctr.malformed)
			return
		}
		raw := b[:n:n]
		b = b[n:]
		fault := g.m.Parse(raw)
		switch {
		case g.m.Flags&diameter.FlagRequest == 0:
			g.answered(&g.m)
		case fault != diameter.NoFault:
			g.count(g.ctr.malformed)
			g.refuse(&g.m, fault.Result(), g.m.Failed)
		default:
			g.heard(&g.m)
		}
	}
}

// readLines takes the packets of the hub.
func (g *Gateway) readLines() {
	left := g.order[:0]
	for _, l := range g.order {
		full, over := l.hub.take(g.spare)
		for b := full; len(b) >= radius.HeaderLen; {
			n := min(max(int(binary.BigEndian.Uint16(b[2:])), radius.HeaderLen), len(b))
			if g.packet.Parse(b[:n]) == radius.OK {
				g.came(l, &g.packet)
			} else {
				g.count(g.ctr.malformed)
			}
			b = b[n:]
		}
		g.spare = full
		if over {
			g.leave(l)
		} else {
			left = append(left, l)
		}
	}
	g.order = left
}

// came takes a packet of the hub.
func (g *Gateway) came(l *line, p *radius.Packet) {
	switch p.Code() {
	case radius.StatusServer:
		g.status(l, p)
	case radius.AccessRequest:
		g.access(l, p)
	case radius.AccountingRequest:
		g.account(l, p)
	case radius.CoARequest, radius.DisconnectRequest:
		g.dynamic(l, p)
	default:
		g.replied(l, p)
	}
}

// status answers a Status-Server where the other side is able (RFC 5997 section 3). Else
// it says nothing, and the hub goes to another home.
func (g *Gateway) status(l *line, p *radius.Packet) {
	if !g.ready.Load() {
		return
	}
	var r radius.Writer
	r.Start(g.small, radius.AccessAccept, 0, false)
	r.SetAuthenticator(p.Authenticator())
	l.hub.send(r.SignAccounting(nil, radius.Clear))
}

// expired is an exchange that nobody has answered.
func (g *Gateway) expired(slot uint32) {
	x := g.exchanges.slots[slot]
	if x.purpose == idle {
		return
	}
	g.count(g.ctr.unanswered)
	if x.purpose == loses {
		g.lost(x.gen<<slotBits|slot, x, 0)
		return
	}
	g.unanswered(x)
	g.exchanges.end(x.gen<<slotBits | slot)
}

// unanswered tells who has asked. An accounting request without an answer comes again.
func (g *Gateway) unanswered(x *exchange) {
	switch l := g.lines[x.line]; {
	case x.purpose == asksRADIUS:
		g.asked.Parse(x.raw)
		g.refuse(&g.asked, diameter.ResultUnableToDeliver, nil)
	case x.purpose == asksDiameter && l != nil && g.was.Parse(x.raw) == radius.OK && g.was.Code() == radius.AccessRequest:
		g.reject(l, &g.was, diameter.ResultUnableToDeliver)
	}
}

// done ends an exchange.
func (g *Gateway) done(number uint32) {
	g.wheel.Cancel(number & slotMask)
	g.exchanges.end(number)
}

// begin makes an exchange with its deadline, nil: there are too many.
func (g *Gateway) begin(why purpose, raw []byte) (number uint32, x *exchange) {
	number, x = g.exchanges.begin(why, raw)
	if x == nil {
		g.count(g.ctr.full)
		return 0, nil
	}
	g.wheel.Set(number&slotMask, g.now+int64(g.conf.Patience))
	return number, x
}

// terms are those of every message of ours.
func (g *Gateway) terms() translate.Terms {
	g.end2end++
	return translate.Terms{Identity: g.conf.Identity, Realm: g.conf.Realm, EndToEnd: g.end2end, Arrival: g.wall}
}

// refuse answers a request of the agent.
func (g *Gateway) refuse(m *diameter.Message, result uint32, failed []byte) {
	g.w.Answer(g.room, m, &diameter.Answer{Result: result, Host: g.conf.Identity, Realm: g.conf.Realm, Failed: failed})
	if b := g.w.Finish(); b != nil {
		g.wire.send(b)
	}
}

// networkOf is what 3GPP calls the visited network: the name of its operator, else ours.
func (g *Gateway) networkOf(p *radius.Packet) []byte {
	if v, ok := p.First(radius.OperatorName); ok && len(v) > 1 {
		return v[1:]
	}
	return []byte(g.conf.Realm)
}

func folded(b []byte) string { return strings.ToLower(string(b)) }
