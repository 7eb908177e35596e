package node

import (
	"encoding/binary"
	"strconv"

	dia "github.com/roamgate/roamgate/pkg/diameter"
)

// AVPs that roamgen writes and the agent has no need to know.
const (
	serviceType        = 6
	calledStationID    = 30
	callingStationID   = 31
	nasIdentifier      = 32
	acctSessionTime    = 46
	nasPortType        = 61
	terminationCause   = 295
	acctInputOctets    = 363
	acctOutputOctets   = 364
	grantedServiceUnit = 431
	ratingGroup        = 432
	requestedUnit      = 437
	subscriptionID     = 443
	subscriptionData   = 444
	usedServiceUnit    = 446
	subscriptionType   = 450
	multipleServices   = 456
	serviceContextID   = 461
	eapPayload         = 462
	eapMasterKey       = 464
	serviceSelection   = 493
	inputOctets        = 412
	outputOctets       = 414
	totalOctets        = 421

	tgppContextID        = 1423
	tgppAllAPNs          = 1428
	tgppAPNProfile       = 1429
	tgppAPN              = 1430
	tgppSubscription     = 1400
	tgppSoftwareVersion  = 1403
	tgppULAFlags         = 1406
	tgppEUTRANRequested  = 1408
	tgppVectors          = 1410
	tgppAuthInfo         = 1413
	tgppEUTRANVector     = 1414
	tgppNetworkAccess    = 1417
	tgppSubscriberStatus = 1424
	tgppPUAFlags         = 1442
	tgppRAND             = 1447
	tgppXRES             = 1448
	tgppAUTN             = 1449
	tgppKASME            = 1450
	tgppPDNType          = 1456
	tgppNORFlags         = 1443
	tgppMSISDN           = 701
	tgppUserIdentifier   = 3102
	tgppBearerID         = 1020
	tgppNonIPData        = 4315
)

const (
	must = dia.AVPMandatory
	gp   = dia.Vendor3GPP

	// eapWireless is NAS-Port-Type Wireless-802.11.
	nasWireless   = 19
	ratNBIoT      = 1005
	idleTimeout   = 4 // Termination-Cause DIAMETER_LINK_BROKEN, as base numbers go
	ntpToUnix     = 2208988800
	authorizeAuth = 3 // Auth-Request-Type AUTHORIZE_AUTHENTICATE
	subscribeIMSI = 1 // END_USER_IMSI
	eapIdentity   = 1
	eapTLS        = 13
)

// payload is what a device without IP sends.
var payload [64]byte

// subject is who a conversation is about.
type subject struct {
	number  uint64 // of the conversation
	device  uint64
	session []byte
	imsi    []byte
	nai     []byte
}

// setSubject writes the names of a device into memory that is used again.
func (w *work) setSubject(s *subject, number uint64) {
	s.number = number
	s.device = w.First + number%w.Devices
	// RFC 6733 section 8.8: <DiameterIdentity>;<high>;<low>;<optional>
	b := append(s.session[:0], w.node.config.Identity...)
	b = append(b, ';')
	b = strconv.AppendUint(b, w.epoch, 10)
	b = append(b, ';')
	s.session = strconv.AppendUint(b, number, 10)
	s.imsi = appendPadded(append(s.imsi[:0], w.Prefix...), s.device, 15-len(w.Prefix))
	b = append(s.nai[:0], '0')
	b = append(b, s.imsi...)
	b = append(b, '@')
	s.nai = append(b, w.Realm...)
}

// appendPadded writes a number with leading zeros.
func appendPadded(b []byte, v uint64, digits int) []byte {
	at := len(b)
	for range digits {
		b = append(b, '0')
	}
	for i := at + digits - 1; i >= at; i, v = i-1, v/10 {
		b[i] = byte('0' + v%10)
	}
	return b
}

// appendStation writes the MAC of a device as RFC 3580 section 3.21 does.
func appendStation(b []byte, device uint64) []byte {
	b = append(b, "02-00"...)
	for shift := 24; shift >= 0; shift -= 8 {
		b = append(b, '-', upperHex[device>>(shift+4)&15], upperHex[device>>shift&15])
	}
	return b
}

const upperHex = "0123456789ABCDEF"

// build writes the request of a step; round counts those of EAP, n the records before.
func (w *work) build(step Step, s *subject, round int, n uint32, h dia.Header) []byte {
	t := &stepTable[step]
	h.Flags |= dia.FlagRequest | dia.FlagProxiable
	h.Command, h.Application = t.command, w.application(step)
	var o dia.Writer
	o.Begin(w.node.room, &h)
	o.Bytes(dia.SessionID, 0, must, s.session)
	switch {
	case t.command == dia.Accounting:
	case vendorOf(h.Application) != 0:
		g := o.Group(dia.VendorSpecificApplicationID, 0, must)
		o.Uint32(dia.VendorID, 0, must, vendorOf(h.Application))
		o.Uint32(dia.AuthApplicationID, 0, must, h.Application)
		o.End(g)
		o.Uint32(dia.AuthSessionState, 0, must, 1) // NO_STATE_MAINTAINED
	default:
		o.Uint32(dia.AuthApplicationID, 0, must, h.Application)
	}
	w.node.origin(&o)
	o.String(dia.DestinationRealm, 0, must, w.Realm)
	if w.Host != "" {
		o.String(dia.DestinationHost, 0, must, w.Host)
	}
	switch t.command {
	case dia.Accounting:
		w.accounting(&o, t.kind, s, n)
	case dia.CreditControl:
		w.credit(&o, t.kind, s, n)
	case dia.AA, dia.EAP, dia.SessionTermination:
		w.access(&o, step, s, round)
	default:
		w.mobility(&o, step, s)
	}
	return o.Finish()
}

// application is that of the header; accounting may be that of the service (RFC 7155
// section 1.6).
func (w *work) application(step Step) uint32 {
	app := stepTable[step].application
	if app == dia.AppAccounting && w.Coupled {
		return dia.AppNASREQ
	}
	return app
}

func (w *work) mobility(o *dia.Writer, step Step, s *subject) {
	if step == ODR {
		g := o.Group(tgppUserIdentifier, gp, must)
		o.Bytes(dia.UserName, 0, must, s.imsi)
		o.End(g)
		o.Bytes(tgppBearerID, gp, must, []byte{5})
		o.Bytes(tgppNonIPData, gp, must, payload[:])
		return
	}
	o.Bytes(dia.UserName, 0, must, s.imsi)
	switch step {
	case AIR:
		g := o.Group(tgppEUTRANRequested, gp, must)
		o.Uint32(tgppVectors, gp, must, 1)
		o.End(g)
		o.Bytes(dia.TGPPVisitedPLMNID, gp, must, w.PLMN[:])
	case ULR:
		g := o.Group(dia.TGPPTerminalInformation, gp, must)
		o.Bytes(dia.TGPPIMEI, gp, must, appendPadded(append(w.scratch[:0], "35"...), s.device, 12))
		o.Bytes(tgppSoftwareVersion, gp, must, []byte("01"))
		o.End(g)
		o.Uint32(dia.TGPPRATType, gp, must, ratNBIoT)
		o.Uint32(dia.TGPPULRFlags, gp, must, 0x22) // S6a, initial attach
		o.Bytes(dia.TGPPVisitedPLMNID, gp, must, w.PLMN[:])
	case NOR:
		o.Uint32(tgppNORFlags, gp, must, 0)
	}
}

func (w *work) access(o *dia.Writer, step Step, s *subject, round int) {
	if step == STR {
		o.Uint32(terminationCause, 0, must, 1) // DIAMETER_LOGOUT
		o.Bytes(dia.UserName, 0, must, s.nai)
		return
	}
	o.Uint32(dia.AuthRequestType, 0, must, authorizeAuth)
	o.Bytes(dia.UserName, 0, must, s.nai)
	if step == AAR {
		o.String(dia.UserPassword, 0, must, w.Password)
	} else {
		o.Bytes(eapPayload, 0, must, appendResponse(w.scratch[:0], s.nai, round))
	}
	o.String(nasIdentifier, 0, must, "roamgen-ap")
	o.Uint32(nasPortType, 0, must, nasWireless)
	o.Uint32(serviceType, 0, must, 2)
	o.String(calledStationID, 0, must, "02-00-00-00-00-01:roamgen")
	o.Bytes(callingStationID, 0, must, appendStation(w.scratch[:0], s.device))
}

// appendResponse writes what a device says of EAP: who it is, and then EAP-TLS with as
// many octets as a certificate has.
func appendResponse(b, nai []byte, round int) []byte {
	if round == 0 {
		b = append(b, 2, 0, 0, 0, eapIdentity)
		b = append(b, nai...)
	} else {
		const record = 890
		b = append(b, 2, byte(round), 0, 0, eapTLS, 0)
		b = append(b, 23, 3, 3, record>>8, record&0xff) // application data: it hides what it is
		b = b[:len(b)+record]
		clear(b[len(b)-record:])
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func (w *work) accounting(o *dia.Writer, kind uint32, s *subject, n uint32) {
	o.Uint32(dia.AccountingRecordType, 0, must, kind)
	o.Uint32(dia.AccountingRecordNumber, 0, must, n)
	app := uint32(dia.AppAccounting)
	if w.Coupled {
		app = dia.AppNASREQ
	}
	o.Uint32(dia.AcctApplicationID, 0, must, app)
	o.Bytes(dia.UserName, 0, must, s.nai)
	o.Uint32(dia.EventTimestamp, 0, must, uint32(w.now.Unix()+ntpToUnix))
	o.Bytes(dia.AcctSessionID, 0, must, s.session)
	o.String(nasIdentifier, 0, must, "roamgen-ap")
	o.Uint32(nasPortType, 0, must, nasWireless)
	o.String(calledStationID, 0, must, "02-00-00-00-00-01:roamgen")
	o.Bytes(callingStationID, 0, must, appendStation(w.scratch[:0], s.device))
	if kind != 2 {
		in, out := w.volume(s.number, n)
		o.Uint64(acctInputOctets, 0, must, in)
		o.Uint64(acctOutputOctets, 0, must, out)
		o.Uint32(acctSessionTime, 0, must, 60*n)
	}
	if kind == StopRecord {
		o.Uint32(terminationCause, 0, must, idleTimeout)
	}
}

// volume is what the n-th record of a conversation has counted.
func (w *work) volume(number uint64, n uint32) (in, out uint64) {
	return w.Octets + number, 2*w.Octets + uint64(n)
}

func (w *work) credit(o *dia.Writer, kind uint32, s *subject, n uint32) {
	o.String(serviceContextID, 0, must, "32251@3gpp.org")
	o.Uint32(dia.CCRequestType, 0, must, kind)
	o.Uint32(dia.CCRequestNumber, 0, must, n)
	o.Bytes(dia.UserName, 0, must, s.nai)
	o.Uint32(dia.EventTimestamp, 0, must, uint32(w.now.Unix()+ntpToUnix))
	g := o.Group(subscriptionID, 0, must)
	o.Uint32(subscriptionType, 0, must, subscribeIMSI)
	o.Bytes(subscriptionData, 0, must, s.imsi)
	o.End(g)
	g = o.Group(multipleServices, 0, must)
	if kind < 3 {
		o.End(o.Group(requestedUnit, 0, must))
	}
	if kind > 1 {
		in, out := w.volume(s.number, n)
		u := o.Group(usedServiceUnit, 0, must)
		o.Uint64(totalOctets, 0, must, in+out)
		o.Uint64(inputOctets, 0, must, in)
		o.Uint64(outputOctets, 0, must, out)
		o.End(u)
	}
	o.Uint32(ratingGroup, 0, must, 1)
	o.End(g)
	if kind == 3 {
		o.Uint32(terminationCause, 0, must, 1)
	}
}
