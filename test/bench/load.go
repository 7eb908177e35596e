package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// Secrets of the two hops; the forwarder knows neither and has one hop.
const (
	visitedSecret = "bench-visited-secret"
	homeSecret    = "bench-home-secret-01"
)

// homePorts is the first line of a load process.
type homePorts struct{ Auth, Acct netip.AddrPort }

// order asks a load process for one turn.
type order struct {
	Auth, Acct      netip.AddrPort
	Secret, Work    string
	Duration        time.Duration
	Window, Sockets int
}

// outcome answers an order.
type outcome struct {
	Finished, Sent, Lost, Repeated, Bad, Refused uint64
	AddsUp                                       bool
	Took, P50, P99, P999                         time.Duration
	Error                                        string
}

// load is the load process: it plays the home all the time and a visited
// network for each order.
func load(ctx context.Context, in io.Reader, out io.Writer) error {
	any := netip.MustParseAddrPort("127.0.0.1:0")
	home, err := play.StartHome(play.HomeConfig{
		Name: "bench", Auth: any, Acct: any, Secret: []byte(homeSecret), Password: password,
		Script: play.Script{SessionTimeout: 3600, Rounds: 2},
	})
	if err != nil {
		return err
	}
	defer home.Close()
	e := json.NewEncoder(out)
	if err := e.Encode(homePorts{home.Auth(), home.Acct()}); err != nil {
		return fmt.Errorf("reporting ports: %w", err)
	}
	for d := json.NewDecoder(in); ; {
		var o order
		if d.Decode(&o) != nil || ctx.Err() != nil {
			return nil // the parent has closed the pipe, or is gone
		}
		if err := e.Encode(o.run(ctx)); err != nil {
			return fmt.Errorf("reporting a turn: %w", err)
		}
	}
}

const password = "correct-horse-1"

func (o *order) run(ctx context.Context) outcome {
	c := play.NASConfig{
		Name: "bench-ap", Auth: o.Auth, Acct: o.Acct, Secret: []byte(o.Secret), Password: password,
		Window: o.Window, Sockets: o.Sockets, Duration: o.Duration, Retries: 3, Timeout: time.Second,
		Devices: 100000, Operator: "1visited.example",
		Realms: []play.Realm{{Name: benchRealm, Identity: play.IdentityIMSI}},
	}
	switch o.Work {
	case "eap":
		c.Mix = play.Mix{EAP: 1}
	case "accounting":
		c.Accounting, c.Interims = play.AccountingOnly, 1
	}
	n, err := play.NewNAS(c)
	if err != nil {
		return outcome{Error: err.Error()}
	}
	begun := time.Now()
	if err := n.Run(ctx); err != nil {
		return outcome{Error: err.Error()}
	}
	s := n.Snapshot()
	return outcome{
		Finished: s.Answered.All(), Sent: s.Sent.All(), Lost: s.Lost.All(), Repeated: s.Retransmitted.All(),
		Bad: s.Flaws.All(), Refused: s.Rejects, AddsUp: s.AddsUp(), Took: time.Since(begun),
		P50: s.Latency.Quantile(0.5), P99: s.Latency.Quantile(0.99), P999: s.Latency.Quantile(0.999),
	}
}

const benchRealm = "wlan.mnc001.mcc001.3gppnetwork.org"

// loadProcess is the parent's end.
type loadProcess struct {
	command *exec.Cmd
	orders  io.WriteCloser
	results *json.Decoder
	home    homePorts
}

func startLoad(o options) (*loadProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	c := pinned(o.loadCPU, self, "load")
	// Two event loops share the processor; one scheduler slot would make each
	// wait for the other's system calls.
	c.Env = append(os.Environ(), "GOMAXPROCS=3")
	c.Stderr = os.Stderr
	l := &loadProcess{command: c}
	if l.orders, err = c.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting the load process: %w", err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the load process: %w", err)
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("starting the load process: %w", err)
	}
	l.results = json.NewDecoder(bufio.NewReader(out))
	if err := l.results.Decode(&l.home); err != nil {
		l.stop()
		return nil, fmt.Errorf("reading the home's ports: %w", err)
	}
	return l, nil
}

func (l *loadProcess) stop() {
	_ = l.orders.Close()
	_ = l.command.Wait()
}

// turn lets a proxy work and measures it.
func (l *loadProcess) turn(o options, p *proxy, d time.Duration) (turn, error) {
	before, err := cpuTime(p.pid())
	if err != nil {
		return turn{}, err
	}
	err = json.NewEncoder(l.orders).Encode(order{
		Auth: p.auth, Acct: p.acct, Secret: p.secret, Work: o.work,
		Duration: d, Window: o.window, Sockets: o.sockets,
	})
	if err != nil {
		return turn{}, fmt.Errorf("ordering: %w", err)
	}
	var t turn
	if err := l.results.Decode(&t.outcome); err != nil {
		return turn{}, fmt.Errorf("reading the outcome: %w", err)
	}
	after, err := cpuTime(p.pid())
	switch {
	case err != nil:
		return turn{}, err
	case t.Error != "":
		return turn{}, fmt.Errorf("load process: %s", t.Error)
	case !t.AddsUp:
		return turn{}, fmt.Errorf("sent %d, finished %d, lost %d: does not add up", t.Sent, t.Finished, t.Lost)
	case t.Finished == 0:
		return turn{}, fmt.Errorf("nothing was answered")
	case t.Refused > 0:
		return turn{}, fmt.Errorf("%d requests were rejected: not the work that was asked for", t.Refused)
	}
	t.cpu = after - before
	t.rss, err = peakRSS(p.pid())
	return t, err
}

// pinned runs a program on one processor.
func pinned(cpu int, name string, args ...string) *exec.Cmd {
	c := exec.Command("taskset", append([]string{"-c", strconv.Itoa(cpu), name}, args...)...)
	c.SysProcAttr = childAttributes()
	return c
}
