package translate

import (
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// Restarts reports whether an Accounting-Request speaks of all sessions of a NAS, which
// is On and Off (RFC 2866 section 5.1) and has no record in Diameter.
func Restarts(p *radius.Packet) bool {
	v, _ := p.Uint32(radius.AcctStatusType)
	return v == statusOn || v == statusOff
}

// recordType gives the Accounting-Record-Type, 0: it is none of a session.
func recordType(p *radius.Packet) uint32 {
	switch v, _ := p.Uint32(radius.AcctStatusType); v {
	case statusStart:
		return recordStart
	case statusInterim:
		return recordInterim
	case statusStop:
		return recordStop
	}
	return 0
}

// recordNumber gives the Accounting-Record-Number. Nothing is remembered for it, so it
// follows from what a record says of its time: a record that is sent again, by the NAS
// or by a hub that was started anew, has the same number, whatever its Acct-Delay-Time
// is by then. Of two records of one second the one that ends the session has another
// number, and so in all likelihood have two interims with other counters.
func recordNumber(p *radius.Packet, kind uint32, arrival int64) uint32 {
	if kind == recordStart {
		return 0
	}
	at, ok := p.Uint32(radius.AcctSessionTime)
	if !ok {
		at = eventTime(p, arrival)
	}
	n := at << 4
	for _, t := range [...]radius.Type{radius.AcctInputOctets, radius.AcctOutputOctets, radius.AcctInputPackets, radius.AcctOutputPackets} {
		v, _ := p.Uint32(t)
		n ^= (v * 0x9e3779b1 >> 28) & 0xe
	}
	n &^= 1
	switch {
	case kind == recordStop:
		n |= 1
	case n == 0:
		n = 2
	}
	return n
}

// eventTime is when what a record tells has happened, in Unix seconds.
func eventTime(p *radius.Packet, arrival int64) uint32 {
	if at, ok := p.Uint32(radius.EventTimestamp); ok {
		return at
	}
	delay, _ := p.Uint32(radius.AcctDelayTime)
	return uint32(arrival) - delay
}

// Accounting turns an Accounting-Request into an Accounting-Request of Diameter (RFC
// 4005 section 9.1). name is the User-Name, nil: there is none.
//
// hot: 0 allocs
func (t *Translator) Accounting(room []byte, p *radius.Packet, name []byte, x *Terms) ([]byte, Reason) {
	kind := recordType(p)
	switch {
	case p.Code() != radius.AccountingRequest:
		return nil, Unserved
	case kind == 0:
		return nil, NoStatus
	case len(x.DestinationRealm) == 0:
		return nil, NoRealm
	}
	t.begin(room, diameter.Accounting, x)
	t.word(diameter.AccountingRecordType, kind)
	t.word(diameter.AccountingRecordNumber, recordNumber(p, kind, x.Arrival))
	t.word(avpOriginAAAProtocol, 1)
	if name != nil {
		t.w.Bytes(diameter.UserName, 0, diameter.AVPMandatory, name)
	}
	t.word(diameter.EventTimestamp, ntp(eventTime(p, x.Arrival)))
	if v, ok := p.Uint32(radius.ServiceType); ok {
		t.word(uint32(radius.ServiceType), v)
	}
	t.session(p)
	t.counter(p, avpInputOctets, radius.AcctInputOctets, radius.AcctInputGigawords)
	t.counter(p, avpOutputOctets, radius.AcctOutputOctets, radius.AcctOutputGigawords)
	t.counter(p, avpInputPackets, radius.AcctInputPackets, 0)
	t.counter(p, avpOutPackets, radius.AcctOutputPackets, 0)
	if v, ok := p.Uint32(radius.AcctTerminateCause); ok && kind == recordStop {
		if cause := diameter.TerminationCause(v); cause != 0 {
			t.word(avpTerminationCause, cause)
		}
	}
	t.attributes(p)
	return t.finish()
}

// counter writes one of 64 bits.
func (t *Translator) counter(p *radius.Packet, code uint32, low, high radius.Type) {
	v, ok := p.Uint32(low)
	giga := uint32(0)
	if high != 0 {
		g, has := p.Uint32(high)
		giga, ok = g, ok || has
	}
	if ok {
		t.w.Uint64(code, 0, diameter.AVPMandatory, uint64(giga)<<32|uint64(v))
	}
}

// Termination writes the Session-Termination-Request that ends a session of which the
// home keeps state (RFC 4005 section 9.1). cause is an Acct-Terminate-Cause, 0: User
// Request.
func (t *Translator) Termination(room []byte, name []byte, cause uint32, x *Terms) ([]byte, Reason) {
	if len(x.DestinationRealm) == 0 {
		return nil, NoRealm
	}
	t.begin(room, diameter.SessionTermination, x)
	t.word(avpTerminationCause, max(diameter.TerminationCause(cause), 1))
	if name != nil {
		t.w.Bytes(diameter.UserName, 0, diameter.AVPMandatory, name)
	}
	return t.finish()
}

// Lost writes the record that ends a session whose NAS has begun anew or is about to
// end: nobody has its counters. cause is an Acct-Terminate-Cause.
func (t *Translator) Lost(room []byte, name, acctSession []byte, cause uint32, x *Terms) ([]byte, Reason) {
	if len(x.DestinationRealm) == 0 {
		return nil, NoRealm
	}
	t.begin(room, diameter.Accounting, x)
	t.word(diameter.AccountingRecordType, recordStop)
	t.word(diameter.AccountingRecordNumber, uint32(x.Arrival)<<4|1)
	t.word(avpOriginAAAProtocol, 1)
	if name != nil {
		t.w.Bytes(diameter.UserName, 0, diameter.AVPMandatory, name)
	}
	t.w.Bytes(diameter.AcctSessionID, 0, diameter.AVPMandatory, acctSession)
	t.word(diameter.EventTimestamp, ntp(uint32(x.Arrival)))
	t.word(avpTerminationCause, diameter.TerminationCause(cause))
	return t.finish()
}
