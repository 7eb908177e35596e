package usage

import (
	"slices"

	"github.com/roamgate/roamgate/accounting"
)

// What package session finds while it joins reports. None of these keeps a
// record from being billed: it says what was received, the larger figure
// where two contradict each other, and which.
const (
	StartMissing     Exception = "start_missing"      // no Start came: the start is the end less Acct-Session-Time
	StopMissing      Exception = "stop_missing"       // no Stop came in time: the end is that of the last report
	NASRestarted     Exception = "nas_restarted"      // no Stop came, but Accounting-On or Accounting-Off of its NAS
	IDReused         Exception = "session_id_reused"  // no Stop came, but the Start of another session of this Acct-Session-Id
	StartUnclear     Exception = "start_unclear"      // two reports differ in when the session began
	CounterWrapped   Exception = "counter_wrapped"    // a counter without Gigawords fell and was completed by 2^32
	CounterAmbiguous Exception = "counter_ambiguous"  // a counter without Gigawords may have passed 2^32 more often than can be seen
	CounterFell      Exception = "counter_fell"       // a counter fell: the larger figure stands
	StopBelowInterim Exception = "stop_below_interim" // the Stop says less than an Interim before it: the larger figure stands
	StopsDiffer      Exception = "stops_differ"       // there is more than one Stop, with other figures: the larger stands
	InterimAfterStop Exception = "interim_after_stop" // an Interim says more than the Stop: the larger figure stands
	LateReport       Exception = "late_report"        // a report came after the record of its time: see the record that this one corrects
	MonthCut         Exception = "month_cut"          // the session goes on in another month: this is one part of it
	ContentDiffers   Exception = "content_differs"    // one event was reported twice, with other content
)

// What Validate finds in any record.
const (
	ZeroUsage             Exception = "zero_usage"              // no octets at all: kept, it is the evidence of a device that is only attached
	ArrivalTime           Exception = "arrival_time"            // no usable Event-Timestamp: times are those of arrival
	BadAttribute          Exception = "bad_attribute"           // an attribute had a wrong length and was not used
	NameCut               Exception = "name_cut"                // a name was too long for the record and was cut
	OperatorUnknown       Exception = "operator_unknown"        // no operator is configured, and none is named
	OperatorDiffers       Exception = "operator_differs"        // the packet names another operator than the client is configured as
	NegativeFigure        Exception = "negative_figure"         // a figure below zero in what is no correction
	RateTooHigh           Exception = "rate_too_high"           // more octets than Validators.MaxRate allows in the time
	OctetsWithoutPackets  Exception = "octets_without_packets"  // octets, but the packets are counted and are none
	PacketsWithoutOctets  Exception = "packets_without_octets"  // packets, but the octets are counted and are none
	PacketSizeImpossible  Exception = "packet_size_impossible"  // the mean packet is shorter than an IP header or longer than IP allows
	SessionTimeImpossible Exception = "session_time_impossible" // Acct-Session-Time is longer than from start to end by 5 % and 10 s
	EventInFuture         Exception = "event_in_future"         // the end is more than 65 minutes after the report of it arrived
	EventBefore2000       Exception = "event_before_2000"       // a time from a clock that was never set
)

// What Validate finds where the profile of WRIX-i applies (Validators.WRIX).
const (
	WRIXNoOperator       Exception = "wrix_no_operator"         // no Operator-Name
	WRIXBadOperator      Exception = "wrix_bad_operator"        // an Operator-Name that is no 4<WBAID>:<country>
	WRIXNoCUI            Exception = "wrix_no_cui"              // no Chargeable-User-Identity
	WRIXNoClass          Exception = "wrix_no_class"            // no Class
	WRIXNoDevice         Exception = "wrix_no_device"           // nothing names the device
	WRIXNoEventTimestamp Exception = "wrix_no_event_timestamp"  // no usable Event-Timestamp
	WRIXNoLocation       Exception = "wrix_no_location"         // no country in Location-Data
	WRIXNoOctets         Exception = "wrix_no_octets"           // not both of Acct-Input-Octets and Acct-Output-Octets
	WRIXNoPackets        Exception = "wrix_no_packets"          // not both of Acct-Input-Packets and Acct-Output-Packets
	WRIXNoSessionTime    Exception = "wrix_no_session_time"     // no Acct-Session-Time
	WRIXNoCause          Exception = "wrix_no_cause"            // a Stop without Acct-Terminate-Cause
	WRIXNoGigawords      Exception = "wrix_no_gigawords"        // not both of the Gigawords attributes
	WRIXNoMultiSessionID Exception = "wrix_no_multi_session_id" // no Acct-Multi-Session-Id
)

// quarantine holds the codes that keep a record from being billed.
var quarantine = map[Exception]bool{
	NegativeFigure: true, RateTooHigh: true, OctetsWithoutPackets: true, PacketsWithoutOctets: true,
	PacketSizeImpossible: true, SessionTimeImpossible: true, EventInFuture: true, EventBefore2000: true,
	WRIXNoOperator: true, WRIXBadOperator: true, WRIXNoCUI: true, WRIXNoClass: true, WRIXNoDevice: true,
	WRIXNoEventTimestamp: true, WRIXNoLocation: true, WRIXNoOctets: true, WRIXNoPackets: true,
	WRIXNoSessionTime: true, WRIXNoCause: true,
}

// Quarantines says whether a record with x must not be billed. Other codes
// are notes.
func (x Exception) Quarantines() bool { return quarantine[x] }

var exceptions = []Exception{
	StartMissing, StopMissing, NASRestarted, IDReused, StartUnclear, CounterWrapped, CounterAmbiguous, CounterFell,
	StopBelowInterim, StopsDiffer, InterimAfterStop, LateReport, MonthCut, ContentDiffers,
	ZeroUsage, ArrivalTime, BadAttribute, NameCut, OperatorUnknown, OperatorDiffers, NegativeFigure, RateTooHigh,
	OctetsWithoutPackets, PacketsWithoutOctets, PacketSizeImpossible, SessionTimeImpossible, EventInFuture, EventBefore2000,
	WRIXNoOperator, WRIXBadOperator, WRIXNoCUI, WRIXNoClass, WRIXNoDevice, WRIXNoEventTimestamp, WRIXNoLocation,
	WRIXNoOctets, WRIXNoPackets, WRIXNoSessionTime, WRIXNoCause, WRIXNoGigawords, WRIXNoMultiSessionID,
}

// Exceptions returns every code.
func Exceptions() []Exception { return slices.Clone(exceptions) }

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
