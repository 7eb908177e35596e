package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// page is Markdown in the making.
type page struct{ strings.Builder }

func (w *page) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

func (w *page) row(cells ...string) { w.line("| %s |", strings.Join(cells, " | ")) }

// head is the first two lines of a table.
func (w *page) head(cells ...string) {
	w.row(cells...)
	w.line("|%s", strings.Repeat("---|", len(cells)))
}

// report is the Markdown of all cases.
func (b *bench) report() string {
	var w page
	w.line("# Side by side\n")
	w.line("The same load generator, the same home servers, and the proxies in turns: %d rounds of %s each, every second",
		b.rounds, b.duration)
	w.line("round in the opposite order; %d rounds in the cases %s, one in the cases %s.",
		half(b.rounds), strings.Join(halfCases(), ", "), strings.Join(onceCases(), ", "))
	w.line("The proxy has one processor,")
	w.line("the visited networks and the homes the other. Where no rate is given, %d requests of about 230 octets are kept", b.window)
	w.line("in flight from %d client sockets (closed loop). The homes verify every request, the visited networks every answer.", b.sockets)
	w.line("The load leaves in runs of datagrams (UDP_SEGMENT) and reaches the proxies as ordinary ones.\n")
	w.line("Figures are medians over the rounds, in brackets the lowest and highest. Compare ratios, which are taken within")
	w.line("a round; a shared machine makes the rest drift. CPU is the time of all threads of the proxy, divided by the")
	w.line("transactions finished. Busy is the share of its processor that the proxy took, and that the load took of the")
	w.line("other, while requests were begun: below 90 %% for both, other work on the machine or lost identifiers were the bound.\n")
	w.line("## Targets\n")
	b.targets(&w)
	for _, s := range scenarios {
		r := b.done[s.name]
		if r == nil {
			continue
		}
		w.line("\n## %s\n", s.title)
		for _, l := range s.about {
			w.line("%s", l)
		}
		w.line("")
		if r.leftOut != nil {
			w.line("Left out: %s.", r.leftOut)
			continue
		}
		s.table(&w, r)
		w.line("\n%s", r.quiet())
		if len(r.missing) > 0 {
			w.line("\nNot installed here: %s.", strings.Join(r.missing, "; "))
		}
	}
	w.line("\n## How\n")
	b.facts(&w)
	return w.String()
}

// quiet says how much of the two processors was somebody else's.
func (r *result) quiet() string {
	var shares []float64
	for _, p := range r.proxies {
		shares = append(shares, p.each((*turn).strangers)...)
	}
	if len(shares) == 0 {
		return "There were no turns."
	}
	return fmt.Sprintf("Other work took %s of both processors (median over the turns; at most %s).",
		percentage(median(shares)), percentage(slices.Max(shares)))
}

func (p *proxy) each(f func(*turn) float64) []float64 {
	out := make([]float64, len(p.turns))
	for i := range p.turns {
		out[i] = f(&p.turns[i])
	}
	return out
}

func milli(f func(*turn) time.Duration) func(*turn) float64 {
	return func(t *turn) float64 { return float64(f(t)) / 1e6 }
}

var (
	p50  = milli(func(t *turn) time.Duration { return t.P50 })
	p99  = milli(func(t *turn) time.Duration { return t.P99 })
	p999 = milli(func(t *turn) time.Duration { return t.P999 })
)

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	if n == 0 {
		return 0
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}

func spread(v []float64, digits int) string {
	if len(v) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f (%.*f-%.*f)", digits, median(v), digits, slices.Min(v), digits, slices.Max(v))
}

// within compares two contenders round by round: only neighbours in time
// compare. It is nil where one of them took no turns.
func within(p, base *proxy, f func(*turn) float64, join func(mine, theirs float64) float64) []float64 {
	if p == nil || base == nil {
		return nil
	}
	mine, theirs := p.each(f), base.each(f)
	out := make([]float64, min(len(mine), len(theirs)))
	for i := range out {
		out[i] = join(mine[i], theirs[i])
	}
	return out
}

func divide(a, b float64) float64 { return a / b }

func subtract(a, b float64) float64 { return a - b }

// ratios are those of the CPU time per transaction.
func ratios(p, base *proxy) []float64 {
	if p == nil || base == nil || p.kind == direct || base.kind == direct {
		return nil
	}
	return within(p, base, (*turn).perTransaction, divide)
}

// sum adds over all turns.
func (p *proxy) sum(f func(*turn) uint64) (n uint64) {
	for i := range p.turns {
		n += f(&p.turns[i])
	}
	return n
}

func percent(p *proxy, f func(*turn) uint64) string {
	n := p.sum(f)
	if n == 0 {
		return "0"
	}
	sent := p.sum(func(t *turn) uint64 { return t.Sent })
	return fmt.Sprintf("%d (%.2f %%)", n, 100*float64(n)/float64(sent))
}

func lost(t *turn) uint64 { return t.Lost }

func repeated(t *turn) uint64 { return t.Repeated }

// mebibytes is the highest peak.
func (p *proxy) mebibytes() string {
	if p.kind == direct {
		return "-"
	}
	return fmt.Sprintf("%.0f", slices.Max(p.each(func(t *turn) float64 { return float64(t.rss) / (1 << 20) })))
}
