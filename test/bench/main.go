// Command bench compares roamgate with radsecproxy, a bare UDP forwarder and
// on request FreeRADIUS on the same work, for `make bench`.
//
// One load process plays the visited network and the home server on one
// processor, the proxies have the other. They take turns within each round,
// every second round in the opposite order (ABBA), so that a machine that
// gets slower hurts all alike; what counts is the ratio within a round. The
// cost of a proxy is the CPU time of all its threads divided by the
// transactions finished.
//
// The program starts itself again as load process and as forwarder; it works
// on Linux alone. It judges nothing: the figures go to a Markdown file.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// options is the command line.
type options struct {
	roamgate string
	proxies  []string
	rounds   int
	duration time.Duration
	window   int
	sockets  int
	work     string
	loadCPU  int
	proxyCPU int
	out      string
	command  string // that makes the figures again
}

func parseOptions(args []string) (options, error) {
	var o options
	var proxies string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.roamgate, "roamgate", "bin/roamgate", "roamgate to measure")
	f.StringVar(&proxies, "proxies", "roamgate,radsecproxy,forwarder", "what takes turns; freeradius is known too")
	f.IntVar(&o.rounds, "rounds", 6, "turns of each proxy")
	f.DurationVar(&o.duration, "duration", 3*time.Second, "length of a turn")
	f.IntVar(&o.window, "window", 256, "transactions in flight")
	f.IntVar(&o.sockets, "sockets", 8, "client sockets")
	f.StringVar(&o.work, "work", "pap", "pap, eap (three rounds) or accounting (start, interim, stop)")
	f.IntVar(&o.loadCPU, "load-cpu", 0, "processor of the visited network and the home")
	f.IntVar(&o.proxyCPU, "proxy-cpu", 1, "processor of the proxy")
	f.StringVar(&o.out, "out", "test/bench/RESULTS.md", "Markdown file to write")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.proxies = strings.Split(proxies, ",")
	o.command = strings.TrimSpace("go run ./test/bench " + strings.Join(args, " "))
	return o, nil
}

func main() {
	// A reader that goes away ends us in order too: nothing may stay behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	err := dispatch(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "load":
			return load(ctx, os.Stdin, os.Stdout)
		case "forward":
			return forward(ctx, args[1:])
		}
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	return compare(ctx, o)
}

// compare runs all turns and writes the report.
func compare(ctx context.Context, o options) error {
	runtime.LockOSThread() // children end with the thread that started them
	dir, err := os.MkdirTemp("", "roamgate-bench-")
	if err != nil {
		return fmt.Errorf("making the working directory: %w", err)
	}
	defer os.RemoveAll(dir)
	l, err := startLoad(o)
	if err != nil {
		return err
	}
	defer l.stop()
	var ps []*proxy
	defer func() {
		for _, p := range ps {
			p.stop()
		}
	}()
	for _, name := range o.proxies {
		p, err := startProxy(ctx, o, l, name, dir)
		if err != nil {
			return err
		}
		ps = append(ps, p)
		if _, err := l.turn(o, p, time.Second); err != nil { // warm
			return fmt.Errorf("warming up %s: %w", name, err)
		}
	}
	for round := range o.rounds {
		for i := range ps {
			p := ps[i]
			if round%2 == 1 {
				p = ps[len(ps)-1-i]
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			t, err := l.turn(o, p, o.duration)
			if err != nil {
				return fmt.Errorf("measuring %s: %w", p.name, err)
			}
			p.turns = append(p.turns, t)
			fmt.Printf("round %d %-12s %s\n", round+1, p.name, t)
		}
	}
	text := report(o, ps)
	fmt.Print("\n", text)
	if err := os.WriteFile(o.out, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
