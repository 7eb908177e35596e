package agent

import (
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/peer"
)

const (
	// noteEvery is how often a line about strangers is written.
	noteEvery = int64(1e9)
	// mostLines are written of a peer in linesEvery: one that comes and goes without end
	// fills no log.
	mostLines  = 20
	linesEvery = int64(60e9)
)

// lines counts what is logged of a peer.
type lines struct {
	since         int64
	written, left int
}

// line reports whether one more may be written of a node.
func (lp *loop) line(n *node) bool {
	if lp.now-n.lines.since >= linesEvery {
		lp.leftOut(n)
		n.lines = lines{since: lp.now}
	}
	if n.lines.written == mostLines {
		n.lines.left++
		return false
	}
	n.lines.written++
	return true
}

// leftOut tells how many lines of a node were not written.
func (lp *loop) leftOut(n *node) {
	if n.lines.left > 0 {
		lp.agent.log.Warn("lines of a peer left out", zap.String("peer", n.peer.Name), zap.Int("lines", n.lines.left),
			zap.String("state", stateNames[n.best()]))
		n.lines.left = 0
	}
}

// note counts and logs the end of a connection.
func (lp *loop) note(l *link, why closing) {
	if l.node == nil {
		return
	}
	lp.happened(l.node, closedSeries, &l.node.ctr.closed[why], why.String())
	if !lp.line(l.node) {
		return
	}
	lp.agent.log.Info("diameter connection closed", zap.String("peer", l.node.peer.Name), zap.Stringer("reason", why),
		zap.Stringer("address", l.Remote()))
}

func (lp *loop) noteState(ln *lane, what string) {
	if !lp.line(ln.node) {
		return
	}
	lp.agent.log.Info(what, zap.String("peer", ln.node.peer.Name), zap.Stringer("state", ln.machine.State()),
		zap.Stringer("watchdog", ln.machine.Watch()))
}

func (lp *loop) noteLeave(l *link, why peer.Cause) {
	if !lp.line(l.node) {
		return
	}
	lp.agent.log.Info("peer takes leave", zap.String("peer", l.node.peer.Name), zap.Stringer("cause", why))
}

func (lp *loop) noteRestart(n *node) {
	if !lp.line(n) {
		return
	}
	lp.agent.log.Warn("peer has lost its sessions", zap.String("peer", n.peer.Name))
}

func (lp *loop) noteUndialled(u undialled) {
	if !lp.line(u.lane.node) {
		return
	}
	lp.agent.log.Info("peer not reached", zap.String("peer", u.lane.node.peer.Name), zap.String("error", u.text))
}

// noteRefusal tells of capabilities that led to nothing. Anybody at an address that is
// let in can cause these.
func (lp *loop) noteRefusal(l *link, no refusal, identity string) {
	if last := lp.noted[no.why]; last != 0 && lp.now-last < noteEvery {
		return
	}
	lp.noted[no.why] = lp.now
	lp.agent.log.Warn("capabilities refused", zap.Stringer("address", l.Remote()), zap.String("origin_host", quoted(identity)),
		zap.String("reason", resultNames[no.why]), zap.String("error", no.String()))
}
