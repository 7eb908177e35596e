package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Figures that the targets ask for.
const (
	crowdSize   = 2000
	crowdMemory = 100 // MiB
	v11Rate     = 50_000.0
	// idleCollected is roamgate without what handshakes have left behind.
	idleCollected = "roamgate, GOGC=10"
	v11Delay      = 50 * time.Millisecond
)

// radsecIn has RadSec in front of the proxy, radsecOut behind it.
var radsecIn = &scenario{
	name: "radsec", title: "RadSec in, UDP out",
	about: []string{
		"As PAP, with TLS 1.3 between the visited network and the proxy: as many connections as there are sockets elsewhere,",
		"each with the identifiers of RADIUS/1.0. The load asked directly is asked by UDP.",
	},
	setting:    setting{work: "pap", homes: 1, realms: 1, in: "1.0"},
	contenders: onStreams,
	measure:    saturate, table: saturatedTable,
}

var radsecOut = &scenario{
	name: "radsecout", title: "UDP in, RadSec out",
	about: []string{
		"As PAP, with TLS 1.3 between the proxy and the home. radsecproxy has one connection and 256 identifiers for the home.",
	},
	setting:    setting{work: "pap", homes: 1, realms: 1, out: "1.0"},
	contenders: onStreams,
	half:       true, measure: saturate, table: saturatedTable,
}

var v11In = &scenario{
	name: "v11", title: "RADIUS/1.1 in, UDP out",
	about: []string{
		"As RadSec in, with RADIUS/1.1 over a single connection. No other proxy here speaks it.",
	},
	setting:    setting{work: "pap", homes: 1, realms: 1, in: "1.1", sockets: 1},
	contenders: []contender{{name: roamgate, kind: roamgate}},
	half:       true, measure: saturate, table: saturatedTable,
}

var v11Slow = &scenario{
	name: "v11slow", title: "One connection of RADIUS/1.1 and a home that answers after 50 ms",
	about: []string{
		"PAP, begun whatever is answered (open loop), 50,000 requests a second over one connection on each side of the hub.",
		"Direct is the load alone, which has a connection to the home.",
	},
	setting:    setting{work: "pap", homes: 1, realms: 1, in: "1.1", out: "1.1", sockets: 1, connections: 1, requests: 16384},
	contenders: []contender{{name: roamgate, kind: roamgate, rate: v11Rate}, {name: direct, kind: direct, rate: v11Rate}},
	half:       true,
	measure: func(ctx context.Context, st *stage, p *proxy) (turn, error) {
		v := st.visit(p)
		v.Rate = p.rate
		t, err := st.load.turn(ctx, p, order{Scripts: []homeScript{{Home: -1, Delay: v11Delay}}, Visits: []visit{v}})
		if err != nil {
			return turn{}, err
		}
		return t, st.load.script(homeScript{Home: -1})
	},
	table: v11Table,
}

var idlePeers = &scenario{
	name: "idle", title: "2,000 idle peers over TLS",
	about: []string{
		"2,000 connections of TLS 1.3, each with a handshake of its own, that say nothing, while one more carries PAP. Growth",
		"is that of the process's memory from before them to its peak while they stand. A handshake leaves some 70 KiB",
		"behind, which roamgate collects after each 256 of them. The second row collects yet earlier, and so shows what is held.",
	},
	setting: setting{work: "pap", homes: 1, realms: 1, in: "1.0", sockets: 1},
	contenders: []contender{
		{name: roamgate, kind: roamgate}, {name: idleCollected, kind: roamgate, collect: "10"}, {name: radsecproxy, kind: radsecproxy},
	},
	fresh: true, half: true, measure: idle, table: idleTable,
}

// idle measures a process that has seen the work already.
func idle(ctx context.Context, st *stage, p *proxy) (turn, error) {
	if err := forgetPeak(p.pid()); err != nil {
		return turn{}, err
	}
	base, err := memory(p.pid(), "VmHWM")
	if err != nil {
		return turn{}, err
	}
	v := st.visit(p)
	v.Window, v.Crowd = 16, crowdSize
	t, err := st.load.turn(ctx, p, order{Visits: []visit{v}})
	t.grown = t.rss - base
	return t, err
}

// onStreams speak RadSec; direct asks the home as the proxies do.
var onStreams = []contender{
	{name: roamgate, kind: roamgate},
	{name: radsecproxy, kind: radsecproxy},
	{name: newer, kind: newer},
	{name: direct, kind: direct},
}

func mebibytesGrown(t *turn) float64 { return float64(t.grown) / (1 << 20) }

func idleTable(w *page, r *result) {
	w.head("proxy", "growth MiB", "KiB a connection", "CPU µs/transaction with the handshakes", "p99 ms", "lost")
	for _, p := range r.proxies {
		w.row(p.name, spread(p.each(mebibytesGrown), 1),
			spread(p.each(func(t *turn) float64 { return float64(t.grown) / (1 << 10) / crowdSize }), 1),
			spread(p.each((*turn).perTransaction), 1), decimal(median(p.each(p99))), percent(p, lost))
	}
}

func v11Table(w *page, r *result) {
	w.head("proxy", "offered/s", "finished/s", "lost", "not begun for want of tokens", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs/transaction", "busy", "load busy")
	for _, p := range r.proxies {
		cpu, busy := spread(p.each((*turn).perTransaction), 1), percentage(median(p.each((*turn).busy)))
		if p.kind == direct {
			cpu, busy = "-", "-"
		}
		w.row(p.name, fmt.Sprintf("%.0f", p.rate), spread(p.each(finishedPerSecond), 0), percent(p, lost), fmt.Sprint(p.sum(skipped)),
			decimal(median(p.each(p50))), decimal(median(p.each(p99))), decimal(median(p.each(p999))), cpu, busy,
			percentage(median(p.each((*turn).busyLoad))))
	}
}

// streamGoals are those of RadSec and RADIUS/1.1.
func (b *bench) streamGoals() (out []goal) {
	out = atMost("RadSec in, UDP out: CPU / "+radsecproxy, 0.5, ratios(b.hub(radsecIn.name), b.done[radsecIn.name].find(radsecproxy)), 2)
	if p := b.hub(v11Slow.name); p != nil {
		what := strings.ToLower(v11Slow.title[:3]) + v11Slow.title[3:]
		rate := p.each(finishedPerSecond)
		out = append(out,
			goal{what + ": requests/s sustained", "at least 50000", rate, 0, median(rate) >= 0.999*v11Rate},
			goal{what + ": requests lost", "none", p.each(func(t *turn) float64 { return float64(t.Lost) }), 0, p.sum(lost)+p.sum(skipped) == 0})
	}
	if p := b.hub(idlePeers.name); p != nil {
		out = append(out, atMost("2,000 idle peers over TLS: MiB", crowdMemory, p.each(mebibytesGrown), 0)...)
	}
	return out
}
