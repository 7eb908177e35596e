package play

import (
	"bytes"
	"time"

	"github.com/roamgate/roamgate/pkg/radius"
)

// arrival is a datagram of the batch that may answer a request in flight.
type arrival struct {
	packet radius.Packet
	slot   int32    // none where it does not
	auth   [16]byte // of the request when the proofs were asked for
	signed bool
	clear  bool // RADIUS/1.1
	// Numbers of proofs.
	response, message int
}

// receive takes the n datagrams of the batch, proved together. What is not
// the right answer to a request in flight is counted and changes nothing: the
// right one may still come (RFC 2865 section 3). hot: 0 allocs
func (w *worker) receive(l *lane, n int) {
	w.proofs.Reset()
	for i := range n {
		w.arrivals[i].slot = w.read(l, i)
	}
	w.proofs.Run()
	for i := range n {
		a := &w.arrivals[i]
		if a.slot == none {
			continue
		}
		s := &w.slots[a.slot]
		if !s.busy || s.auth != a.auth { // an answer before it in the batch
			w.counts.Flaws[FlawUnexpected]++
			continue
		}
		w.answer = &a.packet
		if flaw, bad := w.flaw(s, a); bad {
			w.counts.Flaws[flaw]++
			continue
		}
		w.take(a.slot)
	}
}

// read finds the slot that the i-th datagram is for and asks for its proofs.
func (w *worker) read(l *lane, i int) int32 {
	a := &w.arrivals[i]
	var b []byte
	switch {
	case l.link != nil:
		b = w.packets[i]
	case w.batch.Addr(i) != l.target:
		w.counts.Flaws[FlawSource]++
		return none
	default:
		b = w.batch.Data(i)
	}
	if a.packet.Parse(b) != radius.OK {
		w.counts.Flaws[FlawMalformed]++
		return none
	}
	at := l.base + int32(a.packet.Identifier())
	clear := l.secret.IsClear()
	if clear {
		at = l.slotOf(&a.packet, w.size)
	}
	s := &w.slots[at]
	if !s.busy || clear && radius.Token(&s.auth) != radius.Token(a.packet.Authenticator()) {
		w.counts.Flaws[FlawUnexpected]++
		return none
	}
	a.clear, a.auth, a.signed = clear, s.auth, a.packet.Has(radius.MessageAuthenticator)
	a.response = w.proofs.Response(&a.packet, &a.auth, l.secret)
	if a.signed {
		a.message = w.proofs.ResponseMessageAuthenticator(&a.packet, &a.auth, l.secret)
	}
	return at
}

// flaw looks for what is wrong with the answer a to s.
func (w *worker) flaw(s *slot, a *arrival) (Flaw, bool) {
	p := &a.packet
	if !w.proofs.OK(a.response) {
		return FlawAuthenticator, true
	}
	if !answers(p.Code(), s.kind) {
		return FlawMalformed, true
	}
	if a.clear {
		if flaw, bad := cleanFlaw(p, &s.auth); bad {
			return flaw, true
		}
	}
	if a.signed && !w.proofs.OK(a.message) {
		return FlawMessageAuthenticator, true
	}
	if !a.signed && !a.clear && (s.kind == KindAuth || s.kind == KindStatus) && !w.nas.config.AllowUnsigned {
		return FlawUnsigned, true
	}
	if a.signed && misplaced(p) {
		w.counts.Flaws[FlawUnplaced]++
	}
	if !w.proxyStateEchoed(s) {
		return FlawProxyState, true
	}
	if w.nas.config.WantKeys && p.Code() == radius.AccessAccept && !w.keysRight(s, a.clear) {
		return FlawKeys, true
	}
	return 0, false
}

func answers(c radius.Code, k Kind) bool {
	switch c {
	case radius.AccessAccept:
		return k == KindAuth || k == KindStatus
	case radius.AccessReject, radius.AccessChallenge:
		return k == KindAuth
	case radius.AccountingResponse:
		return k != KindAuth && k != KindStatus
	}
	return false
}

func (w *worker) proxyStateEchoed(s *slot) bool {
	p := w.answer
	if !w.nas.config.ProxyState {
		return !p.Has(radius.ProxyState)
	}
	got, ok := p.First(radius.ProxyState)
	want := appendProxyState(w.plain[:0], w.convs[s.conv].number, p.Identifier())
	return ok && p.Count(radius.ProxyState) == 1 && bytes.Equal(got, want)
}

// keysRight decrypts both MS-MPPE keys and compares them with those that the
// home has derived for the device.
func (w *worker) keysRight(s *slot, clear bool) bool {
	v := &w.convs[s.conv]
	if v.method != methodEAP {
		return true
	}
	for _, vendorType := range [2]uint8{msMPPESendKey, msMPPERecvKey} {
		hidden, ok := w.answer.Vendor(vendorMicrosoft, vendorType)
		var got, want [mppeKeyLen]byte
		mppeKey(&want, v.hash, vendorType)
		if clear {
			if !ok || string(hidden) != string(want[:]) {
				return false
			}
			continue
		}
		if !ok || !revealKey(&got, hidden, &s.auth, w.nas.config.Secret) || got != want {
			return false
		}
	}
	return true
}

// take accepts the answer to the slot and moves its conversation on.
func (w *worker) take(at int32) {
	s := &w.slots[at]
	conv := s.conv
	w.waiting.remove(w.slots, at)
	w.counts.Answered[s.kind]++
	w.counts.Latency.Observe(w.now - s.first)
	if f := w.nas.config.OnAnswer; f != nil {
		v := &w.convs[conv]
		f(&Answer{s.kind, v.device, v.number, time.Duration(w.now - s.first), w.answer})
	}
	kind := s.kind
	w.release(at)
	w.advance(conv, kind)
}

// advance is the conversation's state machine.
func (w *worker) advance(conv int32, answered Kind) {
	v := &w.convs[conv]
	switch answered {
	case KindAuth:
		w.advanceAuth(conv)
	case KindStart, KindInterim:
		v.next = KindStop
		if int(v.interim) < w.nas.config.Interims {
			v.next = KindInterim
			v.interim++
		}
		w.dwell(conv)
	default:
		w.end(conv, true)
	}
}

func (w *worker) advanceAuth(conv int32) {
	v := &w.convs[conv]
	p := w.answer
	switch p.Code() {
	case radius.AccessReject:
		w.counts.Rejects++
		message, _ := p.First(radius.ReplyMessage)
		w.countReject(message)
		w.end(conv, true)
	case radius.AccessChallenge:
		w.counts.Challenges++
		state, _ := p.First(radius.State)
		v.stateN = uint8(copy(v.state[:], state))
		_, v.eapID, _, _ = p.EAP()
		w.send(conv)
	default:
		w.counts.Accepts++
		if w.nas.config.Accounting != AccountingAfter {
			w.end(conv, true)
			return
		}
		class, _ := p.First(radius.Class)
		v.classN = uint8(copy(v.class[:], class))
		v.next = KindStart
		w.send(conv)
	}
}

// maxRejectMessages bounds the split by Reply-Message.
const maxRejectMessages = 64

var otherMessages = []byte("others")

// countReject counts by Reply-Message. A map is looked up by converted bytes
// without allocating; only the first of each message is stored.
func (w *worker) countReject(message []byte) {
	n := w.rejects[string(message)]
	if n == nil {
		if len(w.rejects) >= maxRejectMessages {
			message = otherMessages
		}
		if n = w.rejects[string(message)]; n == nil {
			n = new(uint64)
			w.rejects[string(message)] = n
		}
	}
	*n++
}

// dwell lets the session last before its next message.
func (w *worker) dwell(conv int32) {
	if w.nas.config.Dwell == 0 {
		w.send(conv)
		return
	}
	w.convs[conv].due = w.now + int64(w.nas.config.Dwell)
	w.resting.push(conv)
}
