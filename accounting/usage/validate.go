package usage

import (
	"slices"
	"time"

	"github.com/roamgate/roamgate/accounting"
)

const (
	defaultMaxRate = 1_250_000_000 // ten gigabits a second

	// A packet of IP has at least its header, and at most the length that
	// IPv6 can say (RFC 8200 section 4.5, without jumbograms).
	minPacketOctets = 20
	maxPacketOctets = 40 + 65535

	// What a clock of the neighbouring time zone is ahead, and a little.
	maxAhead = 65 * time.Minute
)

var year2000 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Validate returns what is unusual about r, sorted. p is what was reported of
// the session: the report that closed r, or the newest that is known of each
// fact. The tolerances are those of the accounting test of the WBA: 5 % and
// 10 s in time.
func Validate(r *Record, p *Report, v *Validators) (found []Exception) {
	add := func(x Exception, when bool) {
		if when {
			found = append(found, x)
		}
	}
	add(ArrivalTime, p.Flags&accounting.FlagArrivalTime != 0)
	add(BadAttribute, p.Flags&accounting.FlagBadAttribute != 0)
	add(NameCut, p.Flags&accounting.FlagNameCut != 0)
	add(OperatorUnknown, p.Operator == "" && p.OperatorName == "")
	add(OperatorDiffers, p.Operator != "" && p.OperatorName != "" && !sameOperator(p.Operator, p.OperatorName))
	add(EventInFuture, r.End.After(p.Arrival.Add(maxAhead)))
	add(EventBefore2000, r.Start.Before(year2000) || r.End.Before(year2000))
	// A session that one report calls settled was sealed as such when it began.
	add(SettlementFree, p.Flags&(accounting.FlagFree|accounting.FlagSettled) == accounting.FlagFree)
	add(RateDiffers, p.Flags&accounting.FlagRateDiffers != 0)
	add(NoDirection, p.Flags&accounting.FlagNoDirection != 0)
	figures(r, p, v, add)
	if v.wrix(r.Client) {
		profile(r, p, add)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// sameOperator compares what two Operator-Names mean.
func sameOperator(a, b string) bool {
	pa, okA := ParseOperator(a)
	pb, okB := ParseOperator(b)
	if okA && okB && (pa.Country == "" || pb.Country == "") {
		pa.Country, pb.Country = "", ""
	}
	return a == b || okA && okB && pa == pb
}

// figures finds what cannot be. A correction is a difference: only how much
// it adds in the time of its session says anything.
func figures(r *Record, p *Report, v *Validators, add func(Exception, bool)) {
	seconds, wall := r.Seconds, int64(r.End.Sub(r.Start)/time.Second)
	if p.Diameter && p.Has&accounting.HasSessionTime == 0 {
		seconds = max(seconds, wall) // nobody has said how long it was used
	}
	if r.Status == Correction {
		seconds = max(seconds, wall)
	} else {
		add(NegativeFigure, min(r.Seconds, r.InputOctets, r.OutputOctets, r.InputPackets, r.OutputPackets) < 0)
		add(ZeroUsage, r.InputOctets == 0 && r.OutputOctets == 0)
		add(SessionTimeImpossible, float64(r.Seconds) > float64(wall)*1.05+10)
		if p.Flags&accounting.FlagOnce == 0 { // an event counts messages, which are no packets of IP
			direction(p.Has, accounting.HasInputOctets, accounting.HasInputPackets, r.InputOctets, r.InputPackets, add)
			direction(p.Has, accounting.HasOutputOctets, accounting.HasOutputPackets, r.OutputOctets, r.OutputPackets, add)
		}
	}
	// A counter is read a little after the clock.
	most := float64(v.maxRate()) * float64(max(seconds, 0)+1)
	add(RateTooHigh, float64(r.InputOctets) > most || float64(r.OutputOctets) > most)
}

// direction compares octets with packets where both are counted. The packet
// counters have no high half: above what 2^32 of the shortest packets carry,
// they say nothing.
func direction(has, octetsBit, packetsBit accounting.Has, octets, packets int64, add func(Exception, bool)) {
	if !hasAll(has, octetsBit|packetsBit) || octets < 0 || packets < 0 || octets >= minPacketOctets<<32 {
		return
	}
	switch {
	case packets == 0:
		add(OctetsWithoutPackets, octets > 0)
	case octets == 0:
		add(PacketsWithoutOctets, true)
	default:
		add(PacketSizeImpossible, octets/packets < minPacketOctets || octets/packets > maxPacketOctets)
	}
}

// profile finds what clearing needs and the packet has not.
func profile(r *Record, p *Report, add func(Exception, bool)) {
	op, ok := ParseOperator(p.OperatorName)
	add(WRIXNoOperator, p.OperatorName == "")
	add(WRIXBadOperator, p.OperatorName != "" && (!ok || op.WBAID == "" || op.Country == ""))
	add(WRIXNoCUI, r.CUI == accounting.Key{})
	add(WRIXNoClass, len(r.Classes) == 0)
	add(WRIXNoDevice, r.Device == accounting.Key{})
	add(WRIXNoEventTimestamp, p.Flags&accounting.FlagArrivalTime != 0)
	add(WRIXNoLocation, r.Location.Country == "")
	add(WRIXNoOctets, !hasAll(p.Has, accounting.HasInputOctets|accounting.HasOutputOctets))
	add(WRIXNoPackets, !hasAll(p.Has, accounting.HasInputPackets|accounting.HasOutputPackets))
	add(WRIXNoSessionTime, !hasAll(p.Has, accounting.HasSessionTime))
	add(WRIXNoCause, r.Status == Final && !hasAll(p.Has, accounting.HasTerminateCause))
	add(WRIXNoGigawords, !hasAll(p.Has, accounting.HasInputGigawords|accounting.HasOutputGigawords))
	add(WRIXNoMultiSessionID, r.MultiSessionID == "")
}

func (v *Validators) wrix(client string) bool {
	return slices.Contains(v.WRIX, client) || slices.Contains(v.WRIX, "*")
}

func (v *Validators) maxRate() uint64 {
	if v.MaxRate == 0 {
		return defaultMaxRate
	}
	return v.MaxRate
}
