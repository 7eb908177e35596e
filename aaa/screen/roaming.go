package screen

import (
	"hash/maphash"
	"time"

	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/realm"
)

// userID is the AVP of a Reset-Request with the leading digits of IMSIs (TS 29.272
// section 7.3.50).
const userID = 1444

// home is class 2: what only the home of a subscriber may send to where it is.
func (j *judging) home() {
	if !j.p.has(realm.ScreenHomeRealm) {
		return
	}
	switch j.m.Command {
	case diameter.CancelLocation, diameter.InsertSubscriberData, diameter.DeleteSubscriberData:
		if !j.issued(j.m.Value(diameter.KnownUserName)) {
			j.breaks(realm.ScreenHomeRealm)
		}
	case diameter.Reset:
		var a diameter.AVP
		if one, many := j.networks(); one == 0 && len(many) == 0 {
			j.breaks(realm.ScreenHomeRealm)
			return
		}
		for c := diameter.Walk(j.m.Body()); c.Next(&a); {
			if a.Is(userID, diameter.Vendor3GPP) && !j.issued(a.Data) {
				j.breaks(realm.ScreenHomeRealm)
				return
			}
		}
	}
}

// networks are what the Origin-Realm stands for.
func (j *judging) networks() (one realm.Network, many []realm.Network) {
	if many, ok := j.p.rules.Networks[string(j.realm)]; ok {
		return 0, many
	}
	one, _ = realm.NetworkOf(j.realm)
	return one, nil
}

// issued reports whether the network of the Origin-Realm has issued an IMSI, or all
// that begin with some digits.
func (j *judging) issued(imsi []byte) bool {
	if len(imsi) > 15 {
		return false
	}
	var six [6]byte
	if len(imsi) == 5 {
		// These are a network by themselves where its code has two digits.
		if copy(six[:], imsi); realm.MNCDigits(imsi) != 2 {
			return false
		}
		six[5] = '0'
		imsi = six[:]
	}
	one, many := j.networks()
	for _, n := range many {
		if n.Issued(imsi) {
			return true
		}
	}
	return one.Issued(imsi)
}

// within reports whether a network is one of the Origin-Realm.
func (j *judging) within(n realm.Network) bool {
	one, many := j.networks()
	for _, m := range many {
		if m.Covers(n) {
			return true
		}
	}
	return one != 0 && one == n
}

// visited is class 3: what the network says in which a subscriber is.
func (j *judging) visited() {
	if j.p.on&class3 == 0 {
		return
	}
	command := j.m.Command
	locates := command == diameter.UpdateLocation
	switch command {
	case diameter.UpdateLocation, diameter.AuthenticationInfo, diameter.PurgeUE, diameter.Notify:
	default:
		return
	}
	var network realm.Network
	if locates || command == diameter.AuthenticationInfo {
		n, ok := realm.VisitedNetwork(j.m.Value(diameter.KnownVisitedPLMN))
		if !ok || !j.within(n) {
			j.breaks(realm.ScreenVisitedPLMN)
		}
		network = n
	}
	imsi := j.m.Value(diameter.KnownUserName)
	if j.s.known == nil || j.p.on&stateful == 0 || len(imsi) == 0 || len(imsi) > 15 {
		return
	}
	key := maphash.Bytes(j.s.seed, imsi)
	u := j.s.known.find(key)
	if u != nil {
		j.moved(u, command, network)
	}
	if j.p.has(realm.ScreenRate) {
		j.rate(u, key)
	}
	switch {
	case locates && network != 0:
		j.seen = Seen{key, network, true}
	case command == diameter.PurgeUE:
		j.seen = Seen{key, 0, true}
	}
}

// moved compares a request with where its subscriber was.
func (j *judging) moved(u *subscriber, command uint32, network realm.Network) {
	if u.network == 0 {
		return
	}
	switch command {
	case diameter.PurgeUE, diameter.Notify:
		if !j.within(u.network) {
			j.breaks(realm.ScreenPrevious)
		}
	case diameter.UpdateLocation:
		from, to := continent(u.network), continent(network)
		since := time.Duration(j.s.seconds(j.now)-u.seen) * time.Second
		if from != to && from != 0 && to != 0 && since < j.p.rules.Travel {
			j.breaks(realm.ScreenVelocity)
		}
	}
}

// continent is the first digit of a country code (ITU-T E.212 annex A), 0: of no
// place, as satellites and ships.
func continent(n realm.Network) int {
	if c := n.MCC() / 100; c >= 2 && c <= 7 {
		return c
	}
	return 0
}

// rate counts the request by the generic cell rate algorithm.
func (j *judging) rate(u *subscriber, key uint64) {
	now, period := j.now/int64(time.Millisecond), time.Hour.Milliseconds()/int64(j.p.rules.Rate)
	tat := now
	if u != nil {
		tat = max(now, u.tat)
	}
	if tat > now+int64(j.p.rules.Rate-1)*period {
		j.breaks(realm.ScreenRate)
		return
	}
	if j.count {
		if u == nil {
			u = j.s.known.of(key)
		}
		u.tat = tat + period
	}
}
