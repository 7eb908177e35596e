package agent

import (
	"go.uber.org/zap"

	"github.com/roamgate/roamgate/aaa/peer"
)

// noteEvery is how often a line about strangers is written.
const noteEvery = int64(1e9)

// note counts and logs the end of a connection.
func (lp *loop) note(l *link, why closing) {
	if l.node == nil {
		return
	}
	lp.stats.Add(l.node.ctr.closed[why], 1)
	lp.agent.log.Info("diameter connection closed", zap.String("peer", l.node.peer.Name), zap.Stringer("reason", why),
		zap.Stringer("address", l.Remote()))
}

func (lp *loop) noteState(ln *lane, what string) {
	lp.agent.log.Info(what, zap.String("peer", ln.node.peer.Name), zap.Stringer("state", ln.machine.State()),
		zap.Stringer("watchdog", ln.machine.Watch()))
}

func (lp *loop) noteLeave(l *link, why peer.Cause) {
	lp.agent.log.Info("peer takes leave", zap.String("peer", l.node.peer.Name), zap.Stringer("cause", why))
}

func (lp *loop) noteRestart(n *node) {
	lp.agent.log.Warn("peer has lost its sessions", zap.String("peer", n.peer.Name))
}

func (lp *loop) noteUndialled(u undialled) {
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
