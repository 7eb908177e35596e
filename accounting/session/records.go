package session

import (
	"cmp"
	"slices"
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// record makes the records that s owes: of every month that has ended, and of
// the last one too when the session is not open. What was recorded otherwise
// before is corrected; one correction after the other of the same part waits
// for Close, unless now.
func (w *work) record(s *Session, c *cursor, cuts []cut, now bool) {
	if !s.Open {
		cuts = append(cuts, cut{c.figures, c.month, c.end, c.noted, c.latest})
	}
	var before figures
	from := s.start
	for i := range cuts {
		u := &cuts[i]
		last := i == len(cuts)-1 && !s.Open
		w.recordPart(s, u, u.less(&before), from, last, now)
		before, from = u.figures, u.end
	}
	// A report with an absurd time may take a month away from those after it.
	for i := range s.parts {
		if p := &s.parts[i]; p.recorded.used() && !slices.ContainsFunc(cuts, func(u cut) bool { return u.month == p.month }) &&
			(p.month != c.month || !s.Open) {
			w.recordPart(s, &cut{month: p.month, end: c.end, noted: c.noted, latest: c.latest}, figures{}, s.start, false, now)
		}
	}
}

// recordPart records that the month of u came to f.
func (w *work) recordPart(s *Session, u *cut, f figures, from int64, last, now bool) {
	at := slices.IndexFunc(s.parts, func(p part) bool { return p.month == u.month })
	if at < 0 {
		p := part{month: u.month, number: len(s.parts) + 1, recorded: f}
		status := usage.Partial
		switch {
		case last && s.facts&stopped != 0:
			status = usage.Final
		case last:
			status, p.estimated = usage.Estimated, true
		}
		s.parts = append(s.parts, p)
		w.changes.Records = append(w.changes.Records, w.r.newRecord(s, &p, u, &f, from, status))
		return
	}
	p := &s.parts[at]
	delta := f.less(&p.recorded)
	settled := p.estimated && s.facts&stopped != 0
	if !delta.used() && !settled {
		return
	}
	if p.revision >= maxRevisions && !now {
		s.Due = s.Updated + w.r.patience(s, 0)
		return
	}
	p.revision++
	p.recorded, p.estimated = f, p.estimated && !settled
	w.changes.Records = append(w.changes.Records, w.r.newRecord(s, p, u, &delta, from, usage.Correction))
}

func (r *Rules) newRecord(s *Session, p *part, u *cut, f *figures, from int64, status usage.Status) usage.Record {
	a := &s.about
	rec := usage.Record{
		Schema: usage.SchemaVersion, ID: s.recordID(p.number, p.revision), Status: status, Billable: true,
		Session: s.Key(), Part: p.number, Journey: s.journey, Leg: s.leg,
		Hub: s.origins[u.latest.origin].node, Client: s.origins[u.latest.origin].client, Route: a.Route,
		Device: a.DeviceHash, User: a.UserHash, CUI: a.CUIHash,
		PlainDevice: a.Device, PlainUser: a.User, PlainCUI: a.CUI,
		SessionID: a.SessionID, MultiSessionID: a.MultiSessionID, NAS: a.NAS, NASAddress: a.NASAddress,
		CalledStation: a.CalledStation, Classes: a.Classes,
		Start: time.Unix(from, 0).UTC(), End: time.Unix(u.end, 0).UTC(), Seconds: f.seconds,
		InputOctets: f.count[inputOctets], OutputOctets: f.count[outputOctets],
		InputPackets: f.count[inputPackets], OutputPackets: f.count[outputPackets],
		Reports:  usage.Reports{Starts: int(f.reports[0]), Interims: int(f.reports[1]), Stops: int(f.reports[2])},
		Location: a.Location, Service: a.Service,
		PolicyVersion: a.PolicyVersion, PolicyStale: a.PolicyStale,
		TerminateCause: u.latest.cause, Evidence: u.latest.evidence,
		Source: usage.Source{Node: s.origins[u.latest.origin].node, Epoch: u.latest.epoch, Seq: u.latest.seq},
	}
	if status == usage.Correction {
		first := s.recordID(p.number, 0)
		rec.Corrects = &first
	}
	rec.Exceptions = s.exceptions(u.noted, status)
	return rec
}

// What a record says of how it came to be.
const (
	startMissing  usage.Exception = "start_missing"  // no Start: it was made of the first report
	stopMissing   usage.Exception = "stop_missing"   // no Stop, and none of the reasons below
	nasRestarted  usage.Exception = "nas_restarted"  // no Stop: the NAS said Accounting-On or -Off
	sessionReused usage.Exception = "session_reused" // no Stop: the NAS began another session of this id
	startUnclear  usage.Exception = "start_unclear"  // two accounts of the start differ
	counterWrap   usage.Exception = "counter_wrapped"
	wrapAmbiguous usage.Exception = "wrap_ambiguous" // a counter of 32 bits may have wrapped unseen
)

func (s *Session) exceptions(n notes, status usage.Status) []usage.Exception {
	var list []usage.Exception
	add := func(is bool, e usage.Exception) {
		if is {
			list = append(list, e)
		}
	}
	add(s.facts&begun == 0, startMissing)
	add(s.facts&unclear != 0, startUnclear)
	if s.facts&stopped == 0 && status != usage.Partial {
		add(s.facts&booted != 0, nasRestarted)
		add(s.facts&reused != 0, sessionReused)
		add(s.facts&(booted|reused) == 0, stopMissing)
	}
	add(n&wrapped != 0, counterWrap)
	add(n&ambiguous != 0 && s.facts&gigawords == 0, wrapAmbiguous)
	for st := fine + 1; st < states; st++ {
		add(n&st.note() != 0, usage.Exception(conflictReasons[st]))
	}
	slices.Sort(list)
	return list
}

// lead gives the session its place in the journey that the report names.
func (w *work) lead(s *Session, rep *usage.Report) {
	if s.leg != 0 || rep.MultiSessionID == "" {
		return
	}
	s.journey = journeyOf(rep)
	j := w.changes.Journeys[s.journey]
	j.Legs++
	w.changes.Journeys[s.journey] = j
	s.leg = j.Legs
}

// describe keeps what the report says beside figures: the latest report that
// says anything of a thing counts.
func (s *Session) describe(rep *usage.Report, p *point) {
	said := *rep
	if p.time >= s.newest || s.taken == 0 {
		s.newest = p.time
		fill(&said, &s.about)
		s.about = only(&said)
		return
	}
	fill(&s.about, &said)
}

// only returns what a session keeps of a report.
func only(rep *usage.Report) (kept usage.Report) {
	fill(&kept, rep)
	return kept
}

// fill takes from src what dst has no word of.
func fill(dst, src *usage.Report) {
	from := texts(src)
	for i, to := range texts(dst) {
		*to = cmp.Or(*to, *from[i])
	}
	hashes := identities(src)
	for i, to := range identities(dst) {
		*to = cmp.Or(*to, *hashes[i])
	}
	if dst.Classes == nil {
		dst.Classes = src.Classes[:min(len(src.Classes), maxClasses)]
	}
	const codes = accounting.HasNASPortType | accounting.HasRATType
	if dst.Has&accounting.HasNASPortType == 0 {
		dst.NASPortType = src.NASPortType
	}
	if dst.Has&accounting.HasRATType == 0 {
		dst.RAT = src.RAT
	}
	dst.Has = (dst.Has | src.Has) & codes
	dst.Offset = cmp.Or(dst.Offset, src.Offset)
	dst.Service.ChargingID = cmp.Or(dst.Service.ChargingID, src.Service.ChargingID)
	if dst.Location.Civic == nil {
		dst.Location.Civic = src.Location.Civic
	}
	if dst.Service.Rate == nil {
		dst.Service.Rate = src.Service.Rate
	}
	if dst.PolicyVersion == 0 {
		dst.PolicyVersion, dst.PolicyStale = src.PolicyVersion, src.PolicyStale
	}
}

// texts are all the texts that a session keeps of its reports.
func texts(r *usage.Report) [23]*string {
	return [...]*string{
		&r.Operator, &r.Country, &r.OperatorName, &r.Realm, &r.Route, &r.HomePLMN, &r.User, &r.Device, &r.CUI,
		&r.SessionID, &r.MultiSessionID, &r.NAS, &r.NASAddress, &r.CalledStation,
		&r.Location.Country, &r.Location.Latitude, &r.Location.Longitude, &r.Location.PLMN, &r.Location.Cell,
		&r.Service.Offered, &r.Service.Granted, &r.Service.FinancialClearing, &r.Service.DataClearing,
	}
}

func identities(r *usage.Report) [3]*accounting.Key {
	return [...]*accounting.Key{&r.UserHash, &r.DeviceHash, &r.CUIHash}
}
