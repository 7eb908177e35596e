package node

import (
	"crypto/sha256"
	"strings"
	"time"

	dia "github.com/roamgate/roamgate/pkg/diameter"
)

// keyOf is the EAP-Master-Session-Key of a session: both ends know it by themselves.
func keyOf(session []byte) (k [64]byte) {
	a := sha256.Sum256(session)
	b := sha256.Sum256(a[:])
	copy(k[copy(k[:], a[:]):], b[:])
	return k
}

// answer works a request.
func (n *Node) answer(c *conn, m *dia.Message) {
	n.note(m)
	realm := string(m.Value(dia.KnownDestinationRealm))
	host := string(m.Value(dia.KnownDestinationHost))
	if realm != "" && !strings.EqualFold(realm, n.config.Realm) || !m.Has(dia.KnownOriginHost) || !m.Has(dia.KnownOriginRealm) ||
		host != "" && !strings.EqualFold(host, n.config.Identity) {
		n.counts.Strangers++
	}
	s := &n.script
	if s.Silent {
		return
	}
	raw := n.reply(m, s)
	if raw == nil {
		n.counts.Malformed++ // it does not fit
		return
	}
	n.counts.Answered++
	switch {
	case s.Delay > 0:
		n.later(c, raw, s.Delay)
	default:
		c.send(raw)
	}
	if s.Late > 0 {
		n.later(c, raw, s.Delay+s.Late)
	}
}

// later sends a copy when it is time.
func (n *Node) later(c *conn, raw []byte, delay time.Duration) {
	raw = append([]byte(nil), raw...)
	time.AfterFunc(delay, func() {
		c.send(raw)
		c.flush()
	})
}

// reply builds the answer to a request.
func (n *Node) reply(r *dia.Message, s *Script) []byte {
	h := r.Header
	h.Flags = r.Flags & dia.FlagProxiable
	result, vendor := uint32(dia.ResultSuccess), uint32(0)
	if s.Result != 0 {
		result, vendor = s.Result, s.Vendor
	} else if r.Command == dia.EAP {
		result = n.round(string(r.Value(dia.KnownSessionID)), s.Rounds)
	}
	if result/1000 == 3 {
		h.Flags |= dia.FlagError
	}
	var w dia.Writer
	w.Begin(n.room, &h)
	w.Bytes(dia.SessionID, 0, must, r.Value(dia.KnownSessionID))
	if vendor != 0 {
		g := w.Group(dia.ExperimentalResult, 0, must)
		w.Uint32(dia.VendorID, 0, must, vendor)
		w.Uint32(dia.ExperimentalResultCode, 0, must, result)
		w.End(g)
	} else {
		w.Uint32(dia.ResultCode, 0, must, result)
	}
	n.origin(&w)
	if vendorOf(r.Application) != 0 {
		g := w.Group(dia.VendorSpecificApplicationID, 0, must)
		w.Uint32(dia.VendorID, 0, must, vendorOf(r.Application))
		w.Uint32(dia.AuthApplicationID, 0, must, r.Application)
		w.End(g)
		w.Uint32(dia.AuthSessionState, 0, must, 1)
	} else if r.Command != dia.Accounting {
		w.Uint32(dia.AuthApplicationID, 0, must, r.Application)
	}
	if result < 3000 && vendor == 0 {
		n.content(&w, r, result)
	}
	var a dia.AVP
	for walk := dia.Walk(r.Body()); walk.Next(&a); {
		if a.Is(dia.ProxyInfo, 0) {
			w.Raw(a.Raw)
		}
	}
	return w.Finish()
}

// round counts the rounds of EAP.
func (n *Node) round(session string, all int) uint32 {
	if n.rounds[session] < all {
		n.rounds[session]++
		return dia.ResultMultiRoundAuth
	}
	delete(n.rounds, session)
	return dia.ResultSuccess
}

func (n *Node) content(w *dia.Writer, r *dia.Message, result uint32) {
	switch r.Command {
	case dia.AuthenticationInfo:
		g := w.Group(tgppAuthInfo, gp, must)
		v := w.Group(tgppEUTRANVector, gp, must)
		key := sha256.Sum256(r.Value(dia.KnownUserName))
		w.Bytes(tgppRAND, gp, must, key[:16])
		w.Bytes(tgppXRES, gp, must, key[16:24])
		w.Bytes(tgppAUTN, gp, must, key[8:24])
		w.Bytes(tgppKASME, gp, must, key[:])
		w.End(v)
		w.End(g)
	case dia.UpdateLocation:
		w.Uint32(tgppULAFlags, gp, must, 1)
		n.subscription(w)
	case dia.PurgeUE:
		w.Uint32(tgppPUAFlags, gp, must, 1)
	case dia.AA:
		w.Uint32(dia.AuthRequestType, 0, must, authorizeAuth)
		w.Uint32(dia.SessionTimeout, 0, must, 3600)
		w.String(dia.Class, 0, must, "class of "+n.config.Identity)
	case dia.EAP:
		w.Uint32(dia.AuthRequestType, 0, must, authorizeAuth)
		if result == dia.ResultMultiRoundAuth {
			w.Bytes(eapPayload, 0, must, []byte{1, identifier(r) + 1, 0, 6, eapTLS, 0x20}) // Request: Start
			return
		}
		w.Bytes(eapPayload, 0, must, []byte{3, identifier(r), 0, 4}) // Success
		key := keyOf(r.Value(dia.KnownSessionID))
		w.Bytes(eapMasterKey, 0, 0, key[:])
		w.Uint32(dia.SessionTimeout, 0, must, 3600)
	case dia.Accounting:
		copyKnown(w, r, dia.KnownRecordType, dia.AccountingRecordType)
		copyKnown(w, r, dia.KnownRecordNumber, dia.AccountingRecordNumber)
		w.Uint32(dia.AcctApplicationID, 0, must, r.Application)
	case dia.CreditControl:
		copyKnown(w, r, dia.KnownRequestType, dia.CCRequestType)
		copyKnown(w, r, dia.KnownRequestNumber, dia.CCRequestNumber)
		g := w.Group(multipleServices, 0, must)
		u := w.Group(grantedServiceUnit, 0, must)
		w.Uint64(totalOctets, 0, must, 1<<20)
		w.End(u)
		w.Uint32(ratingGroup, 0, must, 1)
		w.Uint32(dia.ResultCode, 0, must, dia.ResultSuccess)
		w.End(g)
	}
}

// identifier is that of the EAP that a request carries, 0: it carries none.
func identifier(r *dia.Message) byte {
	var a dia.AVP
	if dia.Find(r.Body(), eapPayload, 0, &a) && len(a.Data) > 1 {
		return a.Data[1]
	}
	return 0
}

// subscription is what an HSS says of every device.
func (n *Node) subscription(w *dia.Writer) {
	g := w.Group(tgppSubscription, gp, must)
	w.Bytes(tgppMSISDN, gp, must, []byte{0x94, 0x71, 0x00, 0x00, 0x00, 0x01})
	w.Uint32(tgppSubscriberStatus, gp, must, 0)
	w.Uint32(tgppNetworkAccess, gp, must, 2)
	p := w.Group(tgppAPNProfile, gp, must)
	w.Uint32(tgppContextID, gp, must, 1)
	w.Uint32(tgppAllAPNs, gp, must, 0)
	a := w.Group(tgppAPN, gp, must)
	w.Uint32(tgppContextID, gp, must, 1)
	w.Uint32(tgppPDNType, gp, must, 0)
	w.String(serviceSelection, 0, must, "iot.example")
	w.End(a)
	w.End(p)
	w.End(g)
}

func copyKnown(w *dia.Writer, r *dia.Message, k dia.Known, code uint32) {
	if v := r.Value(k); v != nil {
		w.Bytes(code, 0, must, v)
	}
}
