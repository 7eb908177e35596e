package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// usual is who takes turns where a case needs nothing special.
var usual = []contender{
	{name: roamgate, kind: roamgate},
	{name: radsecproxy, kind: radsecproxy},
	{name: newer, kind: newer},
	{name: freeradius, kind: freeradius},
	{name: forwarder, kind: forwarder},
	{name: direct, kind: direct},
}

// Names of contenders that the targets ask for.
const (
	everyRealm  = "radsecproxy, 10,000 realms"
	ackDurable  = "roamgate, durable"
	slowRate    = 20_000.0
	slowDelay   = 500 * time.Millisecond
	slowSockets = 400 // 256 identifiers each
	keepAnswers = 5 * time.Second
	lowLoad     = 0.2
	quarterLoad = 0.25 // single packets cost both sides more than full batches
	halfLoad    = 0.5
	homesOfDead = 10
)

// scenarios are all cases in the order of the report. PAP comes first: others
// take their rates from it.
var scenarios = []*scenario{
	pap,
	saturated("chap", "CHAP", setting{work: "chap"},
		"As PAP, with CHAP-Password; every second device has a CHAP-Challenge of its own."),
	saturated("eap", "EAP", setting{work: "eap"},
		"Conversations of three rounds; a transaction is a round. State and EAP-Message in every challenge."),
	accountingStop,
	mix,
	saturated("sockets1", "PAP from 1 client socket", setting{work: "pap", sockets: 1},
		"As PAP, with all requests from one source port."),
	saturated("sockets64", "PAP from 64 client sockets", setting{work: "pap", sockets: 64},
		"As PAP, from 64 source ports; there are still as many requests in flight."),
	radsecIn,
	radsecOut,
	v11In,
	v11Slow,
	idlePeers,
	latency,
	slowHome,
	deadHome,
	overload,
	scream,
	ulr,
	ulrHalf,
	nodesIdle,
	nodeStalled,
	translated,
}

// pap shows the forwarder a second time, with the segmentation that roamgate
// has and the bare one has not.
var pap = func() *scenario {
	s := saturated("pap", "PAP", setting{work: "pap"},
		"Access-Request with User-Password; one home, one realm. The bare forwarder sends datagrams one by one; the other",
		"one sends runs of one length and destination in one piece (UDP_SEGMENT), as roamgate does.")
	s.contenders = slices.Insert(slices.Clone(usual), 5, contender{name: "forwarder, UDP_SEGMENT", kind: forwarder, segment: true})
	return s
}()

var accountingStop = &scenario{
	name: "stop", title: "Accounting stop, durable and drained",
	about: []string{
		"Accounting-Requests with Acct-Status-Type Stop alone, each a session of its own: all of them go to clearing.",
		"roamgate syncs each record to its spool, forwards it to the home and drains it into a stream of a redis-server;",
		"its CPU time is read when the queue has every record. With `acknowledge: home` the client is answered when the",
		"record is durable and the home has answered; the row \"durable\" answers as soon as it is durable and forwards",
		"from the spool, and its CPU time is read when the home has had all. The redis-server works on the load's",
		"processor and is other work. FreeRADIUS writes each record to a detail file, not synced, and forwards it.",
		"radsecproxy and the forwarder store nothing.",
	},
	setting: setting{work: "stop", homes: 1, realms: 1, redis: true, detail: true},
	contenders: append([]contender{
		usual[0], {name: ackDurable, kind: roamgate, acknowledge: "durable"},
	}, usual[1:]...),
	measure: saturate, table: saturatedTable,
}

var mix = &scenario{
	name: "mix", title: "Full features: 10,000 realms and 1 million devices in the policy table",
	about: []string{
		"PAP from devices in turns, spread over all realms. roamgate has each realm of its own, with policy on, and a",
		"policy table of 1 million devices from a file: operator, country and NAS-Port-Type are checked, Session-Timeout",
		"and Acct-Interim-Interval set. No other proxy has a device policy. FreeRADIUS has the 10,000 realms;",
		"radsecproxy walks its realms one by one and is shown with one realm for all as well, which is what the",
		"targets compare with. The forwarder knows no realms.",
	},
	setting: setting{work: "pap", homes: 1, realms: 10_000, devices: 1_000_000},
	contenders: []contender{
		usual[0], {name: radsecproxy, kind: radsecproxy, wildcard: true}, {name: everyRealm, kind: radsecproxy},
		{name: newer, kind: newer, wildcard: true}, {name: freeradius, kind: freeradius}, usual[4], usual[5],
	},
	measure: saturate, table: saturatedTable,
}

// saturated is a case of the closed loop.
func saturated(name, title string, s setting, about ...string) *scenario {
	s.homes, s.realms = 1, 1
	return &scenario{
		name: name, title: title, about: about, setting: s, contenders: usual,
		half: name != "pap", measure: saturate, table: saturatedTable,
	}
}

// saturate keeps the window full for the turn.
func saturate(ctx context.Context, st *stage, p *proxy) (turn, error) {
	return st.load.turn(ctx, p, order{Visits: []visit{st.visit(p)}})
}

var latency = &scenario{
	name: "latency", title: "Latency at 20 % load",
	about: []string{
		"PAP at 20 % of what radsecproxy has done in the case PAP, begun whatever is answered (open loop) at instants by",
		"chance, the same for all (a Poisson process). The load and the home never sleep, and a request's latency counts from",
		"when it was due. Added is what a proxy is slower by than the home asked directly, within the round.",
	},
	setting:    setting{work: "pap", homes: 1, realms: 1, spin: true},
	contenders: usual,
	measure: func(ctx context.Context, st *stage, p *proxy) (turn, error) {
		v := st.visit(p)
		v.Rate = lowLoad * st.capacity(radsecproxy)
		if v.Rate == 0 {
			return turn{}, fmt.Errorf("the rate is %g of what radsecproxy can do, and it takes no turns", lowLoad)
		}
		p.rate = v.Rate
		return st.load.turn(ctx, p, order{Visits: []visit{v}})
	},
	table: latencyTable,
}

var slowHome = &scenario{
	name: "slow", title: "A home that answers after 500 ms",
	about: []string{
		"PAP, begun whatever is answered (open loop). Each turn has a new process and two parts: first the home answers",
		"at once, with the same rate or half of what the proxy can do, then after 500 ms. The growth of the process's",
		"peak memory from the first to the second part, divided by the most requests that were in flight at once, is what",
		"a request in flight takes. The first part is longer than roamgate keeps its answers for repetitions (here 5 s),",
		"which take memory by the rate and not by what is in flight. Lost is what the client gave up after three repetitions. At once counts the answers",
		"that came while requests were begun, from 500 ms after the first on.",
	},
	setting: setting{work: "pap", homes: 1, realms: 1, keep: keepAnswers},
	contenders: []contender{
		{name: "roamgate", kind: roamgate, rate: slowRate},
		{name: "radsecproxy", kind: radsecproxy, rate: slowRate},
		{name: "radsecproxy, 5,000/s", kind: radsecproxy, rate: 5_000},
		{name: "radsecproxy-new", kind: newer, rate: slowRate},
	},
	fresh: true, half: true, measure: slow, table: slowTable,
}

// slow measures the process that has seen the rate already.
func slow(ctx context.Context, st *stage, p *proxy) (turn, error) {
	v := st.visit(p)
	v.Rate, v.Sockets = min(p.rate, halfLoad*st.capacity(p.kind)), slowSockets
	quick := v
	quick.Duration = max(quick.Duration, keepAnswers+time.Second)
	if _, err := st.load.turn(ctx, p, order{Visits: []visit{quick}}); err != nil {
		return turn{}, fmt.Errorf("with a quick home: %w", err)
	}
	if err := forgetPeak(p.pid()); err != nil {
		return turn{}, err
	}
	base, err := memory(p.pid(), "VmHWM")
	if err != nil {
		return turn{}, err
	}
	v.Rate, v.Duration = p.rate, 2*v.Duration
	t, err := st.load.turn(ctx, p, order{
		Scripts: []homeScript{{Home: -1, Delay: slowDelay}}, Visits: []visit{v},
	})
	if err != nil {
		return turn{}, err
	}
	t.grown = t.rss - base
	return t, st.load.script(homeScript{Home: -1})
}

var deadHome = &scenario{
	name: "dead", title: "One dead home among ten",
	about: []string{
		"Ten homes, each with a realm of its own. PAP at a quarter of what the proxy has done in the case PAP, open loop, a",
		"tenth for each realm. Each turn has a new process that has seen the rate already, and two parts: first all homes",
		"answer, then the tenth answers nothing from the first request on, while its realm's requests go on. The figures",
		"are of the other nine.",
	},
	setting:    setting{work: "pap", homes: homesOfDead, realms: homesOfDead, spin: true},
	contenders: []contender{usual[0], usual[1], usual[2]},
	fresh:      true, half: true, measure: dead, table: deadTable,
}

// dead compares the nine homes that live before and while the tenth is dead.
func dead(ctx context.Context, st *stage, p *proxy) (turn, error) {
	p.rate = quarterLoad * st.capacity(p.kind)
	living := st.visit(p)
	dying := living
	living.Realms, living.Rate, living.Sockets = homesOfDead-1, p.rate*(homesOfDead-1)/homesOfDead, 32
	dying.FirstRealm, dying.Realms, dying.Rate, dying.Sockets = homesOfDead-1, 1, p.rate/homesOfDead, 128
	dying.Refusable = true
	if _, err := st.load.turn(ctx, p, order{Visits: []visit{living, dying}}); err != nil {
		return turn{}, fmt.Errorf("warming up: %w", err)
	}
	living.Duration, dying.Duration = 2*living.Duration, 2*dying.Duration
	visits := []visit{living, dying}
	before, err := st.load.turn(ctx, p, order{Visits: visits})
	if err != nil {
		return turn{}, fmt.Errorf("with all homes: %w", err)
	}
	t, err := st.load.turn(ctx, p, order{
		Scripts: []homeScript{{Home: homesOfDead - 1, Silent: true}}, Visits: visits,
	})
	if err != nil {
		return turn{}, err
	}
	t.before = before.outcome
	return t, st.load.script(homeScript{Home: -1})
}

// halfCases are those that no target needs in many rounds, or that take long;
// onceCases those that take longest.
func halfCases() []string { return namesOf(func(s *scenario) bool { return s.half }) }

func onceCases() []string { return namesOf(func(s *scenario) bool { return s.once }) }

func caseNames() []string { return namesOf(func(*scenario) bool { return true }) }

func namesOf(which func(*scenario) bool) (names []string) {
	for _, s := range scenarios {
		if which(s) {
			names = append(names, s.name)
		}
	}
	return names
}

func caseOf(name string) *scenario {
	for _, s := range scenarios {
		if s.name == name {
			return s
		}
	}
	return nil
}
