package agent

import "github.com/roamgate/roamgate/pkg/diameter"

// Reason says why a request was answered here instead of by a peer, or a message went
// no further. The set is closed: it is the value of the `reason` label.
type Reason uint8

// The reasons. Those of messages that are not as they should be follow, as
// diameter.Fault has them.
const (
	OK Reason = iota
	ApplicationBase
	ForUs
	NotProxiable
	NoDestinationRealm
	HostWithoutRealm
	BadDestination
	Loop
	PeerRemoved
	NoRoute
	ScopeDenied
	RealmNotAllowed
	TransitDenied
	RouteRejects
	Redirected
	BadName
	NoPool
	PeersDown
	ApplicationNotServed
	Hairpin
	HostAway
	Busy
	RateExceeded
	Overloaded
	Timeout
	PeerLost
	NoSlot
	TooLong
	Screened
	Denied
	NotRecorded
	// Of messages that went no further.
	Dropped
	LateAnswer
	OtherEndToEnd
	BadAnswer
	SenderGone
	SenderStalled
	numOwnReasons
)

const numReasons = int(numOwnReasons) + int(diameter.NumFaults)

var reasonTexts = [numOwnReasons]struct {
	label  string
	result uint32 // of the answer that is due, 0: none is, or it depends
	text   string
}{
	OK:                   {"ok", 0, "it goes on"},
	ApplicationBase:      {"application_base", diameter.ResultApplicationUnsupported, "the application of the base protocol, or of relays, is not one of a request that is routed"},
	ForUs:                {"for_us", diameter.ResultCommandUnsupported, "it is addressed to the agent itself, which serves no application"},
	NotProxiable:         {"not_proxiable", diameter.ResultCommandUnsupported, "it may not be forwarded, and the agent serves no application"},
	NoDestinationRealm:   {"no_destination_realm", diameter.ResultMissingAVP, "it has no Destination-Realm"},
	HostWithoutRealm:     {"host_without_realm", diameter.ResultUnableToDeliver, "it has a Destination-Host and no Destination-Realm"},
	BadDestination:       {"bad_destination", diameter.ResultInvalidAVPValue, "its destination is no name"},
	Loop:                 {"loop", diameter.ResultLoopDetected, "it has been here already"},
	PeerRemoved:          {"peer_removed", diameter.ResultUnknownPeer, "the peer is in the files no more, and takes leave"},
	NoRoute:              {"no_route", diameter.ResultRealmNotServed, "no route takes it"},
	ScopeDenied:          {"scope_denied", diameter.ResultRealmNotServed, "the routes that match are for peers of other groups"},
	RealmNotAllowed:      {"realm_not_allowed", diameter.ResultRealmNotServed, "the peer may not send this realm, or no peer of the pool takes it"},
	TransitDenied:        {"transit_denied", diameter.ResultRealmNotServed, "no contract lets the sender's federation use the home's"},
	RouteRejects:         {"route_rejects", 0, "the route rejects it"},
	Redirected:           {"redirected", diameter.ResultRedirectIndication, "the route says where to ask"},
	BadName:              {"bad_name", diameter.ResultInvalidAVPValue, "its User-Name is no network access identifier"},
	NoPool:               {"no_pool", diameter.ResultUnableToDeliver, "the route has nobody to send it to"},
	PeersDown:            {"peers_down", diameter.ResultUnableToDeliver, "no peer that could have it is connected"},
	ApplicationNotServed: {"application_not_served", diameter.ResultUnableToDeliver, "no connected peer serves the application"},
	Hairpin:              {"hairpin", diameter.ResultUnableToDeliver, "whoever could have it has had it"},
	HostAway:             {"host_away", diameter.ResultUnableToDeliver, "its Destination-Host is not connected, and no agent is left that could know it"},
	Busy:                 {"busy", diameter.ResultTooBusy, "the peers have enough to do"},
	RateExceeded:         {"rate_exceeded", diameter.ResultTooBusy, "the peer sends more than it may"},
	Overloaded:           {"overloaded", diameter.ResultTooBusy, "the destination has reported overload"},
	Timeout:              {"timeout", diameter.ResultUnableToDeliver, "no answer came in time"},
	PeerLost:             {"peer_lost", diameter.ResultUnableToDeliver, "the connection that had it was lost, and nobody else could have it"},
	NoSlot:               {"no_slot", diameter.ResultTooBusy, "too many requests are under way"},
	TooLong:              {"too_long", diameter.ResultUnableToComply, "it would be too long with the Route-Record"},
	Screened:             {"screened", 0, "screening refuses it"},
	Denied:               {"denied", 0, "the device policy refuses it"},
	NotRecorded:          {"not_recorded", 0, "its record could not be kept"},
	Dropped:              {"dropped", 0, "screening drops it"},
	LateAnswer:           {"late_answer", 0, "nobody waits for the answer any more, or nobody has asked"},
	OtherEndToEnd:        {"other_end_to_end", 0, "the answer has another End-to-End Identifier than the request"},
	BadAnswer:            {"bad_answer", diameter.ResultUnableToDeliver, "the answer cannot be read"},
	SenderGone:           {"sender_gone", 0, "whoever asked is gone"},
	SenderStalled:        {"sender_stalled", 0, "whoever asked takes too little of what is sent to it"},
}

func ofFault(f diameter.Fault) Reason { return numOwnReasons + Reason(f) }

// String is the label value.
func (r Reason) String() string {
	switch {
	case r < numOwnReasons:
		return reasonTexts[r].label
	case int(r) < numReasons:
		return "malformed_" + diameter.Fault(r-numOwnReasons).String()
	}
	return "unknown"
}

// Text says it for people.
func (r Reason) Text() string {
	if r < numOwnReasons {
		return reasonTexts[r].text
	}
	return faultTexts[r-numOwnReasons]
}

// faultTexts are made once: a bad message costs no memory.
var faultTexts = func() (texts [diameter.NumFaults]string) {
	for f := range texts {
		texts[f] = "it is malformed: " + diameter.Fault(f).String()
	}
	return texts
}()

// Result is the Result-Code of the answer that is due, 0: none is, or another says.
func (r Reason) Result() uint32 {
	switch {
	case r < numOwnReasons:
		return reasonTexts[r].result
	case int(r) < numReasons:
		return diameter.Fault(r - numOwnReasons).Result()
	}
	return 0
}

// Reasons is the closed set, without OK.
func Reasons() []Reason {
	var rs []Reason
	for r := OK + 1; int(r) < numReasons; r++ {
		if r != ofFault(diameter.NoFault) {
			rs = append(rs, r)
		}
	}
	return rs
}
