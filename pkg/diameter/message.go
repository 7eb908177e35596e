package diameter

// span is where an AVP stands in a message: its header's offset and its value's.
type span struct{ at, data, end int32 }

// Message is one message and where in it things are. It is reused from one to the
// next.
type Message struct {
	Header
	Raw    []byte // the whole message
	AVPs   int    // at its top
	Routes int    // Route-Records
	// Failed is the AVP that broke the message, from its header on, nil: none did.
	// It may have less octets than it says. Of an AVP that is missing it is an example.
	Failed []byte

	at     [numKnown]span
	twice  uint32 // Known that came more than once
	second span   // the first AVP that came once too often
	inner  int    // AVPs inside of groups
	good   int    // the octets that are whole AVPs, counted with the header
}

// Parse walks a whole message, of the length that Frame gave, once, and judges what an
// agent must judge: lengths, bounds, and of a request the AVPs that every request has.
// After a Fault what came before it is known all the same, so that it can be answered.
// An answer is not judged beyond its lengths: it goes where its request came from. b is
// retained.
//
// hot: 0 allocs
func (m *Message) Parse(b []byte) Fault {
	m.Raw, m.Failed, m.AVPs, m.Routes, m.twice, m.inner = b, nil, 0, 0, 0, 0
	m.second = span{}
	m.at = [numKnown]span{}
	if len(b) < HeaderLen {
		m.Header, m.good = Header{}, 0
		return BadLength
	}
	m.Header = ReadHeader(b)
	fault := m.walk()
	switch {
	case b[0] != version:
		m.Failed = nil
		return BadVersion
	case m.Flags&(FlagRequest|FlagError) == FlagRequest|FlagError:
		m.Failed = nil
		return BadBits
	case fault == NoFault && m.Flags&FlagRequest != 0:
		return m.judge()
	}
	return fault
}

func (m *Message) walk() Fault {
	var a AVP
	c := Walk(m.Raw[HeaderLen:])
	for at := HeaderLen; c.Next(&a); at += len(a.Raw) {
		m.good = at
		if m.AVPs++; m.AVPs+m.inner > MaxAVPs {
			m.Failed = a.Raw
			return TooManyAVPs
		}
		p := placeOf(a.Code, a.Vendor)
		if p == 0 {
			continue
		}
		if p == isRoute {
			m.Routes++
			continue
		}
		if p&isGroup != 0 && (a.Code != FailedAVP || m.Flags&FlagRequest != 0) {
			if fault := m.descend(a.Data); fault != NoFault {
				if fault == TooDeep {
					m.Failed = a.Raw
				}
				return fault
			}
		}
		k := Known(p&^isGroup) - 1
		if k >= numKnown {
			continue
		}
		head := 8
		if a.Flags&AVPVendor != 0 {
			head = 12
		}
		s := span{int32(at), int32(at + head), int32(at + head + len(a.Data))}
		if m.at[k].at != 0 {
			m.twice |= 1 << k
			if k <= KnownDestinationRealm && m.second.at == 0 {
				m.second = s
			}
			if k != KnownProxyInfo {
				continue
			}
		}
		m.at[k] = s
	}
	if m.Failed = c.Bad(); m.Failed != nil {
		m.good = len(m.Raw) - len(m.Failed)
		return BadAVPLength
	}
	m.good = len(m.Raw)
	return NoFault
}

// descend walks the AVPs of a group and those of the known groups in it. It keeps its
// own stack: what comes from the wire does not deepen the program's.
func (m *Message) descend(b []byte) Fault {
	var stack [MaxDepth]struct{ at, end int32 }
	var a AVP
	depth, at, end := 1, 0, len(b)
	for {
		for at >= end {
			if depth--; depth == 0 {
				return NoFault
			}
			at, end = int(stack[depth].at), int(stack[depth].end)
		}
		c := Walk(b[at:end])
		if !c.Next(&a) {
			m.Failed = c.Bad()
			return BadAVPLength
		}
		if m.inner++; m.AVPs+m.inner > MaxAVPs {
			m.Failed = a.Raw
			return TooManyAVPs
		}
		next := at + len(a.Raw)
		if placeOf(a.Code, a.Vendor)&isGroup == 0 {
			at = next
			continue
		}
		if depth == MaxDepth {
			return TooDeep
		}
		stack[depth].at, stack[depth].end = int32(next), int32(end)
		depth++
		if a.Flags&AVPVendor != 0 {
			at += 4
		}
		at += 8
		end = at + len(a.Data)
	}
}

// judge looks at what every request has.
func (m *Message) judge() Fault {
	if m.second.at != 0 {
		m.Failed = m.Raw[m.second.at:m.padded(m.second.end)]
		switch placeOf(m.codeAt(m.second.at), 0) - 1 {
		case place(KnownSessionID):
			return ManySessionIDs
		case place(KnownOriginHost), place(KnownOriginRealm):
			return ManyOrigins
		}
		return ManyDestinations
	}
	switch {
	case !m.Has(KnownSessionID) && m.session():
		m.Failed = exampleSessionID[:]
		return NoSessionID
	case !m.Has(KnownOriginHost):
		m.Failed = exampleOriginHost[:]
		return NoOriginHost
	case !m.Has(KnownOriginRealm):
		m.Failed = exampleOriginRealm[:]
		return NoOriginRealm
	}
	for k := KnownSessionID; k <= lastJudged; k++ {
		if m.at[k].at == 0 {
			continue
		}
		v := m.Value(k)
		switch {
		case k == KnownSessionID || k == KnownUserName:
			if k == KnownSessionID && len(v) == 0 || !ValidText(v) {
				return m.bad(k, BadValue)
			}
		case k <= KnownDestinationRealm:
			if !ValidIdentity(v) {
				return m.bad(k, BadValue)
			}
		case len(v) != 4:
			return m.bad(k, BadAVPSize)
		}
	}
	return NoFault
}

// session reports whether the command is one of those with a Session-Id: all but those
// between two peers.
func (m *Message) session() bool {
	switch m.Command {
	case CapabilitiesExchange, DeviceWatchdog, DisconnectPeer:
		return false
	}
	return true
}

func (m *Message) bad(k Known, f Fault) Fault {
	m.Failed = m.Raw[m.at[k].at:m.padded(m.at[k].end)]
	return f
}

func (m *Message) padded(end int32) int { return min(padded(int(end)), len(m.Raw)) }

func (m *Message) codeAt(at int32) uint32 { return ReadAVPCode(m.Raw[at:]) }

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

// Span tells where a known AVP begins in the message and where the next one does; both
// are 0 where there is none.
func (m *Message) Span(k Known) (at, end int) {
	if m.at[k].at == 0 {
		return 0, 0
	}
	return int(m.at[k].at), m.padded(m.at[k].end)
}

// Uint32 gives the value of a known AVP of four octets.
//
// hot: 0 allocs
func (m *Message) Uint32(k Known) (v uint32, ok bool) {
	a := AVP{Data: m.Value(k)}
	return a.Uint32()
}

// Body is all AVPs of the message, to Walk.
func (m *Message) Body() []byte { return m.Raw[HeaderLen:] }

// Visited reports whether a Route-Record of the message is the identity, in any case
// of its letters (RFC 6733 section 6.1.3). All of them are looked at.
//
// hot: 0 allocs
func (m *Message) Visited(identity string) bool {
	if m.Routes == 0 {
		return false
	}
	var a AVP
	for c := Walk(m.Body()); c.Next(&a); {
		if a.Code == RouteRecord && a.Vendor == 0 && SameIdentity(a.Data, identity) {
			return true
		}
	}
	return false
}
