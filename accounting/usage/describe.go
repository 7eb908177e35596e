package usage

import "github.com/roamgate/roamgate/accounting"

// Describe sets what a record says of who, where and under what terms, from
// the report that closes its part: everything but ids, times, figures and
// exceptions. A report need not repeat all; what p does not say stays as it
// is, so the reports of a session may be given one after the other.
func (r *Record) Describe(p *Report) {
	r.Schema = SchemaVersion
	r.Hub, r.Client = p.Node, p.Client
	r.Visited = visited(p)
	r.Visited.Country = or(p.country(), r.Visited.Country)
	if p.Realm != "" {
		r.Home = home(p)
	}
	r.Route = or(p.Route, r.Route)
	orKey(&r.Device, p.DeviceHash)
	orKey(&r.User, p.UserHash)
	orKey(&r.CUI, p.CUIHash)
	orKey(&r.Equipment, p.EquipmentHash)
	r.PlainEquipment = or(p.Equipment, r.PlainEquipment)
	if p.Diameter {
		r.Protocol, r.Application = accounting.Protocol, p.Application
	}
	r.PlainDevice, r.PlainUser, r.PlainCUI = or(p.Device, r.PlainDevice), or(p.User, r.PlainUser), or(p.CUI, r.PlainCUI)
	r.SessionID = or(p.SessionID, r.SessionID)
	r.MultiSessionID = or(p.MultiSessionID, r.MultiSessionID)
	r.NAS, r.NASAddress = or(p.NAS, r.NAS), or(p.NASAddress, r.NASAddress)
	r.CalledStation = or(p.CalledStation, r.CalledStation)
	if len(p.Classes) > 0 {
		r.Classes = p.Classes
	}
	if p.Has&accounting.HasNASPortType != 0 {
		r.AccessType = AccessType(p.NASPortType)
	}
	if p.Has&accounting.HasRATType != 0 {
		r.RAT = RAT(p.RAT)
	}
	if p.Offset != 0 {
		r.Offset = p.Offset
	}
	r.Location.take(&p.Location)
	r.Service.take(&p.Service)
	if p.PolicyVersion != 0 {
		r.PolicyVersion = p.PolicyVersion
	}
	r.PolicyStale = r.PolicyStale || p.PolicyStale
	if p.Has&accounting.HasTerminateCause != 0 {
		r.TerminateCause = p.TerminateCause
	}
	r.Evidence = p.Evidence
	r.Source = Source{Node: p.Node, Epoch: p.Epoch, Seq: p.Seq}
}

func (l *Location) take(p *Location) {
	l.Country = or(p.Country, l.Country)
	if len(p.Civic) > 0 {
		l.Civic = p.Civic
	}
	if p.Latitude != "" {
		l.Latitude, l.Longitude = p.Latitude, p.Longitude
	}
	l.PLMN, l.Cell = or(p.PLMN, l.PLMN), or(p.Cell, l.Cell)
}

func (s *Service) take(p *Service) {
	s.Offered, s.Granted = or(p.Offered, s.Offered), or(p.Granted, s.Granted)
	s.FinancialClearing = or(p.FinancialClearing, s.FinancialClearing)
	s.DataClearing = or(p.DataClearing, s.DataClearing)
	if s.DataClearing == "" {
		s.DataClearing = s.FinancialClearing // who pays gets the records, unless another is named
	}
	if p.Rate != nil {
		s.Rate = p.Rate
	}
	if p.ChargingID != 0 {
		s.ChargingID = p.ChargingID
	}
	s.Context = or(p.Context, s.Context)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func orKey(dst *accounting.Key, v accounting.Key) {
	if v != (accounting.Key{}) {
		*dst = v
	}
}
