package translate

import (
	"encoding/binary"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/radius"
)

// Terms are what of a message does not stand in what it is made from.
type Terms struct {
	Identity, Realm string // Origin-Host and Origin-Realm
	// Application is that of authentication: diameter.AppNASREQ, which is AppEAP where
	// there is EAP, AppSTa or AppSWm. Of accounting it is AppAccounting.
	Application      uint32
	Session          []byte // Session-Id
	DestinationHost  []byte // nil: any of the realm
	DestinationRealm []byte
	HopByHop         uint32
	EndToEnd         uint32
	Arrival          int64  // Unix seconds
	State            []byte // of the home, nil: none
	// Network is the Visited-Network-Identifier of STa and SWm, nil: none.
	Network []byte
}

// Translator is scratch space for one translation at a time.
type Translator struct {
	w diameter.Writer
	r radius.Writer
	// Sessions makes and reads handles.
	*Sessions
	// Left counts the attributes and AVPs that were left out as malformed.
	Left     uint64
	granting bool // keys may go to RADIUS
	keyed    bool // they stand in EAP-Master-Session-Key

	// Failed is the AVP for which Reason was given, with its header.
	Failed []byte

	joint   joint
	eap     [radius.MaxLen]byte
	text    [radius.MaxLen]byte
	tags    [maxTunnels]tunnel
	value   [radius.MaxValue]byte
	hash    [2 * 32]byte
	example [12]byte
}

// New makes a Translator.
func New(s *Sessions) *Translator { return &Translator{Sessions: s} }

// begin starts a request with what stands in front of each (RFC 6733 section 6).
func (t *Translator) begin(room []byte, command uint32, x *Terms) {
	t.w.Begin(room, &diameter.Header{
		Flags: diameter.FlagRequest | diameter.FlagProxiable, Command: command, Application: x.Application,
		HopByHop: x.HopByHop, EndToEnd: x.EndToEnd,
	})
	w := &t.w
	w.Bytes(diameter.SessionID, 0, diameter.AVPMandatory, x.Session)
	if command == diameter.Accounting {
		w.Uint32(diameter.AcctApplicationID, 0, diameter.AVPMandatory, x.Application)
	} else {
		t.application(x.Application)
	}
	t.origin(x)
	w.Bytes(diameter.DestinationRealm, 0, diameter.AVPMandatory, x.DestinationRealm)
	if x.DestinationHost != nil {
		w.Bytes(diameter.DestinationHost, 0, diameter.AVPMandatory, x.DestinationHost)
	}
}

func (t *Translator) origin(x *Terms) {
	t.w.String(diameter.OriginHost, 0, diameter.AVPMandatory, x.Identity)
	t.w.String(diameter.OriginRealm, 0, diameter.AVPMandatory, x.Realm)
}

// application writes the one of authentication; those of vendors stand in a group with
// the vendor too.
func (t *Translator) application(app uint32) {
	w := &t.w
	if app < 1<<24 {
		w.Uint32(diameter.AuthApplicationID, 0, diameter.AVPMandatory, app)
		return
	}
	mark := w.Group(diameter.VendorSpecificApplicationID, 0, diameter.AVPMandatory)
	w.Uint32(diameter.VendorID, 0, diameter.AVPMandatory, diameter.Vendor3GPP)
	w.Uint32(diameter.AuthApplicationID, 0, diameter.AVPMandatory, app)
	w.End(mark)
	w.Uint32(diameter.AuthApplicationID, 0, diameter.AVPMandatory, app)
}

func (t *Translator) finish() ([]byte, Reason) {
	b := t.w.Finish()
	if b == nil {
		return nil, NoRoom
	}
	return b, OK
}

// word adds an AVP of four octets of the base protocol or of NASREQ.
func (t *Translator) word(code, v uint32) { t.w.Uint32(code, 0, diameter.AVPMandatory, v) }

// ntpEpoch is 1900 in Unix seconds, turned. Time is counted modulo 2^32: from 2036 on
// it has begun anew (RFC 6733 section 4.3.1), and both counts are numbers of 32 bits
// whose difference does not change.
const ntpEpoch = 2208988800

// ntp gives the Time of Unix seconds.
func ntp(unix uint32) uint32 { return unix + ntpEpoch }

// unix gives the Unix seconds of a Time; false: it lies before 1970.
func unix(ntp uint32) (uint32, bool) {
	return ntp - ntpEpoch, ntp < 1<<31 || ntp >= ntpEpoch
}

// concat joins the values of all attributes of a type.
func concat(dst []byte, p *radius.Packet, typ radius.Type) []byte {
	for a, off, ok := p.Next(p.From(typ)); ok; a, off, ok = p.Next(off) {
		if a.Type == typ {
			dst = append(dst, a.Value()...)
		}
	}
	return dst
}

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
