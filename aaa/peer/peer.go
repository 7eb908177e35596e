// Package peer is what two Diameter nodes that are connected owe to each other: the
// state machine of RFC 6733 section 5.6 and the watchdog of RFC 3539 section 3.4.
//
// A Machine stands behind each connection that is kept with a peer. The packet walk
// asks it with every message of application 0, whether requests may be sent, and says
// when a connection came to stand, was refused or ended. What is to be done about it
// comes back as Actions, in an order that is always the same.
//
// I is the connection that we have opened, R the one that the peer has opened. While
// both are there, the one with the greater identity keeps the one that it answers:
// Wins says who that is (section 5.6.4).
//
// Memory: a Machine is a plain value of some ten words. Nothing here allocates.
//
// Concurrency: a Machine belongs to one goroutine. Time is what its caller says, and
// chance comes from a seed: the same events at the same times give the same actions.
//
// It reads no message, knows no socket and no name.
package peer

import "strings"

// State is that of RFC 6733 section 5.6.
type State uint8

// The states.
const (
	Closed State = iota
	WaitConnAck
	WaitICEA
	WaitConnAckElect
	WaitReturns
	ROpen
	IOpen
	Closing
	NumStates
)

var stateNames = [NumStates]string{
	"closed", "wait_conn_ack", "wait_i_cea", "wait_conn_ack_elect", "wait_returns", "r_open", "i_open", "closing",
}

// String is the word of metrics and logs.
func (s State) String() string { return stateNames[s] }

// Open reports whether capabilities were exchanged and nobody has taken leave.
func (s State) Open() bool { return s == ROpen || s == IOpen }

// Watch is the state of the watchdog (RFC 3539 section 3.4.1).
type Watch uint8

// The states of the watchdog.
const (
	Initial Watch = iota
	Okay
	Suspect
	Down
	Reopen
	NumWatches
)

var watchNames = [NumWatches]string{"initial", "okay", "suspect", "down", "reopen"}

// String is the word of metrics and logs.
func (w Watch) String() string { return watchNames[w] }

// Event is what has happened. Where the state leaves no doubt which connection it
// happened to, one event serves both.
type Event uint8

// The events.
const (
	Start       Event = iota // connect: the time has come, or somebody wishes it
	Stop                     // take leave
	ConnAck                  // our connection stands
	ConnNack                 // it could not be made
	ConnCER                  // the peer has connected and introduced itself, and may
	RcvCEA                   // the peer has taken our capabilities
	RcvNonCEA                // it has not, or has said something else
	IPeerDisc                // our connection has ended
	RPeerDisc                // the peer's has
	WinElection              // after Elect: ours is the greater identity
	RcvDWR
	RcvDWA
	RcvMessage // any other, once the connection is open
	RcvDPR     // with Disconnect's cause
	RcvDPA
	NumEvents
)

var eventNames = [NumEvents]string{
	"start", "stop", "conn_ack", "conn_nack", "conn_cer", "rcv_cea", "rcv_non_cea", "i_peer_disc", "r_peer_disc", "win_election",
	"rcv_dwr", "rcv_dwa", "rcv_message", "rcv_dpr", "rcv_dpa",
}

// String names an event.
func (e Event) String() string { return eventNames[e] }

// Actions are what is to be done, those of the lower bits first.
type Actions uint32

// The actions.
const (
	Accept   Actions = 1 << iota // R-Accept: the connection that has come is R
	Reject                       // R-Reject: the connection that has come is closed
	Failover                     // requests that wait for an answer go elsewhere, and no more come
	IDisc                        // our connection is closed
	RDisc                        // the peer's is
	Connect                      // I-Snd-Conn-Req
	SendCER                      // by our connection
	SendCEA                      // by the peer's: it is welcome
	Elect                        // compare identities; WinElection where we win
	SendDWA
	Process  // the message is the walk's
	Failback // requests may be sent
	SendDWR
	SendDPR
	SendDPA
)

// Has reports whether something is among them.
func (a Actions) Has(b Actions) bool { return a&b != 0 }

// Cause is a Disconnect-Cause (RFC 6733 section 5.4.3).
type Cause uint32

// The causes.
const (
	Rebooting   Cause = 0
	Busy        Cause = 1
	DoNotWant   Cause = 2
	causeAmount       = 3
)

// String is the word of metrics and logs, of a cause that nobody knows "other".
func (c Cause) String() string {
	if c >= causeAmount {
		return "other"
	}
	return [causeAmount]string{"rebooting", "busy", "do_not_want_to_talk_to_you"}[c]
}

// Wins reports whether a node wins the election against another (RFC 6733 section
// 5.6.4): its identity comes later, letters of both cases being equal.
func Wins(ours, theirs string) bool {
	return strings.Compare(strings.ToLower(ours), strings.ToLower(theirs)) > 0
}
