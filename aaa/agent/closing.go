package agent

// closing says why a connection was closed. The set is closed: it is a label value.
type closing uint8

const (
	staysOpen closing = iota
	closedByPeer
	closedBroken     // the network or the peer has cut it
	closedFraming    // a Message Length that no message has
	closedVersion    // of Diameter, other than 1
	closedUnfit      // capabilities that were refused, by either side
	closedUninvited  // something else where capabilities were due
	closedElection   // the other connection is kept
	closedDuplicate  // there are as many as there may be
	closedSilent     // no capabilities in time
	closedWatchdog   // no answer to DWRs
	closedStalled    // the peer takes nothing
	closedLeft       // after a DPR
	closedExpired    // the certificate of the peer
	closedUntrusted  // likewise, by newer files
	closedReassigned // the peer would be somebody else by the present files
	closedMany       // there are as many as the hub may have
	closedStopping
	numClosings
)

var closingNames = [numClosings]string{
	staysOpen: "open", closedByPeer: "peer", closedBroken: "broken", closedFraming: "framing", closedVersion: "version",
	closedUnfit: "capabilities", closedUninvited: "uninvited", closedElection: "election", closedDuplicate: "duplicate",
	closedSilent: "silent", closedWatchdog: "watchdog", closedStalled: "stalled", closedLeft: "disconnected",
	closedExpired: "certificate_expired", closedUntrusted: "certificate_refused", closedReassigned: "reassigned",
	closedMany: "too_many", closedStopping: "stopping",
}

// String is the label value.
func (c closing) String() string { return closingNames[c] }
