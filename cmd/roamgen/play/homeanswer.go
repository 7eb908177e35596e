package play

import (
	"crypto/md5"
	"encoding/binary"

	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/udp"
)

// request is a datagram of the batch that is to be served.
type request struct {
	packet radius.Packet
	kind   Kind
	ok     bool // well-formed
	signed bool
	// Numbers of proofs.
	authenticator, message int
}

// answer is a good answer of the batch that waits for its signature.
type answer struct {
	b []byte
	i int // the datagram that it answers
}

// receive takes the n datagrams of the batch: checks them together, then
// counts and answers one by one, and signs the answers together. hot: 0 allocs
func (s *homeShard) receive(door uint8, n int) {
	s.proofs.Reset()
	for i := range n {
		s.requests[i].ok = s.read(door, i)
	}
	s.proofs.Run()
	for i := range n {
		r := &s.requests[i]
		if s.request = &r.packet; r.ok && s.authentic(r) {
			s.serve(door, i, r.kind)
		}
	}
	s.signatures.Run()
	for _, a := range s.answers {
		s.put(door, a.i, a.b)
	}
	s.answers, s.used = s.answers[:0], 0
}

// read parses the i-th datagram and asks for its proofs.
func (s *homeShard) read(door uint8, i int) bool {
	r := &s.requests[i]
	s.request = &r.packet
	var ok bool
	if door != doorOther && r.packet.Parse(s.data(i)) == radius.OK {
		r.kind, ok = s.classify(door)
	}
	if !ok {
		s.counts.Flaws[FlawMalformed]++
		return false
	}
	r.signed = r.packet.Has(radius.MessageAuthenticator)
	if r.signed {
		r.message = s.proofs.MessageAuthenticator(&r.packet, s.secret)
	}
	if r.kind != KindAuth && r.kind != KindStatus {
		r.authenticator = s.proofs.RequestAuthenticator(&r.packet, s.secret)
	}
	return true
}

// serve counts and answers the request at hand.
func (s *homeShard) serve(door uint8, i int, kind Kind) {
	s.counts.Requests[kind]++
	last, repeated := s.remember(door, i)
	if repeated {
		s.counts.Duplicates[kind]++
	} else {
		s.counts.Unique[kind]++
		s.track(kind)
	}
	if s.ignores(kind) {
		s.counts.Dropped[kind]++
		return
	}
	bad := s.script.decide(&s.random)
	s.outcome = nil
	s.answer(door, kind, bad)
	s.send(door, i, bad)
	s.counts.Answered[kind]++
	if s.outcome != nil && !last.answered {
		*s.outcome++
	}
	last.answered = true
	if bad == BadNone {
		return
	}
	s.counts.BadAnswers++
	if s.script.ThenProper {
		s.answer(door, kind, BadNone)
		s.send(door, i, BadNone)
	}
}

// classify finds the kind; a code on the wrong port is none.
func (s *homeShard) classify(door uint8) (Kind, bool) {
	switch code := s.request.Code(); {
	case code == radius.StatusServer:
		return KindStatus, true
	case code == radius.AccessRequest && door == doorAuth:
		return KindAuth, true
	case code == radius.AccountingRequest && (door == doorAcct || s.link != nil):
		return acctKind(s.request), true
	}
	return 0, false
}

// acctKind reads Acct-Status-Type (RFC 2866 section 5.1).
func acctKind(p *radius.Packet) Kind {
	status, _ := p.Uint32(radius.AcctStatusType)
	switch status {
	case statusStart:
		return KindStart
	case statusStop:
		return KindStop
	case statusInterim:
		return KindInterim
	}
	return KindOther
}

// authentic verifies the request as its code demands; what fails is counted
// and discarded in silence.
func (s *homeShard) authentic(r *request) bool {
	if r.kind != KindAuth && r.kind != KindStatus && !s.proofs.OK(r.authenticator) {
		s.counts.Flaws[FlawAuthenticator]++
		return false
	}
	if r.signed && !s.proofs.OK(r.message) {
		s.counts.Flaws[FlawMessageAuthenticator]++
		return false
	}
	if r.signed && misplaced(&r.packet) {
		s.counts.Flaws[FlawUnplaced]++
	}
	if s.secret.IsClear() {
		want := [16]byte(*r.packet.Authenticator())
		clear(want[4:])
		flaw, bad := cleanFlaw(&r.packet, &want)
		if bad {
			s.counts.Flaws[flaw]++
		}
		return !bad
	}
	must := r.kind == KindStatus || r.kind == KindAuth && !s.home.config.AllowUnsigned
	if !r.signed && must {
		s.counts.Flaws[FlawUnsigned]++
		return false
	}
	return true
}

// misplaced reports a Message-Authenticator that is not the first attribute.
func misplaced(p *radius.Packet) bool {
	return p.Bytes()[radius.HeaderLen] != byte(radius.MessageAuthenticator)
}

// remember reports a request already seen: same source, identifier and
// authenticator (RFC 2865 section 3), and lends what is known of it.
func (s *homeShard) remember(door uint8, i int) (last *remembered, repeated bool) {
	at := source{s.from(i), door}
	ids := s.recent[at]
	if ids == nil {
		if len(s.recent) >= maxSources {
			clear(s.recent)
		}
		ids = new([256]remembered)
		s.recent[at] = ids
	}
	p := s.request
	last = &ids[p.Identifier()]
	if last.auth == *p.Authenticator() && last.code == p.Code() {
		return last, true
	}
	*last = remembered{auth: *p.Authenticator(), code: p.Code()}
	return last, false
}

func (s *homeShard) track(kind Kind) {
	if s.counts.NAI == nil {
		return
	}
	if kind == KindAuth {
		name, _ := s.request.First(radius.UserName)
		s.counts.NAI[string(name)]++
		return
	}
	if session, ok := s.request.First(radius.AcctSessionID); ok && kind != KindStatus {
		s.counts.Events[EventKey(kind, string(session))]++
	}
}

func (s *homeShard) ignores(kind Kind) bool {
	if s.script.Silent || s.script.StatusOnly && kind != KindStatus {
		return true
	}
	return s.script.Loss > 0 && s.random.share() < s.script.Loss
}

// answer builds the answer behind those of the batch that wait; the writer
// holds its bytes until send.
func (s *homeShard) answer(door uint8, kind Kind, bad Bad) {
	switch kind {
	case KindAuth:
		s.decideAccess(bad)
	case KindStatus:
		code := radius.AccessAccept
		if door == doorAcct {
			code = radius.AccountingResponse
		}
		s.start(code, bad, true)
	default:
		s.checkClass()
		s.start(radius.AccountingResponse, bad, s.request.Has(radius.MessageAuthenticator))
	}
}

// send leaves a good answer to be signed with the others of the batch. One
// that comes later or is spoilt is signed, held or queued by itself.
func (s *homeShard) send(door uint8, i int, bad Bad) {
	s.echoProxyState()
	auth := s.request.Authenticator()
	due := s.now + s.script.Delay.draw(&s.random)
	if bad == BadNone && due == s.now {
		b := s.signatures.Response(&s.writer, s.secret, auth)
		s.used += len(b)
		s.answers = append(s.answers, answer{b, i})
		return
	}
	b := s.writer.SignResponse(s.crypt, s.secret, auth)
	copies := 1
	switch bad {
	case BadAuthenticator:
		b[4] ^= 0xff
	case BadMessageAuthenticator:
		s.spoilMessageAuthenticator(b, auth)
	case BadIdentifier:
		if s.secret.IsClear() {
			b[7] ^= 0x80
		}
	case BadLate:
		due += int64(s.script.LateBy)
	case BadDuplicate:
		copies = 2
	case BadOtherPort:
		door = doorOther
	case BadTruncated:
		b = b[:len(b)/2]
	}
	for range copies {
		switch {
		case due <= s.now:
			s.put(door, i, b)
		case s.link != nil:
			s.hold.put(due, door, b, s.link, udp.Addr{}, udp.LocalInfo{})
		default:
			s.hold.put(due, door, b, nil, s.batch.Addr(i), s.batch.Local(i))
		}
	}
}

// put sends the answer to the i-th packet of the batch.
func (s *homeShard) put(door uint8, i int, b []byte) {
	if s.link != nil {
		s.link.send(b)
		return
	}
	s.queues[door].Send(b, s.batch.Addr(i), s.batch.Local(i))
}

// data is the i-th packet of the batch.
func (s *homeShard) data(i int) []byte {
	if s.link != nil {
		return s.packets[i]
	}
	return s.batch.Data(i)
}

func (s *homeShard) from(i int) udp.Addr {
	if s.link != nil {
		return s.link.remote
	}
	return s.batch.Addr(i)
}

// start begins an answer with the code, or with what the script makes of it.
func (s *homeShard) start(code radius.Code, bad Bad, signed bool) {
	id := s.request.Identifier()
	switch bad {
	case BadIdentifier:
		if !s.secret.IsClear() {
			id ^= 0x80
		}
	case BadCode:
		code = radius.AccessRequest
	case BadUnsigned:
		signed = false
	}
	signed = signed && !s.secret.IsClear()
	s.writer.Start(s.buf[s.used:s.used+radius.MaxLen], code, id, signed)
}

// echoProxyState copies every Proxy-State in order (RFC 2865 section 5.33).
func (s *homeShard) echoProxyState() {
	if !s.request.Has(radius.ProxyState) {
		return
	}
	for off := radius.HeaderLen; ; {
		a, next, ok := s.request.Next(off)
		if !ok {
			return
		}
		if a.Type == radius.ProxyState {
			s.writer.Raw(a.Raw)
		}
		off = next
	}
}

// spoilMessageAuthenticator flips it and makes the Response Authenticator fit
// again, so that only a peer that looks at the former notices.
func (s *homeShard) spoilMessageAuthenticator(b []byte, auth *[16]byte) {
	if len(b) < radius.HeaderLen+18 || b[radius.HeaderLen] != byte(radius.MessageAuthenticator) {
		b[4] ^= 0xff
		return
	}
	b[radius.HeaderLen+2] ^= 0xff
	copy(b[4:20], auth[:])
	sum := md5.New()
	sum.Write(b)
	sum.Write(s.home.config.Secret)
	sum.Sum(b[4:4])
}

// class is what a home puts into the Class of this device's Access-Accept.
func (s *homeShard) class(dst []byte, device uint64) []byte {
	dst = append(dst, 'c', 'l')
	return binary.BigEndian.AppendUint64(dst, device^uint64(s.tag))
}

// checkClass wants the Class of the Access-Accept back (RFC 2865 section
// 5.25) where accounting carries one.
func (s *homeShard) checkClass() {
	got, ok := s.request.First(radius.Class)
	if !ok {
		return
	}
	name, _ := s.request.First(radius.UserName)
	if string(got) != string(s.class(s.plain[:0], hash(name))) {
		s.counts.Flaws[FlawClass]++
	}
}
