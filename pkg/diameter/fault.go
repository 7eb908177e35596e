package diameter

// Fault says what is wrong with a message. The set is closed.
type Fault uint8

// The faults. Those up to TooLong lose the frame: nothing that follows can be read.
const (
	NoFault          Fault = iota
	BadLength              // a Message Length that no message has
	TooLong                // more than MaxLen octets
	BadVersion             // not version 1
	BadBits                // a request with the E bit (RFC 6733 section 3)
	BadAVPLength           // an AVP shorter than its header, or longer than what it stands in
	TooManyAVPs            // more than MaxAVPs
	TooDeep                // groups in groups beyond MaxDepth
	NoSessionID            // a command with sessions has none
	ManySessionIDs         // more than one of an AVP that comes once: Session-Id
	ManyOrigins            // Origin-Host or Origin-Realm twice
	ManyDestinations       // Destination-Host or Destination-Realm twice
	NoOriginHost
	NoOriginRealm
	BadValue   // a value that its type cannot have: an identity with octets that no name has
	BadAVPSize // an integer of another size
	NumFaults
)

var faultTexts = [NumFaults]struct {
	text   string
	result uint32
}{
	NoFault:          {"none", ResultSuccess},
	BadLength:        {"message_length", ResultInvalidMessageLength},
	TooLong:          {"message_too_long", ResultInvalidMessageLength},
	BadVersion:       {"version", ResultUnsupportedVersion},
	BadBits:          {"header_bits", ResultInvalidHdrBits},
	BadAVPLength:     {"avp_length", ResultInvalidAVPLength},
	TooManyAVPs:      {"too_many_avps", ResultInvalidAVPLength},
	TooDeep:          {"too_deep", ResultInvalidAVPLength},
	NoSessionID:      {"no_session_id", ResultMissingAVP},
	ManySessionIDs:   {"session_id_twice", ResultAVPOccursTooManyTimes},
	ManyOrigins:      {"origin_twice", ResultAVPOccursTooManyTimes},
	ManyDestinations: {"destination_twice", ResultAVPOccursTooManyTimes},
	NoOriginHost:     {"no_origin_host", ResultMissingAVP},
	NoOriginRealm:    {"no_origin_realm", ResultMissingAVP},
	BadValue:         {"value", ResultInvalidAVPValue},
	BadAVPSize:       {"avp_size", ResultInvalidAVPLength},
}

// String is the label of counters.
func (f Fault) String() string { return faultTexts[f].text }

// Result is the Result-Code of the answer that is due.
func (f Fault) Result() uint32 { return faultTexts[f].result }

// Closes reports whether the connection is of no more use: the frame is lost, or the
// peer speaks another version, of whose frame we know nothing.
func (f Fault) Closes() bool { return f.Unframed() || f == BadVersion }

// Unframed reports whether the frame is lost with it.
func (f Fault) Unframed() bool { return f == BadLength || f == TooLong }
