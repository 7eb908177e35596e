package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/roamgate/roamgate/cmd/roamgen/play"
)

// Secrets of the two hops; the forwarder knows neither and has one hop.
const (
	visitedSecret = "bench-visited-secret"
	homeSecret    = "bench-home-secret-01"
	password      = "correct-horse-1"
)

// homePorts is a home of the load process; all of them are its first line.
type homePorts struct{ Auth, Acct netip.AddrPort }

// order asks a load process for one turn: first the homes change, then the
// visited networks work side by side.
type order struct {
	Scripts []homeScript
	Visits  []visit
}

// homeScript changes how a home behaves, all homes where Home is negative.
type homeScript struct {
	Home   int
	Silent bool
	Stall  bool // of a Diameter node: it reads nothing more
	Delay  time.Duration
}

// visit is the work of one visited network.
type visit struct {
	Auth, Acct netip.AddrPort
	Secret     string
	Work       string        // pap, chap, eap or stop
	After      time.Duration // the order is begun
	Duration   time.Duration
	Window     int     // in flight, the closed loop
	Rate       float64 // begun each second instead, the open loop
	Spin       bool    // as in play.NASConfig and node.Config
	Sockets    int
	// Clients share the work from an address each, the first of them from
	// that of FirstClient. Without any it comes from the loopback address.
	FirstClient, Clients int
	// Once gives a request up when the first timeout is over.
	Once       bool
	FirstRealm int
	Realms     int
	First      uint64 // device
	Devices    uint64
	// Over is the RADIUS version of connections, "" over UDP; PKI has the files
	// for it, Requests is as in play.Stream.
	Over, PKI string
	Requests  int
	// Crowd opens so many connections first, which say nothing, and holds them
	// until the work is done.
	Crowd int
	// Steps are those of a Diameter node, "" where the visit is RADIUS. Realms are
	// then numbers of homes.
	Steps   string
	Timeout time.Duration // of Diameter, 0: 4 s
	// Refusable takes rejects for answers; otherwise they are not the work
	// that was asked for.
	Refusable bool
}

// outcome answers a visit.
type outcome struct {
	Finished, Sent, Lost, Repeated, Bad, Refused, Skipped uint64

	InTime               uint64 // finished before Duration was over
	MostOpen             uint64 // in flight at once
	AddsUp               bool
	Took, P50, P99, P999 time.Duration
	Error                string
}

// reply answers an order.
type reply struct {
	Outcomes []outcome // of the visits
	Reached  uint64    // requests that have come to any home so far, each once
}

// check says why an outcome is of no use.
func (o *outcome) check(v *visit) error {
	switch {
	case o.Error != "":
		return fmt.Errorf("load process: %s", o.Error)
	case !o.AddsUp:
		return fmt.Errorf("sent %d, finished %d, lost %d: does not add up", o.Sent, o.Finished, o.Lost)
	case v.Refusable:
	case o.Finished == 0:
		return fmt.Errorf("nothing of %d was answered", o.Sent)
	case o.Refused > 0:
		return fmt.Errorf("%d requests were rejected: not the work that was asked for", o.Refused)
	}
	return nil
}

// estate is what the load process plays all the time, its argument.
type estate struct {
	Homes int
	Over  string // the RADIUS version that they speak over connections, or overDiameter
	PKI   string // the lab's files for that
	Spin  bool   // they never sleep
}

// load is the load process: it plays the homes all the time and visited
// networks for each order.
func load(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var e estate
	if len(args) != 1 {
		return fmt.Errorf("%d arguments: want one", len(args))
	}
	if err := json.Unmarshal([]byte(args[0]), &e); err != nil {
		return fmt.Errorf("parsing the argument: %w", err)
	}
	if e.Over == overDiameter {
		return loadNodes(ctx, e, in, out)
	}
	homes, ports, err := e.start()
	if err != nil {
		return err
	}
	defer homes.Close()
	return serve(ctx, radiusHomes(homes.All), ports, in, out)
}

// world is what the load process plays all the time.
type world interface {
	script(homeScript)
	reached() uint64 // requests that have come so far, each once
}

func serve(ctx context.Context, w world, ports []homePorts, in io.Reader, out io.Writer) error {
	e := json.NewEncoder(out)
	if err := e.Encode(ports); err != nil {
		return fmt.Errorf("reporting ports: %w", err)
	}
	for d := json.NewDecoder(in); ; {
		var o order
		if d.Decode(&o) != nil || ctx.Err() != nil {
			return nil // the parent has closed the pipe, or is gone
		}
		if err := e.Encode(o.run(ctx, w)); err != nil {
			return fmt.Errorf("reporting a turn: %w", err)
		}
	}
}

type radiusHomes []*play.Home

func (hs radiusHomes) script(s homeScript) {
	for i, h := range hs {
		if s.Home < 0 || s.Home == i {
			h.SetScript(s.script())
		}
	}
}

func (hs radiusHomes) reached() (n uint64) {
	for _, h := range hs {
		s := h.Snapshot()
		n += s.Unique.All()
	}
	return n
}

// start gives all homes of RADIUS one event loop: the load has one processor.
func (e estate) start() (*play.Homes, []homePorts, error) {
	var over *play.Stream
	if e.Over != "" {
		var err error
		if over, err = stream(e.Over, e.PKI); err != nil {
			return nil, nil, err
		}
	}
	any := netip.MustParseAddrPort("127.0.0.1:0")
	configs := make([]play.HomeConfig, e.Homes)
	for i := range configs {
		configs[i] = play.HomeConfig{
			Name: fmt.Sprint("bench-", i), Auth: any, Acct: any, Secret: []byte(homeSecret), Password: password,
			Script: homeScript{}.script(), Stream: over, Spin: e.Spin,
		}
		if over != nil {
			configs[i].Secret = nil // it is prescribed
		}
	}
	homes, err := play.StartHomes(configs...)
	if err != nil {
		return nil, nil, err
	}
	ports := make([]homePorts, e.Homes)
	for i, h := range homes.All {
		ports[i] = homePorts{h.Auth(), h.Acct()}
	}
	return homes, ports, nil
}

func (s homeScript) script() play.Script {
	return play.Script{SessionTimeout: 3600, Rounds: 2, Silent: s.Silent, Delay: play.Delay{Min: s.Delay}}
}

func (o *order) run(ctx context.Context, w world) (r reply) {
	for _, s := range o.Scripts {
		w.script(s)
	}
	r.Outcomes = make([]outcome, len(o.Visits))
	var wait sync.WaitGroup
	for i := range o.Visits {
		wait.Go(func() {
			if o.Visits[i].Steps != "" {
				r.Outcomes[i] = o.Visits[i].runNode(ctx)
			} else {
				r.Outcomes[i] = o.Visits[i].run(ctx)
			}
		})
	}
	wait.Wait()
	r.Reached = w.reached()
	return r
}

func (v *visit) run(ctx context.Context) outcome {
	select {
	case <-ctx.Done():
		return outcome{Error: ctx.Err().Error()}
	case <-time.After(v.After):
	}
	nets := make(networks, max(v.Clients, 1))
	var over *play.Stream
	if v.Over != "" {
		var err error
		if over, err = stream(v.Over, v.PKI); err != nil {
			return outcome{Error: err.Error()}
		}
		over.Requests = v.Requests
	}
	if v.Crowd > 0 {
		crowd, err := over.Gather(v.Crowd, v.Auth)
		if err != nil {
			return outcome{Error: err.Error()}
		}
		defer crowd.Close()
	}
	for i := range nets {
		c := v.config(i)
		if over != nil {
			c.Stream, c.Secret = over, nil
		}
		var err error
		if nets[i], err = play.NewNAS(c); err != nil {
			return outcome{Error: err.Error()} // which ends this process
		}
	}
	inTime := make(chan uint64, 1)
	begun := time.Now()
	time.AfterFunc(v.Duration, func() {
		s := nets.snapshot()
		inTime <- s.Answered.All()
	})
	if err := nets.run(ctx); err != nil {
		return outcome{Error: err.Error()}
	}
	took := time.Since(begun)
	s := nets.snapshot()
	return outcome{
		Finished: s.Answered.All(), Sent: s.Sent.All(), Lost: s.Lost.All(), Repeated: s.Retransmitted.All(),
		Bad: s.Flaws.All(), Refused: s.Rejects, Skipped: s.Skipped,
		InTime: <-inTime, MostOpen: s.MostOpen, AddsUp: s.AddsUp(), Took: took,
		P50: s.Latency.Quantile(0.5), P99: s.Latency.Quantile(0.99), P999: s.Latency.Quantile(0.999),
	}
}

// networks are the client networks of a visit.
type networks []*play.NAS

func (ns networks) run(ctx context.Context) error {
	ended := make([]error, len(ns))
	var wait sync.WaitGroup
	for i, n := range ns {
		wait.Go(func() { ended[i] = n.Run(ctx) })
	}
	wait.Wait()
	return errors.Join(ended...)
}

func (ns networks) snapshot() (sum play.NASCounts) {
	for _, n := range ns {
		c := n.Snapshot()
		sum.Add(&c)
	}
	return sum
}

const clientTimeout = time.Second

// config is that of the visit's i-th client network.
func (v *visit) config(i int) play.NASConfig {
	n := max(v.Clients, 1)
	c := play.NASConfig{
		Name: "bench-ap", Auth: v.Auth, Acct: v.Acct, Secret: []byte(v.Secret), Password: password,
		Window: (v.Window + n - 1) / n, Rate: v.Rate / float64(n), Spin: v.Spin, Sockets: (v.Sockets + n - 1) / n,
		Duration: v.Duration, Retries: 3, Timeout: clientTimeout,
		First: v.First, Devices: v.Devices, Operator: "1visited.example",
	}
	if v.Clients > 0 {
		c.Bind = clientAddress(v.FirstClient + i)
	}
	if v.Once {
		c.Retries = 0
	}
	for i := range v.Realms {
		n := v.FirstRealm + i
		c.Realms = append(c.Realms, play.Realm{Name: realmName(n), Prefix: network(n), Identity: play.IdentityIMSI})
	}
	switch v.Work {
	case "chap":
		c.Mix = play.Mix{CHAP: 1}
	case "eap":
		c.Mix = play.Mix{EAP: 1}
	case "stop":
		c.Accounting, c.Auth = play.AccountingStop, netip.AddrPort{}
	}
	if v.Work != "stop" {
		c.Acct = netip.AddrPort{} // no sockets for what is not sent
	}
	return c
}

// clientAddress is where a client network of its own sends from.
func clientAddress(client int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, byte(client)}) }

// realmName gives realms of one length, as operators have them (3GPP TS
// 23.003 section 19.2).
func realmName(i int) string {
	return fmt.Sprintf("wlan.mnc%03d.mcc%03d.3gppnetwork.org", i%1000, 1+i/1000)
}

// network begins the IMSIs of a realm.
func network(realm int) string { return fmt.Sprintf("%03d%03d", 1+realm/1000, realm%1000) }

// imsi is that of a device where all realms are visited from the first on.
func imsi(device uint64, realms int) string {
	return fmt.Sprintf("%s%09d", network(int(device%uint64(realms))), device)
}
