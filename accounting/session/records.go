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

// newRecord makes the record of f, a part of s or what is to be added to it.
func (r *Rules) newRecord(s *Session, p *part, u *cut, f *figures, from int64, status usage.Status) usage.Record {
	rec := usage.Record{
		ID: s.recordID(p.number, p.revision), Status: status, Session: s.Key(), Part: p.number, Journey: s.journey, Leg: s.leg,
		Start: time.Unix(from, 0).UTC(), End: time.Unix(u.end, 0).UTC(), Seconds: f.seconds,
		InputOctets: f.count[inputOctets], OutputOctets: f.count[outputOctets],
		InputPackets: f.count[inputPackets], OutputPackets: f.count[outputPackets],
		Reports: usage.Reports{Starts: int(f.reports[0]), Interims: int(f.reports[1]), Stops: int(f.reports[2])},
	}
	if status == usage.Correction {
		first := s.recordID(p.number, 0)
		rec.Corrects = &first
	}
	// What closed this part, and of everything else the newest that was said.
	rep, by := s.about, &s.origins[u.latest.origin]
	rep.Node, rep.Client, rep.Epoch, rep.Seq = by.node, by.client, u.latest.epoch, u.latest.seq
	rep.Evidence, rep.Arrival = u.latest.evidence, time.Unix(s.Updated, 0)
	rep.TerminateCause, rep.Has = u.latest.cause, rep.Has&^accounting.HasTerminateCause
	if rep.TerminateCause != 0 {
		rep.Has |= accounting.HasTerminateCause
	}
	rec.Describe(&rep)
	rec.Judge(&rep, &r.Validators, s.exceptions(u.noted, status)...)
	return rec
}

// exceptions says how the record came to be.
func (s *Session) exceptions(n notes, status usage.Status) (list []usage.Exception) {
	add := func(is bool, e usage.Exception) {
		if is {
			list = append(list, e)
		}
	}
	add(status == usage.Partial, usage.MonthCut)
	add(status == usage.Correction, usage.LateReport)
	add(s.facts&begun == 0, usage.StartMissing)
	add(s.facts&unclear != 0, usage.StartUnclear)
	if s.facts&stopped == 0 && !s.Open {
		add(s.facts&booted != 0, usage.NASRestarted)
		add(s.facts&reused != 0, usage.IDReused)
		add(s.facts&silent != 0, usage.StopMissing)
	}
	add(!s.Open && s.numbers.gap(), usage.RecordNumberGap)
	add(n&wrapped != 0, usage.CounterWrapped)
	add(n&ambiguous != 0 && s.facts&gigawords == 0, usage.CounterAmbiguous)
	for st := fine + 1; st < states; st++ {
		add(n&st.note() != 0, conflicts[st].code)
	}
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
	if dst.Has&accounting.HasNASPortType == 0 {
		dst.NASPortType = src.NASPortType
	}
	if dst.Has&accounting.HasRATType == 0 {
		dst.RAT = src.RAT
	}
	dst.Diameter = dst.Diameter || src.Diameter
	dst.Application = cmp.Or(dst.Application, src.Application)
	dst.EquipmentHash = cmp.Or(dst.EquipmentHash, src.EquipmentHash)
	dst.Equipment = cmp.Or(dst.Equipment, src.Equipment)
	dst.Service.Context = cmp.Or(dst.Service.Context, src.Service.Context)
	dst.Has |= src.Has
	dst.Flags |= src.Flags
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
