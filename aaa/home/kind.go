package home

import "fmt"

// Kind is what a home is asked for: each has its own address, identifiers
// and health.
type Kind uint8

// The kinds.
const (
	Auth Kind = iota
	Acct
	kinds = 2
)

// Health is what a home's answers say about it.
type Health uint8

// The states of health; see the package documentation for the rules.
const (
	Up       Health = iota
	Degraded        // used only where no member is up
	Down            // used only for a trial
)

// Cause is why a home is not up.
type Cause uint8

// The causes.
const (
	Well        Cause = iota // it is up
	Timeout                  // requests are not answered
	Probe                    // Status-Server is not answered
	BadSecret                // what it answers does not verify
	Disabled                 // the operator took it out
	Unresolved               // its name has not been looked up yet
	DNSError                 // its name has no address that can be used
	Refused                  // it takes no connection
	Unreachable              // nothing answers where it should be
	Insecure                 // the handshake failed: its certificate, ours, or no common version
)

// Reason is why Pick chose no home.
type Reason uint8

// The reasons of Pick.
const (
	OK       Reason = iota
	NoMember        // no member does this kind, is enabled and not excluded
	AllDown         // every such member is down, and this is no time for a trial
	Silent          // every such member leaves this realm unanswered
)

var (
	kindNames   = [...]string{"auth", "acct"}
	healthNames = [...]string{"up", "degraded", "down"}
	causeNames  = [...]string{"well", "timeout", "probe", "bad_secret", "disabled", "unresolved", "dns_error", "refused", "unreachable", "tls"}
	reasonNames = [...]string{"ok", "no_member", "all_down", "silent"}
)

// String gives the label.
func (k Kind) String() string { return name(kindNames[:], uint8(k)) }

// String gives the label.
func (h Health) String() string { return name(healthNames[:], uint8(h)) }

// String gives the label.
func (c Cause) String() string { return name(causeNames[:], uint8(c)) }

// String gives the label.
func (r Reason) String() string { return name(reasonNames[:], uint8(r)) }

func name(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown_%d", i)
}
