package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is the Markdown of all turns.
func report(o options, ps []*proxy) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Side by side\n")
	line("Work: %s; %d client sockets, %d in flight, about 230 octets a request; %d rounds of %s each, in turns.",
		o.work, o.sockets, o.window, o.rounds, o.duration)
	line("The proxy has one processor, the visited network and the home the other. The home verifies every request,")
	line("the visited network every answer. Figures are medians over the rounds, in brackets the lowest and highest.")
	line("Compare ratios, which are taken within a round; a shared machine makes the rest drift. Busy is the share of")
	line("its processor that the proxy took: well below 100 %% the load or other work on the machine was the bound.\n")
	line("| proxy | CPU µs/transaction | against radsecproxy | transactions/s | busy | p50 ms | p99 ms | p99.9 ms | repeated | lost | peak MiB |")
	line("|---|---|---|---|---|---|---|---|---|---|---|")
	base := find(ps, "radsecproxy")
	for _, p := range ps {
		line("| %s | %s | %s | %.0f | %.0f %% | %.2f | %.2f | %.2f | %s | %s | %.0f |", p.name,
			spread(p.each((*turn).perTransaction), 1), ratio(p, base), median(p.each((*turn).perSecond)),
			100*median(p.each((*turn).busy)),
			median(p.each(milli(func(t *turn) time.Duration { return t.P50 }))),
			median(p.each(milli(func(t *turn) time.Duration { return t.P99 }))),
			median(p.each(milli(func(t *turn) time.Duration { return t.P999 }))),
			percent(p, func(t *turn) uint64 { return t.Repeated }), percent(p, func(t *turn) uint64 { return t.Lost }),
			slices.Max(p.each(func(t *turn) float64 { return float64(t.rss) / (1 << 20) })))
	}
	line("\nradsecproxy 1.9 has 256 identifiers for a server block: at this depth some requests find none and come")
	line("back with the client's repetition after 1 s, which is its tail latency.\n")
	line("Command: `%s`\n", o.command)
	line("| what | version |\n|---|---|")
	for _, p := range ps {
		line("| %s | %s |", p.name, p.version)
	}
	line("| Go | %s %s/%s |", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	line("| kernel | %s |", firstLine("uname", "-sr"))
	line("| processor | %s, %d in all |", processor(), runtime.NumCPU())
	line("| load average at the end | %s |", loadAverage())
	line("| date | %s |", time.Now().UTC().Format(time.DateOnly))
	return b.String()
}

func find(ps []*proxy, name string) *proxy {
	for _, p := range ps {
		if p.name == name {
			return p
		}
	}
	return nil
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

// ratio divides round by round: only neighbours in time compare.
func ratio(p, base *proxy) string {
	if base == nil {
		return "-"
	}
	mine, theirs := p.each((*turn).perTransaction), base.each((*turn).perTransaction)
	for i := range mine {
		mine[i] /= theirs[i]
	}
	return spread(mine, 2)
}

func percent(p *proxy, f func(*turn) uint64) string {
	var n, sent uint64
	for i := range p.turns {
		n += f(&p.turns[i])
		sent += p.turns[i].Sent
	}
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%.2f %%)", n, 100*float64(n)/float64(sent))
}

// firstLine is what a program prints first, "unknown" where it does not.
func firstLine(name string, args ...string) string {
	out, _ := exec.Command(name, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if line == "" {
		return "unknown"
	}
	return line
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}
