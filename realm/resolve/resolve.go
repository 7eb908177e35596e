// Package resolve finds the addresses of homes that are configured by name,
// and follows them as they change.
//
// It stands beside the packet walk: a Resolver asks in the background, and
// whoever compiles a configuration takes what it knows by then. A hub starts
// without any answer, and no packet ever waits for one.
//
// A and AAAA are asked for each name (realm/nameserver). An answer holds for its TTL, at least ten seconds and at
// most an hour, and somewhat less by lot, so that a thousand names do not come
// due together. A server that fails or is silent is asked again after one
// second, then after twice as long each time up to a minute, and what is known
// is kept as long as that lasts (RFC 8767 section 5); an answer that there is
// no address counts. Addresses are ordered so that they do not change places
// from answer to answer: those that this host has a way to first, IPv6 before
// IPv4. There are at most eight; what nothing can be sent to is left out,
// private and loopback addresses are not, as the operator has named them.
//
// A Resolver is safe for concurrent use; RFC 2308 section 5, RFC 6724 section 6.
package resolve

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roamgate/roamgate/realm/nameserver"
)

const (
	least     = 10 * time.Second
	most      = time.Hour
	mostNone  = 5 * time.Minute // there may soon be one
	backFirst = time.Second
	backMost  = time.Minute
	mostAddrs = 4 // of a family
	atOnce    = 16
	settle    = 100 * time.Millisecond // changes in it are told together
)

// Config is what a Resolver can be told. The zero value asks the servers of
// this host.
type Config struct {
	// Servers are asked in turn; none: those in /etc/resolv.conf.
	Servers []netip.AddrPort
	// Changed is told when answers have changed, from Run's goroutine. It is
	// not called for a name that is asked for the first time and not found.
	Changed func()

	hasWay func(netip.Addr) bool
}

// Answer is what is known of a name.
type Answer struct {
	Addrs []netip.Addr // in the order of trial; not to be changed
	Why   string       // why it could not be asked for lately, or has none; "": it could
	Asked bool
}

// Counters count lookups, each of one family.
type Counters struct {
	Found, None, Failed atomic.Uint64
}

// Resolver follows the addresses of names.
type Resolver struct {
	conf  Config
	count Counters
	dns   nameserver.Client

	mu    sync.Mutex // guards names and what they point to
	names map[string]*name
	poke  chan struct{}
}

// name is one name. Its families are asked together.
type name struct {
	families [2]family // AAAA, A
	due      time.Time
	fails    int
	busy     bool
	answer   Answer
}

type family struct {
	addrs []netip.Addr
	why   string
}

// New returns a Resolver that knows no name; it asks while it is in Run.
func New(conf Config) *Resolver {
	if conf.Changed == nil {
		conf.Changed = func() {}
	}
	if conf.hasWay == nil {
		conf.hasWay = HasWay
	}
	return &Resolver{
		conf: conf, names: make(map[string]*name), poke: make(chan struct{}, 1),
		dns: nameserver.Client{Servers: conf.Servers},
	}
}

// Counters returns the counts so far.
func (r *Resolver) Counters() *Counters { return &r.count }

// Watch says which names are to be followed; others are forgotten.
func (r *Resolver) Watch(names []string) {
	r.mu.Lock()
	old := r.names
	r.names = make(map[string]*name, len(names))
	for _, n := range names {
		n = fold(n)
		if r.names[n] = old[n]; r.names[n] == nil {
			r.names[n] = &name{}
		}
	}
	r.mu.Unlock()
	r.wake()
}

// Answer is what is known of a name now.
func (r *Resolver) Answer(of string) Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.names[fold(of)]; n != nil {
		return n.answer
	}
	return Answer{}
}

// Again has every name asked anew at once.
func (r *Resolver) Again() {
	r.mu.Lock()
	for _, n := range r.names {
		n.due = time.Time{}
	}
	r.mu.Unlock()
	r.wake()
}

func (r *Resolver) wake() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

func fold(n string) string { return strings.ToLower(strings.TrimSuffix(n, ".")) }

// result is what came of asking for a name.
type result struct {
	name  string
	of    *name
	found [2]found
}

// Run asks until ctx is done, and waits for what it has begun. It returns the
// context's error.
func (r *Resolver) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	results := make(chan result)
	timer := time.NewTimer(0)
	defer timer.Stop()
	running := 0
	var tell <-chan time.Time
	for {
		for running < atOnce {
			n, of, wait := r.next(time.Now())
			if of == nil {
				timer.Reset(wait)
				break
			}
			running++
			asking.Go(func() {
				res := result{n, of, r.both(ctx, n)}
				select {
				case results <- res:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case res := <-results:
			running--
			if r.learn(&res, time.Now()) && tell == nil {
				tell = time.After(settle)
			}
		case <-tell:
			tell = nil
			r.conf.Changed()
		case <-r.poke:
		case <-timer.C:
		}
	}
}

// next takes a name that is due, or says how long there is none.
func (r *Resolver) next(now time.Time) (name string, of *name, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = most
	for k, n := range r.names {
		switch {
		case n.busy:
		case !n.due.After(now):
			n.busy = true
			return k, n, 0
		default:
			wait = min(wait, n.due.Sub(now))
		}
	}
	return "", nil, wait
}

// learn takes what was found. changed says that the name's addresses are
// others now, or that it is known to have none.
func (r *Resolver) learn(res *result, now time.Time) (changed bool) {
	wait, failed := most, false
	for i, f := range res.found {
		switch {
		case f.failed:
			r.count.Failed.Add(1)
			failed = true
		case len(f.addrs) == 0:
			r.count.None.Add(1)
		default:
			r.count.Found.Add(1)
		}
		if !f.failed {
			res.of.families[i].addrs = f.addrs
			wait = min(wait, f.ttl)
		}
		res.of.families[i].why = f.why
	}
	addrs := r.ordered(&res.of.families)
	if len(addrs) == 0 {
		wait = min(wait, mostNone)
	}
	wait = max(wait, least)
	r.mu.Lock()
	defer r.mu.Unlock()
	n := res.of
	n.busy = false
	if n.fails++; failed {
		wait = min(wait, backFirst<<min(n.fails-1, 6), backMost)
	} else {
		n.fails = 0
	}
	n.due = now.Add(wait - rand.N(wait/10+1))
	was := n.answer
	n.answer = Answer{Addrs: addrs, Why: why(&n.families, len(addrs)), Asked: true}
	return !slices.Equal(was.Addrs, addrs) || !was.Asked || was.Why != n.answer.Why
}

// ordered puts the addresses of both families into the order of trial.
func (r *Resolver) ordered(families *[2]family) (addrs []netip.Addr) {
	rank := map[netip.Addr]int{}
	for i := range families {
		for _, a := range families[i].addrs {
			rank[a] = 0
			if a.Is4() {
				rank[a]++
			}
			if !r.conf.hasWay(a) {
				rank[a] += 2
			}
		}
	}
	for a := range rank {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, func(a, b netip.Addr) int {
		if rank[a] != rank[b] {
			return rank[a] - rank[b]
		}
		return a.Compare(b)
	})
	return addrs
}

// why gives the reason of the family that failed, and otherwise only that
// there is none at all: many names have one family.
func why(families *[2]family, n int) string {
	for _, f := range families {
		if f.why != "" && (f.why != noAddress || n == 0) {
			return f.why
		}
	}
	return ""
}
