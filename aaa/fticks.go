package aaa

import (
	"github.com/roamgate/roamgate/pkg/radius"
)

// tick hands a home's answer to F-Ticks: one line for an Access-Accept or
// Access-Reject that goes to a client of a known country. The line is about the
// request as the home got it, as radsecproxy has it; what the hub answers by
// itself makes none.
//
// hot: 0 allocs
func (s *Shard) tick(ex *Exchange, code radius.Code, index int32) {
	t := s.hub.fticks
	if t == nil || code != radius.AccessAccept && code != radius.AccessReject || ex.client.Spec.Country == "" {
		return
	}
	ex.homeIdx = index // what is changed here is counted already
	p, why := s.outgoing(ex, s.parsed(ex), index)
	ex.homeIdx = -1
	if why != OK {
		return
	}
	name, _ := p.First(radius.UserName)
	station, ok := p.First(radius.CallingStationID)
	if ok && station == nil {
		station = []byte{}
	}
	institution := ex.client.Spec.Institution
	if institution == "" {
		institution = ex.client.Spec.Name
	}
	t.Tick(name, station, ex.client.Spec.Country, institution, code == radius.AccessAccept)
}

// tickSeries exports what became of the lines.
func (h *Hub) tickSeries() {
	if h.fticks == nil {
		return
	}
	for result, count := range map[string]func() uint64{
		"written": h.fticks.Written, "dropped": h.fticks.Dropped, "failed": h.fticks.Failed,
	} {
		h.stats.CounterFunc("roamgate_fticks_lines_total", "Lines of F-Ticks that the target has taken (written), could not take (failed), or that had no room in the queue (dropped).",
			func() float64 { return float64(count()) }, "result", result)
	}
}
