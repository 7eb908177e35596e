package agent

import (
	"net/netip"
	"time"

	"github.com/roamgate/roamgate/aaa/peer"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/pki"
	"github.com/roamgate/roamgate/realm"
)

// link is a connection. It belongs to the loop from enter until it is closed; what is
// said of how it came to be is written before.
type link struct {
	conn
	loop      *loop
	slot      uint32 // its tag
	serial    uint32 // never used twice
	transport realm.Transport
	vouched   []vouched     // what the peer's certificate is taken for
	identity  *pki.Identity // the one that made it a node, nil: none did
	ours      bool          // we have connected
	from      netip.Prefix  // where a stranger is from
	stranger  bool          // it came, and nobody has introduced himself by it yet
	dialed    uint32        // by which attempt

	node *node // nil: nobody has introduced himself by it yet
	lane *lane // nil: likewise, or the connection is not (or no more) that of one
	// inside is the gateway to RADIUS: ours, without capabilities and watchdog.
	inside bool

	// awaited and owed are requests that were sent by it, and that came by it, and have
	// no answer yet. The walk keeps them; whoever takes leave waits for them.
	awaited, owed int

	entered int64 // monotonic ns
	moved   int64 // when the peer last took something, or had nothing to take
	sent    uint64
	asked   ids        // our CER or DPR that is not answered
	dwr     ids        // our DWR that is not answered
	dpr     ids        // the peer's DPR while it is not answered
	cause   peer.Cause // of that
	parting int64      // when a leave goes on at the latest, 0: nobody takes leave
	ending  closing    // closed once it is flushed
	leaves  bool       // the peer has sent a DPR
	dirty   bool
	unread  bool
	closed  bool

	linkWalk
}

// ids are the identifiers of a request of the peer machine.
type ids struct{ hop, end uint32 }

// answered reports whether a message answers the request: one that was sent.
func (i ids) answered(m *diameter.Message) bool {
	return i != ids{} && i.hop == m.HopByHop && i.end == m.EndToEnd
}

// belongs makes a link one of a node.
func (l *link) belongs(n *node) {
	l.node = n
	if c, ok := l.conn.(interface{ Keep(most int) }); ok && n.peer.Queue > 0 {
		c.Keep(n.peer.Queue)
	}
}

// able reports whether requests may be sent by it.
//
// hot: 0 allocs
func (l *link) able() bool {
	return !l.closed && l.parting == 0 && (l.inside || l.lane != nil && l.lane.machine.Able() && l.lane.link == l)
}

// room lends n octets to build a message in, nil: the peer takes too little of what is
// sent to it, or the link is gone.
//
// hot: 0 allocs
func (l *link) room(n int) []byte {
	if l.veiled() {
		return l.veiledRoom(n)
	}
	return l.lend(n)
}

// lend is room in the queue itself.
func (l *link) lend(n int) []byte {
	if l.closed {
		return nil
	}
	if b := l.RoomFor(n); b != nil || !l.dirty {
		return b
	}
	l.loop.flushLink(l) // perhaps it is only what this round has written
	if l.closed {
		return nil
	}
	return l.RoomFor(n)
}

// commit sends the first n octets of what room lent at the end of the round.
//
// hot: 0 allocs
func (l *link) commit(n int) {
	if l.veiled() {
		if n = l.hidden(n); n == 0 {
			return
		}
	}
	l.Commit(n)
	if !l.dirty {
		l.dirty = true
		l.loop.conns.dirty = append(l.loop.conns.dirty, l)
	}
}

// node is a peer of the configuration at run time. It belongs to the loop, and outlives
// a reload in which the peer stays what it was.
type node struct {
	peer  *realm.Peer // of the present configuration
	index int32       // into Set.Peers; -1: it is not in the files any more
	lanes []*lane     // what is kept with it
	spare []*lane     // that take leave
	leave peer.Cause  // what it is told with that
	links []*link     // those that requests may be sent by
	next  int         // whose turn it is

	stateID uint32 // Origin-State-Id, 0: it has said none
	apps    []uint32
	relay   bool // it has said that it relays anything
	product string
	lastErr string
	lines   lines
	ctr     *nodeStats

	nodeWalk
}

// lane is one connection that is kept, or will be, with a node.
type lane struct {
	node    *node
	slot    uint32 // of its timer
	machine peer.Machine
	link    *link // the open one, or the last
	i, r    *link // of RFC 6733 section 5.6: the one we have opened, the peer's
	dialed  uint32
	cer     ids // of the CER by r, until it is answered
}

// able reports whether requests may be sent to it.
//
// hot: 0 allocs
func (n *node) able() bool { return len(n.links) > 0 && n.index >= 0 && !n.peer.Drain }

// link gives the connection for the next request: those that are able in turn, one
// that takes too little passed over. nil: there is none.
//
// hot: 0 allocs
func (n *node) link() *link {
	for range n.links {
		if n.next++; n.next >= len(n.links) {
			n.next = 0
		}
		if l := n.links[n.next]; l.able() {
			return l
		}
	}
	return nil
}

// serves reports whether an application is spoken with the node: the files name it or
// nothing, and the peer has said so, or that it relays.
//
// hot: 0 allocs
func (n *node) serves(app uint32) bool {
	if !n.relay && !contains(n.apps, app) {
		return false
	}
	return n.peer.Applications == nil || contains(n.peer.Applications, app)
}

func contains(list []uint32, v uint32) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

const (
	// shortFarewell is how long requests that are under way may keep a DPA back.
	shortFarewell = int64(500 * time.Millisecond)
)
