package accounting

import (
	"encoding/binary"
	"math"

	"github.com/roamgate/roamgate/pkg/diameter"
)

// AVPs that this package reads beside those that have the number of an attribute
// (RFC 6733 section 9.8, RFC 7155 section 4.6, RFC 8506 section 8, 3GPP TS 32.299
// section 7.2, 3GPP TS 29.212 section 5.3.31).
const (
	avpTerminationCause   = 295
	avpInputOctets        = 363
	avpOutputOctets       = 364
	avpInputPackets       = 365
	avpOutputPackets      = 366
	avpCHAPAuth           = 402
	avpCCInputOctets      = 412
	avpCCOutputOctets     = 414
	avpCCTime             = 420
	avpCCTotalOctets      = 421
	avpRatingGroup        = 432
	avpSubscriptionID     = 443
	avpSubscriptionIDData = 444
	avpUsedServiceUnit    = 446
	avpSubscriptionIDType = 450
	avpMSCC               = 456
	avpUserEquipment      = 458
	avpUserEquipmentType  = 459
	avpUserEquipmentValue = 460
	avpServiceContextID   = 461
	avpEAPPayload         = 462
	avpEAPReissued        = 463
	avpEAPMasterKey       = 464
	avpTunneling          = 401

	tgppIMEISV             = 20
	tgppServiceInformation = 873
	tgppPSInformation      = 874
	tgppDataContainer      = 2040
	tgppDataVolumes        = 2046
	tgppTimeUsage          = 2045

	vendorMicrosoft = 311
	mppeSendKey     = 16
	mppeRecvKey     = 17
)

const (
	eventRecord = 1 // Accounting-Record-Type
	startRecord = 2
	interim     = 3
	stopRecord  = 4

	initialRequest = 1 // CC-Request-Type
	updateRequest  = 2
	terminate      = 3
	eventRequest   = 4
)

// IsDiameter reports whether raw is a Diameter message: its first octet is the
// version, and that of an Accounting-Request of RADIUS its code.
func IsDiameter(raw []byte) bool { return len(raw) > 0 && raw[0] == 1 }

// body gives the AVPs of a message, nil: it has not the octets that it says.
func body(raw []byte) []byte {
	if len(raw) < diameter.HeaderLen {
		return nil
	}
	if h := diameter.ReadHeader(raw); h.Length != len(raw) {
		return nil
	}
	return raw[diameter.HeaderLen:]
}

// reader carries what a walk over a message must remember between AVPs.
type reader struct {
	timestamp        uint32
	hasTimestamp     bool
	types            int
	typeBad, manyIDs bool
	password, credit bool
	containers       bool // Service-Data-Containers were counted
	volumes          figures
}

// figures are what Rf says in Traffic-Data-Volumes.
type figures struct {
	in, out uint64
	time    uint32
	any     bool
}

// diameter reads the Accounting or Credit-Control request e.raw.
//
// hot: 0 allocs
func (e *Event) diameter(arrival int64) {
	e.Diameter = true
	b := body(e.raw)
	ok := b != nil && len(e.raw) <= MaxMessage
	var w reader
	if ok {
		h := diameter.ReadHeader(e.raw)
		e.Application, e.Command = h.Application, h.Command
		w.credit = h.Command == diameter.CreditControl
		var a diameter.AVP
		c := diameter.Walk(b)
		for c.Next(&a) {
			e.avp(&w, &a)
		}
		ok = c.Bad() == nil
	}
	if !w.containers && w.volumes.any && e.Has&(HasInputOctets|HasOutputOctets) == 0 {
		e.since(w.volumes.in, w.volumes.out, HasInputOctets|HasOutputOctets)
		e.longest(w.volumes.time)
	}
	e.setNTP(&w, arrival)
	e.setRecordKind(&w, ok)
}

// avp takes one AVP of the top of the message, or of what 3GPP wraps around them. The
// first of a single-valued one counts.
func (e *Event) avp(w *reader, a *diameter.AVP) {
	switch a.Vendor {
	case 0:
	case vendor3GPP:
		e.tgpp(w, a)
		return
	case vendorMicrosoft:
		if secret(a) {
			w.password = true
			e.Flags |= FlagRedacted
		}
		return
	default:
		return
	}
	switch a.Code {
	case diameter.SessionID:
		if e.SessionID != nil {
			w.manyIDs = true
		}
		first(&e.SessionID, a.Data)
	case diameter.OriginHost:
		first(&e.OriginHost, a.Data)
	case diameter.OriginRealm:
		first(&e.OriginRealm, a.Data)
	case attrUserName:
		first(&e.UserName, a.Data)
	case attrNASIPAddress:
		if len(a.Data) == 4 {
			e.NASAddress = a.Data
		} else {
			e.Flags |= FlagBadAttribute
		}
	case attrNASIPv6Address:
		if len(a.Data) != 16 {
			e.Flags |= FlagBadAttribute
		} else if e.NASAddress == nil {
			e.NASAddress = a.Data
		}
	case attrClass:
		e.Classes++
	case attrCalledStationID:
		first(&e.CalledStation, a.Data)
	case attrCallingStationID:
		first(&e.CallingStation, a.Data)
	case attrNASIdentifier:
		first(&e.NASIdentifier, a.Data)
	case attrAcctMultiSessionID:
		first(&e.MultiSessionID, a.Data)
	case attrCUI:
		first(&e.CUI, a.Data)
	case avpServiceContextID:
		first(&e.Context, a.Data)
	case avpSubscriptionID:
		e.subscription(a)
	case avpUserEquipment:
		e.equipment(a)
	case avpUsedServiceUnit:
		if w.credit {
			e.used(a)
		}
	case avpMSCC:
		if w.credit {
			e.services(a)
		}
	default:
		if secret(a) {
			w.password = true
			e.Flags |= FlagRedacted
			return
		}
		e.figure(w, a)
	}
}

// figure takes the AVPs whose value is a number.
func (e *Event) figure(w *reader, a *diameter.AVP) {
	switch a.Code {
	case diameter.AccountingRecordType:
		if !w.credit {
			e.recordType(w, a)
		}
	case diameter.CCRequestType:
		if w.credit {
			e.recordType(w, a)
		}
	case diameter.AccountingRecordNumber:
		if !w.credit {
			e.take(&e.RecordNumber, HasRecordNumber, a.Data)
		}
	case diameter.CCRequestNumber:
		if w.credit {
			e.take(&e.RecordNumber, HasRecordNumber, a.Data)
		}
	case attrEventTimestamp:
		if v, ok := a.Uint32(); !ok {
			e.Flags |= FlagBadAttribute
		} else if !w.hasTimestamp {
			w.timestamp, w.hasTimestamp = v, true
		}
	case attrAcctDelayTime:
		e.take(&e.DelayTime, HasDelayTime, a.Data)
	case attrAcctSessionTime:
		e.take(&e.SessionTime, HasSessionTime, a.Data)
	case attrNASPortType:
		e.take(&e.NASPortType, HasNASPortType, a.Data)
	case avpTerminationCause:
		if v, ok := a.Uint32(); !ok {
			e.Flags |= FlagBadAttribute
		} else if v = diameter.TerminateCause(v); v != 0 && e.Has&HasTerminateCause == 0 {
			e.TerminateCause, e.Has = v, e.Has|HasTerminateCause
		}
	case avpInputOctets:
		e.take64(&e.InputOctets, HasInputOctets|HasInputGigawords, a)
	case avpOutputOctets:
		e.take64(&e.OutputOctets, HasOutputOctets|HasOutputGigawords, a)
	case avpInputPackets:
		e.take64(&e.InputPackets, HasInputPackets|HasWidePackets, a)
	case avpOutputPackets:
		e.take64(&e.OutputPackets, HasOutputPackets|HasWidePackets, a)
	}
}

// take64 stores an Unsigned64 once; what a container said before goes.
func (e *Event) take64(dst *uint64, has Has, a *diameter.AVP) {
	v, ok := a.Uint64()
	if !ok {
		e.Flags |= FlagBadAttribute
		return
	}
	if e.Has&HasSince != 0 || e.Has&has&^(HasWidePackets) != 0 {
		return
	}
	*dst = v
	e.Has |= has
}

func (e *Event) recordType(w *reader, a *diameter.AVP) {
	w.types++
	v, ok := a.Uint32()
	if !ok || v == 0 || w.types > 1 && v != e.Status {
		w.typeBad = true
		return
	}
	e.Status = v
}

// subscription takes one Subscription-Id (RFC 8506 section 8.46).
func (e *Event) subscription(a *diameter.AVP) {
	var of diameter.AVP
	kind, data := uint32(math.MaxUint32), []byte(nil)
	for c := a.Group(); c.Next(&of); {
		switch {
		case of.Is(avpSubscriptionIDType, 0):
			kind, _ = of.Uint32()
		case of.Is(avpSubscriptionIDData, 0):
			data = of.Data
		}
	}
	const e164, imsi, nai = 0, 1, 3
	switch kind {
	case e164:
		first(&e.CallingStation, data)
	case imsi:
		first(&e.IMSI, data)
	case nai:
		first(&e.UserName, data)
	}
}

// equipment takes User-Equipment-Info (RFC 8506 section 8.49).
func (e *Event) equipment(a *diameter.AVP) {
	var of diameter.AVP
	kind, value := uint32(math.MaxUint32), []byte(nil)
	for c := a.Group(); c.Next(&of); {
		switch {
		case of.Is(avpUserEquipmentType, 0):
			kind, _ = of.Uint32()
		case of.Is(avpUserEquipmentValue, 0):
			value = of.Data
		}
	}
	const imeisv = 0
	if kind == imeisv {
		first(&e.Equipment, value)
	}
}

// tgpp takes an AVP of 3GPP.
func (e *Event) tgpp(w *reader, a *diameter.AVP) {
	switch a.Code {
	case threeGPPIMSI:
		first(&e.IMSI, a.Data)
	case threeGPPRATType:
		if len(a.Data) == 1 && e.Has&HasRATType == 0 {
			e.RATType, e.Has = a.Data[0], e.Has|HasRATType
		}
	case tgppIMEISV:
		first(&e.Equipment, a.Data)
	case diameter.TGPPRATType:
		if v, ok := a.Uint32(); ok && e.Has&HasRATType == 0 {
			if t, ok := RATType(v); ok {
				e.RATType, e.Has = t, e.Has|HasRATType
			}
		}
	case tgppServiceInformation:
		var of diameter.AVP
		for c := a.Group(); c.Next(&of); {
			switch {
			case of.Is(avpSubscriptionID, 0):
				e.subscription(&of)
			case of.Is(tgppPSInformation, vendor3GPP):
				e.ps(w, &of)
			}
		}
	}
}

// ps takes what PS-Information says, which is what NASREQ has at the top.
func (e *Event) ps(w *reader, a *diameter.AVP) {
	var of diameter.AVP
	for c := a.Group(); c.Next(&of); {
		switch {
		case of.Is(tgppDataContainer, vendor3GPP):
			if !w.credit {
				e.container(w, &of)
			}
		case of.Is(tgppDataVolumes, vendor3GPP):
			if !w.credit {
				w.volumes.add(&of)
			}
		case of.Vendor == vendor3GPP && of.Code != tgppServiceInformation, of.Is(avpUserEquipment, 0), of.Is(attrCalledStationID, 0):
			e.avp(w, &of)
		}
	}
}

// add adds a Traffic-Data-Volumes or Service-Data-Container.
func (f *figures) add(a *diameter.AVP) {
	var of diameter.AVP
	for c := a.Group(); c.Next(&of); {
		switch {
		case of.Is(avpInputOctets, 0):
			if v, ok := of.Uint64(); ok {
				f.in, f.any = sum(f.in, v), true
			}
		case of.Is(avpOutputOctets, 0):
			if v, ok := of.Uint64(); ok {
				f.out, f.any = sum(f.out, v), true
			}
		case of.Is(tgppTimeUsage, vendor3GPP):
			if v, ok := of.Uint32(); ok {
				f.time = max(f.time, v)
			}
		}
	}
}

// container takes a Service-Data-Container: what a service has used since the container
// before (3GPP TS 32.299 section 7.2.184A). Counters at the top are the whole session's
// and go first.
func (e *Event) container(w *reader, a *diameter.AVP) {
	var f figures
	if f.add(a); !f.any || e.Has&HasSince == 0 && e.Has&(HasInputOctets|HasOutputOctets) != 0 {
		return
	}
	w.containers = true
	e.since(f.in, f.out, HasInputOctets|HasOutputOctets)
	e.longest(f.time)
}

// services takes a Multiple-Services-Credit-Control.
func (e *Event) services(a *diameter.AVP) {
	var of diameter.AVP
	for c := a.Group(); c.Next(&of); {
		if of.Is(avpUsedServiceUnit, 0) {
			e.used(&of)
		}
	}
}

// unit is what a Used-Service-Unit says.
type unit struct {
	in, out, total uint64
	time           uint32
	has            Has // of in and out
	hasTotal       bool
	hasTime        bool
}

// read reads a Used-Service-Unit (RFC 8506 section 8.19).
func (u *unit) read(a *diameter.AVP) {
	var of diameter.AVP
	for c := a.Group(); c.Next(&of); {
		if of.Vendor != 0 {
			continue
		}
		switch of.Code {
		case avpCCInputOctets:
			if v, ok := of.Uint64(); ok {
				u.in, u.has = v, u.has|HasInputOctets
			}
		case avpCCOutputOctets:
			if v, ok := of.Uint64(); ok {
				u.out, u.has = v, u.has|HasOutputOctets
			}
		case avpCCTotalOctets:
			u.total, u.hasTotal = of.Uint64()
		case avpCCTime:
			u.time, u.hasTime = of.Uint32()
		}
	}
}

// used adds a Used-Service-Unit. Octets of which only the total is said are counted as
// output: they are octets all the same.
func (e *Event) used(a *diameter.AVP) {
	var u unit
	u.read(a)
	if u.has == 0 && u.hasTotal {
		u.out, u.has = u.total, HasOutputOctets
		e.Flags |= FlagNoDirection
	}
	if u.has != 0 {
		e.since(u.in, u.out, u.has)
	}
	if u.hasTime {
		e.longest(u.time)
	}
}

// since adds octets of the time since the report before.
func (e *Event) since(in, out uint64, has Has) {
	e.InputOctets, e.OutputOctets = sum(e.InputOctets, in), sum(e.OutputOctets, out)
	if has&HasInputOctets != 0 {
		e.Has |= HasInputOctets | HasInputGigawords
	}
	if has&HasOutputOctets != 0 {
		e.Has |= HasOutputOctets | HasOutputGigawords
	}
	e.Has |= HasSince
}

// longest takes the time that a service was used for. Services are used at the same
// time: the longest is how long it was.
func (e *Event) longest(seconds uint32) {
	if seconds == 0 || e.Has&HasSessionTime != 0 && e.Has&HasSince == 0 {
		return
	}
	e.SessionTime = max(e.SessionTime, seconds)
	e.Has |= HasSessionTime | HasSince
}

// sum adds and stays at the largest number.
func sum(a, b uint64) uint64 {
	if s := a + b; s >= a {
		return s
	}
	return math.MaxUint64
}

// ntpEpoch is the Unix epoch in seconds of NTP (RFC 5905).
const ntpEpoch = 2208988800

// UnixTime reads a Time (RFC 6733 section 4.3.1): without its top bit it is of the era
// that begins in February 2036.
func UnixTime(v uint32) int64 {
	seconds := int64(v) - ntpEpoch
	if v&(1<<31) == 0 {
		seconds += 1 << 32
	}
	return seconds
}

// setNTP finds the event time.
func (e *Event) setNTP(w *reader, arrival int64) {
	if t := UnixTime(w.timestamp); w.hasTimestamp && t >= clockFloor {
		e.Time = t
		return
	}
	e.Flags |= FlagArrivalTime
	e.Time = arrival/1e9 - int64(e.DelayTime)
}

// setRecordKind decides the kind, the gravest reason first.
func (e *Event) setRecordKind(w *reader, ok bool) {
	e.Kind = Quarantined
	kind, once := kindOf(e.Status, w.credit)
	switch {
	case !ok:
		e.Quarantine = Malformed
	case w.password:
		e.Quarantine = Credentials
	case w.types == 0:
		e.Quarantine = NoStatusType
	case w.typeBad:
		e.Quarantine = BadStatusType
	case kind == 0:
		e.Quarantine = UnknownStatus
	case len(e.SessionID) == 0:
		e.Quarantine = NoSessionID
	case w.manyIDs:
		e.Quarantine = ManySessionIDs
	case e.Has&HasRecordNumber == 0:
		e.Quarantine = NoRecordNumber
	case e.UserName == nil && e.CUI == nil && e.Classes == 0 && e.IMSI == nil && e.CallingStation == nil:
		e.Quarantine = NoIdentity
	default:
		e.Kind = kind
		if once {
			e.Flags |= FlagOnce
		}
	}
}

// kindOf gives the kind of an Accounting-Record-Type or CC-Request-Type, 0: none that
// is known. What is once begins and ends with one record.
func kindOf(status uint32, credit bool) (kind Kind, once bool) {
	if credit {
		switch status {
		case initialRequest:
			return Start, false
		case updateRequest:
			return Interim, false
		case terminate:
			return Stop, false
		case eventRequest:
			return Stop, true
		}
		return 0, false
	}
	switch status {
	case eventRecord:
		return Stop, true
	case startRecord:
		return Start, false
	case interim:
		return Interim, false
	case stopRecord:
		return Stop, false
	}
	return 0, false
}

// RATType gives the 3GPP-RAT-Type (3GPP TS 29.061) of a RAT-Type (3GPP TS 29.212
// section 5.3.31).
func RATType(v uint32) (t uint8, ok bool) {
	switch v {
	case 0:
		return 3, true // WLAN
	case 1:
		return 7, true // VIRTUAL
	case 1000, 1001:
		return uint8(v - 999), true // UTRAN, GERAN
	case 1002, 1003, 1004:
		return uint8(v - 998), true // GAN, HSPA_EVOLUTION, EUTRAN
	case 1005:
		return 8, true // EUTRAN-NB-IoT
	case 1006:
		return 10, true // NR
	case 1007:
		return 9, true // LTE-M
	case 2000:
		return 104, true // CDMA2000_1X
	case 2001:
		return 103, true // HRPD
	case 2002:
		return 105, true // UMB
	case 2003:
		return 102, true // EHRPD
	}
	return 0, false
}

// secret reports whether an AVP is a credential, which has no place in accounting.
func secret(a *diameter.AVP) bool {
	switch a.Vendor {
	case 0:
		switch a.Code {
		case attrUserPassword, attrCHAPPassword, avpCHAPAuth, avpTunneling, avpEAPPayload, avpEAPReissued, avpEAPMasterKey:
			return true
		}
	case vendorMicrosoft:
		return a.Code == mppeSendKey || a.Code == mppeRecvKey
	}
	return false
}

// redactMessage overwrites the values of credentials.
func redactMessage(raw []byte) {
	var a diameter.AVP
	for c := diameter.Walk(body(raw)); c.Next(&a); {
		if secret(&a) {
			clear(a.Data)
		}
	}
}

// appendStableMessage appends what stays when a message is sent again, maybe by another
// way or by a node that has started again: its command, and the AVPs without padding.
func appendStableMessage(dst, raw []byte) []byte {
	if len(raw) < diameter.HeaderLen {
		return dst
	}
	dst = append(dst, raw[5:12]...)
	var a diameter.AVP
	c := diameter.Walk(raw[diameter.HeaderLen:])
	for c.Next(&a) {
		if passing(&a) || secret(&a) {
			continue
		}
		dst = binary.BigEndian.AppendUint32(dst, a.Code)
		dst = binary.BigEndian.AppendUint32(dst, a.Vendor)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(a.Data)))
		dst = append(dst, a.Data...)
	}
	return append(dst, c.Bad()...)
}

// passing reports whether an AVP is of the way of a message, not of what it says.
func passing(a *diameter.AVP) bool {
	if a.Vendor != 0 {
		return false
	}
	switch a.Code {
	case diameter.RouteRecord, diameter.ProxyInfo, diameter.DestinationHost, diameter.OriginStateID,
		diameter.DRMP, diameter.OCSupportedFeatures, diameter.OCOLR, attrAcctDelayTime, attrProxyState:
		return true
	}
	return false
}

// numbered is the Key of a Diameter record: Session-Id and number name it (RFC 6733
// section 9.8.3), within what one visited network reports.
func (h *Hasher) numbered(e *Event, visited string) Key {
	h.start(purposeNumber)
	h.text(visited)
	if e.Kind == Quarantined {
		// Nothing in it can be trusted to name the event: all of it does.
		h.buf = append(h.buf, byte(e.Quarantine))
		h.buf = appendStable(h.buf, e.raw)
	} else {
		h.field(e.SessionID)
		h.buf = binary.BigEndian.AppendUint32(h.buf, e.Command)
		h.buf = binary.BigEndian.AppendUint32(h.buf, e.RecordNumber)
	}
	k := h.digest()
	k[0] &^= untimed
	return k
}
