package migrate

import "github.com/roamgate/roamgate/realm"

// Request is what the model of an original is asked about.
type Request struct {
	Name       string // the whole User-Name
	Accounting bool
	Client     string // its address, or its name in the original; "": the first one
}

// Outcome is what an original does with a request.
type Outcome uint8

// The outcomes.
const (
	Forwarded Outcome = iota
	Rejected          // an Access-Reject, or an Accounting-Response that goes nowhere
	Silent            // no answer
	Local             // answered by the original itself: it knows users, or stores records
)

var outcomeTexts = [...]string{Forwarded: "forward", Rejected: "reject", Silent: "silence", Local: "local"}

// String gives the word of reports.
func (o Outcome) String() string { return outcomeTexts[o] }

// Discovered stands for the homes that are found by DNS.
const Discovered = "found by DNS"

// Decision is what an original does with a request, while all of its home
// servers are well.
type Decision struct {
	Outcome Outcome
	// Homes are the addresses with ports, or names with ports, of the servers
	// that may get it. Ordered says that the first one does.
	Homes   []string
	Ordered bool
	User    string    // the User-Name that they get
	Why     string    // the entry that decided, or the reason
	Pos     realm.Pos // of the entry
}

// Original is the model of a program's configuration.
type Original interface {
	// Decide says where a request goes. It fails for a client that the
	// original does not know.
	Decide(Request) (Decision, error)
}
