package main

import (
	"fmt"
	"slices"
)

// goal is a line of the table of targets.
type goal struct {
	what   string
	limit  string // as people read it
	values []float64
	digits int
	met    bool
}

// atMost is met by the median; without figures there is no goal.
func atMost(what string, limit float64, values []float64, digits int) []goal {
	if len(values) == 0 {
		return nil
	}
	return []goal{{what, fmt.Sprintf("at most %g", limit), values, digits, median(values) <= limit}}
}

func atLeast(what string, limit float64, values []float64, digits int) []goal {
	if len(values) == 0 {
		return nil
	}
	return []goal{{what, fmt.Sprintf("at least %g", limit), values, digits, median(values) >= limit}}
}

// targets states which of the goals set for this product hold.
func (b *bench) targets(w *page) {
	goals := slices.Concat(b.cpuGoals(), b.latencyGoals(), b.slowGoals(), b.deadGoals(), b.overloadGoals(), b.streamGoals(), b.diameterGoals())
	if len(goals) == 0 {
		w.line("None of the cases with targets has run.")
		return
	}
	w.head("what", "target", "measured", "met")
	for _, g := range goals {
		met := "**missed**"
		if g.met {
			met = "met"
		}
		w.row(g.what, g.limit, spread(g.values, g.digits), met)
	}
	w.line("\nA target is met if the median over the rounds meets it. The other targets of the hub (tables of millions, reload,")
	w.line("restart) are measured by the tests and benchmarks of their packages and of test/load.")
}

func (b *bench) cpuGoals() []goal {
	papHub, stopHub, stopDurable := b.hub("mix"), b.hub("stop"), b.done["stop"].find(ackDurable)
	compare := func(what, in, with string, p *proxy, limit float64) []goal {
		return atMost(what+" / "+with, limit, ratios(p, b.done[in].find(with)), 2)
	}
	const pap = "CPU per PAP Access-Request, full features (10,000 realms, 1 million devices)"
	const plain = "the same, one realm and no policy"
	const stop = "CPU per accounting stop, durable and drained"
	const durable = "the same, `acknowledge: durable`"
	return slices.Concat(
		compare(pap, "mix", radsecproxy, papHub, 0.45),
		compare(pap, "mix", freeradius, papHub, 0.12),
		compare(pap, "mix", forwarder, papHub, 1.3),
		compare(plain, "pap", radsecproxy, b.hub("pap"), 0.45),
		compare(plain, "pap", freeradius, b.hub("pap"), 0.12),
		compare(plain, "pap", forwarder, b.hub("pap"), 1.3),
		compare(stop, "stop", radsecproxy, stopHub, 0.9),
		compare(stop, "stop", freeradius, stopHub, 0.2),
		compare(durable, "stop", radsecproxy, stopDurable, 0.9),
		compare(durable, "stop", freeradius, stopDurable, 0.2),
	)
}

// hub is roamgate in a case.
func (b *bench) hub(name string) *proxy { return b.done[name].find(roamgate) }

// latencyGoals compare what the two proxies add to the home asked directly,
// by the medians over the rounds.
func (b *bench) latencyGoals() (out []goal) {
	r := b.done["latency"]
	for _, q := range []struct {
		name string
		f    func(*turn) float64
	}{{"p50", p50}, {"p99", p99}} {
		mine := within(r.find(roamgate), r.find(direct), q.f, subtract)
		theirs := within(r.find(radsecproxy), r.find(direct), q.f, subtract)
		if len(mine) == 0 || len(theirs) == 0 {
			continue
		}
		out = append(out, goal{
			"added latency at 20 % load, " + q.name + " ms", fmt.Sprintf("at most radsecproxy's %.2f", median(theirs)),
			mine, 2, median(mine) <= median(theirs),
		})
	}
	return out
}

func (b *bench) slowGoals() []goal {
	p := b.hub("slow")
	if p == nil {
		return nil
	}
	rate, gone := p.each(finishedPerSecond), p.sum(lost)+p.sum(skipped)
	// The first turn of the loop is a millisecond late: a thousandth is the clock's.
	sustained := goal{"home answering after 500 ms: requests/s sustained", "at least 20000", rate, 0, median(rate) >= 0.999*slowRate}
	none := goal{"home answering after 500 ms: requests lost", "none", p.each(func(t *turn) float64 { return float64(t.Lost) }), 0, gone == 0}
	return append([]goal{sustained, none},
		atMost("home answering after 500 ms: octets a request in flight", 2048, p.each(octets), 0)...)
}

func (b *bench) deadGoals() []goal {
	p := b.hub("dead")
	if p == nil {
		return nil
	}
	gone := goal{
		"one dead home of ten: requests of the others lost", "none",
		p.each(func(t *turn) float64 { return float64(t.Lost) }), 0, p.sum(lost) == 0,
	}
	return append(atMost("one dead home of ten: p99 of the others, while dead / before", 1.1, p.each(worse), 2), gone)
}
