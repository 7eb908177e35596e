package aaa

import (
	"bytes"

	"github.com/roamgate/roamgate/aaa/home"
	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/pkg/nai"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
	"github.com/roamgate/roamgate/pkg/wba"
	"github.com/roamgate/roamgate/realm"
)

// Between peers of OpenRoaming the device chooses by its roaming consortium
// whether somebody pays for the session. Where somebody does, both networks name
// who clears it, the visited one offers rates and the home takes one of them, or
// there is a tariff. The hub holds both to it, and seals what was agreed in a
// Class (bond), which comes back in accounting: a record says on which rate.

// settlement is whether a session is paid.
type settlement uint8

const (
	unsettled settlement = iota // nobody has to know
	free
	paid
	downgraded // it was to be paid, and the home has cleared nothing
	settlements
)

var settlementNames = [settlements]string{unsettled: "none", free: "free", paid: "settled", downgraded: "downgraded"}

// maxOffers is how many rates of a request count.
const maxOffers = 8

// offer is what a request offers and its answer has taken.
type offer struct {
	rates  [maxOffers]wba.Rate
	n      int
	tier   wba.Tier
	tiered bool // a tier is offered
	agreed wba.Rate
}

// terms are those of the consortium that a request is in: by its client, else by
// where it goes; nil for none.
func (ex *Exchange) terms() *realm.Terms {
	if !ex.snap.consortia {
		return nil
	}
	if ex.client != nil && ex.client.Spec.Group.In(realm.OpenRoaming) {
		return &ex.client.Spec.Group.Terms
	}
	if g := homeGroup(ex.route, ex.pool); g.In(realm.OpenRoaming) {
		return &g.Terms
	}
	return nil
}

// settles finds out whether an Access-Request is for a session that is paid, and
// holds the visited network to it: p is the request as the hub takes it.
//
// hot: 0 allocs
func (s *Shard) settles(ex *Exchange, p *radius.Packet) Reason {
	t := ex.terms()
	if t == nil {
		return OK
	}
	if ex.settlement = chosen(p, t); ex.settlement != paid {
		return OK
	}
	if !cleared(p) {
		return NoClearingProvider
	}
	if s.offered(p); s.offer.n == 0 && t.Tariff == "" {
		return NoRate
	}
	return OK
}

// chosen reads which roaming consortium the device has chosen; without one, or
// with another's, it is as the terms say.
func chosen(p *radius.Packet, t *realm.Terms) settlement {
	settled := t.Settled
	if v, ok := p.Vendor(wba.VendorWFA, wba.RoamingConsortium); ok {
		if r, known := wba.ReadRCOI(v); known {
			settled = r.Settled
		}
	}
	if settled {
		return paid
	}
	return free
}

// cleared says whether a packet names one financial clearing provider.
func cleared(p *radius.Packet) bool {
	n, good := 0, true
	p.EachVendor(wba.Vendor, wba.FinancialClearingProvider, func(v []byte) bool {
		n++
		good = good && wba.IsProvider(v)
		return true
	})
	return n == 1 && good
}

// offered reads what a request offers.
func (s *Shard) offered(p *radius.Packet) {
	o := &s.offer
	*o = offer{}
	p.EachVendor(wba.Vendor, wba.LinearVolumeRate, func(v []byte) bool {
		if r, ok := wba.ReadRate(v); ok {
			o.rates[o.n] = r
			o.n++
		}
		return o.n < maxOffers
	})
	if v, ok := p.Vendor(wba.Vendor, wba.OfferedService); ok {
		o.tier, o.tiered = wba.ReadTier(v)
	}
}

// recallOffer reads again what the request has offered, for the answer to be
// held against it. It takes the draft, so it comes first.
func (s *Shard) recallOffer(ex *Exchange) {
	p, why := s.accepted(ex, s.parsed(ex)) // it was, so it is again
	if why != OK {
		s.offer = offer{}
		return
	}
	s.offered(p)
}

// agrees holds an Access-Accept against what was offered: p is the answer as the
// hub takes it from the home, and is changed where the session is paid no more.
//
// hot: 0 allocs
func (s *Shard) agrees(ex *Exchange, p *radius.Packet, ctr *homeStats) Reason {
	if s.exceeds(p) {
		s.stats.Add(ctr.tierExceeded, 1)
	}
	if ex.settlement == paid {
		t := ex.terms()
		if !cleared(p) || !s.takes(p, t) {
			if !t.Downgrade {
				return NotCleared
			}
			s.note(NotCleared, ctr.name, ex.from)
			ex.settlement = downgraded
			p.CutVendor(wba.Vendor, wba.FinancialClearingProvider)
			p.CutVendor(wba.Vendor, wba.DataClearingProvider)
			p.CutVendor(wba.Vendor, wba.LinearVolumeRate)
			s.offer.agreed = wba.Rate{}
		}
	}
	s.stats.Add(ex.snap.clientStats[ex.client.Index].settled[ex.settlement], 1)
	return OK
}

// takes says whether an Accept takes a rate that was offered. One that names none
// takes the only one there is, else the tariff.
func (s *Shard) takes(p *radius.Packet, t *realm.Terms) bool {
	o := &s.offer
	n, good := 0, false
	p.EachVendor(wba.Vendor, wba.LinearVolumeRate, func(v []byte) bool {
		n++
		o.agreed, good = wba.ReadRate(v)
		return good
	})
	switch {
	case n > 1 || n == 1 && !good:
		return false
	case n == 1:
		for _, r := range o.rates[:o.n] {
			if r == o.agreed {
				return true
			}
		}
		return false
	case t.Tariff != "":
		return true
	case o.n == 1:
		o.agreed = o.rates[0]
		return true
	}
	return false
}

// exceeds says whether the home grants a better tier than was offered. It is
// counted, and left to the visited network, which knows what it has.
func (s *Shard) exceeds(p *radius.Packet) bool {
	v, ok := p.First(radius.FilterID)
	if !ok || !s.offer.tiered {
		return false
	}
	granted, ok := wba.ReadTier(v)
	return ok && granted > s.offer.tier
}

// seals adds to an Accept what the visited network is to say again in accounting,
// and who has authenticated where the home does not say so.
func (s *Shard) seals(ex *Exchange, p *radius.Packet, extra []byte, hm *host) []byte {
	if extra == nil {
		extra = s.extra[:0]
	}
	if hm.provider != nil && ex.client.Spec.Group.In(realm.OpenRoaming) {
		if _, said := p.Vendor(wba.Vendor, wba.IdentityProvider); !said {
			extra = append(extra, hm.provider...)
		}
	}
	var nonce [bondNonce]byte
	s.crypt.Random(nonce[:])
	return append(extra, s.bond.seal(ex.settlement, s.offer.agreed, nonce, ex.bound(), s.reportedRealm(ex, p))...)
}

// reportedRealm is the realm that records of a session will have: that of the
// User-Name which the home has given it, if it has, else the client's own (RFC
// 2865 section 5.1). It is good until the next realm.
func (s *Shard) reportedRealm(ex *Exchange, p *radius.Packet) []byte {
	if name, ok := p.First(radius.UserName); ok && !bytes.Equal(name, s.sentName) {
		if at := bytes.LastIndexByte(name, '@'); at >= 0 {
			return nai.Fold(&s.varRealm, name[at+1:])
		}
	}
	return s.realmOf(ex)
}

// settled writes into the header of a record what was agreed on its session: as
// it was sealed, else as the terms say, or the packet where that is less.
func (s *Shard) settled(ex *Exchange, p *radius.Packet) {
	t := ex.terms()
	if t == nil {
		return
	}
	how, rate, sealed := s.bonded(ex, p)
	if !sealed {
		// Who wants to be paid for more than the terms say shows the Class.
		if how = free; t.Settled {
			how = chosen(p, t)
		}
	}
	if how != paid {
		s.header.Flags |= accounting.FlagFree
		return
	}
	s.header.Flags |= accounting.FlagSettled
	s.header.Rate = rate
	if v, ok := p.Vendor(wba.Vendor, wba.LinearVolumeRate); ok && rate != (wba.Rate{}) {
		if said, ok := wba.ReadRate(v); !ok || said != rate {
			s.header.Flags |= accounting.FlagRateDiffers
		}
	}
}

// bound is whom a Class is sealed for: the client, or of many under one name the
// one that its certificate tells.
func (ex *Exchange) bound() string {
	if o := ex.ownOperator(); o != nil {
		return o.name
	}
	return ex.client.Spec.Name
}

// bonded finds the Class that was sealed here.
func (s *Shard) bonded(ex *Exchange, p *radius.Packet) (how settlement, rate wba.Rate, ok bool) {
	of := s.realmOf(ex)
	for a, off, more := p.Next(p.From(radius.Class)); more; a, off, more = p.Next(off) {
		if a.Type != radius.Class {
			continue
		}
		if how, rate, ok = s.bond.open(a.Value(), ex.bound(), of); ok {
			return how, rate, true
		}
	}
	return unsettled, wba.Rate{}, false
}

// settledSeries counts accepted sessions of a client by whether they are paid.
func (h *Hub) settledSeries(client string) (c [settlements]stat.ID) {
	for how := free; how < settlements; how++ {
		c[how] = h.stats.CounterSparse("roamgate_sessions_settlement_total", "Access-Accepts in a consortium by whether the session is paid: settled, free, or downgraded from the one to the other because the home has cleared nothing.",
			"client", client, "settlement", settlementNames[how])
	}
	return c
}

// provider is WBA-Identity-Provider for a home whose operator is known: by the
// files, or because its certificate has to name that one.
func provider(h *realm.Home) []byte {
	id := h.Operator
	if id == "" && h.Holder != nil && len(h.Holder.Operator) == 1 {
		id = "4" + h.Holder.Operator[0]
	}
	if !wba.IsIdentityProvider([]byte(id)) {
		return nil
	}
	v := []byte{byte(radius.VendorSpecific), byte(8 + len(id)), 0, 0, wba.Vendor >> 8, wba.Vendor & 0xff, wba.IdentityProvider, byte(2 + len(id))}
	return append(v, id...)
}

// homeGroup is whom a request is sent to, nil for nobody in particular.
func homeGroup(r *realm.Route, pool *home.Pool) *realm.Group {
	switch {
	case pool != nil:
		return pool.Spec.Group
	case r != nil && r.Discover != nil:
		return r.Discover.Group
	}
	return nil
}
