package diameter

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
	// Those from here to lastJudged are integers of four octets.
	KnownOriginStateID
	KnownDRMP
	KnownRecordType
	KnownRecordNumber
	KnownRequestType
	KnownRequestNumber
	KnownAuthSessionState
	KnownRATType
	KnownResultCode
	KnownExperimentalResult
	KnownProxyInfo
	KnownSupportedFeatures // of overload control (RFC 7683)
	KnownOverload
	KnownVisitedPLMN
	KnownTerminal
	numKnown

	lastJudged = KnownRATType
)

// place is what is to be done with an AVP: 0 nothing, else its Known and one, and
// whether it is a group that is looked into.
type place uint8

const (
	isGroup place = 0x80
	isRoute place = 0x7f
	noKnown place = 0x7e // of a group that nobody asks for
)

// places are those of the IETF's AVPs by their code.
var places = [...]place{
	SessionID:                   place(KnownSessionID) + 1,
	OriginHost:                  place(KnownOriginHost) + 1,
	OriginRealm:                 place(KnownOriginRealm) + 1,
	DestinationHost:             place(KnownDestinationHost) + 1,
	DestinationRealm:            place(KnownDestinationRealm) + 1,
	UserName:                    place(KnownUserName) + 1,
	ResultCode:                  place(KnownResultCode) + 1,
	ExperimentalResult:          place(KnownExperimentalResult) + 1 | isGroup,
	ProxyInfo:                   place(KnownProxyInfo) + 1 | isGroup,
	OriginStateID:               place(KnownOriginStateID) + 1,
	DRMP:                        place(KnownDRMP) + 1,
	AccountingRecordType:        place(KnownRecordType) + 1,
	AccountingRecordNumber:      place(KnownRecordNumber) + 1,
	CCRequestType:               place(KnownRequestType) + 1,
	CCRequestNumber:             place(KnownRequestNumber) + 1,
	AuthSessionState:            place(KnownAuthSessionState) + 1,
	OCSupportedFeatures:         place(KnownSupportedFeatures) + 1 | isGroup,
	OCOLR:                       place(KnownOverload) + 1 | isGroup,
	RouteRecord:                 isRoute,
	VendorSpecificApplicationID: noKnown | isGroup,
	FailedAVP:                   noKnown | isGroup,
	SubscriptionID:              noKnown | isGroup,
}

func placeOf(code, vendor uint32) place {
	switch {
	case vendor == 0:
		if code < uint32(len(places)) {
			return places[code]
		}
	case vendor == Vendor3GPP:
		switch code {
		case TGPPVisitedPLMNID:
			return place(KnownVisitedPLMN) + 1
		case TGPPRATType:
			return place(KnownRATType) + 1
		case TGPPTerminalInformation:
			return place(KnownTerminal) + 1 | isGroup
		}
	}
	return 0
}

// Examples of AVPs that are missing: without a value, which is the least that their
// types may have (RFC 6733 section 7.5).
var (
	exampleSessionID   = [8]byte{2: SessionID >> 8, 3: SessionID & 0xff, 4: byte(AVPMandatory), 7: 8}
	exampleOriginHost  = [8]byte{2: OriginHost >> 8, 3: OriginHost & 0xff, 4: byte(AVPMandatory), 7: 8}
	exampleOriginRealm = [8]byte{2: OriginRealm >> 8, 3: OriginRealm & 0xff, 4: byte(AVPMandatory), 7: 8}
)

// least gives the least octets that the value of an AVP may have, as far as a hub
// knows.
func least(code, vendor uint32) int {
	p := placeOf(code, vendor)
	if k := Known(p&^isGroup) - 1; p != 0 && (k > KnownUserName && k <= lastJudged || k == KnownResultCode) {
		return 4
	}
	if vendor != 0 {
		return 0
	}
	switch code {
	case AuthApplicationID, AcctApplicationID, VendorID, SupportedVendorID, FirmwareRevision, InbandSecurityID,
		DisconnectCause, ExperimentalResultCode, SessionTimeout, EventTimestamp, AuthRequestType, RedirectHostUsage,
		RedirectMaxCacheTime, SessionBinding, AccountingRealtimeRequired:
		return 4
	case HostIPAddress:
		return 6
	}
	return 0
}
