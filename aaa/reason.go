package aaa

import (
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
)

// Reason says why a packet was dropped or answered here instead of by a
// home. The set is closed: it is the value of the `reason` label.
//
// Reasons of radius, nai and device keep their own numbers inside their own
// range, so that a room names what it found and nobody translates.
type Reason uint16

// Reasons found by the pipeline itself.
const (
	OK Reason = iota
	UnknownClient
	CodeNotServed
	BadMessageAuthenticator
	MissingMessageAuthenticator
	EAPWithoutMessageAuthenticator
	UnsignedProxyState
	BadRequestAuthenticator
	StatusWithoutMessageAuthenticator
	StatusWithPassword
	StatusRate
	EAPWithPassword
	ConflictingDuplicate
	Displaced
	Overload
	// ClientShare: the shard has more to do than it can, and this client
	// sends most of it.
	ClientShare
	SpoolUnavailable
	// PeerStalled: the answer does not leave, since the client takes too little
	// of what is sent to it over its connection.
	PeerStalled
	// HomeStalled: the home takes too little of what is sent to it over its
	// connection.
	HomeStalled
	// HomeProtests: the home answers that it cannot deal with the request
	// (Protocol-Error, RFC 7930 section 4).
	HomeProtests
	NoUserName
	SeveralUserNames
	Loop
	// LoopFingerprint: a request in flight has come back as a new one.
	LoopFingerprint
	ManyProxyStates
	HopsSpent
	ForgedProxyState
	NoRoute
	// ScopeDenied: the routes that match are for clients of other groups.
	ScopeDenied
	// RealmNotAllowed: the client may not send this realm, or no home of the
	// pool takes it.
	RealmNotAllowed
	// TransitDenied: no contract lets the client's federation use the home's.
	TransitDenied
	// Hairpin: every home of the pool has the address that the request came
	// from.
	Hairpin
	// OperatorNameMismatch: the Operator-Name is of an operator that the
	// client does not speak for, or there are several.
	OperatorNameMismatch
	// NoClearingProvider: the session is to be paid, and the visited network
	// names none that clears it, or several.
	NoClearingProvider
	// NoRate: likewise, and it offers no rate where no tariff was agreed on.
	NoRate
	// NotCleared: the home has accepted it without a clearing provider, or with
	// a rate that was not offered.
	NotCleared
	RouteRejects
	NoPool
	HomesDown
	HomeTimeout
	// RealmSilent: every home left for the request leaves its realm unanswered
	// while it answers others.
	RealmSilent
	NoIdentifier
	// HomeBusy: the home is given no more than it answers, and there was no
	// turn for this request in time.
	HomeBusy
	// NoPeer: DNS names no home for the realm that may be used.
	NoPeer
	// DiscoveryFailed: no DNS server could say in time.
	DiscoveryFailed
	// DiscoveryBusy: the client has caused too many look-ups, all have, or as
	// many homes are connected as may be.
	DiscoveryBusy
	ReplyTooLong
	// Reasons for replies of homes.
	UnknownHome
	LateReply
	BadResponseAuthenticator
	ReplyMissingMessageAuthenticator
	ReplyBadMessageAuthenticator
	ReplyCode
	// MissingProxyState: the home did not return our Proxy-State (counted,
	// not refused: the authenticator already ties the reply to the request).
	MissingProxyState
	numOwn
)

const (
	radiusReasons = Reason(64)
	naiReasons    = Reason(128)
	deviceReasons = Reason(192)
	numReasons    = 256
)

var ownReasons = [numOwn]string{
	OK:                                "ok",
	UnknownClient:                     "unknown_client",
	CodeNotServed:                     "code_not_served",
	BadMessageAuthenticator:           "bad_message_authenticator",
	MissingMessageAuthenticator:       "missing_message_authenticator",
	EAPWithoutMessageAuthenticator:    "eap_without_message_authenticator",
	UnsignedProxyState:                "unsigned_proxy_state",
	BadRequestAuthenticator:           "bad_request_authenticator",
	StatusWithoutMessageAuthenticator: "status_without_message_authenticator",
	StatusWithPassword:                "status_with_password",
	StatusRate:                        "status_rate",
	EAPWithPassword:                   "eap_with_password",
	ConflictingDuplicate:              "conflicting_duplicate",
	Displaced:                         "displaced",
	Overload:                          "overload",
	ClientShare:                       "client_share",
	SpoolUnavailable:                  "spool_unavailable",
	PeerStalled:                       "peer_stalled",
	HomeStalled:                       "home_stalled",
	HomeProtests:                      "home_protests",
	NoUserName:                        "no_user_name",
	SeveralUserNames:                  "several_user_names",
	Loop:                              "loop",
	LoopFingerprint:                   "loop_fingerprint",
	ManyProxyStates:                   "many_proxy_states",
	HopsSpent:                         "hops_spent",
	ForgedProxyState:                  "forged_proxy_state",
	NoRoute:                           "no_route",
	ScopeDenied:                       "scope_denied",
	RealmNotAllowed:                   "realm_not_allowed",
	TransitDenied:                     "transit_denied",
	Hairpin:                           "hairpin",
	OperatorNameMismatch:              "operator_name_mismatch",
	NoClearingProvider:                "no_clearing_provider",
	NoRate:                            "no_rate",
	NotCleared:                        "not_cleared",
	RouteRejects:                      "route_rejects",
	NoPool:                            "no_pool",
	HomesDown:                         "homes_down",
	HomeTimeout:                       "home_timeout",
	RealmSilent:                       "realm_silent",
	NoIdentifier:                      "no_identifier",
	HomeBusy:                          "home_busy",
	NoPeer:                            "no_peer",
	DiscoveryFailed:                   "discovery_failed",
	DiscoveryBusy:                     "discovery_busy",
	ReplyTooLong:                      "reply_too_long",
	UnknownHome:                       "unknown_home",
	LateReply:                         "late_reply",
	BadResponseAuthenticator:          "bad_response_authenticator",
	ReplyMissingMessageAuthenticator:  "reply_missing_message_authenticator",
	ReplyBadMessageAuthenticator:      "reply_bad_message_authenticator",
	ReplyCode:                         "reply_code",
	MissingProxyState:                 "missing_proxy_state",
}

// String is the label value: lower case words joined by underscores.
func (r Reason) String() string {
	switch {
	case r < numOwn:
		return ownReasons[r]
	case r >= deviceReasons:
		return device.Reason(r - deviceReasons).String()
	case r >= naiReasons:
		return naiLabels[r-naiReasons]
	case r >= radiusReasons:
		return radius.Reason(r - radiusReasons).String()
	}
	return "unknown"
}

// naiLabels say that it is the name which is too long, empty and so on: a
// packet can be that too.
var naiLabels = func() (l [deviceReasons - naiReasons]string) {
	for i := range l {
		l[i] = "name_" + nai.Reason(i).String()
	}
	return l
}()

// Reasons is the closed set, without OK.
func Reasons() []Reason {
	var rs []Reason
	for r := OK + 1; r < numOwn; r++ {
		rs = append(rs, r)
	}
	for _, r := range radius.Reasons() {
		rs = append(rs, ofRadius(r))
	}
	for _, r := range nai.Reasons() {
		rs = append(rs, ofNAI(r))
	}
	for r := device.OK + 1; r < device.NumReasons; r++ {
		rs = append(rs, ofDevice(r))
	}
	return rs
}

func ofRadius(r radius.Reason) Reason { return radiusReasons + Reason(r) }
func ofNAI(r nai.Reason) Reason       { return naiReasons + Reason(r) }
func ofDevice(r device.Reason) Reason { return deviceReasons + Reason(r) }

// ofPacket says whether the packet itself is the reason: another home or
// another time would change nothing.
func (r Reason) ofPacket() bool { return r >= radiusReasons && r < naiReasons }

// ofName says whether the User-Name is the reason, with what this configuration
// makes of it.
func (r Reason) ofName() bool { return r >= naiReasons && r < deviceReasons }

// Text is what a refused user's own network may read in Reply-Message: kind
// words, no detail that helps an attacker.
func (r Reason) Text() string {
	switch r {
	case NoRoute, ScopeDenied, RealmNotAllowed, TransitDenied:
		return "no roaming agreement for this realm"
	case NoPool, HomesDown, HomeTimeout, RealmSilent, NoIdentifier, HomeStalled, HomeProtests:
		return "the home network does not answer"
	case NoPeer:
		return "the home network of this realm cannot be found"
	case Overload, HomeBusy, SpoolUnavailable, DiscoveryFailed, DiscoveryBusy:
		return "try again later"
	case OperatorNameMismatch:
		return "the operator is not known at this network"
	case NoClearingProvider:
		return "a settled session names one clearing provider"
	case NoRate:
		return "a settled session needs a rate or a tariff"
	case NotCleared:
		return "the home network does not clear the session"
	case Loop, LoopFingerprint, ManyProxyStates, HopsSpent, Hairpin:
		return "the request would go round in a circle"
	}
	switch {
	case r >= deviceReasons:
		return device.Reason(r - deviceReasons).Text()
	case r >= naiReasons, r == NoUserName, r == SeveralUserNames:
		return "the user name is not a network access identifier"
	}
	return ""
}

// ErrorCause is the RFC 5176 section 3.5 value that goes with a reject, 0
// for none.
func (r Reason) ErrorCause() uint32 {
	switch r {
	case NoRoute, ScopeDenied, RealmNotAllowed, TransitDenied, Hairpin, NoPool, HomesDown, HomeTimeout, RealmSilent, NoIdentifier,
		HomeStalled, HomeProtests, NoPeer, DiscoveryFailed, DiscoveryBusy, Loop, LoopFingerprint, ManyProxyStates, HopsSpent:
		return 502 // Request Not Routable (Proxy)
	case OperatorNameMismatch:
		return 407 // Invalid Attribute Value
	case NoClearingProvider, NoRate:
		return 402 // Missing Attribute
	case NotCleared:
		return 501 // Administratively Prohibited
	case Overload, ofDevice(device.StoreAway):
		return 506 // Resources Unavailable
	}
	return 0
}
