package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// drainLimit is how long the queue may take after the last acknowledgement.
const drainLimit = 20 * time.Second

// summary waits until the hub has drained its records, prints what happened
// and reports whether it adds up.
func (d *demo) summary(ctx context.Context) (bool, error) {
	p, err := d.settle(ctx)
	if err != nil {
		return false, err
	}
	return p.judge(d.out), nil
}

// judge prints what happened and reports whether it adds up.
func (p *picture) judge(out io.Writer) bool {
	b := balance{out: out, ok: true}
	fmt.Fprintf(out, "\nSummary of %.1f s\n", p.at.Seconds())
	for i := range p.nets {
		b.network(visited[i].name, &p.nets[i])
	}
	b.diameter(p)
	b.rejects(p)
	b.stops(p)
	p.latency(out, "RADIUS", &p.sum.Latency, p.sum.Retransmitted.All())
	p.latency(out, "Diameter", &p.asked.Latency, p.asked.Repeated)
	b.equal("requests lost", count{"found", p.sum.Lost.All() + p.asked.Lost}, count{"allowed", 0})
	b.equal("answers and requests with a flaw", count{"found", p.flaws()}, count{"allowed", 0})
	fmt.Fprintf(out, "adds up: %s\n", map[bool]string{true: "yes", false: "NO"}[b.ok])
	return b.ok
}

func (p *picture) latency(out io.Writer, of string, h *play.Histogram, repeated uint64) {
	const to = 10 * time.Microsecond
	fmt.Fprintf(out, "  latency of %s: p50 %s, p99 %s, max %s; repeated %d\n", of,
		h.Quantile(0.5).Round(to), h.Quantile(0.99).Round(to), h.Max().Round(to), repeated)
}

// flaws are what somebody did not believe.
func (p *picture) flaws() uint64 {
	n := p.sum.Flaws.All() + p.asked.Flaws
	for i := range p.cores {
		n += p.cores[i].Malformed + p.cores[i].Strangers
	}
	return n
}

// stopsTaken are the acknowledged stops of both protocols.
func (p *picture) stopsTaken() uint64 {
	return p.sum.Answered[play.KindStop] + p.asked.Succeeded[node.RecordStop]
}

// settle gives the state at the end, with what stands in the spool and in
// clearing.
func (d *demo) settle(ctx context.Context) (p picture, err error) {
	if p, err = d.drain(ctx); err != nil {
		return p, err
	}
	if p.durable, err = d.hub.records(ctx); err != nil {
		return p, err
	}
	p.cleared, err = d.hub.cleared(ctx)
	return p, err
}

// drain waits until everything durable is drained and has reached its home:
// records acknowledged as durable are forwarded later.
func (d *demo) drain(ctx context.Context) (picture, error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		p := d.look(ctx)
		drained := p.err == nil && p.hub.Records.Delivered >= p.hub.Records.Last
		if drained && p.stopsAtHomes() >= p.stopsTaken() {
			return p, nil
		}
		select {
		case <-tick.C:
		case <-d.hub.context().Done():
			return p, context.Cause(d.hub.context())
		case <-ctx.Done():
			return d.look(context.WithoutCancel(ctx)), nil // shown as it is
		}
	}
}

// stopsAtHomes counts the stops that the homes have seen, each session once.
func (p *picture) stopsAtHomes() (n uint64) {
	seen := map[string]uint64{}
	for i := range p.home {
		maps.Copy(seen, p.home[i].Events)
	}
	for event := range seen {
		if strings.HasPrefix(event, play.KindStop.String()+" ") {
			n++
		}
	}
	for i := range p.cores {
		n += p.cores[i].stops
	}
	return n
}

// count is a named number of a balance.
type count struct {
	name string
	n    uint64
}

// balance prints equations and remembers whether all of them hold.
type balance struct {
	out io.Writer
	ok  bool
}

func (b *balance) mark(holds bool) string {
	b.ok = b.ok && holds
	if holds {
		return "✓"
	}
	return "✗"
}

// sum prints total = a + b + c.
func (b *balance) sum(what string, total count, parts ...count) {
	var sum uint64
	var names []string
	for _, p := range parts {
		sum += p.n
		names = append(names, fmt.Sprintf("%s %d", p.name, p.n))
	}
	fmt.Fprintf(b.out, "  %s %s: %s %d = %s\n", b.mark(sum == total.n), what, total.name, total.n, strings.Join(names, " + "))
}

// equal prints a = b = c.
func (b *balance) equal(what string, all ...count) {
	holds := true
	var names []string
	for _, c := range all {
		holds = holds && c.n == all[0].n
		names = append(names, fmt.Sprintf("%s %d", c.name, c.n))
	}
	fmt.Fprintf(b.out, "  %s %s: %s\n", b.mark(holds), what, strings.Join(names, " = "))
}

func (b *balance) network(name string, c *play.NASCounts) {
	b.sum(name+" authentication", count{"sent", c.Sent[play.KindAuth]},
		count{"accepts", c.Accepts}, count{"rejects", c.Rejects}, count{"challenges", c.Challenges},
		count{"lost", c.Lost[play.KindAuth]})
	b.sum(name+" accounting", count{"sent", c.Sent.Accounting()},
		count{"acknowledged", c.Answered.Accounting()}, count{"lost", c.Lost.Accounting()})
}

func (b *balance) rejects(p *picture) {
	parts := []count{{"by homes", p.rejectsByHomes()}}
	for _, reason := range slices.Sorted(maps.Keys(p.hub.Local)) {
		parts = append(parts, count{"hub: " + strings.ReplaceAll(reason, "_", " "), p.hub.Local[reason]})
	}
	// Those of S6a that the hub refuses stand in a line of their own.
	b.sum("rejects", count{"all", p.sum.Rejects + p.asked.Failed - p.asked.Results[unknownToEPS]}, parts...)
}

func (b *balance) stops(p *picture) {
	drained, stops := uint64(0), p.durable.of("", "stop")
	if p.hub.Records.Delivered >= p.hub.Records.Last {
		drained = stops // the queue has taken every record up to the last
	}
	b.equal("stops", count{"sent", p.sum.Sent[play.KindStop] + p.asked.Asked[node.RecordStop]}, count{"acknowledged", p.stopsTaken()},
		count{"durable", stops}, count{"drained", drained}, count{"at their homes", p.stopsAtHomes()})
	b.equal("usage records", count{"stops", stops}, count{"final", p.hub.Usage.Records["final"]})
	classes := []count{}
	for _, class := range slices.Sorted(maps.Keys(p.hub.Usage.Classes)) {
		classes = append(classes, count{class, p.hub.Usage.Classes[class]})
	}
	b.sum("reports", count{"taken", p.hub.Usage.Reports}, classes...)
}
