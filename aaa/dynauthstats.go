package aaa

import (
	"strconv"
	"sync/atomic"

	"github.com/roamgate/roamgate/aaa/dynauth"
	"github.com/roamgate/roamgate/pkg/radius"
	"github.com/roamgate/roamgate/pkg/stat"
)

// Kinds of dynamic authorisation, for counters.
const (
	kindCoA = iota
	kindDisconnect
	numDynAuth
)

var dynAuthKinds = [numDynAuth]string{"coa", "disconnect"}

// errorCauses are those of RFC 5176 section 3.5 and of RFC 7930, as label
// values; others are one.
var errorCauses = func() map[uint32]string {
	m := map[uint32]string{0: "none"}
	for _, c := range [...]int{201, 202, 401, 402, 403, 404, 405, 406, 407, 501, 502, 503, 504, 505, 506, 507, 508, 601} {
		m[uint32(c)] = strconv.Itoa(c)
	}
	return m
}()

const otherCause = "other"

// dynAuthStats counts what the loop of dynamic authorisation does.
type dynAuthStats struct {
	pending atomic.Int64
	reg     *stat.Registry
	dropped map[dynauth.Reason]stat.ID
	refused map[dynauth.Reason]stat.ID
	homes   map[string]*[numDynAuth]stat.ID
	clients map[string]*[numDynAuth][3]stat.ID
	logged  map[dynauth.Reason]*struct{ at, n int64 }
}

func newDynAuthStats(reg *stat.Registry) *dynAuthStats {
	c := &dynAuthStats{
		reg: reg, dropped: make(map[dynauth.Reason]stat.ID), refused: make(map[dynauth.Reason]stat.ID),
		logged: make(map[dynauth.Reason]*struct{ at, n int64 }),
	}
	for _, r := range dynauth.Reasons() {
		c.logged[r] = new(struct{ at, n int64 })
		if r.Dropped() {
			c.dropped[r] = reg.Counter("roamgate_dynauth_dropped_total", "Packets of dynamic authorisation that were silently discarded.", "reason", r.String())
		} else {
			c.refused[r] = reg.Counter("roamgate_dynauth_refused_total", "CoA and Disconnect requests that the hub itself has answered with a NAK.", "reason", r.String())
		}
	}
	reg.GaugeFunc("roamgate_dynauth_pending", "CoA and Disconnect requests that wait for a client's answer.", func() float64 { return float64(c.pending.Load()) })
	return c
}

// adopt registers the series of a configuration's homes and clients.
func (c *dynAuthStats) adopt(reg *stat.Registry, s *Snapshot) {
	c.homes, c.clients = make(map[string]*[numDynAuth]stat.ID), make(map[string]*[numDynAuth][3]stat.ID)
	for i := range s.Set.Homes {
		if len(s.Set.Homes[i].DynAuth) == 0 {
			continue
		}
		name, ids := s.Set.Homes[i].Name, new([numDynAuth]stat.ID)
		for k, kind := range dynAuthKinds {
			ids[k] = reg.Counter("roamgate_dynauth_requests_total", "Authentic CoA and Disconnect requests of a home, repetitions included.", "home", name, "kind", kind)
			c.responses(name, kind, "ack", 0)
		}
		c.homes[name] = ids
	}
	for _, cl := range s.reverse.Clients() {
		ids := new([numDynAuth][3]stat.ID)
		for k, kind := range dynAuthKinds {
			for i, how := range [...]string{"first", "repeated", "moved"} {
				ids[k][i] = reg.CounterSparse("roamgate_dynauth_sent_total", "Transmissions of CoA and Disconnect requests to a client: the first, a repetition, or moved from another client that was silent.",
					"client", cl.Spec.Name, "kind", kind, "transmission", how)
			}
		}
		c.clients[cl.Spec.Name] = ids
	}
}

// note counts and logs what the Machine has done.
func (d *dynAuth) note(e dynauth.Event) {
	c := d.counters
	kind := kindDisconnect
	if e.Code >= radius.CoARequest {
		kind = kindCoA
	}
	switch e.Kind {
	case dynauth.Received:
		if ids := c.homes[e.Home]; ids != nil {
			d.stats.Add(ids[kind], 1)
		}
	case dynauth.Forwarded, dynauth.Retransmitted, dynauth.Moved:
		if ids := c.clients[e.Client]; ids != nil {
			d.stats.Add(ids[kind][e.Kind-dynauth.Forwarded], 1)
		}
	case dynauth.Replied:
		d.replied(e, dynAuthKinds[kind])
	case dynauth.Dropped:
		d.stats.Add(c.dropped[e.Why], 1)
	}
	if e.Why != dynauth.OK && e.Why != dynauth.Repeated {
		d.log(e)
	}
}

// replied counts an answer. The series is looked up: answers are few.
func (d *dynAuth) replied(e dynauth.Event, kind string) {
	result := "nak"
	switch {
	case e.Code == radius.CoAACK || e.Code == radius.DisconnectACK:
		result = "ack"
	case e.Why != dynauth.OK:
		result = "refused"
		d.stats.Add(d.counters.refused[e.Why], 1)
	}
	d.stats.Add(d.counters.responses(e.Home, kind, result, e.Cause), 1)
}

func (c *dynAuthStats) responses(home, kind, result string, cause uint32) stat.ID {
	text, known := errorCauses[cause]
	if !known {
		text = otherCause
	}
	return c.reg.CounterSparse("roamgate_dynauth_responses_total", "Answers to CoA and Disconnect requests of a home, repetitions not included: ack or nak of the client, or refused by the hub, with their Error-Cause.",
		"home", home, "kind", kind, "result", result, "error_cause", text)
}

// log leaves a line: one a second for each reason, with the number of those
// left out. It names peers and the reason, never an attribute.
func (d *dynAuth) log(e dynauth.Event) {
	l := d.counters.logged[e.Why]
	if l.at != 0 && d.clock.Now-l.at < noteEvery {
		l.n++
		d.stats.Add(d.hub.ctr.logSuppressed, 1)
		return
	}
	peer := e.Home
	if peer == "" {
		peer = e.Client
	}
	select {
	case d.hub.notes <- note{reverse: e.Why, peer: peer, source: e.From, n: l.n}:
		l.at, l.n = d.clock.Now, 0
	default:
		l.n++
		d.stats.Add(d.hub.ctr.logSuppressed, 1)
	}
}
