package agent

import (
	"github.com/roamgate/roamgate/pkg/diameter"
	"github.com/roamgate/roamgate/pkg/stat"
)

// The directions of counters.
const (
	incoming = iota
	outgoing
)

var directions = [2]string{"in", "out"}

// nodeCounts are the walk's counters of a peer.
type nodeCounts struct {
	peer              string // whose they are; none before the peer is connected for the first time
	requests, answers [2]stat.ID
	results           [numFamilies]stat.ID
	retransmitted     stat.ID
	failedOver        stat.ID
	rerouted          stat.ID
	repeated          stat.ID
	timeouts          stat.ID
	refused, dropped  [numReasons]stat.ID
}

// seldom is a family of which a peer has no series before one counts, or before the peer
// is connected: most of what can happen to one of thousands of peers never does.
type seldom struct{ name, help, label string }

var (
	requestSeries       = &seldom{"roamgate_diameter_requests_total", "Diameter requests that are routed, by peer and direction; those of the peer machine are not among them.", "direction"}
	answerSeries        = &seldom{"roamgate_diameter_answers_total", "Answers to Diameter requests that are routed, by peer and direction.", "direction"}
	resultSeries        = &seldom{"roamgate_diameter_results_total", "Answers that a peer was given, by the class of their Result-Code.", "result"}
	retransmittedSeries = &seldom{"roamgate_diameter_retransmitted_total", "Diameter requests sent to a peer with the T bit because another connection was lost.", ""}
	failedOverSeries    = &seldom{"roamgate_diameter_failed_over_total", "Diameter requests that were taken from a lost connection of a peer and sent elsewhere.", ""}
	reroutedSeries      = &seldom{"roamgate_diameter_rerouted_total", "Diameter requests that a peer could not deliver or was too busy for, and that were sent elsewhere.", ""}
	repeatedSeries      = &seldom{"roamgate_diameter_repeated_total", "Repetitions of Diameter requests that got the answer to the first.", ""}
	timeoutSeries       = &seldom{"roamgate_diameter_timeouts_total", "Diameter requests that a peer did not answer in time.", ""}
	refusedSeries       = &seldom{"roamgate_diameter_refused_total", "Diameter requests of a peer that were answered with an error here, by reason.", "reason"}
	droppedSeries       = &seldom{"roamgate_diameter_dropped_total", "Diameter messages of a peer, or for it, that went no further, by reason.", "reason"}
	watchdogSeries      = &seldom{"roamgate_diameter_watchdog_total", "Watchdogs of a peer: requests sent, expired so that the peer is suspect, and connections closed for it.", "event"}
	leaveSeries         = &seldom{"roamgate_diameter_disconnects_total", "Disconnect-Peer-Requests of a peer, by cause.", "cause"}
	closedSeries        = &seldom{"roamgate_diameter_connections_closed_total", "Connections with a peer that have ended, by who or what has ended them.", "reason"}
)

func declare(r *stat.Registry) {
	for _, f := range []*seldom{
		requestSeries, answerSeries, resultSeries, retransmittedSeries, failedOverSeries, reroutedSeries, repeatedSeries, timeoutSeries,
		refusedSeries, droppedSeries, watchdogSeries, leaveSeries, closedSeries,
	} {
		if f.label == "" {
			r.DeclareSparse(f.name, f.help, "peer")
		} else {
			r.DeclareSparse(f.name, f.help, "peer", f.label)
		}
	}
}

func (f *seldom) register(r *stat.Registry, peer, value string) stat.ID {
	if f.label == "" {
		return r.CounterSparse(f.name, f.help, "peer", peer)
	}
	return r.CounterSparse(f.name, f.help, "peer", peer, f.label, value)
}

// happened counts what is seldom: one of a node's, by the value of its label.
//
// hot: 0 allocs
func (lp *loop) happened(n *node, f *seldom, id *stat.ID, value string) {
	if *id == 0 {
		*id = f.register(lp.agent.rooms.Stats, n.peer.Name, value)
	}
	lp.stats.Add(*id, 1)
}

// register is for what nearly every request counts: no message waits for it then.
func (c *nodeCounts) register(r *stat.Registry, peer string) {
	if c.peer == peer {
		return
	}
	*c = nodeCounts{peer: peer}
	for i, dir := range directions {
		c.requests[i] = requestSeries.register(r, peer, dir)
		c.answers[i] = answerSeries.register(r, peer, dir)
	}
	c.results[familySuccess] = resultSeries.register(r, peer, familyNames[familySuccess])
}

// count counts a request that is answered here.
func (lp *loop) count(n *node, why Reason) { lp.reason(n, refusedSeries, &n.counts.refused[why], why) }

// drop counts a message that goes no further.
func (lp *loop) drop(n *node, why Reason) { lp.reason(n, droppedSeries, &n.counts.dropped[why], why) }

// reason is happened; the text of a reason is put together.
//
// hot: 0 allocs
func (lp *loop) reason(n *node, f *seldom, id *stat.ID, why Reason) {
	if *id == 0 {
		*id = f.register(lp.agent.rooms.Stats, n.peer.Name, why.String())
	}
	lp.stats.Add(*id, 1)
}

// countResult counts an answer that a peer is given.
func (lp *loop) countResult(n *node, result uint32) {
	f := familyOf(result)
	lp.happened(n, resultSeries, &n.counts.results[f], familyNames[f])
}

// walkStats are the counters of the walk as a whole.
type walkStats struct{ commands [numCommands]stat.ID }

func newWalkStats(r *stat.Registry) (s walkStats) {
	for i := range commandNames {
		c := &commandNames[i]
		s.commands[i] = r.CounterSparse("roamgate_diameter_commands_total", "Diameter requests of peers, by application and command; other: one that the hub has no name for.",
			"application", c.application, "command", c.command)
	}
	return s
}

type named struct {
	app, cmd             uint32
	application, command string
}

// commandNames are the commands that are counted apart. The first stands for all
// others.
var commandNames = [...]named{
	{0, 0, "other", "other"},
	{diameter.AppNASREQ, diameter.AA, "nasreq", "aa"},
	{diameter.AppNASREQ, diameter.ReAuth, "nasreq", "re_auth"},
	{diameter.AppNASREQ, diameter.AbortSession, "nasreq", "abort_session"},
	{diameter.AppNASREQ, diameter.SessionTermination, "nasreq", "session_termination"},
	{diameter.AppNASREQ, diameter.Accounting, "nasreq", "accounting"},
	{diameter.AppAccounting, diameter.Accounting, "accounting", "accounting"},
	{diameter.AppCredit, diameter.CreditControl, "credit", "credit_control"},
	{diameter.AppCredit, diameter.ReAuth, "credit", "re_auth"},
	{diameter.AppEAP, diameter.EAP, "eap", "eap"},
	{diameter.AppEAP, diameter.SessionTermination, "eap", "session_termination"},
	{diameter.AppEAP, diameter.AbortSession, "eap", "abort_session"},
	{diameter.AppS6a, diameter.UpdateLocation, "s6a", "update_location"},
	{diameter.AppS6a, diameter.CancelLocation, "s6a", "cancel_location"},
	{diameter.AppS6a, diameter.AuthenticationInfo, "s6a", "authentication_information"},
	{diameter.AppS6a, diameter.InsertSubscriberData, "s6a", "insert_subscriber_data"},
	{diameter.AppS6a, diameter.DeleteSubscriberData, "s6a", "delete_subscriber_data"},
	{diameter.AppS6a, diameter.PurgeUE, "s6a", "purge_ue"},
	{diameter.AppS6a, diameter.Reset, "s6a", "reset"},
	{diameter.AppS6a, diameter.Notify, "s6a", "notify"},
	{diameter.AppS13, diameter.MEIdentityCheck, "s13", "me_identity_check"},
	{diameter.AppSTa, diameter.EAP, "sta", "eap"},
	{diameter.AppSTa, diameter.SessionTermination, "sta", "session_termination"},
	{diameter.AppSWm, diameter.EAP, "swm", "eap"},
	{diameter.AppSWm, diameter.AA, "swm", "aa"},
	{diameter.AppSWm, diameter.SessionTermination, "swm", "session_termination"},
	{diameter.AppS6b, diameter.AA, "s6b", "aa"},
	{diameter.AppS6b, diameter.SessionTermination, "s6b", "session_termination"},
	{diameter.AppGx, diameter.CreditControl, "gx", "credit_control"},
	{diameter.AppS9, diameter.CreditControl, "s9", "credit_control"},
	{diameter.AppS6t, diameter.ConfigurationInfo, "s6t", "configuration_information"},
	{diameter.AppS6t, diameter.ReportingInfo, "s6t", "reporting_information"},
	{diameter.AppT6a, diameter.ConnectionManagement, "t6a", "connection_management"},
	{diameter.AppT6a, diameter.MOData, "t6a", "mo_data"},
	{diameter.AppT6a, diameter.MTData, "t6a", "mt_data"},
	{diameter.AppT6a, diameter.ConfigurationInfo, "t6a", "configuration_information"},
	{diameter.AppT6a, diameter.ReportingInfo, "t6a", "reporting_information"},
	{diameter.AppSGd, diameter.MOForwardSM, "sgd", "mo_forward_short_message"},
	{diameter.AppSGd, diameter.MTForwardSM, "sgd", "mt_forward_short_message"},
	{diameter.AppSGd, diameter.AlertServiceCentre, "sgd", "alert_service_centre"},
	{diameter.AppS6c, diameter.SendRoutingInfoSM, "s6c", "send_routing_info_for_sm"},
	{diameter.AppS6c, diameter.AlertServiceCentre, "s6c", "alert_service_centre"},
	{diameter.AppS6c, diameter.ReportSMStatus, "s6c", "report_sm_delivery_status"},
}

const numCommands = len(commandNames)

// commandIndex finds the number of a command. It is filled to a half at most.
var commandIndex = func() (t [128]uint8) {
	for i := 1; i < numCommands; i++ {
		at := commandPlace(commandNames[i].app, commandNames[i].cmd)
		for t[at] != 0 {
			at = (at + 1) % uint32(len(t))
		}
		t[at] = uint8(i)
	}
	return t
}()

func commandPlace(app, cmd uint32) uint32 { return (app*37 + cmd*11) % 128 }

// commandOf is the number of a command among those that are counted apart, 0: it is
// none of them.
//
// hot: 0 allocs
func commandOf(app, cmd uint32) int {
	for at := commandPlace(app, cmd); commandIndex[at] != 0; at = (at + 1) % uint32(len(commandIndex)) {
		if c := &commandNames[commandIndex[at]]; c.app == app && c.cmd == cmd {
			return int(commandIndex[at])
		}
	}
	return 0
}
