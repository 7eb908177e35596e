package agent

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/roamgate/roamgate/aaa/peer"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

const (
	productName = "roamgate"
	firmware    = 1
	mostApps    = 64 // of a peer, that are remembered
)

// capabilities are what a peer has said of itself.
type capabilities struct {
	identity, realm string // folded
	product         string
	apps            []uint32
	relay           bool
	stateID         uint32
	noSecurity      bool // it takes a connection as it is, without TLS inside
	result          uint32
	failed          []byte // the AVP that is missing
	text            string // why, for people
}

// examples of what is missing, for Failed-AVP.
var (
	missingAddress = []byte{0, 0, 1, 1, 0x40, 0, 0, 14, 0, 1, 0, 0, 0, 0, 0, 0}
	missingVendor  = []byte{0, 0, 1, 10, 0x40, 0, 0, 12, 0, 0, 0, 0}
	missingProduct = []byte{0, 0, 1, 13, 0, 0, 0, 8}
)

// capabilitiesOf reads a CER or a CEA.
func capabilitiesOf(m *diameter.Message) (c capabilities) {
	c.identity = strings.ToLower(string(m.Value(diameter.KnownOriginHost)))
	c.realm = strings.ToLower(string(m.Value(diameter.KnownOriginRealm)))
	c.stateID, _ = m.Uint32(diameter.KnownOriginStateID)
	c.result, _ = m.Uint32(diameter.KnownResultCode)
	c.noSecurity = true
	address, vendor, product, inband := false, false, false, false
	var a diameter.AVP
	for cur := diameter.Walk(m.Body()); cur.Next(&a); {
		if a.Vendor != 0 {
			continue
		}
		switch a.Code {
		case diameter.HostIPAddress:
			address = true
		case diameter.VendorID:
			vendor = true
		case diameter.ProductName:
			product = true
			c.product = string(a.Data[:min(len(a.Data), 64)])
		case diameter.ErrorMessage:
			c.text = string(a.Data[:min(len(a.Data), 200)])
		case diameter.AuthApplicationID, diameter.AcctApplicationID:
			c.speaks(&a)
		case diameter.VendorSpecificApplicationID:
			var in diameter.AVP
			for g := a.Group(); g.Next(&in); {
				if in.Is(diameter.AuthApplicationID, 0) || in.Is(diameter.AcctApplicationID, 0) {
					c.speaks(&in)
				}
			}
		case diameter.InbandSecurityID:
			v, ok := a.Uint32()
			c.noSecurity = inband && c.noSecurity || ok && v == 0
			inband = true
		}
	}
	switch {
	case !address:
		c.failed = missingAddress
	case !vendor:
		c.failed = missingVendor
	case !product:
		c.failed = missingProduct
	}
	return c
}

func (c *capabilities) speaks(a *diameter.AVP) {
	v, ok := a.Uint32()
	switch {
	case !ok:
	case v == diameter.AppRelay:
		c.relay = true
	case len(c.apps) < mostApps && !slices.Contains(c.apps, v):
		c.apps = append(c.apps, v)
	}
}

// common reports whether there is an application that may be spoken with the peer. We
// relay all of them (RFC 6733 section 5.3); the files may name some.
func (c *capabilities) common(p *realm.Peer) bool {
	if c.relay {
		return true
	}
	if p.Applications == nil {
		return len(c.apps) > 0
	}
	return slices.ContainsFunc(c.apps, func(a uint32) bool { return slices.Contains(p.Applications, a) })
}

// refusal is why a peer is not welcome: the Result-Code, and the word for people.
type refusal struct {
	result uint32
	text   string
	failed []byte
	why    result
}

// heardCER takes the capabilities of who has connected.
func (lp *loop) heardCER(l *link, m *diameter.Message, fault diameter.Fault) {
	switch {
	case l.lane != nil: // once more: nothing is renegotiated
		lp.answerBase(l, m, diameter.ResultUnableToComply, "capabilities were exchanged", nil)
		lp.event(l.lane, peer.RcvMessage, l)
		return
	case l.ours:
		lp.uninvited(l)
		return
	case fault != diameter.NoFault:
		lp.unwelcome(l, m, refusal{fault.Result(), "", m.Failed, resultMalformed}, "")
		return
	}
	c := capabilitiesOf(m)
	n := lp.names[c.identity]
	if no := lp.judge(l, n, &c); no.result != 0 {
		lp.unwelcome(l, m, no, c.identity)
		return
	}
	lp.restarted(n, c.stateID)
	ln := n.free()
	l.asked = ids{m.HopByHop, m.EndToEnd}
	if ln == nil || !admits(ln.machine.State()) {
		lp.unwelcome(l, m, refusal{diameter.ResultElectionLost, "there is a connection already", nil, resultDuplicate}, c.identity)
		return
	}
	l.belongs(n)
	n.learn(&c)
	ln.cer = l.asked
	lp.event(ln, peer.ConnCER, l)
}

// admits reports whether one that has come may become the connection of a lane, or
// compete for that.
func admits(s peer.State) bool {
	return s == peer.Closed || s == peer.WaitConnAck || s == peer.WaitICEA
}

// free gives the lane for a connection that has come: one that has none, else one that
// is about to.
func (n *node) free() *lane {
	var second *lane
	for _, ln := range n.lanes {
		switch s := ln.machine.State(); {
		case s == peer.Closed:
			return ln
		case second == nil && admits(s):
			second = ln
		}
	}
	return second
}

// judge says whether somebody is welcome as a node, by what it says of itself and by
// what the connection proves.
func (lp *loop) judge(l *link, n *node, c *capabilities) refusal {
	switch {
	case n == nil || n.index < 0:
		return refusal{diameter.ResultUnknownPeer, "no such peer is configured", nil, resultUnknown}
	case l.transport != n.peer.Transport, !lp.agent.mayComeFrom(n.peer, l.Remote().Addr()):
		return refusal{diameter.ResultUnknownPeer, "this peer does not come from there", nil, resultElsewhere}
	case !l.holds(n.peer):
		return refusal{diameter.ResultUnknownPeer, "the certificate is not that of this peer", nil, resultCertificate}
	case c.realm != n.peer.Realm:
		return refusal{diameter.ResultUnknownPeer, "Origin-Realm is not that of this peer", nil, resultRealm}
	case c.failed != nil:
		return refusal{diameter.ResultMissingAVP, "", c.failed, resultMalformed}
	case !c.noSecurity:
		return refusal{diameter.ResultNoCommonSecurity, "TLS begins with the connection", nil, resultSecurity}
	case !c.common(n.peer):
		return refusal{diameter.ResultNoCommonApplication, "", nil, resultApplication}
	}
	return refusal{}
}

// unwelcome answers a CER that leads to nothing, and closes.
func (lp *loop) unwelcome(l *link, m *diameter.Message, no refusal, identity string) {
	lp.answerBase(l, m, no.result, no.text, no.failed)
	why := closedUnfit
	if no.why == resultDuplicate {
		why = closedDuplicate
	}
	lp.endLater(l, why)
	lp.stats.Add(lp.ctr.exchanges[no.why], 1)
	lp.noteRefusal(l, no, identity)
}

// reject is R-Reject, of a connection that came while another one stands. heardCER
// refuses those before the machine is asked.
func (lp *loop) reject(l *link) {
	if l != nil {
		lp.endLater(l, closedDuplicate)
	}
}

// learn keeps what a peer has said of itself.
func (n *node) learn(c *capabilities) {
	n.apps, n.relay, n.product = c.apps, c.relay, c.product
}

// stateOf follows Origin-State-Id (RFC 6733 section 8.16): a greater one says that the
// peer has lost its sessions.
func (lp *loop) stateOf(n *node, state uint32) {
	if state == 0 {
		return
	}
	if n.stateID != 0 && state > n.stateID {
		lp.stats.Add(n.ctr.restarts, 1)
		lp.noteRestart(n)
	}
	n.stateID = max(n.stateID, state)
}

// restarted closes what stands with a peer that has come by another connection with a
// new state: it cannot have that one any more.
func (lp *loop) restarted(n *node, state uint32) {
	if n.stateID != 0 && state > n.stateID {
		for _, ln := range n.lanes {
			if l := ln.link; l != nil && ln.machine.State().Open() {
				lp.closeLink(l, closedByPeer)
			}
		}
	}
	lp.stateOf(n, state)
}

// sendCER introduces us.
func (lp *loop) sendCER(l *link) {
	if l == nil {
		return
	}
	id, ok := lp.ask(l, diameter.CapabilitiesExchange)
	if !ok {
		return
	}
	l.asked = id
	lp.introduce(l)
	lp.send(l)
}

// sendCEA welcomes a peer.
func (lp *loop) sendCEA(ln *lane) {
	l := ln.r
	room := l.room(baseRoom)
	if room == nil {
		return
	}
	lp.w.Begin(room, &diameter.Header{Command: diameter.CapabilitiesExchange, HopByHop: ln.cer.hop, EndToEnd: ln.cer.end})
	lp.w.Uint32(diameter.ResultCode, 0, diameter.AVPMandatory, diameter.ResultSuccess)
	lp.w.String(diameter.OriginHost, 0, diameter.AVPMandatory, lp.conf.Identity)
	lp.w.String(diameter.OriginRealm, 0, diameter.AVPMandatory, lp.conf.Realm)
	lp.introduce(l)
	lp.send(l)
	lp.stats.Add(lp.ctr.exchanges[resultOK], 1)
}

// introduce adds what a CER and a CEA have in common.
func (lp *loop) introduce(l *link) {
	hosts := lp.conf.Hosts
	if len(hosts) == 0 {
		hosts = []netip.Addr{l.Local().Addr()}
	}
	const m = diameter.AVPMandatory
	for _, h := range hosts {
		lp.w.Bytes(diameter.HostIPAddress, 0, m, addressValue(h))
	}
	lp.w.Uint32(diameter.VendorID, 0, m, 0)
	lp.w.String(diameter.ProductName, 0, 0, productName)
	lp.w.Uint32(diameter.OriginStateID, 0, m, lp.conf.StateID)
	lp.w.Uint32(diameter.SupportedVendorID, 0, m, diameter.Vendor3GPP)
	lp.w.Uint32(diameter.AuthApplicationID, 0, m, diameter.AppRelay)
	lp.w.Uint32(diameter.AcctApplicationID, 0, m, diameter.AppRelay)
	lp.w.Uint32(diameter.FirmwareRevision, 0, 0, firmware)
}

// addressValue is the Address of RFC 6733 section 4.3.1.
func addressValue(a netip.Addr) []byte {
	family := uint16(2)
	if a.Unmap().Is4() {
		family = 1
	}
	return append(binary.BigEndian.AppendUint16(nil, family), a.Unmap().AsSlice()...)
}

// heardCEA takes the answer to our CER.
func (lp *loop) heardCEA(l *link, m *diameter.Message, fault diameter.Fault) {
	ln := l.lane
	if ln == nil || ln.i != l || !l.asked.answered(m) {
		if ln == nil || ln.link != l {
			lp.uninvited(l)
		}
		return
	}
	n := ln.node
	c := capabilitiesOf(m)
	no := refusal{}
	switch {
	case fault != diameter.NoFault:
		no = refusal{text: "it cannot be read: " + fault.String(), why: resultMalformed}
	case c.result/1000 != 2:
		no = refusal{result: c.result, text: c.text, why: resultRefused}
	case c.identity != n.peer.Identity:
		no = refusal{text: "Origin-Host is not that of this peer", why: resultUnknown}
	case c.realm != n.peer.Realm:
		no = refusal{text: "Origin-Realm is not that of this peer", why: resultRealm}
	case !c.common(n.peer):
		no = refusal{text: "no application in common", why: resultApplication}
	}
	lp.stats.Add(lp.ctr.exchanges[no.why], 1)
	if no.why != resultOK {
		lp.noteRefusal(l, no, c.identity)
		n.lastErr = no.String()
		l.ending = closedUnfit // should the machine close it
		lp.event(ln, peer.RcvNonCEA, l)
		return
	}
	l.asked = ids{}
	n.learn(&c)
	lp.stateOf(n, c.stateID)
	lp.event(ln, peer.RcvCEA, l)
}
