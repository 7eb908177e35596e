package accounting

import "encoding/binary"

// Attribute types and vendors that are only read when a record is shown (RFC
// 2865, RFC 5580, 3GPP TS 29.061 section 16.4.7, WBA).
const (
	attrFilterID            = 11
	attrOperatorName        = 126
	attrLocationInformation = 127
	attrLocationData        = 128

	threeGPPChargingID   = 2
	threeGPPIMSIPLMN     = 8  // 3GPP-IMSI-MCC-MNC: of the home
	threeGPPServingPLMN  = 18 // 3GPP-SGSN-MCC-MNC: where the device is
	threeGPPUserLocation = 22
	threeGPPTimeZone     = 23

	vendorWBA     = 14122
	wbaOffered    = 12
	wbaFinancial  = 13
	wbaData       = 14
	wbaLinearRate = 15
)

// detail is what a record says beside what Classify reads at arrival: nobody
// needs it before the record is shown, so it costs no packet. It borrows from
// the packet.
type detail struct {
	operatorName, filterID      []byte
	offered, financial, clearer []byte // WBA
	rate                        []byte // WBA-Linear-Volume-Rate, eight octets
	plmn, homePLMN, cell        []byte
	visited                     [6]byte // digits of Visited-PLMN-Id
	nVisited                    int
	chargingID                  uint32
	context                     []byte // Service-Context-Id
	groups                      groups
	offset                      int // seconds east of UTC

	civic, geo location
	infos      [maxLocations]locationInfo // Location-Information by index
	datas      [maxLocations][]byte       // Location-Data, not matched yet
	nInfos     int
	nDatas     int
}

// read walks the attributes of raw. What does not have the form its
// specification gives it is left out: the packet itself is kept.
func (d *detail) read(raw []byte) {
	if IsDiameter(raw) {
		d.readMessage(body(raw), 0)
		if d.nDatas > 0 {
			d.locate()
		}
		return
	}
	for off := headerLen; off+2 <= len(raw); {
		n := int(raw[off+1])
		if n < 2 || n > len(raw)-off {
			break
		}
		v := raw[off+2 : off+n]
		switch raw[off] {
		case attrFilterID:
			first(&d.filterID, v)
		case attrOperatorName:
			first(&d.operatorName, v)
		case attrLocationInformation:
			d.information(v)
		case attrLocationData:
			d.data(v)
		case attrVendorSpecific:
			d.vendor(v)
		}
		off += n
	}
	if d.nDatas > 0 {
		d.locate()
	}
}

func (d *detail) vendor(v []byte) {
	if len(v) < 4 {
		return
	}
	var take func(t byte, v []byte)
	switch binary.BigEndian.Uint32(v) {
	case vendor3GPP:
		take = d.threeGPP
	case vendorWBA:
		take = d.wba
	default:
		return
	}
	for v = v[4:]; len(v) >= 2; {
		n := int(v[1])
		if n < 2 || n > len(v) {
			return
		}
		take(v[0], v[2:n])
		v = v[n:]
	}
}

func (d *detail) threeGPP(t byte, v []byte) {
	switch t {
	case threeGPPChargingID:
		if len(v) == 4 && d.chargingID == 0 {
			d.chargingID = binary.BigEndian.Uint32(v)
		}
	case threeGPPIMSIPLMN:
		if isPLMN(v) {
			first(&d.homePLMN, v)
		}
	case threeGPPServingPLMN:
		if isPLMN(v) {
			first(&d.plmn, v)
		}
	case threeGPPUserLocation:
		first(&d.cell, v)
	case threeGPPTimeZone:
		if len(v) >= 1 && d.offset == 0 {
			d.offset = timeZone(v[0])
		}
	}
}

func (d *detail) wba(t byte, v []byte) {
	switch t {
	case wbaOffered:
		first(&d.offered, v)
	case wbaFinancial:
		first(&d.financial, v)
	case wbaData:
		first(&d.clearer, v)
	case wbaLinearRate:
		if len(v) == 8 && isCurrency(v[:3]) {
			first(&d.rate, v)
		}
	}
}

// isPLMN says whether v is a mobile country code and a network code of two or
// three digits.
func isPLMN(v []byte) bool {
	if len(v) != 5 && len(v) != 6 {
		return false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func isCurrency(v []byte) bool {
	for _, c := range v {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(v) == 3
}

// timeZone reads the time zone of 3GPP TS 24.008 section 10.5.3.8: quarters
// of an hour as two digits, the low half of the octet first, with the sign
// in bit 4. 0 stands for what no place on earth has.
func timeZone(b byte) int {
	quarters := int(b&0x07)*10 + int(b>>4)
	if b>>4 > 9 || quarters > 56 { // UTC+14
		return 0
	}
	if b&0x08 != 0 {
		quarters = -quarters
	}
	return quarters * 15 * 60
}
