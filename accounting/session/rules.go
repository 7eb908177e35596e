package session

import (
	"time"

	"github.com/roamgate/roamgate/accounting/usage"
)

// Rules say how reports are joined. Where a field is zero, that of Default
// holds.
type Rules struct {
	// Interim is how far apart the reports of an open session are at most,
	// where it sends interim reports and has not shown it yet; three times
	// that without one closes it (Estimated).
	Interim time.Duration
	// MaxSession closes a session that was never heard of again: a NAS that
	// sends no interim reports says nothing between Start and Stop.
	MaxSession time.Duration
	// LinkRate in octets a second tells a counter of 32 bits that wrapped
	// from one that fell: no link is faster. It also says after which time
	// without a report such a counter may have wrapped unseen.
	LinkRate uint64
	// Skew is how far two accounts of one session's start may differ.
	Skew time.Duration
	// Validators say what makes a record not billable.
	Validators usage.Validators
}

// Default are the rules for networks that nothing else is known of. The link
// rate is 100 Mbit/s: who is faster sends gigawords.
func Default() Rules {
	return Rules{Interim: time.Hour, MaxSession: 7 * 24 * time.Hour, LinkRate: 12_500_000, Skew: time.Minute}
}

// seconds of d, those of other where d is none.
func seconds(d, other time.Duration) int64 {
	if d <= 0 {
		d = other
	}
	return max(int64(d/time.Second), 1)
}

func (r *Rules) interim() int64    { return seconds(r.Interim, time.Hour) }
func (r *Rules) maxSession() int64 { return seconds(r.MaxSession, 7*24*time.Hour) }
func (r *Rules) skew() int64       { return seconds(r.Skew, time.Minute) }

func (r *Rules) linkRate() uint64 {
	if r.LinkRate == 0 {
		return 12_500_000
	}
	return r.LinkRate
}

// octetsOfPacket is an IP header: nothing shorter is a packet.
const octetsOfPacket = 20

// plausible says whether counter i can have grown by n in that many seconds.
func (r *Rules) plausible(i int, n uint64, elapsed int64) bool {
	if elapsed <= 0 {
		return false
	}
	if i > outputOctets {
		n *= octetsOfPacket
	}
	return (n-1)/uint64(elapsed) < r.linkRate()
}

// patience is how long the session may be silent.
func (r *Rules) patience(s *Session, gap int64) int64 {
	if s.facts&interims == 0 {
		return r.maxSession()
	}
	if gap == 0 {
		gap = r.interim()
	}
	const least = 60 // RFC 2869 section 5.16
	return min(3*max(gap, least), r.maxSession())
}
