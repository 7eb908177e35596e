package diameter

// span is where an AVP stands in a message: its header's offset and its value's.
type span struct{ at, data, end int32 }

// Known are AVPs that an agent looks at.
type Known uint8

// The known AVPs. Of one that comes several times the first counts, of Proxy-Info
// the last.
const (
	KnownSessionID Known = iota
	KnownOriginHost
	KnownOriginRealm
	KnownDestinationHost
	KnownDestinationRealm
	KnownUserName
	KnownResultCode
	KnownExperimentalResult
	KnownProxyInfo
	KnownOriginStateID
	KnownDRMP
	KnownRecordType
	KnownRecordNumber
	KnownRequestType
	KnownRequestNumber
	KnownAuthSessionState
	KnownSupportedFeatures // of overload control (RFC 7683)
	KnownOverload
	KnownVisitedPLMN
	KnownRATType
	KnownTerminal
	numKnown
)

// known gives the place of an AVP, numKnown: none.
func known(code, vendor uint32) Known {
	switch vendor {
	case 0:
		switch code {
		case SessionID:
			return KnownSessionID
		case OriginHost:
			return KnownOriginHost
		case OriginRealm:
			return KnownOriginRealm
		case DestinationHost:
			return KnownDestinationHost
		case DestinationRealm:
			return KnownDestinationRealm
		case UserName:
			return KnownUserName
		case ResultCode:
			return KnownResultCode
		case ExperimentalResult:
			return KnownExperimentalResult
		case ProxyInfo:
			return KnownProxyInfo
		case OriginStateID:
			return KnownOriginStateID
		case DRMP:
			return KnownDRMP
		case AccountingRecordType:
			return KnownRecordType
		case AccountingRecordNumber:
			return KnownRecordNumber
		case CCRequestType:
			return KnownRequestType
		case CCRequestNumber:
			return KnownRequestNumber
		case AuthSessionState:
			return KnownAuthSessionState
		case OCSupportedFeatures:
			return KnownSupportedFeatures
		case OCOLR:
			return KnownOverload
		}
	case Vendor3GPP:
		switch code {
		case TGPPVisitedPLMNID:
			return KnownVisitedPLMN
		case TGPPRATType:
			return KnownRATType
		case TGPPTerminalInformation:
			return KnownTerminal
		}
	}
	return numKnown
}

// Message is one message and where in it things are. It is reused from one to the
// next.
type Message struct {
	Header
	Raw    []byte // the whole message
	AVPs   int    // at its top
	Routes int    // Route-Records
	// Failed is the AVP that broke the message, from its header on, nil: none did.
	// It may have less octets than it says.
	Failed []byte

	at    [numKnown]span
	twice uint32 // Known that came more than once
}

// Parse walks a whole message, of the length that Frame gave, once. After a Fault what
// came before it is known all the same, so that it can be answered. b is retained.
//
// hot: 0 allocs
func (m *Message) Parse(b []byte) Fault {
	m.Raw, m.Failed, m.AVPs, m.Routes, m.twice = b, nil, 0, 0, 0
	m.at = [numKnown]span{}
	m.Header = ReadHeader(b)
	fault := m.walk()
	switch {
	case b[0] != version:
		return BadVersion
	case m.Flags&(FlagRequest|FlagError) == FlagRequest|FlagError:
		return BadBits
	}
	return fault
}

func (m *Message) walk() Fault {
	var a AVP
	c := Walk(m.Raw[HeaderLen:])
	for at := HeaderLen; c.Next(&a); at += len(a.Raw) {
		if m.AVPs++; m.AVPs > MaxAVPs {
			m.Failed = a.Raw
			return TooManyAVPs
		}
		if a.Vendor == 0 && a.Code == RouteRecord {
			m.Routes++
			continue
		}
		k := known(a.Code, a.Vendor)
		if k == numKnown {
			continue
		}
		if m.at[k].at != 0 {
			m.twice |= 1 << k
			if k != KnownProxyInfo {
				continue
			}
		}
		head := 8
		if a.Flags&AVPVendor != 0 {
			head = 12
		}
		m.at[k] = span{int32(at), int32(at + head), int32(at + head + len(a.Data))}
	}
	if m.Failed = c.Bad(); m.Failed != nil {
		return BadAVPLength
	}
	return NoFault
}

// Value gives the value of a known AVP, nil: there is none.
//
// hot: 0 allocs
func (m *Message) Value(k Known) []byte {
	s := m.at[k]
	if s.at == 0 {
		return nil
	}
	return m.Raw[s.data:s.end:s.end]
}

// Has reports whether a known AVP is there, Twice whether it is there more than once.
func (m *Message) Has(k Known) bool   { return m.at[k].at != 0 }
func (m *Message) Twice(k Known) bool { return m.twice&(1<<k) != 0 }

// Uint32 gives the value of a known AVP of four octets.
//
// hot: 0 allocs
func (m *Message) Uint32(k Known) (v uint32, ok bool) {
	a := AVP{Data: m.Value(k)}
	return a.Uint32()
}

// Body is all AVPs of the message, to Walk.
func (m *Message) Body() []byte { return m.Raw[HeaderLen:] }
