package accounting

// Kind is what an Accounting-Request reports; the values of the five known
// kinds are those of Acct-Status-Type (RFC 2866 section 5.1).
type Kind uint8

const (
	Start       Kind = 1
	Stop        Kind = 2
	Interim     Kind = 3
	On          Kind = 7
	Off         Kind = 8
	Quarantined Kind = 255 // kept and forwarded, never billed; Reason says why
)

// String gives the name used in the JSON view and in counters.
func (k Kind) String() string {
	switch k {
	case Start:
		return "start"
	case Stop:
		return "stop"
	case Interim:
		return "interim"
	case On:
		return "on"
	case Off:
		return "off"
	case Quarantined:
		return "quarantined"
	}
	return "unknown"
}

// ParseKind reads the name that String gives.
func ParseKind(name []byte) (Kind, bool) {
	for _, k := range kindBits {
		if k.String() == string(name) {
			return k, true
		}
	}
	return 0, false
}

// valid says whether k may stand in a record.
func (k Kind) valid() bool {
	switch k {
	case Start, Stop, Interim, On, Off, Quarantined:
		return true
	}
	return false
}

// Kinds is a set of kinds.
type Kinds uint8

// kindBits gives each kind its bit; the order is part of the spool format.
var kindBits = [...]Kind{Start, Stop, Interim, On, Off, Quarantined}

// AllKinds holds every kind.
const AllKinds Kinds = 1<<len(kindBits) - 1

// KindsOf returns the set of ks.
func KindsOf(ks ...Kind) Kinds {
	var s Kinds
	for _, k := range ks {
		for i, b := range kindBits {
			if b == k {
				s |= 1 << i
			}
		}
	}
	return s
}

// Has says whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s&KindsOf(k) != 0 }

// Reason says why a request is quarantined: it is stored and forwarded as
// any other, but clearing must not bill it.
type Reason uint8

const (
	NotQuarantined       Reason = iota
	NoStatusType                // no Acct-Status-Type
	BadStatusType               // Acct-Status-Type is zero, not four octets, or there are several that differ
	UnknownStatus               // a value we have no rule for: tunnel and link records, Failed, private values
	NoSessionID                 // no Acct-Session-Id, or an empty one
	ManySessionIDs              // several Acct-Session-Id that differ: whose counters are these?
	NoIdentity                  // none of User-Name, Chargeable-User-Identity, Class
	Credentials                 // User-Password or CHAP-Password in accounting (RFC 2866 section 4.1)
	Malformed                   // the attributes do not fill the packet
	NoRoute                     // no rule for the realm, or a User-Name that is no NAI
	ScopeDenied                 // the routes that match are for clients of other groups
	RealmNotAllowed             // the client may not send the realm, or no home takes it
	TransitDenied               // no contract between the two federations
	Hairpin                     // it would go back to where it came from
	OperatorNameMismatch        // its Operator-Name is of an operator that the client does not speak for
	TooManyHops                 // it has been through too many proxies
	NoRecordNumber              // no Accounting-Record-Number or CC-Request-Number: which report of its session is it?
	reasons
)

var reasonNames = [reasons]string{
	"", "no_status_type", "bad_status_type", "unknown_status", "no_session_id",
	"many_session_ids", "no_identity", "credentials", "malformed", "no_route",
	"scope_denied", "realm_not_allowed", "transit_denied", "hairpin", "operator_name_mismatch",
	"too_many_hops", "no_record_number",
}

// String gives the counter label.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Reasons returns every reason a record can be quarantined for, so that
// counters can be registered before the first packet.
func Reasons() []Reason {
	rs := make([]Reason, 0, reasons-1)
	for r := NotQuarantined + 1; r < reasons; r++ {
		rs = append(rs, r)
	}
	return rs
}

// Flags are facts about a record that are not in its packet or that a reader
// should not have to derive.
type Flags uint16

const (
	FlagConflict     Flags = 1 << iota // same event as Header.Other, other content
	FlagForward                        // acknowledged by us: owed to the home (acknowledge: durable)
	FlagRedacted                       // credentials were overwritten with zeros before storing
	FlagArrivalTime                    // event time is arrival minus Acct-Delay-Time: no usable Event-Timestamp
	FlagBadAttribute                   // an attribute had a wrong length and was not used
	FlagNameCut                        // a name was longer than a record holds and was cut
	FlagFree                           // settlement-free: kept for statistics, never billed
	FlagSettled                        // a settled session: it is paid
	FlagRateDiffers                    // the packet names another rate than was agreed, which stands
	FlagOnce                           // one report is all of its session (EVENT_RECORD, EVENT_REQUEST)
	FlagNoDirection                    // octets without a direction are among the output
	flagsEnd
)
