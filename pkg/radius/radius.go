// Package radius is RADIUS on the wire: it checks the bounds of a datagram,
// walks its attributes in place, proves and makes authenticators, and rewrites
// a packet from one hop's secret to the next.
//
// In the packet walk it stands right behind the socket (Packet.Parse and the
// Crypt.Check methods) and right before it (Crypt.ForwardRequest,
// Crypt.ForwardResponse, Writer). Nothing here routes, keeps time or does I/O.
//
// Memory: a Packet is a view and retains the datagram it was given until its
// next Parse; a Writer writes into a buffer of its caller and retains that one
// until its next Start. Slices handed out point into those buffers. Nothing on
// the way of a packet allocates.
//
// A Secret is immutable and may be shared by all goroutines. Packet, Writer and
// Crypt belong to one goroutine each; a shard keeps one Crypt for its life.
//
// RFC 2865 (packets, User-Password), 2866 (accounting), 2548 section 2.4
// (MS-MPPE keys), 2868 section 3.5 (Tunnel-Password), 2869 and 3579
// (Message-Authenticator), 5176 (CoA), 7930 (Protocol-Error), 9765 (RADIUS/1.1, see
// Clear), 6929 (unknown and extended attributes
// stay verbatim). Attribute meanings and names live in the package dict; EAP is
// looked at no further than its first five octets; nothing is ever decoded by
// type on the way of a packet.
package radius

import "strconv"

const (
	HeaderLen     = 20   // code, identifier, length, authenticator
	MaxLen        = 4096 // RFC 2865 section 3
	MaxAttributes = 200  // more is a flood, not a session
	MaxValue      = 253  // octets one attribute can carry
)

// Code is the first octet of a packet.
type Code uint8

const (
	AccessRequest      Code = 1
	AccessAccept       Code = 2
	AccessReject       Code = 3
	AccountingRequest  Code = 4
	AccountingResponse Code = 5
	AccessChallenge    Code = 11
	StatusServer       Code = 12
	StatusClient       Code = 13
	DisconnectRequest  Code = 40
	DisconnectACK      Code = 41
	DisconnectNAK      Code = 42
	CoARequest         Code = 43
	CoAACK             Code = 44
	CoANAK             Code = 45
	ProtocolError      Code = 52
)

var codeNames = [...]string{
	AccessRequest:      "Access-Request",
	AccessAccept:       "Access-Accept",
	AccessReject:       "Access-Reject",
	AccountingRequest:  "Accounting-Request",
	AccountingResponse: "Accounting-Response",
	AccessChallenge:    "Access-Challenge",
	StatusServer:       "Status-Server",
	StatusClient:       "Status-Client",
	DisconnectRequest:  "Disconnect-Request",
	DisconnectACK:      "Disconnect-ACK",
	DisconnectNAK:      "Disconnect-NAK",
	CoARequest:         "CoA-Request",
	CoAACK:             "CoA-ACK",
	CoANAK:             "CoA-NAK",
	ProtocolError:      "Protocol-Error",
}

// Known reports whether c is a code this package can do something with.
func (c Code) Known() bool { return int(c) < len(codeNames) && codeNames[c] != "" }

// Forwardable reports whether a packet of code c may go on to the next hop, as a
// request or as the reply to one. Status-Server ends here (RFC 5997 section
// 4.4), and so does Protocol-Error (RFC 7930 section 4).
func (c Code) Forwardable() (request, reply bool) {
	switch c {
	case AccessRequest, AccountingRequest, CoARequest, DisconnectRequest:
		return true, false
	case AccessAccept, AccessReject, AccessChallenge, AccountingResponse, CoAACK, CoANAK, DisconnectACK, DisconnectNAK:
		return false, true
	}
	return false, false
}

// String is the RFC's name of c, or "Code-n".
func (c Code) String() string {
	if c.Known() {
		return codeNames[c]
	}
	return "Code-" + strconv.Itoa(int(c))
}

// Type is an attribute type. Names and data types are in the package dict.
type Type uint8

const (
	UserName              Type = 1
	UserPassword          Type = 2
	CHAPPassword          Type = 3
	NASIPAddress          Type = 4
	NASPort               Type = 5
	ServiceType           Type = 6
	FramedProtocol        Type = 7
	FramedIPAddress       Type = 8
	FilterID              Type = 11
	FramedMTU             Type = 12
	ReplyMessage          Type = 18
	State                 Type = 24
	Class                 Type = 25
	VendorSpecific        Type = 26
	SessionTimeout        Type = 27
	IdleTimeout           Type = 28
	TerminationAction     Type = 29
	CalledStationID       Type = 30
	CallingStationID      Type = 31
	NASIdentifier         Type = 32
	ProxyState            Type = 33
	AcctStatusType        Type = 40
	AcctDelayTime         Type = 41
	AcctInputOctets       Type = 42
	AcctOutputOctets      Type = 43
	AcctSessionID         Type = 44
	AcctAuthentic         Type = 45
	AcctSessionTime       Type = 46
	AcctInputPackets      Type = 47
	AcctOutputPackets     Type = 48
	AcctTerminateCause    Type = 49
	AcctMultiSessionID    Type = 50
	AcctLinkCount         Type = 51
	AcctInputGigawords    Type = 52
	AcctOutputGigawords   Type = 53
	EventTimestamp        Type = 55
	CHAPChallenge         Type = 60
	NASPortType           Type = 61
	TunnelType            Type = 64
	TunnelMediumType      Type = 65
	TunnelPassword        Type = 69
	TunnelPrivateGroupID  Type = 81
	ConnectInfo           Type = 77
	EAPMessage            Type = 79
	MessageAuthenticator  Type = 80
	AcctInterimInterval   Type = 85
	NASPortID             Type = 87
	ChargeableUserID      Type = 89
	NASFilterRule         Type = 92
	NASIPv6Address        Type = 95
	FramedInterfaceID     Type = 96
	FramedIPv6Prefix      Type = 97
	ErrorCause            Type = 101
	EAPKeyName            Type = 102
	DelegatedIPv6Prefix   Type = 123
	OperatorName          Type = 126
	LocationInformation   Type = 127
	LocationData          Type = 128
	FramedIPv6Address     Type = 168
	ExtendedAttribute1    Type = 241
	LongExtendedAttribute Type = 245
)

// Vendors whose attributes the proxy itself has to touch.
const (
	VendorMicrosoft uint32 = 311
	Vendor3GPP      uint32 = 10415
	VendorWISPr     uint32 = 14122 // the Wireless Broadband Alliance's number
)

// Hidden sub-attributes of VendorMicrosoft (RFC 2548 section 2.4).
const (
	MSCHAPMPPEKeys uint8 = 12 // hidden like User-Password
	MSMPPESendKey  uint8 = 16 // salted
	MSMPPERecvKey  uint8 = 17 // salted
)

// Reason says why a packet is not usable. The set is closed; String gives the
// label under which it is counted.
type Reason uint8

const (
	OK                Reason = iota
	TooShort                 // fewer octets than a header
	LengthField              // Length below 20
	TooLong                  // Length above MaxLen
	Truncated                // Length above the octets received
	BadCode                  // a code nobody has defined for us, or not one to forward
	AttrLength               // an attribute of length 0 or 1
	AttrOverrun              // an attribute that runs past the packet
	TooManyAttributes        // more than MaxAttributes
	DuplicateMA              // two Message-Authenticators
	MALength                 // a Message-Authenticator that is not 16 octets
	BadUserPassword          // User-Password not 16..128 octets in blocks of 16
	Overflow                 // what should be sent does not fit
	reasons
)

var reasonNames = [reasons]string{
	OK:                "ok",
	TooShort:          "too_short",
	LengthField:       "length_field",
	TooLong:           "too_long",
	Truncated:         "truncated",
	BadCode:           "bad_code",
	AttrLength:        "attr_length",
	AttrOverrun:       "attr_overrun",
	TooManyAttributes: "too_many_attributes",
	DuplicateMA:       "duplicate_ma",
	MALength:          "ma_length",
	BadUserPassword:   "bad_user_password",
	Overflow:          "overflow",
}

// String is the counter label of r.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Reasons returns every reason but OK, for registering counters.
func Reasons() []Reason {
	all := make([]Reason, 0, reasons-1)
	for r := OK + 1; r < reasons; r++ {
		all = append(all, r)
	}
	return all
}
