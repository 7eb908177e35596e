package usage

import (
	"slices"

	"github.com/roamgate/roamgate/accounting"
)

// What package session finds while it joins reports. None of these keeps a
// record from being billed: it says what was received, the larger figure
// where two contradict each other, and which.
const (
	StartMissing     Exception = "start_missing"
	StopMissing      Exception = "stop_missing"
	NASRestarted     Exception = "nas_restarted"
	IDReused         Exception = "session_id_reused"
	StartUnclear     Exception = "start_unclear"
	CounterWrapped   Exception = "counter_wrapped"
	CounterAmbiguous Exception = "counter_ambiguous"
	CounterFell      Exception = "counter_fell"
	StopBelowInterim Exception = "stop_below_interim"
	StopsDiffer      Exception = "stops_differ"
	InterimAfterStop Exception = "interim_after_stop"
	LateReport       Exception = "late_report"
	MonthCut         Exception = "month_cut"
	ContentDiffers   Exception = "content_differs"
	RecordNumberGap  Exception = "record_number_gap"
)

// What Validate finds in any record.
const (
	ZeroUsage             Exception = "zero_usage"
	ArrivalTime           Exception = "arrival_time"
	BadAttribute          Exception = "bad_attribute"
	NameCut               Exception = "name_cut"
	OperatorUnknown       Exception = "operator_unknown"
	OperatorDiffers       Exception = "operator_differs"
	NegativeFigure        Exception = "negative_figure"
	RateTooHigh           Exception = "rate_too_high"
	OctetsWithoutPackets  Exception = "octets_without_packets"
	PacketsWithoutOctets  Exception = "packets_without_octets"
	PacketSizeImpossible  Exception = "packet_size_impossible"
	SessionTimeImpossible Exception = "session_time_impossible"
	EventInFuture         Exception = "event_in_future"
	EventBefore2000       Exception = "event_before_2000"
	SettlementFree        Exception = "settlement_free"
	RateDiffers           Exception = "rate_differs"
	NoDirection           Exception = "no_direction"
)

// What Validate finds where the profile of WRIX-i applies (Validators.WRIX).
const (
	WRIXNoOperator       Exception = "wrix_no_operator"
	WRIXBadOperator      Exception = "wrix_bad_operator"
	WRIXNoCUI            Exception = "wrix_no_cui"
	WRIXNoClass          Exception = "wrix_no_class"
	WRIXNoDevice         Exception = "wrix_no_device"
	WRIXNoEventTimestamp Exception = "wrix_no_event_timestamp"
	WRIXNoLocation       Exception = "wrix_no_location"
	WRIXNoOctets         Exception = "wrix_no_octets"
	WRIXNoPackets        Exception = "wrix_no_packets"
	WRIXNoSessionTime    Exception = "wrix_no_session_time"
	WRIXNoCause          Exception = "wrix_no_cause"
	WRIXNoGigawords      Exception = "wrix_no_gigawords"
	WRIXNoMultiSessionID Exception = "wrix_no_multi_session_id"
)

// meanings are all exceptions: whether one keeps a record from being billed,
// and what it says.
var meanings = []struct {
	code       Exception
	quarantine bool
	text       string
}{
	{StartMissing, false, "no Start came: the start is the end less Acct-Session-Time"},
	{StopMissing, false, "no Stop came in time: the end is that of the last report"},
	{NASRestarted, false, "no Stop came, but Accounting-On or Accounting-Off of its NAS"},
	{IDReused, false, "no Stop came, but the Start of another session of this Acct-Session-Id"},
	{StartUnclear, false, "two reports differ in when the session began"},
	{CounterWrapped, false, "a counter without Gigawords fell and was completed by 2^32"},
	{CounterAmbiguous, false, "a counter without Gigawords may have passed 2^32 more often than can be seen"},
	{CounterFell, false, "a counter fell: the larger figure stands"},
	{StopBelowInterim, false, "the Stop says less than an Interim before it: the larger figure stands"},
	{StopsDiffer, false, "there is more than one Stop, with other figures: the larger stands"},
	{InterimAfterStop, false, "an Interim says more than the Stop: the larger figure stands"},
	{LateReport, false, "a report came after the record of its time: see the record that this one corrects"},
	{MonthCut, false, "the session goes on in another month: this is one part of it"},
	{ContentDiffers, false, "one event was reported twice, with other content"},
	{RecordNumberGap, false, "an Accounting-Record-Number between the first and the last of the session did not come"},
	{ZeroUsage, false, "no octets at all: kept, it is the evidence of a device that is only attached"},
	{ArrivalTime, false, "no usable Event-Timestamp: times are those of arrival"},
	{BadAttribute, false, "an attribute had a wrong length and was not used"},
	{NameCut, false, "a name was too long for the record and was cut"},
	{OperatorUnknown, false, "no operator is configured, and none is named"},
	{OperatorDiffers, false, "the packet names another operator than the client is configured as"},
	{NegativeFigure, true, "a figure below zero in what is no correction"},
	{RateTooHigh, true, "more octets than Validators.MaxRate allows in the time"},
	{OctetsWithoutPackets, true, "octets, but the packets are counted and are none"},
	{PacketsWithoutOctets, true, "packets, but the octets are counted and are none"},
	{PacketSizeImpossible, true, "the mean packet is shorter than an IP header or longer than IP allows"},
	{SessionTimeImpossible, true, "Acct-Session-Time is longer than from start to end by 5 % and 10 s"},
	{EventInFuture, true, "the end is more than 65 minutes after the report of it arrived"},
	{EventBefore2000, true, "a time from a clock that was never set"},
	{SettlementFree, true, "the networks have agreed that nobody pays: it is kept for statistics"},
	{RateDiffers, false, "a packet names another rate than was agreed when the device attached: the agreed one stands"},
	{NoDirection, false, "octets of which only the total was said are counted as output"},
	{WRIXNoOperator, true, "no Operator-Name"},
	{WRIXBadOperator, true, "an Operator-Name that is no 4<WBAID>:<country>"},
	{WRIXNoCUI, true, "no Chargeable-User-Identity"},
	{WRIXNoClass, true, "no Class"},
	{WRIXNoDevice, true, "nothing names the device"},
	{WRIXNoEventTimestamp, true, "no usable Event-Timestamp"},
	{WRIXNoLocation, true, "no country in Location-Data"},
	{WRIXNoOctets, true, "not both of Acct-Input-Octets and Acct-Output-Octets"},
	{WRIXNoPackets, true, "not both of Acct-Input-Packets and Acct-Output-Packets"},
	{WRIXNoSessionTime, true, "no Acct-Session-Time"},
	{WRIXNoCause, true, "a Stop without Acct-Terminate-Cause"},
	{WRIXNoGigawords, false, "not both of the Gigawords attributes"},
	{WRIXNoMultiSessionID, false, "no Acct-Multi-Session-Id"},
}

// Exceptions returns every code.
func Exceptions() (all []Exception) {
	for _, m := range meanings {
		all = append(all, m.code)
	}
	return all
}

// Quarantines says whether a record with x must not be billed. Other codes
// are notes.
func (x Exception) Quarantines() bool {
	for _, m := range meanings {
		if m.code == x {
			return m.quarantine
		}
	}
	return false
}

// Text says what x means; "" for what is none.
func (x Exception) Text() string {
	for _, m := range meanings {
		if m.code == x {
			return m.text
		}
	}
	return ""
}

// Judge sets Exceptions to what Validate finds and to what the caller has
// found, and Billable to what follows from them.
func (r *Record) Judge(p *Report, v *Validators, found ...Exception) {
	all := slices.Concat(Validate(r, p, v), found)
	slices.Sort(all)
	r.Exceptions = slices.Compact(all)
	r.Billable = !slices.ContainsFunc(r.Exceptions, Exception.Quarantines)
}

// hasAll says whether all of want were in the packet.
func hasAll(has, want accounting.Has) bool { return has&want == want }
