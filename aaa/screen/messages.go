package screen

import (
	"hash/maphash"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// messages is classes 2 and 3 of short messages (TS 29.338) and of non-IP data (TS
// 29.128), which name a subscriber in User-Name, or in a User-Identifier.
func (j *judging) messages() {
	switch j.m.Application {
	case diameter.AppS6c, diameter.AppSGd:
		j.serviceCentre()
	case diameter.AppT6a:
	default:
		return
	}
	switch j.m.Command {
	case diameter.MTForwardSM, diameter.MTData, diameter.ConfigurationInfo:
		// Home routing and the SCEF make these the home's alone. Who is not named by
		// IMSI cannot be shown to be its subscriber.
		if !j.p.has(realm.ScreenHomeRealm) {
			return
		}
		if who, ok := j.named(); !ok || !j.allIssued(&who) {
			j.breaks(realm.ScreenHomeRealm)
		}
	case diameter.MOForwardSM, diameter.AlertServiceCentre, diameter.ConnectionManagement, diameter.MOData, diameter.ReportingInfo:
		if j.p.on&class3 != 0 {
			j.served()
		}
	}
}

// mostNamed are more subscribers than such a request is about.
const mostNamed = 4

// named gives the IMSIs of a request; it is not ok where they are too many.
func (j *judging) named() (who [mostNamed][]byte, ok bool) {
	n := 0
	var a, of diameter.AVP
	for c := diameter.Walk(j.m.Body()); c.Next(&a); {
		switch {
		case a.Is(diameter.UserName, 0):
			if n == mostNamed {
				return who, false
			}
			who[n] = a.Data
			n++
		case a.Is(diameter.TGPPUserIdentifier, diameter.Vendor3GPP):
			for g := a.Group(); g.Next(&of); {
				if !of.Is(diameter.UserName, 0) {
					continue
				}
				if n == mostNamed {
					return who, false
				}
				who[n] = of.Data
				n++
			}
		}
	}
	return who, true
}

// allIssued reports whether the network of the Origin-Realm has issued all of some
// IMSIs, and there is one.
func (j *judging) allIssued(who *[mostNamed][]byte) bool {
	for _, imsi := range who {
		if imsi != nil && !j.issued(imsi) {
			return false
		}
	}
	return who[0] != nil
}

// served is class 3: what the network sends that serves a subscriber. Of some requests
// it may be the home too.
func (j *judging) served() {
	who, ok := j.named()
	if ok && j.allIssued(&who) {
		return
	}
	command := j.m.Command
	if v := j.m.Value(diameter.KnownVisitedPLMN); v != nil && command == diameter.ConnectionManagement {
		if n, ok := realm.VisitedNetwork(v); !ok || !j.within(n) {
			j.breaks(realm.ScreenVisitedPLMN)
		}
	}
	if !ok {
		j.breaks(realm.ScreenPrevious)
		return
	}
	if j.s.known == nil || j.p.on&stateful == 0 {
		return
	}
	for _, imsi := range who {
		if len(imsi) == 0 || len(imsi) > 15 {
			continue
		}
		key := maphash.Bytes(j.s.seed, imsi)
		u := j.s.known.find(key)
		if u != nil && u.network != 0 && !j.within(u.network) {
			j.breaks(realm.ScreenPrevious)
		}
		// Data of a device has a rate of its own (Serving-PLMN-Rate-Control).
		if j.p.has(realm.ScreenRate) && (command == diameter.MOForwardSM || command == diameter.ConnectionManagement) {
			j.rate(u, key)
		}
	}
}

// serviceCentre compares SC-Address with the realm that it has to be of: who asks where
// a subscriber is says who it is, and what a subscriber sends goes to a centre of
// whom it is sent to. A short message for a subscriber may be of any.
func (j *judging) serviceCentre() {
	if !j.p.has(realm.ScreenServiceCentre) || len(j.p.rules.ServiceCentres) == 0 {
		return
	}
	var buf [maxIdentity]byte
	whose := j.realm
	switch j.m.Command {
	case diameter.SendRoutingInfoSM, diameter.ReportSMStatus:
	case diameter.MOForwardSM, diameter.AlertServiceCentre:
		whose = fold(&buf, j.m.Value(diameter.KnownDestinationRealm))
	default:
		return
	}
	var a diameter.AVP
	for c := diameter.Walk(j.m.Body()); c.Next(&a); {
		if a.Is(diameter.TGPPSCAddress, diameter.Vendor3GPP) && !j.centreOf(whose, a.Data) {
			j.breaks(realm.ScreenServiceCentre)
			return
		}
	}
}

// centreOf reports whether a number can be that of a realm's service centre: it is one of
// the realm's, or nothing says whose it is and which the realm has.
func (j *judging) centreOf(whose, address []byte) bool {
	var buf [mostDigits]byte
	number := digits(&buf, address)
	if number == nil {
		return false
	}
	known := false
	for i := range j.p.rules.ServiceCentres {
		c := &j.p.rules.ServiceCentres[i]
		its, has := c.Realm == string(whose), len(number) >= len(c.Digits) && string(number[:len(c.Digits)]) == c.Digits
		if its && has {
			return true
		}
		known = known || its || has
	}
	return !known
}

// mostDigits are more than an international number has (ITU-T E.164: 15).
const mostDigits = 20

// digits reads a TBCD string: two digits in an octet, the lower half first, and a last
// half that is filled (TS 29.002 section 17.7.8); nil: it is none.
func digits(buf *[mostDigits]byte, b []byte) []byte {
	if len(b) == 0 || len(b) > len(buf)/2 {
		return nil
	}
	out := buf[:0]
	for i, c := range b {
		low, high := c&15, c>>4
		if low > 9 || high > 9 && (high != 15 || i < len(b)-1) {
			return nil
		}
		if out = append(out, '0'+low); high != 15 {
			out = append(out, '0'+high)
		}
	}
	return out
}
