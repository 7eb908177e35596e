package realm

import (
	"github.com/roamgate/roamgate/pkg/radius"
)

// Query is what routing looks at. Its octets are borrowed for the time of a
// call.
type Query struct {
	Name   []byte // the whole User-Name
	User   []byte // what stands in front of the realm
	Realm  []byte // folded; nil: none
	IMSI   []byte // digits; nil: not known
	Packet *radius.Packet
	// Message says that it is a Diameter request, of an application and a command.
	// Packet is nil then.
	Message              bool
	Application, Command uint32
	Client               *Client
	Device               uint64 // hash of the device, for percentages: the same for all its requests
	Wall                 int64  // unix seconds
}

// Condition narrows a route to some of the requests that its subject matches.
// Everything that is given must hold; of a list, one.
type Condition struct {
	Clients []string // names
	// Applications and Commands are of Diameter: a RADIUS request has none.
	Applications []uint32
	Commands     []uint32
	// These four are attributes of RADIUS: a Diameter request has none of them.
	NASPortTypes []uint32
	SSIDs        []string // of Called-Station-Id, behind the colon
	Operators    []string // Operator-Name with its digit; "1*.suffix" for all below
	RCOIs        []string // octets that the roaming consortium begins with
	Users        []UserRange
	During       []Window
	Percent      uint32 // hundredths of a percent of the devices; 0: all
}

// UserRange is a range of users: the same text in front, then a number of the
// same count of digits between two. A range of one user has equal ends. With
// Prefix it is all users that begin with First.
type UserRange struct {
	First, Last string
	Prefix      bool
}

// Mismatch says why a route did not take a request. The set is closed.
type Mismatch uint8

const (
	Matches Mismatch = iota
	OtherSubject
	OtherProtocol
	OtherGroup
	OtherClient
	OtherApplication
	OtherCommand
	OtherNASPortType
	OtherSSID
	OtherOperator
	OtherRCOI
	OtherUser
	OtherTime
	OtherShare // of the devices
	mismatches
)

var mismatchTexts = [mismatches]string{
	Matches:          "matches",
	OtherSubject:     "is for another name",
	OtherProtocol:    "does nothing with requests of this protocol",
	OtherGroup:       "is not for the client's group",
	OtherClient:      "is not for this client",
	OtherApplication: "is not for this application",
	OtherCommand:     "is not for this command",
	OtherNASPortType: "is not for this NAS-Port-Type",
	OtherSSID:        "is not for this SSID",
	OtherOperator:    "is not for this Operator-Name",
	OtherRCOI:        "is not for this roaming consortium",
	OtherUser:        "is not for this user",
	OtherTime:        "is not for this time",
	OtherShare:       "is not for this device: it is not in the percentage",
}

// String says it for people.
func (m Mismatch) String() string { return mismatchTexts[m] }

// Candidate is a route whose subject matches, and why it does not take the
// request, or that it does.
type Candidate struct {
	Route *Route
	Why   Mismatch
}
