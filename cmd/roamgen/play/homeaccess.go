package play

import (
	"crypto/md5"
	"encoding/binary"

	"github.com/roamgate/roamgate/pkg/radius"
)

// decideAccess builds the answer to the Access-Request at hand: refuse,
// challenge or accept.
func (s *homeShard) decideAccess(bad Bad) {
	p := s.request
	name, _ := p.First(radius.UserName)
	device := hash(name)
	_, eapID, _, isEAP := p.EAP()
	round, ok := s.round(device)
	if !ok {
		s.counts.Flaws[FlawState]++
		s.reject(bad, isEAP, eapID, "state is not of this conversation")
		return
	}
	if !isEAP && !s.knowsPassword() {
		s.counts.Flaws[FlawPassword]++
		s.reject(bad, isEAP, eapID, "wrong password")
		return
	}
	if isEAP && round < s.script.Rounds {
		s.challenge(bad, device, round, eapID)
		return
	}
	if why := s.script.rejection(device); why != "" {
		s.reject(bad, isEAP, eapID, why)
		return
	}
	s.accept(bad, device, isEAP, eapID)
}

// A State is "rg", the home's tag, the round to come and the device's hash:
// the home keeps nothing between rounds and notices what was mixed up.
const stateLen = 2 + 4 + 1 + 8

func (s *homeShard) round(device uint64) (int, bool) {
	state, ok := s.request.First(radius.State)
	if !ok {
		return 0, true
	}
	if len(state) != stateLen || state[0] != 'r' || state[1] != 'g' ||
		binary.BigEndian.Uint32(state[2:]) != s.tag || binary.BigEndian.Uint64(state[7:]) != device {
		return 0, false
	}
	return int(state[6]), true
}

func (s *homeShard) challenge(bad Bad, device uint64, round int, eapID uint8) {
	s.outcome = &s.counts.Challenges
	s.start(radius.AccessChallenge, bad, true)
	state := append(s.plain[:0], 'r', 'g')
	state = binary.BigEndian.AppendUint32(state, s.tag)
	state = append(state, byte(round+1))
	state = binary.BigEndian.AppendUint64(state, device)
	s.writer.Add(radius.State, state)
	s.writer.Add(radius.EAPMessage, appendEAP(s.plain[:0], eapRequest, eapID+1, challengeBody[:]))
}

// challengeBody has the size of an AKA' challenge (RFC 9048 section 3).
var challengeBody = [80]byte{eapAKAPrime, 1}

// appendEAP appends an EAP packet; Success and Failure have no body.
func appendEAP(dst []byte, code, id uint8, body []byte) []byte {
	n := 4 + len(body)
	return append(append(dst, code, id, byte(n>>8), byte(n)), body...)
}

// reject carries a Reply-Message or an EAP-Failure, not both (RFC 3579
// section 2.6.5).
func (s *homeShard) reject(bad Bad, isEAP bool, eapID uint8, why string) {
	s.outcome = &s.counts.Rejects
	s.start(radius.AccessReject, bad, true)
	if isEAP {
		s.writer.Add(radius.EAPMessage, appendEAP(s.plain[:0], eapFailure, eapID, nil))
		return
	}
	s.writer.Add(radius.ReplyMessage, append(s.plain[:0], why...))
}

func (s *homeShard) accept(bad Bad, device uint64, isEAP bool, eapID uint8) {
	s.outcome = &s.counts.Accepts
	s.start(radius.AccessAccept, bad, true)
	w := &s.writer
	if isEAP {
		w.Add(radius.EAPMessage, appendEAP(s.plain[:0], eapSuccess, eapID, nil))
	}
	if t := s.script.SessionTimeout; t > 0 {
		w.AddUint32(radius.SessionTimeout, t)
	}
	if t := s.script.InterimInterval; t > 0 {
		w.AddUint32(radius.AcctInterimInterval, t)
	}
	w.Add(radius.Class, s.class(s.plain[:0], device))
	if s.script.Keys {
		s.addKey(msMPPESendKey, device)
		s.addKey(msMPPERecvKey, device)
	}
}

func (s *homeShard) addKey(vendorType uint8, device uint64) {
	var key [mppeKeyLen]byte
	var hidden [mppeHiddenLen]byte
	mppeKey(&key, device, vendorType)
	if s.secret.IsClear() {
		s.writer.AddVendor(vendorMicrosoft, vendorType, key[:])
		return
	}
	// Salts must differ within a packet, nothing more (RFC 2548 section 2.4.2).
	hideKey(&hidden, &key, uint16(vendorType), s.request.Authenticator(), s.home.config.Secret)
	s.writer.AddVendor(vendorMicrosoft, vendorType, hidden[:])
}

// knowsPassword checks PAP (RFC 2865 section 5.2) or CHAP (section 5.3).
func (s *homeShard) knowsPassword() bool {
	want := s.home.config.Password
	if want == "" {
		return true
	}
	p := s.request
	auth := p.Authenticator()
	if hidden, ok := p.First(radius.UserPassword); ok {
		if s.secret.IsClear() {
			return string(hidden) == want
		}
		n, ok := s.crypt.RevealUserPassword(s.plain[:], hidden, auth, s.secret)
		return ok && string(s.plain[:n]) == want
	}
	chap, ok := p.First(radius.CHAPPassword)
	if !ok || len(chap) != 17 {
		return false
	}
	challenge, ok := p.First(radius.CHAPChallenge)
	if !ok && s.secret.IsClear() {
		return false // there is no authenticator that could be one (RFC 9765 section 5.1.2)
	}
	if !ok {
		challenge = auth[:]
	}
	return chapResponse(s.plain[:0], chap[0], want, challenge) == [16]byte(chap[1:])
}

// chapResponse is RFC 1994 section 4.1. scratch is overwritten.
func chapResponse(scratch []byte, id uint8, password string, challenge []byte) [16]byte {
	return md5.Sum(append(append(append(scratch, id), password...), challenge...))
}
