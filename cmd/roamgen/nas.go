package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// nasFlags is the command line of `roamgen nas`.
type nasFlags struct {
	config                 play.NASConfig
	auth, acct, secret     string
	mix, accounting, ident string
	realms                 []string
	cpu                    int
	json                   bool
	over                   streamFlags
}

func newNASCommand() *cobra.Command {
	var f nasFlags
	c := &cobra.Command{
		Use:   "nas",
		Short: "Sends as a visited network and reports what became of it",
		Long: `Sends as a visited network and reports what became of it.

Without --rate the loop is closed: --window transactions are in flight and the
next begins when one ends. With --rate that many devices begin each second,
whatever is answered. It ends after --total devices or --duration, when every
request is answered or lost, and exits 1 if its own figures do not add up.`,
		Example: `  roamgen nas --auth 127.0.0.1:1812 --secret testing123 --duration 5s
  roamgen nas --rate 2000 --mix pap=2,eap=1 --realm iot.example=3 --realm home.example --devices 100000
  roamgen nas --acct 127.0.0.1:1813 --accounting after --interims 2 --total 10000 --json
  roamgen nas --transport tls --versions 1.1 --auth 127.0.0.1:2083 --cert nas.pem --key nas.key --ca ca.pem --server-name hub.example`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout()) },
	}
	l, n := c.Flags(), &f.config
	l.StringVar(&n.Name, "name", "nas-1", "NAS-Identifier")
	l.StringVar(&f.auth, "auth", "127.0.0.1:1812", "where Access-Requests go")
	l.StringVar(&f.acct, "acct", "", "where Accounting-Requests go")
	l.StringVar(&f.secret, "secret", "testing123", "shared secret; a test value, it shows in the process list")
	l.IntVar(&n.Window, "window", 256, "transactions in flight of the closed loop")
	l.Float64Var(&n.Rate, "rate", 0, "devices that begin each second (open loop)")
	l.Uint64Var(&n.Total, "total", 0, "devices to begin in all, 0 for no limit")
	l.DurationVar(&n.Duration, "duration", 5*time.Second, "how long devices begin, 0 for no limit")
	l.Uint64Var(&n.Devices, "devices", 10000, "identities, taken in turns")
	l.Uint64Var(&n.First, "first", 0, "number of the first identity")
	l.StringArrayVar(&f.realms, "realm", []string{"home.example"}, "realm and its weight, as iot.example=3; repeatable")
	l.StringVar(&f.ident, "identity", "user", "user part of the NAI: user, imsi or mac")
	l.StringVar(&f.mix, "mix", "pap=1", "methods by weight: pap, chap, eap, status")
	l.StringVar(&n.Password, "password", "correct-horse-1", "password of every device")
	l.Float64Var(&n.WrongPassword, "wrong-password", 0, "share of devices with another one")
	l.StringVar(&f.accounting, "accounting", "none", "none, after (an Access-Accept), only or stop")
	l.IntVar(&n.Interims, "interims", 1, "Interim-Updates per session")
	l.DurationVar(&n.Dwell, "dwell", 0, "time between the messages of a session")
	l.DurationVar(&n.Timeout, "timeout", time.Second, "until the same bytes are sent again")
	l.IntVar(&n.Retries, "retries", 3, "repetitions before a request is lost")
	l.StringVar(&n.Operator, "operator", "1visited.example", "Operator-Name with its namespace digit, empty for none")
	l.BoolVar(&n.ProxyState, "proxy-state", false, "send a Proxy-State and want it back")
	l.BoolVar(&n.Unsigned, "unsigned", false, "send no Message-Authenticator")
	l.BoolVar(&n.AllowUnsigned, "allow-unsigned", false, "take answers without Message-Authenticator")
	l.BoolVar(&n.WantKeys, "want-keys", false, "check the MS-MPPE keys that roamgen home --keys sends")
	l.IntVar(&n.Sockets, "sockets", 8, "client sockets or connections per port, 256 identifiers each")
	l.IntVar(&n.Workers, "workers", 1, "event loops")
	l.IntVar(&f.cpu, "cpu", -1, "processor to stay on, -1 for any")
	l.BoolVar(&f.json, "json", false, "print the summary as JSON")
	f.over.add(l)
	l.StringVar(&f.over.peer, "server-name", "", "name that the peer's certificate must have, also sent as SNI")
	return c
}

func (f *nasFlags) run(ctx context.Context, out io.Writer) error {
	if err := f.complete(); err != nil {
		return err
	}
	if err := pin(f.cpu); err != nil {
		return err
	}
	n, err := play.NewNAS(f.config)
	if err != nil {
		return err
	}
	release := context.AfterFunc(ctx, n.Stop) // an interrupt ends it in order
	defer release()
	begun := time.Now()
	cpu := cpuTime()
	if err := n.Run(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	s := newSummary(n.Snapshot(), time.Since(begun), cpuTime()-cpu)
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

func (f *nasFlags) complete() error {
	n := &f.config
	n.Secret = []byte(f.secret)
	var err error
	if n.Stream, err = f.over.stream(); err != nil {
		return err
	}
	if n.Stream != nil && f.over.transport == "tls" {
		n.Secret = nil // it is prescribed
	}
	if n.Auth, err = parseAddress("--auth", f.auth); err != nil {
		return err
	}
	if n.Acct, err = parseAddress("--acct", f.acct); err != nil {
		return err
	}
	if n.Accounting, err = play.ParseAccounting(f.accounting); err != nil {
		return err
	}
	if n.Mix, err = parseMix(f.mix); err != nil {
		return err
	}
	ident, err := play.ParseIdentity(f.ident)
	if err != nil {
		return err
	}
	for _, s := range f.realms {
		name, weight, err := cutWeight(s)
		if err != nil {
			return fmt.Errorf("parsing --realm %q: %w", s, err)
		}
		n.Realms = append(n.Realms, play.Realm{Name: name, Weight: weight, Identity: ident})
	}
	return nil
}

func cutWeight(s string) (name string, weight int, err error) {
	name, number, found := strings.Cut(s, "=")
	if !found {
		return name, 1, nil
	}
	weight, err = strconv.Atoi(number)
	return name, weight, err
}

func parseMix(s string) (play.Mix, error) {
	var m play.Mix
	for part := range strings.SplitSeq(s, ",") {
		name, weight, err := cutWeight(part)
		if err != nil {
			return m, fmt.Errorf("parsing --mix %q: %w", s, err)
		}
		switch name {
		case "pap":
			m.PAP = weight
		case "chap":
			m.CHAP = weight
		case "eap":
			m.EAP = weight
		case "status":
			m.Status = weight
		default:
			return m, fmt.Errorf("parsing --mix %q: method %q: want pap, chap, eap or status", s, name)
		}
	}
	return m, nil
}

// summary is what `roamgen nas --json` prints.
type summary struct {
	play.NASCounts
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"answers_per_second"`
	CPUPerTx   float64 `json:"generator_cpu_us_per_answer"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	P999       float64 `json:"p999_ms"`
	Max        float64 `json:"max_ms"`
	AddsUp     bool    `json:"adds_up"`
	Unanswered uint64  `json:"open"`
}

func newSummary(c play.NASCounts, took, cpu time.Duration) summary {
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	answers := max(c.Answered.All(), 1)
	return summary{
		NASCounts: c, Seconds: took.Seconds(),
		PerSecond: float64(c.Answered.All()) / took.Seconds(),
		CPUPerTx:  float64(cpu) / 1e3 / float64(answers),
		P50:       ms(c.Latency.Quantile(0.5)), P99: ms(c.Latency.Quantile(0.99)),
		P999: ms(c.Latency.Quantile(0.999)), Max: ms(c.Latency.Max()),
		AddsUp: c.AddsUp(), Unanswered: c.Open(),
	}
}

func (s *summary) print(out io.Writer) {
	fmt.Fprintf(out, "sent %d = answered %d + lost %d (repeated %d, answers refused %d)\n",
		s.Sent.All(), s.Answered.All(), s.Lost.All(), s.Retransmitted.All(), s.Flaws.All())
	fmt.Fprintf(out, "accepts %d, rejects %d, challenges %d, accounting %d\n",
		s.Accepts, s.Rejects, s.Challenges, s.Answered.Accounting())
	for message, n := range s.RejectsBy {
		fmt.Fprintf(out, "  rejected %d: %q\n", n, message)
	}
	fmt.Fprintf(out, "%.0f answers/s in %.1f s, %.2f µs of generator CPU each\n", s.PerSecond, s.Seconds, s.CPUPerTx)
	fmt.Fprintf(out, "latency p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, max %.2f ms\n", s.P50, s.P99, s.P999, s.Max)
}
