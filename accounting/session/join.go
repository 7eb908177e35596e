package session

import (
	"time"

	"github.com/roamgate/roamgate/accounting/usage"
)

// Rules say how reports are joined. The zero value is not usable: Default.
type Rules struct {
	// Interim is how far apart the reports of an open session are at most
	// where the session has not shown it yet; three times that without one
	// closes it (Estimated).
	Interim time.Duration
	// MaxSession closes a session that was never reported again.
	MaxSession time.Duration
	// LinkRate in octets a second tells a counter that wrapped from one that
	// fell: no link is faster.
	LinkRate uint64
	// Skew is how far two accounts of one session's start may differ.
	Skew time.Duration
	// Profiles say which validators make a record not billable.
	Validators usage.Validators
}

// Default are the rules for networks that nothing else is known of.
func Default() Rules { panic("to be written") }

// Join takes reports in the order they were recorded, none of which is a
// duplicate of what was taken before.
func (r *Rules) Join(b Book, reports []usage.Report) (*Changes, error) { panic("to be written") }

// Close closes at most limit sessions whose time is up at now, which is the
// time of the reports and not that of the wall: a clearing side that was away
// closes nothing early.
func (r *Rules) Close(b Book, now time.Time, limit int) (*Changes, error) { panic("to be written") }
