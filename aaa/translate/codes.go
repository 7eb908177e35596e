package translate

import "github.com/roamgate/roamgate/pkg/diameter"

// AVPs of NASREQ, of EAP and of what comes with them that have no attribute of the
// same number.
const (
	avpNASFilterRule       = 400
	avpTunneling           = 401
	avpCHAPAuth            = 402
	avpCHAPAlgorithm       = 403
	avpCHAPIdent           = 404
	avpCHAPResponse        = 405
	avpOriginAAAProtocol   = 408
	avpEAPPayload          = 462
	avpEAPReissuedPayload  = 463
	avpEAPMasterSessionKey = 464
	avpEAPAuthMethod       = 465
	avpMobileNodeID        = 506

	avpInputOctets  = 363
	avpOutputOctets = 364
	avpInputPackets = 365
	avpOutPackets   = 366

	avpMultiRoundTimeOut     = 272
	avpReAuthRequestType     = 285
	avpAuthorizationLifetime = 291
	avpTerminationCause      = 295
)

// avpHeaderLen is that of an AVP without a vendor.
const avpHeaderLen = 8

// AVPs of 3GPP (TS 29.273, TS 29.272).
const (
	tgppVisitedNetwork = 600
	tgppRATType        = diameter.TGPPRATType
	tgppANID           = 1504
	tgppAPNConfig      = 1430
	tgppAMBR           = 1435
	tgppMaxDown        = 515
	tgppMaxUp          = 516

	ratWLAN = 0
)

// Attributes of RADIUS that pkg/radius has no name for.
const (
	attrFramedMTU   = 12
	attrLastPlain   = 240
	attrFirstLong   = 245
	attrLastLong    = 246
	wisprMaxUp      = 7
	wisprMaxDown    = 8
	serviceAuthOnly = 8  // Authenticate-Only
	serviceAuthorze = 17 // Authorize-Only
)

// Values of Auth-Request-Type (RFC 6733 section 8.7) and Re-Auth-Request-Type (8.12).
const (
	authenticateOnly      = 1
	authorizeOnly         = 2
	authorizeAuthenticate = 3

	reAuthorizeOnly         = 0
	reAuthorizeAuthenticate = 1
)

// Values of Accounting-Record-Type (RFC 6733 section 9.8.1) and of Acct-Status-Type
// (RFC 2866 section 5.1).
const (
	recordEvent   = 1
	recordStart   = 2
	recordInterim = 3
	recordStop    = 4

	statusStart   = 1
	statusStop    = 2
	statusInterim = 3
	statusOn      = 7
	statusOff     = 8
)

// stateMaintained and noStateMaintained are Auth-Session-State (RFC 6733 section 8.11).
const noStateMaintained = 1

// carriage is how an attribute of RADIUS below 241 becomes an AVP.
type carriage uint8

const (
	asIs    carriage = iota // an AVP of the same code, whatever its length
	four                    // likewise, of four octets
	eight                   // of eight
	sixteen                 // of sixteen
	apart                   // has another form or is the translator's own
	never                   // ends here
)

// carriages are those of all attributes (RFC 4005 section 9.4 has those that are never
// copied; the lengths are those of their types).
var carriages = [256]carriage{
	0: never,
	2: apart, 3: apart, // User-Password, CHAP-Password
	4: four, 5: four, 6: apart, 7: four, 8: four, 9: four, 10: four, 12: four, 13: four, 14: four, 15: four, 16: four,
	17: never, 21: never, 23: four,
	24: apart, 25: apart, 26: apart, 27: apart, 28: four, 29: apart,
	33: never, // Proxy-State is of the hop
	37: four, 38: four,
	40: apart, 41: four, 42: apart, 43: apart, 45: four, 46: four, 47: apart, 48: apart, 49: apart, 51: four, 52: apart, 53: apart,
	55: apart, 56: four, 57: four, 61: four, 62: four,
	64: apart, 65: apart, 66: apart, 67: apart, 69: apart,
	72: four, 73: four, 75: four, 76: four, 79: apart, 80: never,
	81: apart, 82: apart, 83: apart, 85: four, 86: four, 90: apart, 91: apart, 92: apart,
	95: sixteen, 96: eight, 98: sixteen, 101: apart, 102: apart, 131: four, 132: four,
	168: sixteen, 169: sixteen,
}

// mandatory are the AVPs below 256 of the base protocol and of NASREQ, which have the M
// bit. What Diameter has no definition of goes without it, so that nobody must know it.
var mandatory = set(1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 22, 23, 24, 25, 27, 28, 30, 31, 32, 34, 35, 36, 37, 38, 39,
	41, 44, 45, 46, 50, 51, 55, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 81, 82, 83, 84, 85, 86, 87, 88,
	90, 91, 94, 95, 96, 97, 98, 99, 100, 102)

// joined are the attributes whose values go on in the next one of their kind, so that a
// long value can be cut (RFC 4005 section 9.5).
var joined = set(18, 77)

// ends are AVPs of 256 and above without a vendor that are dealt with apart, or are of
// the hop or the session of Diameter alone. What is neither and has the M bit cannot be
// translated.
var ends = func() (s [256]bool) {
	for _, code := range []int{
		257, 258, 259, 260, 261, 262, 263, 264, 265, 266, 267, 268, 269, 270, 271, 272, 273, 274, 276, 277, 278, 279, 280, 281, 282, 283, 284, 285, 287,
		291, 292, 293, 294, 295, 296, 297, 298, 299, 301, 363, 364, 365, 366, 400, 401, 402, 403, 404, 405, 406, 408, 443, 458, 462, 463, 464, 465, 480, 483, 485, 506,
	} {
		s[code-256] = true
	}
	return s
}()

func set(codes ...uint8) (s [256]bool) {
	for _, c := range codes {
		s[c] = true
	}
	return s
}

// flagsOf are those of an AVP that was an attribute.
func flagsOf(code uint8) diameter.AVPFlags {
	if mandatory[code] {
		return diameter.AVPMandatory
	}
	return 0
}
