package agent

import (
	"strconv"
	"sync/atomic"

	"github.com/roamgate/roamgate/aaa/listen"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/realm"
)

// result is what came of an exchange of capabilities.
type result uint8

const (
	resultOK result = iota
	resultMalformed
	resultUnknown     // nobody has that Origin-Host
	resultElsewhere   // it does not come from there, or not by this transport
	resultCertificate // its certificate is that of somebody else
	resultRealm       // its Origin-Realm is not the one of the files
	resultSecurity
	resultApplication
	resultDuplicate
	resultRefused // by the peer
	resultMany    // there are as many connections as there may be
	numResults
)

var resultNames = [numResults]string{
	"ok", "malformed", "unknown_peer", "wrong_address", "wrong_certificate", "wrong_realm", "no_common_security",
	"no_common_application", "duplicate", "refused_by_peer", "too_many_connections",
}

// agentStats are the counters of no peer.
type agentStats struct {
	panics     stat.ID
	sent       [numClasses]stat.ID
	taken      [numClasses]stat.ID
	exchanges  [numResults]stat.ID
	handshakes [listen.NumResults]*stat.AtomicCounter // of those we have begun
}

const baseHelp = "Messages between Diameter peers: exchanges of capabilities, watchdogs and disconnections, by direction."

func newAgentStats(r *stat.Registry) *agentStats {
	c := &agentStats{panics: r.Counter("roamgate_diameter_panics_recovered_total", "Mistakes of the Diameter agent that a message found; each is logged with its stack.")}
	declare(r)
	for i, name := range classNames {
		c.sent[i] = r.Counter("roamgate_diameter_base_messages_total", baseHelp, "direction", "out", "class", name)
		c.taken[i] = r.Counter("roamgate_diameter_base_messages_total", baseHelp, "direction", "in", "class", name)
	}
	for i, name := range resultNames {
		c.exchanges[i] = r.Counter("roamgate_diameter_capabilities_total", "Exchanges of capabilities, by what came of them.", "result", name)
	}
	for i := range listen.NumResults {
		if !i.Refused() {
			c.handshakes[i] = r.Atomic("roamgate_diameter_tls_handshakes_total", "TLS handshakes with Diameter peers that we have connected to, by result.", "result", i.String())
		}
	}
	return c
}

// doorSeries exports what the doors count, and what stands.
func (a *Agent) doorSeries() {
	acceptor := a.reception.acceptor
	for _, t := range []realm.Transport{realm.TCP, realm.TLS, realm.SCTP} {
		for r := range listen.NumResults {
			a.rooms.Stats.CounterFunc("roamgate_diameter_visitors_total", "Connections that came to the doors of Diameter, by transport and what became of them up to the end of the handshake.",
				func() float64 { return float64(acceptor.Count(t, r)) }, "transport", t.String(), "result", r.String())
		}
	}
	a.rooms.Stats.GaugeFunc("roamgate_diameter_half_open", "Handshakes of TLS at the doors of Diameter.", func() float64 { return float64(acceptor.HalfOpen()) })
}

// What a watchdog does, for counters.
const (
	watchSent = iota
	watchSuspect
	watchClosed
	numWatch
)

var watchNames = [numWatch]string{"sent", "suspect", "closed"}

const numLeaves = 4

// nodeStats are the counters of a peer. They outlive it.
type nodeStats struct {
	state, open *atomic.Int32
	queued      *atomic.Int64 // octets, as of the last sweep
	attempts    stat.ID
	restarts    stat.ID
	watchdog    [numWatch]stat.ID
	leaves      [numLeaves]stat.ID
	closed      [numClosings]stat.ID
}

// nodeSeries gives the figures of a peer.
func (a *Agent) nodeSeries(name string) *nodeStats {
	a.seriesMu.Lock()
	defer a.seriesMu.Unlock()
	if c := a.series[name]; c != nil {
		return c
	}
	r := a.rooms.Stats
	c := &nodeStats{state: new(atomic.Int32), open: new(atomic.Int32), queued: new(atomic.Int64)}
	c.state.Store(nodeDown)
	r.StateSet("roamgate_diameter_peer_state", "State of a Diameter peer, of its best connection.", stateNames, func() int { return int(c.state.Load()) }, "peer", name)
	r.GaugeFunc("roamgate_diameter_peer_connections", "Open connections with a Diameter peer.", func() float64 { return float64(c.open.Load()) }, "peer", name)
	r.GaugeFunc("roamgate_diameter_peer_queue_bytes", "Octets that wait to be sent to a Diameter peer, a second ago at most.", func() float64 { return float64(c.queued.Load()) }, "peer", name)
	c.attempts = r.Counter("roamgate_diameter_connects_total", "Attempts to connect to a Diameter peer.", "peer", name)
	c.restarts = r.Counter("roamgate_diameter_peer_restarts_total", "Times that a peer has come back with a greater Origin-State-Id: its sessions are lost.", "peer", name)
	a.series[name] = c
	return c
}

// watched counts what the watchdog of a peer does.
func (lp *loop) watched(n *node, what int) {
	lp.happened(n, watchdogSeries, &n.ctr.watchdog[what], watchNames[what])
}

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
