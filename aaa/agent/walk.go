package agent

import (
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
)

// walk is what the packet walk keeps in the loop.
type walk struct {
	atlas    *atlas
	table    table
	router   router
	asking   asking
	asked    asked
	guard    *guard
	veil     veil
	ledger   *ledger
	signals  signals
	fold     [nai.MaxLen]byte
	former   *node // stands for senders that are none any more
	repeats  repeats
	overload overload
	in       diameter.Message // as it came
	kept     diameter.Message // of a transaction
	answers  diameter.Answer  // who we are in those of our own
	scratch  []byte
	walking  bool    // something is being done, and links that are lost by it wait
	later    []*link // that do
	walkStats
}

// nodeWalk is what the walk keeps of a node.
type nodeWalk struct {
	gateway          bool   // to RADIUS: what it asks begins here, and the walk of RADIUS has judged it
	flight           int    // requests that it has not answered
	held, heldOctets int    // transactions of its requests, and their octets
	record           []byte // the Route-Record of what comes from it
	identity         []byte
	bucket           bucket
	counts           nodeCounts
}

// linkWalk is what the walk keeps of a link: transactions that wait for an answer of it,
// and those whose answer goes to it.
type linkWalk struct{ pending, promised list }

// begin makes what the walk has for as long as the loop.
func (lp *loop) begin() {
	r := &lp.agent.rooms
	lp.table = newTable(lp.conf.InFlight)
	lp.guard = newGuard(lp.conf, r, lp.snap.set)
	lp.ledger = newLedger(r, lp.stats, lp, lp.agent)
	lp.signals = newSignals(lp.conf.Signalling, lp.now, r.Stats)
	lp.scratch = make([]byte, diameter.MaxLen)
	lp.answers = diameter.Answer{Host: lp.conf.Identity, Realm: lp.conf.Realm}
	lp.overload = newOverload(r.Stats)
	lp.walkStats = newWalkStats(r.Stats)
}

// adopted is that lp.snap is a newer configuration.
func (lp *loop) adopted() {
	if lp.guard == nil {
		lp.begin()
	}
	set := lp.snap.set
	lp.guard.apply(set)
	lp.veil.adopted(lp.agent.rooms.Identity, lp.conf.Identity, set)
	for _, n := range lp.nodes {
		if n != nil {
			lp.know(n)
		}
	}
	lp.atlas = newAtlas(lower(lp.conf.Identity), lower(lp.conf.Realm), lp.snap, lp.nodes)
}

// know prepares a node for the walk.
func (lp *loop) know(n *node) {
	if n.record == nil && !n.gateway {
		n.record = routeRecord(n.peer.Identity)
	}
	n.identity = []byte(n.peer.Identity)
	if n.counts.peer != "" {
		n.counts.register(lp.agent.rooms.Stats, n.peer.Name)
	}
}

// clientOf is what the routes call the network behind a peer.
func (lp *loop) clientOf(n *node) *realm.Client {
	set := lp.atlas.set
	if n.gateway || n.index < 0 || n.peer.Client < 0 || int(n.peer.Client) >= len(set.Clients) {
		return nobody
	}
	return &set.Clients[n.peer.Client]
}

// heard takes a message that is not the peer machine's. raw is lent until it returns.
//
// hot: 0 allocs
func (lp *loop) heard(l *link, raw []byte) {
	if l.veiled() {
		raw = l.unveiled(raw)
	}
	lp.walking = true
	m := &lp.in
	fault := m.Parse(raw)
	if m.Flags&diameter.FlagRequest != 0 {
		lp.request(l, m, fault)
	} else {
		lp.answer(l, m, fault)
	}
	lp.walked()
}

// tick is called once a round, after all that came was taken.
func (lp *loop) tick() {
	lp.walked()
	lp.countOut()
}

// routeRecord is the AVP that says that a request has come from a node.
func routeRecord(identity string) []byte {
	var w diameter.Writer
	room := make([]byte, diameter.HeaderLen+12+len(identity))
	w.Begin(room, &diameter.Header{})
	w.String(diameter.RouteRecord, 0, diameter.AVPMandatory, identity)
	return w.Finish()[diameter.HeaderLen:]
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
