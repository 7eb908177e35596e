package main

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Figures that the targets of Diameter ask for.
const (
	nodesCount   = 2000
	nodesMemory  = 150 // MiB
	translateCPU = 15  // µs
	toRADIUS     = "roamgate, to RADIUS"
	stalledMore  = "roamgate, four times the rate"
)

var agents = []contender{
	{name: roamgate, kind: roamgate},
	{name: freediameter, kind: freediameter},
	{name: direct, kind: direct},
}

var ulr = &scenario{
	name: "ulr", title: "Diameter: S6a Update-Location relayed",
	about: []string{
		"Requests of some 400 octets over one TCP connection from an MME to the agent, and one from it to an HSS. As many",
		"are kept in flight as of RADIUS above. freeDiameter has no extension but its list of peers. It relays",
		"with a dozen threads, all of them on the one processor.",
	},
	setting:    setting{steps: "ulr", nodes: true, homes: 1, realms: 1},
	contenders: agents,
	measure:    saturate, table: agentTable,
}

var ulrHalf = &scenario{
	name: "ulrhalf", title: "Diameter: latency at half of freeDiameter's peak",
	about: []string{
		"The same requests, begun whatever is answered (open loop) at half of what freeDiameter has done in the case before,",
		"at instants by chance, the same for all (a Poisson process). The load and the home never sleep, and a request's",
		"latency counts from when it was due. Added is what an agent is slower by than the home asked directly.",
	},
	setting:    setting{steps: "ulr", nodes: true, homes: 1, realms: 1, spin: true},
	contenders: agents,
	measure: func(ctx context.Context, st *stage, p *proxy) (turn, error) {
		v := st.visit(p)
		v.Rate = halfLoad * st.capacity(freediameter)
		if v.Rate == 0 {
			return turn{}, fmt.Errorf("the rate is %g of what freeDiameter can do, and it takes no turns", halfLoad)
		}
		p.rate = v.Rate
		return st.load.turn(ctx, p, order{Visits: []visit{v}})
	},
	table: latencyTable,
}

var nodesIdle = &scenario{
	name: "nodes", title: "Diameter: 2,000 connected peers",
	about: []string{
		"2,000 nodes, each a peer of its own in the routing files and with a connection over TCP, that say nothing while one",
		"more asks. Memory is the peak of the whole process while they stand. freeDiameter has three threads for each.",
	},
	setting:    setting{steps: "ulr", nodes: true, homes: 1, realms: 1, peers: nodesCount},
	contenders: []contender{{name: roamgate, kind: roamgate}, {name: freediameter, kind: freediameter}},
	fresh:      true, half: true,
	measure: func(ctx context.Context, st *stage, p *proxy) (turn, error) {
		if err := forgetPeak(p.pid()); err != nil {
			return turn{}, err
		}
		base, err := memory(p.pid(), "VmHWM")
		if err != nil {
			return turn{}, err
		}
		v := st.visit(p)
		v.Window, v.Crowd = 16, nodesCount
		t, err := st.load.turn(ctx, p, order{Visits: []visit{v}})
		t.grown = t.rss - base
		return t, err
	},
	table: func(w *page, r *result) {
		w.head("agent", "peak MiB", "growth MiB", "KiB a connection", "p99 ms", "lost")
		for _, p := range r.proxies {
			w.row(p.name, spread(p.each(mebibytes), 1), spread(p.each(mebibytesGrown), 1),
				spread(p.each(func(t *turn) float64 { return float64(t.grown) / (1 << 10) / nodesCount }), 1),
				decimal(median(p.each(p99))), percent(p, lost))
		}
	},
}

var nodeStalled = &scenario{
	name: "stalled", title: "Diameter: a peer that takes nothing any more",
	about: []string{
		"Two realms with an HSS each, and the load of the case before: a quarter of what freeDiameter can do goes to the",
		"first, and a quarter of that to the other, which then stops reading. Each turn has a new process. p99 is that of the",
		"first realm, before and while the second one stalls.",
	},
	setting: setting{steps: "ulr", nodes: true, homes: 2, realms: 1, spin: true},
	// freeDiameter comes first: the others take their rate from it.
	contenders: []contender{
		{name: freediameter, kind: freediameter}, {name: roamgate, kind: roamgate}, {name: stalledMore, kind: roamgate, times: 4},
	},
	fresh:   true,
	measure: stalled,
	table: func(w *page, r *result) {
		w.head("agent", "offered/s", "p50 ms before", "while stalled", "p99 ms before", "while stalled", "p99 ratio", "lost before", "while stalled",
			"of the stalled realm refused", "lost")
		for _, p := range r.proxies {
			before := func(f func(*outcome) time.Duration) string {
				return decimal(median(p.each(milli(func(t *turn) time.Duration { return f(&t.before) }))))
			}
			w.row(p.name, fmt.Sprintf("%.0f", p.rate),
				before(func(o *outcome) time.Duration { return o.P50 }), decimal(median(p.each(p50))),
				before(func(o *outcome) time.Duration { return o.P99 }), decimal(median(p.each(p99))),
				spread(p.each(worse), 2),
				fmt.Sprint(p.sum(func(t *turn) uint64 { return t.before.Lost })), fmt.Sprint(p.sum(lost)),
				fmt.Sprint(p.sum(func(t *turn) uint64 { return t.others[0].Refused })),
				fmt.Sprint(p.sum(func(t *turn) uint64 { return t.others[0].Lost })))
		}
	},
}

func stalled(ctx context.Context, st *stage, p *proxy) (turn, error) {
	p.rate = quarterLoad * cmp.Or(st.capacity(freediameter), st.capacity(p.kind)) * max(p.times, 1)
	living := st.visit(p)
	living.Rate, living.Refusable = p.rate, true
	dying := living
	dying.Rate, dying.FirstRealm, dying.Timeout = p.rate/4, 1, time.Second
	visits := []visit{living, dying}
	before, err := st.load.turn(ctx, p, order{Visits: visits})
	if err != nil {
		return turn{}, fmt.Errorf("with both peers: %w", err)
	}
	t, err := st.load.turn(ctx, p, order{Scripts: []homeScript{{Home: 1, Stall: true}}, Visits: visits})
	if err != nil {
		return turn{}, err
	}
	t.before = before.outcome
	return t, st.load.script(homeScript{Home: -1})
}

var translated = &scenario{
	name: "translate", title: "An accounting stop from RADIUS to Diameter",
	about: []string{
		"As the accounting stop above without a redis-server: each is durable before it is forwarded, becomes an",
		"Accounting-Request of Diameter for a home over TCP, and its answer one of RADIUS. The second row has a home of RADIUS",
		"instead, and nothing is translated.",
	},
	setting:    setting{work: "stop", nodes: true, homes: 1, realms: 1},
	contenders: []contender{{name: roamgate, kind: roamgate}, {name: toRADIUS, kind: roamgate, untranslated: true}},
	half:       true, measure: saturate, table: agentTable,
}

func mebibytes(t *turn) float64 { return float64(t.rss) / (1 << 20) }

func agentTable(w *page, r *result) {
	w.head("agent", "CPU µs/transaction", "to freeDiameter", "transactions/s", "to freeDiameter", "busy", "load busy",
		"p50 ms", "p99 ms", "p99.9 ms", "lost", "peak MiB")
	for _, p := range r.proxies {
		cpu, busy := spread(p.each((*turn).perTransaction), 1), percentage(median(p.each((*turn).busy)))
		if p.kind == direct {
			cpu, busy = "-", "-"
		}
		w.row(p.name, cpu, spread(ratios(p, r.find(freediameter)), 2),
			fmt.Sprintf("%.0f", median(p.each((*turn).perSecond))), spread(within(p, r.find(freediameter), (*turn).perSecond, divide), 1),
			busy, percentage(median(p.each((*turn).busyLoad))),
			decimal(median(p.each(p50))), decimal(median(p.each(p99))), decimal(median(p.each(p999))), percent(p, lost), p.mebibytes())
	}
	w.line("\n%s", boundOf(r))
}

// diameterGoals are those of the agent.
func (b *bench) diameterGoals() (out []goal) {
	theirs := b.done[ulr.name].find(freediameter)
	out = append(out, atMost("CPU per relayed ULR / freediameter", 0.1, ratios(b.hub(ulr.name), theirs), 2)...)
	out = append(out, atLeast("relayed ULR a second / freediameter", 8, within(b.hub(ulr.name), theirs, (*turn).perSecond, divide), 1)...)
	out = append(out, atMost("ULR at half of freeDiameter's peak: p99 / freediameter", 0.2,
		within(b.hub(ulrHalf.name), b.done[ulrHalf.name].find(freediameter), p99, divide), 2)...)
	if p := b.hub(nodesIdle.name); p != nil {
		out = append(out, atMost("2,000 connected Diameter peers: MiB", nodesMemory, p.each(mebibytes), 0)...)
	}
	for _, of := range []struct{ name, what string }{
		{roamgate, "a stalled Diameter peer: p99 of the others, while stalled / before"}, {stalledMore, "the same, four times the rate"},
	} {
		if p := b.done[nodeStalled.name].find(of.name); p != nil {
			out = append(out, atMost(of.what, 1.1, p.each(worse), 2)...)
		}
	}
	return append(out, atMost("accounting stop from RADIUS to Diameter: CPU µs beyond that to RADIUS", translateCPU,
		within(b.hub(translated.name), b.done[translated.name].find(toRADIUS), (*turn).perTransaction, subtract), 1)...)
}
