package translate

import (
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// Answer turns the answer of RADIUS to a request of Diameter into that of Diameter (RFC
// 4005 section 9.2, RFC 4072 section 6.1).
//
// hot: 0 allocs
func (t *Translator) Answer(room []byte, p *radius.Packet, m *diameter.Message, x *Terms) ([]byte, Reason) {
	kind, _ := find(m.Body(), diameter.AuthRequestType)
	result := uint32(diameter.ResultSuccess)
	acct := m.Command == diameter.Accounting
	switch code := p.Code(); {
	case acct != (code == radius.AccountingResponse):
		return nil, Unserved
	case acct, code == radius.AccessAccept:
	case code == radius.AccessChallenge:
		result = diameter.ResultMultiRoundAuth
	case code == radius.AccessReject:
		cause, _ := p.Uint32(radius.ErrorCause)
		result = rejection(kind, cause)
	default:
		return nil, Unserved
	}
	t.w.Answer(room, m, &diameter.Answer{Result: result, Host: x.Identity, Realm: x.Realm})
	switch {
	case acct:
		t.accounted(m)
		return t.finish()
	case result/1000 == 3: // an error of the protocol has nothing else (RFC 6733 section 7.2)
		return t.finish()
	}
	t.application(m.Application)
	if kind != 0 {
		t.word(diameter.AuthRequestType, kind)
	}
	if m.Application >= 1<<24 { // those of 3GPP say it in every answer
		t.word(diameter.AuthSessionState, noStateMaintained)
	}
	eap := p.Has(radius.EAPMessage)
	if eap {
		code := uint32(avpEAPPayload)
		if v, ok := p.Uint32(radius.ErrorCause); ok && v == causeInvalidEAP {
			code = avpEAPReissuedPayload
		}
		t.w.Bytes(code, 0, diameter.AVPMandatory, concat(t.eap[:0], p, radius.EAPMessage))
	}
	if v, ok := p.First(radius.State); ok && len(v) > 0 {
		t.w.Bytes(uint32(radius.State), 0, diameter.AVPMandatory, v)
	}
	t.times(p)
	if v, ok := p.First(radius.UserName); ok && p.Code() == radius.AccessAccept {
		t.w.Bytes(diameter.UserName, 0, diameter.AVPMandatory, v)
	}
	if v, ok := p.Uint32(radius.ServiceType); ok {
		t.word(uint32(radius.ServiceType), v)
	}
	if eap && p.Code() == radius.AccessAccept {
		if msk := t.keys(p); msk != nil {
			t.w.Bytes(avpEAPMasterSessionKey, 0, 0, msk)
			t.keyed = true
		}
	}
	t.attributes(p)
	t.keyed = false
	return t.finish()
}

// accounted fills an Accounting-Answer.
func (t *Translator) accounted(m *diameter.Message) {
	t.word(diameter.AcctApplicationID, m.Application)
	if v, ok := m.Uint32(diameter.KnownRecordType); ok {
		t.word(diameter.AccountingRecordType, v)
	}
	if v, ok := m.Uint32(diameter.KnownRecordNumber); ok {
		t.word(diameter.AccountingRecordNumber, v)
	}
}

// times writes what Session-Timeout means here (RFC 4005 section 9.2): the end of the
// session, the time after which it is authorised anew, or that of a round.
func (t *Translator) times(p *radius.Packet) {
	v, ok := p.Uint32(radius.SessionTimeout)
	if !ok {
		return
	}
	action, _ := p.Uint32(radius.TerminationAction)
	switch {
	case p.Code() == radius.AccessChallenge:
		t.word(avpMultiRoundTimeOut, v)
	case p.Code() != radius.AccessAccept:
	case action == 1:
		t.word(avpAuthorizationLifetime, v)
		t.word(avpReAuthRequestType, reAuthorizeAuthenticate)
	default:
		t.word(diameter.SessionTimeout, v)
	}
}
