package usage

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/roamgate/roamgate/accounting"
)

// row is a Record as one flat line of a table: the columns of CSV and Parquet
// in their order. Columns are only ever added, at the end.
type row struct {
	ID         string `parquet:"id"`
	Schema     int32  `parquet:"schema"`
	Status     string `parquet:"status,dict"`
	Corrects   string `parquet:"corrects"`
	Billable   bool   `parquet:"billable"`
	Exceptions string `parquet:"exceptions,dict"` // with spaces between

	Session string `parquet:"session"`
	Part    int32  `parquet:"part"`
	Journey string `parquet:"journey"`
	Leg     int32  `parquet:"leg"`

	VisitedRealm   string `parquet:"visited_realm,dict"`
	VisitedWBAID   string `parquet:"visited_wbaid,dict"`
	VisitedTADIG   string `parquet:"visited_tadig,dict"`
	VisitedE212    string `parquet:"visited_e212,dict"`
	VisitedICC     string `parquet:"visited_icc,dict"`
	VisitedCountry string `parquet:"visited_country,dict"`
	HomeRealm      string `parquet:"home_realm,dict"`
	HomeWBAID      string `parquet:"home_wbaid,dict"`
	HomeTADIG      string `parquet:"home_tadig,dict"`
	HomeE212       string `parquet:"home_e212,dict"`
	HomeICC        string `parquet:"home_icc,dict"`
	HomeCountry    string `parquet:"home_country,dict"`
	Hub            string `parquet:"hub,dict"`
	Client         string `parquet:"client,dict"`
	Route          string `parquet:"route,dict"`

	Device      string `parquet:"device"`
	User        string `parquet:"user"`
	CUI         string `parquet:"cui"`
	PlainDevice string `parquet:"plain_device"`
	PlainUser   string `parquet:"plain_user"`
	PlainCUI    string `parquet:"plain_cui"`

	SessionID      string `parquet:"session_id"`
	MultiSessionID string `parquet:"multi_session_id"`
	NAS            string `parquet:"nas,dict"`
	NASAddress     string `parquet:"nas_address,dict"`
	CalledStation  string `parquet:"called_station,dict"`
	Classes        string `parquet:"class"` // with spaces between

	Start         time.Time `parquet:"start,timestamp(microsecond)"`
	End           time.Time `parquet:"end,timestamp(microsecond)"`
	Offset        int32     `parquet:"utc_offset"`
	Seconds       int64     `parquet:"seconds"`
	InputOctets   int64     `parquet:"input_octets"`
	OutputOctets  int64     `parquet:"output_octets"`
	InputPackets  int64     `parquet:"input_packets"`
	OutputPackets int64     `parquet:"output_packets"`
	Starts        int32     `parquet:"starts"`
	Interims      int32     `parquet:"interims"`
	Stops         int32     `parquet:"stops"`

	AccessType      string `parquet:"access_type,dict"`
	RAT             string `parquet:"rat,dict"`
	LocationCountry string `parquet:"location_country,dict"`
	LocationCivic   string `parquet:"location_civic,dict"` // a JSON object
	Latitude        string `parquet:"location_latitude"`
	Longitude       string `parquet:"location_longitude"`
	LocationPLMN    string `parquet:"location_plmn,dict"`
	LocationCell    string `parquet:"location_cell"`

	Offered           string `parquet:"offered_service,dict"`
	Granted           string `parquet:"granted_service,dict"`
	FinancialClearing string `parquet:"financial_clearing,dict"`
	DataClearing      string `parquet:"data_clearing,dict"`
	RateCurrency      string `parquet:"rate_currency,dict"` // empty: no rate
	RateIndex         int32  `parquet:"rate_index"`
	RateNanos         int64  `parquet:"rate_nanos"`
	ChargingID        int64  `parquet:"charging_id"`
	PolicyVersion     int64  `parquet:"policy_version"`
	PolicyStale       bool   `parquet:"policy_stale"`

	TerminateCause int64  `parquet:"terminate_cause"`
	Evidence       string `parquet:"evidence"`
	SourceNode     string `parquet:"source_node,dict"`
	SourceEpoch    uint64 `parquet:"source_epoch"`
	SourceSeq      uint64 `parquet:"source_seq"`

	Protocol       string `parquet:"protocol,dict"` // empty: RADIUS
	Application    int64  `parquet:"application"`
	Context        string `parquet:"service_context,dict"`
	Equipment      string `parquet:"equipment"`
	PlainEquipment string `parquet:"plain_equipment"`
}

func (w *row) set(r *Record) {
	*w = row{
		ID: keyText(r.ID), Schema: int32(r.Schema), Status: string(r.Status), Billable: r.Billable,
		Session: keyText(r.Session), Part: int32(r.Part), Journey: keyText(r.Journey), Leg: int32(r.Leg),
		VisitedRealm: r.Visited.Realm, VisitedWBAID: r.Visited.WBAID, VisitedTADIG: r.Visited.TADIG,
		VisitedE212: r.Visited.E212, VisitedICC: r.Visited.ICC, VisitedCountry: r.Visited.Country,
		HomeRealm: r.Home.Realm, HomeWBAID: r.Home.WBAID, HomeTADIG: r.Home.TADIG,
		HomeE212: r.Home.E212, HomeICC: r.Home.ICC, HomeCountry: r.Home.Country,
		Hub: r.Hub, Client: r.Client, Route: r.Route,
		Device: keyText(r.Device), User: keyText(r.User), CUI: keyText(r.CUI),
		PlainDevice: r.PlainDevice, PlainUser: r.PlainUser, PlainCUI: r.PlainCUI,
		SessionID: r.SessionID, MultiSessionID: r.MultiSessionID,
		NAS: r.NAS, NASAddress: r.NASAddress, CalledStation: r.CalledStation,
		Start: r.Start.UTC(), End: r.End.UTC(), Offset: int32(r.Offset), Seconds: r.Seconds,
		InputOctets: r.InputOctets, OutputOctets: r.OutputOctets,
		InputPackets: r.InputPackets, OutputPackets: r.OutputPackets,
		Starts: int32(r.Reports.Starts), Interims: int32(r.Reports.Interims), Stops: int32(r.Reports.Stops),
		AccessType: r.AccessType, RAT: r.RAT, LocationCountry: r.Location.Country,
		Latitude: r.Location.Latitude, Longitude: r.Location.Longitude,
		LocationPLMN: r.Location.PLMN, LocationCell: r.Location.Cell,
		Offered: r.Service.Offered, Granted: r.Service.Granted,
		FinancialClearing: r.Service.FinancialClearing, DataClearing: r.Service.DataClearing,
		ChargingID: int64(r.Service.ChargingID), PolicyVersion: int64(r.PolicyVersion), PolicyStale: r.PolicyStale,
		TerminateCause: int64(r.TerminateCause), Evidence: hashText(r.Evidence),
		SourceNode: r.Source.Node, SourceEpoch: r.Source.Epoch, SourceSeq: r.Source.Seq,
		Protocol: r.Protocol, Application: int64(r.Application), Context: r.Service.Context,
		Equipment: keyText(r.Equipment), PlainEquipment: r.PlainEquipment,
	}
	if r.Corrects != nil {
		w.Corrects = keyText(*r.Corrects)
	}
	if rate := r.Service.Rate; rate != nil {
		w.RateCurrency, w.RateIndex, w.RateNanos = rate.Currency, int32(rate.Index), int64(rate.Nanos)
	}
	if len(r.Location.Civic) > 0 {
		civic, _ := json.Marshal(r.Location.Civic) // a map of texts cannot fail
		w.LocationCivic = string(civic)
	}
	words := make([]string, 0, max(len(r.Exceptions), len(r.Classes)))
	for _, x := range r.Exceptions {
		words = append(words, string(x))
	}
	w.Exceptions = strings.Join(words, " ")
	words = words[:0]
	for _, k := range r.Classes {
		words = append(words, keyText(k))
	}
	w.Classes = strings.Join(words, " ")
}

func keyText(k accounting.Key) string {
	if k == (accounting.Key{}) {
		return ""
	}
	text, _ := k.AppendText(nil)
	return string(text)
}

func hashText(h Hash) string {
	if h == (Hash{}) {
		return ""
	}
	text, _ := h.AppendText(nil)
	return string(text)
}
