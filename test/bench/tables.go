package main

import (
	"fmt"
	"strings"
	"time"
)

// saturatedTable is that of the closed loops.
func saturatedTable(w *page, r *result) {
	w.head("proxy", "CPU µs/transaction", "to radsecproxy", "to FreeRADIUS", "to forwarder", "transactions/s", "busy", "load busy",
		"p50 ms", "p99 ms", "p99.9 ms", "repeated", "lost", "peak MiB")
	for _, p := range r.proxies {
		cpu, busy := spread(p.each((*turn).perTransaction), 1), percentage(median(p.each((*turn).busy)))
		if p.kind == direct {
			cpu, busy = "-", "-"
		}
		w.row(p.name, cpu,
			spread(ratios(p, r.find(radsecproxy)), 2), spread(ratios(p, r.find(freeradius)), 2), spread(ratios(p, r.find(forwarder)), 2),
			fmt.Sprintf("%.0f", median(p.each((*turn).perSecond))), busy, percentage(median(p.each((*turn).busyLoad))),
			decimal(median(p.each(p50))), decimal(median(p.each(p99))), decimal(median(p.each(p999))),
			percent(p, repeated), percent(p, lost), p.mebibytes())
	}
	w.line("\n%s", boundOf(r))
}

func percentage(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

func decimal(v float64) string { return fmt.Sprintf("%.2f", v) }

// full is the share of its processor from which on a side counts as the bound.
const full = 0.9

// boundOf says whose throughput the load has limited, and what it can do.
func boundOf(r *result) string {
	var byLoad, byNobody []string
	for _, p := range r.proxies {
		mine, load := median(p.each((*turn).busy)), median(p.each((*turn).busyLoad))
		switch {
		case p.kind == direct || mine >= full:
		case load >= full:
			byLoad = append(byLoad, p.name)
		default:
			byNobody = append(byNobody, p.name)
		}
	}
	var b strings.Builder
	if d := r.find(direct); d != nil {
		fmt.Fprintf(&b, "The load alone does %.0f transactions/s. ", median(d.each((*turn).perSecond)))
	}
	switch {
	case len(byLoad) > 0:
		fmt.Fprintf(&b, "The load was the bound for %s: more throughput was there.", strings.Join(byLoad, "; "))
	default:
		b.WriteString("The load was the bound for none of the proxies.")
	}
	if len(byNobody) > 0 {
		fmt.Fprintf(&b, " Neither side was busy all the time with %s.", strings.Join(byNobody, "; "))
	}
	return b.String()
}

func latencyTable(w *page, r *result) {
	home := r.find(direct)
	w.head("proxy", "offered/s", "p50 ms", "p99 ms", "p99.9 ms", "added p50 ms", "added p99 ms", "added p99.9 ms",
		"CPU µs/transaction", "repeated", "lost")
	for _, p := range r.proxies {
		added := func(f func(*turn) float64) string {
			if p.kind == direct {
				return "-"
			}
			return spread(within(p, home, f, subtract), 2)
		}
		cpu := spread(p.each((*turn).perTransaction), 1)
		if p.kind == direct {
			cpu = "-"
		}
		w.row(p.name, fmt.Sprintf("%.0f", p.rate), decimal(median(p.each(p50))), decimal(median(p.each(p99))), decimal(median(p.each(p999))),
			added(p50), added(p99), added(p999), cpu, percent(p, repeated), percent(p, lost))
	}
}

// octets is the growth of the process for a request in flight.
func octets(t *turn) float64 { return float64(t.grown) / float64(t.MostOpen) }

// finishedPerSecond counts what an open loop got answered, over the time in
// which it began requests.
func finishedPerSecond(t *turn) float64 { return float64(t.Finished) / t.during.Seconds() }

// promptPerSecond counts the answers of a slow home while requests were
// begun.
func promptPerSecond(t *turn) float64 { return float64(t.InTime) / (t.during - slowDelay).Seconds() }

func skipped(t *turn) uint64 { return t.Skipped }

func slowTable(w *page, r *result) {
	w.head("proxy", "offered/s", "finished/s", "at once/s", "lost", "repeated", "not begun for want of client identifiers", "p50 ms", "p99 ms",
		"CPU µs/transaction", "growth MiB", "octets a request in flight")
	for _, p := range r.proxies {
		each := spread(p.each(octets), 0)
		if p.sum(lost) > 0 {
			each = "-" // the proxy did not hold what was in flight
		}
		w.row(p.name, fmt.Sprintf("%.0f", p.rate), spread(p.each(finishedPerSecond), 0),
			spread(p.each(promptPerSecond), 0), percent(p, lost), percent(p, repeated),
			fmt.Sprint(p.sum(skipped)), decimal(median(p.each(p50))), decimal(median(p.each(p99))),
			spread(p.each((*turn).perTransaction), 1),
			spread(p.each(func(t *turn) float64 { return float64(t.grown) / (1 << 20) }), 1), each)
	}
}

// worse is how the 99th percentile of the living changed with the death.
func worse(t *turn) float64 { return float64(t.P99) / float64(t.before.P99) }

func deadTable(w *page, r *result) {
	w.head("proxy", "offered/s to all", "p50 ms before", "while dead", "p99 ms before", "while dead", "p99 ratio",
		"lost before", "while dead", "of the dead realm refused by the proxy", "lost")
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
}
