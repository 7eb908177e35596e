package agent

import (
	"github.com/roamgate/roamgate/aaa/peer"
	"github.com/roamgate/roamgate/pkg/diameter"
)

// baseRoom is enough for every message of the peer machine.
const baseRoom = 2048

// base takes a message of the peer machine.
func (lp *loop) base(l *link, b []byte) {
	m := &lp.control
	fault := m.Parse(b)
	lp.stats.Add(lp.ctr.taken[classOf(m.Command)], 1)
	if m.Request() {
		lp.baseRequest(l, m, fault)
		return
	}
	switch m.Command {
	case diameter.CapabilitiesExchange:
		lp.heardCEA(l, m, fault)
	case diameter.DeviceWatchdog:
		lp.heardDWA(l, m)
	case diameter.DisconnectPeer:
		lp.heardDPA(l, m)
	}
}

func (lp *loop) baseRequest(l *link, m *diameter.Message, fault diameter.Fault) {
	switch {
	case m.Command == diameter.CapabilitiesExchange:
		lp.heardCER(l, m, fault)
	case l.lane == nil || l.lane.link != l:
		lp.uninvited(l)
	case fault != diameter.NoFault:
		lp.answerBase(l, m, fault.Result(), "", m.Failed)
		lp.event(l.lane, peer.RcvMessage, l) // who says nonsense lives
	case m.Command == diameter.DeviceWatchdog:
		lp.heardDWR(l, m)
	default:
		lp.heardDPR(l, m)
	}
}

// foreign is a message of another version: it is answered, and nothing behind it can be
// relied upon.
func (lp *loop) foreign(l *link, b []byte) {
	m := &lp.control
	_ = m.Parse(b)
	if m.Request() {
		lp.answerBase(l, m, diameter.ResultUnsupportedVersion, "", nil)
	}
	lp.endLater(l, closedVersion)
}

// uninvited is anything that comes where only an exchange of capabilities may.
func (lp *loop) uninvited(l *link) {
	if l.parting == 0 && l.ending == staysOpen {
		lp.endLater(l, closedUninvited)
	}
}

// answerBase answers a request between two peers.
func (lp *loop) answerBase(l *link, m *diameter.Message, result uint32, text string, failed []byte) {
	room := l.room(baseRoom)
	if room == nil {
		return // it takes nothing: it does not wait for this
	}
	lp.w.Answer(room, m, &diameter.Answer{Result: result, Host: lp.conf.Identity, Realm: lp.conf.Realm, Text: text, Failed: failed})
	if m.Command != diameter.DisconnectPeer {
		lp.w.Uint32(diameter.OriginStateID, 0, diameter.AVPMandatory, lp.conf.StateID)
	}
	lp.send(l)
}

// send commits what lp.w has built in the room of a link.
func (lp *loop) send(l *link) {
	if out := lp.w.Finish(); out != nil {
		l.commit(len(out))
		lp.stats.Add(lp.ctr.sent[classOf(diameter.ReadHeader(out).Command)], 1)
	}
}

// ask begins a request of our own; false: there is no room for it.
func (lp *loop) ask(l *link, command uint32) (ids, bool) {
	room := l.room(baseRoom)
	if room == nil {
		return ids{}, false
	}
	lp.hops++
	lp.ends++
	id := ids{lp.hops, lp.ends}
	lp.w.Begin(room, &diameter.Header{Flags: diameter.FlagRequest, Command: command, HopByHop: id.hop, EndToEnd: id.end})
	lp.w.String(diameter.OriginHost, 0, diameter.AVPMandatory, lp.conf.Identity)
	lp.w.String(diameter.OriginRealm, 0, diameter.AVPMandatory, lp.conf.Realm)
	return id, true
}

// sendDWR asks whether the peer lives. Where it takes nothing, the watchdog finds out
// all the same.
func (lp *loop) sendDWR(l *link) {
	id, ok := lp.ask(l, diameter.DeviceWatchdog)
	l.dwr = id
	if !ok {
		return
	}
	lp.w.Uint32(diameter.OriginStateID, 0, diameter.AVPMandatory, lp.conf.StateID)
	lp.send(l)
	lp.watched(l.node, watchSent)
}

func (lp *loop) heardDWR(l *link, m *diameter.Message) {
	if state, ok := m.Uint32(diameter.KnownOriginStateID); ok {
		lp.stateOf(l.node, state)
	}
	lp.answerBase(l, m, diameter.ResultSuccess, "", nil)
	lp.event(l.lane, peer.RcvDWR, l)
}

// heardDWA takes the answer to our last DWR. One that nobody has asked for proves that
// the peer lives, as all that it says, and nothing more.
func (lp *loop) heardDWA(l *link, m *diameter.Message) {
	if l.lane == nil || l.lane.link != l {
		lp.uninvited(l)
		return
	}
	if !l.dwr.answered(m) {
		lp.event(l.lane, peer.RcvMessage, l)
		return
	}
	l.dwr = ids{}
	lp.event(l.lane, peer.RcvDWA, l)
}

// sendDPR takes leave.
func (lp *loop) sendDPR(l *link, why peer.Cause) {
	lp.unable(l, false)
	id, ok := lp.ask(l, diameter.DisconnectPeer)
	l.asked = id
	if !ok {
		return // the machine closes it when its time is over
	}
	lp.w.Uint32(diameter.DisconnectCause, 0, diameter.AVPMandatory, uint32(why))
	lp.send(l)
}

// heardDPR stops sending requests to the peer. What is under way has a moment to end
// before the DPA lets the peer close.
func (lp *loop) heardDPR(l *link, m *diameter.Message) {
	if l.leaves {
		return // who says it again is not answered later for that, nor noted once more
	}
	l.leaves = true
	why := peer.Rebooting
	var a diameter.AVP
	if diameter.Find(m.Body(), diameter.DisconnectCause, 0, &a) {
		if v, ok := a.Uint32(); ok {
			why = peer.Cause(v)
		}
	}
	at := min(int(why), numLeaves-1)
	lp.happened(l.node, leaveSeries, &l.node.ctr.leaves[at], peer.Cause(at).String())
	lp.noteLeave(l, why)
	lp.unable(l, false)
	l.dpr, l.cause = ids{m.HopByHop, m.EndToEnd}, why
	lp.partLater(l, lp.now+shortFarewell)
}

func (lp *loop) heardDPA(l *link, m *diameter.Message) {
	if l.lane == nil || !l.asked.answered(m) {
		return
	}
	l.asked = ids{}
	lp.partLater(l, lp.now+int64(lp.conf.Drain))
}

// partLater has a leave go on once nothing is under way by the connection, or when its
// time has come.
func (lp *loop) partLater(l *link, at int64) {
	if l.parting == 0 {
		lp.conns.parting = append(lp.conns.parting, l)
	}
	l.parting = at
}

// part goes on with leaves.
func (lp *loop) part() {
	rest := lp.conns.parting[:0]
	var due []*link
	for _, l := range lp.conns.parting {
		if l.owed+l.awaited > 0 && lp.now < l.parting {
			rest = append(rest, l)
		} else {
			due = append(due, l)
		}
	}
	clear(lp.conns.parting[len(rest):])
	lp.conns.parting = rest
	for _, l := range due {
		switch {
		case l.closed:
		case l.dpr != ids{}:
			lp.farewell(l)
		default:
			lp.event(l.lane, peer.RcvDPA, l)
		}
	}
}

// farewell answers the peer's DPR; it closes.
func (lp *loop) farewell(l *link) {
	if room := l.room(baseRoom); room != nil {
		lp.w.Begin(room, &diameter.Header{Command: diameter.DisconnectPeer, HopByHop: l.dpr.hop, EndToEnd: l.dpr.end})
		lp.w.Uint32(diameter.ResultCode, 0, diameter.AVPMandatory, diameter.ResultSuccess)
		lp.w.String(diameter.OriginHost, 0, diameter.AVPMandatory, lp.conf.Identity)
		lp.w.String(diameter.OriginRealm, 0, diameter.AVPMandatory, lp.conf.Realm)
		lp.send(l)
	}
	l.dpr = ids{}
	lp.act(l.lane, l.lane.machine.Disconnect(l.cause, lp.now)&^peer.SendDPA, l)
}
