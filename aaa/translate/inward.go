package translate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// Request turns a request of Diameter into one of RADIUS under a token (RFC 4005
// section 9.2): AA and Diameter-EAP into an Access-Request, Accounting into an
// Accounting-Request. Where it cannot, the reason has the Result-Code that is due, and
// Failed the AVP.
//
// hot: 0 allocs
func (t *Translator) Request(room []byte, m *diameter.Message, token uint32) ([]byte, Reason) {
	t.Failed = nil
	var why Reason
	switch m.Command {
	case diameter.AA, diameter.EAP:
		t.start(room, radius.AccessRequest, token)
		why = t.intoAccessRequest(m)
	case diameter.Accounting:
		t.start(room, radius.AccountingRequest, token)
		why = t.intoAccounting(m)
	default:
		return nil, Unserved
	}
	if why != OK {
		return nil, why
	}
	return t.sealed(), OK
}

func (t *Translator) intoAccessRequest(m *diameter.Message) Reason {
	body := m.Body()
	if why := t.intoName(m); why != OK {
		return why
	}
	kind, _ := find(body, diameter.AuthRequestType)
	service := uint32(0)
	switch kind {
	case authorizeOnly:
		service = serviceAuthorze
	case authenticateOnly:
		service = serviceAuthOnly
	}
	if service != 0 && !t.r.AddUint32(radius.ServiceType, service) {
		return NoRoom
	}
	eap := m.Command == diameter.EAP
	var a diameter.AVP
	if eap {
		if !diameter.Find(body, avpEAPPayload, 0, &a) {
			return t.missing(avpEAPPayload, 0)
		}
		if why := t.split(radius.EAPMessage, a.Data); why != OK { // empty: EAP-Start
			return why
		}
	} else if diameter.Find(body, avpCHAPAuth, 0, &a) {
		if why := t.intoCHAP(&a); why != OK {
			return why
		}
		// Without one the Request Authenticator, which is ours, would be the challenge.
		if !diameter.Find(body, uint32(radius.CHAPChallenge), 0, &a) || len(a.Data) == 0 {
			return t.missing(uint32(radius.CHAPChallenge), 1)
		}
	}
	return t.rest(body, &filter{request: true, eap: eap, service: service != 0})
}

// missing has an example of an AVP that there is none of (RFC 6733 section 7.5).
func (t *Translator) missing(code uint32, length int) Reason {
	b := t.example[:avpHeaderLen+(length+3)&^3]
	clear(b)
	binary.BigEndian.PutUint32(b, code)
	b[4], b[7] = byte(diameter.AVPMandatory), byte(avpHeaderLen+length)
	t.Failed = b
	return Missing
}

// rest adds what all requests have.
func (t *Translator) rest(body []byte, f *filter) Reason {
	if why := t.into(body, f); why != OK {
		return why
	}
	if why := t.intoFilterRules(body); why != OK {
		return why
	}
	return t.intoTunnels(body)
}

// intoName names the NAS and the session where AVPs of the message do not: the first by
// Origin-Host (RFC 4005 section 9.3.1), the second by Session-Id. Who has no User-Name
// may be known by a Subscription-Id.
func (t *Translator) intoName(m *diameter.Message) Reason {
	var a diameter.AVP
	body := m.Body()
	if !diameter.Find(body, uint32(radius.NASIdentifier), 0, &a) {
		if host := m.Value(diameter.KnownOriginHost); len(host) > 0 && !t.r.Add(radius.NASIdentifier, host[:min(len(host), radius.MaxValue)]) {
			return NoRoom
		}
	}
	if !diameter.Find(body, diameter.AcctSessionID, 0, &a) || len(a.Data) == 0 {
		if id := m.Value(diameter.KnownSessionID); !t.r.Add(radius.AcctSessionID, t.SessionOf(id)) {
			return NoRoom
		}
	}
	if diameter.Find(body, diameter.UserName, 0, &a) {
		return OK
	}
	if v := subscription(body); len(v) > 0 && len(v) <= radius.MaxValue && !t.r.Add(radius.UserName, v) {
		return NoRoom
	}
	return OK
}

// SessionOf gives the Acct-Session-Id of a session that has only a Session-Id. One that
// is too long for an attribute is known by its hash.
func (t *Translator) SessionOf(id []byte) []byte {
	if len(id) <= radius.MaxValue {
		return id
	}
	sum := sha256.Sum256(id)
	hex.Encode(t.hash[:], sum[:])
	return t.hash[:]
}

// subscription gives the NAI or the IMSI of Subscription-Id (RFC 8506 section 8.46),
// nil: there is none.
func subscription(body []byte) (name []byte) {
	const (
		subscriptionID = 443
		data           = 444
		kind           = 450
		imsi           = 1
		nai            = 3
	)
	var a, in diameter.AVP
	for c := diameter.Walk(body); c.Next(&a); {
		if !a.Is(subscriptionID, 0) {
			continue
		}
		k, ok := find(a.Data, kind)
		if !ok || k != imsi && k != nai || !diameter.Find(a.Data, data, 0, &in) {
			continue
		}
		if name = in.Data; k == nai {
			return name
		}
	}
	return name
}

// intoCHAP adds CHAP-Password.
func (t *Translator) intoCHAP(group *diameter.AVP) Reason {
	var id, response diameter.AVP
	how, ok := find(group.Data, avpCHAPAlgorithm)
	if !ok || how != 5 || !diameter.Find(group.Data, avpCHAPIdent, 0, &id) || len(id.Data) != 1 ||
		!diameter.Find(group.Data, avpCHAPResponse, 0, &response) || len(response.Data) != 16 {
		t.Failed = group.Raw
		return BadValue
	}
	return fits(t.r.Add(radius.CHAPPassword, append(append(t.value[:0], id.Data...), response.Data...)))
}

// intoAccounting turns an ACR into an Accounting-Request. An event is a session that is
// over as it begins: a Stop.
func (t *Translator) intoAccounting(m *diameter.Message) Reason {
	body := m.Body()
	status := uint32(statusStop)
	kind, ok := m.Uint32(diameter.KnownRecordType)
	switch {
	case !ok:
		return t.missing(diameter.AccountingRecordType, 4)
	case kind == recordStart:
		status = statusStart
	case kind == recordInterim:
		status = statusInterim
	case kind != recordStop && kind != recordEvent:
		return NoStatus
	}
	if !t.r.AddUint32(radius.AcctStatusType, status) {
		return NoRoom
	}
	if why := t.intoName(m); why != OK {
		return why
	}
	for _, n := range counters {
		if why := t.intoCounter(body, n.code, n.low, n.high); why != OK {
			return why
		}
	}
	if v, ok := find(body, avpTerminationCause); ok && status == statusStop {
		if cause := diameter.TerminateCause(v); cause != 0 && !t.r.AddUint32(radius.AcctTerminateCause, cause) {
			return NoRoom
		}
	}
	return t.rest(body, &filter{request: true})
}

var counters = [...]struct {
	code      uint32
	low, high radius.Type
}{
	{avpInputOctets, radius.AcctInputOctets, radius.AcctInputGigawords},
	{avpOutputOctets, radius.AcctOutputOctets, radius.AcctOutputGigawords},
	{avpInputPackets, radius.AcctInputPackets, 0},
	{avpOutPackets, radius.AcctOutputPackets, 0},
}

// intoCounter splits one of 64 bits. One of packets that is beyond what RADIUS can count
// is as large as it can be, which is no figure that anybody bills.
func (t *Translator) intoCounter(body []byte, code uint32, low, high radius.Type) Reason {
	var a diameter.AVP
	if !diameter.Find(body, code, 0, &a) {
		return OK
	}
	v, ok := a.Uint64()
	if !ok {
		t.Failed = a.Raw
		return BadValue
	}
	if high == 0 && v > 1<<32-1 {
		v = 1<<32 - 1
	}
	if !t.r.AddUint32(low, uint32(v)) || high != 0 && v>>32 != 0 && !t.r.AddUint32(high, uint32(v>>32)) {
		return NoRoom
	}
	return OK
}

// Stop writes the record that ends the accounting of a session whose NAS has ended it by
// an STR and sends none itself. session are the attributes that identify it.
func (t *Translator) Stop(room []byte, m *diameter.Message, session []byte, now, token uint32) ([]byte, Reason) {
	t.start(room, radius.AccountingRequest, token)
	if !t.r.AddUint32(radius.AcctStatusType, statusStop) || !t.r.Raw(session) || !t.r.AddUint32(radius.EventTimestamp, now) {
		return nil, NoRoom
	}
	if v, ok := find(m.Body(), avpTerminationCause); ok {
		if cause := diameter.TerminateCause(v); cause != 0 && !t.r.AddUint32(radius.AcctTerminateCause, cause) {
			return nil, NoRoom
		}
	}
	return t.sealed(), OK
}
