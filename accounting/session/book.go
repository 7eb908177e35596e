package session

import (
	"time"

	"github.com/roamgate/roamgate/accounting"
	"github.com/roamgate/roamgate/accounting/usage"
)

// ID names an Acct-Session-Id at one NAS of one visited network and one user
// (RFC 2866 section 5.5). A NAS uses it again after it has booted: then there
// are several Sessions of one ID, told apart by their Generation.
type ID = accounting.Key

// Book is what is known of sessions. A store implements it within the
// transaction that will take the Changes. Sessions it returns are the
// caller's to change.
type Book interface {
	// Sessions returns what is known of every ID, in one list, the newest
	// Generations of each at most (MaxGenerations).
	Sessions(ids []ID) ([]*Session, error)
	// OpenAt returns sessions that are open at a NAS, at most limit, those
	// with the smallest ID and Generation above after first. nil: from the
	// front.
	OpenAt(nas accounting.Key, after *Session, limit int) ([]*Session, error)
	// Due returns sessions whose Due is not zero and not behind now, oldest
	// Due first, at most limit.
	Due(now time.Time, limit int) ([]*Session, error)
	// Journeys returns the legs known so far of each roaming session.
	Journeys(ids []accounting.Key) (map[accounting.Key]Journey, error)
}

// MaxGenerations bounds how many sessions of one ID are looked at.
const MaxGenerations = 8

// Journey is one roaming session of several access points.
type Journey struct {
	Legs int // sessions of it so far
}

// Changes is what a store must write in one transaction.
type Changes struct {
	Sessions []*Session // whole; replace what is there under ID and Generation
	Journeys map[accounting.Key]Journey
	Records  []usage.Record     // append; their IDs are new
	Tallies  map[TallyKey]int64 // add; may be negative
	// Outcomes says where each report given to Join went, in their order.
	// Close has none.
	Outcomes []Outcome
}

// Outcome is where one report went when it was taken, for people who want to
// know what a session is made of. One that is Provisional becomes Cleared
// with its session and has no second Outcome.
type Outcome struct {
	ID         ID // zero: it belongs to no session (On, Off, most that are Rejected)
	Generation uint64
	Class      usage.Class
	Reason     string
}

// TallyKey names one sum: how many reports of a client ended in a class. The
// sums of all classes are at any time the number of reports taken.
type TallyKey struct {
	Node, Client string
	Class        usage.Class
	Reason       string // of Duplicate, Conflict and Rejected; "" else
}
