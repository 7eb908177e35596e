package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// bench is one run of the program.
type bench struct {
	options
	dir   string
	begun time.Time
	done  map[string]*result // by case
	pki   string             // the lab's files
	given map[netip.AddrPort]bool
}

// scenario is a case: who takes turns at what, and the table it becomes.
type scenario struct {
	name, title string
	about       []string // lines under the title
	setting     setting
	contenders  []contender
	fresh       bool // a new process for each turn
	half        bool // half as many rounds
	once        bool // one round
	measure     func(context.Context, *stage, *proxy) (turn, error)
	table       func(*page, *result)
}

// setting is the world of a case: what the load process plays and what the
// proxies are configured for. Realm i belongs to home i modulo their number.
type setting struct {
	work    string // as in visit
	homes   int
	realms  int
	devices uint64        // in roamgate's policy table, 0 for no policy
	redis   bool          // roamgate drains into a redis-server
	detail  bool          // FreeRADIUS writes a detail file
	sockets int           // 0 as the options say
	quota   float64       // share of their processor that the proxies have, 0 for all
	keep    time.Duration // that roamgate keeps its answers, 0 as it does
	// in and out are the RADIUS versions of connections on both sides of the
	// proxy, "1.0" or "1.1"; "" is UDP.
	in, out     string
	connections int // of an event loop of roamgate to a home, 0 as it does
	requests    int // as in play.Stream
	// nodes says that the homes are Diameter nodes, steps that the visited networks
	// are too, and what they ask; peers are how many more of them the hub knows.
	nodes bool
	steps string
	peers int
	// spin has the load take its whole processor, so that its own sleeps are no part of
	// the latencies. It is for an open loop.
	spin bool
}

// contender is what takes turns in a case.
type contender struct {
	name, kind  string
	rate        float64 // offered each second, for cases that have several
	times       float64 // that rate which the case gives to others, 0: once
	wildcard    bool    // one realm that takes all
	acknowledge string  // roamgate's mode, "home" if empty
	segment     bool    // the forwarder sends runs in one piece
	clients     int     // networks with an address each, 0 for a single one
	length      int     // of a measurement in turns, for cases with a long one
	collect     string  // GOGC of roamgate, "" as it does
	// untranslated has the home of RADIUS where the case has nodes.
	untranslated bool
}

// stage is a case while it runs.
type stage struct {
	*bench
	setting
	dir     string
	load    *loadProcess
	proxies []*proxy
	limit   *quota // nil where the case has none
}

// result is what a case has measured.
type result struct {
	scenario *scenario
	proxies  []*proxy
	missing  []string // contenders that are not installed here
	leftOut  error    // why the case could not run here
	took     time.Duration
}

func (b *bench) run(ctx context.Context, s *scenario) (err error) {
	r, begun := &result{scenario: s}, time.Now()
	st := &stage{bench: b, setting: s.setting, dir: filepath.Join(b.dir, s.name)}
	if err := os.Mkdir(st.dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of the case: %w", err)
	}
	if s.setting.quota > 0 {
		if st.limit, r.leftOut = newQuota(cgroups, s.setting.quota); r.leftOut != nil {
			fmt.Printf("%-10s left out: %s\n", s.name, r.leftOut)
			b.done[s.name] = r
			return nil
		}
		defer func() { err = errors.Join(err, st.limit.remove()) }()
	}
	over := s.setting.out
	if s.setting.nodes {
		over = overDiameter
	}
	if st.load, err = startLoad(b.options, estate{Homes: st.homes, Over: over, PKI: b.pki, Spin: st.spin}); err != nil {
		return err
	}
	defer st.load.stop()
	defer context.AfterFunc(ctx, st.load.interrupt)()
	for _, c := range b.participants(s) {
		if !b.installed(c.kind) {
			r.missing = append(r.missing, c.name)
			continue
		}
		r.proxies = append(r.proxies, &proxy{contender: c})
	}
	defer func() {
		for _, p := range r.proxies {
			p.stop()
		}
		_ = os.RemoveAll(st.dir)
	}()
	st.proxies = r.proxies
	if err := st.rounds(ctx, s, r.proxies); err != nil {
		return err
	}
	r.took = time.Since(begun)
	fmt.Printf("%-10s took %s\n", s.name, r.took.Round(time.Second))
	b.done[s.name] = r
	return nil
}

// participants are the contenders that the options ask for.
func (b *bench) participants(s *scenario) (out []contender) {
	for _, c := range s.contenders {
		asked := slices.Contains(b.proxies, c.kind)
		if c.kind == newer {
			asked = b.newer != ""
		}
		if asked {
			out = append(out, c)
		}
	}
	return out
}

func (st *stage) rounds(ctx context.Context, s *scenario, ps []*proxy) error {
	rounds := st.options.rounds
	switch {
	case s.half:
		rounds = half(rounds)
	case s.once:
		rounds = 1
	}
	if !s.fresh {
		for _, p := range ps {
			if err := st.start(ctx, p); err != nil {
				return err
			}
		}
	}
	for round := range rounds {
		for i := range ps {
			p := ps[i]
			if round%2 == 1 {
				p = ps[len(ps)-1-i]
			}
			t, err := st.turn(ctx, s, p)
			if err != nil {
				return fmt.Errorf("measuring %s: %w", p.name, err)
			}
			p.turns = append(p.turns, t)
			fmt.Printf("%-10s round %d  %-28s %s\n", s.name, round+1, p.name, t)
		}
	}
	return nil
}

// half is the number of rounds where time is short.
func half(rounds int) int { return max(1, rounds/2) }

func (st *stage) turn(ctx context.Context, s *scenario, p *proxy) (turn, error) {
	if s.fresh {
		if err := st.start(ctx, p); err != nil {
			return turn{}, err
		}
		defer p.stop()
	}
	if err := ctx.Err(); err != nil {
		return turn{}, err
	}
	return s.measure(ctx, st, p)
}

// start starts the proxy and warms it up, which also says what it can do.
func (st *stage) start(ctx context.Context, p *proxy) error {
	if err := st.startProxy(ctx, p); err != nil {
		return err
	}
	v := st.visit(p)
	v.Duration = min(v.Duration, 500*time.Millisecond)
	t, err := st.load.turn(ctx, p, order{Visits: []visit{v}})
	if err != nil {
		return fmt.Errorf("warming up %s: %w", p.name, err)
	}
	p.warm = t.perSecond()
	return nil
}

// visit is the closed loop of the case for this proxy.
func (st *stage) visit(p *proxy) visit {
	v := visit{
		Auth: p.auth, Acct: p.acct, Secret: p.secret, Work: st.work, Duration: st.duration,
		Window: st.window, Sockets: st.options.sockets, Realms: st.realms, Devices: 100_000,
		Clients: p.clients, Over: st.in, PKI: st.pki, Requests: st.requests, Spin: st.spin,
	}
	if v.Steps = st.steps; v.Steps != "" {
		v.Auth = p.diameter
	}
	if p.kind == direct {
		v.Over = st.out
	} else if v.Over != "" {
		v.Auth, v.Acct = p.radsec, p.radsec
	}
	if st.setting.sockets > 0 {
		v.Sockets = st.setting.sockets
	}
	if st.devices > 0 {
		// Each turn begins with other devices; all stay within the table and
		// in their realms.
		v.First = uint64(len(p.turns)) * 110_000 % (st.devices / 2)
		v.First -= v.First % uint64(st.realms)
		v.Devices = st.devices - v.First
	}
	return v
}

// capacity is what a kind of proxy has done in a closed loop of PAP, or of ULR
// where it is an agent: in the case for it where that has run, else when it was
// warmed up.
func (st *stage) capacity(kind string) float64 {
	in := pap.name
	if st.steps != "" {
		in = ulr.name
	}
	if r := st.done[in]; r != nil {
		if p := r.find(kind); p != nil {
			return median(p.each((*turn).perSecond))
		}
	}
	for _, p := range st.proxies {
		if p.kind == kind {
			return p.warm
		}
	}
	return 0
}

// find gives the contender of that name, nil if it took no turns.
func (r *result) find(name string) *proxy {
	if r == nil {
		return nil
	}
	for _, p := range r.proxies {
		if p.name == name && len(p.turns) > 0 {
			return p
		}
	}
	return nil
}
