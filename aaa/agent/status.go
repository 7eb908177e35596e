package agent

import (
	"context"
	"strings"
	"time"

	"github.com/roamgate/roamgate/aaa/peer"
	"github.com/roamgate/roamgate/pkg/diameter"
)

// PeerStatus is how it stands with a peer, for people.
type PeerStatus struct {
	Name     string `json:"name"`
	Identity string `json:"identity"`
	Realm    string `json:"realm"`
	// State is open, suspect, reopen (it must prove itself), connecting, closing or
	// down; of several connections that of the best.
	State string `json:"state"`
	Drain bool   `json:"drain,omitempty"`
	// Guest says that it comes by itself and no pool has it: while it is away, nothing
	// of the hub's is missing.
	Guest   bool   `json:"guest,omitempty"`
	Product string `json:"product,omitempty"` // what it calls itself, quoted
	// Applications are those that it has said it speaks; Relay: any.
	Applications []uint32           `json:"applications,omitempty"`
	Relay        bool               `json:"relay,omitempty"`
	Connections  []ConnectionStatus `json:"connections,omitempty"`
	Error        string             `json:"error,omitempty"` // of the last attempt that failed
}

// ConnectionStatus is one connection that is kept with a peer, or will be.
type ConnectionStatus struct {
	State       string    `json:"state"` // of RFC 6733 section 5.6
	Watchdog    string    `json:"watchdog"`
	Transport   string    `json:"transport,omitempty"`
	Address     string    `json:"address,omitempty"`
	Ours        bool      `json:"ours,omitempty"` // we have connected
	Since       time.Time `json:"since,omitzero"`
	Certificate string    `json:"certificate,omitempty"` // issuer and serial number
	Until       time.Time `json:"until,omitzero"`        // when that ends
	Queued      int       `json:"queued"`                // octets that it has not taken
	Awaited     int       `json:"awaited"`               // requests that it has not answered
	Owed        int       `json:"owed"`                  // its requests that are not answered
}

// Peers tells how it stands with the peers, in the order of the files. It is safe for
// concurrent use.
func (a *Agent) Peers() []PeerStatus {
	to := make(chan []PeerStatus, 1)
	post(a.loop, &a.loop.mail.asked, chan<- []PeerStatus(to))
	select {
	case all := <-to:
		return all
	case <-a.done:
		return nil
	}
}

// Able reports whether there is a peer that requests may be sent to. It is safe for
// concurrent use, and false once ctx has ended.
func (a *Agent) Able(ctx context.Context) bool {
	to := make(chan bool, 1)
	a.loop.do(func() {
		able := false
		for _, n := range a.loop.nodes {
			able = able || n != nil && n.able()
		}
		to <- able
	})
	select {
	case able := <-to:
		return able
	case <-a.done:
	case <-ctx.Done():
	}
	return false
}

func (lp *loop) statuses() []PeerStatus {
	all := []PeerStatus{}
	set := lp.snap.set
	asked := make([]bool, len(set.Peers))
	for i := range set.Pools {
		if p := &set.Pools[i]; p.Diameter {
			for _, m := range p.Members {
				asked[m.Home] = true
			}
		}
	}
	for i := range set.Peers {
		p := &set.Peers[i]
		s := PeerStatus{Name: p.Name, Identity: p.Identity, Realm: p.Realm, Drain: p.Drain, State: "disabled"}
		s.Guest = len(p.Addresses) == 0 && p.Host == "" && !asked[i]
		if n := lp.nodes[i]; n != nil {
			lp.statusOf(n, &s)
		}
		all = append(all, s)
	}
	return all
}

func (lp *loop) statusOf(n *node, s *PeerStatus) {
	s.State = stateNames[n.best()]
	s.Product, s.Applications, s.Relay, s.Error = quoted(n.product), n.apps, n.relay, n.lastErr
	for _, ln := range n.lanes {
		c := ConnectionStatus{State: ln.machine.State().String(), Watchdog: ln.machine.Watch().String()}
		if l := ln.link; l != nil && !l.closed {
			c.Transport, c.Address, c.Ours = l.transport.String(), l.Remote().String(), l.ours
			c.Since = time.Unix(0, lp.wall-(lp.now-l.entered)).UTC()
			c.Queued, c.Awaited, c.Owed = l.Queued(), l.awaited, l.owed
			if l.identity != nil {
				c.Certificate, c.Until = l.identity.ID, l.identity.NotAfter.UTC()
			}
		}
		s.Connections = append(s.Connections, c)
	}
}

// The states of a node, for metrics and people; the best first.
const (
	nodeOpen = iota
	nodeSuspect
	nodeReopen
	nodeClosing
	nodeConnecting
	nodeDown
	numNodeStates
)

var stateNames = []string{"open", "suspect", "reopen", "closing", "connecting", "down"}

// best is the state of the best connection.
func (n *node) best() int {
	best := nodeDown
	for _, ln := range n.lanes {
		s := nodeDown
		switch st := ln.machine.State(); {
		case st.Open() && ln.machine.Watch() == peer.Okay:
			s = nodeOpen
		case st.Open() && ln.machine.Watch() == peer.Suspect:
			s = nodeSuspect
		case st.Open():
			s = nodeReopen
		case st == peer.Closing:
			s = nodeClosing
		case st != peer.Closed:
			s = nodeConnecting
		}
		best = min(best, s)
	}
	return best
}

// published shows the state to who asks from another goroutine.
func (n *node) published() {
	n.ctr.state.Store(int32(n.best()))
	open := int32(0)
	for _, ln := range n.lanes {
		if ln.machine.State().Open() {
			open++
		}
	}
	n.ctr.open.Store(open)
}

// Classes of messages of the peer machine, for counters.
const (
	classCapabilities = iota
	classWatchdog
	classDisconnect
	numClasses
)

var classNames = [numClasses]string{"capabilities", "watchdog", "disconnect"}

func classOf(command uint32) int {
	switch command {
	case diameter.CapabilitiesExchange:
		return classCapabilities
	case diameter.DeviceWatchdog:
		return classWatchdog
	}
	return classDisconnect
}

func (r refusal) String() string {
	text := quoted(r.text)
	if r.result != 0 {
		text = strings.TrimSpace("result " + utoa(r.result) + " " + text)
	}
	return text
}
