package translate

import (
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// Dynamic turns what a RADIUS home asks of a session that a Diameter NAS has into what
// Diameter asks (RFC 4005 section 9.2.1): a CoA-Request that only has the session
// authorised anew into a Re-Auth-Request, a Disconnect-Request into an
// Abort-Session-Request. Another CoA-Request has no counterpart.
func (t *Translator) Dynamic(room []byte, p *radius.Packet, x *Terms) ([]byte, Reason) {
	command := uint32(diameter.AbortSession)
	switch p.Code() {
	case radius.DisconnectRequest:
	case radius.CoARequest:
		if v, ok := p.Uint32(radius.ServiceType); !ok || v != serviceAuthorze {
			return nil, NotSupported
		}
		command = diameter.ReAuth
	default:
		return nil, Unserved
	}
	if len(x.DestinationRealm) == 0 || len(x.DestinationHost) == 0 {
		return nil, BadState
	}
	t.begin(room, command, x)
	if command == diameter.ReAuth {
		t.word(avpReAuthRequestType, reAuthorizeOnly)
	}
	if v, ok := p.First(radius.UserName); ok {
		t.w.Bytes(diameter.UserName, 0, diameter.AVPMandatory, v)
	}
	if command == diameter.ReAuth && len(x.State) > 0 {
		t.w.Bytes(uint32(radius.State), 0, diameter.AVPMandatory, x.State)
	}
	for _, typ := range [...]radius.Type{radius.NASIdentifier, radius.NASIPAddress, radius.NASIPv6Address, radius.AcctSessionID, radius.CallingStationID} {
		if v, ok := p.First(typ); ok && len(v) > 0 {
			t.w.Bytes(uint32(typ), 0, diameter.AVPMandatory, v)
		}
	}
	return t.finish()
}

// DynamicReply turns the answer to it into that of RADIUS. A NAS that will have the
// session authorised says so by a CoA-NAK (RFC 5176 section 3.2).
func (t *Translator) DynamicReply(room []byte, m *diameter.Message, p *radius.Packet) ([]byte, Reason) {
	result, experimental := resultOf(m)
	return t.dynamicReply(room, p, succeeded(result), causeOf(result, experimental))
}

// Refuse writes the negative answer to a CoA-Request or Disconnect-Request.
func (t *Translator) Refuse(room []byte, p *radius.Packet, why Reason) ([]byte, Reason) {
	cause := uint32(causeNoResources)
	switch why {
	case BadState:
		cause = causeNoSession
	case OtherSession:
		cause = causeNotRoutable
	case NotSupported, Unserved:
		cause = causeNoService
	}
	return t.dynamicReply(room, p, false, cause)
}

func (t *Translator) dynamicReply(room []byte, p *radius.Packet, done bool, cause uint32) ([]byte, Reason) {
	code := radius.DisconnectNAK
	switch {
	case p.Code() == radius.CoARequest:
		code = radius.CoANAK // also where it is done: the request for authorisation comes apart
		if done {
			cause = causeInitiated
		}
	case done:
		code, cause = radius.DisconnectACK, 0
	}
	if code != radius.DisconnectACK && cause == 0 {
		cause = causeNotRemovable
	}
	t.start(room, code, radius.Token(p.Authenticator()))
	if cause != 0 && !t.r.AddErrorCause(cause) {
		return nil, NoRoom
	}
	if why := t.proxyStates(p); why != OK {
		return nil, why
	}
	return t.sealed(), OK
}

// IntoDynamic turns a Re-Auth-Request or an Abort-Session-Request of a home of Diameter
// into a CoA-Request or a Disconnect-Request (RFC 4005 section 9.1.1). session are the
// attributes by which the NAS knows its session; the State of a CoA-Request is the
// handle, which comes back with the request for authorisation.
func (t *Translator) IntoDynamic(room []byte, m *diameter.Message, id ID, session []byte, token uint32) ([]byte, Reason) {
	t.Failed = nil
	switch m.Command {
	case diameter.AbortSession:
		t.start(room, radius.DisconnectRequest, token)
	case diameter.ReAuth:
		t.start(room, radius.CoARequest, token)
		if !t.r.AddUint32(radius.ServiceType, serviceAuthorze) || !t.r.Add(radius.State, t.Handle(t.value[:0], id)) {
			return nil, NoRoom
		}
	default:
		return nil, Unserved
	}
	if !t.r.Raw(session) {
		return nil, NoRoom
	}
	return t.sealed(), OK
}

// DynamicAnswer turns the answer of a NAS into that of Diameter.
func (t *Translator) DynamicAnswer(room []byte, p *radius.Packet, m *diameter.Message, x *Terms) ([]byte, Reason) {
	result := uint32(diameter.ResultUnableToComply)
	switch p.Code() {
	case radius.CoAACK, radius.DisconnectACK:
		result = diameter.ResultSuccess
	case radius.CoANAK, radius.DisconnectNAK:
		switch cause, _ := p.Uint32(radius.ErrorCause); cause {
		case causeInitiated:
			result = diameter.ResultLimitedSuccess
		case causeNoSession:
			result = diameter.ResultUnknownSessionID
		case causeNoService, causeNoExtension:
			result = diameter.ResultCommandUnsupported
		case causeNotRoutable:
			result = diameter.ResultUnableToDeliver
		}
	case radius.ProtocolError:
		result = diameter.ResultCommandUnsupported
	default:
		return nil, Unserved
	}
	t.w.Answer(room, m, &diameter.Answer{Result: result, Host: x.Identity, Realm: x.Realm})
	return t.finish()
}
