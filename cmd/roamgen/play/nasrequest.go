package play

import (
	"encoding/binary"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
)

// send builds the conversation's next request, which sign sends. Without a
// free identifier the conversation waits and send reports false. hot: 0 allocs
func (w *worker) send(conv int32) bool {
	v := &w.convs[conv]
	acct := v.next != KindAuth && v.next != KindStatus
	l := w.laneWithID(acct)
	if l == nil {
		w.ready.push(conv)
		return false
	}
	i := l.take()
	s := &w.slots[i]
	s.conv, s.kind, s.busy = conv, v.next, true
	s.first, s.tries = w.now, 0
	if v.due != 0 && w.spins() {
		s.first = v.due
	}
	v.due = 0
	w.busy++
	w.counts.MostOpen = max(w.counts.MostOpen, uint64(w.busy))
	id := uint8(i - l.base)
	if l.secret.IsClear() {
		id = 0
		radius.PutToken(&s.auth, l.token(i, w.size))
	} else {
		binary.LittleEndian.PutUint64(s.auth[:8], w.random.next())
		binary.LittleEndian.PutUint64(s.auth[8:], w.random.next())
	}
	if acct {
		w.buildAccounting(l, s, v, id)
	} else {
		w.buildAccess(l, s, v, id)
	}
	w.counts.Sent[s.kind]++
	w.unsent = append(w.unsent, i)
	if w.signatures.Room() == 0 {
		w.sign()
	}
	return true
}

// laneWithID takes the lanes of a port in turns.
func (w *worker) laneWithID(acct bool) *lane {
	lanes, turn := w.lanes, &w.turns[0]
	split := len(lanes)
	if w.nas.config.Auth.IsValid() && w.nas.config.Acct.IsValid() {
		split = w.nas.config.Sockets
	} else if w.nas.config.Acct.IsValid() {
		split = 0
	}
	lanes = lanes[:split]
	if acct {
		lanes, turn = w.lanes[split:], &w.turns[1]
	}
	for range lanes {
		l := lanes[*turn%len(lanes)]
		*turn++
		if l.free > 0 {
			return l
		}
	}
	return nil
}

func (w *worker) buildAccess(l *lane, s *slot, v *conversation, id uint8) {
	c := &w.nas.config
	code := radius.AccessRequest
	if s.kind == KindStatus {
		code = radius.StatusServer
	}
	p := &w.writer
	p.Start(s.buf[:], code, id, !l.secret.IsClear() && (!c.Unsigned || s.kind == KindStatus))
	p.SetAuthenticator(&s.auth)
	if s.kind == KindAuth {
		w.addIdentity(v)
		w.addCredential(l, s, v, id)
		p.AddUint32(radius.ServiceType, 2) // Framed
		p.AddUint32(radius.FramedMTU, 1400)
		p.Add(radius.AcctSessionID, w.nas.appendSession(w.plain[:0], v.number))
	}
	w.addCommon(v, id)
	s.n = int32(len(w.signatures.Request(p, l.secret)))
}

func (w *worker) addIdentity(v *conversation) {
	w.writer.Add(radius.UserName, w.nas.devices.appendNAI(w.plain[:0], v.device))
	w.writer.Add(radius.CallingStationID, w.nas.devices.appendMAC(w.plain[:0], v.device))
}

// addCredential adds what proves the device: User-Password, CHAP-Password or
// the next EAP-Message with the State of the last challenge.
func (w *worker) addCredential(l *lane, s *slot, v *conversation, id uint8) {
	p := &w.writer
	password := w.nas.config.Password
	if w.wrong(v.device) {
		password = "wrong-password"
	}
	switch v.method {
	case methodPAP:
		if l.secret.IsClear() {
			p.Add(radius.UserPassword, append(w.plain[:0], password...))
			return
		}
		n, _ := w.crypt.HideUserPassword(w.plain[:128], append(w.plain[128:128], password...), &s.auth, l.secret)
		p.Add(radius.UserPassword, w.plain[:n])
	case methodCHAP:
		w.addCHAP(l, s, v, id, password)
	default:
		w.addEAP(v)
	}
}

func (w *worker) wrong(device uint64) bool {
	share := w.nas.config.WrongPassword
	return share > 0 && float64(mix(device^0x77726f6e67)>>11)/(1<<53) < share
}

// addCHAP leaves the challenge in the authenticator for every second device:
// a hop that changes the authenticator must then add CHAP-Challenge (RFC 2865
// section 2.2). RADIUS/1.1 has none there.
func (w *worker) addCHAP(l *lane, s *slot, v *conversation, id uint8, password string) {
	challenge := s.auth[:]
	if v.device%2 == 1 || l.secret.IsClear() {
		challenge = binary.BigEndian.AppendUint64(w.plain[240:240], v.hash)
		challenge = binary.BigEndian.AppendUint64(challenge, v.number)
		w.writer.Add(radius.CHAPChallenge, challenge)
	}
	sum := chapResponse(w.plain[:0], id, password, challenge)
	w.writer.Add(radius.CHAPPassword, append(append(w.plain[:0], id), sum[:]...))
}

func (w *worker) addEAP(v *conversation) {
	if v.stateN == 0 {
		body := append(w.plain[8:8], eapIdentity)
		body = w.nas.devices.appendNAI(body, v.device)
		w.writer.Add(radius.EAPMessage, appendEAP(w.plain[:0], eapResponse, v.eapID, body))
		return
	}
	w.writer.Add(radius.EAPMessage, appendEAP(w.plain[:0], eapResponse, v.eapID, challengeBody[:60]))
	w.writer.Add(radius.State, v.state[:v.stateN])
}

// commonAttributes is what all requests carry, made once.
func (n *NAS) commonAttributes() []byte {
	var p radius.Writer
	buf := make([]byte, 1024)
	p.Start(buf, radius.AccessRequest, 0, false)
	p.Add(radius.NASIdentifier, []byte(n.config.Name))
	p.Add(radius.NASIPAddress, []byte{192, 0, 2, 1})
	p.AddUint32(radius.NASPortType, n.config.NASPortType)
	p.Add(radius.CalledStationID, []byte(n.config.Called))
	if n.config.Operator != "" {
		p.Add(radius.OperatorName, []byte(n.config.Operator))
	}
	return buf[radius.HeaderLen:p.Len()]
}

func (w *worker) addCommon(v *conversation, id uint8) {
	p := &w.writer
	p.Raw(w.nas.common)
	p.AddUint32(radius.NASPort, uint32(v.device%4096))
	if w.nas.config.ProxyState {
		p.Add(radius.ProxyState, appendProxyState(w.plain[:0], v.number, id))
	}
}

// appendProxyState is what a visited proxy would recognise its request by.
func appendProxyState(dst []byte, number uint64, id uint8) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, "ps"...), number), id)
}

// SessionID is the Acct-Session-Id of the session with this number; NAS with
// different names or seeds never share one.
func (n *NAS) SessionID(session uint64) string { return string(n.appendSession(nil, session)) }

func (n *NAS) appendSession(dst []byte, number uint64) []byte {
	dst = appendHex(dst, mix(n.config.Seed^hash([]byte(n.config.Name))), 8)
	return appendHex(dst, number, 8)
}

// playedAgo is how many seconds ago a session began by its own account:
// sessions are played faster than they last.
const playedAgo = 600

// buildAccounting makes the Start, Interim-Update or Stop with counters that
// grow with the session (RFC 2866 section 5). Acct-Delay-Time is left out:
// it would have to change with each repetition.
func (w *worker) buildAccounting(l *lane, s *slot, v *conversation, id uint8) {
	p := &w.writer
	p.Start(s.buf[:], radius.AccountingRequest, id, false)
	p.AddUint32(radius.AcctStatusType, statusOf(s.kind))
	p.Add(radius.AcctSessionID, w.nas.appendSession(w.plain[:0], v.number))
	w.addIdentity(v)
	if v.classN > 0 {
		p.Add(radius.Class, v.class[:v.classN])
	}
	began, n := uint32(epoch.Unix()+v.begun/int64(time.Second))-playedAgo, uint32(v.interim+1)
	if s.kind == KindStart {
		p.AddUint32(radius.EventTimestamp, began)
	} else {
		p.AddUint32(radius.EventTimestamp, began+n*60)
		p.AddUint32(radius.AcctSessionTime, n*60)
		p.AddUint32(radius.AcctInputOctets, n*uint32(1000+v.device%1000))
		p.AddUint32(radius.AcctOutputOctets, n*uint32(9000+v.device%1000))
	}
	if s.kind == KindStop {
		p.AddUint32(radius.AcctTerminateCause, 1) // User-Request
	}
	w.addCommon(v, id)
	if l.secret.IsClear() {
		p.SetAuthenticator(&s.auth)
	} else {
		clear(s.auth[:]) // until it is signed, nothing answers it
	}
	s.n = int32(len(w.signatures.Accounting(p, l.secret)))
}

func statusOf(k Kind) uint32 {
	switch k {
	case KindStart:
		return statusStart
	case KindStop:
		return statusStop
	}
	return statusInterim
}
