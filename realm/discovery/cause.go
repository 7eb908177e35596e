package discovery

// Cause is why no peer of a realm can be asked. The set is closed; String is
// the label of counters.
type Cause uint8

// The causes.
const (
	OK        Cause = iota
	BadRealm        // it is no name that DNS can be asked for
	NoPeer          // the zone names none for the service
	NoAddress       // the hosts that it names have no address
	Blocked         // it names some, and none may be used
	Self            // it names us
	Timeout         // there was no end within the time for it
	Failed          // no DNS server could say
	NoRoom          // as many peers as allowed are connected
	OverQuota       // the client has caused too many look-ups
	Busy            // all clients have
	causes
)

var causeNames = [causes]string{
	OK: "found", BadRealm: "bad_realm", NoPeer: "no_peer", NoAddress: "no_address", Blocked: "blocked", Self: "self",
	Timeout: "timeout", Failed: "failed", NoRoom: "no_room", OverQuota: "over_quota", Busy: "busy",
}

var causeTexts = [causes]string{
	OK:        "found",
	BadRealm:  "the realm is no name that DNS can be asked for",
	NoPeer:    "the zone of the realm names no peer for the service",
	NoAddress: "the hosts that the zone names have no address",
	Blocked:   "the zone names peers, but none that may be used",
	Self:      "the zone names this hub itself: nobody else serves the realm",
	Timeout:   "DNS did not come to an end in time",
	Failed:    "no DNS server could answer",
	NoRoom:    "as many discovered peers as allowed are connected",
	OverQuota: "the client has caused too many look-ups",
	Busy:      "too many look-ups are under way",
}

// String is the counter label of c.
func (c Cause) String() string { return causeNames[c] }

// Text says it to people.
func (c Cause) Text() string { return causeTexts[c] }

// Causes returns all, for registering counters.
func Causes() []Cause {
	all := make([]Cause, 0, causes)
	for c := OK; c < causes; c++ {
		all = append(all, c)
	}
	return all
}

// Block is why something that a zone says is not used. The set is closed.
type Block uint8

// The blocks.
const (
	Used Block = iota
	BadName
	BadPort
	Loopback
	LinkLocal
	Private
	Multicast
	Reserved
	Metadata
	Own
	OtherService
	OtherFlag
	Regexp
	Round
	TooDeep
	TooMany
	NotServed
	blocks
)

var blockNames = [blocks]string{
	Used: "used", BadName: "bad_name", BadPort: "port", Loopback: "loopback", LinkLocal: "link_local", Private: "private",
	Multicast: "multicast", Reserved: "reserved", Metadata: "metadata", Own: "own_address", OtherService: "other_service",
	OtherFlag: "flag", Regexp: "regexp", Round: "loop", TooDeep: "too_deep", TooMany: "too_many", NotServed: "not_served",
}

var blockTexts = [blocks]string{
	Used:         "used",
	BadName:      "not a name of letters, digits and hyphens",
	BadPort:      "a port that the profile does not allow",
	Loopback:     "a loopback address",
	LinkLocal:    "a link-local address",
	Private:      "a private address",
	Multicast:    "a multicast address",
	Reserved:     "an address that no host on the Internet has",
	Metadata:     "the address of a cloud's metadata service",
	Own:          "an address of this host",
	OtherService: "another service",
	OtherFlag:    "a flag other than s and a",
	Regexp:       "a regular expression",
	Round:        "a loop",
	TooDeep:      "too deep",
	TooMany:      "one too many",
	NotServed:    "the zone says that the service is not offered",
}

// String is the counter label of b.
func (b Block) String() string { return blockNames[b] }

// Text says it to people.
func (b Block) Text() string { return blockTexts[b] }

// counts says whether the block is the work of a strange zone: records of other
// services are nothing to count.
func (b Block) counts() bool { return b != Used && b != OtherService && b != NotServed }

// Blocks returns those that are counted.
func Blocks() (all []Block) {
	for b := Used; b < blocks; b++ {
		if b.counts() {
			all = append(all, b)
		}
	}
	return all
}
