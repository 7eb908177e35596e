package gateway

import (
	"github.com/roamgate/roamgate/aaa/translate"
	"github.com/roamgate/roamgate/pkg/stat"
)

// Directions, as labels of metrics.
const (
	toDiameter = iota
	toRADIUS
	directions
)

var directionNames = [directions]string{"to_diameter", "to_radius"}

// counters are the figures of the gateway.
type counters struct {
	requests   [directions]stat.ID
	answers    [directions]stat.ID
	refused    [directions]map[translate.Reason]stat.ID
	left       stat.ID
	malformed  stat.ID
	unanswered stat.ID
	late       stat.ID
	full       stat.ID
	sessions   stat.ID
	stalled    stat.ID
	orphans    stat.ID
	panics     stat.ID
}

func newCounters(r *stat.Registry, g *Gateway) *counters {
	c := &counters{
		left:       r.Counter("roamgate_gateway_attributes_left_total", "Attributes and AVPs that were left out of a translation: they are malformed or have no place on the other side."),
		malformed:  r.Counter("roamgate_gateway_malformed_total", "Packets and messages at the gateway between RADIUS and Diameter that could not be read."),
		unanswered: r.Counter("roamgate_gateway_unanswered_total", "Requests at the gateway that the other side has not answered."),
		late:       r.Counter("roamgate_gateway_late_total", "Answers at the gateway whose request is not known any more."),
		full:       r.Counter("roamgate_gateway_full_total", "Requests at the gateway for which there was no room among those under way."),
		sessions:   r.Counter("roamgate_gateway_sessions_full_total", "Requests at the gateway for which there was no room among the sessions."),
		stalled:    r.Counter("roamgate_gateway_stalled_total", "Packets and messages that the other side of the gateway did not take."),
		orphans:    r.Counter("roamgate_gateway_orphans_total", "Answers at the gateway whose asker is gone."),
		panics:     r.Counter("roamgate_gateway_panics_recovered_total", "Mistakes of the gateway that a packet found; each is logged with its stack."),
	}
	for d, name := range directionNames {
		c.requests[d] = r.Counter("roamgate_gateway_requests_total", "Requests that were translated, by direction.", "direction", name)
		c.answers[d] = r.Counter("roamgate_gateway_answers_total", "Answers that were translated, by the direction of their requests.", "direction", name)
		c.refused[d] = make(map[translate.Reason]stat.ID)
		for _, why := range translate.Reasons() {
			c.refused[d][why] = r.CounterSparse("roamgate_gateway_refused_total", "Requests and answers that could not be translated, by direction of the request and reason.",
				"direction", name, "reason", why.String())
		}
	}
	r.GaugeFunc("roamgate_gateway_sessions", "Sessions that the gateway knows.", func() float64 { return float64(g.known.Load()) })
	r.GaugeFunc("roamgate_gateway_in_flight", "Requests at the gateway that wait for an answer.", func() float64 { return float64(g.under.Load()) })
	return c
}

func (g *Gateway) count(id stat.ID) { g.stats.Add(id, 1) }

// translated counts what a translation has come to, and what it has left out.
func (g *Gateway) translated(direction int, why translate.Reason) {
	if n := g.tr.Left; n > 0 {
		g.stats.Add(g.ctr.left, n)
		g.tr.Left = 0
	}
	if why != translate.OK {
		g.count(g.ctr.refused[direction][why])
	}
}
