package usage

import (
	"time"

	"github.com/roamgate/roamgate/accounting"
)

// SchemaVersion is the form of a Record. Fields are only added within one.
const SchemaVersion = 1

// Status says how final a Record is. A record is never changed: what turns
// out otherwise becomes a correction of its own.
type Status string

const (
	Final      Status = "final"      // the session ended with a Stop
	Partial    Status = "partial"    // a part of a session that goes on, cut at the end of a month
	Estimated  Status = "estimated"  // the Stop is missing: closed with the last counters, provisional
	Correction Status = "correction" // adds to, or takes from, the record it names
)

// Record is what one session, or one part of it, comes to. Counters are those
// of this part alone: the sum over all records of a session is its usage.
type Record struct {
	Schema   int             `json:"schema"`
	ID       accounting.Key  `json:"id"` // the same whenever the same reports are joined
	Status   Status          `json:"status"`
	Corrects *accounting.Key `json:"corrects,omitempty"`
	Billable bool            `json:"billable"` // false: Exceptions say why not

	Session accounting.Key `json:"session"`          // names the session in all its records
	Part    int            `json:"part"`             // 1 for the first record of the session
	Journey accounting.Key `json:"journey,omitzero"` // names the roaming session of several access points
	Leg     int            `json:"leg,omitempty"`    // of the journey, 1 for the first

	Visited Party  `json:"visited"`
	Home    Party  `json:"home"`
	Hub     string `json:"hub"` // node that recorded the last report
	Client  string `json:"client"`
	Route   string `json:"route,omitempty"`

	// Protocol is that of its reports, "": RADIUS.
	Protocol    string `json:"protocol,omitempty"`
	Application uint32 `json:"application,omitempty"` // of Diameter

	Device accounting.Key `json:"device,omitzero"` // keyed hash
	User   accounting.Key `json:"user,omitzero"`   // keyed hash
	CUI    accounting.Key `json:"cui,omitzero"`    // keyed hash
	// Equipment is the IMEI or IMEISV.
	Equipment accounting.Key `json:"equipment,omitzero"` // keyed hash
	// Plain identities stand here only where the hub shows them (privacy.plain).
	PlainDevice string `json:"plain_device,omitempty"`
	PlainUser   string `json:"plain_user,omitempty"`
	PlainCUI    string `json:"plain_cui,omitempty"`

	PlainEquipment string `json:"plain_equipment,omitempty"`

	SessionID      string           `json:"session_id"`
	MultiSessionID string           `json:"multi_session_id,omitempty"`
	NAS            string           `json:"nas,omitempty"`
	NASAddress     string           `json:"nas_address,omitempty"`
	CalledStation  string           `json:"called_station,omitempty"`
	Classes        []accounting.Key `json:"class,omitempty"`

	Start   time.Time `json:"start"` // UTC, whole seconds; of this part
	End     time.Time `json:"end"`
	Offset  int       `json:"utc_offset"` // seconds east of UTC at the visited network, 0 unknown or UTC
	Seconds int64     `json:"seconds"`
	// Corrections may be negative.
	InputOctets   int64   `json:"input_octets"`
	OutputOctets  int64   `json:"output_octets"`
	InputPackets  int64   `json:"input_packets"`
	OutputPackets int64   `json:"output_packets"`
	Reports       Reports `json:"reports"`

	AccessType string   `json:"access_type,omitempty"` // of NAS-Port-Type, by its IANA name
	RAT        string   `json:"rat,omitempty"`
	Location   Location `json:"location,omitzero"`
	Service    Service  `json:"service,omitzero"`

	PolicyVersion uint32 `json:"policy_version,omitempty"`
	PolicyStale   bool   `json:"policy_stale,omitempty"`

	TerminateCause uint32      `json:"terminate_cause,omitempty"`
	Evidence       Hash        `json:"evidence"`             // SHA-256 of the packet that closed this part
	Source         Source      `json:"source"`               // that packet's place
	Exceptions     []Exception `json:"exceptions,omitempty"` // sorted
}

// Party is one side of the roaming relation by every name it is known by.
type Party struct {
	Realm   string `json:"realm,omitempty"`
	WBAID   string `json:"wbaid,omitempty"`
	TADIG   string `json:"tadig,omitempty"`
	E212    string `json:"e212,omitempty"` // MCC and MNC
	ICC     string `json:"icc,omitempty"`
	Country string `json:"country,omitempty"` // ISO 3166 alpha-2
}

// Reports counts the packets that this part was made of.
type Reports struct {
	Starts   int `json:"starts"`
	Interims int `json:"interims"`
	Stops    int `json:"stops"`
}

// Source is where a report is kept: the spool of a hub.
type Source struct {
	Node  string `json:"node"`
	Epoch uint64 `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

// Exception is a code that says what is unusual about a record. The codes are
// a contract: they are only ever added to (Exceptions lists them).
type Exception string

// Class is where a report ends. Every report is in exactly one at any time.
type Class uint8

const (
	Provisional Class = iota // its session is open, or closed without a Stop
	Cleared                  // stands behind a record that is final
	Duplicate                // the same event with the same content was there before
	Conflict                 // contradicts what was there before: kept, flagged
	Rejected                 // not billed; the reason says why
	Classes                  // how many there are
)

// String gives the word used in sums and metrics.
func (c Class) String() string {
	return [...]string{"provisional", "cleared", "duplicate", "conflict", "rejected", "unknown"}[min(c, Classes)]
}

// Validators choose what makes a record not billable. The zero value finds
// impossible figures and asks for no profile.
type Validators struct {
	// WRIX names the clients whose records must follow the WRIX-i profile;
	// "*" is all of them. Where it does not apply its codes are not given.
	WRIX []string
	// MaxRate in octets a second; above it a record is impossible. 0 is
	// 1.25e9, ten gigabits a second.
	MaxRate uint64
}
