package usage

import (
	"time"

	"github.com/roamgate/roamgate/accounting"
)

// Report is what a hub says of one accounting packet: a line of a batch.
// Empty text and zero keys stand for what the packet did not have.
type Report struct {
	Node  string // of the hub, from the batch
	Epoch uint64 // of its spool, from the batch
	Seq   uint64 // in that spool

	Arrival    time.Time
	Event      time.Time // whole seconds
	Kind       accounting.Kind
	Quarantine string // why it is not billed, by accounting.Reason's words, or Unreadable
	Flags      accounting.Flags
	Other      uint64         // with FlagConflict: the record in that spool that it contradicts
	Key        accounting.Key // names the event, the same at every hub with the same identity key
	Content    accounting.Key // of what does not change when a NAS sends it again; the same at every such hub
	Evidence   [32]byte       // SHA-256 of the packet as received

	// Of Diameter alone.
	Diameter      bool
	Application   uint32
	RecordNumber  uint32 // with accounting.HasRecordNumber
	OriginRealm   string // of the node that reported
	Equipment     string // IMEI or IMEISV, plain, only with privacy.plain
	EquipmentHash accounting.Key

	Client       string // configured name of the visited network
	Operator     string // configured visited operator (RFC 5580 with its namespace)
	Country      string // configured, ISO 3166
	OperatorName string // attribute Operator-Name as received, with its namespace
	Realm, Route string
	HomePLMN     string // 3GPP-IMSI-MCC-MNC

	User, Device, CUI             string // plain, only with privacy.plain
	UserHash, DeviceHash, CUIHash accounting.Key
	Classes                       []accounting.Key

	SessionID      string
	MultiSessionID string
	NAS            string // NAS-Identifier
	NASAddress     string
	CalledStation  string

	Has                             accounting.Has
	SessionTime                     uint32
	InputOctets, OutputOctets       uint64 // 64 bits only where Gigawords
	InputPackets, OutputPackets     uint64 // 64 bits only of Diameter
	InputGigawords, OutputGigawords bool   // the attribute was there
	DelayTime                       uint32
	TerminateCause                  uint32
	NASPortType                     uint32
	RAT                             uint8
	Offset                          int // seconds east of UTC where the device was (3GPP-MS-TimeZone), 0 unknown or UTC

	Location Location
	Service  Service

	PolicyVersion uint32 // of the device policy at the time, 0 none
	PolicyStale   bool   // the policy could not be refreshed then
}

// Location is where the device was, as far as the packet says (RFC 5580,
// 3GPP TS 29.061).
type Location struct {
	Country   string            `json:"country,omitempty"`  // civic or geodetic profile's country code
	Civic     map[string]string `json:"civic,omitempty"`    // CAtype (RFC 4776) in decimal to its text
	Latitude  string            `json:"latitude,omitempty"` // decimal degrees
	Longitude string            `json:"longitude,omitempty"`
	PLMN      string            `json:"plmn,omitempty"` // serving network, MCC and MNC
	Cell      string            `json:"cell,omitempty"` // 3GPP-User-Location-Info, hexadecimal
}

// Service is what was offered and granted (WBA and 3GPP attributes, Filter-Id), and
// which service it was (RFC 8506).
type Service struct {
	Offered           string `json:"offered,omitempty"`
	Granted           string `json:"granted,omitempty"`
	FinancialClearing string `json:"financial_clearing,omitempty"`
	DataClearing      string `json:"data_clearing,omitempty"`
	Rate              *Rate  `json:"rate,omitempty"`
	ChargingID        uint32 `json:"charging_id,omitempty"`
	Context           string `json:"context,omitempty"` // Service-Context-Id
}

// Rate is WBA-Linear-Volume-Rate as received: no scale is applied.
type Rate struct {
	Currency string `json:"currency"` // ISO 4217
	Index    uint8  `json:"index"`
	Nanos    uint32 `json:"nanos"`
}
