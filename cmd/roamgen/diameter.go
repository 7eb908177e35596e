package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/roamgate/roamgate/cmd/roamgen/node"
)

func newDiameterCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "diameter",
		Short: "Plays Diameter nodes around an agent",
		Long: `Plays Diameter nodes around an agent.

A node that asks is an MME, a NAS or a client of charging, by its --role; one
that answers is an HSS, a home AAA server and a charging server in one. Each
can connect and be connected to.`,
		Example: `  roamgen diameter answer --listen 127.0.0.1:3868
  roamgen diameter ask --connect 127.0.0.1:3868 --role mme --duration 5s`,
	}
	c.AddCommand(newAskCommand(), newAnswerCommand())
	return c
}

// nodeFlags say who a node is.
type nodeFlags struct {
	config  node.Config
	listen  string
	connect []string
	json    bool
	cpu     int
	over    streamFlags
}

func (f *nodeFlags) add(l *pflag.FlagSet, identity, realm string) {
	n := &f.config
	l.StringVar(&n.Identity, "identity", identity, "its Origin-Host")
	l.StringVar(&n.Realm, "origin-realm", realm, "its Origin-Realm")
	l.StringVar(&f.listen, "listen", "", "where it accepts connections")
	l.StringArrayVar(&f.connect, "connect", nil, "where it connects to; repeatable")
	l.IntVar(&n.Connections, "connections", 1, "connections with each of those")
	l.BoolVar(&f.json, "json", false, "print the counts as JSON")
	l.IntVar(&f.cpu, "cpu", -1, "processor to stay on, -1 for any")
	l.StringVar(&f.over.transport, "transport", "tcp", "tcp or tls")
	l.StringVar(&f.over.cert, "cert", "", "certificate chain (PEM) shown over TLS")
	l.StringVar(&f.over.key, "key", "", "its key (PEM)")
	l.StringVar(&f.over.ca, "ca", "", "authorities (PEM) that the peer's certificate must come from")
	l.StringVar(&f.over.peer, "server-name", "", "name that the peer's certificate must have where it connects")
}

func (f *nodeFlags) start(ctx context.Context) (*node.Node, error) {
	var err error
	if f.config.Listen, err = parseAddress("--listen", f.listen); err != nil {
		return nil, err
	}
	for _, s := range f.connect {
		at, err := netip.ParseAddrPort(s)
		if err != nil {
			return nil, fmt.Errorf("parsing --connect: %w", err)
		}
		f.config.Connect = append(f.config.Connect, at)
	}
	switch f.over.transport {
	case "tcp":
	case "tls":
		if f.config.TLS, err = f.over.config(); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("--transport %q: want tcp or tls", f.over.transport)
	}
	if err := pin(f.cpu); err != nil {
		return nil, err
	}
	return node.Start(ctx, f.config)
}

// askFlags is the command line of `roamgen diameter ask`.
type askFlags struct {
	nodeFlags
	work        node.Work
	role, steps string
}

func newAskCommand() *cobra.Command {
	var f askFlags
	c := &cobra.Command{
		Use:   "ask",
		Short: "Sends requests as an MME, a NAS or a client of charging",
		Long: `Sends requests as an MME, a NAS or a client of charging.

A conversation is a number of requests of one session, each begun when the one
before it is answered: those of the --role, or the --steps. Without --rate the
loop is closed: --window conversations are under way. It ends after --total
conversations or --duration, when all is answered or lost, and exits 1 if its
own figures do not add up.`,
		Example: `  roamgen diameter ask --connect 127.0.0.1:3868 --role mme --duration 5s
  roamgen diameter ask --connect 127.0.0.1:3868 --steps ulr --rate 5000 --realm epc.mnc001.mcc001.3gppnetwork.org
  roamgen diameter ask --connect 127.0.0.1:3868 --role nas --octets 8589934592 --total 1000 --json
  roamgen diameter ask --transport tls --connect 127.0.0.1:5868 --cert mme.pem --key mme.key --ca ca.pem --server-name hub.example`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout()) },
	}
	l, w := c.Flags(), &f.work
	f.add(l, "mme.visited.example", "visited.example")
	l.StringVar(&f.role, "role", "mme", "what it is: "+strings.Join(node.RoleNames(), ", "))
	l.StringVar(&f.steps, "steps", "", "requests of a conversation instead: "+strings.Join(node.StepNames(), ","))
	l.StringVar(&w.Realm, "realm", "home.example", "Destination-Realm")
	l.StringVar(&w.Host, "host", "", "Destination-Host, empty for none")
	l.StringVar(&w.Prefix, "prefix", "00101", "begins the IMSIs")
	l.StringVar(&w.Password, "password", "correct-horse-1", "password of every device, of AAR")
	l.Uint64Var(&w.Octets, "octets", 0, "added to all volumes of accounting")
	l.BoolVar(&w.Coupled, "coupled", false, "accounting by the application of NASREQ (RFC 7155)")
	l.IntVar(&w.Window, "window", 256, "conversations under way of the closed loop")
	l.Float64Var(&w.Rate, "rate", 0, "conversations that begin each second (open loop)")
	l.Uint64Var(&w.Total, "total", 0, "conversations to begin in all, 0 for no limit")
	l.DurationVar(&w.Duration, "duration", 5*time.Second, "how long conversations begin, 0 for no limit")
	l.DurationVar(&w.Timeout, "timeout", 5*time.Second, "until a request is repeated or lost")
	l.IntVar(&w.Retries, "retries", 0, "repetitions with the T bit before a request is lost")
	l.Uint64Var(&w.Devices, "devices", 10000, "identities, taken in turns")
	l.Uint64Var(&w.First, "first", 0, "number of the first identity")
	return c
}

func (f *askFlags) run(ctx context.Context, out io.Writer) error {
	steps, known := node.Roles[f.role]
	if !known {
		return fmt.Errorf("--role %q: want one of %s", f.role, strings.Join(node.RoleNames(), ", "))
	}
	f.work.Steps = steps
	if f.steps != "" {
		var err error
		if f.work.Steps, err = node.ParseSteps(f.steps); err != nil {
			return fmt.Errorf("parsing --steps: %w", err)
		}
	}
	f.config.Applications = node.Applications(f.work.Steps)
	n, err := f.start(ctx)
	if err != nil {
		return err
	}
	begun, cpu := time.Now(), cpuTime()
	err = n.Play(ctx, f.work)
	took, spent := time.Since(begun), cpuTime()-cpu
	if closed := n.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	s := newAskSummary(n.Snapshot(), took, spent)
	if f.json {
		err = json.NewEncoder(out).Encode(s)
	} else {
		s.print(out)
	}
	if err == nil && !s.AddsUp {
		err = errDoesNotAddUp
	}
	return err
}

// askSummary is what `roamgen diameter ask --json` prints.
type askSummary struct {
	node.Counts
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"answers_per_second"`
	CPUPerTx  float64 `json:"generator_cpu_us_per_answer"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	P999      float64 `json:"p999_ms"`
	AddsUp    bool    `json:"adds_up"`
}

func newAskSummary(c node.Counts, took, cpu time.Duration) askSummary {
	ms := func(q float64) float64 { return float64(c.Latency.Quantile(q)) / 1e6 }
	return askSummary{
		Counts: c, Seconds: took.Seconds(), PerSecond: float64(c.Done()) / took.Seconds(),
		CPUPerTx: float64(cpu) / 1e3 / float64(max(c.Done(), 1)),
		P50:      ms(0.5), P99: ms(0.99), P999: ms(0.999), AddsUp: c.AddsUp(),
	}
}

func (s *askSummary) print(out io.Writer) {
	fmt.Fprintf(out, "sent %d = success %d + failed %d + lost %d (repeated %d, answers not believed %d)\n",
		s.Sent, s.Success, s.Failed, s.Lost, s.Repeated, s.Flaws)
	for _, result := range slices.Sorted(maps.Keys(s.Results)) {
		fmt.Fprintf(out, "  failed %d: result %d\n", s.Results[result], result)
	}
	fmt.Fprintf(out, "%.0f answers/s in %.1f s, %.2f µs of generator CPU each\n", s.PerSecond, s.Seconds, s.CPUPerTx)
	fmt.Fprintf(out, "latency p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms\n", s.P50, s.P99, s.P999)
}

// answerFlags is the command line of `roamgen diameter answer`.
type answerFlags struct{ nodeFlags }

func newAnswerCommand() *cobra.Command {
	var f answerFlags
	c := &cobra.Command{
		Use:   "answer",
		Short: "Answers as an HSS, a home AAA or a charging server",
		Long: `Answers as an HSS, a home AAA or a charging server until interrupted.

All requests succeed at once unless told otherwise. An EAP request gets as many
rounds as --rounds says and then a key that roamgen diameter ask knows.`,
		Example: `  roamgen diameter answer --listen 127.0.0.1:3868
  roamgen diameter answer --connect 127.0.0.1:3868 --identity hss.home.example --origin-realm home.example
  roamgen diameter answer --listen 127.0.0.1:3868 --result 5004 --vendor 10415`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout()) },
	}
	l, s := c.Flags(), &f.config.Script
	f.add(l, "hss.home.example", "home.example")
	l.DurationVar(&s.Delay, "delay", 0, "thinking time")
	l.BoolVar(&s.Silent, "silent", false, "answer nothing but the base protocol")
	l.BoolVar(&f.config.Quiet, "quiet", false, "answer no watchdog")
	l.Uint32Var(&s.Result, "result", 0, "what all requests get, 0 for success")
	l.Uint32Var(&s.Vendor, "vendor", 0, "whose Experimental-Result that is, 0 for a Result-Code")
	l.IntVar(&s.Rounds, "rounds", 0, "rounds of EAP before the decision")
	return c
}

func (f *answerFlags) run(ctx context.Context, out io.Writer) error {
	if f.listen == "" && len(f.connect) == 0 {
		return fmt.Errorf("there is neither --listen nor --connect")
	}
	n, err := f.start(ctx)
	if err != nil {
		return err
	}
	if !f.json {
		fmt.Fprintf(out, "%s answers\n", f.config.Identity)
	}
	<-ctx.Done()
	if err := n.Close(); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	c := n.Snapshot()
	if f.json {
		return json.NewEncoder(out).Encode(c)
	}
	fmt.Fprintf(out, "requests %d (with the T bit %d), answered %d, strangers %d, malformed %d\n",
		c.Requests, c.Flagged, c.Answered, c.Strangers, c.Malformed)
	return nil
}
