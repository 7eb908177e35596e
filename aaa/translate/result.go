package translate

import (
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// Error-Causes (RFC 5176 section 3.5).
const (
	causeInvalidEAP     = 202
	causeUnsupportedAVP = 401
	causeMissing        = 402
	causeWrongNAS       = 403
	causeInvalidRequest = 404
	causeNoService      = 405
	causeNoExtension    = 406
	causeBadValue       = 407
	causeProhibited     = 501
	causeNotRoutable    = 502
	causeNoSession      = 503
	causeNotRemovable   = 504
	causeNoResources    = 506
	causeInitiated      = 507
)

// resultOf gives the Result-Code of an answer, or that of its Experimental-Result; 0:
// it has none.
func resultOf(m *diameter.Message) (code uint32, experimental bool) {
	if v, ok := m.Uint32(diameter.KnownResultCode); ok {
		return v, false
	}
	if group := m.Value(diameter.KnownExperimentalResult); group != nil {
		var a diameter.AVP
		if diameter.Find(group, diameter.ExperimentalResultCode, 0, &a) {
			if v, ok := a.Uint32(); ok {
				return v, true
			}
		}
	}
	return 0, false
}

// succeeded reports whether a result says that what was asked for is done.
func succeeded(code uint32) bool { return code/1000 == 2 }

// replyCode is the answer of RADIUS that an authentication ends with.
func replyCode(result uint32, experimental bool) radius.Code {
	switch {
	case result == diameter.ResultMultiRoundAuth && !experimental:
		return radius.AccessChallenge
	case succeeded(result):
		return radius.AccessAccept
	}
	return radius.AccessReject
}

// causeOf is the Error-Cause of a result that is no success, 0: none.
func causeOf(result uint32, experimental bool) uint32 {
	if experimental {
		return 0 // a number of a vendor's
	}
	switch result {
	case diameter.ResultAVPUnsupported:
		return causeUnsupportedAVP
	case diameter.ResultMissingAVP:
		return causeMissing
	case diameter.ResultUnableToComply:
		return causeInvalidRequest
	case diameter.ResultApplicationUnsupported:
		return causeNoService
	case diameter.ResultCommandUnsupported:
		return causeNoExtension
	case diameter.ResultInvalidAVPValue:
		return causeBadValue
	case diameter.ResultAVPNotAllowed:
		return causeProhibited
	case diameter.ResultRealmNotServed, diameter.ResultLoopDetected, diameter.ResultUnknownPeer, diameter.ResultUnableToDeliver:
		return causeNotRoutable
	case diameter.ResultUnknownSessionID:
		return causeNoSession
	case diameter.ResultTooBusy, diameter.ResultOutOfSpace:
		return causeNoResources
	}
	return 0
}

// protestOf is the Error-Cause of a record that was not taken: it may be sent again, but
// for a failure that is permanent (RFC 6733 section 7.1.5). UNABLE_TO_COMPLY is none: an
// agent says it where the home has too much to do (RFC 7683 section 8).
func protestOf(result uint32, experimental bool) uint32 {
	if result/1000 != 5 || result == diameter.ResultUnableToComply && !experimental {
		return causeNoResources
	}
	if cause := causeOf(result, experimental); cause != 0 && cause != causeNotRoutable && cause != causeNoResources {
		return cause
	}
	return causeInvalidRequest
}

// rejection is the Result-Code of an Access-Reject: of a request that only asks what it
// may, that it may not. Where nobody has judged the user the Error-Cause says so, and the
// NAS may ask again.
func rejection(kind, cause uint32) uint32 {
	switch {
	case cause == causeNotRoutable:
		return diameter.ResultUnableToDeliver
	case cause == causeNoResources:
		return diameter.ResultTooBusy
	case kind == authorizeOnly, cause == causeProhibited:
		return diameter.ResultAuthorizationRejected
	}
	return diameter.ResultAuthenticationRejected
}
