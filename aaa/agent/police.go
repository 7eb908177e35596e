package agent

import (
	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/realm"
)

// AVPs that tell the policy of a device, beside those that a Message knows.
const (
	callingStationID       = 31
	nasPortType            = 61
	chargeableUserIdentity = 89
	tgppIMSI               = 1
	tgppSGSNNetwork        = 18
	tgppIMEISV             = 20
	tgppRATType            = 21
	visitedNetworkID       = 600
)

// polices reports whether a request authenticates a device or moves it: those that the
// policy is asked about. A re-authentication within a session counts.
//
// hot: 0 allocs
func polices(m *diameter.Message) (s device.Signal, ok bool) {
	switch m.Application {
	case diameter.AppS6a:
		switch m.Command {
		case diameter.UpdateLocation:
			return device.SignalUpdate, true
		case diameter.AuthenticationInfo:
			return device.SignalAuth, true
		case diameter.PurgeUE:
			return device.SignalPurge, false
		case diameter.Notify:
			return device.SignalNotify, false
		}
	case diameter.AppEAP, diameter.AppSTa, diameter.AppSWm:
		return device.SignalAccess, m.Command == diameter.EAP
	case diameter.AppNASREQ:
		return device.SignalAccess, m.Command == diameter.AA
	case diameter.AppS6b:
		// A gateway serves whom STa or SWm has let in: it is no access of its own.
		return device.SignalOther, m.Command == diameter.AA || m.Command == diameter.EAP
	}
	return device.SignalOther, false
}

// police judges a request that has found its route, and is to be forwarded.
//
// hot: 0 allocs
func (g *guard) police(q *asked) verdict {
	if d := q.route.Diameter; d != nil && d.Action != realm.DiameterProxy {
		return verdict{} // as it is; or the walk of RADIUS asks
	}
	if v, asks := g.decide(q); asks && v.disposition != passed {
		return v
	}
	if q.route.Steering != nil {
		return g.steer(q)
	}
	return verdict{}
}

// decide asks the device policy; asks is false where the route does not, or not for
// such requests.
func (g *guard) decide(q *asked) (v verdict, asks bool) {
	if g.policy == nil || !q.route.Policy.Enabled {
		return v, false
	}
	signal, asks := polices(q.m)
	var d device.Query
	g.query(q, &d)
	if !asks {
		if k, ok := g.policy.KeyOf(&d); ok && signal != device.SignalOther {
			g.policy.Signal(k, signal, q.wall)
		}
		return v, false
	}
	if repeated(q.m) != nil {
		return verdict{disposition: refused, result: diameter.ResultAVPOccursTooManyTimes, why: device.NoIdentity.String()}, true
	}
	// An AIR is an attempt by itself; the ULR that follows belongs to it.
	d.Continues = d.Continues || signal == device.SignalUpdate || d.Later
	says := g.policy.Decide(&d)
	if says.Outcome == device.Miss {
		if q.waiter != nil && g.policy.Fetch(says.Key, &d, q.waiter, q.token) {
			return verdict{disposition: deferred}, true
		}
		d.Waited = true
		says = g.policy.Decide(&d)
	}
	g.policy.Signal(says.Key, signal, q.wall)
	if says.Outcome == device.Allow {
		return v, true
	}
	return denial(q.m, says.Reason), true
}

// repeated gives the second one of an AVP that tells the policy of the device, nil: none
// comes twice. Of two, the policy would judge one and the home could serve the other.
//
// hot: 0 allocs
func repeated(m *diameter.Message) []byte {
	seen := uint32(0)
	var a diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		bit := uint32(0)
		switch {
		case a.Is(diameter.UserName, 0):
			bit = 1 << 0
		case a.Is(callingStationID, 0):
			bit = 1 << 1
		case a.Is(chargeableUserIdentity, 0):
			bit = 1 << 2
		case a.Is(nasPortType, 0):
			bit = 1 << 3
		case a.Vendor != diameter.Vendor3GPP:
			continue
		case a.Code == tgppIMSI:
			bit = 1 << 4
		case a.Code == tgppIMEISV:
			bit = 1 << 5
		case a.Code == tgppSGSNNetwork:
			bit = 1 << 6
		case a.Code == tgppRATType:
			bit = 1 << 7
		case a.Code == visitedNetworkID:
			bit = 1 << 8
		case a.Code == diameter.TGPPVisitedPLMNID:
			bit = 1 << 9
		case a.Code == diameter.TGPPRATType:
			bit = 1 << 10
		case a.Code == diameter.TGPPTerminalInformation:
			bit = 1 << 11
		}
		if seen&bit != 0 {
			return a.Raw
		}
		seen |= bit
	}
	return nil
}

// query says what the policy learns of a device from a request.
func (g *guard) query(q *asked, d *device.Query) {
	m := q.m
	*d = device.Query{
		Route: q.route, Client: q.client, Waited: q.waited, Now: q.now, Wall: q.wall,
	}
	name := m.Value(diameter.KnownUserName)
	user, suffix, _ := nai.Split(name)
	if m.Application == diameter.AppS6a {
		d.IMSI, d.Cellular, d.Partial = name, true, m.Command != diameter.UpdateLocation
	} else {
		d.User, d.Later = user, m.Application == diameter.AppS6b
		if suffix != nil {
			d.Realm = nai.Fold(&g.folded, suffix)
		}
		g.attributes(m, d)
	}
	if n, ok := realm.VisitedNetwork(m.Value(diameter.KnownVisitedPLMN)); ok {
		d.Network = n
	}
	if rat, ok := m.Uint32(diameter.KnownRATType); ok {
		d.RATType, d.HasRATType = accounting.RATType(rat)
	}
	if info := m.Value(diameter.KnownTerminal); info != nil {
		var a diameter.AVP
		if diameter.Find(info, diameter.TGPPIMEI, diameter.Vendor3GPP, &a) {
			d.IMEI = a.Data
		}
	}
}

// attributes reads what RADIUS has as well: the codes are the same (RFC 7155 section
// 4, TS 29.061 section 16).
func (g *guard) attributes(m *diameter.Message, d *device.Query) {
	const state = 24
	var a diameter.AVP
	for c := diameter.Walk(m.Body()); c.Next(&a); {
		switch {
		case a.Vendor == 0 && a.Code == callingStationID:
			d.CallingStation = a.Data
		case a.Vendor == 0 && a.Code == chargeableUserIdentity:
			d.CUI = a.Data
		case a.Vendor == 0 && a.Code == state:
			d.Continues = true
		case a.Vendor == 0 && a.Code == nasPortType:
			d.NASPortType, d.HasNASPortType = a.Uint32()
		case a.Vendor != diameter.Vendor3GPP:
		case a.Code == visitedNetworkID && len(a.Data) <= len(g.visited):
			d.Network, _ = realm.NetworkOf(nai.Fold(&g.visited, a.Data))
		case a.Code == tgppIMSI:
			d.IMSI = a.Data
		case a.Code == tgppIMEISV:
			d.IMEI = a.Data
		case a.Code == tgppSGSNNetwork:
			d.Network, _ = realm.NetworkOfDigits(a.Data)
		case a.Code == tgppRATType && len(a.Data) == 1:
			d.RATType, d.HasRATType = a.Data[0], true
		}
	}
}

// Experimental-Result-Codes of 3GPP (TS 29.272 section 7.4, TS 29.273 section 10, TS
// 29.338 section 7.3).
const (
	userUnknown            = 5001
	roamingNotAllowed      = 5004
	unknownEPSSubscription = 5420
	ratNotAllowed          = 5421 // of S6a
	ratTypeNotAllowed      = 5452 // of STa, SWm and S6b
	illegalEquipment       = 5554
)

// denial is the answer to a device that may not, in the words of the application, so
// that it does what is due: look for another network, or another access, or stay away.
func denial(m *diameter.Message, why device.Reason) verdict {
	v := verdict{disposition: refused, result: diameter.ResultAuthorizationRejected, why: why.String()}
	later := false
	switch why {
	case device.StoreAway, device.MalformedValue, device.ProfileMissing:
		// It is nobody's fault but ours, and passes: the sender asks another hub.
		v.result = diameter.ResultUnableToDeliver
		return v
	case device.TooManyAttempts, device.VolumeCap:
		later = true
	}
	switch m.Application {
	case diameter.AppS6a:
		v.vendor, v.result = diameter.Vendor3GPP, ofS6a(why)
		if later {
			// Nothing of S6a says later; the sender takes this for the hub's trouble.
			v.vendor, v.result = 0, diameter.ResultUnableToComply
		}
	case diameter.AppSTa, diameter.AppSWm, diameter.AppS6b:
		switch why {
		case device.UnknownDevice, device.NoIdentity:
			v.vendor, v.result = diameter.Vendor3GPP, userUnknown
		case device.AccessTypeNotAllowed:
			v.vendor, v.result = diameter.Vendor3GPP, ratTypeNotAllowed
		case device.EquipmentNotAllowed:
			v.vendor, v.result = diameter.Vendor3GPP, illegalEquipment
		case device.OperatorNotAllowed, device.CountryNotAllowed, device.NetworkNotAllowed, device.RoamingTooLong:
			v.vendor, v.result = diameter.Vendor3GPP, roamingNotAllowed
		}
	default:
		if later {
			v.result = diameter.ResultAuthenticationRejected // transient: try again
		}
	}
	return v
}

// ofS6a gives the Experimental-Result-Code of a ULA or AIA.
func ofS6a(why device.Reason) uint32 {
	switch why {
	case device.UnknownDevice, device.NoIdentity:
		return userUnknown
	case device.AccessTypeNotAllowed:
		return ratNotAllowed
	case device.Blocked, device.Denied, device.NotYetValid, device.Expired:
		return unknownEPSSubscription
	}
	return roamingNotAllowed
}

// deny writes the whole answer of a refused verdict into room, with the identifiers of
// the request; nil: it does not fit.
//
// hot: 0 allocs
func (g *guard) deny(room []byte, m *diameter.Message, v verdict) []byte {
	var w diameter.Writer
	a := diameter.Answer{Result: v.result, Vendor: v.vendor, Host: g.identity, Realm: g.realm}
	if v.vendor == 0 && v.result == diameter.ResultAVPOccursTooManyTimes {
		a.Failed = repeated(m)
	}
	w.Answer(room, m, &a)
	if w.Full() || v.vendor == 0 && v.result/1000 == 3 {
		return w.Finish()
	}
	switch {
	case m.Command == diameter.Accounting || m.Command == diameter.CreditControl:
	case authenticates(m.Application):
		w.Uint32(diameter.AuthApplicationID, 0, diameter.AVPMandatory, m.Application)
		g.like(&w, m)
	case m.Application >= vendorApplications:
		at := w.Group(diameter.VendorSpecificApplicationID, 0, diameter.AVPMandatory)
		w.Uint32(diameter.VendorID, 0, diameter.AVPMandatory, diameter.Vendor3GPP)
		w.Uint32(diameter.AuthApplicationID, 0, diameter.AVPMandatory, m.Application)
		w.End(at)
		w.Uint32(diameter.AuthSessionState, 0, diameter.AVPMandatory, stateNotMaintained)
	}
	return w.Finish()
}

const (
	stateNotMaintained = 1
	vendorApplications = 1 << 24 // from here on they are vendors'
	eapPayload         = 462
	eapFailure         = 4
)

// authenticates reports whether an application has AAA or DEA, which say for which
// application and which kind of request they are (RFC 7155 section 3.2, RFC 4072
// section 3.2, TS 29.273 sections 5.2 and 7.2).
func authenticates(application uint32) bool {
	switch application {
	case diameter.AppNASREQ, diameter.AppEAP, diameter.AppSTa, diameter.AppSWm, diameter.AppS6b:
		return true
	}
	return false
}

// like adds what an answer repeats of its request: Auth-Request-Type, and of EAP the
// identifier, in the failure that ends it (RFC 4072 section 2.2).
func (g *guard) like(w *diameter.Writer, m *diameter.Message) {
	var a diameter.AVP
	if diameter.Find(m.Body(), diameter.AuthRequestType, 0, &a) {
		if kind, ok := a.Uint32(); ok {
			w.Uint32(diameter.AuthRequestType, 0, diameter.AVPMandatory, kind)
		}
	}
	if diameter.Find(m.Body(), eapPayload, 0, &a) && len(a.Data) >= 2 {
		failure := [4]byte{eapFailure, a.Data[1], 0, 4}
		w.Bytes(eapPayload, 0, diameter.AVPMandatory, failure[:])
	}
}
