// Command bench compares roamgate with radsecproxy, FreeRADIUS, freeDiameter and a
// bare UDP forwarder on the same work, for `make bench`.
//
// It works through cases, each with proxies and a table of its own. One load
// process plays the visited networks and the home servers on one processor,
// the proxies have the other. They take turns within each round, every second
// round in the opposite order (ABBA), so that a machine that gets slower
// hurts all alike; what counts is the ratio within a round. The cost of a
// proxy is the CPU time of all its threads divided by the transactions
// finished. How busy both processors were says what the bound was. The cases
// of overload hold a proxy to a part of its processor by a cpu cgroup, which
// they make and remove; where that cannot be they are left out.
//
// The program starts itself again as load process and as forwarder; it works
// on Linux alone. It asserts nothing: the figures, and whether they meet the
// targets that were set, go to a Markdown file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options is the command line.
type options struct {
	roamgate string
	newer    string // radsecproxy built from newer source, "" for none
	cases    []string
	proxies  []string
	rounds   int
	duration time.Duration
	window   int
	sockets  int
	loadCPU  int
	proxyCPU int
	out      string // "" writes no file
	command  string // that makes the figures again
}

// newerVariable names a radsecproxy that somebody has built.
const newerVariable = "RADSECPROXY_NEW"

const resultsFile = "test/bench/RESULTS.md"

func parseOptions(args []string) (options, error) {
	var o options
	var proxies, cases string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.roamgate, "roamgate", "bin/roamgate", "roamgate to measure")
	f.StringVar(&cases, "case", "all", "cases to run: "+strings.Join(caseNames(), ", "))
	f.StringVar(&proxies, "proxies", strings.Join(kinds, ","), "what takes turns; direct is no proxy at all. "+
		newerVariable+" in the environment names a newer radsecproxy, which then takes turns too")
	f.IntVar(&o.rounds, "rounds", 5, "turns of each proxy in a case; half as many in the cases "+strings.Join(halfCases(), ", ")+
		"; one in the cases "+strings.Join(onceCases(), ", "))
	f.DurationVar(&o.duration, "duration", 2*time.Second, "length of a turn; an overload lasts up to 30 of them")
	f.IntVar(&o.window, "window", 256, "transactions in flight, where a case does not say otherwise")
	f.IntVar(&o.sockets, "sockets", 8, "client sockets, where a case does not say otherwise")
	f.IntVar(&o.loadCPU, "load-cpu", 0, "processor of the visited networks and the homes")
	f.IntVar(&o.proxyCPU, "proxy-cpu", 1, "processor of the proxy")
	f.StringVar(&o.out, "out", "", "Markdown file to write; without one "+resultsFile+" if all cases run, else none")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.newer = os.Getenv(newerVariable)
	o.cases, o.proxies = caseNames(), strings.Split(proxies, ",")
	if cases != "all" {
		o.cases = strings.Split(cases, ",")
	} else if o.out == "" {
		o.out = resultsFile
	}
	o.command = strings.TrimSpace("go run ./test/bench " + strings.Join(args, " "))
	if o.newer != "" {
		o.command = newerVariable + "=" + filepath.Base(o.newer) + " " + o.command
	}
	return o, o.check()
}

func (o *options) check() error {
	for _, c := range o.cases {
		if !slices.Contains(caseNames(), c) {
			return fmt.Errorf("case %q: want one of %s", c, strings.Join(caseNames(), ", "))
		}
	}
	for _, p := range o.proxies {
		if !slices.Contains(kinds, p) {
			return fmt.Errorf("proxy %q: want one of %s", p, strings.Join(kinds, ", "))
		}
	}
	if o.rounds < 1 || o.duration <= 0 || o.window < 1 || o.sockets < 1 {
		return errors.New("rounds, duration, window and sockets have to be above zero")
	}
	return nil
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
			return load(ctx, args[1:], os.Stdin, os.Stdout)
		case "forward":
			return forward(ctx, args[1:])
		}
	}
	o, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	return compare(ctx, o)
}

// compare runs the cases and writes the report.
func compare(ctx context.Context, o options) error {
	runtime.LockOSThread() // children end with the thread that started them
	dir, err := os.MkdirTemp("", "roamgate-bench-")
	if err != nil {
		return fmt.Errorf("making the working directory: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, begun: time.Now(), done: map[string]*result{}, given: map[netip.AddrPort]bool{}}
	if b.pki, err = writePKI(dir); err != nil {
		return err
	}
	for _, name := range o.cases {
		if err := b.run(ctx, caseOf(name)); err != nil {
			return fmt.Errorf("case %s: %w", name, err)
		}
	}
	text := b.report()
	fmt.Print("\n", text)
	if o.out == "" {
		return nil
	}
	if err := os.WriteFile(o.out, []byte(text), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
