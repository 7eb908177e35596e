package aaa

import (
	"cmp"
	"crypto/tls"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// Closing says why a connection was closed. The set is closed: it is the value
// of the `reason` label of roamgate_connections_closed_total.
type Closing uint8

// Why connections end.
const (
	StaysOpen Closing = iota
	ClosedByPeer
	ClosedBroken  // the network or the peer has cut it, or an alert
	ClosedFraming // a Length that no packet has
	// ClosedMalformed: a packet that cannot be read whole, after which nothing
	// that the peer says can be relied on.
	ClosedMalformed
	ClosedAuthenticator // a packet whose authenticator is wrong
	ClosedIdle
	ClosedStalled // the peer takes nothing of what is sent to it
	ClosedSilent  // the peer does not answer Status-Server
	ClosedExpired // the peer's certificate
	ClosedUntrusted
	ClosedReassigned // the peer would be somebody else by the present files
	ClosedGone       // the peer is not in the files any more
	ClosedSelf       // we have called ourselves
	ClosedVolume     // so much was sent that it needs new keys
	ClosedSpare      // others do
	ClosedMany       // the peer has as many as it may have, or the hub has
	ClosedRenewed    // another one has taken its place: ours has a new certificate
	ClosedStopping
	numClosings
)

var closingNames = [numClosings]string{
	StaysOpen: "open", ClosedByPeer: "peer", ClosedBroken: "broken", ClosedFraming: "framing", ClosedMalformed: "malformed",
	ClosedAuthenticator: "authenticator", ClosedIdle: "idle", ClosedStalled: "stalled", ClosedSilent: "silent",
	ClosedExpired: "certificate_expired", ClosedUntrusted: "certificate_refused", ClosedReassigned: "reassigned", ClosedGone: "gone",
	ClosedSelf: "self", ClosedVolume: "volume", ClosedSpare: "spare", ClosedMany: "too_many", ClosedRenewed: "renewed", ClosedStopping: "stopping",
}

// String is the label value.
func (c Closing) String() string { return closingNames[c] }

// The directions of a connection, for metrics.
const (
	incoming = "in"
	outgoing = "out"
)

func (c *conn) direction() string {
	if c.link != nil {
		return outgoing
	}
	return incoming
}

// connStats are the figures of the connections of one peer in one direction. They
// do not change; a configuration that has other series makes others.
type connStats struct {
	open   *atomic.Int64
	opened stat.ID
	closed [numClosings]stat.ID
}

// connLabels say whose connStats they are.
type connLabels struct {
	peer, direction string
	transport       realm.Transport
}

// connections are those of all shards, for what is asked of them from outside:
// who they are, and whether they may stay.
type connections struct {
	mu  sync.Mutex // guards all below
	all map[*conn]struct{}
	in  int // of them were opened by clients
	// stats are kept from one configuration to the next.
	stats map[connLabels]*connStats
}

func newConnections() *connections {
	return &connections{all: make(map[*conn]struct{}), stats: make(map[connLabels]*connStats)}
}

// add gives how many clients have opened now, and how many connections c's peer
// has. Whoever comes at the same time as another is counted after it or before.
func (t *connections) add(c *conn) (all, own int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all[c] = struct{}{}
	if c.link == nil {
		t.in++
	}
	return t.in, int(c.ctr.open.Add(1))
}

func (t *connections) remove(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, c)
	c.ctr.open.Add(-1)
	if c.link == nil {
		t.in--
	}
}

// list gives those that are open now.
func (t *connections) list() []*conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.all))
}

// connSeries gives the figures of a peer's connections. It is called where a
// configuration is compiled; a peer without connections has no series.
func (h *Hub) connSeries(peer, direction string, transport realm.Transport) *connStats {
	t := h.connections
	t.mu.Lock()
	defer t.mu.Unlock()
	key := connLabels{peer, direction, transport}
	c := &connStats{open: new(atomic.Int64)}
	if old := t.stats[key]; old != nil {
		c.open = old.open
	}
	labels := []string{"peer", peer, "direction", direction, "transport", transport.String()}
	c.opened = h.stats.Counter("roamgate_connections_opened_total", "Connections that were established.", labels...)
	for why := StaysOpen + 1; why < numClosings; why++ {
		c.closed[why] = h.stats.CounterSparse("roamgate_connections_closed_total", "Connections that have ended, by who or what has ended them.",
			append(labels[:len(labels):len(labels)], "reason", why.String())...)
	}
	h.stats.GaugeFunc("roamgate_connections", "Connections that are open.", func() float64 { return float64(c.open.Load()) }, labels...)
	if old := t.stats[key]; old != nil && *old == *c {
		return old
	}
	t.stats[key] = c
	return c
}

// statsOf gives the figures that connSeries has made, nil: it has not.
func (t *connections) statsOf(peer, direction string, transport realm.Transport) *connStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stats[connLabels{peer, direction, transport}]
}

// ConnectionReport is one open connection, for people.
type ConnectionReport struct {
	Peer        string `json:"peer"`
	Direction   string `json:"direction"`
	Transport   string `json:"transport"`
	Address     string `json:"address"` // the peer's
	Version     string `json:"version"` // of RADIUS
	TLS         string `json:"tls,omitempty"`
	Certificate string `json:"certificate,omitempty"` // issuer and serial number
	Until       int64  `json:"until,omitempty"`       // Unix seconds, when that ends
}

// ConnectionReports tells of all open connections, by peer.
func (h *Hub) ConnectionReports() []ConnectionReport {
	all := []ConnectionReport{}
	for _, c := range h.connections.list() {
		r := ConnectionReport{Peer: c.peer, Direction: c.direction(), Transport: c.transport.String(), Address: c.from.AddrPort().String(), Version: "1.0"}
		if c.transport == realm.Diameter {
			r.Address = c.transport.String() // within the hub
		}
		if c.clear {
			r.Version = "1.1"
		}
		if cs := c.TLS(); cs != nil {
			r.TLS = tls.VersionName(cs.Version) + " " + tls.CipherSuiteName(cs.CipherSuite)
		}
		if c.identity != nil {
			r.Certificate, r.Until = c.identity.ID, c.identity.NotAfter.Unix()
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b ConnectionReport) int {
		return cmp.Or(cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Address, b.Address))
	})
	return all
}
