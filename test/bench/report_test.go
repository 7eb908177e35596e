package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// canned makes a contender whose turns cost so many µs a transaction.
func canned(kind string, cpu ...float64) *proxy {
	p := &proxy{contender: contender{name: kind, kind: kind}, version: "canned"}
	for _, c := range cpu {
		p.turns = append(p.turns, turn{
			outcome: outcome{Finished: 1000, Sent: 1000, InTime: 900, MostOpen: 10_000, P50: time.Millisecond, P99: 2 * time.Millisecond},
			cpu:     time.Duration(c * 1e6), during: time.Second, proxyBusy: 950 * time.Millisecond, foreign: 60 * time.Millisecond,
		})
	}
	return p
}

func (p *proxy) named(name string) *proxy {
	p.name = name
	return p
}

// benchOf is a run in which one case has had these contenders.
func benchOf(name string, ps ...*proxy) *bench {
	return &bench{
		options: options{rounds: 2, duration: time.Second, window: 256, sockets: 8, command: "go run ./test/bench"},
		begun:   time.Now(),
		done:    map[string]*result{name: {scenario: caseOf(name), proxies: ps}},
	}
}

func TestRatioIsTakenWithinARound(t *testing.T) {
	a, b := canned(roamgate, 10, 40), canned(radsecproxy, 20, 80)
	assert.Equal(t, "0.50 (0.50-0.50)", spread(ratios(a, b), 2))
	assert.Equal(t, "-", spread(ratios(a, nil), 2))
	assert.Equal(t, "-", spread(ratios(a, canned(direct, 0)), 2))
	assert.Equal(t, "25.0 (10.0-40.0)", spread(a.each((*turn).perTransaction), 1))
	text := benchOf("pap", a, b).report()
	assert.Contains(t, text, "| roamgate | 25.0 (10.0-40.0) | 0.50 (0.50-0.50) | - | - | 900 | 95 % |")
	assert.Contains(t, text, "| radsecproxy | 50.0 (20.0-80.0) | 1.00 (1.00-1.00) |")
	assert.Contains(t, text, "Other work took 3 % of both processors (median over the turns; at most 3 %).")
	assert.Contains(t, text, "Command: `go run ./test/bench`")
}

func TestCPUTargets(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		proxies  []*proxy
		want     []string
	}{
		{"met exactly", "mix", []*proxy{canned(roamgate, 45), canned(radsecproxy, 100)}, []string{
			"radsecproxy | at most 0.45 | 0.45 (0.45-0.45) | met |",
		}},
		{"missed", "mix", []*proxy{canned(roamgate, 46), canned(radsecproxy, 100)}, []string{
			"radsecproxy | at most 0.45 | 0.46 (0.46-0.46) | **missed** |",
		}},
		{"the median counts", "mix", []*proxy{canned(roamgate, 10, 10, 99), canned(radsecproxy, 100, 100, 100)}, []string{
			"radsecproxy | at most 0.45 | 0.10 (0.10-0.99) | met |",
		}},
		{"each peer", "mix", []*proxy{canned(roamgate, 13), canned(freeradius, 100), canned(forwarder, 10)}, []string{
			"freeradius | at most 0.12 | 0.13 (0.13-0.13) | **missed** |",
			"forwarder | at most 1.3 | 1.30 (1.30-1.30) | met |",
		}},
		{"realms one by one are not the measure", "mix", []*proxy{canned(roamgate, 46), canned(radsecproxy, 1000).named(everyRealm)}, []string{
			"None of the cases with targets has run.",
		}},
		{"stops", "stop", []*proxy{
			canned(roamgate, 18), canned(roamgate, 30).named(ackDurable), canned(radsecproxy, 20), canned(freeradius, 100),
		}, []string{
			"CPU per accounting stop, durable and drained / radsecproxy | at most 0.9 | 0.90 (0.90-0.90) | met |",
			"CPU per accounting stop, durable and drained / freeradius | at most 0.2 | 0.18 (0.18-0.18) | met |",
			"the same, `acknowledge: durable` / radsecproxy | at most 0.9 | 1.50 (1.50-1.50) | **missed** |",
			"the same, `acknowledge: durable` / freeradius | at most 0.2 | 0.30 (0.30-0.30) | **missed** |",
		}},
		{"no target", "chap", []*proxy{canned(roamgate, 1), canned(radsecproxy, 1)}, []string{"None of the cases with targets has run."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w page
			benchOf(tt.in, tt.proxies...).targets(&w)
			for _, want := range tt.want {
				assert.Contains(t, w.String(), want)
			}
		})
	}
}

// slower sets the latencies of all turns.
func (p *proxy) slower(p50, p99 time.Duration) *proxy {
	for i := range p.turns {
		p.turns[i].P50, p.turns[i].P99 = p50, p99
	}
	return p
}

func TestLatencyTargets(t *testing.T) {
	const ms = time.Millisecond
	b := benchOf("latency", canned(roamgate, 1, 1).slower(3*ms, 9*ms), canned(radsecproxy, 1, 1).slower(4*ms, 8*ms),
		canned(direct, 0, 0).slower(1*ms, 2*ms))
	var w page
	b.targets(&w)
	assert.Contains(t, w.String(), "p50 ms | at most radsecproxy's 3.00 | 2.00 (2.00-2.00) | met |")
	assert.Contains(t, w.String(), "p99 ms | at most radsecproxy's 6.00 | 7.00 (7.00-7.00) | **missed** |")
	assert.Contains(t, b.report(), "| roamgate | 0 | 3.00 | 9.00 | 0.00 | 2.00 (2.00-2.00) | 7.00 (7.00-7.00) |")
	assert.Empty(t, benchOf("latency", canned(roamgate, 1), canned(radsecproxy, 1)).latencyGoals(), "nothing is added to nothing")
}

func TestSlowHomeTargets(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		finished, lost, skipped uint64
		grown                   int64
		want                    []bool // sustained, none lost, octets
	}{
		{"all met", 20_000, 0, 0, 10_000 * 2048, []bool{true, true, true}},
		{"one lost", 20_000, 1, 0, 0, []bool{true, false, true}},
		{"one not begun", 20_000, 0, 1, 0, []bool{true, false, true}},
		{"not sustained", 19_000, 0, 0, 0, []bool{false, true, true}},
		{"too big", 20_000, 0, 0, 10_000*2048 + 10_000, []bool{true, true, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := canned(roamgate, 1)
			p.rate = slowRate
			p.turns[0].Finished, p.turns[0].Lost, p.turns[0].Skipped, p.turns[0].grown = tt.finished, tt.lost, tt.skipped, tt.grown
			b := benchOf("slow", p)
			goals := b.slowGoals()
			require.Len(t, goals, len(tt.want))
			for i, want := range tt.want {
				assert.Equal(t, want, goals[i].met, goals[i].what)
			}
			assert.Contains(t, b.report(), "A home that answers after 500 ms")
		})
	}
}

func TestDeadHomeTargets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before time.Duration
		lost   uint64
		want   []bool // p99, none lost
	}{
		{"within ten percent", 2 * time.Millisecond, 0, []bool{true, true}},
		{"moved", time.Millisecond, 0, []bool{false, true}},
		{"lost", 2 * time.Millisecond, 3, []bool{true, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := canned(roamgate, 1)
			p.turns[0].before.P99, p.turns[0].Lost = tt.before, tt.lost
			p.turns[0].others = []outcome{{Refused: 4, Lost: 96}}
			b := benchOf("dead", p)
			goals := b.deadGoals()
			require.Len(t, goals, len(tt.want))
			for i, want := range tt.want {
				assert.Equal(t, want, goals[i].met, goals[i].what)
			}
			assert.Contains(t, b.report(), "| 4 | 96 |")
		})
	}
}

func TestTheReportSaysWhatTheBoundWas(t *testing.T) {
	busy := func(p *proxy, proxy, load float64) *proxy {
		for i := range p.turns {
			p.turns[i].proxyBusy, p.turns[i].loadBusy = time.Duration(proxy*1e9), time.Duration(load*1e9)
		}
		return p
	}
	for _, tt := range []struct {
		name    string
		proxies []*proxy
		want    string
	}{
		{"the proxy", []*proxy{busy(canned(roamgate, 1), 0.95, 0.99)}, "The load was the bound for none of the proxies."},
		{"the load", []*proxy{busy(canned(roamgate, 1), 0.85, 0.99), busy(canned(direct, 1), 0, 0.99)},
			"The load alone does 900 transactions/s. The load was the bound for roamgate: more throughput was there."},
		{"nobody", []*proxy{busy(canned(radsecproxy, 1), 0.5, 0.2)},
			"The load was the bound for none of the proxies. Neither side was busy all the time with radsecproxy."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, boundOf(&result{proxies: tt.proxies}))
		})
	}
}

func TestMissingProxiesAreNamed(t *testing.T) {
	b := benchOf("pap", canned(roamgate, 1))
	b.done["pap"].missing = []string{"freeradius"}
	assert.Contains(t, b.report(), "Not installed here: freeradius.")
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name  string
		args  []string
		newer string
		check func(*testing.T, options)
		bad   bool
	}{
		{name: "everything", check: func(t *testing.T, o options) {
			assert.Equal(t, caseNames(), o.cases)
			assert.Equal(t, resultsFile, o.out)
		}},
		{name: "one case writes no file", args: []string{"-case", "pap"}, check: func(t *testing.T, o options) {
			assert.Equal(t, []string{"pap"}, o.cases)
			assert.Empty(t, o.out)
		}},
		{name: "a file of one's own", args: []string{"-case", "pap,dead", "-out", "x.md", "-rounds", "2"}, check: func(t *testing.T, o options) {
			assert.Equal(t, []string{"pap", "dead"}, o.cases)
			assert.Equal(t, "x.md", o.out)
			assert.Equal(t, "go run ./test/bench -case pap,dead -out x.md -rounds 2", o.command)
		}},
		{name: "fewer proxies", args: []string{"-proxies", "forwarder"}, newer: "/opt/radsecproxy", check: func(t *testing.T, o options) {
			assert.Equal(t, "RADSECPROXY_NEW=radsecproxy go run ./test/bench -proxies forwarder", o.command)
			b := bench{options: o}
			assert.Equal(t, []contender{{name: newer, kind: newer}, {name: forwarder, kind: forwarder}}, b.participants(caseOf("chap")))
		}},
		{name: "no newer radsecproxy", check: func(t *testing.T, o options) {
			b := bench{options: o}
			assert.NotContains(t, b.participants(caseOf("chap")), contender{name: newer, kind: newer})
		}},
		{name: "flag", args: []string{"-nonsense"}, bad: true},
		{name: "case", args: []string{"-case", "nonsense"}, bad: true},
		{name: "proxy", args: []string{"-proxies", "nonsense"}, bad: true},
		{name: "rounds", args: []string{"-rounds", "0"}, bad: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(newerVariable, tt.newer)
			o, err := parseOptions(tt.args)
			require.Equal(t, tt.bad, err != nil)
			if tt.check != nil {
				tt.check(t, o)
			}
		})
	}
}
