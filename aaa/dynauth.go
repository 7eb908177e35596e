package aaa

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/client"
	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/aaa/rewrite"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
)

const (
	// dynAuthSockets is the number of source ports of each family toward
	// clients: so many times 256 requests may be on their way to one.
	dynAuthSockets = 4
	dynAuthBatch   = 32
	dynAuthRounds  = 4
	targetTag      = uint32(1000) // poller tags from here on are sockets toward clients
)

// dynAuth is the loop that carries CoA and Disconnect back: one goroutine with
// its own sockets beside the shards. What is on its way in there is no load.
type dynAuth struct {
	hub     *Hub
	book    *dynauth.Book
	machine *dynauth.Machine
	snap    *Snapshot
	hosts   map[string]*host

	poller  *udp.Poller
	batch   *udp.Batch
	fronts  []*listen.Front
	sockets []*target
	ways    map[way]*udpWay
	inners  map[*inner]struct{} // of clients
	insides insides

	draft    rewrite.Draft
	counters *dynAuthStats
	stats    *stat.Shard
	clock    dynauth.Clock
}

// target is one source port toward clients.
type target struct {
	conn  *udp.Conn
	queue *udp.Queue
	v4    bool
}

// way is a socket and the address of a client.
type way struct {
	socket int
	to     udp.Addr
}

// udpWay is a dynauth.Connection over UDP.
type udpWay struct {
	queue  *udp.Queue
	to     udp.Addr
	client string
	peer   string
}

// Send queues a packet.
func (w *udpWay) Send(b []byte) bool {
	w.queue.Send(b, w.to, udp.LocalInfo{})
	return true
}

// Secret is the client's.
func (w *udpWay) Secret() *radius.Secret { return nil }

// Reliable is false: datagrams are lost.
func (w *udpWay) Reliable() bool { return false }

// Peer is where it leads: another way to the same address is as silent.
func (w *udpWay) Peer() string { return w.peer }

// newDynAuth makes the parts that a configuration is compiled with; nil where
// the hub listens to no CoA.
func (h *Hub) newDynAuth() *dynAuth {
	if len(h.conf.doors(true)) == 0 && !h.conf.ReverseCoA {
		return nil
	}
	return &dynAuth{hub: h, book: dynauth.NewBook(h.conf.DynAuthMem), ways: make(map[way]*udpWay), inners: make(map[*inner]struct{})}
}

// compileReverse adds to a Snapshot what the way back is found by, and the
// marks of clients whose NAS is hidden.
func (h *Hub) compileReverse(s *Snapshot) {
	for i := range s.Set.Clients {
		if c := &s.Set.Clients[i]; c.HideNAS {
			s.visitors[i].mark = h.sealer.Mark(c.Name)
		}
	}
	if h.dynauth != nil {
		s.reverse = dynauth.NewTable(s.Set, h.dynauth.book, h.sealer)
	}
}

// open binds the front doors, and the sockets toward clients.
func (d *dynAuth) open() (err error) {
	h := d.hub
	if d.poller, err = udp.NewPoller(); err != nil {
		return fmt.Errorf("opening a poller: %w", err)
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	rows, err := listen.UDP(h.conf.doors(true), 1, h.conf.RecvBuffer)
	if err != nil {
		return err
	}
	d.fronts = rows[0]
	for i, f := range d.fronts {
		if err := d.poller.Add(f.Conn, uint32(i)); err != nil {
			return fmt.Errorf("polling %s: %w", f.Addr, err)
		}
	}
	for i := range 2 * dynAuthSockets {
		if err := d.openTarget(i%2 == 0); err != nil {
			return err
		}
	}
	d.batch = udp.NewBatch(dynAuthBatch, udp.Wide)
	d.stats = h.stats.Shard()
	d.counters = newDynAuthStats(h.stats)
	d.snap = h.Snapshot()
	d.machine = dynauth.NewMachine(dynauth.Config{
		Book: d.book, Identity: h.identity, Answer: d.answer, Note: d.note, Filter: d.filter,
	}, d.snap.reverse)
	d.adopted()
	return nil
}

// openTarget opens a source port toward clients. A host without one family has
// no client there.
func (d *dynAuth) openTarget(v4 bool) error {
	c, err := udp.Listen(d.hub.source(v4), udp.Options{RecvBuffer: d.hub.conf.RecvBuffer})
	if err != nil && !v4 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening a socket toward clients: %w", err)
	}
	if err := d.poller.Add(c, targetTag+uint32(len(d.sockets))); err != nil {
		_ = c.Close()
		return fmt.Errorf("polling a socket toward clients: %w", err)
	}
	d.sockets = append(d.sockets, &target{conn: c, queue: udp.NewQueue(c, dynAuthBatch), v4: v4})
	return nil
}

func (d *dynAuth) close() {
	for _, f := range d.fronts {
		_ = f.Conn.Close()
	}
	for _, t := range d.sockets {
		_ = t.conn.Close()
	}
	d.poller.Close()
}

// run is the loop. Requests on their way when it ends are the homes' to repeat.
func (d *dynAuth) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, d.poller.Wake)()
	wait := idleWait
	for ctx.Err() == nil {
		tags, _, err := d.poller.Wait(wait)
		if err != nil {
			return fmt.Errorf("polling the sockets of dynamic authorisation: %w", err)
		}
		d.clock = dynauth.Clock{Now: d.hub.monotonic(), Wall: time.Now().Unix()}
		wait = d.guarded(tags)
	}
	return nil
}

// guarded is step with a net under it, as a shard has.
func (d *dynAuth) guarded(tags []uint32) (wait time.Duration) {
	defer func() {
		if r := recover(); r != nil {
			d.stats.Add(d.hub.ctr.panics, 1)
			d.stats.Publish()
			d.hub.log.Error("recovered from a panic", zap.Any("panic", r), zap.Stack("stack"))
			wait = idleWait
		}
	}()
	return d.step(tags)
}

// step does one round: answers of clients first, since each frees memory.
func (d *dynAuth) step(tags []uint32) (wait time.Duration) {
	if next := d.hub.Snapshot(); next != d.snap {
		d.snap = next
		d.machine.Adopt(next.reverse)
		d.adopted()
	}
	d.readInsides()
	for _, t := range tags {
		if t >= targetTag {
			d.readTarget(int(t - targetTag))
		}
	}
	for _, t := range tags {
		if t < targetTag {
			d.readFront(int(t))
		}
	}
	next := d.machine.Tick(d.clock)
	for _, f := range d.fronts {
		f.Queue.Flush()
	}
	for _, t := range d.sockets {
		t.queue.Flush()
	}
	d.counters.pending.Store(int64(d.machine.Pending()))
	d.stats.Publish()
	if next == 0 {
		return idleWait
	}
	return min(max(time.Duration(next-d.clock.Now), 0), idleWait)
}

func (d *dynAuth) readFront(i int) {
	for range dynAuthRounds {
		n, err := d.fronts[i].Conn.Recv(d.batch)
		if err != nil {
			d.stats.Add(d.hub.ctr.socketErrors, 1)
		}
		for j := range n {
			d.machine.Request(dynauth.Source{From: d.batch.Addr(j).AddrPort(), Local: d.batch.Local(j), Front: i}, d.batch.Data(j), d.clock)
		}
		if !d.batch.Pending() && !d.batch.Full() {
			return
		}
	}
}

func (d *dynAuth) readTarget(i int) {
	for range dynAuthRounds {
		n, err := d.sockets[i].conn.Recv(d.batch)
		if err != nil {
			d.stats.Add(d.hub.ctr.socketErrors, 1)
		}
		for j := range n {
			if w := d.ways[way{i, d.batch.Addr(j)}]; w != nil {
				d.machine.Reply(w.client, w, d.batch.Data(j), d.clock)
			} else {
				d.note(dynauth.Event{Kind: dynauth.Dropped, Why: dynauth.LateReply, From: d.batch.Addr(j).AddrPort()})
			}
		}
		if !d.batch.Pending() && !d.batch.Full() {
			return
		}
	}
}

// answer sends a packet back to a home.
func (d *dynAuth) answer(to dynauth.Source, b []byte) {
	d.fronts[to.Front].Queue.Send(b, udp.AddrFrom(to.From), to.Local)
}

// adopted brings the ways to clients in line with the configuration: what
// stays keeps what is on its way.
func (d *dynAuth) adopted() {
	d.hosts = make(map[string]*host)
	for _, hm := range d.snap.hosts {
		if hm != nil {
			d.hosts[string(hm.name)] = hm
		}
	}
	wanted := make(map[way]string)
	sharing := make(map[netip.AddrPort][]*dynauth.Client)
	clients := d.snap.reverse.Clients()
	for _, c := range clients {
		if !c.Spec.DynAuth.IsValid() {
			continue
		}
		sharing[c.Spec.DynAuth] = append(sharing[c.Spec.DynAuth], c)
	}
	for a, cs := range sharing {
		to := udp.AddrFrom(a)
		n := 0
		for i, t := range d.sockets {
			if t.v4 != to.V4 {
				continue
			}
			// Clients at one address have source ports of their own, as the
			// identifiers of one port are one row.
			wanted[way{i, to}] = cs[n%len(cs)].Spec.Name
			n++
		}
	}
	for k, w := range d.ways {
		if wanted[k] != w.client {
			d.machine.Detach(w.client, w, d.clock)
			delete(d.ways, k)
		}
	}
	for i := range d.sockets { // in order, so that the first ports are used first
		for k, client := range wanted {
			if k.socket != i || d.ways[k] != nil {
				continue
			}
			w := &udpWay{queue: d.sockets[i].queue, to: k.to, client: client, peer: k.to.AddrPort().String()}
			if d.machine.Attach(client, w) {
				d.ways[k] = w
			}
		}
	}
	for w := range d.inners {
		d.right(w)
	}
	d.counters.adopt(d.hub.stats, d.snap)
}

// filter applies the filters of home and client, those that their requests and
// answers pass too: the home's In to what comes from it, the client's Out to
// what it gets, and on the way back the other two.
func (d *dynAuth) filter(step dynauth.Step, buf []byte, p *radius.Packet, homeSpec *realm.Home, client *realm.Client) ([]byte, bool) {
	v, hm := d.snap.byName[client.Name], d.hosts[homeSpec.Name]
	var program *rewrite.Program
	var changed stat.ID
	switch {
	case step == dynauth.FromHome && hm != nil:
		program, changed = hm.in, hm.changed[dirIn]
	case step == dynauth.ToHome && hm != nil:
		program, changed = hm.out, hm.changed[dirOut]
	case step == dynauth.FromClient && v != nil:
		program, changed = v.in, v.changed[dirIn]
	case step == dynauth.ToClient && v != nil:
		program, changed = v.out, v.changed[dirOut]
	}
	if program == nil {
		return nil, true
	}
	var vars rewrite.Vars
	if v != nil {
		vars = v.vars
	}
	if hm != nil {
		vars[realm.VarHome] = hm.name
	}
	d.draft.Start(buf, p)
	n, ok := program.Apply(&d.draft, &vars)
	d.stats.Add(changed, uint64(n))
	return d.draft.End(), ok
}

// learnAccept remembers where a session is that a home has just accepted.
// request is what the client sent.
//
// hot: 0 allocs
func (s *Shard) learnAccept(ex *Exchange, request, accept *radius.Packet) {
	if !ex.snap.reverse.Takes(ex.client.Index) {
		return
	}
	se := &s.session
	se.Read(request)
	if v, ok := accept.First(radius.ChargeableUserID); ok && len(v) > 1 {
		se.CUI = v
	}
	se.Accepted, se.Began = true, true
	s.locate(ex)
	s.hub.dynauth.book.Learn(se, uint32(s.now/1e9))
}

// learnAccounting does it for what a NAS reports, and remembers that a session
// is over.
//
// hot: 0 allocs
func (s *Shard) learnAccounting(ex *Exchange, request *radius.Packet, e *accounting.Event) {
	if !ex.snap.reverse.Takes(ex.client.Index) {
		return
	}
	se, book, second := &s.session, s.hub.dynauth.book, uint32(s.now/1e9)
	se.Read(request)
	se.Accepted, se.Began = false, e.Kind == accounting.Start
	se.Client = ex.snap.reverse.ClientName(ex.client.Index)
	switch e.Kind {
	case accounting.On, accounting.Off:
		// One that is repeated ends no session that began since.
		book.Restart(se, second-min(e.DelayTime, second))
		return
	case accounting.Start, accounting.Interim, accounting.Stop:
	default:
		return
	}
	if ex.route == nil {
		return
	}
	s.locate(ex)
	if e.Kind == accounting.Stop {
		book.End(se, second)
		return
	}
	book.Learn(se, second)
}

// locate says where the session of an Exchange is and whose it is.
func (s *Shard) locate(ex *Exchange) {
	t, se := ex.snap.reverse, &s.session
	se.Client = t.ClientName(ex.client.Index)
	se.Auth, se.Acct = t.PoolName(ex.route.Auth), t.PoolName(ex.route.Acct)
}

// WayBack is what an Explanation says of CoA and Disconnect.
type WayBack struct {
	Homes     []dynauth.Way `json:"homes"`               // that the user's requests go to
	Address   string        `json:"address,omitempty"`   // of the client, "": it takes none
	Operators []string      `json:"operators,omitempty"` // it is reached by
}

// To says for people where requests go.
func (b *WayBack) To() string {
	if b.Address == "" {
		return ""
	}
	by := "live sessions only"
	if len(b.Operators) > 0 {
		by = "Operator-Name " + strings.Join(b.Operators, ", ") + " and live sessions"
	}
	return b.Address + ", by " + by
}

// wayBack says who may send CoA about a user and where to.
func (e *Explainer) wayBack(q *Question, c *client.Client) *WayBack {
	if !slices.ContainsFunc(e.Set.Homes, func(h realm.Home) bool { return len(h.DynAuth) > 0 }) {
		return nil
	}
	b := new(WayBack)
	var from *realm.Client
	if c != nil {
		if from = c.Spec; from.DynAuth.IsValid() {
			b.Address = from.DynAuth.String()
			for _, o := range append([]string{from.Operator}, from.Operators...) {
				if o != "" {
					b.Operators = append(b.Operators, o)
				}
			}
		}
	}
	t := dynauth.NewTable(e.Set, dynauth.NewBook(0), dynauth.NewSealer(nil))
	b.Homes = t.Explain(q.NAI, from, dynauth.Clock{Wall: e.Wall})
	return b
}

// hideNAS replaces what names the NAS of a client at the edge by what only this
// network can read (RFC 8559 section 3.4). The draft is that of a request
// toward a home. Without an Operator-Name the home could not bring the token
// back, so one is added where there is none.
//
// hot: 0 allocs
func (s *Shard) hideNAS(v *visitor) bool {
	operator, ok := s.draft.First(radius.OperatorName)
	if !ok {
		if v.spec.Operator == "" {
			return true
		}
		operator = v.vars[realm.VarOperatorID]
		if !s.draft.Add(radius.OperatorName, operator) {
			return false
		}
	}
	hidden := s.sealer.Append(s.nasBuf[:0], &s.draft, operator, v.mark)
	if len(hidden) == 0 {
		return true
	}
	if _, ok := nasNames.Apply(&s.draft, new(rewrite.Vars)); !ok {
		return false
	}
	return s.draft.Raw(hidden)
}

// nasNames takes out what names a NAS, and what only the hub may write.
var nasNames = func() *rewrite.Program {
	p, err := rewrite.Compile(&realm.Filter{Name: "hide_nas", Rules: []realm.Rule{{Action: realm.FilterRemove, Attributes: []realm.Attribute{
		{Name: "NAS-IP-Address", Type: radius.NASIPAddress},
		{Name: "NAS-IPv6-Address", Type: radius.NASIPv6Address},
		{Name: "NAS-Identifier", Type: radius.NASIdentifier},
		{Name: "Operator-NAS-Identifier", Place: realm.PlaceExtended, Type: radius.ExtendedAttribute1, Sub: dynauth.OperatorNASIdentifier},
	}}}})
	if err != nil {
		panic("aaa: " + err.Error())
	}
	return p
}()
