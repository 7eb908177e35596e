package wba

import (
	"bytes"
	"slices"
)

// RejectReason is why a request was rejected. The WBA has it stand in
// Reply-Message behind a NUL, where people and old software do not look.
type RejectReason uint8

// The reasons: 10 and above are the user's, 20 the home's, 30 the request's; 40
// and above last, 50 and above do not.
const (
	AuthenticationFailed  RejectReason = 10
	BadIdentity           RejectReason = 11
	CertificateExpired    RejectReason = 12
	ServerUnavailable     RejectReason = 20
	BackendUnavailable    RejectReason = 21
	Timeout               RejectReason = 22
	MalformedRequest      RejectReason = 30
	NoChargingModel       RejectReason = 31
	NoLocation            RejectReason = 32
	NotAllowed            RejectReason = 40
	NoSubscription        RejectReason = 41
	RoamingNotAllowed     RejectReason = 42
	ModelNotAcceptable    RejectReason = 43
	LocationNotAcceptable RejectReason = 44
	TierNotAcceptable     RejectReason = 45
	NotNow                RejectReason = 50
)

var rejectReasons = []RejectReason{
	AuthenticationFailed, BadIdentity, CertificateExpired, ServerUnavailable, BackendUnavailable, Timeout,
	MalformedRequest, NoChargingModel, NoLocation, NotAllowed, NoSubscription, RoamingNotAllowed,
	ModelNotAcceptable, LocationNotAcceptable, TierNotAcceptable, NotNow, 51, 52, // the WBA's texts of the last two are not public
}

// RejectReasons returns those that are known.
func RejectReasons() []RejectReason { return slices.Clone(rejectReasons) }

const rejectWord = "\x00Reject-Reason="

// RejectLen is what a RejectReason adds to a text.
const RejectLen = len(rejectWord) + 2

// AppendReject writes what stands behind the text of a Reply-Message. hot: 0
// allocs where dst has room
func (r RejectReason) AppendReject(dst []byte) []byte {
	return append(append(dst, rejectWord...), '0'+byte(r)/10%10, '0'+byte(r)%10)
}

// ReadReject finds the reason in a Reply-Message. What is behind the first NUL
// must be the reason alone. hot: 0 allocs
func ReadReject(v []byte) (RejectReason, bool) {
	at := bytes.IndexByte(v, 0)
	if at < 0 || len(v)-at != RejectLen || string(v[at:at+len(rejectWord)]) != rejectWord {
		return 0, false
	}
	tens, ones := v[len(v)-2], v[len(v)-1]
	if tens < '1' || tens > '9' || ones < '0' || ones > '9' {
		return 0, false
	}
	return RejectReason((tens-'0')*10 + ones - '0'), true
}
