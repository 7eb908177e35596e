package dynauth

// Reason says why a packet was dropped, or answered with a NAK of the hub's
// own. The set is closed: it is the value of a label.
type Reason uint8

const (
	OK Reason = iota
	// Silently discarded:
	Stranger                // no home sends from this address
	Malformed               // its lengths are wrong
	CodeNotServed           // neither CoA-Request nor Disconnect-Request
	BadAuthenticator        // wrong secret, or forged
	BadMessageAuthenticator // the same
	NoMessageAuthenticator  // and the home must send one
	Stale                   // Event-Timestamp is not of these minutes
	Repeated                // the first copy is on its way
	Overload                // too many are on their way
	NoIdentifier            // too many to this client
	LateReply               // a client's answer to nothing
	BadReply                // a client's answer that is not authentic
	// Answered with a NAK:
	Invalid        // several of what may stand once, or unreadable
	NoRoute        // no client with this Operator-Name takes requests
	NoSession      // no Operator-Name, and the session is not known
	ReversePath    // the realm is not routed to the sender
	Ended          // the session is over
	OtherSession   // the session is of another user, home or client
	Ambiguous      // several sessions, at several clients
	UnknownNAS     // Operator-NAS-Identifier missing or not one of ours
	Loop           // it has been here, or through too many hops
	Administrative // would open the visited network's equipment
	Filtered       // refused by a filter
	TooLong        // does not fit with what this hop adds
	Silent         // the client does not answer
	reasons
)

// The values of Error-Cause that are used here (RFC 5176 section 3.5).
const (
	causeNAS          = 403 // NAS Identification Mismatch
	causeInvalid      = 404 // Invalid Request
	causeProhibited   = 501 // Administratively Prohibited
	causeNotRoutable  = 502 // Request Not Routable (Proxy)
	causeNoSession    = 503 // Session Context Not Found
	causeProxy        = 505 // Other Proxy Processing Error
	causeManySessions = 508 // Multiple Session Selection Unsupported
	causeTooBig       = 601 // Response Too Big (RFC 7930), here the request
	lastSilent        = BadReply
)

var reasonTexts = [reasons]struct {
	label string
	text  string
	cause uint32
}{
	OK:                      {"ok", "is sent on", 0},
	Stranger:                {"stranger", "no home sends from this address", 0},
	Malformed:               {"malformed", "the packet is malformed", 0},
	CodeNotServed:           {"code_not_served", "only CoA-Request and Disconnect-Request are taken", 0},
	BadAuthenticator:        {"bad_authenticator", "the Request Authenticator is wrong", 0},
	BadMessageAuthenticator: {"bad_message_authenticator", "the Message-Authenticator is wrong", 0},
	NoMessageAuthenticator:  {"missing_message_authenticator", "the Message-Authenticator is missing", 0},
	Stale:                   {"stale", "the Event-Timestamp is too far from now", 0},
	Repeated:                {"repeated", "the first copy is on its way", 0},
	Overload:                {"overload", "too many requests are on their way", 0},
	NoIdentifier:            {"no_identifier", "too many requests are on their way to the client", 0},
	LateReply:               {"late_reply", "an answer that nobody waits for", 0},
	BadReply:                {"bad_reply", "an answer that is not authentic", 0},
	Invalid:                 {"invalid", "an attribute stands several times or cannot be read", causeInvalid},
	NoRoute:                 {"no_route", "no client with this Operator-Name takes CoA", causeNotRoutable},
	NoSession:               {"no_session", "there is no Operator-Name, and the session is not known", causeNotRoutable},
	ReversePath:             {"reverse_path", "the user's realm is not routed to the home", causeNotRoutable},
	Ended:                   {"ended", "the session is over", causeNoSession},
	OtherSession:            {"other_session", "the session is of another user, home or client", causeNoSession},
	Ambiguous:               {"ambiguous", "there are several such sessions at several clients", causeManySessions},
	UnknownNAS:              {"unknown_nas", "the Operator-NAS-Identifier is missing or unknown", causeNAS},
	Loop:                    {"loop", "the request has been here or through too many hops", causeNotRoutable},
	Administrative:          {"administrative", "the Service-Type would open the visited network's equipment", causeProhibited},
	Filtered:                {"filtered", "a filter refuses it", causeProhibited},
	TooLong:                 {"too_long", "the request is too long for another hop", causeTooBig},
	Silent:                  {"silent", "the client does not answer", causeProxy},
}

// String is the label of r.
func (r Reason) String() string { return reasonTexts[r].label }

// Text says it for people.
func (r Reason) Text() string { return reasonTexts[r].text }

// ErrorCause is what the NAK carries, 0 where there is none.
func (r Reason) ErrorCause() uint32 { return reasonTexts[r].cause }

// Dropped reports whether nothing is answered.
func (r Reason) Dropped() bool { return r != OK && r <= lastSilent }

// Reasons is the closed set, without OK.
func Reasons() []Reason {
	all := make([]Reason, 0, reasons-1)
	for r := OK + 1; r < reasons; r++ {
		all = append(all, r)
	}
	return all
}
