package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// picture is the state of everything at one time.
type picture struct {
	at   time.Duration
	nets []play.NASCounts
	sum  play.NASCounts
	home []play.HomeCounts
	hub  hubStatus
	err  error // of asking the hub

	cells []node.Counts
	asked node.Counts // all of cells
	cores []coreCounts

	// At the end:
	durable tally
	cleared map[string]uint64 // by client
}

func (d *demo) look(ctx context.Context) picture {
	p := picture{at: time.Since(d.begun)}
	for _, n := range d.nets {
		c := n.Snapshot()
		p.nets = append(p.nets, c)
		p.sum.Add(&c)
	}
	for _, h := range d.homes {
		p.home = append(p.home, h.Snapshot())
	}
	for _, n := range d.cells {
		c := n.Snapshot()
		p.cells = append(p.cells, c)
		p.asked.Add(&c)
	}
	for _, n := range d.cores {
		c := coreCounts{Counts: n.Snapshot(), connected: len(n.Peers()) > 0}
		for _, r := range n.Records() {
			if r.Type == node.StopRecord {
				c.stops++
			}
		}
		p.cores = append(p.cores, c)
	}
	p.hub, p.err = d.hub.status(ctx)
	return p
}

// show draws until over is closed: one refreshed screen on a terminal, a line
// a second elsewhere.
func (d *demo) show(ctx context.Context, over <-chan struct{}) {
	terminal := isTerminal(d.out)
	every := time.Second
	if terminal {
		every = 250 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	before, lines := d.look(ctx), 0
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		now := d.look(ctx)
		if !terminal {
			fmt.Fprintln(d.out, now.line(&before))
			before = now
			continue
		}
		if lines > 0 {
			fmt.Fprintf(d.out, "\x1b[%dA\x1b[J", lines) // up and clear: what scrolled by before stays
		}
		text := d.screen(&now, &before)
		lines = strings.Count(text, "\n")
		fmt.Fprint(d.out, text)
		if now.at-before.at >= time.Second {
			before = now
		}
	}
}

// line is one line a second for logs and pipes.
func (p *picture) line(before *picture) string {
	return fmt.Sprintf("%5.1fs  %6.0f answers/s  accepts %d  rejects %d  challenges %d  Diameter %d  lost %d  records durable %d drained %d",
		p.at.Seconds(), p.rate(before), p.sum.Accepts, p.sum.Rejects, p.sum.Challenges, p.asked.Done(),
		p.sum.Lost.All()+p.asked.Lost, p.hub.Records.Last, p.hub.Records.Delivered)
}

func (p *picture) rate(before *picture) float64 {
	return float64(p.sum.Answered.All()+p.asked.Done()-before.sum.Answered.All()-before.asked.Done()) / max((p.at-before.at).Seconds(), 0.001)
}

// row is a line of the screen's tables, narrow enough for 80 columns.
const row = "  %-14s %9v %8v %8v %8v %8v %8v %6v"

func (d *demo) screen(p, before *picture) string {
	var b strings.Builder
	width := terminalWidth(d.out)
	line := func(format string, args ...any) {
		text := []rune(fmt.Sprintf(format, args...))
		// A line that wraps would be two when the cursor goes back up.
		b.WriteString(string(text[:min(len(text), width-1)]) + "\n")
	}
	line("roamgate demo %.1f s   %.0f answers/s   p50 %s   p99 %s", p.at.Seconds(), p.rate(before),
		p.sum.Latency.Quantile(0.5).Round(100*time.Microsecond), p.sum.Latency.Quantile(0.99).Round(100*time.Microsecond))
	line(row, "VISITED", "devices", "sent", "accept", "reject", "challng", "stops", "lost")
	for i, c := range p.nets {
		line(row, visited[i].name, c.Conversations, c.Sent.All(), c.Accepts, c.Rejects, c.Challenges,
			c.Answered[play.KindStop], c.Lost.All())
	}
	for i := range p.cells {
		c := &p.cells[i]
		line(row, cells[i].name, c.Conversations, c.Sent, c.Success, c.Failed, "", c.Succeeded[node.RecordStop], c.Lost)
	}
	line(row, "HOME", "state", "seen", "accept", "reject", "challng", "stops", "repeat")
	for i, c := range p.home {
		name := d.files.Homes[i].Name
		line(row, name, p.state(name), c.Requests.All(), c.Accepts, c.Rejects, c.Challenges,
			c.Unique[play.KindStop], c.Duplicates.All())
	}
	for i := range p.cores {
		c := &p.cores[i]
		line(row, cores[i].name, map[bool]string{true: "up", false: "down"}[c.connected], c.Requests, c.Answered, "", "", c.stops, c.Requests-c.Unique)
	}
	line("  rejects: by homes %d%s", p.rejectsByHomes(), namedCounts(p.hub.Local))
	line("  records durable %d, drained %d, usage records %d", p.hub.Records.Last, p.hub.Records.Delivered, p.hub.Usage.Records["final"])
	if p.err != nil {
		line("  %v", p.err)
	}
	return b.String()
}

// state is a home's state as the hub sees it, for authentication.
func (p *picture) state(name string) string {
	for _, h := range p.hub.Homes {
		if h.Name == name && strings.HasPrefix(h.Kind, "auth") {
			return h.State
		}
	}
	return "?"
}

func (p *picture) rejectsByHomes() (n uint64) {
	for _, h := range p.home {
		n += h.Rejects
	}
	return n
}

func namedCounts(m map[string]uint64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, ", %s %d", strings.ReplaceAll(name, "_", " "), m[name])
	}
	return b.String()
}

func isTerminal(out any) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}
