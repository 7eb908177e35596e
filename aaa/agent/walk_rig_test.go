package agent

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/udp"
	"github.com/roamgate/roamgate/realm"
	"github.com/roamgate/roamgate/test/judge"
)

// walkRig is the walk alone: peers that are open, connections that keep what is sent to
// them, and a clock that is set. The peer machine and the network are not in it.
type walkRig struct {
	t     testing.TB
	lp    *loop
	set   *realm.Set
	reg   *stat.Registry
	links map[string]*link
}

// wire keeps what is sent to a peer.
type wire struct {
	out  [][]byte
	buf  []byte
	full bool // the peer takes nothing
}

func (w *wire) RoomFor(n int) []byte {
	if w.full {
		return nil
	}
	if cap(w.buf) < n {
		w.buf = make([]byte, n, 2*n)
	}
	return w.buf[:n]
}

func (w *wire) Commit(n int) {
	judge.Collect(w.buf[:n])
	w.out = append(w.out, bytes.Clone(w.buf[:n]))
}

func (w *wire) Recv() (bool, error)    { return false, nil }
func (w *wire) Next() ([]byte, error)  { return nil, nil }
func (w *wire) Done()                  {}
func (w *wire) Flush() error           { return nil }
func (w *wire) Queued() int            { return 0 }
func (w *wire) Sent() uint64           { return 0 }
func (w *wire) Remote() netip.AddrPort { return netip.AddrPort{} }
func (w *wire) Close()                 {}
func (w *wire) Local() netip.AddrPort  { return netip.AddrPort{} }

func (w *wire) Attach(*udp.Poller, uint32) error { return nil }

const (
	agentIdentity = "dra.hub.example"
	agentRealm    = "hub.example"
)

// newWalkRig has an MME of a visited network, two HSSes and an agent of a home, and
// routes: home.example to the HSSes first and the agent behind them.
func newWalkRig(t testing.TB, edit func(*realm.Set)) *walkRig {
	r := &walkRig{t: t, reg: stat.NewRegistry(), links: map[string]*link{}}
	a, err := newAgent(Config{Identity: agentIdentity, Realm: agentRealm, InFlight: 600}, &realm.Set{}, Rooms{Stats: r.reg, Identity: []byte("key")})
	require.NoError(t, err)
	t.Cleanup(func() { a.loop.poller.Close() })
	r.lp = a.loop
	r.lp.clock(int64(time.Hour), time.Now().UnixNano())
	set := &realm.Set{}
	for i, p := range []struct{ name, realm string }{
		{"mme", "visited.example"}, {"hss1", "home.example"}, {"hss2", "home.example"}, {"dra", "transit.example"}, {"mme2", "visited.example"},
	} {
		set.Clients = append(set.Clients, realm.Client{Name: p.name, Transport: realm.Diameter})
		peer := realm.Peer{Name: p.name, Identity: p.name + "." + p.realm, Realm: p.realm, Client: int32(i)}
		if p.name != "dra" {
			peer.Applications = []uint32{diameter.AppS6a, diameter.AppAccounting, diameter.AppEAP}
		}
		set.Peers = append(set.Peers, peer)
	}
	set.Pools = []realm.Pool{
		{Name: "home", Diameter: true, Balance: realm.BalanceFirst, Members: []realm.Member{{Home: 1, Priority: 1, Weight: 1}, {Home: 2, Priority: 2, Weight: 1}, {Home: 3, Priority: 3, Weight: 1}}},
		{Name: "visited", Diameter: true, Balance: realm.BalanceFirst, Members: []realm.Member{{Home: 0, Weight: 1}}},
	}
	set.Routes = []realm.Route{
		{Realm: "home.example", Auth: -1, Acct: -1, Diameter: &realm.DiameterRoute{Action: realm.DiameterProxy, Pool: 0}},
		{Realm: "visited.example", Auth: -1, Acct: -1, Diameter: &realm.DiameterRoute{Action: realm.DiameterProxy, Pool: 1}},
	}
	if edit != nil {
		edit(set)
	}
	r.apply(set)
	for i := range set.Peers {
		r.open(set.Peers[i].Name)
	}
	return r
}

func (r *walkRig) apply(set *realm.Set) {
	for i := range set.Routes {
		set.Routes[i].Index = int32(i)
	}
	set.Table = realm.NewTable(set.Routes)
	before := r.lp.nodes
	r.set = set
	r.lp.snap = newSnapshot(set, r.reg)
	r.lp.nodes = make([]*node, len(set.Peers))
	for i := range set.Peers {
		var n *node
		if i < len(before) {
			n = before[i]
		}
		if n == nil {
			n = &node{relay: true, ctr: r.lp.agent.nodeSeries(set.Peers[i].Name)}
		}
		n.peer, n.index = &set.Peers[i], int32(i)
		r.lp.nodes[i] = n
	}
	r.lp.adopted()
}

func (r *walkRig) node(name string) *node {
	for _, n := range r.lp.nodes {
		if n.peer.Name == name {
			return n
		}
	}
	r.t.Fatalf("no peer %s", name)
	return nil
}

// open gives a peer one more connection. The link is marked as one that needs no peer
// machine.
func (r *walkRig) open(name string) *link {
	n := r.node(name)
	l := &link{conn: &wire{}, loop: r.lp, node: n, inside: true}
	n.links = append(n.links, l)
	r.links[name] = l
	return l
}

// suspect takes a connection out of use, close ends it.
func (r *walkRig) suspect(l *link) {
	l.inside = false
	l.node.links = slices.DeleteFunc(l.node.links, func(x *link) bool { return x == l })
	r.lp.lost(l)
}

func (r *walkRig) close(l *link) {
	l.closed = true
	r.suspect(l)
}

// sent takes what was sent to a peer.
func (r *walkRig) sent(name string) []*diameter.Message { return r.sentBy(r.links[name]) }

func (r *walkRig) sentBy(l *link) (list []*diameter.Message) {
	w := l.conn.(*wire)
	for _, b := range w.out {
		m := new(diameter.Message)
		require.Equal(r.t, diameter.NoFault, m.Parse(b), "sent to %s: %x", l.node.peer.Name, b)
		list = append(list, m)
	}
	w.out = nil
	return list
}

// one takes the only message that was sent to a peer, and sees that nobody else has got
// one.
func (r *walkRig) one(name string) *diameter.Message {
	r.t.Helper()
	list := r.sent(name)
	require.Len(r.t, list, 1, "sent to %s", name)
	r.nothing()
	return list[0]
}

func (r *walkRig) nothing() {
	r.t.Helper()
	for name, l := range r.links {
		require.Empty(r.t, l.conn.(*wire).out, "sent to %s", name)
	}
}

func (r *walkRig) heard(name string, m *message) { r.lp.heard(r.links[name], m.octets()) }

// pass lets time go by.
func (r *walkRig) pass(d time.Duration) {
	for end := r.lp.now + int64(d); r.lp.now < end; {
		r.lp.clock(min(r.lp.now+int64(100*time.Millisecond), end), r.lp.wall+int64(100*time.Millisecond))
		r.lp.wheel.Advance(r.lp.now, r.lp.expired)
	}
}

// rest sees that nothing is left of anything.
func (r *walkRig) rest() {
	r.t.Helper()
	assert.Zero(r.t, r.lp.table.used, "transactions")
	assert.Zero(r.t, r.lp.table.store.lent, "octets lent")
	assert.Zero(r.t, r.lp.wheel.Len(), "timers")
	for _, n := range r.lp.nodes {
		assert.Equal(r.t, [3]int{}, [3]int{n.flight, n.held, n.heldOctets}, n.peer.Name)
		for _, l := range n.links {
			assert.Equal(r.t, [4]int{0, 0, 0, 0}, [4]int{l.awaited, l.owed, int(l.pending.first), int(l.promised.first)}, n.peer.Name)
		}
	}
}

// counted reads a counter.
func (r *walkRig) counted(name string, labels ...string) int {
	r.lp.stats.Publish()
	return int(r.reg.Value(name, labels...))
}

// message is one to be made.
type message struct {
	diameter.Header
	avps []avp
}

type avp struct {
	code, vendor uint32
	value        any // string, uint32, []byte, []avp
}

func (m *message) octets() []byte {
	var w diameter.Writer
	w.Begin(make([]byte, 4096+64*len(m.avps)), &m.Header)
	put(&w, m.avps)
	b := w.Finish()
	if b == nil {
		panic("too long")
	}
	return b
}

func put(w *diameter.Writer, list []avp) {
	for _, a := range list {
		switch v := a.value.(type) {
		case string:
			w.String(a.code, a.vendor, diameter.AVPMandatory, v)
		case []byte:
			w.Bytes(a.code, a.vendor, diameter.AVPMandatory, v)
		case uint32:
			w.Uint32(a.code, a.vendor, diameter.AVPMandatory, v)
		case []avp:
			g := w.Group(a.code, a.vendor, diameter.AVPMandatory)
			put(w, v)
			w.End(g)
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
}

// with gives another with more AVPs, without one without an AVP.
func (m *message) with(more ...avp) *message {
	n := *m
	n.avps = append(slices.Clone(m.avps), more...)
	return &n
}

func (m *message) without(code uint32) *message {
	n := *m
	n.avps = slices.DeleteFunc(slices.Clone(m.avps), func(a avp) bool { return a.code == code && a.vendor == 0 })
	return &n
}

func (m *message) set(code uint32, v any) *message { return m.without(code).with(avp{code, 0, v}) }

var imsi = "262011234567890"

// request is a ULR of the MME for a subscriber of home.example.
func request() *message {
	return &message{
		diameter.Header{Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: diameter.UpdateLocation, Application: diameter.AppS6a, HopByHop: 0x11, EndToEnd: 0x22},
		[]avp{
			{diameter.SessionID, 0, "mme.visited.example;1;2"},
			{diameter.AuthSessionState, 0, uint32(1)},
			{diameter.OriginHost, 0, "mme.visited.example"},
			{diameter.OriginRealm, 0, "visited.example"},
			{diameter.DestinationRealm, 0, "Home.Example"},
			{diameter.UserName, 0, imsi},
			{diameter.TGPPVisitedPLMNID, diameter.Vendor3GPP, "\x00\xf1\x10"},
			{9999, 4711, []byte{1, 2, 3}},
		},
	}
}

// answerTo answers a request as a peer got it.
func answerTo(m *diameter.Message, host string, result uint32, more ...avp) *message {
	h := m.Header
	h.Flags &= diameter.FlagProxiable
	if result/1000 == 3 {
		h.Flags |= diameter.FlagError
	}
	return (&message{h, []avp{
		{diameter.SessionID, 0, bytes.Clone(m.Value(diameter.KnownSessionID))},
		{diameter.ResultCode, 0, result},
		{diameter.OriginHost, 0, host},
		{diameter.OriginRealm, 0, "home.example"},
	}}).with(more...)
}

// records gives the Route-Records of a message.
func recordsOf(m *diameter.Message) (list []string) {
	var a diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		if a.Is(diameter.RouteRecord, 0) {
			list = append(list, string(a.Data))
		}
	}
	return list
}
