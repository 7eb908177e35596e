package translate

import "github.com/roamgate/roamgate/pkg/diameter"

// Reason says why something cannot be translated. The set is closed; String gives the
// label under which it is counted.
type Reason uint8

// The reasons.
const (
	OK           Reason = iota
	NoRoom              // it is longer than a packet or the room
	Unserved            // no code or command that is translated
	BadState            // a State that is not ours, or of another session
	NoName              // it names no user and no session
	NoRealm             // nothing says whose it is
	LongValue           // a value that no attribute holds and that may not be cut
	Unknown             // an AVP that must be understood and that RADIUS has no place for
	BadValue            // a value that its type cannot have
	NoStatus            // accounting that is neither a start, an interim nor a stop
	NotSupported        // RADIUS has it, and Diameter not, or the other way round
	Missing             // an AVP without which nothing can be asked
	OtherSession        // an answer that speaks of another session
	reasons
)

var reasonTexts = [reasons]struct {
	text   string
	result uint32
}{
	OK:           {"ok", diameter.ResultSuccess},
	NoRoom:       {"no_room", diameter.ResultUnableToComply},
	Unserved:     {"unserved", diameter.ResultCommandUnsupported},
	BadState:     {"bad_state", diameter.ResultUnknownSessionID},
	NoName:       {"no_name", diameter.ResultMissingAVP},
	NoRealm:      {"no_realm", diameter.ResultRealmNotServed},
	LongValue:    {"long_value", diameter.ResultInvalidAVPLength},
	Unknown:      {"unknown_avp", diameter.ResultAVPUnsupported},
	BadValue:     {"bad_value", diameter.ResultInvalidAVPValue},
	NoStatus:     {"no_status", diameter.ResultInvalidAVPValue},
	NotSupported: {"not_supported", diameter.ResultUnableToComply},
	Missing:      {"missing_avp", diameter.ResultMissingAVP},
	OtherSession: {"other_session", diameter.ResultUnableToDeliver},
}

// String is the label of counters.
func (r Reason) String() string { return reasonTexts[r].text }

// Result is the Result-Code of the answer that is due to a request of Diameter.
func (r Reason) Result() uint32 { return reasonTexts[r].result }

// Reasons are all of them but OK.
func Reasons() []Reason {
	all := make([]Reason, 0, reasons-1)
	for r := OK + 1; r < reasons; r++ {
		all = append(all, r)
	}
	return all
}
