package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// homeFlags is the command line of `roamgen home`.
type homeFlags struct {
	name, auth, acct, secret, password string
	delay                              string
	rejects, bad                       []string
	script                             play.Script
	shards, cpu                        int
	json                               bool
	over                               streamFlags
}

func newHomeCommand() *cobra.Command {
	var f homeFlags
	c := &cobra.Command{
		Use:   "home",
		Short: "Answers as a home server until interrupted",
		Example: `  roamgen home --auth 127.0.0.1:18120 --acct 127.0.0.1:18130 --secret testing123
  roamgen home --secret testing123 --delay 20ms+30ms --loss 0.01 --reject 0.05:barred
  roamgen home --secret testing123 --rounds 4 --keys --bad late:0.02 --late-by 3s
  roamgen home --transport tls --auth 127.0.0.1:2083 --cert home.pem --key home.key --ca ca.pem --delay 50ms`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout()) },
	}
	l := c.Flags()
	l.StringVar(&f.name, "name", "home-1", "name of the home server; a State of another name is refused")
	l.StringVar(&f.auth, "auth", "127.0.0.1:18120", "address for Access-Request, empty for none")
	l.StringVar(&f.acct, "acct", "127.0.0.1:18130", "address for Accounting-Request, empty for none")
	l.StringVar(&f.secret, "secret", "testing123", "shared secret; a test value, it shows in the process list")
	l.StringVar(&f.password, "password", "", "password of every device, empty accepts any")
	l.StringVar(&f.delay, "delay", "", "thinking time: 20ms, 10ms..80ms (uniform) or 10ms+30ms (exponential tail)")
	l.Float64Var(&f.script.Loss, "loss", 0, "share of requests left unanswered, 0..1")
	l.BoolVar(&f.script.Silent, "silent", false, "answer nothing")
	l.BoolVar(&f.script.StatusOnly, "status-only", false, "answer only Status-Server")
	l.StringArrayVar(&f.rejects, "reject", nil, "share of devices and Reply-Message, as 0.05:barred; repeatable")
	l.IntVar(&f.script.Rounds, "rounds", 0, "Access-Challenges before the decision, for requests with EAP-Message")
	l.StringArrayVar(&f.bad, "bad", nil, "kind and share of bad answers, as late:0.02; kinds: "+strings.Join(play.BadNames(), ", "))
	l.BoolVar(&f.script.ThenProper, "then-proper", false, "send the good answer after each bad one")
	l.DurationVar(&f.script.LateBy, "late-by", 5*time.Second, "how late a late answer is")
	l.Uint32Var(&f.script.SessionTimeout, "session-timeout", 3600, "Session-Timeout in seconds, 0 for none")
	l.Uint32Var(&f.script.InterimInterval, "interim-interval", 0, "Acct-Interim-Interval in seconds, 0 for none")
	l.BoolVar(&f.script.Keys, "keys", false, "send MS-MPPE keys in an Access-Accept")
	l.IntVar(&f.shards, "shards", 1, "event loops")
	l.IntVar(&f.cpu, "cpu", -1, "processor to stay on, -1 for any")
	l.BoolVar(&f.json, "json", false, "print the counts as JSON at the end")
	f.over.add(l)
	return c
}

func (f *homeFlags) run(ctx context.Context, out io.Writer) error {
	c, err := f.config()
	if err != nil {
		return err
	}
	if err := pin(f.cpu); err != nil {
		return err
	}
	h, err := play.StartHome(c)
	if err != nil {
		return err
	}
	if !f.json {
		fmt.Fprintf(out, "home %s answers on %s (auth) and %s (acct)\n", h.Name(), h.Auth(), h.Acct())
	}
	<-ctx.Done()
	if err := h.Close(); err != nil {
		return fmt.Errorf("stopping home: %w", err)
	}
	counts := h.Snapshot()
	if f.json {
		return json.NewEncoder(out).Encode(counts)
	}
	fmt.Fprintf(out, "requests %d (repeated %d), accepts %d, rejects %d, challenges %d, accounting %d, flaws %d\n",
		counts.Requests.All(), counts.Duplicates.All(), counts.Accepts, counts.Rejects, counts.Challenges,
		counts.Unique.Accounting(), counts.Flaws.All())
	return nil
}

func (f *homeFlags) config() (play.HomeConfig, error) {
	c := play.HomeConfig{Name: f.name, Secret: []byte(f.secret), Password: f.password, Shards: f.shards, Script: f.script}
	var err error
	if c.Stream, err = f.over.stream(); err != nil {
		return c, err
	}
	if c.Stream != nil && f.over.transport == "tls" {
		c.Secret = nil // it is prescribed
	}
	if c.Auth, err = parseAddress("--auth", f.auth); err != nil {
		return c, err
	}
	if c.Acct, err = parseAddress("--acct", f.acct); err != nil {
		return c, err
	}
	if c.Script.Delay, err = play.ParseDelay(f.delay); err != nil {
		return c, err
	}
	for _, r := range f.rejects {
		share, message, err := cutShare(r)
		if err != nil {
			return c, fmt.Errorf("parsing --reject %q: %w", r, err)
		}
		c.Script.Rejects = append(c.Script.Rejects, play.Rejection{Share: share, Message: message})
	}
	for _, b := range f.bad {
		kind, share, _ := strings.Cut(b, ":")
		m := play.Misbehaviour{}
		if m.Bad, err = play.ParseBad(kind); err != nil {
			return c, fmt.Errorf("parsing --bad %q: %w", b, err)
		}
		if m.Share, err = strconv.ParseFloat(share, 64); err != nil {
			return c, fmt.Errorf("parsing --bad %q: %w", b, err)
		}
		c.Script.Misbehave = append(c.Script.Misbehave, m)
	}
	return c, nil
}

func cutShare(s string) (share float64, rest string, err error) {
	number, rest, _ := strings.Cut(s, ":")
	share, err = strconv.ParseFloat(number, 64)
	return share, rest, err
}

func parseAddress(flag, s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return a, fmt.Errorf("parsing %s: %w", flag, err)
	}
	return a, nil
}
