package aaa

import (
	"strconv"

	"github.com/roamgate/roamgate/aaa/device"
	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/wba"
	"github.com/roamgate/roamgate/realm"
)

// A peer of OpenRoaming is told why its request was rejected, behind a NUL in
// Reply-Message, also inside EAP: among themselves these peers have agreed to
// what RFC 3579 section 2.6.5 has against it. Nobody else gets that from the hub,
// and from homes it is taken wherever it comes.

// rejectReason is what a Reason is to these peers.
func (r Reason) rejectReason() wba.RejectReason {
	switch r {
	case NoRoute, ScopeDenied, RealmNotAllowed, TransitDenied, RouteRejects:
		return wba.RoamingNotAllowed
	case NoUserName, SeveralUserNames:
		return wba.BadIdentity
	case NoClearingProvider, NoRate:
		return wba.NoChargingModel
	case NotCleared:
		return wba.ModelNotAcceptable
	case NoPool, HomesDown, Loop, LoopFingerprint, ManyProxyStates, HopsSpent, Hairpin, ReplyTooLong:
		return wba.ServerUnavailable
	case HomeTimeout, RealmSilent:
		return wba.Timeout
	case OperatorNameMismatch:
		return wba.MalformedRequest
	case Overload, NoIdentifier, HomeBusy, SpoolUnavailable, ofDevice(device.VolumeCap), ofDevice(device.TooManyAttempts):
		return wba.NotNow
	case ofDevice(device.StoreAway), ofDevice(device.MalformedValue), ofDevice(device.ProfileMissing):
		return wba.BackendUnavailable
	case ofDevice(device.UnknownDevice), ofDevice(device.NoIdentity):
		return wba.NoSubscription
	}
	switch {
	case r >= deviceReasons:
		return wba.NotAllowed
	case r.ofName():
		return wba.BadIdentity
	case r.ofPacket():
		return wba.MalformedRequest
	}
	return wba.NotAllowed
}

// told says whether a client is told why: it is a peer of OpenRoaming.
func (ex *Exchange) told() bool {
	return ex.snap.consortia && ex.client.Spec.Group.In(realm.OpenRoaming)
}

// giveReason adds the reason to the text of a reject, unless that leaves less
// than rest; the text is cut before the reason is.
//
// hot: 0 allocs
func (s *Shard) giveReason(text []byte, why Reason, rest int) {
	room := min(s.w.Room()-rest-2, maxText) - wba.RejectLen
	if room < 0 {
		return
	}
	v := append(s.extra[:0], text[:min(len(text), room)]...)
	s.w.Add(radius.ReplyMessage, why.rejectReason().AppendReject(v))
}

// turnAway answers an Access-Request that there is no Exchange for, where the
// client's consortium wants no silence.
func (s *Shard) turnAway(a *arrival) {
	if a.kind != home.Auth || !s.snap.consortia || !a.client.Spec.Group.In(realm.OpenRoaming) {
		return
	}
	auth := *a.Authenticator()
	s.w.Start(s.lend(a.door), radius.AccessReject, a.id, !a.secret.IsClear())
	states := s.proxyStates(&a.Packet)
	if _, id, _, ok := a.EAP(); ok {
		s.w.AddEAPFailure(id)
	}
	s.giveReason(texts[Overload], Overload, len(states))
	if !s.w.Raw(states) {
		return
	}
	if _, sent := s.commit(a.door, a.secret, &auth, a.from, a.local); sent {
		s.stats.Add(s.snap.clientStats[a.client.Index].responses[kindAuth][resultReject], 1)
	}
}

// reasonGiven finds why a home has rejected, where it says so.
func reasonGiven(p *radius.Packet) (wba.RejectReason, bool) {
	for a, off, ok := p.Next(p.From(radius.ReplyMessage)); ok; a, off, ok = p.Next(off) {
		if a.Type != radius.ReplyMessage {
			continue
		}
		if r, ok := wba.ReadReject(a.Value()); ok {
			return r, true
		}
	}
	return 0, false
}

// mostRejects is one more than the highest RejectReason.
const mostRejects = 100

// rejectSeries counts what a home says of its rejects.
func (h *Hub) rejectSeries(name string) *[mostRejects]stat.ID {
	counter := func(code string) stat.ID {
		return h.stats.CounterSparse("roamgate_home_reject_reasons_total", "Access-Rejects of a home that say why in the way of the Wireless Broadband Alliance: 10 and above the user's credentials, 20 the home's servers, 30 the request, 40 no agreement, 50 not now.",
			"home", name, "code", code)
	}
	var all [mostRejects]stat.ID
	other := counter("other")
	for i := range all {
		all[i] = other
	}
	for _, r := range wba.RejectReasons() {
		all[r] = counter(strconv.Itoa(int(r)))
	}
	return &all
}
