package device

// Reason says why a decision is as it is. The set is closed; String gives the
// label of counters and records.
type Reason uint8

// The reasons. Those from Blocked on come from a profile or device found.
const (
	OK             Reason = iota
	NoIdentity            // nothing in the request names the device
	UnknownDevice         // the store answered: no such device
	StoreAway             // nobody could answer in time
	MalformedValue        // the store's value for the device cannot be used
	ProfileMissing        // the device refers to a profile that is not there
	Blocked               // the device itself is blocked
	Denied                // its profile denies
	NotYetValid
	Expired
	OperatorNotAllowed
	CountryNotAllowed
	AccessTypeNotAllowed
	VolumeCap
	TooManyAttempts
	NetworkNotAllowed   // not this mobile network
	EquipmentNotAllowed // not in this equipment, by its IMEI
	RoamingTooLong      // longer in one country than its profile allows
	NumReasons          // how many there are
)

var reasons = [NumReasons]struct{ name, text string }{
	OK:                   {"ok", ""},
	NoIdentity:           {"no_identity", "the request does not name the device"},
	UnknownDevice:        {"unknown_device", "the device is not known"},
	StoreAway:            {"store_away", "the device policy cannot be read now"},
	MalformedValue:       {"malformed_value", "the device policy cannot be read"},
	ProfileMissing:       {"profile_missing", "the device policy is incomplete"},
	Blocked:              {"blocked", "the device is blocked"},
	Denied:               {"denied", "the device may not roam"},
	NotYetValid:          {"not_yet_valid", "the device's service has not begun"},
	Expired:              {"expired", "the device's service has ended"},
	OperatorNotAllowed:   {"operator_not_allowed", "the device may not use this operator"},
	CountryNotAllowed:    {"country_not_allowed", "the device may not be used in this country"},
	AccessTypeNotAllowed: {"access_type_not_allowed", "the device may not use this access type"},
	VolumeCap:            {"volume_cap", "the device has used its volume of today"},
	TooManyAttempts:      {"too_many_attempts", "the device attaches too often"},
	NetworkNotAllowed:    {"network_not_allowed", "the device may not use this network"},
	EquipmentNotAllowed:  {"equipment_not_allowed", "the device may not be used in this equipment"},
	RoamingTooLong:       {"roaming_too_long", "the device has been abroad for too long"},
}

// String is the counter label of r.
func (r Reason) String() string {
	if r < NumReasons {
		return reasons[r].name
	}
	return "unknown"
}

// Text is what an operator may read in Reply-Message. It names no device and no
// profile.
func (r Reason) Text() string {
	if r < NumReasons {
		return reasons[r].text
	}
	return ""
}

// Outcome is what the caller does next.
type Outcome uint8

// The outcomes.
const (
	Allow       Outcome = iota // go on; Profile may be nil where the realm lets unknown devices pass
	Deny                       // reject with Reason
	Miss                       // not known here: Fetch, then ask again
	Unknown                    // known to be unknown, and the realm refuses those
	Unavailable                // nobody knows, and the realm fails closed
	numOutcomes
)

var outcomes = [numOutcomes]string{"allow", "deny", "miss", "unknown", "unavailable"}

// String is the counter label of o.
func (o Outcome) String() string {
	if o < numOutcomes {
		return outcomes[o]
	}
	return "unknown"
}
